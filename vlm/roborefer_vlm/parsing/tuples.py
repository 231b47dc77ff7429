# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lists of tuples, as RoboPoint, RoboRefer and RoboTracer write them.

    answer = {words | list | tuple}
    list   = "[" [tuple {"," tuple}] "]"
    tuple  = "(" number {"," number} ")"

Parentheses and brackets around words are words. As soon as a number and a comma, or a tuple,
follows an opening one, it must be a tuple or list to its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.marks import MOST_POINTS, Mark
from roborefer_vlm.parsing.scanner import Scanner

_OPENING = re.compile(r"[(\[]")
# A number-like word and then a comma, or the end: "(2 red)" is words, "(5e-1, 0.5)" is not. One
# more parenthesis before it does not make it words.
_COORDINATES = re.compile(
    r"\([ \t\r\n]*+(?:\([ \t\r\n]*+)?+[+-]?+(?:\.?\d|nan\b|inf)[^\s,()\[\]]{0,64}+"
    r"[ \t\r\n]*+(?:,|$)",
    re.IGNORECASE,
)
# The same in brackets, which are no tuples, so that [0.5, 0.5] is refused and not passed over.
_BARE = re.compile(_COORDINATES.pattern.replace(r"\(", r"\[", 1), re.IGNORECASE)
_LIST = re.compile(r"\[[ \t\r\n]*+(?:\(|\])")


def read_tuples(answer: str, numbers: int = 2) -> Sequence[Mark] | None:
    """Return the points of all tuples in a text, or None if it is words only.

    Args:
        answer: The final answer.
        numbers: 2 for (x, y) and boxes, 3 for (u, v, distance).

    Raises:
        AnswerError: Something looks like coordinates and follows no grammar.
    """
    marks: list[Mark] = []
    found = False
    scanner = Scanner(answer)
    while opening := _OPENING.search(answer, scanner.at):
        scanner.at = opening.start()
        if _LIST.match(answer, scanner.at):
            found = True
            _read_list(scanner, marks, numbers)
        elif _COORDINATES.match(answer, scanner.at) or _BARE.match(answer, scanner.at):
            found = True
            _read_tuple(scanner, marks, numbers)
            if scanner.take("]"):
                raise AnswerError("a ']' follows a tuple without '[' before it")
        else:
            scanner.at += 1
    return marks if found else None


def _read_list(scanner: Scanner, marks: list[Mark], numbers: int) -> None:
    scanner.take("[")
    if scanner.take("]"):
        return
    _read_tuple(scanner, marks, numbers)
    while scanner.take(","):
        _read_tuple(scanner, marks, numbers)
    if not scanner.take("]"):
        raise AnswerError(f"',' or ']' is needed at {scanner.here()}")


def _read_tuple(scanner: Scanner, marks: list[Mark], numbers: int) -> None:
    if not scanner.take("("):
        raise AnswerError(f"a tuple such as (0.5, 0.5) is needed at {scanner.here()}")
    if len(marks) == MOST_POINTS:
        raise AnswerError(f"the answer has more than {MOST_POINTS} points")
    marks.append(Mark.of_numbers(scanner.numbers(")"), with_depth=numbers == 3))
