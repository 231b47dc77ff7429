# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of the package; every message names the bad value and what would be right."""

from __future__ import annotations


class GraspingError(Exception):
    """Base class of everything this package raises on purpose."""


class RobotError(GraspingError, ValueError):
    """A robot is described with values that cannot be, or asked for by an unknown name."""


class PlanningError(GraspingError, ValueError):
    """A planning request cannot be used as it is; nothing was planned."""


class SceneError(GraspingError, ValueError):
    """A collision world cannot be built from what was given."""
