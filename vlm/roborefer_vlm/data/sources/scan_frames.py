# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of scanned rooms: a camera's pose, the boxes of the room, and the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import PictureError, SourceError
from roborefer_vlm.picture_files import Source, picture_size, read_depth, read_rgb
from roborefer_vlm.scenes.frames import viewer_axes
from roborefer_vlm.scenes.graph import Array, Camera, OrientedBox
from roborefer_vlm.types import FloatArray, Intrinsics, UInt8Array

_MILLIMETRE = 0.001
# Rotations are written with some six digits.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class FrameName:
    """Where a frame is found.

    Attributes:
        scene: Name of the room, unique in its folder.
        frame: Name of the frame, unique in its room.
        path: A file or folder that belongs to the frame or to its room; each format knows which.
    """

    scene: str
    frame: str
    path: Path


@dataclass(frozen=True, eq=False)
class AnnotatedBox:
    """A box as somebody annotated it.

    Attributes:
        key: Unique in its room.
        label: What it is, in the words of the annotation.
        box: In the room's frame; its third axis is the one closest to up.
        axis: First axis as annotated, unit vector in the room's frame; some data sets let it
            look where the thing faces.
    """

    key: str
    label: str
    box: OrientedBox
    axis: Array


@dataclass(frozen=True, eq=False)
class Layout:
    """A frame without its pixels.

    Attributes:
        camera: Of the pictures; the room's frame has z up, metres.
        boxes: All of the room's boxes, walls and floors too, in the annotation's order.
        seen: Keys of those that the annotation calls visible; None: it does not say.
    """

    camera: Camera
    boxes: tuple[AnnotatedBox, ...]
    seen: frozenset[str] | None = None


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pixels of a frame, all of one size.

    Attributes:
        rgb: uint8, shape (height, width, 3).
        depth_m: As a sensor on the camera measured it, metres, 0 for none; None: there is none.
        true_depth_m: From something better than that sensor; None: there is nothing better.
    """

    rgb: UInt8Array
    depth_m: FloatArray | None = None
    true_depth_m: FloatArray | None = None


class ScanFormat(Protocol):
    """How the files of a data set are laid out."""

    @property
    def name(self) -> str:
        """Short, safe as a file name."""

    @property
    def exhaustive(self) -> bool:
        """Whether everything that stands in a room has a box."""

    @property
    def generic_is_a_class(self) -> bool:
        """Whether a label such as "object" means that no other label of the data set fits."""

    def frames(self, folder: Path) -> list[FrameName]:
        """List all frames, sorted by room and time, without opening a file.

        Raises:
            ConfigurationError: The folder is no data set of this format.
        """

    def layout(self, name: FrameName) -> Layout:
        """Read a frame's camera and boxes.

        Raises:
            SourceError: A file is missing or holds something wrong.
        """

    def pictures(self, name: FrameName, camera: Camera) -> Pictures:
        """Read a frame's pixels.

        Raises:
            SourceError: A file is missing, cannot be decoded, or has the wrong size.
        """


def facing_away(layout: Layout, viewer: Camera) -> Layout:
    """Turn a room about up, so that x points away from a viewer, as in all scene graphs.

    Rooms are scanned in frames of any heading, which no picture shows.
    """
    away = -viewer_axes(viewer).front
    turn = np.array([[away[0], away[1], 0], [-away[1], away[0], 0], [0, 0, 1]])
    motion = np.eye(4)
    motion[:3, :3] = turn
    boxes = tuple(
        replace(
            one,
            box=OrientedBox(turn @ one.box.center, turn @ one.box.rotation, one.box.size),
            axis=turn @ one.axis,
        )
        for one in layout.boxes
    )
    pose = motion @ layout.camera.t_scene_optical
    return replace(layout, camera=replace(layout.camera, t_scene_optical=pose), boxes=boxes)


def upright_axes(
    center: npt.ArrayLike, rotation: npt.ArrayLike, size: npt.ArrayLike
) -> OrientedBox:
    """Return a box with its axes in the order of the scene graph: the third is closest to up.

    Args:
        center: Shape (3,), metres.
        rotation: Shape (3, 3), columns are the box's axes, right- or left-handed.
        size: Shape (3,), full lengths along them, metres.
    """
    axes, lengths = np.asarray(rotation, float), np.asarray(size, float)
    up = int(np.abs(axes[2]).argmax())
    order = [(up + 1) % 3, (up + 2) % 3, up]
    axes, lengths = axes[:, order].copy(), lengths[order]
    if axes[2, 2] < 0:
        axes[:, 1:] *= -1
    if np.linalg.det(axes) < 0:
        axes[:, 0] *= -1
    return OrientedBox(np.asarray(center, float), axes, lengths)


def check_box(box: OrientedBox, where: str) -> None:
    """Check that a box has finite numbers, positive lengths and perpendicular axes.

    Raises:
        SourceError: It has not; the message begins with where it was read.
    """
    if not np.isfinite(np.concatenate([box.center, box.size, box.rotation.ravel()])).all():
        raise SourceError(f"{where}: center {box.center}, size {box.size}; finite metres needed")
    if (box.size <= 0).any():
        raise SourceError(f"{where}: size {box.size}; all lengths have to be more than 0 metres")
    if not np.allclose(box.rotation.T @ box.rotation, np.eye(3), atol=_ROUNDING):
        raise SourceError(f"{where}: axes {box.rotation.tolist()} are no rotation")


def check_pose(pose: Array, where: str) -> Array:
    """Return a pose of shape (4, 4) whose rotation is one.

    Raises:
        SourceError: It has another shape, numbers that are not finite, or no rotation.
    """
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise SourceError(f"{where}: pose {pose.tolist()}; 4 x 4 finite numbers are needed")
    rotation = pose[:3, :3]
    fits = np.allclose(rotation.T @ rotation, np.eye(3), atol=_ROUNDING)
    if not fits or np.linalg.det(rotation) < 0:
        raise SourceError(f"{where}: rotation {rotation.tolist()} of the pose is none")
    return pose


def pinhole(matrix: Array, size: tuple[int, int], where: str) -> Intrinsics:
    """Return intrinsics from a camera matrix of shape (3, 3) or (4, 4).

    Args:
        matrix: With fx, fy, cx and cy where they usually are.
        size: Width and height of the picture.
        where: File, for messages.

    Raises:
        SourceError: The shape is another one, a number is not finite, or a focal length is not
            positive.
    """
    if matrix.shape not in ((3, 3), (4, 4)):
        raise SourceError(
            f"{where}: intrinsics have shape {matrix.shape}; (3, 3) or (4, 4) needed"
        )
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    if not np.isfinite([fx, fy, cx, cy]).all() or min(fx, fy) <= 0:
        raise SourceError(f"{where}: fx, fy, cx, cy are {fx}, {fy}, {cx}, {cy}; fx, fy > 0 needed")
    return Intrinsics(*size, float(fx), float(fy), float(cx), float(cy))


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of a picture.

    Raises:
        SourceError: It is missing or no picture.
    """
    try:
        return picture_size(Source.of(path))
    except PictureError as error:
        raise SourceError(str(error)) from error


def color_of(path: Path, size: tuple[int, int]) -> UInt8Array:
    """Return a picture, uint8, shape (height, width, 3), of this width and height.

    Raises:
        SourceError: It is missing, no picture, or of another size.
    """
    try:
        rgb = read_rgb(Source.of(path))
    except PictureError as error:
        raise SourceError(str(error)) from error
    if (rgb.shape[1], rgb.shape[0]) != size:
        raise SourceError(
            f"{path}: picture is {rgb.shape[1]} x {rgb.shape[0]}; {size[0]} x {size[1]} is needed"
        )
    return rgb


def depth_of(path: Path, size: tuple[int, int] | None) -> FloatArray:
    """Return depth of 16 bit millimetres in metres, enlarged to this width and height.

    Enlarging repeats values, so that none lies between foreground and background.

    Raises:
        SourceError: It is missing, no depth, or of other proportions than the picture.
    """
    try:
        depth = read_depth(Source.of(path), _MILLIMETRE)
    except PictureError as error:
        raise SourceError(str(error)) from error
    if size is None or (depth.shape[1], depth.shape[0]) == size:
        return depth
    height, width = depth.shape
    if width * size[1] != height * size[0]:
        raise SourceError(
            f"{path}: depth is {width} x {height}; the proportions of {size[0]} x {size[1]} needed"
        )
    columns = (np.arange(size[0]) + 0.5) * width / size[0]
    rows = (np.arange(size[1]) + 0.5) * height / size[1]
    return np.asarray(depth[np.ix_(rows.astype(int), columns.astype(int))])


@lru_cache(maxsize=16)
def read_json(path: Path) -> Any:
    """Return what a JSON file holds; the last few files are kept, and must not be changed.

    Raises:
        SourceError: It is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise SourceError(f"{path}: no JSON: {error}") from error


def numbers(value: object, shape: Sequence[int], where: str) -> Array:
    """Return a nested list of finite numbers as an array of a shape.

    Raises:
        SourceError: It is something else.
    """
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise SourceError(f"{where}: {str(value)[:80]}; numbers are needed") from None
    if array.shape != tuple(shape) or not np.isfinite(array).all():
        raise SourceError(
            f"{where}: {str(value)[:80]}; finite numbers of shape {tuple(shape)} are needed"
        )
    return array
