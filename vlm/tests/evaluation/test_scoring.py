# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import benchmark_layouts as lay
import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.evaluation.records import Area, Protocol, Question, Word
from roborefer_vlm.evaluation.results import Failure, Result
from roborefer_vlm.evaluation.scoring.protocols import (
    evaluator_text,
    mask_score,
    protocol_score,
    robospatial_score,
)
from roborefer_vlm.evaluation.scoring.score import score
from roborefer_vlm.evaluation.scoring.strict import Verdict, strict_score
from roborefer_vlm.evaluation.scoring.truth import DecodedArea, in_polygon
from roborefer_vlm.picture_files import Source, read_gray
from roborefer_vlm.types import Answer, Outcome, Pixel, ReferredPoint

GOLDEN = Path(__file__).parents[1] / "golden/roborefer_tiny/scoring"
AREA = DecodedArea(lay.WIDTH, lay.HEIGHT, (lay.mask() > 0).astype(np.float32))


def result(answer: Answer | None, **changes) -> Result:
    return Result("q", lay.WIDTH, lay.HEIGHT, answer, **changes)


def points(*places: tuple[float, float]) -> Answer:
    return Answer(Outcome.OK, points=tuple(ReferredPoint(Pixel(u, v)) for u, v in places))


@pytest.fixture(scope="module")
def golden():
    return json.loads((GOLDEN / "scoring.json").read_text())


@pytest.fixture(params=["L", "RGB"])
def golden_weights(request, tmp_path, golden):
    path = tmp_path / "mask.png"
    Image.open(GOLDEN / golden["end_to_end"]["mask"]).convert(request.param).save(path)
    return (read_gray(Source.of(path)) > 0).astype(np.float32)


def test_reference_scores_equal_those_of_the_original_answer_by_answer(golden, golden_weights):
    texts = [row["text"] for row in golden["normalised"]]

    found = [mask_score(golden_weights, text) for text in texts]

    assert found == golden["end_to_end"]["per_answer"]


def test_reference_mean_equals_what_the_original_prints(golden, golden_weights):
    scores = [mask_score(golden_weights, row["text"]) for row in golden["normalised"]]
    kept = [value for value in scores if value is not None]

    line = f"Accuracy: {np.mean(kept):.4f}, Evaluated: {len(kept)}, Total: {len(scores)}"

    assert line == golden["end_to_end"]["printed"]


@pytest.mark.parametrize(
    ("answer", "score_", "verdict"),
    [
        (points((15, 25)), 1.0, Verdict.HIT),
        (points((15, 25), (1, 1)), 0.5, Verdict.PARTLY),
        (points((1, 1)), 0.0, Verdict.WRONG_PLACE),
        (points((-5, 25)), 0.0, Verdict.OUTSIDE_PICTURE),
        (points((15, 25), (500, 500), (15, 26), (1, 1)), 0.5, Verdict.PARTLY),
        (Answer(Outcome.TEXT, text="yes"), 0.0, Verdict.WRONG_KIND),
        (Answer(Outcome.NOTHING_FOUND), 0.0, Verdict.NOTHING_FOUND),
        (Answer(Outcome.AMBIGUOUS), 0.0, Verdict.AMBIGUOUS),
        (Answer(Outcome.NOT_UNDERSTOOD), 0.0, Verdict.NOT_UNDERSTOOD),
        (Answer(Outcome.INVALID_ANSWER, text="(0.5, 1.7)"), 0.0, Verdict.OUTSIDE_PICTURE),
        (Answer(Outcome.INVALID_ANSWER, text="(((("), 0.0, Verdict.UNPARSABLE),
        (Answer(Outcome.INVALID_ANSWER, text="(0.9, 0.2, 0.1, 0.1)"), 0.0, Verdict.UNPARSABLE),
    ],
)
def test_strict_score_of_a_place_tells_what_went_wrong(answer, score_, verdict):
    assert strict_score(AREA, result(answer)) == (score_, verdict)


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (Failure.TIMEOUT, Verdict.TIMEOUT),
        (Failure.REFUSED, Verdict.REFUSED),
        (Failure.ERROR, Verdict.ERROR),
    ],
)
def test_no_answer_counts_zero(failure, verdict):
    assert strict_score(AREA, result(None, failure=failure)) == (0.0, verdict)


@pytest.mark.parametrize(
    ("u", "v", "right"),
    [
        (lay.LEFT - 0.5, lay.TOP - 0.5, True),
        (lay.LEFT - 0.51, lay.TOP, False),
        (lay.RIGHT - 0.51, lay.BOTTOM - 0.51, True),
        (lay.RIGHT - 0.5, lay.TOP, False),
    ],
)
def test_a_pixel_reaches_half_a_pixel_around_its_centre(u, v, right):
    assert AREA.holds(Pixel(u, v)) is right


def test_mask_of_another_resolution_is_looked_up_at_the_same_place():
    coarse = np.zeros((lay.HEIGHT // 2, lay.WIDTH // 2), np.float32)
    coarse[10:20, 5:15] = 1
    area = DecodedArea(lay.WIDTH, lay.HEIGHT, coarse)

    for u, v in [(10, 20), (29, 39), (9, 20), (30, 39)]:
        assert area.holds(Pixel(u, v)) is AREA.holds(Pixel(u, v))


@pytest.mark.parametrize(
    ("word", "text", "score_", "verdict"),
    [
        ("yes", "Yes.", 1.0, Verdict.HIT),
        ("yes", " **yes**, it is", 1.0, Verdict.HIT),
        ("no", "No", 1.0, Verdict.HIT),
        ("no", "nothing fits", 0.0, Verdict.WRONG_WORD),
        ("yes", "No, yes", 0.0, Verdict.WRONG_WORD),
        ("yes", "1", 0.0, Verdict.UNPARSABLE),
        ("yes", "", 0.0, Verdict.UNPARSABLE),
    ],
)
def test_strict_score_of_a_word_wants_that_very_word_first(word, text, score_, verdict):
    answer = Answer(Outcome.TEXT, text=text)

    assert strict_score(Word(word), result(answer)) == (score_, verdict)


def test_points_where_a_word_is_asked_for_are_wrong():
    assert strict_score(Word("yes"), result(lay.HIT)) == (0.0, Verdict.WRONG_KIND)


@pytest.mark.parametrize(
    ("truth", "text", "right"),
    [
        (Word("no"), "nothing fits", 1.0),
        (Word("no"), "  NO, it is not", 1.0),
        (Word("yes"), "I say yes", 0.0),
        (Word("yes"), "", 0.0),
    ],
)
def test_robospatial_words_go_by_how_the_text_begins(truth, text, right):
    assert robospatial_score(truth, text) == right


SQUARE = DecodedArea(100, 100, None, ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("[(0.5, 0.5), (0.9, 0.9)]", 1.0),
        ("[(0.9, 0.9), (0.5, 0.5)]", 0.0),
        ("[0.5, 0.5]", 1.0),
        # A tuple is looked for first, wherever it stands.
        ("[0.9, 0.9] or (0.5, 0.5)", 1.0),
        ("( 0.5 ,0.5 )", 1.0),
        ("(-0.5, 0.5) [0.5, 0.5]", 1.0),
        ("in the middle", 0.0),
        ("", 0.0),
    ],
)
def test_robospatial_place_goes_by_the_first_pair(text, right):
    assert robospatial_score(SQUARE, text) == right


def test_even_odd_rule_leaves_the_notch_of_a_polygon_out():
    notched = ((0, 0), (1, 0), (1, 1), (0.5, 0.5), (0, 1))

    assert in_polygon(0.5, 0.3, notched)
    assert not in_polygon(0.5, 0.8, notched)


def test_where2place_counts_grey_values_and_the_strict_score_thresholds_them():
    gray = np.zeros((48, 64), np.float32)
    gray[:, :32] = 0.8
    gray[:, 32:48] = 0.3
    area = DecodedArea(64, 48, gray, soft=True)
    three = points((1, 1), (40, 1), (60, 1))

    text = evaluator_text(result(three))

    assert protocol_score(Protocol.WHERE2PLACE, area, text) == pytest.approx((0.8 + 0.3) / 3)
    assert strict_score(area, result(three)) == (pytest.approx(1 / 3), Verdict.PARTLY)


def test_engines_that_are_not_roborefer_are_read_by_their_points():
    answer = replace(points((15, 25), (-3, 70)), engine="openai:molmo", text='<point x="24"/>')

    text = evaluator_text(result(answer))

    # Half the points lie in the mask, for the original as for the strict score.
    assert mask_score(AREA.weights, text) == 0.5
    assert evaluator_text(result(replace(answer, engine="roborefer:2B"))) == '<point x="24"/>'
    assert evaluator_text(result(None)) is None


@pytest.mark.parametrize("u", range(0, 64, 7))
def test_written_points_come_back_as_the_same_pixel(u):
    weights = np.zeros((48, 64), np.float32)
    weights[47 - u % 48, u] = 1

    text = evaluator_text(result(points((u, 47 - u % 48))))

    assert mask_score(weights, text) == 1


def test_robospatial_context_scores_by_mask_and_by_polygon(tmp_path):
    mask = tmp_path / "mask.png"
    mask.write_bytes(lay.png(lay.mask()))
    truth = Area(Source.of(mask), ((0, 0), (0.1, 0), (0.1, 0.1)))
    question = Question("context/0", "context", "where", truth, Source.of(mask))

    scored = score(question, result(lay.HIT), Protocol.ROBOSPATIAL)

    # The polygon lies elsewhere on purpose: the two figures follow different rules.
    assert (scored.strict, scored.protocol) == (1.0, 0.0)


def test_polygon_without_mask_is_what_counts_and_what_is_drawn():
    assert SQUARE.holds(Pixel(50, 50))
    assert not SQUARE.holds(Pixel(10, 50))
    assert abs(SQUARE.pixels().mean() - 0.36) < 0.02
