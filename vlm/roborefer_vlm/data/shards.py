# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A data set as WebDataset shards: tar archives that are read in one go, near or far.

A sample is everything that is said about the same pictures. Its key is the name of the picture,
or of several joined by "+"; its members are

    KEY.image0.jpg  KEY.depth0.png  [KEY.image1.jpg  KEY.depth1.png]  KEY.records.json

where the JSON is a list of `{"group": ..., "record": ...}`. `shards.json` lists the archives with
their numbers of samples and records, sizes and SHA-256. Equal data give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from roborefer_vlm.data.archives import add_member, tar_opened, whole_file, write_whole
from roborefer_vlm.data.work import DEPTH, IMAGE, Part
from roborefer_vlm.exceptions import ConfigurationError

INDEX = "shards.json"
# How the member of a sample that holds its records ends.
RECORDS_ENDING = "records.json"
SHARD_BYTES = 256 * 1024 * 1024
# A header and the padding of a member; an archive is padded to whole records.
_BLOCK = tarfile.BLOCKSIZE
_RECORD = tarfile.RECORDSIZE


def write_shards(
    out: Path, parts: Iterable[Part], name: str = "data", most_bytes: int = SHARD_BYTES
) -> None:
    """Write parts as shards, in their order, and an index.

    Args:
        out: Folder.
        parts: What to write.
        name: What shards are called: "<name>-000000.tar".
        most_bytes: No shard gets larger, unless a single sample is.

    Raises:
        ConfigurationError: `most_bytes` is not positive.
    """
    if most_bytes < 1:
        raise ConfigurationError(f"shards of {most_bytes} bytes hold nothing")
    index: list[dict[str, Any]] = []
    with ExitStack() as stack:
        shard: _Shard | None = None
        for part in parts:
            for records, members in _samples(part):
                if shard is not None and not shard.takes(members, most_bytes):
                    index.append(shard.closed(stack))
                    shard = None
                if shard is None:
                    shard = _Shard(stack, out / f"{name}-{len(index):06d}.tar")
                shard.add(records, members)
        if shard is not None:
            index.append(shard.closed(stack))
    write_index(out, index)


class _Shard:
    """An archive that is being written."""

    def __init__(self, stack: ExitStack, path: Path) -> None:
        self.path = path
        self.stream = stack.enter_context(whole_file(path))
        self.archive = stack.enter_context(tar_opened(self.stream))
        self.samples = self.records = 0

    def takes(self, members: dict[str, bytes], most_bytes: int) -> bool:
        """Tell whether a sample fits in."""
        needed = sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for data in members.values())
        end = -(-(self.stream.tell() + needed + 2 * _BLOCK) // _RECORD) * _RECORD
        return end <= most_bytes

    def add(self, records: int, members: dict[str, bytes]) -> None:
        """Write a sample."""
        for name, data in members.items():
            add_member(self.archive, name, data)
        self.samples += 1
        self.records += records

    def closed(self, stack: ExitStack) -> dict[str, Any]:
        """Finish the archive and return its entry in the index."""
        stack.close()
        with self.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {
            "file": self.path.name,
            "samples": self.samples,
            "records": self.records,
            "bytes": self.path.stat().st_size,
            "sha256": digest,
        }


def write_index(out: Path, shards: list[dict[str, Any]]) -> None:
    """Write the list of shards."""
    totals = {key: sum(shard[key] for shard in shards) for key in ("samples", "records", "bytes")}
    text = json.dumps({**totals, "shards": shards}, indent=2)
    write_whole(out / INDEX, f"{text}\n".encode())


def _samples(part: Part) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Yield the number of records and the members of each sample of a part."""
    together: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for group, record in part.records:
        entry = {"group": group, "record": record}
        together.setdefault(tuple(record["image"]), []).append(entry)
    for images, entries in together.items():
        key = "+".join(Path(image).stem for image in images)
        members: dict[str, bytes] = {}
        for folder, names in ((IMAGE, images), (DEPTH, entries[0]["record"].get("depth", ()))):
            for place, picture in enumerate(names):
                ending = Path(picture).suffix
                members[f"{key}.{folder}{place}{ending}"] = part.files[f"{folder}/{picture}"]
        text = json.dumps(entries, ensure_ascii=False, allow_nan=False)
        members[f"{key}.{RECORDS_ENDING}"] = text.encode()
        yield len(entries), members
