# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reinforcement fine-tuning as the command line runs it: draw, reward, learn, again and again.

Every process holds the whole network and the reference, draws answers to its own questions, and
shares gradients once per step; spread weights (FSDP, DeepSpeed) cannot write answers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import ceil, inf
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, set_seed
from torch.utils.data import ConcatDataset
from tqdm import tqdm

from roborefer_vlm.exceptions import ConfigurationError, RecordError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.training.checkpoints import (
    FINISHED,
    RunFolder,
    checkpoint_name,
    load_optimizer,
    read_state,
    save_optimizer,
    save_state,
    save_weights,
)
from roborefer_vlm.training.grpo import (
    GrpoFigures,
    GrpoSettings,
    accumulate_gradients,
    constant_log_probs,
)
from roborefer_vlm.training.guards import Guard
from roborefer_vlm.training.logs import RunLog
from roborefer_vlm.training.mixture import Mixture, StreamSampler
from roborefer_vlm.training.optimisers import make_optimizer, rate_factor, set_rates
from roborefer_vlm.training.rewards import RewardSettings
from roborefer_vlm.training.rollouts import Group, Task, TaskDataset, draw_groups
from roborefer_vlm.training.settings import (
    CheckpointSettings,
    DataSettings,
    GuardSettings,
    ModelSettings,
    OnTrouble,
    OptimizerSettings,
    Precision,
    at_least,
)
from roborefer_vlm.training.stages import RFT, prepare_parts
from roborefer_vlm.training.typed_tables import read_table

_DTYPES = {Precision.FLOAT32: torch.float32, Precision.BFLOAT16: torch.bfloat16}


@dataclass(frozen=True)
class DrawSettings:
    """Which questions are asked, and how long answers may be.

    Attributes:
        questions: Questions that one process asks per step.
        epochs: How often every question is asked; may be a fraction.
        steps: Steps instead of epochs; absent counts epochs.
        max_new_tokens: Longest answer.
    """

    questions: int = 1
    epochs: float = 1.0
    steps: int | None = None
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        at_least("questions", self.questions, 1)
        at_least("max_new_tokens", self.max_new_tokens, 1)
        if not 0 < self.epochs < inf:
            raise ConfigurationError(f"'epochs' is {self.epochs}; more than 0 is needed")
        if self.steps is not None:
            at_least("steps", self.steps, 1)


@dataclass(frozen=True)
class ReinforcedSettings:
    """A run of reinforcement fine-tuning.

    Attributes:
        stage: rft.
        output: Folder of the run: checkpoint-N, the finished `model`, logs.
        model: What is trained; the checkpoint it starts from is the reference, too.
        data: Records with a known point; see `rollouts.TaskDataset`.
        seed: Of the order of the questions and of the answers that are drawn.
        log_interval: Steps between lines of the log.
    """

    stage: str
    output: Path
    model: ModelSettings
    optimizer: OptimizerSettings
    data: tuple[DataSettings, ...]
    seed: int = 42
    log_interval: int = 1
    draw: DrawSettings = field(default_factory=DrawSettings)
    grpo: GrpoSettings = field(default_factory=GrpoSettings)
    rewards: RewardSettings = field(default_factory=RewardSettings)
    checkpoints: CheckpointSettings = field(default_factory=CheckpointSettings)
    # Losses of this stage lie around 0 and say nothing by their size.
    guards: GuardSettings = field(default_factory=lambda: GuardSettings(spike_score=None))

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("log_interval", self.log_interval, 1)
        if self.stage != RFT:
            raise ConfigurationError(f"'stage' is {self.stage!r}; {RFT} is trained here")
        if not self.data:
            raise ConfigurationError("'data' is empty; give at least one data set")
        if self.model.depth_from_colour:
            raise ConfigurationError("'depth_from_colour' is for depth_align; leave it out")


def plan(table: Mapping[str, Any], source: str) -> str:
    """Return in words what would be done; see `stages.Runner`."""
    settings = read_table(ReinforcedSettings, table, source)
    config = RoboReferConfig.from_directory(settings.model.path)
    mixture = Mixture(settings.data, Processor.from_checkpoint(settings.model.path, config))
    tasks = [TaskDataset(samples) for samples in mixture.datasets]
    steps = _steps(settings, mixture.epoch_length, 1)
    each = settings.draw.questions
    return (
        f"stage {settings.stage} from {settings.model.path} to {settings.output}\n"
        f"{sum(map(len, tasks)):,} questions; in one process {steps:,} steps of {each} questions"
        f" with {settings.grpo.samples} answers each, of up to {settings.draw.max_new_tokens}"
        " tokens"
    )


def run(table: Mapping[str, Any], source: str, *, resume: bool) -> None:
    """Train to the end; see `stages.Runner`."""
    settings = read_table(ReinforcedSettings, table, source)
    logged = reinforce(settings, resume=resume)
    if int(os.environ.get("RANK", "0")):  # set for every process of several
        return
    model = settings.output / FINISHED
    if not logged:
        sys.stdout.write(f"finished before: {model}\n")
        return
    sys.stdout.write(
        f"{model}: {len(logged):,} steps now, reward of the first {logged[0]['reward']:.3f}, of"
        f" the last {logged[-1]['reward']:.3f}\n"
    )


def reinforce(
    settings: ReinforcedSettings, *, resume: bool = False, stop_after: int | None = None
) -> list[dict[str, float]]:
    """Train to the end, or go on with a run.

    Args:
        settings: The run.
        resume: Go on from the newest checkpoint, if there is one.
        stop_after: Leave after this step as if killed, for tests; nothing is written then.

    Returns:
        What was logged, step by step, from where it began.

    Raises:
        ConfigurationError: The settings cannot work together.
        RecordError: A file of records is not as it must be.
        CheckpointError: A checkpoint cannot be read or written.
        TrainingError: Training cannot go on, or the run does not fit its folder.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if settings.model.precision is Precision.BFLOAT16 else "no"
    )
    if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise ConfigurationError(
            "weights that are spread over processes cannot write answers; use plain processes"
        )
    folder = RunFolder(settings.output, settings.checkpoints.keep)
    newest = folder.begin(resume=resume)
    accelerator.wait_for_everyone()
    if folder.finished:
        return []
    return _Run(settings, accelerator, folder, newest).run(stop_after)


def _steps(settings: ReinforcedSettings, epoch_length: int, processes: int) -> int:
    if settings.draw.steps is not None:
        return settings.draw.steps
    per_step = settings.draw.questions * processes
    return max(1, ceil(settings.draw.epochs * epoch_length / per_step))


class _Run:
    """A run with everything that it needs."""

    def __init__(
        self,
        settings: ReinforcedSettings,
        accelerator: Accelerator,
        folder: RunFolder,
        newest: Path | None,
    ) -> None:
        set_seed(settings.seed)
        self.settings, self.accelerator, self.folder = settings, accelerator, folder
        self.ranks: int = accelerator.num_processes
        start = settings.model.path
        self.network = load_checkpoint(newest or start, dtype=torch.float32)
        self.processor = Processor.from_checkpoint(newest or start, self.network.config)
        self.reference = load_checkpoint(
            start, device=accelerator.device, dtype=_DTYPES[settings.model.precision]
        ).requires_grad_(False)
        prepare_parts(self.network, settings.stage, settings.model.trainable)
        self.network.checkpoint_gradients(settings.model.gradient_checkpointing)
        self.network.to(accelerator.device)
        self.mixture = Mixture(settings.data, self.processor)
        self.tasks: ConcatDataset[Task] = ConcatDataset(
            [TaskDataset(samples) for samples in self.mixture.datasets]
        )
        self.steps = _steps(settings, self.mixture.epoch_length, self.ranks)
        self.guard = Guard(settings.guards, folder.path, writes=accelerator.is_main_process)
        self.optimizer = make_optimizer(self.network, settings.optimizer)
        self.done = 0
        if newest is not None:
            state = read_state(newest, self._fixed())
            self.done = int(state["step"])
            self.guard.restore(state["guard"])
            load_optimizer(newest, self.network, self.optimizer)

    def run(self, stop_after: int | None) -> list[dict[str, float]]:
        """Do the steps that are left and write the finished checkpoint."""
        logged: list[dict[str, float]] = []
        main = self.accelerator.is_main_process
        sampler = StreamSampler(
            self.mixture,
            self.settings.seed,
            self.settings.draw.questions,
            1,
            rank=self.accelerator.process_index,
            ranks=self.ranks,
            first_step=self.done,
            steps=self.steps,
        )
        log = RunLog(self.folder.path, self.done) if main else None
        bar = tqdm(total=self.steps, initial=self.done, unit="step", disable=not main)
        try:
            for indices in sampler:
                numbers = self._step(indices)
                self.done += 1
                logged.append(numbers)
                if log is not None and self.done % self.settings.log_interval == 0:
                    log.write(self.done, numbers)
                bar.update()
                bar.set_postfix(reward=f"{numbers['reward']:.3f}", refresh=False)
                if stop_after is not None and self.done >= stop_after:
                    return logged
                if self.done % self.settings.checkpoints.interval == 0:
                    self._save()
        finally:
            bar.close()
            if log is not None:
                log.__exit__(None, None, None)
        if main:
            dtype = _DTYPES[self.settings.checkpoints.published]
            with self.folder.writing(FINISHED) as place:
                save_weights(self.network, dict(self.network.named_parameters()), dtype, place)
        self.accelerator.wait_for_everyone()
        return logged

    def _step(self, indices: Sequence[int]) -> dict[str, float]:
        """Ask some questions and learn from the answers; return what to log."""
        settings = self.settings
        number = self.done + 1
        tasks = self._read(indices, number)
        groups = (
            draw_groups(
                self.network,
                self.processor,
                tasks,
                samples=settings.grpo.samples,
                temperature=settings.grpo.temperature,
                max_new_tokens=settings.draw.max_new_tokens,
                seed=(settings.seed, number, self.accelerator.process_index),
                rewards=settings.rewards,
            )
            if tasks
            else []
        )
        answers = round(self._sum([len(groups) * settings.grpo.samples])[0])
        factor = rate_factor(self.done, self.steps, settings.optimizer)
        set_rates(self.optimizer, factor)
        figures = GrpoFigures(0.0, 0.0, 0.0)
        norm = 0.0
        old = None
        if settings.grpo.updates > 1:
            with self.accelerator.autocast():
                old = constant_log_probs(self.network, groups, settings.grpo.temperature)
        for _ in range(settings.grpo.updates):
            with self.accelerator.autocast():
                figures = accumulate_gradients(
                    self.network,
                    self.reference,
                    groups,
                    settings.grpo,
                    old=old,
                    answers=max(1, answers),
                )
            norm = self._gather_gradients()
            loss = self._sum([figures.loss])[0]
            trouble = self.guard.judge(loss, norm, answers)
            if trouble is not None:
                names = [(task.source, task.name) for task in tasks]
                self.guard.report(number, trouble, loss, norm, names)
            if trouble is None or trouble.action is OnTrouble.REPORT:
                self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        numbers = self._figures(groups, figures)
        return numbers | {
            "gradient_norm": norm,
            "learning_rate": factor * settings.optimizer.learning_rate,
            "epoch": (self.done + 1) * self._per_step / self.mixture.epoch_length,
        }

    @property
    def _per_step(self) -> int:
        return self.settings.draw.questions * self.ranks

    def _read(self, indices: Sequence[int], step: int) -> list[Task]:
        tasks: list[Task] = []
        errors: list[RecordError] = []
        for index in indices:
            try:
                tasks.append(self.tasks[index])
            except RecordError as error:
                errors.append(error)
        self.guard.reject(step, errors)
        return tasks

    def _gather_gradients(self) -> float:
        """Add gradients up over all processes, shorten them if so asked; return their norm."""
        learning = [one for one in self.network.parameters() if one.requires_grad]
        if self.ranks > 1:
            for parameter in learning:
                own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = self.accelerator.reduce(own, reduction="sum")
        clip = self.settings.optimizer.clip
        return float(torch.nn.utils.clip_grad_norm_(learning, inf if clip is None else clip))

    def _figures(self, groups: Sequence[Group], figures: GrpoFigures) -> dict[str, float]:
        """Return means over all answers of all processes."""
        attempts = [one for group in groups for one in group.attempts]
        rewards = [[one.reward.total for one in group.attempts] for group in groups]
        sums = {
            "reward": sum(one.reward.total for one in attempts),
            "outcome_format": sum(one.reward.outcome_format for one in attempts),
            "point": sum(one.reward.point for one in attempts),
            "process_format": sum(one.reward.process_format for one in attempts),
            "step_accuracy": sum(one.reward.step_accuracy for one in attempts),
            "answer_tokens": float(sum(len(one.ids) for one in attempts)),
        }
        per_group = {
            "greedy_reward": sum(group.greedy.reward.total for group in groups),
            "reward_spread": sum(float(torch.tensor(one).std()) for one in rewards),
            # Groups whose answers all earned the same teach nothing but to stay near.
            "equal_groups": float(sum(len(set(one)) == 1 for one in rewards)),
        }
        summed = self._sum([len(attempts), len(groups), *sums.values(), *per_group.values()])
        count, group_count, rest = summed[0] or 1.0, summed[1] or 1.0, summed[2:]
        means = {name: value / count for name, value in zip(sums, rest, strict=False)}
        means |= {
            name: value / group_count
            for name, value in zip(per_group, rest[len(sums) :], strict=True)
        }
        loss, kl, clipped = self._sum([figures.loss, figures.kl, figures.clipped])
        return means | {"loss": loss, "kl": kl, "clipped": clipped}

    def _sum(self, values: Sequence[float]) -> list[float]:
        """Add numbers up over all processes."""
        if self.ranks == 1:
            return [float(value) for value in values]
        tensor = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        summed: list[float] = self.accelerator.reduce(tensor, reduction="sum").tolist()
        return summed

    def _fixed(self) -> dict[str, Any]:
        """Return the settings that may not change while a run goes on, as JSON values."""
        table = asdict(self.settings)
        return {
            "stage": self.settings.stage,
            "seed": self.settings.seed,
            "start": str(self.settings.model.path),
            "data": [[str(one.records), one.repeat] for one in self.settings.data],
            "grpo": table["grpo"],
            "rewards": table["rewards"],
            "steps": self.steps,
            "questions per step": self._per_step,
        }

    def _save(self) -> None:
        """Write a checkpoint to go on from."""
        name = checkpoint_name(self.done)
        if self.accelerator.is_main_process:
            weights = dict(self.network.named_parameters())
            with self.folder.writing(name) as place:
                save_weights(self.network, weights, torch.float32, place)
                save_optimizer(place, self.network, self.optimizer)
                state = {"step": self.done, "settings": self._fixed(), "guard": self.guard.state()}
                save_state(place, state)
        # The tokenizer is copied from here next time; where the run began may be gone by then.
        self.network.config = replace(self.network.config, directory=self.folder.path / name)
        self.accelerator.wait_for_everyone()
