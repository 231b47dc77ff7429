# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Points as tags, as Molmo writes them (arXiv 2409.17146).

    answer    = {words | tag}
    tag       = ("<point" | "<points") {attribute} ("/>" | ">" words "</point" ["s"] ">")
    attribute = name "=" quote text quote

A <point> has x and y, a <points> has x1, y1, x2, y2 and so on without gaps. There are no
entities, no nested tags and no document: this is no XML parser.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.marks import LONGEST_LABEL, MOST_POINTS, Mark
from roborefer_vlm.parsing.scanner import Scanner

_TAG = re.compile(r"<(/?+)(points?+)\b")
_NAME = re.compile(r"[ \t\r\n]++([a-z]{1,16}+[0-9]{0,4}+)[ \t]*+=[ \t]*+([\"'])")


def read_xml(answer: str) -> Sequence[Mark] | None:
    """Return the points of all tags in a text, or None if it is words only.

    Raises:
        AnswerError: A tag follows no grammar.
    """
    marks: list[Mark] = []
    scanner = Scanner(answer)
    found = False
    while tag := _TAG.search(answer, scanner.at):
        if tag.group(1):
            raise AnswerError(f"'{tag.group()}>' closes no tag")
        found = True
        scanner.at = tag.end()
        marks.extend(_read_tag(scanner, tag.group(2)))
        if len(marks) > MOST_POINTS:
            raise AnswerError(f"the answer has more than {MOST_POINTS} points")
    return marks if found else None


def _read_tag(scanner: Scanner, name: str) -> list[Mark]:
    attributes = _read_attributes(scanner)
    label = attributes.pop("alt", "")[:LONGEST_LABEL]
    if not scanner.take("/>"):
        _read_words(scanner, name)
    keys = (
        [("x", "y")]
        if "x" in attributes
        else [(f"x{i}", f"y{i}") for i in range(1, len(attributes) // 2 + 1)]
    )
    wanted = {key for pair in keys for key in pair}
    if not keys or wanted != attributes.keys():
        raise AnswerError(
            f"<{name}> has attributes {sorted(attributes)[:8]}; x and y, or x1, y1, x2, y2 and"
            " so on, are right"
        )
    return [
        Mark(_coordinate(attributes[x]), _coordinate(attributes[y]), label=label) for x, y in keys
    ]


def _read_attributes(scanner: Scanner) -> dict[str, str]:
    attributes: dict[str, str] = {}
    while match := _NAME.match(scanner.text, scanner.at):
        name, quote = match.groups()
        end = scanner.text.find(quote, match.end())
        if end < 0:
            raise AnswerError(f"the value of attribute '{name}' does not end")
        if name in attributes:
            raise AnswerError(f"attribute '{name}' stands twice in one tag")
        if len(attributes) > 2 * MOST_POINTS + 1:
            raise AnswerError(f"a tag has more than {MOST_POINTS} points")
        attributes[name] = scanner.text[match.end() : end]
        scanner.at = end + 1
    return attributes


def _read_words(scanner: Scanner, name: str) -> None:
    if not scanner.take(">"):
        raise AnswerError(f"an attribute, '>' or '/>' is needed at {scanner.here()}")
    scanner.at = scanner.text.find("<", scanner.at)
    if scanner.at < 0 or not scanner.take(f"</{name}>"):
        raise AnswerError(f"<{name}> is not closed by </{name}>")


def _coordinate(text: str) -> float:
    scanner = Scanner(text)
    value = scanner.number()
    scanner.skip_space()
    if not scanner.done:
        raise AnswerError(f"attribute value {text[:40]!r} is not one number")
    return value
