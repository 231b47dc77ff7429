# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Estimates that lie in files beside their photographs, as a lab keeps runs of large models.

Beside `cup.jpg` lie `cup.json` and `cup.npz`:

    {"version": 1, "complete": false, "metric": true, "up": null,
     "camera": {"fx": 600.0, "fy": 600.0, "cx": 319.5, "cy": 239.5},
     "things": [{"label": "cup", "score": 0.9, "box": [10, 20, 60, 90],
                 "colors": ["red"], "words": ["plastic"]}]}

`depth` in the .npz is float32, shape (height, width), and `masks` bool, shape (things, height,
width). `up` is a unit vector in the optical frame or null; `colors` and `words` may be missing.
Every other key, and every value of another type, is an error: a typing mistake must not pass for
"nothing found".
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roborefer_vlm.backends.scene_graph.colors import NAMES
from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.data.sources.web_estimates import Found, Geometry, Look, Photo
from roborefer_vlm.exceptions import QueryError, SourceError
from roborefer_vlm.types import BoolArray, FloatArray, Intrinsics

VERSION = 1
# A photograph of 12 megapixels with 60 masks is smaller; what is larger is no such file.
_MOST_BYTES = 1 << 30
_TOP = frozenset(("version", "complete", "metric", "up", "camera", "things"))
_THING = frozenset(("label", "score", "box"))
_LOOK = frozenset(("colors", "words"))


@dataclass(frozen=True)
class RecordedFinder:
    """Things from the files beside a photograph."""

    def find(self, photo: Photo) -> Found:
        """See `Finder.find`.

        Raises:
            SourceError: A file is missing, or is not as the head of this module says.
        """
        return read_record(photo).found


@dataclass(frozen=True)
class RecordedGeometry:
    """Depth and camera from the files beside a photograph."""

    def estimate(self, photo: Photo) -> Geometry:
        """See `GeometryEstimator.estimate`.

        Raises:
            SourceError: A file is missing, or is not as the head of this module says.
        """
        return read_record(photo).geometry


@dataclass(frozen=True)
class RecordedCaptioner:
    """Looks from the file beside a photograph."""

    def looks(self, photo: Photo, things: Sequence[Detection]) -> Sequence[Look]:
        """See `Captioner.looks`.

        Raises:
            SourceError: A file is missing or is not as the head of this module says, or a thing
                is none of those recorded.
        """
        record = read_record(photo)
        looks = {
            (d.label, d.score, d.box): look
            for d, look in zip(record.found.detections, record.looks, strict=True)
        }
        try:
            return [looks[thing.label, thing.score, thing.box] for thing in things]
        except KeyError as error:
            raise SourceError(
                f"bad record: {photo.path} has no thing {error}; record things and looks together"
            ) from None


@dataclass(frozen=True, eq=False)
class Record:
    """Everything that was estimated of one photograph; looks are in the order of detections."""

    found: Found
    geometry: Geometry
    looks: tuple[Look, ...]


def write_record(photo: Photo, record: Record) -> None:
    """Write estimates beside a photograph; `read_record` gives them back.

    Raises:
        SourceError: A detection has no mask.
    """
    detections = record.found.detections
    masks = [d.mask for d in detections if d.mask is not None]
    if len(masks) < len(detections):
        raise SourceError("bad record: a detection has no mask; find masks before recording")
    k, up = record.geometry.intrinsics, record.geometry.up
    things = [
        {
            "label": d.label,
            "score": float(d.score),
            "box": [float(x) for x in d.box],
            "colors": list(look.colors),
            "words": list(look.words),
        }
        for d, look in zip(detections, record.looks, strict=True)
    ]
    data = {
        "version": VERSION,
        "complete": record.found.complete,
        "metric": record.geometry.metric,
        "up": None if up is None else [float(x) for x in up],
        "camera": {"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy},
        "things": things,
    }
    depth = record.geometry.depth_m
    stacked = np.stack(masks) if masks else np.zeros((0, *depth.shape), bool)
    np.savez_compressed(photo.path.with_suffix(".npz"), depth=depth, masks=stacked)
    photo.path.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_record(photo: Photo) -> Record:
    """Return the estimates that lie beside a photograph.

    Raises:
        SourceError: A file is missing, or is not as the head of this module says.
    """
    path = photo.path.with_suffix(".json")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"no record: {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"bad record: {path}: {error}") from error
    fields = _Fields(path)
    top = fields.table(data, "the file", _TOP)
    if top["version"] != VERSION:
        raise fields.wrong("version", top["version"], str(VERSION))
    things = [
        fields.table(thing, f"things[{i}]", _THING, _LOOK)
        for i, thing in enumerate(fields.array(top["things"], "things"))
    ]
    height, width = photo.rgb.shape[:2]
    depth, masks = _arrays(photo.path.with_suffix(".npz"), (len(things), height, width))
    detections = tuple(
        fields.detection(thing, f"things[{i}]", mask)
        for i, (thing, mask) in enumerate(zip(things, masks, strict=True))
    )
    geometry = Geometry(
        depth,
        fields.intrinsics(top["camera"], width, height),
        fields.flag(top["metric"], "metric"),
        fields.up(top["up"]),
    )
    looks = tuple(fields.look(thing, f"things[{i}]") for i, thing in enumerate(things))
    return Record(Found(detections, fields.flag(top["complete"], "complete")), geometry, looks)


def _arrays(path: Path, shape: tuple[int, int, int]) -> tuple[FloatArray, BoolArray]:
    """Return depth and masks of a .npz, without unpickling anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MOST_BYTES:
            raise SourceError(f"bad record: {path} holds {size} bytes; {_MOST_BYTES} are allowed")
        with np.load(path, allow_pickle=False) as arrays:
            if set(arrays.files) != {"depth", "masks"}:
                raise SourceError(
                    f"bad record: {path} holds {sorted(arrays.files)}; depth and masks are needed"
                )
            depth, masks = arrays["depth"], arrays["masks"]
    except OSError as error:
        raise SourceError(f"no record: {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"bad record: {path}: {error}") from error
    _check_array(path, "depth", depth, np.float32, shape[1:])
    _check_array(path, "masks", masks, np.bool_, shape)
    return np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0), masks


def _check_array(
    path: Path, name: str, array: npt.NDArray[Any], dtype: type, shape: tuple[int, ...]
) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise SourceError(
            f"bad record: {path}: {name} is {array.dtype} {array.shape};"
            f" {np.dtype(dtype)} {shape} is needed"
        )


@dataclass(frozen=True)
class _Fields:
    """Reads fields of a record; every error names file, field and value."""

    path: Path

    def wrong(self, field: str, value: object, right: str) -> SourceError:
        return SourceError(f"bad record: {self.path}: {field} is {value!r:.60}; use {right}")

    def table(
        self,
        value: object,
        field: str,
        needed: frozenset[str],
        allowed: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        if not isinstance(value, dict) or not needed <= set(value) <= needed | allowed:
            keys = sorted(value) if isinstance(value, dict) else value
            raise self.wrong(field, keys, f"an object with the keys {sorted(needed)}")
        return value

    def array(self, value: object, field: str) -> Sequence[Any]:
        if not isinstance(value, list):
            raise self.wrong(field, value, "a list")
        return value

    def text(self, value: object, field: str) -> str:
        if not isinstance(value, str):
            raise self.wrong(field, value, "text")
        return value

    def flag(self, value: object, field: str) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(field, value, "true or false")
        return value

    def numbers(self, value: object, field: str, count: int) -> tuple[float, ...]:
        values = value if isinstance(value, list) else []
        good = [
            float(x)
            for x in values
            if isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
        ]
        if len(good) != count or len(values) != count:
            raise self.wrong(field, value, f"{count} finite numbers")
        return tuple(good)

    def words(self, value: object, field: str) -> tuple[str, ...]:
        return tuple(self.text(word, field) for word in self.array(value, field))

    def detection(self, thing: Mapping[str, Any], field: str, mask: BoolArray) -> Detection:
        (score,) = self.numbers([thing["score"]], f"{field}.score", 1)
        left, top, right, bottom = self.numbers(thing["box"], f"{field}.box", 4)
        label = self.text(thing["label"], f"{field}.label")
        return Detection(label, score, (left, top, right, bottom), mask)

    def look(self, thing: Mapping[str, Any], field: str) -> Look:
        colors = self.words(thing.get("colors", []), f"{field}.colors")
        unknown = sorted(set(colors) - set(NAMES))
        if unknown:
            raise self.wrong(f"{field}.colors", unknown, f"some of {', '.join(NAMES)}")
        return Look(colors, self.words(thing.get("words", []), f"{field}.words"))

    def intrinsics(self, value: object, width: int, height: int) -> Intrinsics:
        names = ("fx", "fy", "cx", "cy")
        camera = self.table(value, "camera", frozenset(names))
        fx, fy, cx, cy = self.numbers([camera[name] for name in names], "camera", 4)
        try:
            return Intrinsics(width, height, fx, fy, cx, cy)
        except QueryError as error:
            raise SourceError(f"bad record: {self.path}: camera: {error}") from error

    def up(self, value: object) -> tuple[float, float, float] | None:
        if value is None:
            return None
        x, y, z = self.numbers(value, "up", 3)
        if abs(math.hypot(x, y, z) - 1) > 1e-3:
            raise self.wrong("up", value, "a vector of length 1, or null")
        return (x, y, z)
