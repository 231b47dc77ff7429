# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Chains: questions for a place, answered step by step, anchors first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from roborefer_vlm.data.examples import Example, KeyStep, Kind, Rejected, Wish
from roborefer_vlm.data.meaning import steps_of
from roborefer_vlm.data.paraphrasing import Words, suffix
from roborefer_vlm.data.program_json import program_from_json
from roborefer_vlm.data.questions.location import TRIES, checked_shares, point_text, refer
from roborefer_vlm.data.questions.placement import PlacementMaker
from roborefer_vlm.data.reasoning import (
    ChainForm,
    chain_text,
    is_readable,
    way_to,
    way_to_anchors,
)
from roborefer_vlm.data.truth import truth_of
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.scenes.program import Request, Space, Thing
from roborefer_vlm.types import PerceptionType

TOO_LONG = "name of a step too long"
NO_ANCHORS = "no steps before the last"
OTHER_WORDS = "anchor not named as in the question"
# Share of chains that end at free space, where the source knows it.
PLACEMENTS = 0.35
FREE_SPACE = "the free space"
# How many wordings of the anchors are tried until they are those of the question.
_WORDINGS = 8


class ChainMaker:
    """Makes questions for the place of a thing, or for free space, with every step written out.

    Attributes:
        form: How the steps are written.
        steps: How often questions for things have one to five steps, in proportion.
    """

    kind = Kind.CHAIN
    needs = frozenset((Fact.COMPLETE,))

    def __init__(
        self,
        form: ChainForm = ChainForm.SFT,
        steps: Sequence[float] = (0.1, 0.35, 0.2, 0.2, 0.15),
    ) -> None:
        """Take the form of the text and how often questions have one to five steps.

        Raises:
            ConfigurationError: These are not five shares.
        """
        self.form = ChainForm(form)
        self.steps = checked_shares(steps)
        self._placements = PlacementMaker()

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield questions about things and free space of any view of the shot."""
        known = all(self._placements.needs <= view.trusts for view in shot.views)
        spaces = int(rng.binomial(wish.most, PLACEMENTS)) if known else 0
        made = 0
        for found in self._to_things(shot, rng, wish, wish.most - spaces):
            yield found
            made += isinstance(found, Example)
        for found in self._to_spaces(shot, rng, wish, wish.most - made if spaces else 0):
            if isinstance(found, Rejected):
                yield found
                continue
            yield replace(found, id=f"{shot.views[found.views[0]].key}-{self.kind.value}-{made}")
            made += 1

    def _to_things(
        self, shot: Shot, rng: np.random.Generator, wish: Wish, most: int
    ) -> Iterator[Example | Rejected]:
        made = 0
        for found in refer(shot, rng, self.kind, self.steps, TRIES * most):
            if isinstance(found, Rejected):
                yield found
                continue
            words = Words(rng, wish.phrasings)
            question = words.ask("chain", x=words.thing(found.phrase))
            steps = way_to(found.truth, words, found.phrase, found.number)
            if not is_readable(steps):
                yield Rejected(self.kind, TOO_LONG)
                continue
            point = found.truth.point(found.number)
            assert point is not None  # What is referred to is visible.
            yield Example(
                f"{found.truth.view.key}-{self.kind.value}-{made}",
                self.kind,
                (found.view,),
                question,
                chain_text(steps, point_text(point), self.form),
                tuple(steps),
                point,
                {**found.facts(), "form": self.form.value},
                words.name,
            )
            made += 1
            if made == most:
                return

    def _to_spaces(
        self, shot: Shot, rng: np.random.Generator, wish: Wish, most: int
    ) -> Iterator[Example | Rejected]:
        """Take questions for free space, and write the steps to their anchors before the place."""
        if most <= 0:
            return
        for found in self._placements.make(shot, rng, Wish(most, wish.phrasings)):
            if isinstance(found, Rejected):
                yield Rejected(self.kind, found.reason)
                continue
            steps = self._steps_to(shot, rng, wish, found)
            if isinstance(steps, str):
                yield Rejected(self.kind, steps)
                continue
            asking = Words(rng, wish.phrasings).reasoning()
            question = found.question.removesuffix(suffix()).rstrip()
            yield replace(
                found,
                kind=self.kind,
                question=f"{question} {asking}",
                answer=chain_text(steps, found.answer, self.form),
                steps=tuple(steps),
                facts={**found.facts, "steps": _steps_of(found), "form": self.form.value},
            )

    def _steps_to(
        self, shot: Shot, rng: np.random.Generator, wish: Wish, example: Example
    ) -> list[KeyStep] | str:
        """Return the steps to a place in the words of its question, or why there are none."""
        space = _space_of(example)
        assert example.point is not None
        if not space.constraints:
            return NO_ANCHORS
        truth = truth_of(shot.views[example.views[0]])
        last = KeyStep(PerceptionType.POSITION, FREE_SPACE, example.point)
        for _ in range(_WORDINGS):
            words = Words(rng, wish.phrasings)
            steps = [
                step
                for constraint in space.constraints
                for step in way_to_anchors(truth, words, constraint)
            ]
            # A front is named after its thing.
            names = [step.target.removeprefix("the front of ") for step in steps]
            if not names:
                return NO_ANCHORS
            if all(name in example.question for name in names):
                return [*dict.fromkeys(steps), last] if is_readable(steps) else TOO_LONG
        return OTHER_WORDS


def _space_of(example: Example) -> Space:
    program = program_from_json(example.facts["program"])
    assert isinstance(program, Request)
    space = program.targets[0]
    assert isinstance(space, Space)
    return space


def _steps_of(example: Example) -> int:
    """Return the number of steps to free space, by RefSpatial-Bench's rule."""
    space = _space_of(example)
    return steps_of(Thing(FREE_SPACE, constraints=space.constraints, orders=space.orders))
