# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory, and what torch can compute with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from roborefer_vlm.cli.checks.check import Check, State

if TYPE_CHECKING:
    import torch

GIBIBYTE = 1024**3
# The scene graph of a picture, and the decoded requests that a server holds by default.
_LEAST_FREE = GIBIBYTE


def free_memory(path: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes that programs can still get; None where the system does not say."""
    try:
        lines = path.read_text("ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def check_memory(weights: int = 0) -> Check:
    """Return whether the free memory is enough.

    Args:
        weights: Bytes of a checkpoint that is to be loaded. Loading takes no more than 1.2 times
            that; the rest is for pictures and activations.
    """
    free = free_memory()
    if free is None:
        return Check("memory", State.NOTE, "this system does not say how much is free")
    needed = _LEAST_FREE + round(1.2 * weights)
    found = f"{free / GIBIBYTE:.1f} GiB free, {needed / GIBIBYTE:.1f} GiB needed"
    if free >= needed:
        return Check("memory", State.GOOD, found)
    return Check("memory", State.BAD, found, "end other programs, or use a smaller checkpoint")


def check_torch(needed: bool) -> Iterator[Check]:
    """Yield what torch can compute with: a check per device, by really multiplying on it.

    Args:
        needed: Whether the user asks for something that needs torch.
    """
    try:
        import torch
    except ImportError as error:
        yield Check(
            "torch",
            State.BAD if needed else State.NOTE,
            f"cannot be imported ({error})",
            "pip install 'roborefer-vlm[model]'",
        )
        return
    yield _check_device(torch.device("cpu"), f"cpu, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        yield Check(
            "torch cuda", State.NOTE, "no CUDA device; the network runs on the CPU, slowly"
        )
        return
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        about = f"{name}, {free / GIBIBYTE:.1f} of {total / GIBIBYTE:.1f} GiB free"
        yield _check_device(torch.device("cuda", number), about)


def _check_device(device: torch.device, about: str) -> Check:
    import torch

    able: list[str] = []
    unable: list[str] = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        try:
            ones = torch.ones(8, 8, device=device, dtype=dtype)
            right = bool((ones @ ones == 8).all())
        except RuntimeError:
            right = False
        (able if right else unable).append(name)
    found = f"{about}; {', '.join(able) or 'nothing'} works"
    if not unable:
        return Check(f"torch {device}", State.GOOD, found)
    state = State.BAD if "float32" in unable else State.NOTE
    return Check(f"torch {device}", state, f"{found}, {', '.join(unable)} does not")
