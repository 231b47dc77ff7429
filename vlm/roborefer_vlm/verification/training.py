# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of training: samples, losses, gradients, and a few steps of the optimiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.training.labels import Supervision
from roborefer_vlm.training.samples import Sample, SpatialDataset
from roborefer_vlm.verification.comparison import (
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
from roborefer_vlm.verification.inference import pixel_hash

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
    """Compare the recorded samples, batches and optimiser steps of a checkpoint, if any."""
    expected, arrays = read_expected(root, name, "train")
    if not expected:
        return
    checkpoint = root / "checkpoints" / name
    model = load_checkpoint(checkpoint, dtype=torch.float32)
    processor = Processor.from_checkpoint(checkpoint, model.config)
    batches = {
        how: _read_batches(root, processor, how)
        for how in (Supervision.ORIGINAL, Supervision.SPANS)
    }
    original = batches[Supervision.ORIGINAL]
    for kind in ("rgbd", "rgb"):
        for place, (sample, entry) in enumerate(
            zip(original[kind], expected["datasets"][kind], strict=True)
        ):
            yield from _compare_sample(f"{name}/{kind}/{place}", sample, entry)
    for batch, wanted in expected["batches"].items():
        where = f"{name}/{batch}"
        yield from _compare_batch(where, model, original[batch], wanted, arrays)
        with torch.no_grad():
            spans = _loss(model, batches[Supervision.SPANS][batch]).item()
        yield relative(f"{where}/loss_spans", spans, wanted["loss_mean_span_mask"], LOSS)
    for stage, wanted in expected["steps"].items():
        model = load_checkpoint(checkpoint, dtype=torch.float32)
        yield from _compare_steps(f"{name}/{stage}", model, original["mixed"], stage, wanted)


def _read_batches(root: Path, processor: Processor, how: Supervision) -> dict[str, list[Sample]]:
    """Return the recorded batches; those of one kind only hold its whole data set."""
    records, images = root / "train" / "records.json", root / "images"
    datasets = {
        "rgbd": SpatialDataset(records, processor, images, images, how),
        "rgb": SpatialDataset(records, processor, images, None, how),
    }
    samples = {kind: [data[i] for i in range(len(data))] for kind, data in datasets.items()}
    return {
        batch: [samples[kind][index] for index, kind in enumerate(kinds)]
        for batch, kinds in _BATCHES.items()
    }


def _compare_sample(where: str, sample: Sample, entry: Mapping[str, Any]) -> Iterator[Comparison]:
    yield equal(f"{where}/input_ids", sample.inputs.input_ids.tolist(), entry["input_ids"])
    yield equal(f"{where}/labels", sample.labels.tolist(), entry["labels"])
    for kind, tiles in (
        ("image", sample.inputs.image_tiles),
        ("depth", sample.inputs.depth_tiles),
    ):
        if entry.get(kind):
            yield equal(f"{where}/{kind}/pixels", pixel_hash(tiles), entry[kind]["u8_sha256"])


def _loss(
    model: RoboReferModel, samples: Sequence[Sample], num_items: int | None = None
) -> torch.Tensor:
    inputs, labels = [one.inputs for one in samples], [one.labels for one in samples]
    return model.loss(inputs, labels, num_items)


def _compare_batch(
    where: str,
    model: RoboReferModel,
    samples: Sequence[Sample],
    wanted: Mapping[str, Any],
    arrays: Mapping[str, Any],
) -> Iterator[Comparison]:
    with torch.no_grad():
        embedded = model.embed([sample.inputs for sample in samples])
    yield equal(f"{where}/embed_lengths", list(embedded.lengths), wanted["embed_lengths"])
    model.train_only(_parts(model, "sft"))
    model.zero_grad(set_to_none=True)
    loss = _loss(model, samples)
    loss.backward()  # type: ignore[no-untyped-call]
    yield relative(f"{where}/loss", loss.item(), wanted["loss_mean"], LOSS)
    with torch.no_grad():
        shared = _loss(model, samples, wanted["num_items_in_batch"])
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
    _, targets = model.embed_rows([sample.inputs], [sample.labels])
    last = int((targets[0] >= 0).nonzero()[-1])
    logits: torch.Tensor = model([sample.inputs])[0, last - 1]
    return logits


def _compare_steps(
    where: str,
    model: RoboReferModel,
    samples: Sequence[Sample],
    stage: str,
    wanted: Mapping[str, Any],
) -> Iterator[Comparison]:
    model.train_only(_parts(model, stage))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    yield equal(f"{where}/parameters", sum(p.numel() for p in trained), wanted["n_trainable"])
    optimiser = torch.optim.AdamW(trained, lr=wanted["lr"], weight_decay=0.0)
    for step, (loss_wanted, norm_wanted) in enumerate(
        zip(wanted["losses"], wanted["grad_norm_total"], strict=True)
    ):
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(model, samples)
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
