# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How a check ended; the value is its sign."""

    GOOD = "✓"
    BAD = "✗"
    # Not good, and not needed for what was asked about.
    NOTE = "–"


@dataclass(frozen=True)
class Check:
    """One row of the doctor's table.

    Attributes:
        what: What was looked at.
        state: How it is.
        found: What was found.
        next_step: What to do about it, or "".
    """

    what: str
    state: State
    found: str
    next_step: str = ""
