# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Our own form: RefSpatial-Bench's raw folders, with metric depth, camera and marked things.

Any number of folders, each with question.json: a list of the fields of RefSpatial-Bench (id,
object, prompt, suffix, rgb_path, mask_path, category, step) and of

- depth_path: 16 bit PNG registered to the picture, 0 = no measurement; or null or missing;
- camera_path: JSON object with width, height, fx, fy, cx, cy (pinhole, pixels as in
  docs/conventions.md) and depth_scale_m (metres per unit of the PNG); needed with depth_path;
- instances_path: PNG of ids, with a JSON file of the same name beside it: a list of {id, name}.
  When it is missing, instances.png and instances.json beside the camera's file are taken, if they
  are there;
- scene: where the picture was taken; or missing.

Paths are relative to the folder. Pictures may be shared between folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from roborefer_vlm.evaluation.benchmarks.layout import choose_parts
from roborefer_vlm.evaluation.benchmarks.refspatial import raw_folders, raw_question
from roborefer_vlm.evaluation.reading import Record, json_records, read_json
from roborefer_vlm.evaluation.records import DepthMap, Instances, Question
from roborefer_vlm.exceptions import QueryError, RecordError
from roborefer_vlm.picture_files import Source, picture_size
from roborefer_vlm.types import Intrinsics


def load(directory: Path, parts: Sequence[str], _depth_scale_m: float | None) -> list[Question]:
    """Return the questions of the wanted folders.

    Raises:
        ConfigurationError: A wanted folder is not there.
        RecordError: A record or file cannot be used.
    """
    folders = raw_folders(directory)
    return [
        _question(part, record)
        for part in choose_parts(directory, list(folders), parts)
        for record in json_records(folders[part] / "question.json")
    ]


def read_camera(path: Path) -> tuple[Intrinsics, float | None]:
    """Return intrinsics, and metres per unit of depth (None: not stated), from a camera file.

    Raises:
        RecordError: A number is missing or cannot be right, or the camera has distortion, which
            has to be taken out of the pictures first.
    """
    return camera_of(str(path), read_json(path))


def camera_of(file: str, fields: object) -> tuple[Intrinsics, float | None]:
    """Return what `read_camera` does, from decoded JSON.

    Args:
        file: Where it stands, for messages.
        fields: What it says.

    Raises:
        RecordError: As for `read_camera`.
    """
    if not isinstance(fields, dict):
        raise RecordError(file, "camera", "", "an object with fx, fy, cx, cy is needed")
    camera = Record(file, "camera", fields, Path())
    distortion = fields.get("distortion")
    if any(distortion if isinstance(distortion, list) else (distortion,)):
        raise camera.error("distortion", "rectify the pictures; a pinhole camera is needed")
    width, height = camera.number("width"), camera.number("height")
    try:
        intrinsics = Intrinsics(
            int(width), int(height), *(camera.number(name) for name in ("fx", "fy", "cx", "cy"))
        )
    except QueryError as error:
        raise camera.error("", str(error)) from error
    scale = camera.number("depth_scale_m") if "depth_scale_m" in fields else None
    if scale is not None and scale <= 0:
        raise camera.error("depth_scale_m", f"{scale} is given; metres per unit are needed")
    return intrinsics, scale


def read_names(path: Path) -> dict[int, str]:
    """Return what each id of an instance picture is.

    Raises:
        RecordError: The file is no list of {id, name}.
    """
    names: dict[int, str] = {}
    for record in json_records(path):
        if not record.id.isdigit() or int(record.id) < 1:
            raise record.error("id", "a whole number from 1 is needed")
        # Names are written like identifiers in some files; people say "soup can".
        names[int(record.id)] = record.text("name").replace("_", " ")
    return names


def _question(part: str, record: Record) -> Question:
    question = raw_question(part, record)
    if record.fields.get("camera_path") is None:
        if record.fields.get("depth_path") is not None:
            raise record.error("camera_path", "depth_path is given without the camera")
        return question
    camera_path = record.path("camera_path")
    camera, scale = read_camera(camera_path)
    size = picture_size(question.picture)
    if (camera.width, camera.height) != size:
        raise record.error(
            "camera_path",
            f"it is for {camera.width} x {camera.height}, the picture is {size[0]} x {size[1]}",
        )
    return replace(
        question,
        camera=camera,
        depth=_depth(record, scale, size),
        instances=_instances(record, camera_path.parent, size),
    )


def _depth(record: Record, scale: float | None, size: tuple[int, int]) -> DepthMap | None:
    if record.fields.get("depth_path") is None:
        return None
    if scale is None:
        raise record.error("camera_path", "the file states no depth_scale_m")
    source = record.picture("depth_path")
    _check_size(record, "depth_path", source, size)
    return DepthMap(source, scale)


def _instances(record: Record, beside: Path, size: tuple[int, int]) -> Instances | None:
    if record.fields.get("instances_path") is not None:
        path = record.path("instances_path")
    else:
        path = beside / "instances.png"
        if not path.is_file():
            return None
    names = path.with_suffix(".json")
    if not names.is_file():
        raise record.error("instances_path", f"there is no file {names}")
    source = Source.of(path)
    _check_size(record, "instances_path", source, size)
    return Instances(source, read_names(names))


def _check_size(record: Record, field: str, source: Source, size: tuple[int, int]) -> None:
    found = picture_size(source)
    if found != size:
        raise record.error(
            field,
            f"{source.name} is {found[0]} x {found[1]}; {size[0]} x {size[1]}, as the picture,"
            " is needed",
        )
