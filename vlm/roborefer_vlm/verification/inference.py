# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of requests: ids, pixels, features, logits and answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.configuration import DYNAMIC_S2
from roborefer_vlm.model.generation import Generation
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.pictures import load_depth, load_picture
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.verification.comparison import (
    FEATURES,
    LOGITS,
    Comparison,
    close,
    equal,
    read_expected,
)


def verify_inference(
    root: Path, name: str, device: str | torch.device = "cpu"
) -> Iterator[Comparison]:
    """Compare every recorded request of a checkpoint, one by one and all in one batch.

    Args:
        root: Golden directory.
        name: Checkpoint in it.
        device: Where to compute, in float32. The limits are those for a CPU.
    """
    expected, arrays = read_expected(root, name, "inference")
    model = load_checkpoint(root / "checkpoints" / name, device=device, dtype=torch.float32)
    processor = Processor.from_checkpoint(root / "checkpoints" / name, model.config)
    cases = expected["cases"]
    inputs = [prepare(processor, root / "images", case) for case in cases]
    for case, one in zip(cases, inputs, strict=True):
        where = f"{name}/{case['id']}"
        prefix = f"{case['id']}__"
        record = {
            key.removeprefix(prefix): value
            for key, value in arrays.items()
            if key.startswith(prefix)
        }
        yield from _compare_input(where, model.config.picture_mode, case, one)
        yield from _compare_features(where, model, record, one)
        yield close(
            f"{where}/logits_last", _last_logits(model, [one])[0], record["logits_last"], LOGITS
        )
        yield from _compare_answers(where, model, processor, case, one)
    yield from _compare_batch(name, model, cases, arrays, inputs)


def prepare(processor: Processor, images: Path, case: Mapping[str, Any]) -> ModelInput:
    """Build the input of a recorded request."""
    depths = [load_depth(images / file) for file in case["depths"]]
    if any(depth.dtype != np.uint8 for depth in depths):
        raise PictureError(f"depth pictures {case['depths']} are not all of 8 bit")
    return processor.prepare(
        [load_picture(images / file) for file in case["images"]],
        [depth.astype(np.uint8) for depth in depths],
        case["text"],
    )


def _compare_input(
    where: str, mode: str, case: Mapping[str, Any], one: ModelInput
) -> Iterator[Comparison]:
    yield equal(f"{where}/input_ids", one.input_ids.tolist(), case["input_ids"])
    for kind, tiles, blocks in (
        ("image", one.image_tiles, one.image_blocks),
        ("depth", one.depth_tiles, one.depth_blocks),
    ):
        if kind in case["media"]:
            media = case["media"][kind]
            yield equal(f"{where}/{kind}/shape", list(tiles.shape), media["shape"])
            yield equal(f"{where}/{kind}/pixels", pixel_hash(tiles), media["u8_sha256"])
        if mode == DYNAMIC_S2:
            grids = [[block.rows, block.cols] for block in blocks]
            yield equal(f"{where}/{kind}/grids", grids, case["block_sizes"].get(kind, []))


def pixel_hash(tiles: torch.Tensor) -> str:
    """Return the SHA-256 of tiles as bytes from 0 to 255."""
    pixels = ((tiles * 0.5 + 0.5) * 255).round().to(torch.uint8)
    return hashlib.sha256(pixels.numpy().tobytes()).hexdigest()


@torch.no_grad()
def _compare_features(
    where: str, model: RoboReferModel, record: Mapping[str, Any], one: ModelInput
) -> Iterator[Comparison]:
    for kind, encode, tiles, blocks in (
        ("image", model.encode_images, one.image_tiles, one.image_blocks),
        ("depth", model.encode_depths, one.depth_tiles, one.depth_blocks),
    ):
        if f"{kind}_features_first" in record:
            features = encode(tiles, blocks)
            for place, item in (("first", features[0]), ("last", features[-1])):
                wanted = record[f"{kind}_features_{place}"]
                yield close(f"{where}/{kind}/{place}", item.cpu(), wanted, FEATURES)
    embedded = model.embed([one])
    wanted = record["inputs_embeds"]
    yield equal(f"{where}/n_embeds", embedded.lengths[0], len(wanted))
    yield close(f"{where}/inputs_embeds", embedded.embeddings[0].cpu(), wanted, FEATURES)


def _compare_answers(
    where: str,
    model: RoboReferModel,
    processor: Processor,
    case: Mapping[str, Any],
    one: ModelInput,
) -> Iterator[Comparison]:
    records = {"greedy": {"ids": case["greedy_ids"], "answer": case["answer"]}}
    if "greedy_to_eos" in case:
        records["greedy_to_eos"] = case["greedy_to_eos"]
    for kind, record in records.items():
        written = model.generate([one], max_new_tokens=len(record["ids"]))[0]
        yield equal(f"{where}/{kind}/ids", _with_stop(model, written), record["ids"])
        yield equal(f"{where}/{kind}/answer", processor.decode(written.ids), record["answer"])


def _compare_batch(
    name: str,
    model: RoboReferModel,
    cases: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, Any],
    inputs: Sequence[ModelInput],
) -> Iterator[Comparison]:
    """Compare a batch of all requests, whatever their lengths and pictures, with its rows."""
    steps = max(len(case["greedy_ids"]) for case in cases)
    logits = _last_logits(model, inputs)
    written = model.generate(inputs, max_new_tokens=steps)
    for row, case in enumerate(cases):
        where = f"{name}/batch/{case['id']}"
        yield close(
            f"{where}/logits_last", logits[row], arrays[f"{case['id']}__logits_last"], LOGITS
        )
        yield equal(f"{where}/ids", _with_stop(model, written[row]), case["greedy_ids"])


@torch.no_grad()
def _last_logits(model: RoboReferModel, inputs: Sequence[ModelInput]) -> torch.Tensor:
    lengths = model.embed(inputs).lengths
    logits = model(inputs)
    return torch.stack(
        [row[length - 1] for row, length in zip(logits, lengths, strict=True)]
    ).cpu()


def _with_stop(model: RoboReferModel, written: Generation) -> list[int]:
    return [*written.ids, *model.vocabulary.stop[: 1 if written.stopped else 0]]
