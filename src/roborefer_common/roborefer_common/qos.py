# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The QoS profiles of docs/conventions.md, by the names that they have there."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# A publisher that is reliable can be read by both kinds of subscribers.
SENSOR_OUT = QoSProfile(depth=5)
SENSOR_IN = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
EVENT = QoSProfile(depth=10)
COMMAND = QoSProfile(depth=1)
AUDIO = QoSProfile(depth=100)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# The end of one task must not be lost behind the beginning of the next.
TASK_STATUS = QoSProfile(depth=20, durability=DurabilityPolicy.TRANSIENT_LOCAL)
