# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One clause: a verb, the words for a thing, and the words for a place."""

from __future__ import annotations

from roborefer_operator.core.language.steps import Step, Verb
from roborefer_operator.core.language.words import (
    DETERMINERS,
    GOAL,
    PERSONS,
    PREPOSITIONS,
    PRONOUNS,
    RELATIVE,
    SITUATED,
    TOWARDS,
    TRAILING,
    VERBS,
    Pattern,
    Word,
    starts,
)
from roborefer_operator.exceptions import Reason, TaskFailure

Steps = tuple[Step, ...]


def read_clause(sentence: str, words: list[Word]) -> list[Steps]:
    """Return the ways to read a clause, best first, at least one.

    Args:
        sentence: The whole of it, from which phrases are cut.
        words: The clause, without marks and politeness in front of it.

    Raises:
        TaskFailure: NOT_UNDERSTOOD.
    """
    for verb, pattern in VERBS:
        if tuple(w.text for w in words[: len(verb)]) == verb:
            rest = _without_trailing(words[len(verb) :])
            return _Clause(sentence, verb, rest).read(pattern)
    said = sentence[words[0].begin : words[-1].end]
    if words[0].text == "which" and {"is", "are"} & {word.text for word in words[2:-1]}:
        # "Which mug is nearest to the plate" names a thing only as a whole.
        return [(Step(Verb.REFER, said),)]
    raise TaskFailure(
        Reason.NOT_UNDERSTOOD,
        f"'{said}' begins with no known verb; use pick, put, place, move, bring, stack, hand me,"
        " go to, find, stop, undo or again",
    )


class _Clause:
    def __init__(self, sentence: str, verb: tuple[str, ...], rest: list[Word]) -> None:
        self.sentence, self.verb, self.rest = sentence, verb, rest

    def read(self, pattern: Pattern) -> list[Steps]:
        match pattern:
            case Pattern.TAKE:
                return self._take()
            case Pattern.PUT:
                return self._put()
            case Pattern.MOVE:
                return self._put()
            case Pattern.STACK:
                return self._stack()
            case Pattern.HAND:
                return self._hand()
            case Pattern.GO:
                return [(Step(Verb.GO_TO, self._text(_towards(self.rest), "where to go")),)]
            case Pattern.FIND:
                return [(Step(Verb.REFER, self._text(self.rest, "what to find")),)]

    def _take(self) -> list[Steps]:
        words = self.rest
        if words and words[-1].text in {"up", "out"}:
            words = words[:-1]
        # "take the mug to the kitchen" moves it; "take the mug on the tray" does not.
        for at in _openings(words, (*GOAL, *TOWARDS)):
            if at and not _relative_before(words, at):
                return self._put()
        targets = _several(words) or [[]]
        return [tuple(Step(Verb.PICK, self._text(t, "what to take")) for t in targets)]

    def _put(self) -> list[Steps]:
        """Pick what is named, unless it is held already, and place it."""
        words = self.rest
        down = [i for i, w in enumerate(words) if w.text in {"down", "back"} and i]
        if down and down[0] == len(words) - 1:
            words, down = words[:-1], []
        elif down and _place_begins(words, down[0] + 1):
            target, place = words[: down[0]], words[down[0] + 1 :]
            return [self._moves(target, place)]
        found = [self._moves(words[:at], words[at:]) for at in _splits(words)]
        if found:
            return found
        if "down" in self.verb or words != self.rest or self.verb in {("drop",), ("lay",)}:
            # "Put it down" names no place: anywhere free on what things stand on will do.
            return [self._moves(words, [])]
        thing = self.sentence[words[0].begin : words[-1].end] if words else "it"
        raise TaskFailure(
            Reason.NOT_UNDERSTOOD,
            f"where to {' '.join(self.verb)} '{thing}' is not said; add a place such as 'left of"
            " the plate', 'into the bowl' or 'down'",
        )

    def _moves(self, target: list[Word], place: list[Word]) -> Steps:
        steps: list[Step] = []
        last = Step(Verb.PLACE, ANYWHERE)
        if place:
            where = _towards(place)
            to_person = len(where) == 1 and where[0].text in PERSONS
            last = (
                Step(Verb.HAND_OVER)
                if to_person
                else Step(Verb.PLACE, self._text(where, "where to put it"))
            )
        for each in _several(target) or [[]]:
            # Whether "it" is held already is for who resolves the pronoun.
            steps += [Step(Verb.PICK, self._text(each, "what to move") if each else "it"), last]
        return tuple(steps)

    def _stack(self) -> list[Steps]:
        found = [self._moves(self.rest[:at], self.rest[at:]) for at in _splits(self.rest)]
        if found:
            return found
        parts = _several(self.rest)
        if len(parts) < 2:
            raise TaskFailure(
                Reason.NOT_UNDERSTOOD,
                f"what to stack on what is not said in '{self.sentence.strip()}'; say 'stack the"
                " red block on the blue block'",
            )
        steps: list[Step] = []
        # "Stack a, b and c": the first one stays, each next one goes on the one before it.
        below = self._text(parts[0], "what to stack")
        for part in parts[1:]:
            top = self._text(part, "what to stack")
            steps += [Step(Verb.PICK, top), Step(Verb.PLACE, f"on {below}")]
            below = top
        return [tuple(steps)]

    def _hand(self) -> list[Steps]:
        words = self.rest
        if words and words[0].text in PERSONS:
            words = words[1:]
        if len(words) >= 2 and words[-2].text == "to" and words[-1].text in PERSONS:
            words = words[:-2]
        if words and words[-1].text == "over":
            words = words[:-1]
        return [(Step(Verb.PICK, self._text(words, "what to hand over")), Step(Verb.HAND_OVER))]

    def _text(self, words: list[Word], what: str) -> str:
        if not words:
            raise TaskFailure(
                Reason.NOT_UNDERSTOOD,
                f"{what} is not said in '{self.sentence.strip()}'; name it, such as 'the red mug'",
            )
        return self.sentence[words[0].begin : words[-1].end]


# Where things go when no place is said.
ANYWHERE = "an empty area on the table"


_SPACES = frozenset(["space", "spot", "place", "area", "gap", "region", "position", "location"])


def _towards(words: list[Word]) -> list[Word]:
    """Take off a bare "to", which is a direction and no part of what is referred to.

    "Into the free space between ..." loses its "into" as well: the space itself is meant.
    """
    size = starts(words, 0, (("in",), ("into",), ("onto",), ("on",), ("at",)))
    if (
        size
        and _SPACES & {w.text for w in words[size : size + 4]}
        and words[size].text in DETERMINERS
    ):
        until = next(i for i, w in enumerate(words) if w.text in _SPACES)
        if not _openings(words[size:until], PREPOSITIONS):
            return words[size:]
    for opening in (("over", "to"), ("back", "to"), ("to",)):
        size = len(opening)
        if tuple(w.text for w in words[:size]) == opening:
            following = [w.text for w in words[size : size + 2]]
            sided = following[:1] == ["the"] and following[1:] in (["left"], ["right"], ["side"])
            # "to the left of the plate" is a phrase of its own, "to the plate" is "the plate".
            return words if sided and size == 1 else words[size:]
    return words


def _splits(words: list[Word]) -> list[int]:
    """Return where the words for the place may begin, best first."""
    if words and words[0].text in PRONOUNS and not _is_determiner(words):
        # "Put it ten centimeters left of the mug": the place may begin with a measure.
        measured = any(
            starts(words, at, PREPOSITIONS) and _with_measure(words, at) == 1
            for at in range(2, min(5, len(words)))
        )
        return [1] if len(words) > 1 and (measured or _place_begins(words, 1)) else []
    if len(words) > 1 and words[-1].text in {"there", "here"}:
        over = words[-2].text in {"over", "back", "right"} and len(words) > 2
        return [len(words) - 2 if over else len(words) - 1]
    goals = [at for at in _openings(words, GOAL) if at]
    if goals:
        return goals[:1]
    free = [at for at in _openings(words, PREPOSITIONS) if at and not _inside_pair(words, at)]
    outside = [at for at in free if not _relative_before(words, at)]
    towards = [at for at in outside if starts(words, at, TOWARDS)]
    weak = [at for at in outside if starts(words, at, SITUATED)]
    # The words behind "that is ..." belong to the thing, unless nothing else can be the place.
    late = [at for at in free if at not in outside]
    found = [_with_measure(words, at) for at in (*reversed(towards), *weak, *reversed(late))]
    return [at for at in found if at and words[at - 1].text not in _HANGING]


# No words for a thing end with these.
_HANGING = frozenset({"is", "are", "was", "and", "not", *RELATIVE})
_MEASURES = (
    ("just",),
    ("immediately",),
    ("right",),
    ("a", "bit"),
    ("a", "little"),
    ("a", "little", "bit"),
    ("slightly",),
    ("directly",),
)
_UNITS = frozenset(
    {
        "mm", "cm", "dm", "m", "millimeter", "millimeters", "millimetre", "millimetres",
        "centimeter", "centimeters", "centimetre", "centimetres", "meter", "meters",
        "metre", "metres", "inch", "inches",
    }
)  # fmt: skip
_NUMBERS = frozenset(
    {
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve", "fifteen", "twenty", "thirty", "forty", "fifty",
    }
)  # fmt: skip


def _with_measure(words: list[Word], at: int) -> int:
    """Begin a place before "10 cm" or "a bit", which tell how far to the side it is."""
    for size in (3, 2, 1):
        if at >= size + 1 and starts(words, at - size, _MEASURES) == size:
            # "Right behind the plate" is a place, "the cup on the right" tells which cup.
            told = words[at - size - 1].text in ("the", "on", "to")
            return at if told else at - size
    if at > 2 and words[at - 1].text in _UNITS:
        number = words[at - 2].text
        return at - 2 if number[0].isdigit() or number in _NUMBERS else at
    return at


def _openings(words: list[Word], phrases: tuple[tuple[str, ...], ...]) -> list[int]:
    """Return where a preposition begins, those inside a longer one left out."""
    found, at = [], 0
    while at < len(words):
        size = starts(words, at, PREPOSITIONS)
        # "to the left of" is one opening, not two.
        if size and words[at].text == "to" and starts(words, at + 1, (("the",),)):
            sided = starts(words, at + 2, (("left", "of"), ("right", "of")))
            size = size + 1 + sided if sided else size
        if size and starts(words, at, phrases):
            found.append(at)
        at += size or 1
    return found


def _place_begins(words: list[Word], at: int) -> bool:
    if starts(words, at, PREPOSITIONS):
        return True
    at += starts(words, at, _MEASURES)
    there = at < len(words) and words[at].text in {"there", "here"}
    return there or bool(starts(words, at, PREPOSITIONS))


def _relative_before(words: list[Word], at: int) -> bool:
    return any(
        w.text in RELATIVE and i and words[i - 1].text not in {"and"} and i + 1 < at
        for i, w in enumerate(words[:at])
    ) or (at >= 2 and words[at - 1].text in RELATIVE)


def _inside_pair(words: list[Word], at: int) -> bool:
    """Whether this preposition stands between "between" and the "and" that belongs to it."""
    open_pairs = 0
    for word in words[:at]:
        open_pairs += word.text == "between"
        open_pairs -= word.text == "and" and open_pairs > 0
    return open_pairs > 0


def _is_determiner(words: list[Word]) -> bool:
    """Whether "that" or "this" belongs to a noun behind it, as in "that red mug"."""
    return (
        words[0].text in {"that", "this", "those", "these"}
        and len(words) > 1
        and not _place_begins(words, 1)
    )


def _several(words: list[Word]) -> list[list[Word]]:
    """Split "the mug, the bowl and the can" into things; "between a and b" is not split."""
    parts: list[list[Word]] = [[]]
    for at, word in enumerate(words):
        following = words[at + 1].text if at + 1 < len(words) else ""
        after = words[at + 2].text if at + 2 < len(words) else ""
        if word.text in {",", "and"} and not _inside_pair(words, at):
            if following in DETERMINERS or (following == "and" and after in DETERMINERS):
                parts.append([])
                continue
            if word.text == ",":
                continue
        parts[-1].append(word)
    return [part for part in parts if part]


def _without_trailing(words: list[Word]) -> list[Word]:
    while words:
        for size in (3, 2, 1):
            if len(words) >= size and starts(words, len(words) - size, TRAILING) == size:
                words = words[:-size]
                break
        else:
            break
    while words and words[-1].text in {",", ".", "!", "?"}:
        words = words[:-1]
    return words
