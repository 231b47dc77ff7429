# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What kinds of questions have in common: trying, wording, and writing yes, no and points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roborefer_vlm.data.balance import Draw
from roborefer_vlm.data.examples import Example, Kind, Phrasings, Rejected, Wish
from roborefer_vlm.data.paraphrasing import Words
from roborefer_vlm.data.truth import Truth, truth_of
from roborefer_vlm.data.views import Fact, Shot, View

# So often a maker tries, per example that is wished for.
TRIES = 3
_HELD_OUT = "held_out"


class Unasked(Exception):
    """A question cannot be asked; `args[0]` is the reason, a few fixed words."""


@dataclass(frozen=True)
class Wording:
    """One way to ask.

    Attributes:
        name: Begins with "held_out" if it is for benchmarks only.
        text: With fields in braces.
    """

    name: str
    text: str


@dataclass(frozen=True, eq=False)
class Look:
    """One view that is asked about.

    Attributes:
        view: The view.
        truth: What is true in it.
        draw: Where everything random comes from.
        phrasings: Which wordings may be used.
        words: Speaks of things and relations; one for each question.
    """

    view: View
    truth: Truth
    draw: Draw
    phrasings: Phrasings
    words: Words

    def trusts(self, *facts: Fact) -> bool:
        """Tell whether the source vouches for all of these."""
        return self.view.trusts.issuperset(facts)

    @property
    def visible(self) -> list[int]:
        """Ids of the visible things, in random order."""
        return self.draw.order(number for number in self.truth.ids if self.truth.visible(number))

    def wording(self, options: Sequence[Wording]) -> Wording:
        """Draw one of the wordings that may be used."""
        held_out = self.phrasings is Phrasings.HELD_OUT
        return self.draw.one([w for w in options if w.name.startswith(_HELD_OUT) == held_out])


@dataclass(frozen=True)
class Draft:
    """A question with its answer, before it is numbered.

    Attributes:
        question: The words.
        answer: As the model shall write it.
        facts: What proves the answer.
        phrasing: Which wording was taken.
        point: The answer as x and y, 0 to 1.
    """

    question: str
    answer: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    phrasing: str = ""
    point: tuple[float, float] | None = None


def ask(
    kind: Kind,
    shot: Shot,
    rng: np.random.Generator,
    wish: Wish,
    compose: Callable[[Look], Draft],
) -> Iterator[Example | Rejected]:
    """Try to ask about random views of a shot until there are as many questions as wished.

    Args:
        kind: What kind of questions.
        shot: What is asked about.
        rng: Draws everything.
        wish: How many, and in which words.
        compose: Makes one question about a view, or raises Unasked.
    """
    draw, made, known = Draw(rng), 0, set()
    for _ in range(TRIES * wish.most):
        if made == wish.most:
            return
        place = int(rng.integers(len(shot.views)))
        view = shot.views[place]
        try:
            words = Words(rng, wish.phrasings)
            draft = compose(Look(view, truth_of(view), draw, wish.phrasings, words))
        except Unasked as reason:
            yield Rejected(kind, str(reason))
            continue
        if (place, draft.question) in known:
            yield Rejected(kind, "asked already")
            continue
        known.add((place, draft.question))
        yield Example(
            f"{view.key}-{kind}-{made}",
            kind,
            (place,),
            draft.question,
            draft.answer,
            point=draft.point,
            facts=draft.facts,
            phrasing=draft.phrasing,
        )
        made += 1


# How yes and no are asked for; RoboSpatial and RefSpatial score and teach all of these.
_FORMS = (
    Wording("bare", "{question}"),
    Wording("answer", "{question} Answer yes or no."),
    Wording("final", "{question} The final answer should be yes or no."),
    Wording("options", "{question} Choose one: (A) {first} (B) {second}."),
    Wording("letters", "{question}\n(A) {first}\n(B) {second}"),
    Wording("held_out_word", "{question} Reply with one word, yes or no."),
    Wording("held_out_options", "{question} Pick (A) {first} or (B) {second}."),
)


def yes_or_no(
    look: Look, question: str, phrasing: str, holds: bool, facts: Mapping[str, Any]
) -> Draft:
    """Ask a closed question: bare, with a hint how to answer, or with options in random order.

    Args:
        look: Where it is asked.
        question: The words, with a question mark.
        phrasing: Name of their wording.
        holds: Whether the answer is yes.
        facts: What proves it; `holds` is added.
    """
    form = look.wording(_FORMS)
    answer = "yes" if holds else "no"
    options = look.draw.order(("yes", "no"))
    text = form.text.format(question=sentence(question), first=options[0], second=options[1])
    if "{first}" in form.text:
        answer = "(A)" if options[0] == answer else "(B)"
    return Draft(text, answer, {**facts, "holds": holds}, f"{phrasing}/{form.name}")


def sentence(words: str) -> str:
    """Return words with a capital first letter and single spaces."""
    words = " ".join(words.split())
    return words[:1].upper() + words[1:]


def point_answer(x: float, y: float) -> str:
    """Write a point as RefSpatial does: normalised, three decimals."""
    return f"[({x:.3f}, {y:.3f})]"
