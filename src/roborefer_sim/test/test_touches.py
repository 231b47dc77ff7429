# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the robot runs into is counted; what its fingers grasp is not."""

import numpy as np
import pytest


@pytest.fixture
def simulation(library):
    from roborefer_sim.core.cell import Cell, Placed
    from roborefer_sim.core.simulation import Simulation

    block = Placed("block", library.make("block"), (0.5, 0.0, 0.0))
    return Simulation(Cell([block]))


def put(simulation, at):
    pose = np.eye(4)
    pose[:3, 3] = at
    simulation.place("block", pose)


def body(simulation, name):
    return simulation.cell.data.body(name).xpos.copy()


def test_a_robot_that_stands_free_touches_nothing(simulation):
    for _ in range(100):
        simulation.step()

    assert simulation.touches.count == 0


def test_a_thing_in_a_link_is_counted_once_while_it_stays(simulation):
    simulation.step()
    place = body(simulation, "forearm_link")
    for _ in range(20):
        put(simulation, place)
        simulation.step()

    assert simulation.touches.count == 1
    assert "block" in simulation.touches.last
    assert "link" in simulation.touches.last


def test_what_the_fingers_hold_is_no_collision(simulation):
    simulation.step()
    tip = simulation.cell.data.geom("gripper_left_finger_pad").xpos.copy()
    for _ in range(20):
        put(simulation, tip - [0.0, 0.0, 0.022])
        simulation.step()

    assert simulation.touches.count == 0
