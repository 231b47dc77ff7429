# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How much the small model sees and learns, at three scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from roborefer_vlm.data.examples import Example, Kind, Maker, Rejected, Wish
from roborefer_vlm.data.paraphrasing import suffix
from roborefer_vlm.data.sim_bench import Sizes
from roborefer_vlm.data.views import Fact, Shot


@dataclass(frozen=True)
class Plan:
    """How much is made and learnt.

    Attributes:
        shape: One of `roborefer_vlm.training.small.SHAPES`.
        picture: Columns and rows that training pictures are drawn with.
        scenes: Tables with questions for things and places.
        chain_scenes: Other tables, with chains.
        location: Questions for things, a table.
        placement: Questions for places, a table.
        turns: Most questions of one record. Several share the cost of one picture.
        location_steps: How often questions for things have one to five steps, in proportion.
        chain_steps: The same for chains.
        suffix: Whether some questions end with the sentence on the form of the answer.
        colour: Steps of the stage on colour alone; so on.
        colour_files: How many of the three kinds, things first, that stage learns from.
        align: Of depth alignment.
        sft: Of SFT.
        rft: Of reinforcement.
        interval: Steps between checkpoints.
        samples: Records of a step.
        rate: Highest learning rate of the first two stages.
        sft_rate: Of SFT.
        rft_rate: Of reinforcement.
        questions: Questions of a step of reinforcement.
        answers: Answers to each.
        tokens: Most tokens of an answer.
        ask_steps: Whether the benchmark is asked step by step as well.
        sizes: Of RoboRefer-Sim-Bench.
        timed: Queries that are timed.
    """

    shape: str
    picture: tuple[int, int]
    scenes: int
    chain_scenes: int
    location: int
    placement: int
    turns: int
    location_steps: tuple[float, ...]
    chain_steps: tuple[float, ...]
    suffix: bool
    colour: int
    colour_files: int
    align: int
    sft: int
    rft: int
    interval: int
    samples: int
    rate: float
    sft_rate: float
    rft_rate: float
    questions: int
    answers: int
    tokens: int
    ask_steps: bool
    sizes: Sizes
    timed: int


# What the makers take where nothing is said.
_LOCATION_STEPS = (0.3, 0.3, 0.15, 0.15, 0.1)
_CHAIN_STEPS = (0.1, 0.35, 0.2, 0.2, 0.15)
FULL = Plan(
    "small", (640, 480), 60_000, 60_000, 4, 3, 1, _LOCATION_STEPS, _CHAIN_STEPS, True,
    colour=20_000, colour_files=3, align=2_000, sft=60_000, rft=2_000, interval=200, samples=32,
    rate=1e-3, sft_rate=5e-4, rft_rate=2e-5, questions=8, answers=8, tokens=200, ask_steps=True,
    sizes=Sizes(), timed=50,
)  # fmt: skip
# Half an hour of one core: pictures of 320 pixels, short phrases, many questions per picture.
CPU = Plan(
    "tiny", (320, 240), 6_000, 400, 10, 1, 10, (0.8, 0.2, 0, 0, 0), (0.5, 0.5, 0, 0, 0), False,
    colour=6_000, colour_files=1, align=100, sft=2_500, rft=60, interval=50, samples=8, rate=3e-3,
    sft_rate=2e-3, rft_rate=5e-5, questions=3, answers=6, tokens=96, ask_steps=False,
    sizes=Sizes(), timed=20,
)  # fmt: skip
QUICK = Plan(
    "toy", (320, 240), 60, 60, 4, 3, 1, _LOCATION_STEPS, _CHAIN_STEPS, True,
    colour=60, colour_files=3, align=15, sft=60, rft=4, interval=200, samples=8, rate=1e-3,
    sft_rate=5e-4, rft_rate=2e-5, questions=2, answers=3, tokens=48, ask_steps=True,
    sizes=Sizes(6, 6, 6), timed=5,
)  # fmt: skip
SCALES = {"full": FULL, "cpu": CPU, "quick": QUICK}


def changed(plan: Plan, changes: Sequence[str]) -> Plan:
    """Return a plan with other numbers, each given as NAME=NUMBER.

    Raises:
        ValueError: That is no whole number of the plan.
    """
    for change in changes:
        name, _, value = change.partition("=")
        if not isinstance(getattr(plan, name, None), int) or not value.isdecimal():
            raise ValueError(f"{change!r} is no whole number of a plan, such as colour=650")
        plan = replace(plan, **{name: int(value)})
    return plan


@dataclass(frozen=True)
class Plainly:
    """Asks what another maker does, for each point once and without the sentence on its form.

    That sentence is sixty tokens, five times as long as a short question. Questions of one record
    that have the same answer would teach to repeat it instead of looking.
    """

    maker: Maker

    @property
    def kind(self) -> Kind:
        """Which kind."""
        return self.maker.kind

    @property
    def needs(self) -> frozenset[Fact]:
        """What a source must vouch for."""
        return self.maker.needs

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples and what was rejected; see `Maker.make`."""
        points = set()
        for one in self.maker.make(shot, rng, wish):
            if isinstance(one, Rejected):
                yield one
            elif one.point not in points:
                points.add(one.point)
                yield replace(one, question=one.question.removesuffix(suffix()).rstrip())
