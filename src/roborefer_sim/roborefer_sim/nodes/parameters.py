# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the simulator's parameters: declaration, checks and sample file come from it.

Type `python3 -m roborefer_sim.nodes.parameters` to print config/simulator.yaml, with `--readme`
the table of the README.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node


@dataclass(frozen=True)
class Row:
    """One parameter.

    Attributes:
        name: With its group.
        default: Decides the type.
        description: One sentence with the unit.
        low: Least value of a number.
        high: Greatest value of a number.
        choices: The only values allowed, if any.
        changeable: Whether it can be set while the node runs.
    """

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    choices: Sequence[str] = ()
    changeable: bool = False


TABLE = (
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
    Row("camera.position", [1.12, 0.0, 0.72], "Of the optical centre in world, metres."),
    Row("camera.target", [0.46, 0.0, 0.02], "A point on the optical axis in world, metres."),
    Row(
        "camera.depth_encoding", "16UC1", "16UC1 millimetres or 32FC1 metres.",
        choices=("16UC1", "32FC1"),
    ),
    Row("camera.distortion", [0.0] * 5, "k1, k2, p1, p2, k3 of the plumb_bob model."),
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
    Row(
        "fault.camera", "none", "For tests: the camera repeats its last picture, or is silent.",
        choices=("none", "frozen", "lost"), changeable=True,
    ),
    Row(
        "fault.controller_abort", False, "For tests: the arm's controller gives up every goal.",
        changeable=True,
    ),
    Row(
        "fault.gripper_limp", False, "For tests: the gripper has no force and drops things.",
        changeable=True,
    ),
)  # fmt: skip


def declare(node: Node) -> dict[str, Any]:
    """Declare all parameters on a node and return their values by name.

    Raises:
        ValueError: A closed parameter has a value that is none of its choices.
    """
    for row in TABLE:
        node.declare_parameter(row.name, row.default, _descriptor(row))
    values = {row.name: node.get_parameter(row.name).value for row in TABLE}
    check(values)
    return values


def check(values: dict[str, Any]) -> None:
    """Check what ranges cannot say.

    Raises:
        ValueError: A value is none of its parameter's choices, or a list has another length.
    """
    for row in TABLE:
        value = values.get(row.name, row.default)
        if row.choices and value not in row.choices:
            raise ValueError(f"{row.name} is '{value}'; it must be {' or '.join(row.choices)}")
        if isinstance(row.default, list) and len(value) != len(row.default):
            raise ValueError(f"{row.name} is {list(value)}; {len(row.default)} numbers are needed")


def _descriptor(row: Row) -> ParameterDescriptor:
    choices = f" One of: {', '.join(row.choices)}." if row.choices else ""
    descriptor = ParameterDescriptor(
        description=row.description + choices, read_only=not row.changeable
    )
    if row.low is not None and row.high is not None:
        if isinstance(row.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(row.low), to_value=int(row.high), step=0)
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(row.low), to_value=float(row.high), step=0.0)
            ]
    return descriptor


def sample_yaml() -> str:
    """Write a parameter file with every parameter at its default."""
    lines = [
        "# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors",
        "# SPDX-License-Identifier: Apache-2.0",
        "# Made by: python3 -m roborefer_sim.nodes.parameters > config/simulator.yaml",
        "/**:",
        "  ros__parameters:",
    ]
    for row in TABLE:
        limits = f" {row.low:g} to {row.high:g}." if row.low is not None else ""
        choices = f" One of: {', '.join(row.choices)}." if row.choices else ""
        lines += [
            f"    # {row.description}{limits}{choices}",
            f"    {row.name}: {json.dumps(row.default)}",
        ]
    return "\n".join(lines) + "\n"


def readme_table() -> str:
    """Write the table of the package's README."""
    lines = ["| parameter | default | range | meaning |", "|---|---|---|---|"]
    for row in TABLE:
        limits = f"{row.low:g} to {row.high:g}" if row.low is not None else ", ".join(row.choices)
        star = " *" if row.changeable else ""
        default = json.dumps(row.default)
        lines.append(f"| `{row.name}`{star} | `{default}` | {limits} | {row.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(readme_table() if "--readme" in sys.argv else sample_yaml(), end="")
