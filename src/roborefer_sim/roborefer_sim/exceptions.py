# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of the package; every message names the bad value and what would be right."""

from __future__ import annotations


class SimulationError(Exception):
    """Base class of everything this package raises on purpose."""


class LibraryError(SimulationError, ValueError):
    """A description of things is malformed, or asked for something it does not have."""


class SceneError(SimulationError, ValueError):
    """A scene cannot be built or settled as asked."""


class AssetError(SimulationError):
    """The description of a robot is not there, or is not what was expected."""


class RenderingError(SimulationError):
    """No way to render works on this machine."""
