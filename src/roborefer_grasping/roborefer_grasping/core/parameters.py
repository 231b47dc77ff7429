# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the arm's parameters: declaration, checks, sample file and README come from it.

Type `python3 -m roborefer_grasping.core.parameters` to print config/ur5.yaml, with `table` behind
it to print the table of the README.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from roborefer_common.core.parameters import Row, Value, check, readme_table, sample_yaml
from roborefer_common.exceptions import ParameterError

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.motion_settings import Settings
from roborefer_grasping.core.occupancy import OccupancySettings
from roborefer_grasping.core.robot import ROBOTS, robot_named
from roborefer_grasping.core.tasks import TaskSettings
from roborefer_grasping.exceptions import RobotError

_VOUCHED = [number for box in OccupancySettings().vouched for corner in box for number in corner]
_SCENE, _TASK, _HAND = OccupancySettings(), TaskSettings(), Gripper()

TABLE = (
    Row("robot.name", "ur5", "Kind of the arm.", choices=tuple(ROBOTS)),
    Row("robot.tf_prefix", "", "Put before the names of the robot's joints and frames."),
    Row("robot.base_frame", "base_link", "Frame of the arm's base, without the prefix."),
    Row("robot.tool_frame", "tool0", "Frame of the flange, without the prefix."),
    Row(
        "robot.home", [0.0, -2.23, 1.585, -0.93, -1.5708, -1.5708],
        "Joints where the arm hides nothing from the camera, radians.", length=6,
    ),
    Row(
        "robot.program_topic", "",
        "Bool of the driver, latched, that is false while the robot may not move; empty: none.",
    ),
    Row("planner.engine", "embedded", "Who searches paths.", choices=("embedded", "moveit")),
    Row("planner.deadline_s", _TASK.deadline_s, "Longest planning of one attempt.", 0.5, 120.0),
    Row(
        "arm.action", "joint_trajectory_controller/follow_joint_trajectory",
        "FollowJointTrajectory of the arm's controller.",
    ),
    Row("gripper.action", "gripper_controller/gripper_cmd", "Action of the gripper's controller."),
    Row(
        "gripper.action_type", "ParallelGripperCommand", "Type of that action.",
        choices=("ParallelGripperCommand", "GripperCommand"),
    ),
    Row("gripper.joint", "gripper_left_finger_joint", "Joint that tells how far it is open."),
    Row("gripper.open_position", 0.0425, "Position of that joint when the jaw is open.", -10, 10),
    Row("gripper.closed_position", 0.0, "Position of that joint when the pads meet.", -10, 10),
    Row("gripper.opening", _HAND.opening, "Widest distance of the pads, metres.", 0.01, 0.3),
    Row("gripper.tcp_offset", _HAND.tcp_offset, "Flange to middle of pads, metres.", 0.02, 0.5),
    Row("gripper.palm_length", _HAND.palm[2], "Flange to roots of fingers, metres.", 0.01, 0.4),
    Row("gripper.force", _HAND.force, "Greatest closing force, newtons.", 1.0, 235.0),
    Row("gripper.least_width", 0.002, "Pads closer than this hold nothing, metres.", 0.0, 0.02),
    Row("gripper.timeout_s", 5.0, "Longest motion of the jaw.", 0.5, 30.0),
    Row("speed.velocity", 0.5, "Share of the arm's speed limits.", 0.01, 1.0),
    Row("speed.acceleration", 0.5, "Share of the arm's acceleration limits.", 0.01, 1.0),
    Row("speed.line", _TASK.line_speed, "Share of that on straight ways near things.", 0.05, 1.0),
    Row("speed.stop_s", 0.25, "Time in which a cancel or stop brings the arm to rest.", 0.1, 1.0),
    Row(
        "workspace.low", [-0.9, -0.9, -0.03],
        "Lowest x, y and z of references and of the TCP in the base frame, metres.", length=3,
    ),
    Row(
        "workspace.high", [0.95, 0.9, 1.2],
        "Highest x, y and z of references and of the TCP in the base frame, metres.", length=3,
    ),
    Row(
        "scene.low", list(_SCENE.low),
        "Lowest corner of the volume that the camera has to have seen free, metres.", length=3,
    ),
    Row("scene.high", list(_SCENE.high), "Highest corner of that volume, metres.", length=3),
    Row("scene.voxel", _SCENE.voxel, "Resolution of that volume, metres.", 0.004, 0.1),
    Row(
        "scene.vouched", _VOUCHED,
        "Boxes that are free although no camera sees them: six numbers each, lowest then highest"
        " corner, metres.", length=0,
    ),
    Row(
        "scene.support_z", [-0.05, 0.05],
        "Lowest and highest z at which the table is looked for, metres.", length=2,
    ),
    Row("depth.least_valid", 0.05, "Least share of measured pixels in an image.", 0.0, 1.0),
    Row("depth.stale_s", 1.0, "Older images are not used.", 0.05, 10.0),
    Row("depth.wait_s", 3.0, "Longest wait for an image.", 0.1, 30.0),
    Row("depth.lost_s", 2.0, "A moving arm stops when the last image is older.", 0.1, 30.0),
    Row("joints.stale_s", 0.5, "Older joint states are not used.", 0.02, 5.0),
    Row("tf.timeout_s", 0.5, "Longest wait for a transform.", 0.0, 10.0),
    Row("reference.max_age_s", 60.0, "Older references are refused.", 0.1, 3600.0),
    Row("task.deadline_s", 120.0, "Longest goal, unless it says otherwise.", 1.0, 3600.0),
    Row("task.max_attempts", 3, "Most grasps tried by moving.", 1, 10),
    Row("task.approach_m", _TASK.approach_m, "Straight way to a grasp, metres.", 0.03, 0.3),
    Row("task.lift_m", _TASK.lift_m, "Straight way up after a grasp, metres.", 0.03, 0.3),
    Row("task.retreat_m", _TASK.retreat_m, "Straight way back after a place, metres.", 0.03, 0.3),
    Row("task.home_first", True, "Go home before looking, when the arm stands elsewhere."),
    Row("task.home_after_pick", True, "Go home with what was taken, so that the camera sees."),
    Row("task.home_after_place", True, "Go home after letting go, so that the camera sees."),
    Row("place.tolerance", 0.02, "Farthest from the referred place, metres.", 0.005, 0.2),
    Row("place.yaw_tolerance", 0.26, "Farthest from a wanted heading, radians.", 0.0, 3.2),
    Row("place.missed_m", 0.01, "Seen farther off than allowed by this, it is missed.", 0.0, 0.5),
    Row("diagnostics.period_s", 1.0, "Between two diagnostics.", 0.1, 60.0),
)  # fmt: skip


def settings_of(values: Mapping[str, Value]) -> Settings:
    """Turn checked values into what tasks use.

    Raises:
        RobotError: Values do not fit each other; the message names them.
        SceneError: A volume is empty.
    """
    try:
        check(TABLE, values)
    except ParameterError as error:
        raise RobotError(str(error)) from error
    if len(values["scene.vouched"]) % 6:  # type: ignore[arg-type]
        raise RobotError(
            f"scene.vouched has {len(values['scene.vouched'])} numbers;"  # type: ignore[arg-type]
            " six for each box are needed"
        )

    def number(name: str) -> float:
        return float(values[name])  # type: ignore[arg-type]

    def array(name: str) -> tuple[float, ...]:
        return tuple(float(v) for v in values[name])  # type: ignore[union-attr]

    def corner(name: str) -> tuple[float, float, float]:
        x, y, z = array(name)
        return x, y, z

    boxes = np.array(array("scene.vouched")).reshape(-1, 2, 3).tolist()
    support_low, support_high = array("scene.support_z")
    if number("gripper.open_position") == number("gripper.closed_position"):
        raise RobotError("gripper.open_position and gripper.closed_position must differ")
    palm = (*_HAND.palm[:2], number("gripper.palm_length"))
    gripper = Gripper(
        tcp_offset=number("gripper.tcp_offset"),
        opening=number("gripper.opening"),
        palm=palm,
        force=number("gripper.force"),
    )
    return Settings(
        robot=robot_named(str(values["robot.name"])),
        gripper=gripper,
        home=np.array(array("robot.home")),
        low=np.array(array("workspace.low")),
        high=np.array(array("workspace.high")),
        scene=OccupancySettings(
            corner("scene.low"),
            corner("scene.high"),
            number("scene.voxel"),
            tuple((tuple(low), tuple(high)) for low, high in boxes),
        ),
        support_z=(support_low, support_high),
        least_valid=number("depth.least_valid"),
        velocity=number("speed.velocity"),
        acceleration=number("speed.acceleration"),
        force=number("gripper.force"),
        least_width=number("gripper.least_width"),
        tasks=TaskSettings(
            approach_m=number("task.approach_m"),
            lift_m=number("task.lift_m"),
            retreat_m=number("task.retreat_m"),
            deadline_s=number("planner.deadline_s"),
            line_speed=number("speed.line"),
        ),
        max_attempts=int(number("task.max_attempts")),
        tolerance=number("place.tolerance"),
        yaw_tolerance=number("place.yaw_tolerance"),
        missed=number("place.missed_m"),
        home_first=bool(values["task.home_first"]),
        home_after_pick=bool(values["task.home_after_pick"]),
        home_after_place=bool(values["task.home_after_place"]),
    )


# The files in config/: what they are for, and what differs from the defaults. On hardware the
# controller scales with the speed slider of the teach pendant, and the gripper is a Robotiq.
_UR: Mapping[str, Value] = {
    "robot.program_topic": "io_and_status_controller/robot_program_running",
    "arm.action": "scaled_joint_trajectory_controller/follow_joint_trajectory",
    "gripper.action": "robotiq_gripper_controller/gripper_cmd",
    "gripper.joint": "robotiq_85_left_knuckle_joint",
    "gripper.open_position": 0.0,
    "gripper.closed_position": 0.7929,
}
FILES: Mapping[str, tuple[str, Mapping[str, Value]]] = {
    "sim": ("A UR5 in roborefer_sim.", {}),
    "ur5": (
        "A UR5 behind ur_robot_driver of ROS 2 Jazzy, with a Robotiq 2F-85.",
        {**_UR, "gripper.action_type": "GripperCommand"},
    ),
    "ur5e": (
        "A UR5e behind ur_robot_driver of ROS 2 Jazzy, with a Robotiq 2F-85.",
        {**_UR, "robot.name": "ur5e", "gripper.action_type": "GripperCommand"},
    ),
    "ur5e_lyrical": (
        "A UR5e behind ur_robot_driver of ROS 2 Lyrical, with a Robotiq 2F-85.",
        {**_UR, "robot.name": "ur5e"},
    ),
}


def sample_file(name: str) -> str:
    """Return the text of a file of config/."""
    comment, changes = FILES[name]
    made_by = f"python3 -m roborefer_grasping.core.parameters {name} > config/{name}.yaml"
    return sample_yaml(TABLE, changes, comment, made_by)


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else "sim"
    print(readme_table(TABLE) if wanted == "table" else sample_file(wanted), end="")
