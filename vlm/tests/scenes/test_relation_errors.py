# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Questions that cannot be answered get an error that names the value and the choices."""

from dataclasses import replace

import numpy as np
import pytest
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene
from roborefer_vlm.scenes.relations import (
    Key,
    Places,
    Relation,
    direction_scores,
    measure,
    relation_scores,
    relation_values,
)
from scene_builders import TABLE, camera, scene, thing

R = Relation
A, B = thing(1, 0.9, 0.0, name="cup"), thing(2, 0.9, 0.3, name="plate")
POINT = Places.of_points([[0.9, 0.2, 0.0]])


@pytest.mark.parametrize(
    ("relation", "anchors", "words"),
    [
        (R.LEFT, [], "'left' was given 0 anchors; it needs 1"),
        (R.LEFT, [A, B], "'left' was given 2 anchors; it needs 1"),
        (R.BETWEEN, [A], "'between' was given 1 anchors; it needs 2"),
        (R.AMONG, [A], "'among' was given 1 anchors; it needs at least 2"),
        (R.NEAR, [A, B], "'near' was given 2 anchors; it needs 0 to 1"),
    ],
)
def test_a_wrong_number_of_anchors_is_named(relation, anchors, words):
    with pytest.raises(QueryError, match=words):
        relation_scores(relation, scene(A, B), POINT, anchors)


def test_the_own_frame_of_a_thing_without_front_is_refused():
    with pytest.raises(QueryError, match=r"'cup' \(id 1\) has no front.*viewer or world"):
        relation_scores(R.LEFT, scene(A), POINT, [A], frame=Frame.OBJECT)


def test_the_own_left_of_a_thing_that_looks_up_is_refused():
    lying = replace(A, front=np.array([0, 0, 1.0]))
    with pytest.raises(QueryError, match="straight up or down"):
        relation_scores(R.LEFT, scene(lying), POINT, [lying], frame=Frame.OBJECT)


def test_an_unknown_relation_or_frame_gets_the_list_of_known_ones():
    with pytest.raises(QueryError, match=r"'beneath'.*left, right"):
        relation_scores("beneath", scene(A), POINT, [A])
    with pytest.raises(QueryError, match=r"'mine'.*viewer, world, object, image"):
        relation_scores(R.LEFT, scene(A), POINT, [A], frame="mine")


def test_the_picture_has_no_front():
    with pytest.raises(QueryError, match="'front' has no meaning in frame 'image'"):
        relation_scores(R.FRONT, scene(A), POINT, [A], frame=Frame.IMAGE)
    with pytest.raises(QueryError, match="the picture has no front"):
        measure(Key.FRONT, scene(A), POINT, frame=Frame.IMAGE)


@pytest.mark.parametrize(
    "box",
    [
        OrientedBox(np.array([np.nan, 0, 0]), np.eye(3), np.ones(3)),
        OrientedBox(np.zeros(3), np.eye(3), np.array([1, np.inf, 1])),
        OrientedBox(np.zeros(3), np.full((3, 3), np.nan), np.ones(3)),
    ],
)
def test_a_box_that_is_not_finite_is_named(box):
    broken = replace(A, box=box)
    with pytest.raises(QueryError, match=r"box of 'cup' \(id 1\).*not finite"):
        Places.of_objects([broken])
    with pytest.raises(QueryError, match=r"box of 'cup' \(id 1\).*not finite"):
        relation_scores(R.LEFT, scene(B), POINT, [broken])


def test_a_broken_box_elsewhere_in_the_scene_is_named_where_the_scene_counts():
    broken = replace(A, box=OrientedBox(np.array([np.nan, 0, 0]), np.eye(3), np.ones(3)))
    view = scene(broken, B, thing(3, 0.5, 0.0))
    with pytest.raises(QueryError, match=r"box of 'cup' \(id 1\).*not finite"):
        relation_scores(R.NEAR, view, POINT, [B])


def test_only_directions_have_a_direction_score():
    with pytest.raises(QueryError, match="'near' is no direction; use left, right"):
        direction_scores(R.NEAR, scene(A), POINT, [A])


def test_a_negative_size_is_named():
    box = OrientedBox(np.zeros(3), np.eye(3), np.array([0.1, -0.1, 0.1]))
    with pytest.raises(QueryError, match="none may be negative"):
        Places.of_objects([replace(A, box=box)])


@pytest.mark.parametrize("points", [[1.0, 2.0, 3.0], np.zeros((2, 2)), np.zeros((1, 2, 3))])
def test_points_of_another_shape_are_refused(points):
    with pytest.raises(QueryError, match=r"\(N, 3\) is needed"):
        Places.of_points(points)


def test_a_point_that_is_not_finite_is_named():
    with pytest.raises(QueryError, match="point 1 is"):
        Places.of_points([[0, 0, 0], [0, np.nan, 0]])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"distance_m": float("nan")}, "distance_m is nan"),
        ({"distance_m": -0.1}, "distance_m is -0.1; 0 or more"),
        ({"angle_rad": 1.0}, "'left' takes no angle; these do: angle"),
    ],
)
def test_numbers_that_make_no_sense_are_named(more, words):
    with pytest.raises(QueryError, match=words):
        relation_scores(R.LEFT, scene(A), POINT, [A], **more)


def test_a_distance_is_refused_where_it_means_nothing():
    with pytest.raises(QueryError, match="'between' takes no distance; these do: left"):
        relation_scores(R.BETWEEN, scene(A, B), POINT, [A, B], distance_m=0.2)


@pytest.mark.parametrize("relation", [R.DISTANCE, R.DEPTH, R.ANGLE, R.ROTATION_HORIZONTAL])
def test_measuring_relations_need_the_named_value(relation):
    with pytest.raises(QueryError, match=r"needs (distance_m|angle_rad)"):
        relation_scores(relation, scene(A), POINT, [A])


def test_what_cannot_be_measured_is_refused():
    faced = replace(A, front=np.array([1.0, 0, 0]))
    with pytest.raises(QueryError, match="'tall' measures nothing; these do: left"):
        relation_values(R.TALL, scene(A), POINT)
    with pytest.raises(QueryError, match=r"cannot be measured for 'plate' \(id 2\)"):
        relation_values(R.ANGLE, scene(faced, B), Places.of_objects([B]), [faced])
    with pytest.raises(QueryError, match="cannot be measured for point 0"):
        relation_values(R.ANGLE, scene(faced), POINT, [faced])


def test_a_front_without_length_is_named():
    broken = replace(A, front=np.zeros(3))
    with pytest.raises(QueryError, match=r"front of 'cup' \(id 1\)"):
        relation_scores(R.LEFT, scene(broken), POINT, [broken], frame=Frame.OBJECT)


def test_a_broken_camera_pose_is_refused():
    pose = np.full((4, 4), np.nan)
    view = Scene(Camera(camera().intrinsics, pose), [A], [TABLE])
    with pytest.raises(QueryError, match="t_scene_optical must be 4 x 4 and finite"):
        relation_scores(R.LEFT, view, POINT, [A])
