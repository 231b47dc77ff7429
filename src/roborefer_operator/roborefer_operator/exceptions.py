# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of this package; those about tasks and speech say which error code they become."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a task or an utterance ends: names of constants of roborefer_msgs/ErrorCode."""

    TIMEOUT = "TIMEOUT"
    BUSY = "BUSY"
    NOT_ACTIVE = "NOT_ACTIVE"
    SERVER_UNAVAILABLE = "SERVER_UNAVAILABLE"
    CANCELED = "CANCELED"
    PREEMPTED = "PREEMPTED"
    STOPPED = "STOPPED"
    INVALID_GOAL = "INVALID_GOAL"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    STAMP_NOT_KEPT = "REFER_STAMP_NOT_KEPT"
    EFFECT_MISSING = "TASK_EFFECT_MISSING"
    SPLITTER_UNAVAILABLE = "TASK_SPLITTER_UNAVAILABLE"
    QUEUE_FULL = "TASK_QUEUE_FULL"
    NOT_UNDERSTOOD = "TASK_NOT_UNDERSTOOD"
    NO_ANTECEDENT = "TASK_NO_ANTECEDENT"
    PRECONDITION_FAILED = "TASK_PRECONDITION_FAILED"
    STEP_FAILED = "TASK_STEP_FAILED"
    NOT_SUPPORTED = "TASK_NOT_SUPPORTED"
    UNANSWERED = "TASK_UNANSWERED"
    DECLINED = "TASK_DECLINED"
    UNKNOWN_ID = "TASK_UNKNOWN_ID"
    NOT_ASKED = "TASK_NOT_ASKED"
    NO_AUDIO = "SPEECH_NO_AUDIO"
    ENGINE_UNAVAILABLE = "SPEECH_ENGINE_UNAVAILABLE"
    SPEECH_NOT_UNDERSTOOD = "SPEECH_NOT_UNDERSTOOD"
    SPEECH_UNSURE = "SPEECH_UNSURE"
    INVALID_AUDIO = "SPEECH_INVALID_AUDIO"


class OperatorError(Exception):
    """Base of all errors of this package."""


class TaskFailure(OperatorError):
    """A task or an utterance cannot go on; the message names what and what would be right.

    Attributes:
        reason: What a caller decides from.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PictureError(OperatorError):
    """A picture cannot be read; the message says what is wrong with it."""


class RecordError(OperatorError):
    """A record or a file of samples cannot be read; the message names the file."""


class ConsoleError(OperatorError):
    """The console cannot do what a page, a parameter or a message wants; says what would do."""
