# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulator without ROS: things, scenes, physics, cameras and their flaws."""
