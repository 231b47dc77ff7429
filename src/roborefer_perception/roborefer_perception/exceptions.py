# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of this package; what ends a query says which error code it becomes."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a query ended without a place: names of constants of roborefer_msgs/ErrorCode."""

    TIMEOUT = "TIMEOUT"
    BUSY = "BUSY"
    NOT_ACTIVE = "NOT_ACTIVE"
    TRANSFORM_UNAVAILABLE = "TRANSFORM_UNAVAILABLE"
    CANCELED = "CANCELED"
    PREEMPTED = "PREEMPTED"
    INVALID_GOAL = "INVALID_GOAL"
    UNKNOWN_FRAME = "UNKNOWN_FRAME"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    NO_IMAGE = "REFER_NO_IMAGE"
    STALE_IMAGE = "REFER_STALE_IMAGE"
    SKEW_TOO_LARGE = "REFER_SKEW_TOO_LARGE"
    NO_CAMERA_INFO = "REFER_NO_CAMERA_INFO"
    IMAGE_FROM_FUTURE = "REFER_IMAGE_FROM_FUTURE"
    MODEL_UNAVAILABLE = "REFER_MODEL_UNAVAILABLE"
    MODEL_TIMEOUT = "REFER_MODEL_TIMEOUT"
    ANSWER_INVALID = "REFER_ANSWER_INVALID"
    NOTHING_FOUND = "REFER_NOTHING_FOUND"
    AMBIGUOUS = "REFER_AMBIGUOUS"
    LOW_CONFIDENCE = "REFER_LOW_CONFIDENCE"
    NO_VALID_DEPTH = "REFER_NO_VALID_DEPTH"
    OUTSIDE_WORKSPACE = "REFER_OUTSIDE_WORKSPACE"
    WRONG_KIND = "REFER_WRONG_KIND"
    UNSUPPORTED_IMAGE = "REFER_UNSUPPORTED_IMAGE"
    INVALID_INTRINSICS = "REFER_INVALID_INTRINSICS"
    MODEL_REFUSED = "REFER_MODEL_REFUSED"
    STAMP_NOT_KEPT = "REFER_STAMP_NOT_KEPT"


class PerceptionError(Exception):
    """Base of all errors of this package."""


class ReferFailure(PerceptionError):
    """A query cannot be answered; the message names the value and what would be right.

    Attributes:
        reason: What a caller decides from.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RecordingError(PerceptionError):
    """A recording cannot be played; the message names file and value."""


class CalibrationError(PerceptionError):
    """The samples do not determine the camera's pose; the message says what is missing."""
