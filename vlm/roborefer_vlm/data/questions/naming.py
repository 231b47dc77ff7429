# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The things that a question is about, in words that mean nothing else and give nothing away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from roborefer_vlm.data.meaning import resolve
from roborefer_vlm.data.phrases import referring
from roborefer_vlm.data.questions.asking import Look, Unasked
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.scenes.program import OrderKey, Thing
from roborefer_vlm.scenes.relations import Relation

T = TypeVar("T")

_ACROSS = frozenset({OrderKey.LEFT, OrderKey.RIGHT, OrderKey.MIDDLE})
_ALONG = frozenset({OrderKey.NEAR, OrderKey.FAR})
_UP = frozenset({OrderKey.HIGH, OrderKey.LOW, OrderKey.TALL, OrderKey.SHORT})
_SIZES = _UP | {
    OrderKey.BIG,
    OrderKey.SMALL,
    OrderKey.WIDE,
    OrderKey.NARROW,
    OrderKey.THICK,
    OrderKey.THIN,
    OrderKey.LONG,
}
# "Is the leftmost mug left of the bowl?" would answer itself.
_TELLING: dict[Relation, frozenset[OrderKey]] = {
    Relation.LEFT: _ACROSS,
    Relation.RIGHT: _ACROSS,
    Relation.FRONT: _ALONG,
    Relation.BEHIND: _ALONG,
    Relation.ABOVE: _UP,
    Relation.BELOW: _UP,
    Relation.ON: _UP,
    Relation.UNDER: _UP,
    Relation.NEAR: _ALONG,
    Relation.FAR: _ALONG,
    **dict.fromkeys(
        (
            Relation.TALL,
            Relation.SHORT,
            Relation.BIG,
            Relation.SMALL,
            Relation.WIDE,
            Relation.THIN,
            Relation.INSIDE,
        ),
        _SIZES,
    ),
}


@dataclass(frozen=True)
class Named:
    """A thing with its name in this view.

    Attributes:
        id: Of the thing.
        phrase: Proven to mean it alone.
        words: The phrase in English, such as "the red mug".
    """

    id: int
    phrase: Thing
    words: str


def names(
    look: Look,
    numbers: tuple[int, ...],
    asked: Relation | None = None,
    *,
    long: float = 0.0,
) -> list[Named]:
    """Name the things of a question.

    Args:
        look: Where they are.
        numbers: Their ids.
        asked: The relation that is asked about, if any; no name is told by it.
        long: How often a thing is told by how it lies to something else.

    Raises:
        Unasked: One of them has no name that means it alone and gives nothing away.
    """
    found: list[Named] = []
    for number in numbers:
        others = set(numbers) - {number}
        phrase = next(
            (
                one
                for one in _phrases(look, number, long)
                if not _mentions(look.truth, one, others) and not _tells(one, asked)
            ),
            None,
        )
        if phrase is None:
            raise Unasked("not unique")
        found.append(Named(number, phrase, look.words.thing(phrase)))
    return found


def either(
    look: Look,
    cases: tuple[T, T],
    numbers: Callable[[T], tuple[int, ...]],
    asked: Relation,
) -> tuple[bool, T, list[Named]]:
    """Draw one of two cases, of which the first one makes the answer yes and the second one no.

    Both have to have names: things far out are hard to name, and would be missing from one of
    the answers.

    Args:
        look: Where it is asked.
        cases: A case of each answer.
        numbers: Returns the ids of the things to be named for a case.
        asked: The relation that is asked about.

    Raises:
        Unasked: As for `names`.
    """
    named = [names(look, numbers(case), asked) for case in cases]
    answer = look.draw.chance()
    place = 0 if answer else 1
    return answer, cases[place], named[place]


def _phrases(look: Look, number: int, long: float) -> Iterator[Thing]:
    for steps in (2, 1) if look.draw.chance(long) else (1,):
        # What is outside the vocabulary has no noun.
        yield from filter(_has_noun, referring(look.truth, number, look.draw.rng, steps))


def _has_noun(phrase: Thing) -> bool:
    return bool(phrase.noun)


def _mentions(truth: Truth, phrase: Thing, others: set[int]) -> bool:
    """Tell whether a phrase is tied to one of the other things."""
    anchors = [anchor for constraint in phrase.constraints for anchor in constraint.anchors]
    anchors += [order.anchor for order in phrase.orders if order.anchor is not None]
    return any(others & set(resolve(truth, anchor) or ()) for anchor in anchors)


def _tells(phrase: Thing, asked: Relation | None) -> bool:
    if asked is None:
        return False
    keys = _TELLING.get(asked, frozenset())
    return any(order.key in keys for order in phrase.orders) or any(
        constraint.relation is asked for constraint in phrase.constraints
    )
