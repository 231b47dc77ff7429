# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The gripper on real physics: a block on a table, held, squeezed and dropped."""

import numpy as np
import pytest
from roborefer_sim.core.arm import GRIP_FORCE_N, OPEN_M, TCP_OFFSET_M
from roborefer_sim.core.cell import Cell, Placed
from roborefer_sim.core.goals import Goal, GoalPoint
from roborefer_sim.core.jaw import JawSettings
from roborefer_sim.core.simulation import Faults, Settings, Simulation
from roborefer_sim.core.trajectory import GoalRefusedError


@pytest.fixture
def simulation(library):
    """A block between the pads of an arm that is at home, high above the table."""
    empty = Cell()
    tool = empty.data.body("tool0")
    rotation = tool.xmat.reshape(3, 3)
    middle = tool.xpos + TCP_OFFSET_M * rotation[:, 2]
    simulation = Simulation(Cell())
    block = Placed("block", library.make("block", "red", 0.8), (0, 0, 0.5))
    pose = np.eye(4)
    pose[:3, :3] = rotation
    half = 0.8 * 0.0225
    pose[:3, 3] = middle - half * rotation[:, 2]
    simulation.add(block, pose)
    return simulation


def run(simulation, seconds):
    for _ in range(round(seconds / 0.002)):
        simulation.step()


def hold(simulation, effort=40.0):
    """Close while the block floats, then let gravity have it."""
    simulation.cell.model.opt.gravity[:] = 0
    grip = simulation.grip(0.0, effort)
    run(simulation, 1.2)
    simulation.cell.model.opt.gravity[2] = -9.81
    return grip


def test_something_between_the_pads_stalls_the_jaw(simulation):
    grip = hold(simulation)

    assert grip.done.is_set()
    assert grip.stalled
    assert not grip.reached
    assert grip.position == pytest.approx(0.8 * 0.0225, abs=0.001)


def test_a_held_block_goes_where_the_arm_goes(simulation):
    hold(simulation)
    before = simulation.pose_of("block")
    pan, *others = simulation.joints().position[:6].tolist()
    target = (pan + 0.4, *others)

    simulation.follow(Goal(simulation.arm.joints, (GoalPoint(1.0, target, (0.0,) * 6),)))
    run(simulation, 2.0)

    turned = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    after = simulation.pose_of("block")[:3, 3]
    np.testing.assert_allclose(after[:2], turned @ before[:2, 3], atol=0.004)
    assert after[2] == pytest.approx(before[2, 3], abs=0.004)


def test_limp_gripper_drops_the_block(simulation):
    hold(simulation)
    height = simulation.pose_of("block")[2, 3]

    simulation.faults = Faults(limp=True)
    run(simulation, 1.0)

    assert simulation.pose_of("block")[2, 3] < height - 0.05


def test_effort_of_the_command_is_the_force(simulation):
    hold(simulation, effort=12.0)

    efforts = np.abs(simulation.joints().effort[6:])

    assert efforts.max() == pytest.approx(12.0, rel=0.05)


def test_effort_of_zero_or_beyond_is_the_greatest(simulation):
    for effort in (0.0, 1e6):
        assert simulation.grip(0.01, effort).effort == GRIP_FORCE_N


def test_jaw_keeps_its_speed(simulation):
    simulation.remove("block")
    simulation.grip(0.0, 40.0)

    run(simulation, 0.3)

    way = OPEN_M - simulation.joints().position[6]
    assert way == pytest.approx(0.06 * 0.3, abs=0.003)


def test_what_slips_out_is_not_held_any_more(simulation):
    hold(simulation)
    away = simulation.pose_of("block")
    away[:3, 3] = (0.6, 0.3, 0.1)

    simulation.place("block", away)
    run(simulation, 1.0)

    # Closed onto its goal, without shaking.
    assert simulation.joints().position[6] == pytest.approx(0.0, abs=0.001)
    assert np.abs(simulation.joints().velocity[6:]).max() < 0.002


def test_stall_is_a_failure_where_it_is_not_allowed(library):
    simulation = Simulation(Cell(), Settings(jaw=JawSettings(allow_stalling=False)))
    # Without force nothing moves, as if something were in the way.
    simulation.faults = Faults(limp=True)
    grip = simulation.grip(0.0, 40.0)

    run(simulation, 3.0)

    assert grip.done.is_set()
    assert "stalled" in grip.text


def test_newer_command_takes_over(simulation):
    first = simulation.grip(0.0, 40.0)

    second = simulation.grip(0.03, 40.0)
    run(simulation, 1.0)

    assert "newer" in first.text
    assert second.reached


def test_cancel_stops_the_jaw_where_it_is(simulation):
    simulation.remove("block")
    grip = simulation.grip(0.0, 40.0)
    run(simulation, 0.2)

    simulation.jaw.cancel(grip)
    run(simulation, 0.1)
    there = simulation.joints().position[6]
    run(simulation, 0.5)

    assert grip.canceled
    assert simulation.joints().position[6] == pytest.approx(there, abs=0.001)


@pytest.mark.parametrize(("position", "effort"), [(-0.01, 1), (0.05, 1), (0.01, float("nan"))])
def test_impossible_commands_are_refused(simulation, position, effort):
    with pytest.raises(GoalRefusedError):
        simulation.grip(position, effort)
