# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads single RGB-D scenes: folders with rgb.png, depth.png and camera.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roborefer_perception.core.camera import Array
from roborefer_perception.core.recordings import (
    RecordedFrame,
    camera_of,
    pose_of,
    read_colour,
    read_depth,
    read_mapping,
    same_size,
)
from roborefer_perception.exceptions import RecordingError

CAMERA = "camera.json"
# Scenes have no stamps; they are given some that far apart.
APART_NS = 1_000_000_000


class SceneFolder:
    """The scenes of a folder, in the order of their names; implements `Recording`."""

    def __init__(self, path: Path) -> None:
        """Find the scenes; their pictures are read when they are played.

        Args:
            path: One scene, a folder of scenes, or a folder whose `scenes` is one.

        Raises:
            RecordingError: There is no scene.
        """
        self.folders = scene_folders(path)
        if not self.folders:
            raise RecordingError(f"{path}: neither it nor a folder in it has a {CAMERA}")
        self.stamps_ns: Sequence[int] = [APART_NS * (1 + i) for i in range(len(self.folders))]
        self.still, self.fixed = True, len(self.folders) == 1

    def frames(self) -> Iterator[RecordedFrame | RecordingError]:
        """Yield the scenes."""
        for stamp_ns, folder in zip(self.stamps_ns, self.folders, strict=True):
            try:
                yield read_scene(folder, stamp_ns)
            except RecordingError as error:
                yield error


def scene_folders(path: Path) -> list[Path]:
    """Return the folders of scenes at a path, which may be none."""
    if (path / CAMERA).is_file():
        return [path]
    for folder in (path, path / "scenes"):
        if found := sorted(file.parent for file in folder.glob(f"*/{CAMERA}")):
            return found
    return []


def read_scene(folder: Path, stamp_ns: int = 0) -> RecordedFrame:
    """Read one scene; its pose is the camera's in the robot's base, where that is written.

    Raises:
        RecordingError: A file is missing or a value cannot be used.
    """
    path = folder / CAMERA
    fields = read_mapping(path)
    camera = camera_of(fields, path)
    unit_m = _unit(fields, path)
    rgb, depth_m = read_colour(folder / "rgb.png"), read_depth(folder / "depth.png", unit_m)
    same_size(rgb, depth_m, camera, str(folder))
    pose = fields.get("camera_pose_in_robot_base")
    return RecordedFrame(
        folder.name, stamp_ns, rgb, depth_m, camera,
        None if pose is None else pose_of(pose, str(path)),
        _plane(fields.get("main_plane_camera"), path),
    )  # fmt: skip


def _unit(fields: dict[str, Any], path: Path) -> float:
    value = fields.get("depth_scale_m")
    # Beyond a centimetre a step, 16 bits would hold more than half a kilometre.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 0.01:
        raise RecordingError(
            f"{path}: depth_scale_m is {value}; metres of one step are needed, such as 0.001"
        )
    return float(value)


def _plane(value: Any, path: Path) -> Array | None:
    if value is None:
        return None
    try:
        plane = np.array([*value["normal"], value["offset_m"]], float)
        length = float(np.linalg.norm(plane[:3]))
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{path}: main_plane_camera is {value}: {error}") from error
    if plane.shape != (4,) or not np.isfinite(plane).all() or not 0.5 < length < 2:
        raise RecordingError(
            f"{path}: main_plane_camera is {value}; a unit normal and an offset are needed"
        )
    plane /= length
    return plane if plane[3] >= 0 else -plane
