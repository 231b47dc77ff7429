# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The part that needs no ROS: cameras, pictures, places, answers, following, calibration."""
