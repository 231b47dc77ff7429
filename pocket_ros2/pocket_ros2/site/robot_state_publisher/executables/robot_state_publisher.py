# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The robot_state_publisher node."""

from __future__ import annotations

import sys
from typing import Any

import rclpy
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from robot_state_publisher._urdf import Joint, parse
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

_DEFAULTS = {
    "robot_description": "",
    "publish_frequency": 20.0,
    "ignore_timestamp": False,
    "frame_prefix": "",
}


class RobotStatePublisher(Node):
    """Turns joint positions into frames.

    Subscribes joint_states (sensor_msgs/JointState). Publishes /tf, /tf_static (fixed joints) and
    robot_description (std_msgs/String, latched). Parameters: robot_description (URDF text),
    publish_frequency (most frames per second and joint), ignore_timestamp (publish each message,
    in whatever order they are stamped), frame_prefix (put before every frame id as it is).
    """

    def __init__(self) -> None:
        super().__init__("robot_state_publisher")
        self._published: dict[str, int] = {}
        self._last_message = 0
        self._tf = TransformBroadcaster(self)
        self._tf_static = StaticTransformBroadcaster(self)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._description = self.create_publisher(String, "robot_description", latched)
        self._use({key: self.declare_parameter(key, at).value for key, at in _DEFAULTS.items()})
        self.create_subscription(JointState, "joint_states", self._on_joints, 10)
        self.add_on_set_parameters_callback(self._on_parameters)

    def _use(self, values: dict[str, Any]) -> None:
        """Take over parameters, all or none.

        Raises:
            ValueError: The description or the frequency makes no sense.
        """
        if not 0.0 <= values["publish_frequency"] <= 1000.0:
            frequency = values["publish_frequency"]
            raise ValueError(f"publish_frequency must be between 0 and 1000, it is {frequency}")
        self._joints = parse(values["robot_description"])
        self._values = values
        self._published.clear()
        self._description.publish(String(data=values["robot_description"]))
        now = self.get_clock().now().to_msg()
        fixed = (joint for joint in self._joints.values() if joint.kind == "fixed")
        self._tf_static.sendTransform([self._transform(joint, 0.0, now) for joint in fixed])

    def _on_parameters(self, parameters: list[Any]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in _DEFAULTS}
        try:
            if changes:
                self._use(self._values | changes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_joints(self, state: JointState) -> None:
        if len(state.name) != len(state.position):
            self.get_logger().warning(
                f"ignored a JointState message with {len(state.name)} names and "
                f"{len(state.position)} positions",
                throttle_duration_sec=2.0,
            )
            return
        now = self.get_clock().now().nanoseconds
        if now < self._last_message:
            self.get_logger().warning("Moved backwards in time, re-publishing joint transforms!")
            self._published.clear()
        self._last_message = now
        stamp = Time.from_msg(state.header.stamp).nanoseconds
        frequency = 0.0 if self._values["ignore_timestamp"] else self._values["publish_frequency"]
        oldest = min((self._published.get(name, 0) for name in state.name), default=now)
        if frequency and stamp < oldest + 1e9 / frequency:
            return
        self._published.update(dict.fromkeys(state.name, stamp))
        positions = dict(zip(state.name, state.position, strict=True))
        for joint in self._joints.values():
            if joint.mimic is not None and joint.mimic.joint in positions:
                followed = positions[joint.mimic.joint]
                positions[joint.name] = followed * joint.mimic.multiplier + joint.mimic.offset
        moving = [joint for joint in self._joints.values() if joint.moves]
        self._tf.sendTransform(
            [
                self._transform(joint, positions[joint.name], state.header.stamp)
                for joint in moving
                if joint.name in positions
            ]
        )

    def _transform(self, joint: Joint, position: float, stamp: Any) -> TransformStamped:
        prefix = self._values["frame_prefix"]
        message = TransformStamped(child_frame_id=prefix + joint.child)
        message.header.frame_id, message.header.stamp = prefix + joint.parent, stamp
        move, turn = message.transform.translation, message.transform.rotation
        pose = joint.child_pose(position)
        move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w = pose
        return message


def main() -> int:
    """Run the node; 1 when the description or a parameter is refused."""
    with rclpy.init(args=sys.argv):
        try:
            rclpy.spin(RobotStatePublisher())
        except (KeyboardInterrupt, ExternalShutdownException):
            return 0
        except ValueError as error:
            print(f"robot_state_publisher: {error}", file=sys.stderr)
            return 1
    return 0
