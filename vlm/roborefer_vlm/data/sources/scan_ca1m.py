# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""CA-1M (arXiv 2412.04458): captures with laser depth and a box around everything, unpacked.

    folder/<capture>/world.gt/instances.json      all boxes: [{id, position, scale, R, category}]
    folder/<capture>/<time>.wide/image.png        picture
    folder/<capture>/<time>.wide/image/K.json     3 x 3 intrinsics of the picture
    folder/<capture>/<time>.wide/depth.png        the tablet's depth, 16 bit millimetres; optional
    folder/<capture>/<time>.wide/instances.json   what is seen; only id is read; optional
    folder/<capture>/<time>.gt/RT.json            4 x 4 pose of the camera, camera to world
    folder/<capture>/<time>.gt/depth.png          laser depth, 16 bit millimetres; optional
    folder/<capture>/names.json                   {id: name}, optional, not part of CA-1M

Position is the middle of a box, scale its full lengths along the columns of R, metres, world z
up. CA-1M's boxes are class-agnostic: without names.json (from a captioner, say) a box keeps its
category, which is a name only for structure and some furniture.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

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
    size_of,
    upright_axes,
)
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.graph import Camera


class Ca1mFormat:
    """Reads unpacked captures of CA-1M; see the module for the files."""

    name = "ca1m"
    exhaustive = True
    generic_is_a_class = False

    def frames(self, folder: Path) -> list[FrameName]:
        """List the frames of all captures by time."""
        found = [path for path in folder.glob("*/*.wide") if path.name[:-5].isdigit()]
        if not found:
            raise ConfigurationError(f"{folder}: no <capture>/<time>.wide folders in it")
        found.sort(key=lambda path: (path.parent.name, int(path.name[:-5])))
        return [FrameName(path.parent.name, path.name[:-5], path) for path in found]

    def layout(self, name: FrameName) -> Layout:
        """Read a frame's camera and the boxes of its capture."""
        wide = name.path
        matrix = wide / "image" / "K.json"
        k = pinhole(
            numbers(read_json(matrix), (3, 3), str(matrix)),
            size_of(wide / "image.png"),
            str(matrix),
        )
        pose = self._truth(name) / "RT.json"
        camera = Camera(k, check_pose(numbers(read_json(pose), (4, 4), str(pose)), str(pose)))
        here = wide / "instances.json"
        seen = None
        if here.exists():
            seen = frozenset(str(entry["id"]) for entry in _entries(here, ("id",)))
        return Layout(camera, _boxes(wide.parent), seen)

    def pictures(self, name: FrameName, camera: Camera) -> Pictures:
        """Read a frame's picture, the tablet's depth and the laser's."""
        size = (camera.intrinsics.width, camera.intrinsics.height)
        own, laser = name.path / "depth.png", self._truth(name) / "depth.png"
        measured = depth_of(own, size) if own.exists() else None
        true = depth_of(laser, size) if laser.exists() else None
        return Pictures(color_of(name.path / "image.png", size), measured, true)

    def _truth(self, name: FrameName) -> Path:
        return name.path.parent / f"{name.frame}.gt"


@lru_cache(maxsize=8)
def _boxes(capture: Path) -> tuple[AnnotatedBox, ...]:
    path = capture / "world.gt" / "instances.json"
    names = capture / "names.json"
    labels = read_json(names) if names.exists() else {}
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise SourceError(f"{names}: {str(labels)[:80]}; {{id: name}} is needed")
    boxes = []
    for entry in _entries(path, ("id", "position", "scale", "R")):
        where = f"{path}: instance {entry['id']}"
        rotation = numbers(entry["R"], (3, 3), f"{where}: R")
        box = upright_axes(
            numbers(entry["position"], (3,), f"{where}: position"),
            rotation,
            numbers(entry["scale"], (3,), f"{where}: scale"),
        )
        check_box(box, where)
        key = str(entry["id"])
        label = labels.get(key, entry.get("category", "object"))
        boxes.append(AnnotatedBox(key, str(label), box, rotation[:, 0]))
    return tuple(boxes)


def _entries(path: Path, fields: tuple[str, ...]) -> list[dict[str, object]]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise SourceError(f"{path}: {str(entries)[:80]}; a list of instances is needed")
    for number, entry in enumerate(entries):
        missing = [f for f in fields if not isinstance(entry, dict) or f not in entry]
        if missing:
            raise SourceError(f"{path}: instance {number} lacks {', '.join(missing)}")
    return entries
