# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine without weights: RGB-D to things and surfaces, a sentence to a program, a point."""
