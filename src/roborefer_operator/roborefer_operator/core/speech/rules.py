# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A small context-free grammar that can say its sentences at random, and tell them from others."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import NamedTuple

_WEIGHT = re.compile(r"(\d+)\*$")
# How often something optional is not said.
_LEFT_OUT = 0.6


class _Symbol(NamedTuple):
    name: str
    is_rule: bool
    optional: bool


class _Alternative(NamedTuple):
    weight: int
    symbols: tuple[_Symbol, ...]


class Rules:
    """A grammar from a table of rules.

    A rule is a text of alternatives between "|". An alternative is a row of words and <rules>;
    a question mark behind one makes it optional, "3*" in front of all makes it as likely as three.
    No rule may begin with itself.
    """

    def __init__(self, table: Mapping[str, str], start: str) -> None:
        """Read the table.

        Args:
            table: Name to rule.
            start: Name of the rule of a whole sentence.

        Raises:
            KeyError: A rule is used that the table does not have.
        """
        self.table = {"": start, **table}
        self._start = start
        self._rules = {name: _alternatives(text) for name, text in table.items()}
        self._borders = {
            name: list(accumulate(one.weight for one in alternatives))
            for name, alternatives in self._rules.items()
        }
        for symbol in self._symbols():
            if symbol.is_rule:
                self._rules[symbol.name]

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word that a sentence may hold."""
        return frozenset(symbol.name for symbol in self._symbols() if not symbol.is_rule)

    def say(self, rng: Random) -> str:
        """Return a random sentence."""
        said: list[str] = []
        self._say(self._start, rng, said)
        return " ".join(said)

    def accepts(self, sentence: str) -> bool:
        """Whether it is a sentence of this grammar."""
        words = sentence.split()
        return len(words) in self._ends(self._start, 0, words, {})

    def _say(self, rule: str, rng: Random, said: list[str]) -> None:
        alternatives = self._rules[rule]
        at = bisect_right(self._borders[rule], rng.random() * self._borders[rule][-1])
        for symbol in alternatives[at].symbols:
            if symbol.optional and rng.random() < _LEFT_OUT:
                continue
            if symbol.is_rule:
                self._say(symbol.name, rng, said)
            else:
                said.append(symbol.name)

    def _symbols(self) -> list[_Symbol]:
        every = [one for alternatives in self._rules.values() for one in alternatives]
        return [symbol for one in every for symbol in one.symbols]

    def _ends(
        self, rule: str, at: int, words: Sequence[str], known: dict[tuple[str, int], set[int]]
    ) -> set[int]:
        """Return where a rule that begins at a word may end."""
        if (rule, at) not in known:
            found: set[int] = set()
            for _, symbols in self._rules[rule]:
                places = {at}
                for symbol in symbols:
                    places = self._after(symbol, places, words, known)
                    if not places:
                        break
                found |= places
            known[rule, at] = found
        return known[rule, at]

    def _after(
        self,
        symbol: _Symbol,
        places: set[int],
        words: Sequence[str],
        known: dict[tuple[str, int], set[int]],
    ) -> set[int]:
        after = set(places) if symbol.optional else set()
        for place in places:
            if symbol.is_rule:
                after |= self._ends(symbol.name, place, words, known)
            elif place < len(words) and words[place] == symbol.name:
                after.add(place + 1)
        return after


def _alternatives(text: str) -> list[_Alternative]:
    found = []
    for part in text.split("|"):
        written = part.split()
        weight = 1
        if written and (stated := _WEIGHT.match(written[0])):
            weight, written = int(stated[1]), written[1:]
        found.append(_Alternative(weight, tuple(_symbol(one) for one in written)))
    return found


def _symbol(text: str) -> _Symbol:
    bare = text.removesuffix("?")
    is_rule = bare.startswith("<") and bare.endswith(">")
    return _Symbol(bare[1:-1] if is_rule else bare, is_rule, bare != text)
