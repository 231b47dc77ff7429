# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Questions with known goals, and groups of answers that the network draws to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import Dataset

from roborefer_vlm.data.examples import KeyStep
from roborefer_vlm.exceptions import ConfigurationError, PictureError, QueryError, RecordError
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.picture_files import Source, picture_size
from roborefer_vlm.record_files import read_entries
from roborefer_vlm.training.labels import IGNORED, Supervision
from roborefer_vlm.training.rewards import Goal, Reward, RewardSettings, reward_of
from roborefer_vlm.training.samples import Record, SpatialDataset
from roborefer_vlm.types import PerceptionType, Sampling


@dataclass(frozen=True, eq=False)
class Task:
    """A question and what a right answer would say.

    Attributes:
        source: File that its record stands in.
        name: Id of its record.
        inputs: The prompt, up to where the answer begins.
        goal: What is right.
    """

    source: str
    name: str
    inputs: ModelInput
    goal: Goal


@dataclass(frozen=True, eq=False)
class Attempt:
    """One answer.

    Attributes:
        ids: Tokens, int64, shape (n,), n > 0; the last one ends the answer unless it was cut off.
        text: The same as text.
        reward: What it earned.
    """

    ids: torch.Tensor
    text: str
    reward: Reward


@dataclass(frozen=True, eq=False)
class Group:
    """The answers to one question.

    Attributes:
        task: The question.
        attempts: Drawn at a temperature; what is learnt from.
        greedy: The likeliest answer; only tells how far the network is.
    """

    task: Task
    attempts: tuple[Attempt, ...]
    greedy: Attempt


class TaskDataset(Dataset[Task]):
    """The records of a data set as questions.

    Beside what is learnt from in supervised training, a record needs `point`, x and y from 0 to
    1, and may have `steps`, a list of {"perception", "target", "value"}. Of a conversation with
    several questions the first is asked.
    """

    def __init__(self, samples: SpatialDataset) -> None:
        """Read and check what supervised training does not look at.

        Args:
            samples: The data set; labels must be those of `Supervision.SPANS`.

        Raises:
            RecordError: A record has no point or no picture; it is named, and none is left out.
            ConfigurationError: The labels are others.
        """
        if samples.supervision is not Supervision.SPANS:
            raise ConfigurationError(
                f"'supervision' is {samples.supervision}; {Supervision.SPANS} tells where answers"
                " begin"
            )
        self.samples = samples
        # All records of a data set stand in one file, whose form has been checked already.
        source = samples.records[0].source if samples.records else None
        entries = read_entries(source) if source else []
        self._truths = [
            _read_truth(record, entry)
            for record, entry in zip(samples.records, entries, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Task:
        """Read the pictures of a record and ask its first question.

        Raises:
            RecordError: A picture is missing or broken.
        """
        sample = self.samples[index]
        record = sample.record
        file = self.samples.image_folder / record.images[0]
        point, steps = self._truths[index]
        try:
            goal = Goal(*picture_size(Source.of(file)), point, steps)
        except (QueryError, PictureError) as error:
            raise RecordError(record.source, record.name, "point", str(error)) from error
        answer = int((sample.labels != IGNORED).nonzero()[0])
        inputs = replace(sample.inputs, input_ids=sample.inputs.input_ids[:answer])
        return Task(record.source, record.name, inputs, goal)


def draw_groups(
    network: RoboReferModel,
    processor: Processor,
    tasks: Sequence[Task],
    *,
    samples: int,
    temperature: float = 1.0,
    max_new_tokens: int = 256,
    seed: Sequence[int] = (0,),
    rewards: RewardSettings | None = None,
) -> list[Group]:
    """Let the network answer every question several times, all in one batch, and reward it.

    Args:
        network: Who answers.
        processor: Of its checkpoint.
        tasks: Questions.
        samples: Answers to learn from per question; one greedy answer is added.
        temperature: Of the softmax that is drawn from.
        max_new_tokens: Longest answer.
        seed: What the drawing depends on besides the place of the task, such as (seed, step).
        rewards: When something counts as right.
    """
    per_task = [
        Sampling(samples + 1, temperature, _mixed_seed(*seed, place))
        for place in range(len(tasks))
    ]
    generations = network.generate(
        [task.inputs for task in tasks],
        max_new_tokens=max_new_tokens,
        sampling=per_task,
        stop_ids=processor.stop_ids,
    )
    groups = []
    for task, generation in zip(tasks, generations, strict=True):
        longest = min(max_new_tokens, network.vocabulary.longest - generation.prompt_length)
        attempts = [
            _attempt(ids, longest, processor, task.goal, rewards) for ids in generation.samples
        ]
        groups.append(Group(task, tuple(attempts[1:]), attempts[0]))
    return groups


def _attempt(
    ids: Sequence[int],
    longest: int,
    processor: Processor,
    goal: Goal,
    rewards: RewardSettings | None,
) -> Attempt:
    text = processor.decode(ids)
    # An answer that is shorter than it may be was ended; ending it is part of what is learnt.
    ending = processor.stop_ids[:1] if len(ids) < longest else ()
    kept = torch.tensor([*ids, *ending], dtype=torch.int64)
    return Attempt(kept, text, reward_of(text, goal, rewards))


def _mixed_seed(*numbers: int) -> int:
    """Return one seed of several, so that neighbouring ones have nothing in common."""
    state = torch.Generator()
    mixed = 0
    for number in numbers:
        state.manual_seed((mixed + number) & 0x7FFF_FFFF_FFFF_FFFF)
        mixed = int(torch.randint(2**62, (1,), generator=state))
    return mixed


def _read_truth(
    record: Record, entry: dict[str, Any]
) -> tuple[tuple[float, float], tuple[KeyStep, ...]]:
    if not record.images:
        raise RecordError(record.source, record.name, "image", "a point needs a picture")
    point = _numbers(record, "point", entry.get("point"))
    if len(point) != 2 or not all(0 <= value <= 1 for value in point):
        raise RecordError(
            record.source,
            record.name,
            "point",
            f"{entry.get('point')!r:.80} is no point; x and y from 0 to 1 are needed, so leave"
            " questions that are answered in words out of this file",
        )
    steps = entry.get("steps") or []
    if not isinstance(steps, list):
        raise RecordError(record.source, record.name, "steps", "a list is needed")
    read = tuple(_read_step(record, f"steps[{place}]", step) for place, step in enumerate(steps))
    return (point[0], point[1]), read


def _read_step(record: Record, field: str, step: Any) -> KeyStep:
    wanted = "perception (position, orientation or size), target and value are needed"
    if not isinstance(step, dict) or not isinstance(step.get("target"), str):
        raise RecordError(record.source, record.name, field, wanted)
    try:
        perception = PerceptionType(str(step.get("perception")))
    except ValueError as error:
        raise RecordError(record.source, record.name, field, wanted) from error
    value = step.get("value")
    listed = value if isinstance(value, list) else [value]
    return KeyStep(perception, step["target"], _numbers(record, field, listed))


def _numbers(record: Record, field: str, values: Any) -> tuple[float, ...]:
    plain = isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    if not plain:
        raise RecordError(record.source, record.name, field, f"{values!r:.80} are no numbers")
    return tuple(float(value) for value in values)
