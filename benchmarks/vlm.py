# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the referring model beside a plain loop over transformers, in one run.

    python benchmarks/vlm.py [--quick] [--json FILE] [--checkpoint DIR]

Every query is one RGB-D picture of 640 x 480 and 40 new tokens; stop tokens do not count, so that
all answers have the same length. On the CPU a small checkpoint in float32 is asked (the one of
the tests, unless told otherwise); where there is a CUDA device, also the true shape of
RoboRefer-2B with random weights in bfloat16, which takes no checkpoint.

The reference does what generate() of transformers does, with the same weights: one query at a
time, all layers of the towers, a cache that grows with every token, no recorded or compiled
steps. Ours and the reference take turns, and speed-ups are medians over these pairs, so that both
meet the same load.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from roborefer_vlm.model.checkpoint import load_checkpoint, random_model
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.model.shapes import published_vocabulary, roborefer_2b
from roborefer_vlm.model.tiling import Tiling
from roborefer_vlm.model.towers import VisionTower
from roborefer_vlm.model.vocabulary import Vocabulary
from roborefer_vlm.types import UInt8Array
from tqdm import tqdm
from transformers import DynamicCache

TOKENS = 40
BATCHES = (1, 2, 4, 8)
SMALL = Path(__file__).parents[1] / "vlm/tests/golden/roborefer_tiny/checkpoints/dyn3x3"
SENTENCE = "Point to the free space between the red mug and the plate."


@dataclass
class Split:
    """Seconds of one query or batch, by stage; the device's work is included."""

    preprocess_s: float = 0.0
    encode_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    ids: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def total_s(self) -> float:
        """All stages."""
        return self.preprocess_s + self.encode_s + self.prefill_s + self.decode_s


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        name: Prefix of its figures.
        model: The network, without stop tokens.
        prepare: Makes a new input from pictures, which is what preprocessing takes.
    """

    name: str
    model: RoboReferModel
    prepare: Callable[[], ModelInput]


def scene() -> tuple[UInt8Array, UInt8Array]:
    """Return a picture (480, 640, 3) and its relative depth (480, 640)."""
    rows, columns = np.mgrid[:480, :640]
    noise = np.random.default_rng(0).integers(0, 40, (480, 640, 3))
    colour = np.stack([rows // 3, columns // 4, (rows + columns) // 6], axis=2) + noise
    depth = (rows // 2 + 15).astype(np.uint8)
    for x, y, radius, paint in ((200, 300, 60, (200, 20, 20)), (430, 320, 80, (230, 230, 220))):
        inside = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
        colour[inside] = paint
        depth[inside] += 40
    return colour.clip(0, 255).astype(np.uint8), depth


def small_subject(checkpoint: Path) -> Subject:
    """Load a checkpoint in float32 on the CPU."""
    config = RoboReferConfig.from_directory(checkpoint)
    vocabulary = replace(Vocabulary.from_checkpoint(config), stop=())
    model = load_checkpoint(checkpoint, dtype=torch.float32, vocabulary=vocabulary)
    processor = Processor.from_checkpoint(checkpoint, config)
    colour, depth = scene()
    depths = [depth] if processor.enable_depth else []
    return Subject("cpu", model, lambda: processor.prepare([colour], depths, SENTENCE))


def true_shape_subject(device: torch.device) -> Subject:
    """Build RoboRefer-2B with random weights, without any checkpoint or tokenizer."""
    config = roborefer_2b()
    vocabulary = replace(published_vocabulary(), stop=())
    model = random_model(config, vocabulary, device=device, dtype=torch.bfloat16)
    tiling = Tiling(
        mode=config.picture_mode,
        size=config.vision.image_size,
        min_tiles=config.min_tiles,
        max_tiles=config.max_tiles,
        scales=(),
        levels=np.tile((np.arange(256, dtype=np.float32) / 255 - 0.5) / 0.5, (3, 1)),
        padding=(127, 127, 127),
    )
    colour, depth = scene()
    newline, space, break_, word = 198, 220, 271, 1000

    def prepare() -> ModelInput:
        images, image_blocks = tiling.cut([colour])
        depths, depth_blocks = tiling.cut([depth])
        assert vocabulary.depth is not None
        ids = [word] * 15
        ids += [vocabulary.image, newline] * len(images) + [space]
        ids += [vocabulary.depth, newline] * len(depths) + [break_]
        ids += list(range(word, word + 60))
        return ModelInput(torch.tensor(ids), images, depths, image_blocks, depth_blocks)

    return Subject("gpu", model, prepare)


# ---- the two sides -----------------------------------------------------------------------


def now(model: RoboReferModel) -> float:
    """Return the time after all that the device was given to do."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter()


def ours(subject: Subject, count: int = 1) -> Split:
    """Answer queries together, as the engine does."""
    start = now(subject.model)
    inputs = [subject.prepare() for _ in range(count)]
    prepared = now(subject.model)
    generations = subject.model.generate(inputs, max_new_tokens=TOKENS)
    timing = generations[0].timing
    ids = [generation.ids for generation in generations]
    return Split(prepared - start, timing.encode_s, timing.prefill_s, timing.decode_s, ids)


@contextlib.contextmanager
def whole_towers(model: RoboReferModel) -> Iterator[None]:
    """Compute the last layer of the towers and their norm too, as their plain forward does."""

    def finish(tower: VisionTower, _: Any, hidden: torch.Tensor) -> None:
        for layer in tower.vision_model.encoder.layers[tower.config.select_layer :]:
            hidden = layer(hidden, None)
        tower.vision_model.post_layernorm(hidden)

    towers = [part for part in (model.vision_tower, model.depth_tower) if part is not None]
    hooks = [tower.register_forward_hook(finish) for tower in towers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def reference(subject: Subject) -> Split:
    """Answer one query by a plain loop."""
    model, llm = subject.model, subject.model.llm
    start = now(model)
    prompt = subject.prepare()
    prepared = now(model)
    with whole_towers(model):
        embeddings = model.embed([prompt]).embeddings
    encoded = now(model)
    cache = DynamicCache(config=llm.config)
    output = llm(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, logits_to_keep=1)
    token = output.logits[:, -1].argmax(-1)
    ids = [int(token)]
    read = now(model)
    while len(ids) < TOKENS:
        output = llm(input_ids=token[:, None], past_key_values=cache, use_cache=True)
        token = output.logits[:, -1].argmax(-1)
        ids.append(int(token))
    end = now(model)
    return Split(prepared - start, encoded - prepared, read - encoded, end - read, [tuple(ids)])


# ---- measurements ------------------------------------------------------------------------


def in_turns(rounds: int, *sides: Callable[[], Split]) -> list[list[Split]]:
    """Run all sides `rounds` times, each round in another order; return the runs of each side."""
    runs: list[list[Split]] = [[] for _ in sides]
    for turn in range(rounds):
        for step in range(len(sides)):
            side = (turn + step) % len(sides)
            runs[side].append(sides[side]())
    return runs


def median_ms(runs: Sequence[Split], stage: str) -> float:
    """Return the median of a stage in ms."""
    values: list[float] = [getattr(run, stage) for run in runs]
    return 1e3 * statistics.median(values)


def paired(slow: Sequence[Split], fast: Sequence[Split], stage: str) -> float:
    """Return the median over rounds of how many times faster one side was."""
    ratios: list[float] = [
        getattr(one, stage) / getattr(other, stage) for one, other in zip(slow, fast, strict=True)
    ]
    return statistics.median(ratios)


def queries(subject: Subject, rounds: int) -> dict[str, float]:
    """Measure single queries, ours and the reference by turns."""
    ours(subject), reference(subject)
    mine, plain = in_turns(rounds, lambda: ours(subject), lambda: reference(subject))
    same = [
        a == b
        for run, other in zip(mine, plain, strict=True)
        for a, b in zip(run.ids[0], other.ids[0], strict=True)
    ]
    if subject.model.dtype is torch.float32 and not all(same):
        raise AssertionError(f"ours wrote {mine[0].ids[0]}, the reference {plain[0].ids[0]}")
    # The first token comes out of the prefill.
    steps = TOKENS - 1
    per_token, plain_per_token = (median_ms(runs, "decode_s") / steps for runs in (mine, plain))
    name = subject.name
    return {
        f"{name}_preprocess_ms": median_ms(mine, "preprocess_s"),
        f"{name}_encode_ms": median_ms(mine, "encode_s"),
        f"{name}_prefill_ms": median_ms(mine, "prefill_s"),
        f"{name}_decode_ms_per_token": per_token,
        f"{name}_tokens_per_s": 1e3 / per_token,
        f"{name}_query_ms": median_ms(mine, "total_s"),
        f"{name}_reference_encode_ms": median_ms(plain, "encode_s"),
        f"{name}_reference_prefill_ms": median_ms(plain, "prefill_s"),
        f"{name}_reference_decode_ms_per_token": plain_per_token,
        f"{name}_reference_query_ms": median_ms(plain, "total_s"),
        f"{name}_decode_speedup": paired(plain, mine, "decode_s"),
        f"{name}_query_speedup": paired(plain, mine, "total_s"),
        f"{name}_same_tokens_percent": 100 * statistics.mean(same),
    }


def batches(subject: Subject, rounds: int) -> dict[str, float]:
    """Measure queries that are answered together, batches of all sizes by turns."""

    def together(count: int) -> Split:
        # As many queries for every size, so that all of them meet the same load.
        total = Split()
        for _ in range(max(BATCHES) // count):
            part = ours(subject, count)
            total.preprocess_s += part.preprocess_s
            total.encode_s += part.encode_s
            total.prefill_s += part.prefill_s
            total.decode_s += part.decode_s
        return total

    for count in BATCHES:
        ours(subject, count)
    runs = in_turns(rounds, *(lambda count=count: together(count) for count in BATCHES))
    figures = {
        f"{subject.name}_batch{count}_tokens_per_s": max(BATCHES)
        * TOKENS
        / statistics.median(run.total_s for run in some)
        for count, some in zip(BATCHES, runs, strict=True)
    }
    for count, some in zip(BATCHES[1:], runs[1:], strict=True):
        figures[f"{subject.name}_batch{count}_speedup"] = paired(runs[0], some, "total_s")
    return figures


def main() -> None:
    """Run all measurements, print them, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--checkpoint", type=Path, default=SMALL, help="to ask on the CPU")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    rounds = 3 if args.quick else 25
    has_gpu = torch.cuda.is_available()
    subjects: list[Callable[[], Subject]] = [lambda: small_subject(args.checkpoint)]
    if has_gpu:
        subjects.append(lambda: true_shape_subject(torch.device("cuda")))
    results: dict[str, Any] = {}
    with tqdm(total=2 * len(subjects), unit="part") as progress:
        for make in subjects:
            subject = make()
            for part in (queries, batches):
                results.update(part(subject, rounds if part is queries else max(2, rounds // 3)))
                progress.update()
    results = {name: round(value, 4) for name, value in results.items()}
    results["conditions"] = {
        "quick": args.quick,
        "query": f"RGB-D, 640 x 480, {TOKENS} new tokens",
        "checkpoint": args.checkpoint.resolve().name,
        "gpu": torch.cuda.get_device_name() if has_gpu else "none, so there are no gpu figures",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": metadata.version("transformers"),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:36} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
