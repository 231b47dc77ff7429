# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's annotations (arXiv 2411.16537): one JSON per picture, with or without depth.

    folder/annotations/**/<any>.json
    folder/images/<dataset>/<scene_name>/<image_name>
    folder/depth/<dataset>/<scene_name>/<image_name, suffix .png>   optional, 16 bit millimetres

A JSON holds dataset, scene_name, image_name, image_size [width, height], visible_instance_ids
(places in objects; absent: not known), camera_annotations with extrinsic (camera to world, 4 x 4,
aligned already, so axis_align_matrix is not applied again) and intrinsic (4 x 4 or 3 x 3), and
objects, each with Name and bbox_3d: a list with one entry [cx, cy, cz, dx, dy, dz, rz, rx, ry],
metres and radians, rotation Rz Rx Ry. World z is up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from roborefer_vlm.data.sources.scan_frames import (
    AnnotatedBox,
    FrameName,
    Layout,
    Pictures,
    check_box,
    check_pose,
    color_of,
    depth_of,
    numbers,
    pinhole,
    read_json,
    upright_axes,
)
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.graph import Array, Camera


class RoboSpatialFormat:
    """Reads RoboSpatial-style annotations; see the module for the files."""

    name = "robospatial"
    # Any box that the annotators left out may be missing.
    exhaustive = False
    generic_is_a_class = False

    def frames(self, folder: Path) -> list[FrameName]:
        """List the JSON files; a file's folder below `annotations` is its room."""
        top = folder / "annotations"
        found = sorted(top.rglob("*.json"))
        if not found:
            raise ConfigurationError(f"{top}: no .json annotations in it")
        return [
            FrameName(path.parent.relative_to(top).as_posix().replace("/", "-"), path.stem, path)
            for path in found
        ]

    def layout(self, name: FrameName) -> Layout:
        """Read a frame's camera and boxes."""
        path = name.path
        record = _mapping(read_json(path), str(path))
        camera = _mapping(record.get("camera_annotations"), f"{path}: camera_annotations")
        pose = numbers(camera.get("extrinsic"), (4, 4), f"{path}: extrinsic")
        matrix = np.array(camera.get("intrinsic"), float, ndmin=2)
        size = numbers(record.get("image_size"), (2,), f"{path}: image_size").astype(int)
        if (size < 1).any():
            raise SourceError(f"{path}: image_size {size.tolist()}; two positive numbers needed")
        k = pinhole(matrix, (int(size[0]), int(size[1])), f"{path}: intrinsic")
        objects = record.get("objects")
        if not isinstance(objects, list):
            raise SourceError(f"{path}: objects is {str(objects)[:80]}; a list is needed")
        boxes = tuple(_box(i, one, f"{path}: objects[{i}]") for i, one in enumerate(objects))
        seen = record.get("visible_instance_ids")
        if seen is not None and not (
            isinstance(seen, list)
            and all(isinstance(i, int) and 0 <= i < len(boxes) for i in seen)
        ):
            raise SourceError(
                f"{path}: visible_instance_ids {str(seen)[:80]}; places in objects, 0 to"
                f" {len(boxes) - 1}, are needed"
            )
        return Layout(
            Camera(k, check_pose(pose, f"{path}: extrinsic")),
            boxes,
            None if seen is None else frozenset(str(i) for i in seen),
        )

    def pictures(self, name: FrameName, camera: Camera) -> Pictures:
        """Read a frame's picture, and its depth if there is one."""
        record = _mapping(read_json(name.path), str(name.path))
        parts = [record.get(key) for key in ("dataset", "scene_name", "image_name")]
        if not all(isinstance(part, str) and part and ".." not in part for part in parts):
            raise SourceError(
                f"{name.path}: dataset, scene_name, image_name are {parts}; names are needed"
            )
        where = "/".join(str(part).strip("/") for part in parts)
        above = next(p for p in name.path.parents if p.name == "annotations").parent
        size = (camera.intrinsics.width, camera.intrinsics.height)
        rgb = color_of(above / "images" / where, size)
        depth = (above / "depth" / where).with_suffix(".png")
        return Pictures(rgb, depth_of(depth, size) if depth.exists() else None)


def _box(number: int, entry: object, where: str) -> AnnotatedBox:
    record = _mapping(entry, where)
    label = record.get("Name")
    if not isinstance(label, str) or not label.strip():
        raise SourceError(f"{where}: Name is {label!r}; a name is needed")
    values = numbers(record.get("bbox_3d"), (1, 9), f"{where}: bbox_3d")[0]
    rotation = rotation_zxy(values[6:])
    box = upright_axes(values[:3], rotation, values[3:6])
    check_box(box, f"{where}: bbox_3d")
    return AnnotatedBox(str(number), label, box, rotation[:, 0])


def rotation_zxy(angles: Array) -> Array:
    """Return Rz(a) Rx(b) Ry(c) for angles (a, b, c), radians."""
    (cz, cx, cy), (sz, sx, sy) = np.cos(angles), np.sin(angles)
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return np.asarray(about_z @ about_x @ about_y)


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SourceError(f"{where}: {str(value)[:80]}; an object with names is needed")
    return value
