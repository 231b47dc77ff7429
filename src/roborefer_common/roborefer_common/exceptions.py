# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of this package."""


class ParameterError(ValueError):
    """A parameter has a value that it cannot have; the message names both and what would do."""


class PictureError(ValueError):
    """A picture is not what it says, or of a kind that is not known; the message says which."""
