# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the simulator's parameters: declaration, checks and sample file come from it.

Type `python3 -m roborefer_sim.nodes.parameters` to print config/simulator.yaml, with `--readme`
the table of the README.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from roborefer_common.core.parameters import Row, readme_table, sample_yaml

_FIXED = (
    Row("real_time_factor", 1.0, "Simulated seconds per second; 0: as fast as possible.", 0, 100),
    Row("start_paused", False, "Wait for set_simulation_state or step_simulation."),
    Row("tf_prefix", "", "Put before the names of the robot's joints and frames."),
    Row("publish_robot_tf", True, "Publish the robot's frames; off with a robot_state_publisher."),
    Row("joint_state_rate", 125.0, "Joint states, frames, clock, Hz of simulated time.", 10, 500),
    Row("scene.seed", 0, "Seed of the things on the table and of the camera's noise.", 0, 2**31),
    Row("scene.things", 7, "Number of things on the table.", 0, 12),
    Row("scene.keys", "", "Kinds of things to draw from, separated by blanks; empty is all."),
    Row("scene.shadows", True, "Draw shadows, which take a third of a picture's time."),
    Row("camera.rate", 10.0, "Pictures per second of simulated time; 0 is none.", 0, 60),
    Row("camera.width", 640, "Columns.", 16, 1920),
    Row("camera.height", 480, "Rows.", 16, 1200),
    Row("camera.focal", 615.0, "Focal length, pixels.", 10, 4000),
    Row("camera.position", [1.12, 0.0, 0.72], "Of the optical centre in world, metres.", length=3),
    Row(
        "camera.target", [0.46, 0.0, 0.02], "A point on the optical axis in world, metres.",
        length=3,
    ),
    Row(
        "camera.depth_encoding", "16UC1", "16UC1 millimetres or 32FC1 metres.",
        choices=("16UC1", "32FC1"),
    ),
    Row("camera.distortion", [0.0] * 5, "k1, k2, p1, p2, k3 of the plumb_bob model.", length=5),
    Row("sensor.enabled", True, "Give the pictures the flaws of a stereo depth camera."),
    Row("sensor.strength", 1.0, "Factor on those flaws.", 0, 3),
    Row(
        "controller.name", "joint_trajectory_controller",
        "Its action is <name>/follow_joint_trajectory.",
    ),
    Row(
        "controller.reject_invalid", False,
        "Reject invalid goals as joint_trajectory_controller does, instead of aborting them with"
        " an error code.",
    ),
    Row("controller.path_tolerance", 0.2, "Default of goals, radians; 0 is none.", 0, 10),
    Row("controller.goal_tolerance", 0.1, "Default of goals, radians; 0 is none.", 0, 10),
    Row("controller.goal_time", 1.0, "Default of goals, seconds; 0 waits for ever.", 0, 60),
    Row("controller.stopped_velocity", 0.2, "Arrived below this speed, rad/s; 0 is any.", 0, 10),
    Row("controller.stop_deceleration", 10.0, "Of the ramp after a cancel, rad/s².", 0.5, 50),
    Row("controller.stop_jerk", 250.0, "Of the ramp after a cancel, rad/s³.", 5, 5000),
    Row(
        "gripper.name", "gripper_controller",
        "Its action <name>/gripper_cmd is a ParallelGripperCommand.",
    ),
    Row(
        "gripper.action_name", "gripper_action_controller",
        "Its action <name>/gripper_cmd is a GripperCommand.",
    ),
    Row("gripper.speed", 0.06, "Of each finger, m/s.", 0.005, 0.2),
    Row("gripper.goal_tolerance", 0.001, "The goal is reached within this, metres.", 1e-4, 0.01),
    Row("gripper.stall_time", 0.2, "A jaw that stands this long has stalled, seconds.", 0.05, 5),
    Row("gripper.allow_stalling", True, "Whether a stall is a success, as holding is."),
)  # fmt: skip
_FAULTS = (
    Row(
        "fault.camera", "none", "For tests: the camera repeats its last picture, or is silent.",
        choices=("none", "frozen", "lost"),
    ),
    Row(
        "fault.controller_abort", False, "For tests: the arm's controller gives up every goal.",
    ),
    Row(
        "fault.gripper_limp", False, "For tests: the gripper has no force and drops things.",
    ),
)  # fmt: skip

TABLE = (*(replace(row, fixed=True) for row in _FIXED), *_FAULTS)


def sample_file() -> str:
    """Return the text of config/simulator.yaml."""
    made_by = "python3 -m roborefer_sim.nodes.parameters > config/simulator.yaml"
    return sample_yaml(TABLE, {}, "A UR5 cell with random things.", made_by)


if __name__ == "__main__":
    print(readme_table(TABLE) if "--readme" in sys.argv else sample_file(), end="")
