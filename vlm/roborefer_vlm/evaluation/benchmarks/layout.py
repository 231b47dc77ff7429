# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Finding the parts of a benchmark in a directory: raw folders, or tables of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from roborefer_vlm.evaluation.reading import Record, as_records
from roborefer_vlm.exceptions import ConfigurationError, RecordError


def choose_parts(directory: Path, found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the parts to read, in the order in which they are known.

    Args:
        directory: For messages.
        found: Parts that the directory holds, in order.
        wanted: Parts that the user named; empty: all.

    Raises:
        ConfigurationError: There is no part at all, or a wanted one is not there.
    """
    if not found:
        raise ConfigurationError(f"{directory} holds no part of this benchmark")
    missing = [part for part in wanted if part not in found]
    if missing:
        raise ConfigurationError(
            f"{directory} has no part '{missing[0]}'; it has {', '.join(found)}"
        )
    return [part for part in found if not wanted or part in wanted]


def table_files(directory: Path, parts: Sequence[str]) -> dict[str, list[Path]]:
    """Return the parquet files of each part, in order.

    The hub names a split's files "<split>-00000-of-00001.parquet", in a folder "data" or in one
    that is called like the configuration.
    """
    files: dict[str, list[Path]] = {}
    for path in sorted(directory.rglob("*.parquet")):
        split = path.stem.split("-")[0].lower()
        name = split if split in parts else path.parent.name.lower()
        if name in parts:
            files.setdefault(name, []).append(path)
    return {part: files[part] for part in parts if part in files}


def table_records(files: Sequence[Path], id_field: str | None) -> list[Record]:
    """Return the rows of a part's parquet files.

    Raises:
        ConfigurationError: pyarrow is not installed.
        RecordError: A file is no parquet, there are no rows, or an id is missing or comes twice.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigurationError(
            "parquet files need pyarrow; install roborefer-vlm[benchmarks]"
        ) from error
    rows: list[object] = []
    for path in files:
        try:
            rows.extend(parquet.read_table(path).to_pylist())
        except (ArrowException, OSError) as error:
            raise RecordError(str(path), "-", "", f"this is no parquet table ({error})") from error
    return as_records(str(files[0]), files[0].parent, rows, id_field)
