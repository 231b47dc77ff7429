# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a supervised training run is: read from TOML, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any

from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.training.labels import Supervision
from roborefer_vlm.training.typed_tables import read_table


def at_least(name: str, value: int, least: int) -> None:
    """Raise ConfigurationError for a number that is too small."""
    if value < least:
        raise ConfigurationError(f"'{name}' is {value}; at least {least} is needed")


class Precision(StrEnum):
    """Number format of the products; weights and optimizer are kept in float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class OnTrouble(StrEnum):
    """What happens when something bad is found; it is always written down first."""

    STOP = "stop"
    SKIP = "skip"
    REPORT = "report"


@dataclass(frozen=True)
class ModelSettings:
    """What is trained.

    Attributes:
        path: Checkpoint to start from.
        trainable: Parts that learn, by sub-directory name; empty takes those of the stage.
        precision: Number format of the products.
        gradient_checkpointing: Compute layers again in the backward pass instead of keeping them.
        max_length: Most token ids of a sample, before pictures are inserted.
        depth_from_colour: Begin with tower and projector of depth as those of colour are; for a
            checkpoint that has learnt colour pictures only.
    """

    path: Path
    trainable: tuple[str, ...] = ()
    precision: Precision = Precision.BFLOAT16
    gradient_checkpointing: bool = True
    max_length: int = 16384
    depth_from_colour: bool = False

    def __post_init__(self) -> None:
        at_least("max_length", self.max_length, 2)


@dataclass(frozen=True)
class DataSettings:
    """One data set of the mixture.

    Attributes:
        records: JSON file, see `roborefer_vlm.training.samples`.
        images: Folder that names of pictures are relative to.
        depths: The same for depth; absent reads every record without depth.
        also_without: Read every record twice, with depth and without.
        repeat: How often each record, each way, comes in one epoch.
        supervision: How the learnt tokens are found.
    """

    records: Path
    images: Path
    depths: Path | None = None
    also_without: bool = False
    repeat: int = 1
    supervision: Supervision = Supervision.SPANS

    def __post_init__(self) -> None:
        at_least("repeat", self.repeat, 1)
        if self.also_without and self.depths is None:
            raise ConfigurationError(
                "'also_without' is true, but without 'depths' nothing is read with depth"
            )


@dataclass(frozen=True)
class BatchSettings:
    """How much is learnt at once and how long.

    Attributes:
        samples: Samples that one process reads together.
        accumulation: How often it does so before the weights change.
        packing: Put the samples of a batch into one row without padding.
        epochs: How often the mixture is seen; may be a fraction.
        steps: Changes of the weights instead of epochs; absent counts epochs.
        workers: Processes per training process that read pictures.
    """

    samples: int = 1
    accumulation: int = 1
    packing: bool = True
    epochs: float = 1.0
    steps: int | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        at_least("samples", self.samples, 1)
        at_least("accumulation", self.accumulation, 1)
        at_least("workers", self.workers, 0)
        if not 0 < self.epochs < inf:
            raise ConfigurationError(f"'epochs' is {self.epochs}; more than 0 is needed")
        if self.steps is not None:
            at_least("steps", self.steps, 1)


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW and its learning rate.

    Attributes:
        learning_rate: Highest rate.
        part_rates: Other highest rates, by part.
        warmup: Share of all steps in which the rate rises from 0.
        final: Share of the highest rate at the end of the cosine.
        weight_decay: Of matrices; vectors (norms, biases) never decay.
        betas: Of the running means of the gradient and of its square.
        epsilon: Added to the root of the latter.
        clip: Largest norm of the gradient; absent does not clip, as the released weights were
            trained.
    """

    learning_rate: float
    part_rates: Mapping[str, float] = field(default_factory=dict)
    warmup: float = 0.03
    final: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip: float | None = None

    def __post_init__(self) -> None:
        for name, rate in {"learning_rate": self.learning_rate, **self.part_rates}.items():
            if not 0 < rate < inf:
                raise ConfigurationError(f"'{name}' is {rate}; more than 0 is needed")
        for name in ("warmup", "final"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"'{name}' is {getattr(self, name)}; 0 to 1 is needed")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigurationError(f"'betas' is {list(self.betas)}; 0 up to 1 is needed")
        if not (0 <= self.weight_decay < inf and 0 < self.epsilon < inf):
            raise ConfigurationError(
                f"'weight_decay' is {self.weight_decay} and 'epsilon' {self.epsilon};"
                " numbers from 0 are needed"
            )
        if self.clip is not None and not 0 < self.clip < inf:
            raise ConfigurationError(f"'clip' is {self.clip}; more than 0 is needed")


@dataclass(frozen=True)
class CheckpointSettings:
    """What is kept on disk.

    Attributes:
        interval: Steps between checkpoints.
        keep: How many of the newest are kept.
        published: Number format of the weights of the finished `model`; those of the others are
            float32, as they are trained.
    """

    interval: int = 1000
    keep: int = 1
    published: Precision = Precision.BFLOAT16

    def __post_init__(self) -> None:
        at_least("interval", self.interval, 1)
        at_least("keep", self.keep, 1)


@dataclass(frozen=True)
class GuardSettings:
    """What is done about bad batches.

    Attributes:
        records: A record cannot be used (picture missing, too long): stop or skip.
        non_finite: Loss or gradient is no number: stop or skip.
        spike: The loss stands far above those before: stop, skip or report.
        spike_score: How far, in robust standard deviations; absent never looks.
        window: Losses that are compared with.
        most_skipped: Skipped steps or records, each, after which training stops all the same.
    """

    records: OnTrouble = OnTrouble.STOP
    non_finite: OnTrouble = OnTrouble.STOP
    spike: OnTrouble = OnTrouble.REPORT
    spike_score: float | None = 12.0
    window: int = 100
    most_skipped: int = 100

    def __post_init__(self) -> None:
        for name in ("records", "non_finite"):
            if getattr(self, name) is OnTrouble.REPORT:
                raise ConfigurationError(f"'{name}' is report; stop or skip is needed")
        at_least("window", self.window, 10)
        at_least("most_skipped", self.most_skipped, 0)
        if self.spike_score is not None and not 0 < self.spike_score < inf:
            raise ConfigurationError(f"'spike_score' is {self.spike_score}; more than 0 is needed")


@dataclass(frozen=True)
class SupervisedSettings:
    """A run of depth alignment or SFT.

    Attributes:
        stage: depth_align or sft.
        output: Folder of the run: checkpoint-N, the finished `model`, logs.
        seed: Of the order of the data and of everything random.
        log_interval: Steps between lines of the log.
        data: The mixture.
    """

    stage: str
    output: Path
    model: ModelSettings
    optimizer: OptimizerSettings
    data: tuple[DataSettings, ...]
    seed: int = 42
    log_interval: int = 1
    batch: BatchSettings = BatchSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    guards: GuardSettings = GuardSettings()

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("log_interval", self.log_interval, 1)
        if not self.data:
            raise ConfigurationError("'data' is empty; give at least one data set")

    @classmethod
    def from_table(cls, table: Mapping[str, Any], source: str) -> SupervisedSettings:
        """Read a configuration.

        Raises:
            ConfigurationError: A key is unknown or missing, or a value cannot work.
        """
        return read_table(cls, table, source)
