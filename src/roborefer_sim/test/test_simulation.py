# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The running cell: tracking, adding and removing things, resets and repetition."""

import numpy as np
import pytest
from roborefer_sim.core.arm import HOME
from roborefer_sim.core.cell import Cell, Placed
from roborefer_sim.core.clutter import Clutter, random_cell
from roborefer_sim.core.controller import Outcome
from roborefer_sim.core.frames import robot_frames
from roborefer_sim.core.goals import Goal, GoalPoint
from roborefer_sim.core.simulation import Faults, Simulation
from roborefer_sim.exceptions import SceneError


@pytest.fixture
def simulation(library):
    mug = Placed("mug", library.make("mug"), (0.5, 0.2, 0.001), 0.4)
    return Simulation(Cell([mug]))


def run(simulation, seconds):
    for _ in range(round(seconds / 0.002)):
        simulation.step()


def swing(simulation, angle=1.0, seconds=1.0):
    target = (HOME[0] + angle, *HOME[1:])
    point = GoalPoint(seconds, target, (0.0,) * 6, (0.0,) * 6)
    return simulation.follow(Goal(simulation.arm.joints, (point,)))


def test_arm_follows_closely(simulation):
    execution = swing(simulation)
    errors = []

    while not execution.done.is_set():
        simulation.step()
        errors.append(np.abs(execution.desired.position - execution.actual.position).max())

    assert execution.outcome is Outcome.SUCCEEDED
    # Peak speed is 1.9 rad/s; a servo without feed-forward would be 0.14 rad behind.
    assert max(errors) < 0.01


def test_adding_changes_nothing_else(simulation, library):
    swing(simulation)
    run(simulation, 0.5)
    before, grip = simulation.joints(), simulation.pose_of("mug")

    simulation.add(Placed("can", library.make("soup_can"), (0.5, -0.2, 0.0)))

    after = simulation.joints()
    np.testing.assert_array_equal(after.position, before.position)
    np.testing.assert_array_equal(after.velocity, before.velocity)
    np.testing.assert_allclose(simulation.pose_of("mug"), grip, atol=1e-12)
    run(simulation, 1.5)
    assert simulation.joints().position[0] == pytest.approx(HOME[0] + 1.0, abs=0.005)
    np.testing.assert_allclose(simulation.pose_of("can")[:3, 3], [0.5, -0.2, 0], atol=0.002)


def test_removing_changes_nothing_else(simulation, library):
    simulation.add(Placed("can", library.make("soup_can"), (0.5, -0.2, 0.0)))
    run(simulation, 0.5)
    before = simulation.pose_of("can")

    simulation.remove("mug")

    np.testing.assert_allclose(simulation.pose_of("can"), before, atol=1e-12)
    with pytest.raises(SceneError, match="no thing 'mug' in the scene; there are: can"):
        simulation.pose_of("mug")


def test_names_are_taken_by_things_and_by_the_robot(simulation, library):
    for name in ("mug", "tool0", ""):
        with pytest.raises(SceneError, match="choose another"):
            simulation.add(Placed(name, library.make("mug"), (0.4, 0, 0)))


def test_moved_things_have_the_twist_they_were_given(simulation):
    pose = simulation.pose_of("mug")
    pose[2, 3] = 0.5
    twist = np.array([0.1, -0.2, 0.3, 0.4, 0.5, -0.6])

    simulation.place("mug", pose, twist)

    np.testing.assert_allclose(simulation.twist_of("mug"), twist, atol=1e-12)
    np.testing.assert_allclose(simulation.pose_of("mug"), pose, atol=1e-12)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e9])
def test_states_that_physics_cannot_take_are_refused(simulation, number):
    pose = simulation.pose_of("mug")
    wrong = pose.copy()
    wrong[0, 3] = number

    with pytest.raises(SceneError, match="not finite or beyond"):
        simulation.place("mug", wrong)
    with pytest.raises(SceneError, match="not finite or beyond"):
        simulation.place("mug", pose, np.full(6, number))


def test_reset_brings_everything_back(simulation, library):
    start = simulation.pose_of("mug")
    simulation.add(Placed("can", library.make("soup_can"), (0.5, -0.2, 0.0)))
    simulation.remove("mug")
    execution = swing(simulation)
    simulation.grip(0.0, 10.0)
    run(simulation, 0.5)

    simulation.reset()

    assert execution.outcome is Outcome.ABORTED
    assert simulation.steps == 0
    assert [thing.name for thing in simulation.cell.placed] == ["mug"]
    np.testing.assert_allclose(simulation.pose_of("mug"), start, atol=1e-9)
    np.testing.assert_allclose(simulation.joints().position[:6], HOME)
    run(simulation, 0.3)
    np.testing.assert_allclose(simulation.joints().position[:6], HOME, atol=0.005)


def test_reset_of_the_state_keeps_time_and_settled_places(library):
    simulation = Simulation(random_cell(5, Clutter(fewest=4, most=4)))
    settled = {t.name: simulation.pose_of(t.name) for t in simulation.cell.placed}
    simulation.add(Placed("extra", library.make("block"), (0.3, 0.0, 0.3)))
    run(simulation, 1.0)

    simulation.reset(time=False, spawned=False)

    assert simulation.now_s == pytest.approx(1.0)
    for name, pose in settled.items():
        np.testing.assert_allclose(simulation.pose_of(name), pose, atol=1e-9)
    assert simulation.pose_of("extra")[2, 3] == pytest.approx(0.3)


def test_the_same_commands_give_the_same_motion_to_the_last_bit():
    ends = []
    for _ in range(2):
        simulation = Simulation(random_cell(5, Clutter(fewest=5, most=5)))
        run(simulation, 0.1)
        swing(simulation)
        simulation.grip(0.01, 20.0)
        run(simulation, 1.5)
        ends.append(simulation.cell.data.qpos.copy())

    np.testing.assert_array_equal(ends[0], ends[1])


def test_failed_controller_gives_up_and_brakes(simulation):
    execution = swing(simulation, seconds=2.0)
    run(simulation, 1.0)

    simulation.faults = Faults(abort=True)
    run(simulation, 0.5)

    assert execution.outcome is Outcome.ABORTED
    assert "failed" in execution.text
    assert np.abs(simulation.joints().velocity[:6]).max() < 0.01


def test_frames_of_the_robot_chain_up_to_where_its_links_are(simulation):
    swing(simulation)
    run(simulation, 0.7)
    simulation.pose_of("mug")  # works out the places of all bodies

    chained = {"base_link": np.eye(4)}
    for parent, child, pose in robot_frames(simulation.cell):
        chained[child] = chained[parent] @ pose

    data = simulation.cell.data
    np.testing.assert_allclose(chained["tool0"][:3, 3], data.body("tool0").xpos, atol=1e-9)
    np.testing.assert_allclose(chained["tcp"][:3, 3], data.site("tcp").xpos, atol=1e-9)
    assert "mug" not in chained
