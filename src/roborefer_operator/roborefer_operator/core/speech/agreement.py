# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How far two sentences agree, word by word."""

from __future__ import annotations

from collections.abc import Sequence


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the least number of words to replace, add and leave out."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(heard, 1):
            least = min(before + (word != other), row[at] + 1, row[at - 1] + 1)
            before, row[at] = row[at], least
    return row[-1]


def agreement(one: str, other: str) -> float:
    """Return the share of words in which two sentences agree, 0 to 1."""
    first, second = one.split(), other.split()
    longest = max(len(first), len(second))
    return 1.0 - word_errors(first, second) / longest if longest else 1.0
