# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Spatial referring: from a picture and a sentence to points with reasons. Knows no ROS."""
