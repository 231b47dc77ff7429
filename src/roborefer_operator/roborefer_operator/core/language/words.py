# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The closed classes of words that decide how a sentence is split; everything else is data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto


class Pattern(Enum):
    """What a verb wants behind it."""

    TAKE = auto()
    PUT = auto()
    MOVE = auto()
    STACK = auto()
    HAND = auto()
    GO = auto()
    FIND = auto()


def _rows(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(row.split()) for row in text.split(","))


_VERBS = {
    Pattern.TAKE: "pick up, pick, grab, grasp, take, take hold of, lift up, lift, get, fetch,"
    " collect, hold",
    Pattern.PUT: "put down, put back, put, place, set down, set, lay down, lay, drop, leave,"
    " deposit, position, stand",
    Pattern.MOVE: "move, bring, shift, transfer, carry, relocate, slide",
    Pattern.STACK: "stack, pile",
    Pattern.HAND: "hand over, hand me, hand us, hand, give, pass, bring me, bring us, fetch me,"
    " get me",
    Pattern.GO: "go over to, go to, go, walk over to, walk to, walk, drive to, drive,"
    " navigate to, head to, move to, come to, approach",
    Pattern.FIND: "point to, point at, point out, point, show me, show, find, locate, look at,"
    " look for, where is, where are, where's, highlight, mark, identify, refer to",
}
# Longest first, so that "pick up" is not read as "pick".
VERBS: tuple[tuple[tuple[str, ...], Pattern], ...] = tuple(
    sorted(
        ((words, pattern) for pattern, text in _VERBS.items() for words in _rows(text)),
        key=lambda row: -len(row[0]),
    )
)

# Words before a verb that change nothing.
POLITE = _rows(
    "please, kindly, now, robot, hey robot, hello robot, ok robot, okay robot, ok, okay, first,"
    " next, finally, also, just, can you, could you, would you, will you, you should, i want you"
    " to, i would like you to, i'd like you to, i need you to, you can, let us, let's, try to,"
    " go and, go ahead and, so, well"
)
# Words behind a clause that change nothing.
TRAILING = _rows("please, now, for me, thanks, thank you, as well, too, again please, robot")

# Between clauses; "and" and "," count only in front of a verb.
SEQUENCE = _rows(
    "and then, then, after that, afterwards, and after that, and afterwards, next, and finally,"
    " finally, and also"
)

# Always begins the place, never belongs to the thing.
GOAL = _rows("into, onto, inside of")
# Begins the place of a verb of motion; may also tell where the thing is.
TOWARDS = _rows("over to, back to, to")
# Tells where something is: a thing or its place.
SITUATED = _rows(
    "on top of, on, in front of, in between, in, inside, between, next to, beside, near to, near,"
    " close to, by, behind, left of, right of, under, underneath, below, beneath, above, over,"
    " against, at, along, around, among, amid, opposite, across from, within, away from"
)
PREPOSITIONS = tuple(sorted((*GOAL, *TOWARDS, *SITUATED), key=lambda row: -len(row)))

RELATIVE = frozenset({"that", "which", "who", "whose", "where"})
# In front of these, "that" and "it" stand for a thing by themselves.
PRONOUNS = frozenset({"it", "that", "this", "them", "those", "these"})
DETERMINERS = frozenset({"the", "a", "an", "my", "your", "this", "that", "another", "one"})
PERSONS = frozenset({"me", "us", "him", "her"})

STOP = _rows(
    "stop, stop it, stop that, stop now, stop moving, halt, freeze, abort, cancel, cancel that,"
    " cancel it, do not move, don't move, emergency stop, stop stop, wait"
)
UNDO = _rows(
    "undo, undo that, undo it, undo the last step, put it back, put that back, reverse that,"
    " take that back"
)
AGAIN = _rows(
    "again, do it again, do that again, once more, one more time, repeat, repeat that, repeat it,"
    " same again, try again"
)
CONTINUE = _rows("continue, go on, carry on, resume, proceed, keep going")
CORRECTING = _rows(
    "no not that one, no not that, not that one, not that, no i meant, no i mean, i meant, i mean,"
    " no actually, actually no, actually, no instead, no rather, no the other way, wrong one,"
    " wrong, no no, no, nope, instead"
)

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*|[,;.!?:]")


@dataclass(frozen=True)
class Word:
    """A word of the sentence.

    Attributes:
        text: In lower case.
        begin: Of it in the sentence.
        end: Behind it.
    """

    text: str
    begin: int
    end: int


def words_of(sentence: str) -> list[Word]:
    """Split a sentence into words and marks."""
    return [
        Word(found[0].lower().replace("’", "'"), found.start(), found.end())
        for found in _WORD.finditer(sentence)
    ]


def starts(words: list[Word], at: int, phrases: tuple[tuple[str, ...], ...]) -> int:
    """Return the length of the longest of these phrases that begins here; 0 if none does."""
    longest = 0
    for phrase in phrases:
        size = len(phrase)
        if size > longest and tuple(w.text for w in words[at : at + size]) == phrase:
            longest = size
    return longest
