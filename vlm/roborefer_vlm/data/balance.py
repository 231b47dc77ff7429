# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Balanced answers without any memory: what is asked is drawn before a case for it is looked for.

Makers run in many processes and know of no question but their own, so nothing can be evened out
afterwards. Instead a question is asked only where either answer could have been given, and a
coin decides which; then no answer can be guessed from the question, or from the scene alone. What
came about is counted by `roborefer_vlm.data.tally`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draw:
    """Draws answers, relations and frames, all from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def chance(self, share: float = 0.5) -> bool:
        """Return True that often."""
        return bool(self.rng.random() < share)

    def one(self, items: Sequence[T]) -> T:
        """Return one of at least one item, each as likely."""
        return items[int(self.rng.integers(len(items)))]

    def order(self, items: Iterable[T]) -> list[T]:
        """Return all items in random order: try them in turn until one has a case."""
        listed = list(items)
        return [listed[i] for i in self.rng.permutation(len(listed))]

    def either(self, yes: Sequence[T], no: Sequence[T]) -> tuple[bool, T] | None:
        """Draw an answer, then a case with that answer.

        Args:
            yes: Cases of a question for which the answer is yes.
            no: Cases of the same question for which it is no.

        Returns:
            The answer and the case; None where one of the answers has no case. Then the other
            one must not be asked either, or it could be guessed.
        """
        if not yes or not no:
            return None
        answer = self.chance()
        return answer, self.one(yes if answer else no)

    def among(self, right: T, wrong: Iterable[T]) -> tuple[list[T], int]:
        """Return options in random order, and the place of the right one, each as likely."""
        others = self.order(wrong)
        place = int(self.rng.integers(len(others) + 1))
        return [*others[:place], right, *others[place:]], place
