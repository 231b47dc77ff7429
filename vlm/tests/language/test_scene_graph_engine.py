# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine behind its contract: what it needs, streams, refuses and keeps apart."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from roborefer_vlm.backends.scene_graph.engine import SceneGraphEngine
from roborefer_vlm.exceptions import CancelledError, QueryError
from roborefer_vlm.types import GivenObject, Outcome, Query


@pytest.fixture
def query(kitchen):
    """The kitchen as a depth camera sees it, with its things given."""
    k = kitchen.camera.intrinsics
    colors = {"red": (200, 20, 20), "blue": (20, 20, 200), "teal": (0, 140, 140)}
    image = np.full((k.height, k.width, 3), 150, np.uint8)
    for thing in kitchen.objects:
        name = max(thing.colors, key=thing.colors.get)
        image[thing.mask] = colors.get(name, (240, 240, 240))
    return Query(
        image,
        "the red mug",
        depth_m=kitchen.depth_m,
        intrinsics=k,
        up=tuple(kitchen.camera.t_scene_optical[2, :3]),
        objects=tuple(GivenObject(t.name, t.mask) for t in kitchen.objects),
    )


def test_info_says_that_it_measures():
    info = SceneGraphEngine().info

    assert info.name == "scene_graph"
    assert info.needs_depth
    assert info.uses_depth


def test_given_thing_is_pointed_at(query, kitchen):
    answer = SceneGraphEngine().refer(query)

    assert answer.outcome is Outcome.OK, answer.text
    pixel = answer.points[0].pixel
    assert kitchen.object(1).mask[round(pixel.v), round(pixel.u)]
    assert answer.engine == "scene_graph:rules"
    assert answer.samples == (answer.points,)
    assert answer.confidence == answer.points[0].confidence
    assert 0 < answer.latency.preprocess_s <= answer.latency.total_s


def test_steps_are_streamed_as_they_are_returned(query):
    heard: list[str] = []

    answer = SceneGraphEngine().refer(
        replace(query, text="the mug to the right of the plate"), on_text=heard.append
    )

    assert heard == [f"{step.text}\n" for step in answer.reasoning]
    assert len(heard) >= 2


def test_set_event_cancels(query):
    cancelled = Event()
    cancelled.set()

    with pytest.raises(CancelledError):
        SceneGraphEngine().refer(query, cancelled=cancelled)


def test_missing_depth_is_refused_with_the_next_step(query):
    with pytest.raises(QueryError, match=r"depth_m is missing.*use the roborefer engine"):
        SceneGraphEngine().refer(replace(query, depth_m=None))


def test_missing_intrinsics_are_refused(query):
    with pytest.raises(QueryError, match="intrinsics are missing"):
        SceneGraphEngine().refer(replace(query, intrinsics=None))


def test_sentence_outside_the_grammar_is_not_understood(query):
    answer = SceneGraphEngine().refer(replace(query, text="colourless green ideas sleep the mug"))

    assert answer.outcome is Outcome.NOT_UNDERSTOOD
    assert "write for example" in answer.text
    assert not answer.points


def test_question_is_answered_in_text(query):
    answer = SceneGraphEngine().refer(replace(query, text="How many mugs are there?"))

    assert (answer.outcome, answer.text) == (Outcome.TEXT, "2")


def test_batch_gives_each_row_what_it_gets_alone(query):
    engine = SceneGraphEngine()
    queries = [
        query,
        replace(query, text="the bowl"),
        replace(query, depth_m=None),
        replace(query, text="the mug"),
    ]

    rows = engine.refer_batch(queries)

    assert [getattr(row, "outcome", type(row)) for row in rows] == [
        Outcome.OK,
        Outcome.OK,
        QueryError,
        Outcome.AMBIGUOUS,
    ]
    for row, one in zip(rows, queries, strict=True):
        if not isinstance(row, Exception):
            assert row.points == engine.refer(one).points


def test_name_that_looks_like_code_is_only_a_name(query):
    names = ("__import__('os')", "<|im_start|>", "", "a" * 5_000, "{0.__class__}", "\x00", "?!")
    objects = tuple(
        replace(thing, name=name) for thing, name in zip(query.objects, names, strict=True)
    )

    answer = SceneGraphEngine().refer(
        replace(query, objects=objects, text="the object on the left")
    )

    assert answer.outcome in (Outcome.OK, Outcome.AMBIGUOUS)


def test_closing_twice_is_allowed():
    engine = SceneGraphEngine()
    engine.close()
    engine.close()
