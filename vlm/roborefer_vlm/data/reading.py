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
from roborefer_vlm.data.records import Group
from roborefer_vlm.data.report import read_report_file
from roborefer_vlm.data.runner import Form
from roborefer_vlm.data.shards import INDEX
from roborefer_vlm.data.work import IMAGE
from roborefer_vlm.exceptions import ConfigurationError, RecordError


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
    """Yield the groups of a data set of form JSON, each with its records.

    Raises:
        RecordError: A file is broken.
    """
    for group in Group:
        path = out / f"{group.value}.json"
        if not path.exists():
            continue
        try:
            yield group.value, json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RecordError(str(path), "-", "", f"the file cannot be read: {error}") from error


def shard_index(out: Path) -> list[dict[str, Any]]:
    """Return the list of shards.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return list(json.loads((out / INDEX).read_text("utf-8"))["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{out / INDEX} cannot be read: {error!r}") from error


def _of_folder(out: Path) -> Iterator[Stored]:
    for group, records in groups(out):
        for record in records:
            try:
                images = tuple((out / IMAGE / name).read_bytes() for name in record[IMAGE])
            except (OSError, KeyError) as error:
                raise RecordError(
                    f"{group}.json", str(record.get("id")), IMAGE, str(error)
                ) from error
            yield Stored(group, record, images)


def _of_shards(out: Path) -> Iterator[Stored]:
    for shard in shard_index(out):
        path = out / shard["file"]
        try:
            files = tar_files(path.read_bytes())
        except (OSError, tarfile.TarError) as error:
            raise RecordError(str(path), "-", "", f"the shard cannot be read: {error}") from error
        for name, data in files.items():
            key, _, ending = name.partition(".")
            if ending != "records.json":
                continue
            images = tuple(
                content for other, content in files.items() if other.startswith(f"{key}.{IMAGE}")
            )
            for entry in json.loads(data):
                yield Stored(entry["group"], entry["record"], images)
