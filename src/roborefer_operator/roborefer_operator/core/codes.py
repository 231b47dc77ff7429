# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What an error code asks its caller to do (docs/conventions.md, "Error codes")."""

from __future__ import annotations

from enum import StrEnum

# The numbers are those of roborefer_msgs/ErrorCode; a test compares them.
SUCCESS = 0
CODES = {
    "TIMEOUT": 1, "BUSY": 2, "NOT_ACTIVE": 3, "SERVER_UNAVAILABLE": 4, "CANCELED": 70,
    "PREEMPTED": 71, "STOPPED": 72, "INVALID_GOAL": 73, "INTERNAL_ERROR": 99,
    "REFER_NOTHING_FOUND": 140, "REFER_AMBIGUOUS": 141, "REFER_LOW_CONFIDENCE": 142,
    "REFER_WRONG_KIND": 145, "REFER_STAMP_NOT_KEPT": 173, "ARM_REFERENCE_STALE": 201,
    "ARM_TARGET_MOVED": 210,
    "TASK_EFFECT_MISSING": 401, "TASK_SPLITTER_UNAVAILABLE": 402, "TASK_QUEUE_FULL": 403,
    "TASK_NOT_UNDERSTOOD": 440, "TASK_NO_ANTECEDENT": 441, "TASK_PRECONDITION_FAILED": 442,
    "TASK_STEP_FAILED": 443, "TASK_NOT_SUPPORTED": 470, "TASK_UNANSWERED": 471,
    "TASK_DECLINED": 472, "TASK_UNKNOWN_ID": 473, "TASK_NOT_ASKED": 474, "SPEECH_NO_AUDIO": 501,
    "SPEECH_ENGINE_UNAVAILABLE": 502, "SPEECH_NOT_UNDERSTOOD": 540, "SPEECH_UNSURE": 541,
    "SPEECH_INVALID_AUDIO": 570,
}  # fmt: skip
_SPAN, _FIRST_ASK, _FIRST_ABORT = 100, 40, 70


class Decision(StrEnum):
    """What to do next."""

    DONE = "done"
    RETRY = "retry"
    ASK = "ask"
    ABORT = "abort"


def decide(code: int) -> Decision:
    """Return what a code asks for; codes that are not known yet follow the same rule."""
    if code == SUCCESS:
        return Decision.DONE
    rest = code % _SPAN
    if rest >= _FIRST_ABORT:
        return Decision.ABORT
    return Decision.ASK if rest >= _FIRST_ASK else Decision.RETRY
