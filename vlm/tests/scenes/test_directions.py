# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Directions by hand-worked examples; the viewer stands at the origin and looks along x."""

import numpy as np
import pytest
from roborefer_vlm.scenes.frames import Frame, viewer_axes
from roborefer_vlm.scenes.graph import Camera
from roborefer_vlm.scenes.relations import (
    Places,
    Relation,
    direction_scores,
    relation_scores,
    relation_values,
)
from scene_builders import camera, scene, score, thing

R = Relation
ANCHOR = thing(1, 0.9, 0.0)
SIDES = {R.LEFT: (0, 0.2), R.RIGHT: (0, -0.2), R.FRONT: (-0.2, 0), R.BEHIND: (0.2, 0)}
NARROW = {
    R.DIRECTLY_LEFT: (0, 0.2),
    R.DIRECTLY_RIGHT: (0, -0.2),
    R.DIRECTLY_FRONT: (-0.2, 0),
    R.DIRECTLY_BEHIND: (0.2, 0),
}


@pytest.mark.parametrize("relation", SIDES)
@pytest.mark.parametrize("place", SIDES)
def test_a_direction_holds_on_its_own_side_only(relation, place):
    x, y = SIDES[place]

    found = score(relation, thing(2, 0.9 + x, y), ANCHOR)

    assert (found > 0.7) if relation == place else (found == 0)


@pytest.mark.parametrize("relation", NARROW)
def test_directly_takes_the_aligned_and_leaves_out_the_diagonal(relation):
    x, y = NARROW[relation]

    assert score(relation, thing(2, 0.9 + x, y), ANCHOR) > 0.6
    assert score(relation, thing(2, 0.9 + x + y, x + y), ANCHOR) < 0.5


def test_the_diagonal_is_both_left_and_in_front():
    diagonal = thing(2, 0.7, 0.2)

    assert score(R.LEFT, diagonal, ANCHOR) > 0.5
    assert score(R.FRONT, diagonal, ANCHOR) > 0.5


def test_the_border_of_the_cone_scores_one_half():
    # A point at 60 degrees from an anchor without extent: every displacement has that angle.
    anchor = thing(1, 0.9, 0.0, (0, 0, 0))
    point = (0.9 - 0.2 * np.sin(np.pi / 3), 0.2 * np.cos(np.pi / 3), 0)

    assert score(R.LEFT, point, anchor) == pytest.approx(0.5)


def test_of_two_aligned_the_nearer_is_more_left():
    assert score(R.LEFT, thing(2, 0.9, 0.15), ANCHOR) > score(R.LEFT, thing(2, 0.9, 0.4), ANCHOR)


def test_a_near_neighbour_at_30_degrees_is_more_left_than_an_aligned_one_far_away():
    near = thing(2, 0.9 + 0.15 * np.tan(np.pi / 6), 0.15)

    assert score(R.LEFT, near, ANCHOR) > score(R.LEFT, thing(2, 0.9, 0.6), ANCHOR)


def test_the_direction_score_leaves_distance_out_and_holds_for_the_same_places():
    row = [thing(i, 0.9 + 0.02 * i, 0.15 * i) for i in range(-6, 7) if i not in (0, 1)]
    places, view = Places.of_objects(row), scene(ANCHOR, *row)

    for relation in (R.LEFT, R.DIRECTLY_RIGHT, R.BEHIND):
        aligned = direction_scores(relation, view, places, [ANCHOR])
        scores = relation_scores(relation, view, places, [ANCHOR])
        assert ((aligned >= 0.5) == (scores >= 0.5)).all()
        assert (aligned >= scores).all()
    far_left = direction_scores(R.LEFT, view, places, [ANCHOR])[-5:]
    assert far_left.min() > 0.99


def test_distance_alone_never_ends_a_direction():
    assert score(R.LEFT, thing(2, 0.9, 50.0), ANCHOR) > 0.5


def test_what_stands_behind_the_left_half_of_a_keyboard_is_not_left_of_it():
    keyboard = thing(1, 0.9, 0.0, (0.15, 0.5, 0.03))

    assert score(R.LEFT, thing(2, 1.05, 0.1), keyboard) < 0.5
    assert score(R.BEHIND, thing(2, 1.05, 0.1), keyboard) > 0.7
    assert score(R.LEFT, thing(2, 0.9, 0.35), keyboard) > 0.7


def test_what_stands_on_a_tray_is_not_beside_it():
    tray = thing(1, 0.9, 0.0, (0.3, 0.4, 0.02))

    assert score(R.LEFT, thing(2, 0.9, 0.12, z=0.07), tray) < 0.5


def test_turned_boxes_overlap_only_where_their_own_sides_do():
    # Their shadows on the viewer's axes overlap on both, the boxes themselves do not.
    anchor = thing(1, 0.9, 0.0, (0.3, 0.06, 0.05), yaw=np.pi / 4)
    neighbour = thing(2, 0.87, 0.13, (0.3, 0.06, 0.05), yaw=np.pi / 4)

    assert score(R.LEFT, neighbour, anchor) > 0.5


@pytest.mark.parametrize("distance", [0.1, 0.2, 0.5])
def test_a_named_distance_counts_from_the_side_along_the_axis(distance):
    right = (0.9, -0.03 - distance, 0)

    assert score(R.RIGHT, right, ANCHOR, distance_m=distance) == pytest.approx(1)
    off = 0.5 * max(0.03, 0.15 * distance)
    assert 0.5 < score(R.RIGHT, (0.9, -0.03 - distance - off, 0), ANCHOR, distance_m=distance) < 1
    assert score(R.RIGHT, (0.9, -0.03 - 2 * distance, 0), ANCHOR, distance_m=distance) < 0.5
    assert score(R.LEFT, right, ANCHOR, distance_m=distance) == 0


def test_the_best_spot_at_a_named_distance_is_beside_the_middle():
    y = np.linspace(-0.6, 0.6, 121)
    x = np.linspace(0.5, 1.3, 81)
    grid = np.array([(a, b, 0.0) for a in x for b in y])

    scores = relation_scores(
        R.RIGHT, scene(ANCHOR), Places.of_points(grid), [ANCHOR], distance_m=0.2
    )

    assert grid[scores.argmax()] == pytest.approx((0.9, -0.23, 0.0), abs=1e-9)


def test_values_are_metres_from_side_to_side():
    places = Places.of_objects([thing(2, 0.9, 0.2), thing(3, 0.9, -0.2), thing(4, 0.9, 0.03)])

    found = relation_values(R.LEFT, scene(ANCHOR), places, [ANCHOR])

    assert found == pytest.approx([0.14, -0.14, 0.0])


def test_above_and_below_follow_gravity():
    shelf = thing(1, 0.9, 0.0, (0.3, 0.3, 0.02), z=0.5)

    assert score(R.ABOVE, thing(2, 0.9, 0, z=0.8), shelf) > 0.7
    assert score(R.BELOW, thing(2, 0.9, 0), shelf) > 0.7
    assert score(R.ABOVE, thing(2, 0.9, 0), shelf) == 0
    assert score(R.ABOVE, thing(2, 0.9, 2.0, z=0.8), shelf) < 0.5
    assert score(R.ABOVE, (0.9, 0, 0.81), shelf, distance_m=0.3) > 0.9
    assert score(R.DIRECTLY_ABOVE, thing(2, 0.9, 0, z=0.8), shelf) > 0.6
    assert score(R.DIRECTLY_ABOVE, thing(2, 0.9, 0.5, z=0.9), shelf) < 0.5
    assert score(R.DIRECTLY_BELOW, thing(2, 0.9, 0.0), shelf) > 0.6


def test_what_is_farther_on_a_table_is_above_in_the_picture_only():
    farther = thing(2, 1.3, 0.0)

    assert score(R.ABOVE, farther, ANCHOR, frame=Frame.IMAGE) > 0.5
    assert score(R.BELOW, ANCHOR, farther, frame=Frame.IMAGE) > 0.5
    assert score(R.ABOVE, farther, ANCHOR) < 0.5
    assert score(R.LEFT, thing(2, 0.9, 0.2), ANCHOR, frame=Frame.IMAGE) > 0.7


def test_a_thing_behind_the_camera_has_no_place_in_the_picture():
    assert score(R.LEFT, thing(2, -2.0, 0.2), ANCHOR, frame=Frame.IMAGE) == 0


def test_own_left_of_a_chair_that_faces_the_viewer_is_the_viewers_right():
    chair = thing(1, 0.9, 0.0, front=np.array([-1.0, 0, 0]))
    viewers_right = thing(2, 0.9, -0.2)

    assert score(R.RIGHT, viewers_right, chair) > 0.7
    assert score(R.LEFT, viewers_right, chair, frame=Frame.OBJECT) > 0.7
    assert score(R.FRONT, thing(2, 0.7, 0), chair, frame=Frame.OBJECT) > 0.7


def test_own_front_of_a_chair_seen_from_its_back_is_far_from_the_viewer():
    chair = thing(1, 0.9, 0.0, front=np.array([1.0, 0, 0]))

    assert score(R.FRONT, thing(2, 1.1, 0), chair, frame=Frame.OBJECT) > 0.7
    assert score(R.BEHIND, thing(2, 1.1, 0), chair) > 0.7
    assert score(R.BEHIND, thing(2, 0.7, 0), chair, frame=Frame.OBJECT) > 0.7


def test_world_directions_stay_when_the_camera_moves_around():
    other = thing(2, 0.9, 0.2)
    for view in (camera(), camera(eye=(1.8, 0, 0.6)), camera(eye=(0.9, 0, 2), target=(0.9, 0, 0))):
        assert score(R.LEFT, other, ANCHOR, view=view, frame=Frame.WORLD) > 0.7
    assert score(R.RIGHT, other, ANCHOR, view=camera(eye=(1.8, 0, 0.6))) > 0.7


def test_a_camera_straight_above_takes_the_picture_as_its_directions():
    above = camera(eye=(0.9, 0, 1.5), target=(0.9, 0, 0))

    axes = viewer_axes(above)

    assert axes.left == pytest.approx([0, 1, 0])
    assert axes.front == pytest.approx([-1, 0, 0])


def test_a_camera_upside_down_swaps_left_and_right_but_not_near_and_far():
    pose = np.array(camera().t_scene_optical)
    pose[:3, :2] *= -1

    axes = viewer_axes(Camera(camera().intrinsics, pose))

    assert axes.left == pytest.approx([0, -1, 0])
    assert axes.front == pytest.approx([-1, 0, 0])


def test_a_camera_on_its_side_takes_its_line_of_sight():
    pose = np.array(camera(target=(0.9, 0, 0.6)).t_scene_optical)
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    pose[:3, :3] = pose[:3, :3] @ quarter

    axes = viewer_axes(Camera(camera().intrinsics, pose))

    assert axes.left == pytest.approx([0, 1, 0])
    assert axes.front == pytest.approx([-1, 0, 0])


def test_many_places_score_as_each_one_alone():
    things = [thing(i, 0.9 + 0.2 * np.cos(i), 0.2 * np.sin(i), yaw=i) for i in range(2, 9)]

    together = relation_scores(
        R.BEHIND, scene(ANCHOR, *things), Places.of_objects(things), [ANCHOR]
    )

    alone = [
        relation_scores(R.BEHIND, scene(ANCHOR, *things), Places.of_objects([t]), [ANCHOR])[0]
        for t in things
    ]
    assert together == pytest.approx(alone)
