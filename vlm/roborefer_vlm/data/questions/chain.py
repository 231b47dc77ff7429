# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Chains: questions for a place, answered step by step, anchors first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from roborefer_vlm.data.examples import Example, Kind, Rejected, Wish
from roborefer_vlm.data.paraphrasing import Words
from roborefer_vlm.data.questions.location import TRIES, checked_shares, point_text, refer
from roborefer_vlm.data.reasoning import ChainForm, chain_text, is_readable, way_to
from roborefer_vlm.data.views import Fact, Shot

TOO_LONG = "name of a step too long"


class ChainMaker:
    """Makes questions for the place of one thing with every step written out.

    Attributes:
        form: How the steps are written.
        steps: How often questions have one to five steps, in proportion.
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

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield questions about things of any view of the shot."""
        made = 0
        for found in refer(shot, rng, self.kind, self.steps, TRIES * wish.most):
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
            if made == wish.most:
                return
