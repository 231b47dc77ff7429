# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What people corrected, as samples that a network can be trained on.

The layout is that of RefSpatial (docs of `roborefer_vlm.training`): a JSON list whose records have
`id`, `image`, `depth` and `conversations`, beside the folders `image` and `depth`. Coordinates are
0 to 1 over the whole picture. Depth is metric here, 16 bits of millimetres; the network wants
relative inverse depth, which `roborefer_vlm.model.depth` makes of it, and nothing else does.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roborefer_operator.exceptions import RecordError

# As the network was trained to be asked; appended directly to the words.
FORMAT = (
    " Your answer should be formatted as a list of tuples, i.e. [(x1, y1)],  where each tuple"
    " contains the x and y coordinates of a point satisfying the conditions above."
    " The coordinates should be between 0 and 1, indicating the normalized pixel locations of"
    " the points in the image."
)
DEPTH_NOTE = "uint16 millimetres, 0 is none; to be made relative inverse depth for the network"
# Records are read with depth or without, so those that have none stand in a file of their own.
WITH_DEPTH, WITHOUT_DEPTH = "samples.json", "samples_rgb.json"


@dataclass(frozen=True, eq=False)
class PictureFiles:
    """The files of one picture.

    Attributes:
        size: Width and height, pixels.
        color: PNG.
        depth: 16-bit PNG, millimetres; None without depth.
    """

    size: tuple[int, int]
    color: bytes
    depth: bytes | None = None


@dataclass(frozen=True)
class Sample:
    """What some words really meant.

    Attributes:
        words: The words.
        pixel: u and v; None where nothing in the picture is meant.
        how: "click", "number", "words" or "service".
        reference_id: The reference that was wrong or not sure.
        task_id: "" outside of tasks.
        kind: Constant KIND_* of roborefer_msgs/SpatialReference.
        note: Why, for people.
    """

    words: str
    pixel: tuple[float, float] | None
    how: str
    reference_id: str = ""
    task_id: str = ""
    kind: int = 0
    note: str = ""


class SampleStore:
    """Appends samples to a folder; used by one thread."""

    def __init__(self, folder: Path) -> None:
        """Prepare; the folder is made with the first sample."""
        self.folder = folder

    def add(self, sample: Sample, files: PictureFiles) -> str:
        """Keep a sample; its pictures are written once, however many samples show them.

        Returns:
            The name of the sample.

        Raises:
            OSError: The folder cannot be written.
            RecordError: The file of samples is none; it is left as it is.
        """
        name = uuid.uuid4().hex[:12]
        record: dict[str, Any] = {"id": name, "image": [self._keep("image", files.color)]}
        if files.depth is not None:
            record["depth"] = [self._keep("depth", files.depth)]
            record["depth_encoding"] = DEPTH_NOTE
        record["conversations"] = conversation(sample, files.size)
        record["correction"] = {
            "how": sample.how, "reference": sample.reference_id, "task": sample.task_id,
            "kind": sample.kind, "note": sample.note, "pixel": sample.pixel, "size": files.size,
        }  # fmt: skip
        path = self.folder / (WITH_DEPTH if files.depth is not None else WITHOUT_DEPTH)
        write_whole(path, json.dumps([*_read(path), record], indent=1).encode())
        return name

    def _keep(self, kind: str, data: bytes) -> str:
        name = f"{hashlib.sha256(data).hexdigest()[:20]}.png"
        path = self.folder / kind / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        return name


def conversation(sample: Sample, size: tuple[int, int]) -> list[Mapping[str, str]]:
    """Return question and answer of a sample."""
    answer = "[]"
    if sample.pixel is not None:
        x, y = ((p + 0.5) / s for p, s in zip(sample.pixel, size, strict=True))
        answer = f"[({_bounded(x):.3f}, {_bounded(y):.3f})]"
    return [
        {"from": "human", "value": f"<image>\n{sample.words}{FORMAT}"},
        {"from": "gpt", "value": answer},
    ]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file such that it is there as a whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _bounded(value: float) -> float:
    return min(1.0, max(0.0, value))


def _read(path: Path) -> list[Any]:
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path} is no JSON; move it away: {error}") from error
    if not isinstance(records, list):
        raise RecordError(f"{path} holds no list; move it away")
    return records
