# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Two pictures of one scene: finding again, telling apart, and how the camera moved.

- match: what the second picture shows as "the leftmost mug" is pointed at in the first one;
- same: whether "the leftmost mug" of one picture is "the mug closest to the camera" of the other;
- both: which of several things is seen in both pictures, or in only one of them;
- motion: whether the camera moved to the left or to the right.

As everywhere, points lie in the first picture that is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from roborefer_vlm.data.balance import Draw
from roborefer_vlm.data.clarity import NO
from roborefer_vlm.data.examples import Example, Kind, Rejected, Wish
from roborefer_vlm.data.meaning import means_only
from roborefer_vlm.data.paraphrasing import Words
from roborefer_vlm.data.phrases import referring
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions.asking import (
    TRIES,
    Draft,
    Look,
    Unasked,
    Wording,
    point_answer,
    sentence,
    yes_or_no,
)
from roborefer_vlm.data.questions.clear_motion import moved_sideways
from roborefer_vlm.data.truth import Truth, truth_of
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.scenes.program import OrderKey, Thing

# What the two pictures are called.
_PICTURES = (
    ("the first picture", "the second picture"),
    ("the first image", "the second image"),
    ("image 1", "image 2"),
)
_MATCH = (
    Wording("match", "In {a}, point to what is {x} in {b}."),
    Wording("find", "Find {x} of {b}, and point to it in {a}."),
    Wording("where", "Both pictures show one scene. Where in {a} is what {b} shows as {x}?"),
    Wording("elsewhere", "{b} was taken from elsewhere. Point to its {bare} in {a}."),
    Wording("held_out_again", "Look for {x} in {b}. Now show the same thing in {a}."),
)
_SAME = (
    Wording("same", "Is {x} in {a} the same thing as {y} in {b}?"),
    Wording("one", "Are {x} of {a} and {y} of {b} one and the same?"),
    Wording("held_out_called", "Do {x} in {a} and {y} in {b} mean one thing?"),
)
_BOTH = (
    Wording("both", "Which of these can be seen in both pictures: {listed}?"),
    Wording("both_show", "What do {a} and {b} both show? {listed}."),
    Wording("held_out_twice", "Say which one appears in {a} and in {b}: {listed}."),
)
_ONCE = (
    Wording("once", "Which of these can be seen in only one of the two pictures: {listed}?"),
    Wording("once_shows", "What does only one of {a} and {b} show? {listed}."),
    Wording("held_out_lost", "Say which one is missing in {a} or in {b}: {listed}."),
)
_MOTION = (
    Wording("motion", "From {a} to {b}, did the camera move to the {p} or to the {q}?"),
    Wording("went", "Was {b} taken from farther to the {p} or to the {q} than {a}?"),
    Wording("letters", "Where did the camera go between {a} and {b}? (A) {p} (B) {q}"),
    Wording("held_out_stand", "Compared with {a}, where stood the camera for {b}, {p} or {q}?"),
)
_LETTERS = "ABC"
# These depend on where the camera stands.
_FROM_HERE = frozenset(
    {OrderKey.LEFT, OrderKey.RIGHT, OrderKey.MIDDLE, OrderKey.NEAR, OrderKey.FAR}
)
# How often a phrase may be one that means the thing in both pictures alike.
_SAME_WORDS = 0.35
# How often there are two wrong options.
_THREE = 0.4


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two looks at a scene, and what the pictures are called."""

    first: Look
    second: Look
    a: str
    b: str

    @property
    def draw(self) -> Draw:
        return self.first.draw

    def asked(self, wording: Wording, **slots: str) -> str:
        return sentence(wording.text.format(a=self.a, b=self.b, **slots))


@dataclass(frozen=True)
class MultiViewMaker:
    """Asks about two views of a scene; see the head of this module."""

    kind: Kind = Kind.MULTI_VIEW
    needs: frozenset[Fact] = frozenset({Fact.COMPLETE})

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples and what was rejected; see `Maker.make`."""
        if len(shot.views) < 2:
            yield Rejected(self.kind, "one view only")
            return
        draw, made, known = Draw(rng), 0, set()
        for _ in range(TRIES * wish.most):
            if made == wish.most:
                return
            places = tuple(int(i) for i in rng.permutation(len(shot.views))[:2])
            words = Words(rng, wish.phrasings)
            looks = [
                Look(shot.views[i], truth_of(shot.views[i]), draw, wish.phrasings, words)
                for i in places
            ]
            try:
                draft = draw.one(_SORTS)(_Pair(looks[0], looks[1], *draw.one(_PICTURES)))
            except Unasked as reason:
                yield Rejected(self.kind, str(reason))
                continue
            if (places, draft.question) in known:
                yield Rejected(self.kind, "asked already")
                continue
            known.add((places, draft.question))
            keys = "+".join(shot.views[i].key for i in places)
            yield Example(
                f"{keys}-{self.kind}-{made}",
                self.kind,
                places,
                draft.question,
                draft.answer,
                point=draft.point,
                facts=draft.facts,
                phrasing=draft.phrasing,
            )
            made += 1


def _match(pair: _Pair) -> Draft:
    """Point in the first picture at what the second one's words mean."""
    first, second, draw = pair.first.truth, pair.second.truth, pair.draw
    shared = [number for number in pair.first.visible if second.visible(number)]
    alike = draw.chance(_SAME_WORDS)
    for number in shared:
        for phrase in _phrases(second, number, draw, 2 if draw.chance(0.3) else 1):
            # Words that mean the same in both pictures can be answered from one of them.
            if means_only(first, phrase, number) and not alike:
                continue
            point = first.point(number)
            assert point is not None
            wording = pair.first.wording(_MATCH)
            words = pair.first.words.thing(phrase)
            question = pair.asked(wording, x=words, bare=words.removeprefix("the "))
            facts = {
                "sort": "match",
                "target": number,
                "phrases": [program_to_json(phrase)],
                "phrase_views": [1],
            }
            return Draft(question, point_answer(*point), facts, wording.name, point)
    raise Unasked("nothing in both pictures" if not shared else "not unique")


def _same(pair: _Pair) -> Draft:
    """Ask whether two phrases, one of each picture, mean one thing."""
    first, second, draw = pair.first.truth, pair.second.truth, pair.draw
    # Names without a place are the same everywhere; only others make a question.
    placed = [
        (number, phrase)
        for number in pair.second.visible
        for phrase in _phrases(second, number, draw)
        if phrase.orders or phrase.constraints
    ]
    for number in pair.first.visible:
        for phrase in _phrases(first, number, draw):
            yes = [other for i, other in placed if i == number and not _lasting(phrase, other)]
            looks = {(other.noun, other.attributes) for other in yes}
            # A thing of another kind would give the answer away.
            rivals = [
                (i, other)
                for i, other in placed
                if i != number
                and (other.noun, other.attributes) in looks
                and first.matcher.state(Thing(phrase.noun, phrase.attributes), first.thing(i)) > NO
            ]
            drawn = draw.either([(number, other) for other in yes], rivals)
            if drawn is None:
                continue
            holds, (meant, other) = drawn
            wording = pair.first.wording(_SAME)
            words = pair.first.words
            question = pair.asked(wording, x=words.thing(phrase), y=words.thing(other))
            facts = {
                "sort": "same",
                "target": number,
                "anchors": [meant],
                "phrases": [program_to_json(phrase), program_to_json(other)],
                "phrase_views": [0, 1],
            }
            return yes_or_no(pair.first, question, wording.name, holds, facts)
    raise Unasked("not unique")


def _phrases(truth: Truth, number: int, draw: Draw, steps: int = 1) -> Iterator[Thing]:
    """Yield phrases that mean one thing; what is outside the vocabulary has no noun."""
    return (phrase for phrase in referring(truth, number, draw.rng, steps) if phrase.noun)


def _lasting(phrase: Thing, other: Thing) -> bool:
    """Tell whether equal phrases mean the same from everywhere: "the tallest mug" in both."""
    return phrase == other and not any(order.key in _FROM_HERE for order in phrase.orders)


def _both(pair: _Pair) -> Draft:
    """Ask which thing is seen in both pictures, or in only one."""
    draw = pair.draw
    shared, single = _seen(pair)
    once = draw.chance()
    right, wrong = (single, shared) if once else (shared, single)
    if not right or not wrong:
        raise Unasked("nothing in both pictures" if not shared else "all in both pictures")
    names: dict[int, Thing] = {}
    count = 1 + draw.chance(_THREE)
    target = _named(pair, right, 1, names)
    others = _named(pair, wrong, count, names)
    if not target or not others:
        raise Unasked("not unique")
    options, place = draw.among(target[0], others)
    words = [pair.first.words.thing(names[number]) for number in options]
    lettered = draw.chance()
    if lettered:
        both = zip(_LETTERS[: len(words)], words, strict=True)
        listed = " ".join(f"({letter}) {word}" for letter, word in both)
    else:
        listed = f"{', '.join(words[:-1])} or {words[-1]}"
    wording = pair.first.wording(_ONCE if once else _BOTH)
    facts: dict[str, Any] = {
        "sort": "once" if once else "both",
        "target": target[0],
        "options": options,
        "phrases": [program_to_json(names[number]) for number in options],
    }
    answer = f"({_LETTERS[place]})" if lettered else words[place]
    return Draft(pair.asked(wording, listed=listed), answer, facts, wording.name)


def _seen(pair: _Pair) -> tuple[list[int], list[int]]:
    """Return what is plainly seen in both pictures, and what of which one shows nothing."""
    shared, single = [], []
    for number in pair.draw.order(pair.first.truth.ids):
        looks = (pair.first.truth, pair.second.truth)
        visible = [truth.visible(number) for truth in looks]
        masks = [truth.thing(number).mask for truth in looks]
        pixels = [0 if mask is None else int(mask.sum()) for mask in masks]
        if all(visible):
            shared.append(number)
        elif any(visible) and 0 in pixels:
            single.append(number)
    return shared, single


def _named(pair: _Pair, numbers: list[int], count: int, names: dict[int, Thing]) -> list[int]:
    """Return up to so many of these things that have a name by their looks, and note the names."""
    found: list[int] = []
    for number in numbers:
        if len(found) == count:
            break
        truth = (pair.first if pair.first.truth.visible(number) else pair.second).truth
        for phrase in _phrases(truth, number, pair.draw):
            # Looks are the same from everywhere, places are not.
            if not phrase.orders and not phrase.constraints:
                names[number] = phrase
                found.append(number)
                break
    return found


def _motion(pair: _Pair) -> Draft:
    """Ask to which side the camera moved."""
    moved = moved_sideways(pair.first.view.scene, pair.second.view.scene)
    if moved is None:
        raise Unasked("not clearly sideways")
    sides = pair.draw.order(("left", "right"))
    wording = pair.first.wording(_MOTION)
    answer = moved.side.value
    if "(A)" in wording.text:
        answer = f"({_LETTERS[sides.index(answer)]})"
    facts = {"sort": "motion", "relation": moved.side.value, "margin": round(moved.step, 3)}
    question = pair.asked(wording, p=sides[0], q=sides[1])
    return Draft(question, answer, facts, wording.name)


_SORTS: tuple[Callable[[_Pair], Draft], ...] = (_match, _match, _same, _both, _motion)
