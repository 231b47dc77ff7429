# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where views with known scenes come from: a simulator, scans with boxes, photographs."""
