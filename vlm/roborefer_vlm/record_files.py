# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of records (as RefSpatial has them), checked: conversations about pictures.

A file is a JSON list of objects. `conversations` is a list of `{"from": "human" | "gpt", "value":
text}`, in turns, human first; `image` and `depth` are names of pictures, or lists of them.
Training and the tools of the data engine read them here, so that both refuse the same.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from roborefer_vlm.exceptions import RecordError


def read_entries(path: str | Path) -> list[dict[str, Any]]:
    """Return the objects of a file, in order; what they hold is not looked at.

    Raises:
        RecordError: The file cannot be read, or is no list of objects.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(str(path), "-", "", f"the file cannot be read: {error}") from error
    return checked_entries(str(path), entries)


def checked_entries(source: str, entries: object) -> list[dict[str, Any]]:
    """Return what was read from JSON, if it is a list of objects.

    Raises:
        RecordError: It is something else.
    """
    if not isinstance(entries, list):
        raise RecordError(
            source, "-", "", f"the file holds a {type(entries).__name__}; a list is needed"
        )
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise RecordError(
                source, f"#{place}", "", f"is a {type(entry).__name__}, not an object"
            )
    return entries


def spoken(source: str, name: str, turns: object) -> tuple[str, ...]:
    """Return the texts of `conversations`, human and gpt in turns.

    Raises:
        RecordError: It is no such list.
    """
    if not isinstance(turns, list) or not turns or len(turns) % 2:
        raise RecordError(
            source, name, "conversations", "a list of human and gpt, in turns, is needed"
        )
    texts = []
    for number, turn in enumerate(turns):
        field = f"conversations[{number}]"
        speaker = ("human", "gpt")[number % 2]
        if not isinstance(turn, dict) or turn.get("from") != speaker:
            raise RecordError(source, name, field, f"an entry from '{speaker}' is needed")
        if not isinstance(turn.get("value"), str):
            raise RecordError(source, name, field, "'value' is no text")
        texts.append(turn["value"])
    return tuple(texts)


def picture_names(source: str, name: str, field: str, value: object) -> tuple[str, ...]:
    """Return the names of `image` or `depth`; none where the field is missing.

    Raises:
        RecordError: One is no name, or leads out of the folder.
    """
    if value is None:
        return ()
    names = value if isinstance(value, list) else [value]
    for entry in names:
        if not isinstance(entry, str) or not entry:
            raise RecordError(source, name, field, f"{entry!r:.80} is no file name")
        # A data set from elsewhere must not read files outside its folder.
        path = PurePosixPath(entry)
        if path.is_absolute() or ".." in path.parts:
            raise RecordError(source, name, field, f"'{entry}' leads out of the folder")
    return tuple(names)
