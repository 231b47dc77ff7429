# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person answers to a question of the robot: yes, no, a number, a side, or other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from roborefer_operator.core.language.words import words_of


class ReplyKind(IntEnum):
    """The ways to answer: the constants of roborefer_msgs/AnswerQuestion."""

    NO = 0
    YES = 1
    CANDIDATE = 2
    WORDS = 3
    PIXEL = 4


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        kind: In which way.
        candidate: Its number, from 1; 0 where none is chosen.
        text: WORDS: what was said.
        is_place: WORDS: whether they name a place.
    """

    kind: ReplyKind
    candidate: int = 0
    text: str = ""
    is_place: bool = False


_YES = frozenset(
    {
        "yes", "yeah", "yep", "yup", "ok", "okay", "sure", "correct", "right", "exactly",
        "confirm", "confirmed", "go", "go ahead", "do it", "yes please", "of course",
        "that's right", "try again", "again", "continue", "go on", "proceed",
    }
)  # fmt: skip
_NO = frozenset(
    {
        "no", "nope", "nah", "don't", "do not", "never mind", "forget it", "leave it",
        "no thanks", "give up", "neither", "none", "none of them", "wrong",
    }
)  # fmt: skip
_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "one|first|1|1st", "two|second|2|2nd", "three|third|3|3rd", "four|fourth|4|4th",
            "five|fifth|5|5th", "six|sixth|6|6th", "seven|seventh|7|7th", "eight|eighth|8|8th",
            "nine|ninth|9|9th",
        ), 1,
    )
    for word in words.split("|")
}  # fmt: skip
_FILLERS = frozenset(
    {
        "the", "number", "one", "please", "candidate", "option", "no.", "nr", "take", "i",
        "mean", "meant", "want",
    }
)  # fmt: skip
_SIDES = frozenset({"left", "leftmost", "right", "rightmost", "middle", "center", "centre"})


def read_reply(text: str, columns: Sequence[float] = ()) -> Reply:
    """Read an answer.

    Args:
        text: What was typed or said.
        columns: Of the candidates in the image, in their order; empty when there are none.
    """
    words = [w.text for w in words_of(text) if w.text not in set(",;.!?:")]
    said = " ".join(words)
    if columns:
        bare = [w for w in words if w not in _FILLERS] or [w for w in words if w in _NUMBERS]
        if len(bare) == 1:
            number = _number(bare[0], columns)
            if number:
                return Reply(ReplyKind.CANDIDATE, number)
    if said in _YES or (words[:1] and words[0] in _YES and words[1:] in (["please"], ["it"])):
        return Reply(ReplyKind.YES)
    if said in _NO:
        return Reply(ReplyKind.NO)
    return Reply(ReplyKind.WORDS, text=text.strip())


def _number(word: str, columns: Sequence[float]) -> int:
    """Return the number of the candidate that a word names; 0 if it names none."""
    if word in _NUMBERS:
        return _NUMBERS[word] if _NUMBERS[word] <= len(columns) else 0
    if word == "last":
        return len(columns)
    if word not in _SIDES:
        return 0
    order = sorted(range(len(columns)), key=lambda index: columns[index])
    if word.startswith("left"):
        return order[0] + 1
    if word.startswith("right"):
        return order[-1] + 1
    # There is a middle one only among an odd number.
    return order[len(order) // 2] + 1 if len(order) % 2 else 0
