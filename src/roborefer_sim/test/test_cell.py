# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_sim.core.arm import ARM_JOINTS, FINGER_JOINTS, HOME, OPEN_M
from roborefer_sim.core.cell import CameraPlace, Cell, Layout, Placed
from roborefer_sim.exceptions import SceneError


@pytest.fixture
def cell(library):
    mug = Placed("mug", library.make("mug", "red"), (0.5, 0.1, 0.001), 0.4)
    return Cell([mug])


def test_flange_is_where_the_kinematics_of_a_ur5_put_it(cell):
    for name in ARM_JOINTS:
        cell.data.joint(name).qpos[0] = 0.0
    import mujoco

    mujoco.mj_kinematics(cell.model, cell.data)

    # Sums of the link lengths of a UR5 with all joints at zero (UR, DH parameters of the CB3).
    expected = [0.425 + 0.39225, 0.10915 + 0.0823, 0.089159 - 0.09465]
    np.testing.assert_allclose(cell.data.body("tool0").xpos, expected, atol=2e-4)


def test_arm_holds_its_home(cell):
    cell.step(1.0)

    angles = [cell.data.joint(name).qpos[0] for name in ARM_JOINTS]
    np.testing.assert_allclose(angles, HOME, atol=0.01)


def test_home_touches_nothing(cell):
    moving = {cell.model.body(n).id for n in ("forearm_link", "wrist_3_link", "gripper_base_link")}

    bodies = cell.model.geom_bodyid[cell.data.contact.geom].flatten()

    assert not moving & set(bodies.tolist())


def test_jaw_closes_evenly_and_opens_again(cell):
    cell.data.actuator("gripper").ctrl[0] = 0.0
    cell.step(1.0)
    closed = [float(cell.data.joint(name).qpos[0]) for name in FINGER_JOINTS]
    cell.data.actuator("gripper").ctrl[0] = OPEN_M
    cell.step(1.0)
    opened = [float(cell.data.joint(name).qpos[0]) for name in FINGER_JOINTS]

    assert closed == pytest.approx([0, 0], abs=0.001)
    assert opened == pytest.approx([OPEN_M, OPEN_M], abs=0.001)


def test_a_thing_stays_where_it_was_put(cell):
    cell.step(1.0)

    np.testing.assert_allclose(cell.pose_of("mug")[:3, 3], [0.5, 0.1, 0], atol=0.002)
    assert cell.tilt_of("mug") < 0.01


def test_reset_puts_everything_back(cell):
    before = cell.data.qpos.copy()
    cell.data.qvel[:] = 0.5
    cell.step(0.2)

    cell.reset()

    np.testing.assert_array_equal(cell.data.qpos, before)
    assert not cell.data.qvel.any()


def test_physics_repeats_exactly(library):
    ends = []
    for _ in range(2):
        ball = Placed("ball", library.make("ball"), (0.5, 0.0, 0.1))
        cell = Cell([ball])
        cell.step(0.5)
        ends.append(cell.data.qpos.copy())

    np.testing.assert_array_equal(ends[0], ends[1])


def test_camera_pose_is_a_right_handed_optical_frame():
    pose = CameraPlace().t_world_optical

    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    assert pose[2, 2] < 0  # looks down
    assert pose[2, 1] < 0  # y points down
    assert pose[2, 0] == pytest.approx(0)  # x is level


def test_bad_scenes_are_refused(library):
    cup = library.make("cup")

    with pytest.raises(SceneError, match="different names"):
        Cell([Placed("a", cup, (0.4, 0, 0)), Placed("a", cup, (0.6, 0, 0))])
    with pytest.raises(SceneError, match="second must be larger"):
        Cell([], Layout(table_low=(1.0, 1.0)))
    with pytest.raises(SceneError, match="looks at itself"):
        Cell([], Layout(camera=CameraPlace(position=(1, 1, 1), target=(1, 1, 1))))
    with pytest.raises(SceneError, match="no thing 'b' in the scene; there are: a"):
        Cell([Placed("a", cup, (0.4, 0, 0))]).pose_of("b")
