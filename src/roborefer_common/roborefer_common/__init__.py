# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of RoboRefer share: parameter tables, QoS profiles and waits."""
