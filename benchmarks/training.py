#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How fast training steps are, against a plain loop of transformers on the same samples.

    python benchmarks/training.py [--quick] [--json FILE]

Both loops take the same network with the same random weights, the same batches of conversations
about pictures (RGB-D and RGB, of different length), AdamW and the norm of the gradient. Ours reads
a batch in one row and puts only supervised positions through the output matrix; the plain one pads
to the longest, masks, and lets `Qwen2ForCausalLM` compute its own loss. The steps of both take
turns, and their losses are compared. Reading of pictures from files is not part of it.

On a CPU the network is small, time is processor time of one thread, and memory is what the
forward pass keeps for the backward pass. On a GPU it has the shape of RoboRefer-2B in bfloat16,
time is wall time, and memory is the most that was allocated; only there is there a figure of
model FLOP utilisation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.checkpoint import random_model
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.inputs import ModelInput, PictureBlock
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.shapes import published_vocabulary, roborefer_2b
from roborefer_vlm.training.collate import Batch
from roborefer_vlm.training.costs import StepCost, peak_flops
from roborefer_vlm.training.labels import IGNORED
from roborefer_vlm.training.loss_network import LossNetwork
from roborefer_vlm.training.optimisers import make_optimizer
from roborefer_vlm.training.settings import OptimizerSettings
from roborefer_vlm.training.stages import prepare_parts
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

SAMPLES = 8
# Losses in bfloat16 differ by rounding of sums in another order.
SAME_LOSS = {torch.float32: 1e-4, torch.bfloat16: 2e-2}


@dataclass
class Loop:
    """One way of training, with a network of its own.

    Attributes:
        model: The network.
        loss: From a batch to its mean loss.
        optimizer: Of the network.
    """

    model: RoboReferModel
    loss: Callable[[Batch], torch.Tensor]
    optimizer: torch.optim.Optimizer

    def step(self, batch: Batch) -> torch.Tensor:
        """Change the weights once and return the loss."""
        loss = self.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), float("inf"))
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


def small_shape() -> RoboReferConfig:
    """Return the 2B's shape, narrower: 4 million weights beside the words."""
    files = {part: dict(values) for part, values in roborefer_2b().files.items()}
    files[""] |= {"hidden_size": 256, "mm_hidden_size": 128}
    files[parts.LLM] |= {
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
    }
    for tower in (parts.VISION_TOWER, parts.DEPTH_TOWER):
        files[tower] |= {
            "hidden_size": 128,
            "image_size": 112,
            "intermediate_size": 384,
            "num_attention_heads": 2,
            "num_hidden_layers": 3,
        }
    return RoboReferConfig.from_files(files)


def make_model(config: RoboReferConfig, device: torch.device, words: int) -> RoboReferModel:
    """Return a network of random weights in which everything learns."""
    published = published_vocabulary()
    shift = published.size - words
    vocabulary = type(published)(
        size=words,
        image=published.image - shift,
        depth=(published.depth or 0) - shift,
        pad=published.pad - shift,
        stop=tuple(one - shift for one in published.stop),
        around_image=published.around_image,
        around_depth=published.around_depth,
        longest=published.longest,
    )
    model = random_model(config, vocabulary, device=device)
    prepare_parts(model, "sft")
    return model


def make_batch(model: RoboReferModel, seed: int, tiles: int, count: int = SAMPLES) -> Batch:
    """Return conversations of one to six questions about one picture, every other with depth."""
    rng = np.random.default_rng([7, seed])
    vocabulary, config = model.vocabulary, model.config
    size = config.vision.image_size
    samples = []
    for index in range(count):
        cut = int(rng.integers(1, tiles + 1))
        block = PictureBlock(cut, cut, cut, 1)
        pictures = torch.from_numpy(rng.standard_normal((2, cut, 3, size, size), dtype=np.float32))
        depth = bool(index % 2)
        head = [vocabulary.image] * cut
        if depth:
            assert vocabulary.depth is not None
            head += [vocabulary.depth] * cut
        ids, labels = [*head], [IGNORED] * len(head)
        for _ in range(int(rng.integers(1, 7))):
            question = rng.integers(0, vocabulary.pad, int(rng.integers(20, 90))).tolist()
            answer = rng.integers(0, vocabulary.pad, int(rng.integers(4, 30))).tolist()
            ids += question + answer
            labels += [IGNORED] * len(question) + answer
        inputs = ModelInput(
            torch.tensor(ids),
            pictures[0],
            pictures[1][: cut if depth else 0],
            (block,),
            (block,) if depth else (),
        )
        samples.append((inputs, torch.tensor(labels)))
    rows = [inputs.input_ids for inputs, _ in samples]
    return Batch(
        inputs=tuple(inputs for inputs, _ in samples),
        labels=tuple(labels for _, labels in samples),
        num_items=sum(int((labels[1:] != IGNORED).sum()) for _, labels in samples),
        input_ids=pad_sequence(rows, batch_first=True, padding_value=vocabulary.pad),
        padded_labels=pad_sequence([one for _, one in samples], batch_first=True),
        mask=torch.ones(count, max(map(len, rows)), dtype=torch.bool),
    )


def our_loop(model: RoboReferModel, dtype: torch.dtype) -> Loop:
    """Return the loop of `roborefer train`."""
    network = LossNetwork(model, packing=True, dtype=dtype)
    optimizer = make_optimizer(model, OptimizerSettings(learning_rate=1e-5))
    return Loop(model, lambda batch: network(batch, batch.num_items)[0], optimizer)


def plain_loop(model: RoboReferModel, dtype: torch.dtype) -> Loop:
    """Return the loop that transformers' documentation shows: padding, mask, own loss."""

    def loss(batch: Batch) -> torch.Tensor:
        with torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32):
            rows, targets = model.embed_rows(batch.inputs, batch.labels)
            padded = pad_sequence(rows, batch_first=True)
            labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
            lengths = torch.tensor([len(row) for row in rows], device=model.device)
            mask = torch.arange(padded.shape[1], device=model.device) < lengths[:, None]
            found: torch.Tensor = model.llm(
                inputs_embeds=padded, attention_mask=mask, labels=labels, use_cache=False
            ).loss
            return found

    learning = [one for one in model.parameters() if one.requires_grad]
    fused = True if model.device.type == "cuda" else None
    return Loop(model, loss, torch.optim.AdamW(learning, 1e-5, weight_decay=0.0, fused=fused))


def lengths_of(model: RoboReferModel, batch: Batch) -> list[int]:
    """Return the positions of every sample."""
    with torch.no_grad():
        return [len(row) for row in model.embed_rows(batch.inputs)[0]]


def timed(loop: Loop, batch: Batch) -> tuple[float, float]:
    """Return the seconds of a step, and its loss."""
    if loop.model.device.type == "cuda":
        torch.cuda.synchronize()
        begin = time.perf_counter()
        loss = loop.step(batch)
        torch.cuda.synchronize()
        return time.perf_counter() - begin, loss.item()
    begin = time.process_time()
    loss = loop.step(batch)
    return time.process_time() - begin, loss.item()


def memory(loop: Loop, batch: Batch) -> float:
    """Return the bytes of a step, see above for which."""
    if loop.model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loop.step(batch)
        return float(torch.cuda.max_memory_allocated() - before)
    weights = {one.untyped_storage().data_ptr() for one in loop.model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            # Held, so that no address is given out twice.
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loop.loss(batch)
    size = float(sum(storage.nbytes() for storage in kept.values()))
    loss.backward()
    loop.optimizer.zero_grad()
    return size


def compare(
    config: RoboReferConfig,
    device: torch.device,
    dtype: torch.dtype,
    *,
    words: int,
    tiles: int,
    rounds: int,
) -> dict[str, float]:
    """Measure both loops and return the figures.

    Raises:
        AssertionError: The loops do not learn the same.
    """
    models = [make_model(config, device, words) for _ in range(2)]
    loops = {"ours": our_loop(models[0], dtype), "plain": plain_loop(models[1], dtype)}
    batches = [make_batch(models[0], seed, tiles) for seed in range(rounds)]
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    losses: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        timed(loop, batches[0])  # allocations and kernels of the first time
    for batch in tqdm(batches, unit="pair"):
        for name, loop in loops.items():
            taken, loss = timed(loop, batch)
            seconds[name].append(taken)
            losses[name].append(loss)
    difference = max(
        abs(one - two) / two for one, two in zip(losses["ours"], losses["plain"], strict=True)
    )
    assert difference < SAME_LOSS[dtype], f"the losses differ by a share of {difference}"
    cost = StepCost(models[0])
    lengths = [lengths_of(models[0], batch) for batch in batches]
    total, plain = sum(seconds["ours"]), sum(seconds["plain"])
    positions = sum(map(sum, lengths))
    pairs = zip(seconds["plain"], seconds["ours"], strict=True)
    figures = {
        "training_samples_per_s": SAMPLES * rounds / total,
        "training_tokens_per_s": positions / total,
        "training_plain_samples_per_s": SAMPLES * rounds / plain,
        "training_plain_tokens_per_s": positions / plain,
        "training_speedup": statistics.median(two / one for two, one in pairs),
        "training_memory_ratio": memory(loops["plain"], batches[0])
        / memory(loops["ours"], batches[0]),
        "training_loss_difference": difference,
        "training_padding_percent": 100
        * (1 - positions / sum(SAMPLES * max(row) for row in lengths)),
    }
    peak = peak_flops(device)
    if peak is not None:
        flops = 0.0
        for batch, row in zip(batches, lengths, strict=True):
            images = sum(len(one.image_tiles) for one in batch.inputs)
            depths = sum(len(one.depth_tiles) for one in batch.inputs)
            flops += cost.flops(row, images, depths)
        figures["training_flop_utilisation"] = flops / total / peak
        figures["training_plain_flop_utilisation"] = flops / plain / peak
    return figures


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    torch.manual_seed(0)
    if torch.cuda.is_available():
        device, dtype, shape = torch.device("cuda"), torch.bfloat16, "2B"
        found = compare(
            roborefer_2b(), device, dtype, words=151_652, tiles=3, rounds=4 if args.quick else 20
        )
    else:
        torch.set_num_threads(1)
        device, dtype, shape = torch.device("cpu"), torch.float32, "small"
        found = compare(
            small_shape(), device, dtype, words=4096, tiles=2, rounds=2 if args.quick else 15
        )
    results: dict[str, Any] = {name: round(value, 6) for name, value in found.items()}
    on_gpu = device.type == "cuda"
    results["conditions"] = {
        "quick": args.quick,
        "shape": shape,
        "samples": SAMPLES,
        "dtype": str(dtype).removeprefix("torch."),
        "gpu": torch.cuda.get_device_name() if on_gpu else "none, so no FLOP utilisation",
        "time": "wall" if on_gpu else "processor time of one thread",
        "memory": "most allocated" if on_gpu else "kept for the backward pass",
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": metadata.version("transformers"),
        "accelerate": metadata.version("accelerate"),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:36} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
