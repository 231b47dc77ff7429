# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading single tensors out of safetensors files, in bounded memory.

A file is a 64-bit length, a JSON header of that length (name -> dtype, shape, byte range) and the
values (https://github.com/huggingface/safetensors, section Format). Values are read with plain
reads, straight into the memory of the tensor they are for where the number format agrees. A
mapped file would count against the process until it is closed, together with the copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import torch

from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.model.json_fields import read_json

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
# Buffers that older versions of transformers stored; they follow from the configuration.
_COMPUTED = (".position_ids", ".inv_freq")
_LONGEST_HEADER = 100_000_000
# Values that are converted at once.
_CHUNK = 4 << 20


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
        path: File.
        start: Offset of its first byte in the file.
        dtype: Number format on disk.
        shape: Shape on disk.
    """

    path: Path
    start: int
    dtype: torch.dtype
    shape: tuple[int, ...]


def find_tensors(directory: Path) -> dict[str, StoredTensor]:
    """List the tensors of one part of a checkpoint, in one file or in several with an index.

    Raises:
        CheckpointError: There are no weights, or a file is broken.
    """
    index = directory / INDEX_FILE
    if not index.is_file():
        single = directory / SINGLE_FILE
        if not single.is_file():
            raise CheckpointError(
                f"{directory} has no weights; {SINGLE_FILE} or {INDEX_FILE} is needed"
            )
        return read_header(single)
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(
        isinstance(name, str) and Path(name).name == name for name in places.values()
    ):
        raise CheckpointError(f"{index}: 'weight_map' must name a file of this folder per tensor")
    found: dict[str, StoredTensor] = {}
    for file_name in sorted(set(places.values())):
        if not (directory / file_name).is_file():
            raise CheckpointError(f"{directory / file_name} is missing; {INDEX_FILE} names it")
        found.update(read_header(directory / file_name))
    lost = sorted(set(places) - set(found))
    if lost:
        raise CheckpointError(f"{index} names {some_names(lost)}, which its files do not hold")
    return found


def read_tensor(stored: StoredTensor, target: torch.Tensor) -> None:
    """Fill a tensor; the number format is converted, and rows may be fewer or more than stored.

    Args:
        stored: What to read. Its shape must be that of the target, but for the first dimension.
        target: Contiguous; rows that are not stored are left as they are.

    Raises:
        CheckpointError: The file ends too early.
    """
    rows = min(stored.shape[0], target.shape[0]) if stored.shape else 1
    wanted = target.detach()[:rows].view(-1) if stored.shape else target.detach().view(-1)
    with stored.path.open("rb") as file:
        file.seek(stored.start)
        if target.device.type == "cpu" and target.dtype == stored.dtype:
            _fill(file, wanted, stored.path)
            return
        buffer = torch.empty(min(_CHUNK, len(wanted)), dtype=stored.dtype)
        for part in torch.split(wanted, _CHUNK):
            chunk = buffer[: len(part)]
            _fill(file, chunk, stored.path)
            part.copy_(chunk)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a safetensors file, one tensor at a time; an old file stays until all is written."""
    names = {dtype: name for name, dtype in _DTYPES.items()}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.itemsize
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            flat = tensor.detach().cpu().contiguous().view(-1)
            file.write(_bytes_of(flat))
    unfinished.replace(path)


def some_names(names: Iterable[str], most: int = 5) -> str:
    """Return the first few names, and how many more there are."""
    listed = sorted(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return the memory of a flat tensor; as bytes, since NumPy does not know bfloat16."""
    array: Any = tensor.view(torch.uint8).numpy()
    return memoryview(array)


def _fill(file: BinaryIO, target: torch.Tensor, path: Path) -> None:
    memory = _bytes_of(target)
    while memory:
        count = file.readinto(memory)  # type: ignore[attr-defined]
        if not count:
            raise CheckpointError(f"{path} ends too early; {len(memory)} bytes are missing")
        memory = memory[count:]


def read_header(path: Path) -> dict[str, StoredTensor]:
    """List the tensors of one file.

    Raises:
        CheckpointError: The file is broken.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise CheckpointError(
                f"{path} is no safetensors file: a header of {length} bytes in a file of {size}"
            )
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is no safetensors file: its header is no object")
    header.pop("__metadata__", None)
    return {
        name: _read_entry(path, name, entry, 8 + length, size)
        for name, entry in header.items()
        if not name.endswith(_COMPUTED)
    }


def _read_entry(path: Path, name: str, entry: object, base: int, size: int) -> StoredTensor:
    wrong = CheckpointError(f"{path}: the header entry of '{name}' is {entry!r:.200}")
    if not isinstance(entry, Mapping):
        raise wrong
    dtype, shape, span = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not _are_counts(shape) or not _are_counts(span) or len(span) != 2:
        raise wrong
    if dtype not in _DTYPES:
        raise CheckpointError(
            f"{path}: '{name}' has dtype {dtype}; {', '.join(_DTYPES)} can be read"
        )
    start, end = span
    if end - start != prod(shape) * _DTYPES[dtype].itemsize or base + end > size:
        raise CheckpointError(
            f"{path}: '{name}' of shape {shape} and dtype {dtype} cannot lie at bytes {start} to"
            f" {end} of {size - base}"
        )
    return StoredTensor(path, base + start, _DTYPES[dtype], tuple(shape))


def _are_counts(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(
        isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in value
    )
