# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a server may answer, and what is done about servers that lie."""

from __future__ import annotations

import json
import random
from math import inf, nan

import pytest
from roborefer_perception.core.answers import (
    LONGEST_LABEL,
    LONGEST_TEXT,
    MOST_POINTS,
    Answer,
    Outcome,
    Perception,
    clean,
    parse_answer,
    parse_json,
)
from roborefer_perception.core.types import Kind
from roborefer_perception.exceptions import Reason, ReferFailure
from roborefer_perception.testing import answer, point

SIZE = (64, 48)


def step(**changed):
    return {
        **{"text": "look", "perception": "other", "target": "", "pixel": None},
        **{"direction": None, "size_m": None},
        **changed,
    }


def refused(body, samples=32):
    with pytest.raises(ReferFailure) as caught:
        parse_answer(body, SIZE, samples)
    assert caught.value.reason is Reason.ANSWER_INVALID
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_an_honest_answer_is_taken_as_it_is():
    body = answer(
        SIZE,
        [(3.25, 4.5)],
        kind="free_space",
        confidence=0.75,
        text="there",
        engine="fake:one",
        reasoning=[
            step(perception="position", target="mug", pixel={"u": 1, "v": 2, "x": 0, "y": 0}),
            step(perception="orientation", direction=[0, 0.6, 0.8]),
            step(perception="size", size_m=0.12),
        ],
        latency={"queue_s": 0.1, "total_s": 0.5},
    )

    read = parse_answer(body, SIZE)

    assert read.outcome is Outcome.OK
    assert read.kind is Kind.FREE_SPACE
    assert (read.points[0].u, read.points[0].v) == (3.25, 4.5)
    assert (read.confidence, read.text, read.engine) == (0.75, "there", "fake:one")
    assert read.samples == (read.points,)
    assert [one.perception for one in read.reasoning] == [
        Perception.POSITION,
        Perception.ORIENTATION,
        Perception.SIZE,
    ]
    assert read.reasoning[0].pixel == (1, 2)
    assert read.reasoning[1].direction == (0, 0.6, 0.8)
    assert read.reasoning[2].size_m == 0.12
    assert read.latency.queue_s == pytest.approx(0.1)
    assert read.latency.model_s == pytest.approx(0.4)


def test_an_ambiguous_answer_has_candidates_and_no_points():
    two = [point(1, 1, SIZE, 0.6), point(30, 20, SIZE, 0.4)]

    read = parse_answer(answer(SIZE, [], outcome="ambiguous", candidates=two), SIZE)

    assert read.outcome is Outcome.AMBIGUOUS
    assert [one.confidence for one in read.candidates] == [0.6, 0.4]


@pytest.mark.parametrize("outcome", ["text", "nothing_found", "not_understood", "invalid_answer"])
def test_outcomes_without_points_are_answers_too(outcome):
    assert parse_answer(answer(SIZE, [], outcome=outcome), SIZE).outcome == outcome


@pytest.mark.parametrize(("u", "v"), [(-0.5, -0.5), (63.49, 47.49), (0, 0), (-0.49, 47)], ids=str)
def test_points_inside_the_picture_are_taken(u, v):
    assert parse_answer(answer(SIZE, [(u, v)]), SIZE).points[0].u == u


@pytest.mark.parametrize(
    ("u", "v"), [(-0.51, 0), (63.5, 0), (0, 47.5), (1e300, 0), (0, -1e9)], ids=str
)
@pytest.mark.parametrize("where", ["points", "candidates", "samples"])
def test_points_outside_the_picture_are_refused(u, v, where):
    outside, inside = point(u, v, SIZE), point(1, 1, SIZE)
    body = {
        "points": answer(SIZE, [(1, 1)], points=[outside]),
        "candidates": answer(SIZE, [], outcome="ambiguous", candidates=[inside, outside]),
        "samples": answer(SIZE, [(1, 1)], samples=[[inside], [outside]]),
    }[where]

    assert "outside the 64 x 48 picture" in refused(body)


@pytest.mark.parametrize("value", [nan, inf, None, "3", True, [], {}, 10**400], ids=repr)
@pytest.mark.parametrize("name", ["u", "v", "confidence"])
def test_coordinates_and_confidences_have_to_be_numbers(name, value):
    body = answer(SIZE, [(1, 1)])
    body["points"][0][name] = value

    assert f"points.0.{name}" in refused(body)


@pytest.mark.parametrize("value", [-0.01, 1.01, 100])
def test_confidences_lie_between_0_and_1(value):
    assert "confidence" in refused(answer(SIZE, [(1, 1)], confidence=value))


def test_ten_thousand_points_are_refused():
    assert f"a list of {MOST_POINTS}" in refused(answer(SIZE, [(1, 1)] * 10_000))


def test_more_samples_than_asked_for_are_refused():
    body = answer(SIZE, [(1, 1)], samples=[[]] * 4)

    assert len(parse_answer(body, SIZE, 4).samples) == 4
    refused(body, samples=3)


@pytest.mark.parametrize(
    "size", [(48, 64), (640, 480), ("64", "48"), (64.5, 48), (None, None), (10**400, 1)], ids=repr
)
def test_an_answer_about_another_picture_is_refused(size):
    image = {"width": size[0], "height": size[1]}

    assert "64 x 48" in refused(answer(SIZE, [(1, 1)], image=image))


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": "fine"},
        {"outcome": 1},
        {"outcome": "ambiguous"},
        {"outcome": "ok", "points": []},
        {"outcome": "nothing_found"},
        {"kind": "robot"},
        {"kind": None},
        {"points": None},
        {"points": {"0": {}}},
        {"points": [[1, 2]]},
        {"candidates": [point(1, 1, SIZE)] * 2},
        {"samples": [{}]},
        {"reasoning": "because"},
        {"reasoning": [step(perception="smell")]},
        {"reasoning": [step()] * 10_000},
        {"text": None},
        {"text": ["a"]},
        {"engine": 7},
        {"image": []},
    ],
    ids=str,
)
def test_what_decides_has_to_follow_the_protocol(changed):
    refused(answer(SIZE, [(1, 1)], **changed))


@pytest.mark.parametrize("body", [None, [], 3, "ok", {}, [answer(SIZE, [])]], ids=str)
def test_something_else_than_an_answer_is_refused(body):
    refused(body)


@pytest.mark.parametrize("name", sorted(set(answer(SIZE, [(1, 1)])) - {"request_id"}))
def test_no_field_may_be_missing(name):
    body = answer(SIZE, [(1, 1)])
    del body[name]

    assert f"{name} is missing" in refused(body)


@pytest.mark.parametrize(
    "changed",
    [
        {"perception": "position", "pixel": {"u": 64, "v": 0}},
        {"perception": "position", "pixel": {"u": nan, "v": 0}},
        {"perception": "position", "pixel": [1, 2]},
        {"perception": "orientation", "direction": [1, 1, 1]},
        {"perception": "orientation", "direction": [0, 0, 0]},
        {"perception": "orientation", "direction": ["a", 0, 1]},
        {"perception": "orientation", "direction": [1]},
        {"perception": "size", "size_m": -1},
        {"perception": "size", "size_m": "big"},
    ],
    ids=str,
)
def test_a_step_loses_a_value_that_cannot_be_and_keeps_its_words(changed):
    read = parse_answer(answer(SIZE, [(1, 1)], reasoning=[step(**changed)]), SIZE).reasoning[0]

    assert read.text == "look"
    assert (read.pixel, read.direction, read.size_m) == (None, None, None)


@pytest.mark.parametrize(
    "latency",
    [None, [], {}, {"queue_s": "a", "total_s": nan}, {"queue_s": -1, "total_s": -inf}],
    ids=str,
)
def test_a_latency_that_cannot_be_counts_as_zero(latency):
    read = parse_answer(answer(SIZE, [(1, 1)], latency=latency), SIZE).latency

    assert (read.queue_s, read.model_s) == (0, 0)


def test_texts_are_cut_and_freed_of_control_characters():
    nasty = "a\x1b[31m\x00\u202eb\ud800c\nd"
    body = answer(SIZE, [(1, 1)], text=nasty + "x" * 100_000, engine="e" * 1000)

    read = parse_answer(body, SIZE)

    assert read.text.startswith("a [31m  b c\nd")
    assert len(read.text) == LONGEST_TEXT
    assert read.text.endswith("…")
    assert len(read.engine) == LONGEST_LABEL
    read.text.encode()


def test_clean_keeps_letters_of_all_languages():
    assert clean("Becher 杯子 كوب чашка ☕") == "Becher 杯子 كوب чашка ☕"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"NaN", b'{"u": Infinity}', b"\xff\xfe{}", b"[" * 100_000, b"<html>", b'"\xff"'],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ReferFailure) as caught:
        parse_json(text)

    assert caught.value.reason is Reason.ANSWER_INVALID


def test_an_integer_of_a_million_digits_is_refused():
    with pytest.raises(ReferFailure):
        parse_json(b"1" * 1_000_000)


@pytest.mark.parametrize("seed", range(300))
def test_no_damage_to_an_answer_leads_to_anything_but_an_answer_or_a_refusal(seed):
    rng = random.Random(seed)
    body = answer(SIZE, [(1, 1), (2, 2)], reasoning=[step(perception="size", size_m=1)])
    junk = [None, True, -1, 0, 1e308, nan, "", "ok", "x" * 999, [], {}, [[]], [{}], {"u": 1}]
    for _ in range(rng.randint(1, 3)):
        owner, key = rng.choice(list(places(body)))
        owner[key] = rng.choice(junk)
        if rng.random() < 0.2:
            del owner[key]

    reason = None
    try:
        read = parse_answer(json.loads(json.dumps(body)), SIZE)
    except ReferFailure as failure:
        read, reason = Answer(Outcome.NOTHING_FOUND), failure.reason

    assert reason in (None, Reason.ANSWER_INVALID)
    for one in (*read.points, *read.candidates, *(p for s in read.samples for p in s)):
        assert -0.5 <= one.u < 63.5
        assert -0.5 <= one.v < 47.5
        assert 0 <= one.confidence <= 1


def places(value):
    """Give all places inside a JSON value where something can be exchanged."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)
