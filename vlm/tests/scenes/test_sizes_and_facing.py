# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sizes compared, facing, angles, rotations, and what things are ordered by."""

import numpy as np
import pytest
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.relations import (
    Key,
    Places,
    Relation,
    measure,
    relation_scores,
    relation_values,
)
from scene_builders import camera, scene, score, thing

R = Relation
SMALL = thing(1, 0.9, 0.2, (0.04, 0.05, 0.06))
LARGE = thing(2, 0.9, -0.2, (0.08, 0.10, 0.12))


@pytest.mark.parametrize(("more", "less"), [(R.TALL, R.SHORT), (R.BIG, R.SMALL), (R.WIDE, R.THIN)])
def test_a_thing_of_twice_the_size_is_more_and_the_other_one_less(more, less):
    assert score(more, LARGE, SMALL) == pytest.approx(16 / 17)
    assert score(more, SMALL, LARGE) == pytest.approx(1 / 17)
    assert score(less, SMALL, LARGE) == pytest.approx(16 / 17)
    assert score(more, thing(3, 0, 0, SMALL.box.size), SMALL) == pytest.approx(0.5)


def test_without_anchors_sizes_are_compared_with_the_median_of_the_scene():
    things = [thing(i, 0.9, 0.1 * i, (0.05, 0.05, h)) for i, h in enumerate((0.05, 0.1, 0.2), 1)]

    scores = relation_scores(R.TALL, scene(*things), Places.of_objects(things))

    assert scores[0] < 0.5
    assert scores[1] == pytest.approx(0.5)
    assert scores[2] > 0.5


def test_taller_than_several_means_than_the_tallest_and_shorter_than_the_shortest():
    middle = thing(3, 0.9, 0, (0.06, 0.06, 0.09))

    assert score(R.TALL, middle, SMALL, LARGE) < 0.5
    assert score(R.SHORT, middle, SMALL, LARGE) < 0.5


def test_a_flat_card_is_bigger_than_a_smaller_one_although_both_have_no_volume():
    card, ticket = thing(1, 1, 0, (0.1, 0.07, 0)), thing(2, 1, 1, (0.05, 0.03, 0))

    assert score(R.BIG, card, ticket) > 0.8


def facing(number, x, y, direction):
    return thing(number, x, y, front=np.array(direction, float))


def test_facing_the_viewer_a_thing_and_away():
    chair = facing(1, 0.9, 0.0, (-1, 0, 0))

    assert score(R.FACE, chair) == pytest.approx(1)
    assert score(R.BACK, chair) == 0
    assert score(R.BACK, chair, thing(2, 1.5, 0)) == pytest.approx(1)
    assert score(R.FACE, chair, thing(2, 0.4, 0.5)) == pytest.approx(0.5)
    assert score(R.FACE, thing(3, 0.9, 0)) == 0
    assert score(R.FACE, facing(3, 0.9, 0, (0, 0, 1))) == 0


def test_the_angle_between_fronts():
    a, b = facing(1, 0.9, 0, (1, 0, 0)), facing(2, 0.9, 0.3, (0, 2, 0))

    found = relation_values(R.ANGLE, scene(a, b), Places.of_objects([b]), [a])

    assert found == pytest.approx([np.pi / 2])
    assert score(R.ANGLE, b, a, angle_rad=np.pi / 2) == pytest.approx(1)
    assert score(R.ANGLE, b, a, angle_rad=0.0) == 0


def test_who_turns_left_to_face_a_thing_turns_by_a_positive_angle():
    robot = facing(1, 0, 0, (1, 0, 0))
    places = Places.of_objects([thing(2, 0, 1), thing(3, 0, -1), thing(4, -1, 0)])

    found = relation_values(R.ROTATION_HORIZONTAL, scene(robot), places, [robot])

    assert found[:2] == pytest.approx([np.pi / 2, -np.pi / 2])
    assert abs(found[2]) == pytest.approx(np.pi)
    assert score(
        R.ROTATION_HORIZONTAL, thing(4, -1, 0.01), robot, angle_rad=-np.pi
    ) == pytest.approx(1, abs=0.01)


def test_the_viewer_turns_and_looks_up_from_the_line_of_sight():
    view = camera(eye=(0, 0, 0), target=(1, 0, 0))
    places = Places.of_points([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])

    sideways = relation_values(R.ROTATION_HORIZONTAL, scene(view=view), places)
    up = relation_values(R.ROTATION_VERTICAL, scene(view=view), places)

    assert sideways == pytest.approx([np.pi / 4, 0])
    assert up == pytest.approx([0, np.pi / 4])
    assert score(R.ROTATION_VERTICAL, (1, 0, 1), view=view, angle_rad=np.pi / 4) > 0.99


ROW = [thing(i, 0.9 - 0.1 * i, 0.2 * i, (0.04, 0.05 + 0.01 * i, 0.05 * i)) for i in (1, 2, 3)]


@pytest.mark.parametrize(
    ("key", "first"),
    [
        (Key.LEFT, 2),
        (Key.RIGHT, 0),
        (Key.FRONT, 2),
        (Key.BEHIND, 0),
        (Key.HIGH, 2),
        (Key.LOW, 0),
        (Key.NEAR, 1),
        (Key.FAR, 0),
        (Key.TALL, 2),
        (Key.SHORT, 0),
        (Key.BIG, 2),
        (Key.SMALL, 0),
        (Key.WIDE, 2),
        (Key.NARROW, 0),
        (Key.LONG, 2),
        (Key.THICK, 1),
        (Key.THIN, 0),
    ],
)
def test_the_largest_measure_is_the_superlative(key, first):
    things = [*ROW[:1], thing(2, 0.7, 0.4, (0.06, 0.07, 0.1)), ROW[2]]

    # Sides are (0.04, 0.06, 0.05), (0.06, 0.07, 0.1) and (0.04, 0.08, 0.15).
    found = measure(key, scene(*things), Places.of_objects(things))

    if key is Key.THIN:
        assert found == pytest.approx([-0.04, -0.06, -0.04])
    else:
        assert found.argmax() == first


def test_farthest_from_a_tin_and_third_from_the_left():
    tin = thing(9, 0.9, 0.0)
    things = [thing(i, 0.9, y) for i, y in ((1, 0.5), (2, -0.2), (3, 0.3), (4, 0.1))]
    places = Places.of_objects(things)

    far = measure(Key.FAR, scene(tin, *things), places, tin)
    left = measure(Key.LEFT, scene(tin, *things), places)

    assert far == pytest.approx([0.44, 0.14, 0.24, 0.04])
    assert things[np.argsort(-left)[2]].id == 4


def test_counting_from_the_left_goes_by_the_picture():
    # Farther away and a little further out, but less far to the left in the picture.
    near, far = thing(1, 0.5, 0.2), thing(2, 1.4, 0.25)

    left = measure(Key.LEFT, scene(near, far), Places.of_objects([near, far]))
    metres = measure(Key.LEFT, scene(near, far), Places.of_objects([near, far]), frame=Frame.WORLD)

    assert left[0] > left[1]
    assert metres == pytest.approx([0.2, 0.25])
