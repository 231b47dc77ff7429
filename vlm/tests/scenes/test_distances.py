# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances between surfaces, nearness, touch and depth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_vlm.scenes.boxes import box_distances, boxes_overlap, surface_distances
from roborefer_vlm.scenes.graph import OrientedBox, SceneObject
from roborefer_vlm.scenes.relations import Places, Relation, relation_scores, relation_values
from scene_builders import camera, scene, score, thing
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

R = Relation
ANCHOR = thing(1, 0.9, 0.0)


def nearest_by_optimisation(a, b):
    """Distance of two boxes as a bounded least-squares problem over points of both."""
    columns = np.hstack([a.rotation, -b.rotation])
    bound = np.concatenate([a.size, b.size]) / 2 + 1e-9
    found = lsq_linear(columns, b.center - a.center, (-bound, bound), tol=1e-12, max_iter=500)
    return np.linalg.norm(columns @ found.x - (b.center - a.center))


numbers = st.floats(-0.5, 0.5)
lengths = st.floats(0.0, 0.4)


@st.composite
def free_boxes(draw):
    center = np.array([draw(numbers) for _ in range(3)])
    rotation = Rotation.from_rotvec([draw(st.floats(-3, 3)) for _ in range(3)]).as_matrix()
    return OrientedBox(center, rotation, np.array([draw(lengths) for _ in range(3)]))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(free_boxes(), free_boxes())
def test_the_distance_of_boxes_is_the_least_over_all_their_points(a, b):
    places = [Places.of_objects([SceneObject(i, "", box)]) for i, box in ((1, a), (2, b))]

    found = box_distances(*places)[0]

    assert found == pytest.approx(nearest_by_optimisation(a, b), abs=2e-5)
    assert found == pytest.approx(box_distances(*reversed(places))[0], abs=1e-9)
    assert bool(boxes_overlap(*places)[0]) == (found == 0)


def test_crossed_bars_are_as_far_apart_as_their_edges():
    lower = thing(1, 0, 0, (1, 0.1, 0.1), z=0.0)
    upper = thing(2, 0, 0, (1, 0.1, 0.1), z=0.3, yaw=np.pi / 2)

    assert surface_distances(*map(Places.of_objects, ([upper], [lower])))[0] == pytest.approx(0.2)


def test_clouds_see_what_boxes_do_not():
    # An L of points: its box covers the corner in which the other thing stands.
    rng = np.random.default_rng(0)
    legs = [rng.uniform((0, 0, 0), (0.3, 0.02, 0.05), (400, 3))]
    legs.append(rng.uniform((0, 0, 0), (0.02, 0.3, 0.05), (400, 3)))
    points = np.concatenate(legs).astype(np.float32)
    angle = SceneObject(
        1,
        "bracket",
        OrientedBox(np.array([0.15, 0.15, 0.025]), np.eye(3), np.array([0.3, 0.3, 0.05])),
        points=points,
    )
    cube_points = rng.uniform((0.2, 0.2, 0), (0.24, 0.24, 0.05), (400, 3)).astype(np.float32)
    cube = thing(2, 0.22, 0.22, (0.04, 0.04, 0.05), points=cube_points)
    there, here = Places.of_objects([cube]), Places.of_objects([angle])

    assert box_distances(there, here)[0] == 0
    assert surface_distances(there, here)[0] == pytest.approx(0.18, abs=0.02)
    assert surface_distances(here, there)[0] == surface_distances(there, here)[0]


def test_a_few_stray_points_do_not_make_things_touch():
    rng = np.random.default_rng(0)
    first = rng.uniform((0, 0, 0), (0.1, 0.1, 0.1), (1000, 3))
    first[:3] += (0.3, 0, 0)
    second = rng.uniform((0.4, 0, 0), (0.5, 0.1, 0.1), (1000, 3))
    a = thing(1, 0.05, 0.05, points=first.astype(np.float32))
    b = thing(2, 0.45, 0.05, points=second.astype(np.float32))

    assert surface_distances(*map(Places.of_objects, ([a], [b])))[0] > 0.29


def test_points_measure_to_the_box():
    places = Places.of_points([[0.9, 0.13, 0.05], [0.9, 0.0, 0.05], [0.9, 0.03, 0.3]])

    assert relation_values(R.DISTANCE, scene(ANCHOR), places, [ANCHOR]) == pytest.approx(
        [0.1, 0.0, 0.2]
    )


def test_near_and_far_are_opposites_and_end_at_the_reach():
    # Diagonal of both boxes: sqrt(0.06^2 + 0.06^2 + 0.1^2) = 0.131; one and a half of it: 0.197.
    inside, outside = thing(2, 0.9, 0.06 + 0.19), thing(2, 0.9, 0.06 + 0.21)

    assert score(R.NEAR, inside, ANCHOR) > 0.5 > score(R.NEAR, outside, ANCHOR)
    assert score(R.FAR, outside, ANCHOR) == pytest.approx(1 - score(R.NEAR, outside, ANCHOR))


def test_near_to_something_large_is_bounded_by_the_scene():
    sofa = thing(1, 3, 0, (2, 1, 1))
    others = [thing(i, 1 + i, 1) for i in range(2, 6)]
    plant = thing(9, 3, 2.9)

    assert score(R.NEAR, plant, sofa) > 0.5
    assert score(R.NEAR, plant, sofa, others=others) < 0.5


def test_near_and_far_with_a_named_distance_hold_up_to_and_from_it():
    place = (0.9, 0.03 + 0.2, 0.05)

    assert score(R.NEAR, place, ANCHOR, distance_m=0.3) > 0.5
    assert score(R.NEAR, place, ANCHOR, distance_m=0.1) < 0.5
    assert score(R.FAR, place, ANCHOR, distance_m=0.1) > 0.5
    assert score(R.DISTANCE, place, ANCHOR, distance_m=0.2) == pytest.approx(1)
    assert score(R.DISTANCE, place, ANCHOR, distance_m=0.3) < 0.5


def test_near_without_an_anchor_is_near_to_the_viewer():
    things = [thing(i, x, 0) for i, x in ((1, 0.5), (2, 0.9), (3, 2.0))]

    scores = relation_scores(R.NEAR, scene(*things), Places.of_objects(things))

    assert scores[0] > 0.5
    assert scores[1] == pytest.approx(0.5)
    assert scores[2] < 0.5


def test_touch_ends_at_a_centimetre():
    assert score(R.TOUCH, thing(2, 0.9, 0.06), ANCHOR) == pytest.approx(1)
    assert score(R.TOUCH, thing(2, 0.9, 0.07), ANCHOR) == pytest.approx(0.5)
    assert score(R.FAR_FROM, thing(2, 0.9, 0.12), ANCHOR) > 0.8


def test_beside_is_near_and_on_the_same_level():
    assert score(R.BESIDE, thing(2, 0.9, 0.1), ANCHOR) > 0.5
    assert score(R.BESIDE, thing(2, 0.9, 0.6), ANCHOR) < 0.5
    assert score(R.BESIDE, thing(2, 0.9, 0.0, z=0.15), ANCHOR) < 0.5
    assert score(R.BESIDE, thing(2, 0.9, 0.1, z=0.4), ANCHOR) < 0.5
    assert score(R.BESIDE, (0.9, 0.13, 0.0), ANCHOR, distance_m=0.1) == pytest.approx(1)


def test_around_is_near_on_every_side_but_not_on_it():
    for x, y in ((0, 0.1), (0, -0.1), (0.1, 0), (-0.1, 0)):
        assert score(R.AROUND, (0.9 + x, y, 0), ANCHOR) > 0.5
    assert score(R.AROUND, (0.9, 0, 0.1), ANCHOR) == 0


def test_depth_is_along_the_line_of_sight_not_along_the_ray():
    view = camera(eye=(0, 0, 0), target=(1, 0, 0))
    places = Places.of_points([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [2.0, 0.0, 0.5]])

    found = relation_values(R.DEPTH, scene(view=view), places)

    assert found == pytest.approx([1, 1, 2])
    relative = relation_values(R.DEPTH, scene(view=view), places, [thing(1, 0.5, 0)])
    assert relative == pytest.approx([0.5, 0.5, 1.5])
    assert score(R.DEPTH, (1, 0.3, 0), view=view, distance_m=1.0) == pytest.approx(1)
    assert score(R.DEPTH, (1.3, 0.3, 0), view=view, distance_m=1.0) < 0.5
