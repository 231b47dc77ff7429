# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Choices: which of two to four things is taller, nearer, more to the left.

Options are named, with or without letters, or are boxes drawn into the picture (RefSpatial's
"visual choice", arXiv 2506.04308). Boxes need no names, so they can be asked about where nobody
vouches that all things are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roborefer_vlm.data.examples import Example, Kind, Rejected, Wish
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions.asking import Draft, Look, Unasked, Wording, ask, sentence
from roborefer_vlm.data.questions.clear_choice import (
    SIZE_KEYS,
    First,
    clearly_first,
    inside_picture,
    known_keys,
)
from roborefer_vlm.data.questions.naming import names
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.scenes.program import OrderKey
from roborefer_vlm.scenes.relations import Relation

# Of two, and of more.
_WORDS: dict[OrderKey, tuple[str, str]] = {
    OrderKey.LEFT: ("more to the left", "the farthest to the left"),
    OrderKey.RIGHT: ("more to the right", "the farthest to the right"),
    OrderKey.NEAR: ("closer to {anchor}", "the closest to {anchor}"),
    OrderKey.FAR: ("farther from {anchor}", "the farthest from {anchor}"),
    OrderKey.HIGH: ("higher up", "the highest up"),
    OrderKey.LOW: ("lower down", "the lowest down"),
    OrderKey.TALL: ("taller", "the tallest"),
    OrderKey.SHORT: ("shorter", "the shortest"),
    OrderKey.BIG: ("bigger", "the biggest"),
    OrderKey.SMALL: ("smaller", "the smallest"),
    OrderKey.WIDE: ("wider", "the widest"),
    OrderKey.NARROW: ("narrower", "the narrowest"),
}
_PLAIN = (
    Wording("which", "Which is {more}, {listed}?"),
    Wording("which_one", "Which one is {more}: {listed}?"),
    Wording("tell", "Tell me which is {more}, {listed}."),
    Wording("held_out_say", "{listed}: say which of them is {more}."),
)
_LETTERED = (
    Wording("options", "Which is {more}? Choose one: {lettered}."),
    Wording("lines", "Which one is {more}?\n{lines}"),
    Wording("letter", "Which is {more}: {lettered}? Answer with the letter."),
    Wording("held_out_pick", "Pick the option that is {more}. {lettered}."),
)
_MARKED = (
    Wording("marked", "Which of the marked things is {more}, {listed}?"),
    Wording("drawn", "Some things are marked. Which mark is on the one that is {more}: {listed}?"),
    Wording("held_out_drawn", "Of what is marked, say what is {more}: {listed}."),
)
_MARKED_LETTERS = (
    Wording("marked_letters", "Which of the marked things is {more}: {letters}?"),
    Wording("marked_options", "Which marked thing is {more}? Choose one: {lettered}."),
    Wording("held_out_marked", "Pick the mark on the thing that is {more}: {letters}."),
)
# Names that are told by what is asked give the answer away.
_TELLING = {
    OrderKey.LEFT: Relation.LEFT,
    OrderKey.RIGHT: Relation.RIGHT,
    OrderKey.NEAR: Relation.NEAR,
    OrderKey.FAR: Relation.FAR,
    OrderKey.HIGH: Relation.ABOVE,
    OrderKey.LOW: Relation.BELOW,
    OrderKey.TALL: Relation.TALL,
    OrderKey.SHORT: Relation.SHORT,
    OrderKey.BIG: Relation.BIG,
    OrderKey.SMALL: Relation.SMALL,
    OrderKey.WIDE: Relation.WIDE,
    OrderKey.NARROW: Relation.THIN,
}
_PAINTS = (
    ("red", (235, 40, 40)),
    ("green", (20, 190, 60)),
    ("blue", (40, 90, 255)),
    ("yellow", (230, 185, 0)),
    ("pink", (255, 70, 200)),
    ("purple", (135, 50, 215)),
)
_LETTERS = "ABCD"
# Two options are what is asked most.
_COUNTS = (2, 2, 2, 3, 3, 4)
_MARKED_SHARE = 0.35
_ANCHORED_SHARE = 0.5
# Groups of options that are looked at before a question is given up.
_MOST_GROUPS = 6
# Share of the things seen inside a mark that its own thing has to cover.
_OWN_SHARE = 0.7


@dataclass(frozen=True)
class ChoiceMaker:
    """Asks which of several things is most of something; see the head of this module."""

    kind: Kind = Kind.CHOICE
    needs: frozenset[Fact] = frozenset()

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples and what was rejected; see `Maker.make`."""
        return ask(self.kind, shot, rng, wish, _compose)


def _compose(look: Look) -> Draft:
    named = look.trusts(Fact.COMPLETE) and not look.draw.chance(_MARKED_SHARE)
    key = look.draw.one(known_keys(look.view.trusts))
    count = look.draw.one(_COUNTS)
    seen = look.visible
    # Beside named things, what has no name may be a guess of a detector; where nothing is named,
    # as in scans without labels, all boxes are things alike.
    seen = [number for number in seen if look.view.nouns.get(number)] or seen
    anchor: int | None = None
    if named and key in (OrderKey.NEAR, OrderKey.FAR) and look.draw.chance(_ANCHORED_SHARE):
        anchor = look.draw.one(seen) if seen else None
    if not named:
        seen = [number for number in seen if _own_mark(look, number)]
    if key in SIZE_KEYS:
        seen = [number for number in seen if inside_picture(look.truth, number)]
    free = [number for number in seen if number != anchor]
    if len(free) < 2:
        raise Unasked("too few things")
    count = min(count, len(free))
    for _ in range(_MOST_GROUPS):
        options = look.draw.order(free)[:count]
        first = clearly_first(look.truth, key, options, anchor)
        if first is not None:
            # Which place holds the answer is drawn, not left to how the options came about.
            others = [number for number in options if number != first.id]
            placed, place = look.draw.among(first.id, others)
            values = dict(zip(options, first.values, strict=True))
            first = First(first.id, tuple(values[number] for number in placed), first.margin)
            write = _named if named else _marked
            return write(look, key, placed, place, first, anchor)
    raise Unasked("nothing clear")


def _named(
    look: Look,
    key: OrderKey,
    options: Sequence[int],
    place: int,
    first: First,
    anchor: int | None,
) -> Draft:
    """Ask about things by their names."""
    numbers = (*options, *(() if anchor is None else (anchor,)))
    found = names(look, numbers, _TELLING[key])
    words = [one.words for one in found[: len(options)]]
    more = _more(key, len(options), "the camera" if anchor is None else found[-1].words)
    lettered = look.draw.chance()
    wording = look.wording(_LETTERED if lettered else _PLAIN)
    facts = _facts(key, options, first, anchor) | {
        "phrases": [program_to_json(one.phrase) for one in found]
    }
    return Draft(
        _filled(wording, more, words),
        f"({_LETTERS[place]})" if lettered else words[place],
        facts,
        wording.name,
    )


def _marked(
    look: Look,
    key: OrderKey,
    options: Sequence[int],
    place: int,
    first: First,
    anchor: int | None,
) -> Draft:
    """Ask about things by coloured boxes around them."""
    paints = look.draw.order(_PAINTS)[: len(options)]
    lettered = look.draw.chance()
    wording = look.wording(_MARKED_LETTERS if lettered else _MARKED)
    # Where boxes stand on the table, a drawn one is called a frame.
    boxes = any("box" in noun for nouns in look.view.nouns.values() for noun in nouns)
    words = [f"the {name} {'frame' if boxes else 'box'}" for name, _ in paints]
    marks = [
        {"label": _LETTERS[i] if lettered else "", "box": _mark(look, number), "color": list(rgb)}
        for i, (number, (_, rgb)) in enumerate(zip(options, paints, strict=True))
    ]
    return Draft(
        _filled(wording, _more(key, len(options), "the camera"), words),
        f"({_LETTERS[place]})" if lettered else words[place],
        _facts(key, options, first, anchor) | {"marks": marks},
        wording.name,
    )


def _more(key: OrderKey, count: int, anchor: str) -> str:
    return _WORDS[key][count > 2].format(anchor=anchor)


def _filled(wording: Wording, more: str, words: Sequence[str]) -> str:
    letters = [f"({letter})" for letter in _LETTERS[: len(words)]]
    both = [f"{letter} {word}" for letter, word in zip(letters, words, strict=True)]
    lines = "\n".join(both)
    question = wording.text.format(
        more=more,
        listed=_either(words),
        letters=_either(letters),
        lettered=" ".join(both),
        lines="{lines}",
    )
    return sentence(question).replace("{lines}", f"\n{lines}").replace(" \n", "\n")


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _facts(
    key: OrderKey, options: Sequence[int], first: First, anchor: int | None
) -> dict[str, Any]:
    return {
        "relation": key.value,
        "frame": "viewer",
        "options": list(options),
        "target": first.id,
        "anchors": [] if anchor is None else [anchor],
        "values": [round(value, 4) for value in first.values],
        "margin": round(first.margin, 4),
    }


def _mark(look: Look, number: int) -> list[int]:
    """Return the box around the visible pixels of a thing: left, top, right, bottom."""
    mask = look.truth.thing(number).mask
    assert mask is not None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])]


def _own_mark(look: Look, number: int) -> bool:
    """Tell whether the box around a thing shows plainly which thing is meant."""
    left, top, right, bottom = _mark(look, number)
    part = np.s_[top : bottom + 1, left : right + 1]
    shown = {
        thing.id: int(np.count_nonzero(thing.mask[part]))
        for thing in look.view.scene.objects
        if thing.mask is not None
    }
    return shown[number] >= _OWN_SHARE * sum(shown.values())
