# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint directory, file by file, without loading it and without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from roborefer_vlm.cli.checks.check import Check, State
from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.model.json_fields import read_json

_TOWERS = ("vision_tower", "depth_tower")
_LONGEST_HEADER = 100_000_000


def check_checkpoint(path: Path) -> Iterator[Check]:
    """Yield a check per thing that is missing or broken; a single good one when nothing is.

    Args:
        path: Directory as published, or the one above its `model`.
    """
    directory = path.expanduser()
    if (directory / "model").is_dir():
        directory /= "model"
    if not directory.is_dir():
        yield _bad(str(path), "is no directory", "name the directory of a checkpoint")
        return
    problems = list(_problems(directory))
    yield from problems
    if problems:
        return
    from roborefer_vlm.model.configuration import RoboReferConfig

    try:
        config = RoboReferConfig.from_directory(directory)
    except CheckpointError as error:
        yield _bad("checkpoint", str(error), "fetch the checkpoint again")
        return
    size = weights_size(directory)
    depth = "with" if config.enable_depth else "without"
    yield Check(
        "checkpoint",
        State.GOOD,
        f"{directory.name}: {config.picture_mode} pictures, {depth} depth, {size / 1e9:.2f} GB",
    )


def weights_size(directory: Path) -> int:
    """Return the bytes of all weights below a directory."""
    return sum(file.stat().st_size for file in directory.rglob("*.safetensors"))


def _problems(directory: Path) -> Iterator[Check]:
    top = directory / "config.json"
    if not top.is_file():
        yield _bad("config.json", f"is missing in {directory}", "name the right directory")
        return
    try:
        config = read_json(top)
    except CheckpointError as error:
        yield _bad("config.json", str(error), "fetch the checkpoint again")
        return
    parts = ["llm", "vision_tower", "mm_projector"]
    if config.get("enable_depth"):
        parts += ["depth_tower"] if config.get("use_depth_tower") else []
        parts += ["depth_projector"]
    for part in parts:
        yield from _part_problems(directory / part)
    yield from _tokenizer_problems(directory / "llm")


def _part_problems(part: Path) -> Iterator[Check]:
    if not part.is_dir():
        yield _bad(part.name, "the sub-directory is missing", "fetch the checkpoint again")
        return
    if not (part / "config.json").is_file():
        yield _bad(f"{part.name}/config.json", "is missing", "fetch the checkpoint again")
    if part.name in _TOWERS and not (part / "preprocessor_config.json").is_file():
        yield _bad(
            f"{part.name}/preprocessor_config.json", "is missing", "fetch the checkpoint again"
        )
    for name in _weight_files(part):
        problem = _file_problem(part / name)
        if problem:
            yield _bad(f"{part.name}/{name}", problem, "fetch this file again")


def _weight_files(part: Path) -> list[str]:
    index = part / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"]
    try:
        return sorted(set(read_json(index)["weight_map"].values()))
    except (CheckpointError, KeyError, TypeError, AttributeError):
        # Reported as a broken file, under its own name.
        return [index.name]


def _file_problem(path: Path) -> str:
    """Return what is wrong with a weight file, or ""; only its header is read."""
    if not path.is_file():
        return "is missing"
    if path.suffix != ".safetensors":
        return "lists no weight files"
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(_LONGEST_HEADER, size):
            return "is no safetensors file (a pointer file of git-lfs, perhaps)"
        try:
            header = json.loads(file.read(length))
            ends = [row["data_offsets"][1] for name, row in header.items() if name[:2] != "__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return "has a broken header"
    needed = 8 + length + max(ends, default=0)
    return "" if size == needed else f"has {size} bytes; its header promises {needed}"


def _tokenizer_problems(llm: Path) -> Iterator[Check]:
    if not llm.is_dir():
        return
    slow = [name for name in ("vocab.json", "merges.txt") if not (llm / name).is_file()]
    if slow and not (llm / "tokenizer.json").is_file():
        yield _bad("llm tokenizer", f"{', '.join(slow)} missing", "fetch the checkpoint again")
    if not (llm / "tokenizer_config.json").is_file():
        yield _bad("llm/tokenizer_config.json", "is missing", "fetch the checkpoint again")


def _bad(what: str, found: str, next_step: str) -> Check:
    return Check(what, State.BAD, found, next_step)
