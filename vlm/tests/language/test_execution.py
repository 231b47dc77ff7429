# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs against a small scene whose answers are plain."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from roborefer_vlm.backends.scene_graph.free_space import space_candidates
from roborefer_vlm.backends.scene_graph.grammar import parse
from roborefer_vlm.backends.scene_graph.matching import Matcher
from roborefer_vlm.scenes.execution import Executor
from roborefer_vlm.scenes.part_places import part_scores
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.pointing import inner_pixel, region_pixel
from roborefer_vlm.scenes.program import (
    Constraint,
    Order,
    OrderKey,
    Part,
    PartName,
    Quantifier,
    Request,
    Side,
    Space,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.scenes.wording import PHRASES
from roborefer_vlm.types import Outcome, PerceptionType, TargetKind

MATCHER = Matcher()
TABLE_EDGE = Part(PartName.EDGE, Thing("table"))
RED_MUG, BLUE_MUG, PLATE, APPLE, BOWL, CAN, BOX = range(1, 8)


def make_executor(scene):
    """Return an executor that looks for bare places once per surface."""
    return Executor(scene, MATCHER, cache(partial(space_candidates, scene)))


def execute(scene, text, wanted=TargetKind.UNKNOWN):
    return make_executor(scene).best(parse(text), wanted)


@pytest.fixture(scope="module")
def executor(kitchen):
    return make_executor(kitchen)


def hit(scene, pixel):
    """Return the id of the topmost thing at a pixel, 0 for none."""
    inside = [t.id for t in scene.objects if t.mask[round(pixel.v), round(pixel.u)]]
    return inside[-1] if inside else 0


def ground(scene, pixel):
    """Return the point of the table at a pixel, shape (2,): away from the viewer, and left."""
    k, eye = scene.camera.intrinsics, scene.camera.position
    ray = [(pixel.u - k.cx) / k.fx, (pixel.v - k.cy) / k.fy, 1.0]
    toward = scene.camera.to_scene([ray])[0] - eye
    return (eye - toward * eye[2] / toward[2])[:2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the red mug", RED_MUG),
        ("the mug on the left", RED_MUG),
        ("the mug to the right of the plate", BLUE_MUG),
        ("the mug that is not red", BLUE_MUG),
        ("the mug other than the blue mug", RED_MUG),
        ("the mug closest to the bowl", RED_MUG),
        ("the mug farthest from the bowl", BLUE_MUG),
        ("the fruit on the plate", APPLE),
        ("the object on the plate", APPLE),
        ("the plate with the apple on it", PLATE),
        ("the tallest object", BOX),
        ("the second object from the left", BOWL),
        ("the food behind the plate that is to the left of the cracker box", CAN),
        ("the fruit between the red mug and the blue mug", APPLE),
        ("the container closest to the camera", BOWL),
        ("the mug to the left of the plate next to the apple", RED_MUG),
        ("the mug taller than the plate and closest to the soup", RED_MUG),
        ("the can behind the bowl", CAN),
        ("the largest thing that is not on the plate", (BOX, PLATE)),
        ("the teal object in front of the soup can", BOWL),
    ],
)
def test_thing_is_found(text, expected, kitchen):
    result = execute(kitchen, text)

    assert result.outcome is Outcome.OK, result.text
    [point] = result.points
    wanted = expected if isinstance(expected, tuple) else (expected,)
    assert hit(kitchen, point.pixel) in wanted
    assert result.kind is TargetKind.OBJECT
    assert 0 < point.confidence <= 1


def test_plural_gives_every_point(kitchen):
    result = execute(kitchen, "all mugs")

    assert {hit(kitchen, p.pixel) for p in result.points} == {RED_MUG, BLUE_MUG}


def test_two_targets_give_their_points_in_order(kitchen):
    result = execute(kitchen, "the bowl and the apple")

    assert [hit(kitchen, p.pixel) for p in result.points] == [BOWL, APPLE]


def test_two_alike_things_are_ambiguous_and_told_apart(kitchen):
    result = execute(kitchen, "Pick up the mug.")

    assert result.outcome is Outcome.AMBIGUOUS
    assert not result.points
    assert {hit(kitchen, c.pixel) for c in result.candidates} == {RED_MUG, BLUE_MUG}
    assert {c.reason for c in result.candidates} == {"the left one, red", "the right one, blue"}
    assert "say which one" in result.text


def test_indefinite_article_takes_any(kitchen):
    result = execute(kitchen, "a mug")

    assert hit(kitchen, result.points[0].pixel) in (RED_MUG, BLUE_MUG)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("the elephant", "the elephant"),
        ("the mug to the left of the keyboard", "the keyboard"),
        ("the apple behind the cracker box", "behind the cracker box"),
        ("the free space between the mug and the keyboard", "the keyboard"),
    ],
)
def test_nothing_found_names_the_words_that_failed(text, named, kitchen):
    result = execute(kitchen, text)

    assert result.outcome is Outcome.NOTHING_FOUND
    assert named in result.text
    assert not result.points


def test_steps_lead_over_the_anchors_to_the_target(kitchen):
    result = execute(kitchen, "the fruit on the plate")

    assert [step.target for step in result.steps] == ["the plate", "the fruit on the plate"]
    assert all(step.perception is PerceptionType.POSITION for step in result.steps)
    assert hit(kitchen, result.steps[-1].pixel) == APPLE
    assert result.steps[0].text.startswith("[Position] [the plate]: [(0.")


def test_anchor_is_the_one_that_makes_the_whole_true(scene, thing):
    lone, beside = thing(1, "plate", 0, 0.3), thing(2, "plate", 0, -0.2)
    made = scene(lone, beside, thing(3, "mug", 0, -0.05), thing(4, "mug", 0.35, 0.1))

    result = execute(made, "the mug directly to the left of the plate")

    assert hit(made, result.points[0].pixel) == 3


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("the free space between the red mug and the plate", lambda x, y: 0.1 < y < 0.26),
        ("put it to the right of the plate", lambda x, y: y < -0.1 and abs(x) < 0.15),
        ("the spot in front of the plate", lambda x, y: x < -0.1 and abs(y) < 0.2),
        ("an empty place behind the plate", lambda x, y: x > 0.1),
        (
            "the spot on the table 0.15 meters to the right of the plate",
            lambda x, y: -0.4 < y < -0.1 and abs(x) < 0.15,
        ),
        ("the free space closest to the camera", lambda x, y: x < -0.2),
        ("the free space on the left side of the table", lambda x, y: y > 0.1),
        ("Put the apple to the left of the bowl.", lambda x, y: y > 0.2 and x < 0),
    ],
)
def test_free_space_lies_where_the_words_say(text, holds, kitchen):
    result = execute(kitchen, text)

    assert result.outcome is Outcome.OK, result.text
    assert result.kind is TargetKind.FREE_SPACE
    pixel = result.points[0].pixel
    assert hit(kitchen, pixel) == 0
    assert holds(*ground(kitchen, pixel)), ground(kitchen, pixel)


def test_inside_a_bowl_is_on_the_bowl(kitchen):
    result = execute(kitchen, "put it in the bowl")

    assert result.kind is TargetKind.INSIDE
    assert hit(kitchen, result.points[0].pixel) == BOWL


def test_wanted_object_of_a_put_command_is_the_moved_one(kitchen):
    result = execute(kitchen, "put the apple to the left of the bowl", TargetKind.OBJECT)

    assert hit(kitchen, result.points[0].pixel) == APPLE


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("the left side of the cracker box", lambda u, box: u < box.mean()),
        ("the right side of the cracker box", lambda u, box: u > box.mean()),
    ],
)
def test_part_lies_on_its_thing(text, side, kitchen):
    result = execute(kitchen, text)

    pixel = result.points[0].pixel
    columns = np.nonzero(kitchen.object(BOX).mask)[1]
    assert result.kind is TargetKind.PART
    assert hit(kitchen, pixel) == BOX
    assert side(pixel.u, columns)


def test_top_lies_above_bottom(kitchen):
    top, bottom = (execute(kitchen, f"the {p} of the cracker box") for p in ("top", "bottom"))

    assert top.points[0].pixel.v < bottom.points[0].pixel.v


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Is the red mug to the left of the plate?", "yes"),
        ("Is the red mug to the right of the plate?", "no"),
        ("Is the soup can behind the bowl from the camera's perspective?", "yes"),
        ("Is the apple on the plate?", "yes"),
        ("Is the soup can on the plate?", "no"),
        ("How many mugs are there?", "2"),
        ("How many red mugs are there?", "1"),
        ("Is there a banana?", "no"),
        ("Is there a bowl?", "yes"),
        ("Can the apple fit to the right of the plate?", "yes"),
        ("How far is the red mug from the blue mug?", "0.52 m"),
    ],
)
def test_question_is_answered_in_words(text, answer, kitchen):
    result = execute(kitchen, text)

    assert result.outcome is Outcome.TEXT
    assert result.text == answer


def test_inner_pixel_of_a_ring_is_on_the_ring():
    rows, columns = np.mgrid[:60, :60]
    away = np.hypot(rows - 30, columns - 30)
    ring = (away > 15) & (away < 27)

    pixel = inner_pixel(ring)

    assert ring[round(pixel.v), round(pixel.u)]
    assert 18 < np.hypot(pixel.v - 30, pixel.u - 30) < 24


def test_inner_pixel_of_one_pixel_is_that_pixel():
    mask = np.zeros((5, 7), bool)
    mask[3, 6] = True

    assert inner_pixel(mask).u == 6
    assert inner_pixel(mask).v == 3


def test_region_pixel_keeps_off_the_border():
    rows, columns = np.mgrid[20:60, 30:90]
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float)

    pixel, index = region_pixel(pixels, np.ones(len(pixels)), 120, 100)

    assert 38 <= pixel.u <= 81
    assert 28 <= pixel.v <= 51
    assert tuple(pixels[index]) == (pixel.u, pixel.v)


@pytest.mark.parametrize("relation", [r for r in PHRASES if r is not Relation.DISTANCE])
@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize(
    "anchors",
    [(Thing("plate"),), (Thing("mug", quantifier=Quantifier.ALL),), (Viewer(),), (TABLE_EDGE,)],
    ids=["thing", "things", "viewer", "part"],
)
def test_every_relation_ends_in_an_outcome(relation, negated, anchors, executor):
    said = (Constraint(relation, anchors, negated=negated),)
    for target in (Thing("object", constraints=said), Space(said)):
        result = executor.execute(Request((target,)))

        assert (result.outcome is Outcome.OK) == bool(result.points)
        assert result.points or result.text


@pytest.mark.parametrize("key", OrderKey)
@pytest.mark.parametrize("rank", [1, 3])
def test_every_order_ends_in_an_outcome(key, rank, executor):
    for target in (Thing("object", orders=(Order(key, rank),)), Space(orders=(Order(key),))):
        result = executor.execute(Request((target,)))

        assert result.outcome in (Outcome.OK, Outcome.AMBIGUOUS)


@pytest.mark.parametrize("name", PartName)
@pytest.mark.parametrize("noun", ["mug", "cracker box", "table", "plate"])
def test_every_part_ends_in_an_outcome(name, noun, executor):

    result = executor.execute(Request((Part(name, Thing(noun, quantifier=Quantifier.ANY)),)))

    assert result.outcome in (Outcome.OK, Outcome.NOTHING_FOUND)


def test_empty_scene_has_nothing(scene):
    for text in ("the mug", "the free space left of the mug", "the handle of the mug"):
        assert execute(scene(), text).outcome is Outcome.NOTHING_FOUND


def test_free_space_of_an_empty_table_is_the_table(scene):
    assert execute(scene(), "the free space on the table").outcome is Outcome.OK


@pytest.mark.parametrize("text", ["the 40th object from the left", "the third mug"])
def test_row_that_is_too_short_has_no_such_member(text, kitchen):
    result = execute(kitchen, text)

    assert result.outcome is Outcome.NOTHING_FOUND
    assert "so there is no number" in result.text


@pytest.mark.parametrize(
    ("side", "axis", "sign"), [("far", 0, 1), ("left", 1, 1), ("right", 1, -1), ("back", 0, 1)]
)
def test_edge_of_a_table_is_the_one_on_that_side(side, axis, sign, kitchen):
    [point] = execute(kitchen, f"a free spot along the {side} edge of the table").points

    at = ground(kitchen, point.pixel)
    assert sign * at[axis] > 0.35
    assert abs(at[1 - axis]) < sign * at[axis]


def test_both_edges_that_point_away_are_the_far_edge_of_a_table_askew(scene):
    diamond = np.array([[0.5, 0.0], [0.0, 0.5], [-0.5, 0.0], [0.0, -0.5]])
    view = scene()
    [table] = view.surfaces
    view = replace(view, surfaces=(replace(table, outline=diamond),))
    far = Part(PartName.EDGE, Thing("table"), (Side.FAR,))
    spots = Places.of_points(np.array([[0.23, 0.23, 0], [0.23, -0.23, 0], [-0.23, 0.23, 0]]))

    scores = part_scores(view, spots, view.surfaces[0], far)

    assert (scores[:2] > 0.5).all()
    assert scores[2] < 0.2
