# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets read back from disk, whichever form they have."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roborefer_vlm.data.archives import tar_files
from roborefer_vlm.data.records import Group, questions_of
from roborefer_vlm.data.report import read_report_file
from roborefer_vlm.data.runner import Form
from roborefer_vlm.data.shards import INDEX, RECORDS_ENDING
from roborefer_vlm.data.work import DEPTH, IMAGE
from roborefer_vlm.exceptions import ConfigurationError, RecordError
from roborefer_vlm.record_files import checked_entries, picture_names, read_entries, spoken


@dataclass(frozen=True)
class Stored:
    """A record with its pictures as they lie on disk.

    Attributes:
        group: Name of its file.
        record: The record.
        images: Encoded pictures, in the record's order.
    """

    group: str
    record: dict[str, Any]
    images: tuple[bytes, ...]


def form_of(out: Path) -> Form:
    """Return the form of a finished data set.

    Raises:
        ConfigurationError: The folder is no finished data set.
    """
    read_report_file(out)
    return Form.SHARDS if (out / INDEX).exists() else Form.JSON


def stored(out: Path) -> Iterator[Stored]:
    """Yield every record of a finished data set.

    Raises:
        ConfigurationError: The folder is no finished data set.
        RecordError: A file of it is missing or broken.
    """
    yield from (_of_shards(out) if form_of(out) is Form.SHARDS else _of_folder(out))


def groups(out: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the groups of a data set of form JSON, each with its records, all of them checked.

    Raises:
        RecordError: A file or a record cannot be used.
    """
    for group in Group:
        path = out / f"{group.value}.json"
        if path.exists():
            entries = read_entries(path)
            for place, entry in enumerate(entries):
                _check(str(path), place, entry)
            yield group.value, entries


def shard_index(out: Path) -> list[dict[str, Any]]:
    """Return the list of shards: `file`, `samples`, `records`, `bytes`, `sha256` of each.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        shards = list(json.loads((out / INDEX).read_text("utf-8"))["shards"])
        for shard in shards:
            if Path(shard["file"]).name != shard["file"]:
                raise ValueError(f"{shard['file']!r} is no name of a file in this folder")
            for count in ("samples", "records", "bytes"):
                shard[count] = int(shard[count])
        return shards
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{out / INDEX} cannot be read: {error!r}") from error


def _check(source: str, place: int, record: dict[str, Any]) -> None:
    """Refuse a record that lacks what every reader of this package needs."""
    name = str(record.get("id", f"#{place}"))
    if not isinstance(record.get("id"), str):
        raise RecordError(source, name, "id", "a text is needed")
    for field in (IMAGE, DEPTH):
        names = record.get(field, None if field == IMAGE else ["none needed"])
        if not isinstance(names, list) or not picture_names(source, name, field, names):
            raise RecordError(source, name, field, "a list of names is needed")
    spoken(source, name, record.get("conversations"))
    questions_of(record, source)


def _of_folder(out: Path) -> Iterator[Stored]:
    for group, records in groups(out):
        for record in records:
            try:
                images = tuple((out / IMAGE / name).read_bytes() for name in record[IMAGE])
            except OSError as error:
                raise RecordError(f"{group}.json", record["id"], IMAGE, str(error)) from error
            yield Stored(group, record, images)


def _of_shards(out: Path) -> Iterator[Stored]:
    for shard in shard_index(out):
        path = out / shard["file"]
        try:
            files = tar_files(path.read_bytes())
        except (OSError, tarfile.TarError) as error:
            raise RecordError(str(path), "-", "", f"the shard cannot be read: {error}") from error
        number = 0
        for name, data in files.items():
            key, _, ending = name.partition(".")
            if ending != RECORDS_ENDING:
                continue
            images = tuple(
                content for other, content in files.items() if other.startswith(f"{key}.{IMAGE}")
            )
            for group, record in _entries_of(f"{path}/{name}", data):
                number += 1
                if len(images) != len(record[IMAGE]):
                    raise RecordError(
                        f"{path}/{name}",
                        record["id"],
                        IMAGE,
                        f"{len(images)} pictures beside it, but {len(record[IMAGE])} names",
                    )
                yield Stored(group, record, images)
        if number != shard["records"]:
            raise RecordError(
                str(path), "-", "", f"holds {number} records; {INDEX} says {shard['records']}"
            )


def _entries_of(source: str, data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield group and record of every entry of a sample."""
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(source, "-", "", f"the file cannot be read: {error}") from error
    for place, entry in enumerate(checked_entries(source, entries)):
        group, record = entry.get("group"), entry.get("record")
        if group not in list(Group) or not isinstance(record, dict):
            raise RecordError(source, f"#{place}", "", "a known group and a record are needed")
        _check(source, place, record)
        yield group, record
