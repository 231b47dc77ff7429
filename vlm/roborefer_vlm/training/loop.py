# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The loop of supervised training, on `accelerate`: one process, several, or spread weights.

How many processes there are, and whether FSDP or DeepSpeed spreads weights over them, is said by
`accelerate launch` and its own configuration.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, gather_object, set_seed
from torch.utils.data import DataLoader
from tqdm import tqdm

from roborefer_vlm.exceptions import ConfigurationError, RecordError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.training.checkpoints import (
    FINISHED,
    SHARDS,
    RunFolder,
    checkpoint_name,
    load_optimizer,
    read_state,
    save_optimizer,
    save_state,
    save_weights,
)
from roborefer_vlm.training.collate import Batch, Collate
from roborefer_vlm.training.costs import StepCost, peak_flops
from roborefer_vlm.training.guards import Guard
from roborefer_vlm.training.logs import RunLog
from roborefer_vlm.training.loss_network import LossNetwork
from roborefer_vlm.training.mixture import MicroBatch, MicroCollate, Mixture, StreamSampler
from roborefer_vlm.training.optimisers import make_optimizer, rate_factor, set_rates
from roborefer_vlm.training.settings import OnTrouble, Precision, SupervisedSettings
from roborefer_vlm.training.stages import copy_colour_to_depth, prepare_parts

_DTYPES = {Precision.FLOAT32: torch.float32, Precision.BFLOAT16: torch.bfloat16}
_SPREAD = (DistributedType.FSDP, DistributedType.DEEPSPEED)


@dataclass
class Result:
    """What a run came to.

    Attributes:
        steps: Steps done in all.
        losses: Loss of every step of this run, from where it began.
        skipped: Steps that changed no weights.
        rejected: Records that could not be used.
        model: Folder of the finished checkpoint; None where the run was stopped before its end.
    """

    steps: int
    losses: list[float] = field(default_factory=list)
    skipped: int = 0
    rejected: int = 0
    model: Path | None = None


def steps_of(settings: SupervisedSettings, epoch_length: int, processes: int) -> int:
    """Return how often the weights change in a run."""
    batch = settings.batch
    if batch.steps is not None:
        return batch.steps
    per_step = batch.samples * batch.accumulation * processes
    return max(1, ceil(batch.epochs * epoch_length / per_step))


def train(
    settings: SupervisedSettings, *, resume: bool = False, stop_after: int | None = None
) -> Result:
    """Train to the end, or go on with a run.

    Args:
        settings: The run.
        resume: Go on from the newest checkpoint, if there is one.
        stop_after: Leave after this step as if killed, for tests; nothing is written then.

    Raises:
        ConfigurationError: The settings cannot work together.
        RecordError: A file of records is not as it must be.
        CheckpointError: A checkpoint cannot be read or written.
        TrainingError: Training cannot go on, or the run does not fit its folder.
    """
    accelerator = Accelerator(gradient_accumulation_steps=settings.batch.accumulation)
    folder = RunFolder(settings.output, settings.checkpoints.keep)
    newest = folder.begin(resume=resume)
    accelerator.wait_for_everyone()
    if folder.finished:
        return Result(steps=0, model=folder.path / FINISHED)
    return _Run(settings, accelerator, folder, newest).run(stop_after)


class _Run:
    """A run with everything that it needs."""

    def __init__(
        self,
        settings: SupervisedSettings,
        accelerator: Accelerator,
        folder: RunFolder,
        newest: Path | None,
    ) -> None:
        set_seed(settings.seed)
        self.settings = settings
        self.accelerator = accelerator
        self.folder = folder
        self.ranks: int = accelerator.num_processes
        self.spread = accelerator.distributed_type in _SPREAD
        self._check_launch()
        self.model = load_checkpoint(newest or settings.model.path, dtype=torch.float32)
        processor = Processor.from_checkpoint(newest or settings.model.path, self.model.config)
        if settings.model.depth_from_colour and newest is None:
            copy_colour_to_depth(self.model)
        prepare_parts(self.model, settings.stage, settings.model.trainable)
        self.model.checkpoint_gradients(settings.model.gradient_checkpointing)
        self.mixture = Mixture(settings.data, processor)
        self.steps = steps_of(settings, self.mixture.epoch_length, self.ranks)
        self.guard = Guard(settings.guards, folder.path, writes=accelerator.is_main_process)
        self.network = LossNetwork(
            self.model,
            packing=settings.batch.packing,
            dummies=accelerator.distributed_type is not DistributedType.NO,
            dtype=_DTYPES[settings.model.precision],
        )
        self.cost = StepCost(self.model)
        self.model.to(accelerator.device)
        optimizer = make_optimizer(self.model, settings.optimizer)
        if accelerator.distributed_type is DistributedType.DEEPSPEED:
            # It would read this from a loader of accelerate's own, which there is none of.
            plugin = accelerator.state.deepspeed_plugin
            plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = settings.batch.samples
        self.wrapped, self.optimizer = accelerator.prepare(self.network, optimizer)
        self.done = 0
        if newest is not None:
            self._restore(newest)
        self.loader = self._loader(processor)

    def _check_launch(self) -> None:
        """Refuse what `accelerate launch` was told and the settings contradict."""
        guards, precision = self.settings.guards, self.settings.model.precision
        mixed = self.accelerator.mixed_precision
        if mixed not in ("no", "bf16") or (mixed == "bf16" and precision != Precision.BFLOAT16):
            raise ConfigurationError(
                f"'precision' is {precision}, but accelerate was told mixed precision {mixed};"
                " use bfloat16 with bf16, or tell accelerate no"
            )
        if self.accelerator.distributed_type is DistributedType.DEEPSPEED and (
            OnTrouble.SKIP in (guards.non_finite, guards.spike)
        ):
            raise ConfigurationError(
                "'guards' skip steps, but DeepSpeed changes the weights within the backward pass;"
                " use stop or report, or FSDP"
            )

    def _loader(self, processor: Processor) -> DataLoader[Any]:
        batch = self.settings.batch
        sampler = StreamSampler(
            self.mixture,
            self.settings.seed,
            batch.samples,
            batch.accumulation,
            rank=self.accelerator.process_index,
            ranks=self.ranks,
            first_step=self.done,
            steps=self.steps,
        )
        collate = Collate(processor.tokenizer, self.settings.model.max_length)
        return DataLoader(
            self.mixture,
            batch_sampler=sampler,
            collate_fn=MicroCollate(collate),
            num_workers=batch.workers,
        )

    def run(self, stop_after: int | None) -> Result:
        """Do the steps that are left and write the finished checkpoint."""
        result = Result(steps=self.done)
        main = self.accelerator.is_main_process
        micro_batches: Iterator[MicroBatch] = iter(self.loader)
        log = RunLog(self.folder.path, self.done) if main else None
        bar = tqdm(total=self.steps, initial=self.done, unit="step", disable=not main)
        try:
            while self.done < self.steps:
                begin = time.perf_counter()
                batches = list(islice(micro_batches, self.settings.batch.accumulation))
                numbers = self._step(batches)
                self.done += 1
                result.losses.append(numbers["loss"])
                seconds = time.perf_counter() - begin
                for name in ("samples", "tokens"):
                    numbers[f"{name}_per_s"] = numbers.pop(name) / seconds
                self._utilisation(numbers, seconds)
                if log is not None and self.done % self.settings.log_interval == 0:
                    log.write(self.done, numbers)
                bar.update()
                bar.set_postfix(loss=f"{numbers['loss']:.4f}", refresh=False)
                if stop_after is not None and self.done >= stop_after:
                    result.steps = self.done
                    return result
                if self.done % self.settings.checkpoints.interval == 0:
                    self._save()
        finally:
            bar.close()
            if log is not None:
                log.__exit__(None, None, None)
        self._finish()
        result.steps = self.done
        result.skipped, result.rejected = self.guard.skipped, self.guard.rejected
        result.model = self.folder.path / FINISHED
        return result

    def _step(self, batches: Sequence[MicroBatch]) -> dict[str, float]:
        """Change the weights once, unless the guard finds something; return what to log."""
        number = self.done + 1
        items, samples, rejected = self._sum(
            [
                sum(one.batch.num_items for one in batches if one.batch is not None),
                sum(len(one.records) for one in batches),
                sum(len(one.rejected) for one in batches),
            ]
        )
        if rejected:
            errors: list[RecordError] = [error for one in batches for error in one.rejected]
            self.guard.reject(number, self._gather(errors))
        factor = rate_factor(self.done, self.steps, self.settings.optimizer)
        set_rates(self.optimizer, factor)
        own_loss, own_flops, own_positions = 0.0, 0.0, 0
        losses = []
        for one in batches if items else []:
            with self.accelerator.accumulate(self.wrapped):
                loss, lengths = self.wrapped(one.batch, int(items))
                # What accelerate and the mean over processes divide by is put in first.
                scale = self.settings.batch.accumulation * self.ranks
                if loss.requires_grad:  # depth alignment learns nothing from colour alone
                    self.accelerator.backward(loss * scale)
            losses.append(loss.detach())
            tiles = _tiles(one.batch)
            own_flops += self.cost.flops(lengths, *tiles)
            own_positions += sum(lengths)
        if losses:
            own_loss = float(torch.stack(losses).double().sum())
        norm = self._gradient_norm() if items else 0.0
        loss_sum, positions, flops = self._sum([own_loss, own_positions, own_flops])
        trouble = self.guard.judge(loss_sum, norm, int(items))
        if trouble is not None:
            names = [name for one in batches for name in one.records]
            self.guard.report(number, trouble, loss_sum, norm, self._gather(names))
        if trouble is None or trouble.action is OnTrouble.REPORT:
            self.optimizer.step()
        self.optimizer.zero_grad()
        return {
            "loss": loss_sum,
            "learning_rate": factor * self.settings.optimizer.learning_rate,
            "gradient_norm": norm,
            "epoch": self.done * self._per_step / self.mixture.epoch_length,
            "samples": samples,
            "tokens": positions,
            "flops": flops,
        }

    @property
    def _per_step(self) -> int:
        batch = self.settings.batch
        return batch.samples * batch.accumulation * self.ranks

    def _gradient_norm(self) -> float:
        """Return the norm of the gradient of all processes, and shorten it if so asked."""
        clip = self.settings.optimizer.clip
        norm = self.accelerator.clip_grad_norm_(
            self.wrapped.parameters(), float("inf") if clip is None else clip
        )
        return float(norm) if norm is not None else 0.0

    def _utilisation(self, numbers: dict[str, float], seconds: float) -> None:
        flops = numbers.pop("flops")
        peak = peak_flops(self.accelerator.device)
        if peak is not None:
            numbers["flop_utilisation"] = flops / seconds / (peak * self.ranks)

    def _sum(self, values: Sequence[float]) -> list[float]:
        """Add numbers up over all processes."""
        if self.ranks == 1:
            return [float(value) for value in values]
        tensor = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        summed: list[float] = self.accelerator.reduce(tensor, reduction="sum").tolist()
        return summed

    def _gather(self, values: list[Any]) -> list[Any]:
        return list(gather_object(values)) if self.ranks > 1 else values

    # Checkpoints.

    def _fixed(self) -> dict[str, Any]:
        """Return the settings that may not change while a run goes on."""
        table = {name: _plain(value) for name, value in asdict(self.settings).items()}
        return {
            "stage": table["stage"],
            "seed": table["seed"],
            "data": table["data"],
            "trainable": table["model"]["trainable"],
            "precision": table["model"]["precision"],
            "max_length": table["model"]["max_length"],
            "optimizer": table["optimizer"],
            "steps": self.steps,
            "samples per step": self._per_step,
            "samples per epoch": self.mixture.epoch_length,
        }

    def _save(self) -> None:
        """Write a checkpoint to go on from."""
        name = checkpoint_name(self.done)
        weights = self._weights()
        main = self.accelerator.is_main_process
        with self.folder.writing(name) if main else nullcontext() as place:
            if place is not None:
                save_weights(self.model, weights, torch.float32, place)
                state = {"step": self.done, "settings": self._fixed(), "guard": self.guard.state()}
                save_state(place, state)
                if not self.spread:
                    save_optimizer(place, self.model, self.optimizer.optimizer)
            if self.spread:
                self.accelerator.wait_for_everyone()
                self.accelerator.save_state(str(self.folder.unfinished(name) / SHARDS))
                self.accelerator.wait_for_everyone()
        # The tokenizer is copied from here next time; where the run began may be gone by then.
        self.model.config = replace(self.model.config, directory=self.folder.path / name)
        self.accelerator.wait_for_everyone()

    def _restore(self, newest: Path) -> None:
        state = read_state(newest, self._fixed())
        self.done = int(state["step"])
        self.guard.restore(state["guard"])
        if self.spread:
            self.accelerator.load_state(str(newest / SHARDS))
        else:
            load_optimizer(newest, self.model, self.optimizer.optimizer)

    def _finish(self) -> None:
        """Write what is served, in the number format that was asked for."""
        dtype = _DTYPES[self.settings.checkpoints.published]
        weights = self._weights()
        if self.accelerator.is_main_process:
            with self.folder.writing(FINISHED) as place:
                save_weights(self.model, weights, dtype, place)
        self.accelerator.wait_for_everyone()

    def _weights(self) -> dict[str, torch.Tensor]:
        """Return all weights by name; those that are spread are gathered."""
        if not self.spread:
            return dict(self.model.named_parameters())
        prefix = "model."
        gathered = self.accelerator.get_state_dict(self.wrapped)
        return {name.removeprefix(prefix): tensor for name, tensor in gathered.items()}


def _tiles(batch: Batch | None) -> tuple[int, int]:
    if batch is None:
        return 0, 0
    images = sum(len(one.image_tiles) for one in batch.inputs)
    return images, sum(len(one.depth_tiles) for one in batch.inputs)


def _plain(value: Any) -> Any:
    """Return a setting as JSON reads it back."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
