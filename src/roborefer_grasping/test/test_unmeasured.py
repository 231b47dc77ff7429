# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Faces of things that show no depth: which holes belong to a thing, and what they tell of it."""

import numpy as np
import pytest
from roborefer_grasping.core.motion_pick import PickTask
from roborefer_grasping.core.motion_scene import understand
from roborefer_grasping.core.placing import footprint_of
from roborefer_grasping.core.segment import segment_at, things
from roborefer_grasping.core.unmeasured import NOTHING, unmeasured_part

AT = (0.45, 0.05)


@pytest.fixture
def looked(make_body, make_task):
    """A look at one thing, after a change of its depth, with the thing's pixels and others'."""

    def look(key, height, spoil=lambda view: None, aside=0.033):
        body = make_body((key, *AT, 0.0, 1.0))
        first = body.look()
        spoil(first.view)
        # What was computed from the depth before it changed must not stay.
        view = type(first.view)(
            first.view.depth_m, first.view.fx, first.view.fy, first.view.cx, first.view.cy,
            first.view.t_base_optical,
        )  # fmt: skip
        first = type(first)(view, first.joints, first.jaw, first.stamp_ns)
        scene = understand(first, make_task(PickTask, body).settings, None)
        (pixel,), _ = view.project(np.array([[AT[0] + aside, AT[1], height]]))
        mask = segment_at(view, *pixel, scene.support, scene.robot)
        others = (things(view, scene.support, scene.robot) > 0) & ~mask | scene.robot
        return view, mask, others

    return look


def blinded(low, high, radius):
    """Take away the depth of what lies within a cylinder around the thing."""

    def spoil(view):
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(view.points[..., :2] - AT, axis=-1) < radius
            there = near & (view.points[..., 2] > low) & (view.points[..., 2] < high)
        view.depth_m[there] = 0.0

    return spoil


def test_a_lid_without_depth_is_found_and_gives_the_thing_its_middle_back(looked):
    view, mask, others = looked("jar", 0.04, blinded(0.088, 0.2, 0.05))
    blind = footprint_of(view, mask, 0.0).middle

    part = unmeasured_part(view, mask, others)

    assert part.is_top
    middle = footprint_of(view, mask, 0.0, part.points).middle
    assert np.hypot(*(blind - AT)) > 0.012
    assert np.hypot(*(middle - AT)) < 0.006
    filled = part.filled(view)
    top = filled.points[part.mask]
    assert np.allclose(top[:, 2], part.points[0, 2], atol=1e-4)


def test_the_opening_of_a_bowl_is_no_lid_and_tells_where_its_front_is(looked):
    # Neither the floor nor the front shows any depth.
    def spoil(view):
        points = view.points.copy()
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(points[..., :2] - AT, axis=-1) < 0.075
            front = near & (points[..., 0] > AT[0] + 0.01) & (points[..., 2] > 0.003)
            floor = near & (points[..., 2] < 0.012) & (points[..., 2] > 0.004)
        view.depth_m[front | floor] = 0.0

    view, mask, others = looked("bowl", 0.035, spoil, -0.058)

    part = unmeasured_part(view, mask, others)

    assert part.points[:, 0].max() > AT[0] + 0.05
    assert not part.is_top
    assert part.filled(view) is view
    assert np.array_equal(part.joined(mask), mask)


@pytest.mark.parametrize(
    ("key", "height"), [("block", 0.03), ("brick", 0.02), ("soup_can", 0.05), ("carton", 0.05)]
)
def test_a_thing_that_shows_all_of_itself_has_no_such_part(looked, key, height):
    part = unmeasured_part(*looked(key, height))

    assert part is NOTHING


def test_a_hole_in_the_table_behind_a_thing_is_not_part_of_it(looked):
    def spoil(view):
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(view.points[..., :2] - (AT[0] - 0.12, AT[1]), axis=-1) < 0.09
            view.depth_m[near & (view.points[..., 2] < 0.003)] = 0.0

    part = unmeasured_part(*looked("block", 0.03, spoil))

    assert part is NOTHING
