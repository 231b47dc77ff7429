# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tar archives of equal bytes for equal content, and files that are there whole or not at all."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from roborefer_vlm.exceptions import ConfigurationError

# What a run leaves of a file that it was writing when it was killed; the next one removes it.
UNFINISHED = ".unfinished"


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file; neither time nor owner of this machine goes in."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    archive.addfile(member, BytesIO(data))


def tar_opened(stream: IO[bytes]) -> tarfile.TarFile:
    """Open an archive for writing."""
    return tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)


def tar_bytes(files: dict[str, bytes]) -> bytes:
    """Return an archive of these files, in their order."""
    stream = BytesIO()
    with tar_opened(stream) as archive:
        for name, data in files.items():
            add_member(archive, name, data)
    return stream.getvalue()


def tar_files(data: bytes) -> dict[str, bytes]:
    """Return the files of an archive by their names.

    Raises:
        tarfile.TarError: This is no whole archive.
    """
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=BytesIO(data), mode="r:") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                files[member.name] = content.read()
    # Without them a file that was cut off between two members looks whole.
    if not data.endswith(bytes(2 * tarfile.BLOCKSIZE)):
        raise tarfile.ReadError("its end is missing; it was cut off")
    return files


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under its name only when it is complete.

    Raises:
        ConfigurationError: There can be no such file.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = unfinished.open("wb")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
    with opened as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only when it is complete.

    Raises:
        ConfigurationError: There can be no such file.
    """
    with whole_file(path) as stream:
        stream.write(data)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed run left."""
    for path in folder.rglob(f"*{UNFINISHED}"):
        path.unlink()
