# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts of what was asked and what was not; tallies of many shots add up to those of a run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from roborefer_vlm.data.examples import Example, Kind, Rejected
from roborefer_vlm.data.views import Fact
from roborefer_vlm.types import PerceptionType

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Answers that balance is about; everything else is a point, a number or the name of a thing.
_CLOSED = re.compile(r"^(?:yes|no|\(?[a-d]\)?)\b", re.IGNORECASE)


class Tally:
    """Counters by name and, within these, by label.

    `shots`: made, failed, without questions. `examples`, `rejected`, `skipped`, `phrasings`,
    `relations`, `frames`, `answers`, `words`: by kind first. `errors`: by reason, numbers as N.
    `steps`, `perceptions`: of chains.
    """

    def __init__(self, counts: Mapping[str, Mapping[str, int]] | None = None) -> None:
        self.counts: dict[str, Counter[str]] = {
            name: Counter(labels) for name, labels in (counts or {}).items()
        }

    def count(self, name: str, label: str, times: int = 1) -> None:
        """Add to one counter."""
        self.counts.setdefault(name, Counter())[label] += times

    def total(self, name: str) -> int:
        """Return the sum of the counters of a name."""
        return sum(self.counts.get(name, Counter()).values())

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for name, labels in other.counts.items():
            self.counts.setdefault(name, Counter()).update(labels)

    def example(self, example: Example) -> None:
        """Count an example."""
        kind = example.kind.value
        self.count("examples", kind)
        self.count("phrasings", f"{kind}/{example.phrasing or 'none'}")
        self.count("answers", f"{kind}/{sort_of(example)}")
        self.count("words", f"{kind}/{len(example.question.split())}")
        for fact, name in (("relation", "relations"), ("frame", "frames")):
            told = example.facts.get(fact) or ()
            for label in told.split("+") if isinstance(told, str) else told:
                self.count(name, f"{kind}/{label}")
        if example.steps:
            self.count("steps", str(len(example.steps)))
            for step in example.steps:
                self.count("perceptions", PerceptionType(step.perception).value)

    def rejected(self, rejected: Rejected) -> None:
        """Count a question that was not asked."""
        self.count("rejected", f"{rejected.kind.value}/{rejected.reason}")

    def skipped(self, kind: Kind, missing: Iterable[Fact]) -> None:
        """Count a kind that was not tried, because its source does not vouch for what it needs."""
        self.count("skipped", f"{kind.value}/{', '.join(sorted(f.value for f in missing))}")

    def failed(self, reason: str) -> None:
        """Count a shot that could not be made."""
        self.count("shots", "failed")
        self.count("errors", _NUMBER.sub("N", reason))

    def to_json(self) -> dict[str, Any]:
        """Return the counts in a fixed order."""
        return {name: dict(sorted(labels.items())) for name, labels in sorted(self.counts.items())}


def sort_of(example: Example) -> str:
    """Return what sort of answer this is, so that balance can be seen."""
    if example.point is not None:
        return "point"
    if isinstance(example.facts.get("holds"), bool):
        # Also where the answer is the letter of an option.
        return "yes" if example.facts["holds"] else "no"
    closed = _CLOSED.match(example.answer)
    if closed:
        return closed[0].strip("()").lower()
    return "number" if _NUMBER.search(example.answer) else "words"
