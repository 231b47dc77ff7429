# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node with the MoveIt engine: a thing is picked on ways that a move_group planned."""

import pytest

pytest.importorskip("moveit_msgs.msg")

from fake_move_group import FakeMoveGroup  # noqa: E402

from roborefer_msgs.action import Pick  # noqa: E402
from roborefer_msgs.msg import ErrorCode  # noqa: E402


def test_a_block_is_picked_on_ways_of_move_group_and_without_one_nothing_moves(start):
    with start({"planner.engine": "moveit"}) as bench:
        bench.spawn("library:block?color=red", "block", 0.45, 0.05)
        assert bench.transition("configure")
        assert bench.transition("activate")

        def pick():
            goal = Pick.Goal(reference=bench.reference(0.45, 0.05, 0.045))
            return bench.send("pick", goal).result()

        alone = pick()
        assert alone.error_code == ErrorCode.ARM_PLANNER_UNAVAILABLE, alone.error_msg
        assert "move_group" in alone.error_msg

        group = FakeMoveGroup(bench.client.context)
        bench.client.executor.add_node(group.node)
        planner = bench.arm._planner
        tell = planner.set_world

        def set_world(world):
            # What the stand-in minds is the world itself; that scenes arrive, test_moveit proves.
            group.world = world
            tell(world)

        planner.set_world = set_world
        result = pick()

        assert result.error_code == ErrorCode.SUCCESS, result.error_msg
        assert result.held_object.held
        assert bench.where("block")[2] > 0.1
        assert len(group.scenes) > 2
        group.released.set()
