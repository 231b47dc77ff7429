# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 over Zenoh, compatible with rmw_zenoh."""
