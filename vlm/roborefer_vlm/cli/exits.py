# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Exit codes of the command line."""

from __future__ import annotations

from roborefer_vlm.exceptions import AnswerError, EngineError, ReferringError, UnavailableError

DONE = 0
# Also what argparse exits with.
BAD_INPUT = 2
# Nothing found, ambiguous, not understood, or an answer that no grammar accepts.
NO_ANSWER = 3
UNAVAILABLE = 4
ENGINE_FAILED = 5
INTERRUPTED = 130


def code_of(error: ReferringError) -> int:
    """Return the exit code for an error."""
    match error:
        case UnavailableError():
            return UNAVAILABLE
        case AnswerError():
            return NO_ANSWER
        case EngineError():
            return ENGINE_FAILED
        case _:
            return BAD_INPUT
