# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Examples: questions about views with their answers, and what was not asked, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.types import PerceptionType


class Kind(StrEnum):
    """Kinds of questions (RefSpatial, arXiv 2506.04308; RoboSpatial, arXiv 2411.16537)."""

    # "Where is the red mug left of the plate?": a point on it.
    LOCATION = "location"
    # "Point to the free space between ...": a point where something can be put.
    PLACEMENT = "placement"
    # As LOCATION and PLACEMENT, with every step of the way written out.
    CHAIN = "chain"
    # "Which is taller, the mug or the box?"; also options (A) and (B), and marks in the picture.
    CHOICE = "choice"
    # "Is the mug left of the bowl?"
    PREDICATE = "predicate"
    # "How far is it?", "how many?", "how tall?"
    QUANTITY = "quantity"
    # RoboSpatial: "Can the mug fit behind the bowl?", "Is the mug behind the bowl, as the bowl
    # sees it?"
    COMPATIBILITY = "compatibility"
    CONFIGURATION = "configuration"
    # Two pictures of one scene.
    MULTI_VIEW = "multi_view"


@dataclass(frozen=True)
class KeyStep:
    """One step of the way to an answer, for process rewards (arXiv 2506.04308, RFT).

    Attributes:
        perception: Position, orientation or size.
        target: What is looked at, in the words of the step.
        value: Position: x and y, 0 to 1. Orientation: unit vector in the optical frame. Size:
            one length in metres.
    """

    perception: PerceptionType
    target: str
    value: tuple[float, ...]


@dataclass(frozen=True)
class Example:
    """One question with its answer.

    Attributes:
        id: Unique in its data set: keys of the views, kind, number.
        kind: What kind of question.
        views: Indices into the views of the shot that are shown, in this order.
        question: Without any mark for pictures.
        answer: As the model shall write it: points as "[(0.412, 0.520)]", normalised, 3
            decimals (RefSpatial), or words.
        steps: The way to the answer, in order; empty unless the kind is CHAIN.
        point: The answer as x and y, 0 to 1, of the first view shown; None for words.
        facts: Everything that proves the answer, JSON values only: `program` (see
            `roborefer_vlm.data.program_json`), `target` (id) or `targets`, `relation`,
            `frame`, `anchors` (ids), `value`, `margin`; an independent check starts from these.
            `marks` are boxes that the writer draws into the first picture, see
            `roborefer_vlm.data.marking.draw_marks`.
        phrasing: Which wording was taken; wordings whose name begins with "held_out" are used by
            benchmarks only.
    """

    id: str
    kind: Kind
    views: tuple[int, ...]
    question: str
    answer: str
    steps: tuple[KeyStep, ...] = ()
    point: tuple[float, float] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    phrasing: str = ""


@dataclass(frozen=True)
class Rejected:
    """A question that was thought of and not asked; the report counts these.

    Attributes:
        kind: Its kind.
        reason: A few fixed words, such as "not unique" or "point hidden"; no names or numbers.
    """

    kind: Kind
    reason: str


class Phrasings(StrEnum):
    """Which wordings may be used."""

    TRAINING = "training"
    HELD_OUT = "held_out"


@dataclass(frozen=True)
class Wish:
    """How many questions of a kind, and in which words.

    Attributes:
        most: Most examples of this kind of one shot.
        phrasings: Which wordings may be used.
    """

    most: int = 4
    phrasings: Phrasings = Phrasings.TRAINING


class Maker(Protocol):
    """Makes the questions of one kind."""

    @property
    def kind(self) -> Kind:
        """Which kind."""

    @property
    def needs(self) -> frozenset[Fact]:
        """What a source must vouch for."""

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples, at most as many as wished, and what was rejected on the way.

        The same shot, generator state and wish give the same examples. Answers are balanced over
        many shots: yes and no, options, relations and frames come about equally often.
        """
