# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line `pocket-ros2`: the everyday verbs of `ros2`, with the same words."""
