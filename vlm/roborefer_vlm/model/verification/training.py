# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of training: losses, gradients, and a few steps of the optimiser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.pictures import load_depth, load_picture
from roborefer_vlm.model.tiling import Tiling
from roborefer_vlm.model.verification.comparison import (
    GRADIENT_NORM,
    LATER_LOSS,
    LOGITS,
    LOSS,
    Comparison,
    close,
    equal,
    read_expected,
    relative,
)

Sample = tuple[ModelInput, torch.Tensor]

# Which data set each sample of a recorded batch is from.
_BATCHES = {
    "rgbd": ("rgbd", "rgbd", "rgbd", "rgbd"),
    "rgb": ("rgb", "rgb", "rgb", "rgb"),
    "mixed": ("rgbd", "rgb", "rgbd", "rgb"),
    "single": ("rgbd",),
}
# What the original nests once more than the files on disk.
_NESTED = {f"{tower}.{tower}.": f"{tower}." for tower in ("vision_tower", "depth_tower")}
_TRAINABLE = {
    "align": (parts.DEPTH_PROJECTOR,),
    "sft": (
        parts.LLM,
        parts.VISION_TOWER,
        parts.MM_PROJECTOR,
        parts.DEPTH_TOWER,
        parts.DEPTH_PROJECTOR,
    ),
}


def verify_training(root: Path, name: str) -> Iterator[Comparison]:
    """Compare the recorded batches and optimiser steps of a checkpoint, if it has any.

    Ids and labels are the recorded ones; tiles are cut from the pictures. Of the two ways to
    supervise an answer of several lines, that of the original is compared.
    """
    expected, arrays = read_expected(root, name, "train")
    if not expected:
        return
    records = json.loads((root / "train" / "records.json").read_text(encoding="utf-8"))
    checkpoint = root / "checkpoints" / name
    model = load_checkpoint(checkpoint, dtype=torch.float32)
    tiling = Tiling.from_config(model.config)
    samples = {
        kind: [
            _sample(tiling, root / "images", record, entry, with_depth=kind == "rgbd")
            for record, entry in zip(records, entries, strict=True)
        ]
        for kind, entries in expected["datasets"].items()
    }
    batches = {
        batch: [samples[kind][index] for index, kind in enumerate(kinds)]
        for batch, kinds in _BATCHES.items()
    }
    for batch, wanted in expected["batches"].items():
        yield from _compare_batch(f"{name}/{batch}", model, batches[batch], wanted, arrays)
    for stage, wanted in expected["steps"].items():
        model = load_checkpoint(checkpoint, dtype=torch.float32)
        yield from _compare_steps(f"{name}/{stage}", model, batches["mixed"], stage, wanted)


def _sample(
    tiling: Tiling,
    images: Path,
    record: Mapping[str, Any],
    entry: Mapping[str, Any],
    *,
    with_depth: bool,
) -> Sample:
    def files(key: str) -> list[str]:
        value = record[key]
        return [value] if isinstance(value, str) else value

    tiles, blocks = tiling.cut([load_picture(images / file) for file in files("image")])
    depths = [load_depth(images / file) for file in files("depth")] if with_depth else []
    depth_tiles, depth_blocks = tiling.cut([depth.astype("uint8") for depth in depths])
    ids = torch.tensor(entry["input_ids"])
    labels = torch.tensor(entry["labels"])
    return ModelInput(ids, tiles, depth_tiles, blocks, depth_blocks), labels


def _compare_batch(
    where: str,
    model: RoboReferModel,
    samples: Sequence[Sample],
    wanted: Mapping[str, Any],
    arrays: Mapping[str, Any],
) -> Iterator[Comparison]:
    inputs, labels = [one for one, _ in samples], [label for _, label in samples]
    with torch.no_grad():
        embedded = model.embed(inputs)
    yield equal(f"{where}/embed_lengths", list(embedded.lengths), wanted["embed_lengths"])
    model.train_only(_parts(model, "sft"))
    model.zero_grad(set_to_none=True)
    loss = model.loss(inputs, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    yield relative(f"{where}/loss", loss.item(), wanted["loss_mean"], LOSS)
    with torch.no_grad():
        shared = model.loss(inputs, labels, num_items=wanted["num_items_in_batch"])
    yield relative(f"{where}/loss_num_items", shared.item(), wanted["loss_with_num_items"], LOSS)
    for part, norm in wanted["grad_norm_sft"].items():
        found = gradient_norm(model if part == "total" else getattr(model, part, None))
        yield relative(f"{where}/gradient/{part}", found, norm, GRADIENT_NORM)
    parameters = dict(model.named_parameters())
    for original, norm in wanted["grad_norm_params"].items():
        gradient = parameters[_our_name(original)].grad
        if norm is None or gradient is None:
            yield equal(f"{where}/gradient/{original}", gradient, norm)
        else:
            found = gradient.norm().item()
            yield relative(f"{where}/gradient/{original}", found, norm, GRADIENT_NORM)
    batch = where.rpartition("/")[2]
    for key, record in arrays.items():
        kind, _, original = key.partition("__")
        if kind != batch:
            continue
        if original.startswith("grad__"):
            gradient = parameters[_our_name(original.removeprefix("grad__"))].grad
            assert gradient is not None
            limit = GRADIENT_NORM * float(abs(record).max())
            yield close(f"{where}/{original}", gradient, record, limit)
        elif original == "logits_sample0_lastsup":
            yield close(f"{where}/logits", _last_supervised(model, samples[0]), record, LOGITS)


@torch.no_grad()
def _last_supervised(model: RoboReferModel, sample: Sample) -> torch.Tensor:
    """Return the logits that the last supervised token is predicted with."""
    one, labels = sample
    _, targets = model.embed_rows([one], [labels])
    last = int((targets[0] >= 0).nonzero()[-1])
    logits: torch.Tensor = model([one])[0, last - 1]
    return logits


def _compare_steps(
    where: str,
    model: RoboReferModel,
    samples: Sequence[Sample],
    stage: str,
    wanted: Mapping[str, Any],
) -> Iterator[Comparison]:
    inputs, labels = [one for one, _ in samples], [label for _, label in samples]
    model.train_only(_parts(model, stage))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    yield equal(f"{where}/parameters", sum(p.numel() for p in trained), wanted["n_trainable"])
    optimiser = torch.optim.AdamW(trained, lr=wanted["lr"], weight_decay=0.0)
    for step, (loss_wanted, norm_wanted) in enumerate(
        zip(wanted["losses"], wanted["grad_norm_total"], strict=True)
    ):
        optimiser.zero_grad(set_to_none=True)
        loss = model.loss(inputs, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        limit = LATER_LOSS if step else LOSS
        yield relative(f"{where}/step{step}/loss", loss.item(), loss_wanted, limit)
        norm = gradient_norm(model)
        yield relative(f"{where}/step{step}/gradient", norm, norm_wanted, GRADIENT_NORM)
        optimiser.step()


def gradient_norm(module: torch.nn.Module | None) -> float:
    """Return the Euclidean norm of all gradients of a module; 0 where there are none."""
    if module is None:
        return 0.0
    gradients = [p.grad.norm() for p in module.parameters() if p.grad is not None]
    return torch.stack(gradients).norm().item() if gradients else 0.0


def _parts(model: RoboReferModel, stage: str) -> list[str]:
    return [name for name in _TRAINABLE[stage] if getattr(model, name, None) is not None]


def _our_name(original: str) -> str:
    for nested, plain in _NESTED.items():
        if original.startswith(nested):
            return plain + original.removeprefix(nested)
    return original
