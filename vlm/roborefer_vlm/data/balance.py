# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Balanced answers without any memory: what is asked is drawn before a case for it is looked for.

Makers run in many processes and know of no question but their own, so nothing can be evened out
afterwards. Instead a question is asked only where either answer could have been given, and a
coin decides which; then no answer can be guessed from the question, or from the scene alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from roborefer_vlm.data.examples import Example
from roborefer_vlm.exceptions import RecordError

T = TypeVar("T")

_SHORT_ANSWER = re.compile(r"(yes|no|\([a-z]\))", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(\.\d+)?( ?[a-z]+)?", re.IGNORECASE)
_TABLES = ("answers", "relations", "frames", "answers_by_relation")


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


@dataclass
class Balance:
    """Counts how often each answer, relation and frame came about, kind by kind.

    Attributes:
        counts: Per (kind, table, row), where table is one of "answers", "relations", "frames" and
            "answers_by_relation" (its rows read "left: yes").
    """

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, example: Example) -> None:
        """Count one example."""
        kind, answer = str(example.kind), answer_class(example)
        self.counts[kind, "answers", answer] += 1
        for relation, frame in _asked(example.facts):
            if relation:
                self.counts[kind, "relations", relation] += 1
                self.counts[kind, "answers_by_relation", f"{relation}: {answer}"] += 1
            if frame:
                self.counts[kind, "frames", frame] += 1

    def merge(self, other: Balance) -> None:
        """Add what another one counted."""
        self.counts.update(other.counts)

    def to_json(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return kind -> table -> row -> count, all sorted by name."""
        result: dict[str, dict[str, dict[str, int]]] = {}
        for kind, table, row in sorted(self.counts):
            rows = result.setdefault(kind, {}).setdefault(table, {})
            rows[row] = self.counts[kind, table, row]
        return result

    @classmethod
    def from_json(cls, data: Mapping[str, Any], source: str = "balance") -> Balance:
        """Read what `to_json` gave.

        Raises:
            RecordError: It is something else; the message names the place.
        """
        counts: Counter[tuple[str, str, str]] = Counter()
        for kind, tables in data.items():
            if not isinstance(tables, Mapping):
                raise RecordError(source, kind, "", "tables of counts are needed")
            for table, rows in tables.items():
                if table not in _TABLES or not isinstance(rows, Mapping):
                    raise RecordError(source, kind, str(table), f"use {', '.join(_TABLES)}")
                for row, count in rows.items():
                    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                        raise RecordError(source, kind, str(row), f"{count!r} is no count")
                    counts[str(kind), str(table), str(row)] = count
        return cls(counts)


def answer_class(example: Example) -> str:
    """Return what kind of answer it is: "yes", "no", "(a)", "point", "number" or "words"."""
    if example.point is not None:
        return "point"
    answer = example.answer.strip().rstrip(".")
    if _SHORT_ANSWER.fullmatch(answer):
        return answer.lower()
    return "number" if _NUMBER.fullmatch(answer) else "words"


def _asked(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the relations and frames that a question is about."""
    constraints = facts.get("constraints")
    listed = constraints if isinstance(constraints, Sequence) else [facts]
    found = [c for c in listed if isinstance(c, Mapping)]
    return [(str(c.get("relation") or ""), str(c.get("frame") or "")) for c in found]
