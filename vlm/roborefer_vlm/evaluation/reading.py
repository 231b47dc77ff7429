# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Typed access to the records of a benchmark; a wrong one is an error that names it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from roborefer_vlm.exceptions import PictureError, RecordError
from roborefer_vlm.picture_files import Source, picture_size


@dataclass(frozen=True)
class Record:
    """One record as it stands in a file.

    Attributes:
        file: The file, for messages; paths in the record are relative to `folder`.
        id: Its id, or its place in the file.
        fields: What it says.
        folder: What relative paths start from.
    """

    file: str
    id: str
    fields: Mapping[str, Any]
    folder: Path

    def error(self, field: str, problem: str) -> RecordError:
        """Return the error for a field, naming file and record."""
        return RecordError(self.file, self.id, field, problem)

    def text(self, field: str, default: str | None = None) -> str:
        """Return a text; only one with a default may be missing or empty.

        Raises:
            RecordError: It is missing, empty, or no text.
        """
        value = self.fields.get(field)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.error(field, f"{_short(value)} is given; a text is needed")
        return value

    def step(self) -> int:
        """Return the number of reasoning steps.

        Raises:
            RecordError: It is no whole number from 1.
        """
        value = self.fields.get("step")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.error("step", f"{_short(value)} is given; a whole number from 1 is needed")
        return value

    def number(self, field: str) -> float:
        """Return a finite number.

        Raises:
            RecordError: It is missing or no finite number.
        """
        value = self.fields.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(OverflowError):
                number = float(value)
                if isfinite(number):
                    return number
        raise self.error(field, f"{_short(value)} is given; a finite number is needed")

    def path(self, field: str) -> Path:
        """Return an existing file that a field names relative to the record's folder.

        Raises:
            RecordError: The field is missing or the file does not exist.
        """
        path = self.folder / self.text(field)
        if not path.is_file():
            raise self.error(field, f"there is no file {path}")
        return path

    def picture(self, field: str) -> Source:
        """Return the picture that a field holds: a path, or an encoded picture of a table.

        Raises:
            RecordError: The field is missing, the file does not exist, or it is no picture.
        """
        value = self.fields.get(field)
        if isinstance(value, Mapping):
            data = value.get("bytes")
            if isinstance(data, bytes) and data:
                source = Source(f"{self.file}, record {self.id}, field '{field}'", data=data)
            else:
                raise self.error(field, "the table holds no bytes of a picture")
        else:
            source = Source.of(self.path(field))
        try:
            picture_size(source)
        except PictureError as error:
            raise self.error(field, str(error)) from error
        return source

    def check_shape(self, field: str, source: Source, picture: Source) -> None:
        """Check that a mask shows the same view as the picture; it may be of another resolution.

        Raises:
            RecordError: The ratio of width to height differs by more than 2 %.
        """
        (width, height), (needed_w, needed_h) = picture_size(source), picture_size(picture)
        if abs(width * needed_h / (height * needed_w) - 1) > 0.02:
            raise self.error(
                field,
                f"it is {width} x {height} and the picture {needed_w} x {needed_h};"
                " the same ratio of width to height is needed",
            )


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        RecordError: It cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RecordError(str(path), "-", "", str(error.strerror or error)) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(str(path), "-", "", f"this is no JSON ({error})") from error


def json_records(path: Path, id_field: str | None = "id") -> list[Record]:
    """Return the records of a JSON file that holds a list of objects.

    Args:
        path: The file; relative paths in it start from its folder.
        id_field: Field that identifies a record; None: its place in the list does.

    Raises:
        RecordError: The file is no such list, it is empty, or an id is missing or comes twice.
    """
    rows = read_json(path)
    if not isinstance(rows, list):
        raise RecordError(str(path), "-", "", f"{_short(rows)} is given; a list is needed")
    return as_records(str(path), path.parent, rows, id_field)


def as_records(
    file: str, folder: Path, rows: Sequence[object], id_field: str | None
) -> list[Record]:
    """Return rows as records whose ids are known to be unique.

    Raises:
        RecordError: There are no rows, one is no object, or an id is missing or comes twice.
    """
    if not rows:
        raise RecordError(file, "-", "", "there are no records")
    records: dict[str, Record] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise RecordError(file, f"#{place}", "", f"{_short(row)} is given, not an object")
        value = place if id_field is None else row.get(id_field)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise RecordError(
                file, f"#{place}", str(id_field), f"{_short(value)} is given; an id is needed"
            )
        if str(value) in records:
            raise RecordError(file, str(value), str(id_field), "this id comes twice")
        records[str(value)] = Record(file, str(value), row, folder)
    return list(records.values())


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
