# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Records of tasks: read, shown, and replayed against the present grammar.

    python3 -m roborefer_operator.core.records show FOLDER
    python3 -m roborefer_operator.core.records replay FOLDER

FOLDER is one record or a folder of many. `replay` reads the recorded sentences once more, with
what was known then, and ends with 1 when any would now become other steps.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roborefer_operator.core.language.grammar import read
from roborefer_operator.core.record_events import context_from_json, reading_to_json
from roborefer_operator.core.record_page import describe, page
from roborefer_operator.core.samples import write_whole
from roborefer_operator.exceptions import RecordError, TaskFailure

EVENTS, PAGE = "record.jsonl", "record.html"
_NAME = re.compile(r"\d{8}T\d{9}-[0-9a-f]{1,40}")
Line = Mapping[str, Any]


def records_in(folder: Path) -> list[Path]:
    """Return the records in a folder, oldest first; the folder itself if it is one.

    Raises:
        RecordError: There is none.
    """
    if (folder / EVENTS).is_file():
        return [folder]
    found = kept_in(folder) if folder.is_dir() else []
    if not found:
        raise RecordError(f"'{folder}' holds no record; name a folder with {EVENTS}, or of such")
    return found


def kept_in(folder: Path) -> list[Path]:
    """Return the folders that are records by their name, oldest first."""
    return sorted(
        path
        for path in folder.iterdir()
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def prune(folder: Path, most: int) -> None:
    """Remove the oldest records until there are no more than this.

    Raises:
        OSError: One cannot be removed.
    """
    for old in kept_in(folder)[:-most]:
        shutil.rmtree(old)


def read_record(folder: Path) -> list[Line]:
    """Return the lines of a record; a last one that was cut off in writing is left out.

    Raises:
        RecordError: It cannot be read.
    """
    path = folder / EVENTS
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RecordError(f"'{path}' cannot be read: {error}") from error
    lines: list[Line] = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or "event" not in line or "at_s" not in line:
                raise ValueError("it is no event")
        except ValueError as error:
            if number == len(texts):
                break
            raise RecordError(f"'{path}', line {number}, is no event: {error}") from error
        lines.append(line)
    return lines


def write_page(folder: Path) -> None:
    """Write the page of a record.

    Raises:
        OSError: It cannot be written.
        RecordError: The record cannot be read.
    """
    pictures = sorted(folder.glob("*-annotated.jpg"))
    write_whole(folder / PAGE, page(read_record(folder), pictures).encode())


def timeline(lines: Sequence[Line]) -> Iterator[str]:
    """Yield one line of text per event."""
    for line in lines:
        yield f"{float(line['at_s']):8.2f} s  {line['event']:<9}  {describe(line)}"


def replay(lines: Sequence[Line]) -> Iterator[str]:
    """Yield one sentence of text per recorded sentence that would now be read otherwise."""
    for line in lines:
        if line["event"] != "read":
            continue
        try:
            found: Any = reading_to_json(read(line["words"], context_from_json(line["context"])))
        except TaskFailure as error:
            yield f"'{line['words']}' would now be refused: {error}"
            continue
        if found != line["reading"]:
            was, now = (describe({**line, "reading": each}) for each in (line["reading"], found))
            yield f"'{line['words']}' was read as: {was}; would now be: {now}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Show or replay records; returns the exit code."""
    parser = argparse.ArgumentParser(prog="records", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["show", "replay"])
    parser.add_argument("folder", type=Path, help="one record, or a folder of many")
    given = parser.parse_args(arguments)
    differ = 0
    try:
        for folder in records_in(given.folder):
            lines = read_record(folder)
            if given.what == "show":
                print(folder.name)
                print("\n".join(timeline(lines)))
                continue
            for text in replay(lines):
                differ += 1
                print(f"{folder.name}: {text}")
    except RecordError as error:
        print(error, file=sys.stderr)
        return 2
    if given.what == "replay":
        print(f"{differ} sentences would now be read otherwise")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
