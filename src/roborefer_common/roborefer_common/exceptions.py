# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of this package."""


class ParameterError(ValueError):
    """A parameter has a value that it cannot have; the message names both and what would do."""
