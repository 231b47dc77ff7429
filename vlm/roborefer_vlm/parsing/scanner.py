# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A cursor over a text that only moves forward, and the one grammar of a number.

Everything that reads what a model wrote is built from these few moves. Each looks at every
character a bounded number of times, so reading takes linear time whatever the text.

    number = [sign] digit {digit} ["." {digit}]        ASCII digits, no exponent
"""

from __future__ import annotations

import re

from roborefer_vlm.exceptions import AnswerError

# Longer than any coordinate that a model means; keeps numbers within what a float holds.
LONGEST_NUMBER = 24
SHOWN = 40

_NUMBER = re.compile(r"[+-]?[0-9]++(?:\.[0-9]*+)?+(?![0-9A-Za-z_.])", re.ASCII)
_SPACE = re.compile(r"[ \t\r\n]*+")


class Scanner:
    """A place in a text.

    Attributes:
        text: What is read.
        at: Index of the next character.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at

    @property
    def done(self) -> bool:
        """Tell whether nothing is left."""
        return self.at >= len(self.text)

    def skip_space(self) -> None:
        """Move over blanks, tabs and line ends."""
        match = _SPACE.match(self.text, self.at)
        assert match is not None  # An empty match counts.
        self.at = match.end()

    def take(self, token: str) -> bool:
        """Move over leading space and this token, or stay and return False."""
        start = self.at
        self.skip_space()
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        self.at = start
        return False

    def number(self) -> float:
        """Move over space and one number and return it; finite always.

        Raises:
            AnswerError: Something else stands here.
        """
        self.skip_space()
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            raise AnswerError(f"a plain decimal number is needed at {self.here()}")
        if match.end() - match.start() > LONGEST_NUMBER:
            raise AnswerError(
                f"the number at {self.here()} is longer than {LONGEST_NUMBER} characters"
            )
        self.at = match.end()
        return float(match.group())

    def numbers(self, closing: str) -> tuple[float, ...]:
        """Move over `number {"," number} closing` and return the numbers.

        Raises:
            AnswerError: Something else stands here.
        """
        values = [self.number()]
        while self.take(","):
            values.append(self.number())
        if not self.take(closing):
            raise AnswerError(f"',' or '{closing}' is needed at {self.here()}")
        return tuple(values)

    def here(self) -> str:
        """Quote the next few characters, for messages."""
        rest = self.text[self.at : self.at + SHOWN]
        return repr(rest) if rest else "the end of the text"
