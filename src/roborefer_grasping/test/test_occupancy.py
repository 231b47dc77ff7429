# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
from drawn import box, noisy, pixel_of, view_of
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.occupancy import (
    SHADOW,
    SUPPORT,
    SURROUNDINGS,
    TARGET,
    UNSEEN,
    OccupancySettings,
    merged,
    obstacles_from_depth,
)
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.presence import without_robot
from roborefer_grasping.core.robot import robot_named
from roborefer_grasping.core.segment import segment_at
from roborefer_grasping.core.world import Obstacle, Shape, World
from roborefer_grasping.exceptions import SceneError

SETTINGS = OccupancySettings()
THING = box((0.06, 0.06, 0.12), 0.5, 0.0)


def covers(obstacles, name, point):
    return any(
        o.name == name and (np.abs(o.pose[:3, 3] - point) <= o.size / 2 + 1e-9).all()
        for o in obstacles
    )


def test_seen_free_filled_and_hidden_space():
    obstacles = obstacles_from_depth(view_of([THING]), 0.0, SETTINGS)
    assert covers(obstacles, SURROUNDINGS, (0.52, 0.0, 0.11))
    # Behind the thing, as the camera sees it, nobody knows; beside and above it is free.
    assert covers(obstacles, UNSEEN, (0.44, 0.0, 0.03))
    for free in ((0.6, 0.0, 0.03), (0.5, 0.1, 0.05), (0.5, 0.0, 0.2)):
        assert not covers(obstacles, SURROUNDINGS, free)
        assert not covers(obstacles, UNSEEN, free)
    assert covers(obstacles, SUPPORT, (0.5, 0.0, -0.01))
    assert not covers(obstacles, SUPPORT, (0.5, 0.0, 0.001))


@pytest.mark.parametrize("spoil", [None, noisy])
def test_target_and_its_shadow_have_names(spoil):
    view = view_of([THING, box((0.05, 0.05, 0.1), 0.5, 0.2)], spoil=spoil)
    target = segment_at(view, *pixel_of(view, 0.53, 0.0, 0.06), 0.0)
    obstacles = obstacles_from_depth(view, 0.0, SETTINGS, target)
    assert covers(obstacles, TARGET, (0.526, 0.0, 0.08))
    assert covers(obstacles, SHADOW, (0.44, 0.0, 0.03))
    assert covers(obstacles, SURROUNDINGS, (0.52, 0.2, 0.08))
    # Nothing of the target is left to get in the way of lifting it.
    for height in (0.05, 0.10, 0.14):
        assert not covers(obstacles, SURROUNDINGS, (0.5, 0.0, height))


def test_the_robot_is_no_obstacle_but_hides():
    view = view_of([THING])
    robot = view.points[..., 2] > 0.006
    obstacles = obstacles_from_depth(view, 0.0, SETTINGS, None, robot)
    assert not covers(obstacles, SURROUNDINGS, (0.52, 0.0, 0.11))
    assert covers(obstacles, UNSEEN, (0.44, 0.0, 0.03))


def test_vouched_space_is_free_unless_something_was_measured_there():
    everywhere = (((-2.0, -2.0, -1.0), (2.0, 2.0, 2.0)),)
    obstacles = obstacles_from_depth(view_of([THING]), 0.0, OccupancySettings(vouched=everywhere))
    names = {o.name for o in obstacles}
    assert UNSEEN not in names
    assert SURROUNDINGS in names


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_blind_camera_is_refused(nothing):
    view = view_of([], spoil=lambda depth: depth.fill(nothing))
    with pytest.raises(SceneError, match="no measurement"):
        obstacles_from_depth(view, 0.0, SETTINGS)


@pytest.mark.parametrize(
    "change",
    [
        {"voxel": 0.001},
        {"voxel": np.nan},
        {"low": (1.0, 0.0, 0.0), "high": (0.5, 1.0, 1.0)},
        {"high": (np.inf, 1.0, 1.0)},
        {"vouched": (((0.0, 0.0, 0.0), (0.0, 1.0, 1.0)),)},
    ],
)
def test_volumes_that_make_no_sense(change):
    with pytest.raises(SceneError):
        OccupancySettings(**change)


def test_merged_boxes_cover_exactly_the_cells():
    cells = np.random.default_rng(3).random((6, 7, 5)) < 0.5
    steps = np.array([0.01, 0.02, 0.03])
    boxes = merged(cells, np.zeros(3), steps, "x")
    volume = sum(float(np.prod(b.size)) for b in boxes)
    assert volume == pytest.approx(cells.sum() * np.prod(steps))
    for index in np.ndindex(*cells.shape):
        assert covers(boxes, "x", steps * (np.array(index) + 0.5)) == cells[index]
    assert len(boxes) < cells.sum()


def test_nothing_is_where_the_robot_is():
    robot, gripper = robot_named("ur5"), Gripper()
    joints = np.array([0.3, -1.5, 1.6, -1.67, -np.pi / 2, 0.3])
    tcp = (forward(robot, joints) @ gripper.t_tool_tcp)[:3, 3]
    around, far = np.eye(4), np.eye(4)
    around[:3, 3], far[:3, 3] = tcp, tcp + np.array([0.0, 0.4, 0.0])
    wall = np.array([0.3, 0.3, 0.3])
    world = World(
        [Obstacle(SURROUNDINGS, Shape.BOX, wall, around), Obstacle("post", Shape.BOX, wall, far)]
    )
    assert not CollisionChecker(robot, gripper, world).is_free(joints)
    cut = without_robot(world, robot, gripper, joints)
    assert CollisionChecker(robot, gripper, cut).first_touch(joints) is None or (
        CollisionChecker(robot, gripper, cut).first_touch(joints).distance > -0.002
    )
    # Where the robot is not, everything is as it was, and what was not measured is kept whole.
    assert covers(cut.obstacles, SURROUNDINGS, tcp + np.array([0.13, 0.13, -0.13]))
    assert [o for o in cut.obstacles if o.name == "post"] == [world.obstacles[1]]
