# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a transform."""


class TransformException(Exception):
    """Base of all transform errors."""


class ConnectivityException(TransformException):
    """The frames are in different trees."""


class LookupException(TransformException):
    """A frame is unknown, or the tree has a loop."""


class ExtrapolationException(TransformException):
    """The time lies outside of what is known; tf2 never extrapolates."""


class InvalidArgumentException(TransformException):
    """A frame id is empty or starts with a slash."""


class TimeoutException(TransformException):
    """The transform did not become available in time."""
