# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth alignment and SFT as the command line runs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from roborefer_vlm.exceptions import RecordError
from roborefer_vlm.model.checkpoint import build_without_weights
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.model.vocabulary import Vocabulary
from roborefer_vlm.training.costs import sizes_of, state_bytes
from roborefer_vlm.training.mixture import Mixture
from roborefer_vlm.training.settings import SupervisedSettings
from roborefer_vlm.training.stages import prepare_parts

_MIB = 2**20
# Samples that a plan looks at to know their length.
_LOOKED_AT = 8


def run(table: Mapping[str, Any], source: str, *, resume: bool) -> None:
    """Train to the end; see `stages.Runner`."""
    settings = SupervisedSettings.from_table(table, source)
    from roborefer_vlm.training.loop import train

    result = train(settings, resume=resume)
    if int(os.environ.get("RANK", "0")):  # set for every process of several
        return
    if not result.losses:
        sys.stdout.write(f"finished before: {result.model}\n")
        return
    sys.stdout.write(
        f"{result.model}: {result.steps:,} steps, last loss {result.losses[-1]:.4f},"
        f" {result.skipped} steps and {result.rejected} records skipped\n"
    )


def plan(table: Mapping[str, Any], source: str) -> str:
    """Return sizes, memory and steps; weights are not read, so it takes seconds for any size."""
    settings = SupervisedSettings.from_table(table, source)
    from roborefer_vlm.training.loop import steps_of

    config = RoboReferConfig.from_directory(settings.model.path)
    model = build_without_weights(config, Vocabulary.from_checkpoint(config))
    prepare_parts(model, settings.stage, settings.model.trainable)
    mixture = Mixture(settings.data, Processor.from_checkpoint(settings.model.path, config))
    # Set by `accelerate launch`.
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    sizes = sizes_of(model)
    steps = steps_of(settings, mixture.epoch_length, processes)
    batch = settings.batch
    per_step = batch.samples * batch.accumulation * processes
    lines = [f"stage {settings.stage} from {settings.model.path} to {settings.output}", ""]
    lines.append(f"{'part':18}{'weights':>14}{'learning':>14}")
    lines += [f"{one.part:18}{one.weights:>14,}{one.learning:>14,}" for one in sizes]
    total, learning = sum(one.weights for one in sizes), sum(one.learning for one in sizes)
    lines += [f"{'all':18}{total:>14,}{learning:>14,}", ""]
    for dataset, repeat in zip(mixture.datasets, mixture.repeats, strict=True):
        way = "RGB-D" if dataset.depth_folder is not None else "RGB"
        source = dataset.records[0].source
        lines.append(f"{len(dataset):>10,} x {repeat} {way:5} {source}")
    lines.append(
        f"{steps:,} steps of {per_step} samples ({batch.samples} x {batch.accumulation} x"
        f" {processes} processes), {steps * per_step / mixture.epoch_length:.2f} epochs of"
        f" {mixture.epoch_length:,}"
    )
    lengths = _lengths(mixture, model)
    lines.append(
        f"positions per sample: {np.mean(lengths):.0f} on average, {max(lengths)} at most"
        f" ({len(lengths)} looked at)"
    )
    lines.append(
        f"weights, gradients and optimizer: {state_bytes(sizes) / _MIB:,.0f} MiB in one process;"
        f" spread over N processes, an N-th of it each"
    )
    kept = _activation_bytes(settings, config, max(lengths))
    lines.append(f"what a backward pass keeps of the decoder, roughly: {kept / _MIB:,.0f} MiB")
    return "\n".join(lines)


@torch.no_grad()
def _lengths(mixture: Mixture, model: Any) -> list[int]:
    """Return the positions of some samples; the network is on the meta device, only shapes."""
    chosen = np.linspace(0, len(mixture) - 1, min(_LOOKED_AT, len(mixture))).astype(int)
    lengths = []
    for index in chosen:
        sample = mixture[int(index)]
        if isinstance(sample, RecordError):
            raise sample
        rows, _ = model.embed_rows([sample.inputs])
        lengths.append(len(rows[0]))
    return lengths


def _activation_bytes(
    settings: SupervisedSettings, config: RoboReferConfig, longest: int
) -> float:
    """Return about what the decoder keeps for the backward pass of a micro-batch.

    With layers computed again only what enters each is kept, and the inside of one; without it
    the inside of all. The inside of a layer is about ten vectors and four of its wider middle.
    """
    language = config.language
    positions = settings.batch.samples * longest
    number = 2 if settings.model.precision == "bfloat16" else 4
    inside = 10 * language.hidden_size + 4 * language.intermediate_size
    if settings.model.gradient_checkpointing:
        per_position = language.layers * language.hidden_size + inside
    else:
        per_position = language.layers * inside
    return float(positions * per_position * number)
