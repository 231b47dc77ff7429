# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The three kinds of clock a time can belong to."""

from __future__ import annotations

from enum import IntEnum


class ClockType(IntEnum):
    """ROS time follows /clock under use_sim_time; steady time only ever goes forward."""

    UNINITIALIZED = 0
    ROS_TIME = 1
    SYSTEM_TIME = 2
    STEADY_TIME = 3
