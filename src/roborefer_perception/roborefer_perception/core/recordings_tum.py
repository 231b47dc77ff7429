# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads sequences in the format of the TUM RGB-D benchmark."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.core.recordings import (
    RecordedFrame,
    associate,
    read_camera,
    read_colour,
    read_depth,
    same_size,
)
from roborefer_perception.exceptions import RecordingError

# One step of its depth pictures.
UNIT_M = 1 / 5000
# Colour cameras, as the benchmark publishes them; what stands for them in the name of a sequence.
CAMERAS = {
    "1": Camera(
        640, 480, 517.3, 516.5, 318.6, 255.3,
        "plumb_bob", (0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    ),
    "2": Camera(
        640, 480, 520.9, 521.0, 325.1, 249.7,
        "plumb_bob", (0.2312, -0.7849, -0.0033, -0.0001, 0.9172),
    ),
    "3": Camera(640, 480, 535.4, 539.2, 320.1, 247.6),
}  # fmt: skip
_CAMERA_NAME = re.compile(r"(?:freiburg|fr)([123])(?![0-9])")


@dataclass(frozen=True)
class Listed:
    """One line of rgb.txt or depth.txt.

    Attributes:
        stamp_ns: Since the epoch.
        path: Of the picture.
    """

    stamp_ns: int
    path: Path


class TumSequence:
    """A folder with rgb.txt, depth.txt and maybe groundtruth.txt; implements `Recording`."""

    def __init__(
        self, path: Path, camera_file: Path | None = None, budget_s: float = 0.02
    ) -> None:
        """Read the lists and pair them; pictures are read when they are played.

        Args:
            path: The folder.
            camera_file: Intrinsics, see `read_camera`; without it those that the benchmark
                publishes for fr1, fr2 or fr3, whichever is in the folder's name.
            budget_s: Most that depth, and poses, may be apart from colour.

        Raises:
            RecordingError: A list is missing or cannot be read, nothing pairs, or the camera is
                not known.
        """
        self.camera = read_camera(camera_file) if camera_file else _camera_by_name(path)
        budget_ns = round(budget_s * 1e9)
        colour, depth = read_list(path / "rgb.txt"), read_list(path / "depth.txt")
        pairs = associate(
            [line.stamp_ns for line in colour], [line.stamp_ns for line in depth], budget_ns
        )
        if not pairs:
            raise RecordingError(
                f"{path}: none of {len(colour)} colour pictures has one of {len(depth)} depth"
                f" pictures within {budget_s} s"
            )
        self.unpaired = len(colour) - len(pairs)
        self._pairs = [(colour[i], depth[k]) for i, k in pairs]
        self.stamps_ns: Sequence[int] = [line.stamp_ns for line, _ in self._pairs]
        truth = path / "groundtruth.txt"
        self._track = Track(truth, budget_ns) if truth.is_file() else None
        self.still, self.fixed = False, self._track is None

    def frames(self) -> Iterator[RecordedFrame | RecordingError]:
        """Yield the pairs with the poses at the stamps of colour."""
        for colour, depth in self._pairs:
            try:
                rgb, depth_m = read_colour(colour.path), read_depth(depth.path, UNIT_M)
                same_size(rgb, depth_m, self.camera, str(colour.path))
            except RecordingError as error:
                yield error
                continue
            pose = self._track.at(colour.stamp_ns) if self._track else None
            yield RecordedFrame(colour.path.stem, colour.stamp_ns, rgb, depth_m, self.camera, pose)


class Track:
    """The recorded poses of the optical frame."""

    def __init__(self, path: Path, budget_ns: int) -> None:
        """Read a file of lines `stamp tx ty tz qx qy qz qw`.

        Raises:
            RecordingError: A line cannot be used.
        """
        rows: dict[int, list[float]] = {}
        for number, fields in _lines(path):
            stamp_ns = _stamp(path, number, fields[0])
            try:
                values = [float(field) for field in fields[1:]]
            except ValueError as error:
                raise RecordingError(f"{path}, line {number}: {error}") from error
            if len(values) != 7 or not all(map(math.isfinite, values)):
                raise RecordingError(
                    f"{path}, line {number}: {fields}; a stamp, three coordinates and a"
                    " quaternion are needed"
                )
            if abs(math.hypot(*values[3:]) - 1) > 0.01:
                raise RecordingError(
                    f"{path}, line {number}: the quaternion {values[3:]} is not of unit length"
                )
            rows[stamp_ns] = values
        self._stamps = sorted(rows)
        self._rows = [rows[stamp] for stamp in self._stamps]
        self._budget_ns = budget_ns

    def at(self, stamp_ns: int) -> Array | None:
        """Return the pose at a time, shape (4, 4), or None where poses near it are missing.

        Between two poses it is interpolated if both are within the budget; else the nearest one
        is taken if it is.
        """
        after = bisect.bisect_left(self._stamps, stamp_ns)
        near = [
            i
            for i in (after - 1, after)
            if 0 <= i < len(self._stamps) and abs(self._stamps[i] - stamp_ns) <= self._budget_ns
        ]
        if not near:
            return None
        times = [(self._stamps[i] - stamp_ns) * 1e-9 for i in near]
        rows = np.array([self._rows[i] for i in near])
        pose = np.eye(4)
        if len(near) == 1:
            turn, pose[:3, 3] = Rotation.from_quat(rows[0, 3:]), rows[0, :3]
        else:
            turn = Slerp(times, Rotation.from_quat(rows[:, 3:]))([0.0])[0]
            share = -times[0] / (times[1] - times[0])
            pose[:3, 3] = rows[0, :3] + share * (rows[1, :3] - rows[0, :3])
        pose[:3, :3] = turn.as_matrix()
        return pose


def read_list(path: Path) -> list[Listed]:
    """Read a file of lines `stamp picture`.

    Raises:
        RecordingError: It is missing or empty, or a line cannot be used.
    """
    found = []
    for number, fields in _lines(path):
        if len(fields) != 2:
            raise RecordingError(
                f"{path}, line {number}: {fields}; a stamp and the name of a picture are needed"
            )
        picture = (path.parent / fields[1]).resolve()
        if not picture.is_relative_to(path.parent.resolve()):
            raise RecordingError(f"{path}, line {number}: {fields[1]} lies outside the recording")
        found.append(Listed(_stamp(path, number, fields[0]), picture))
    if not found:
        raise RecordingError(f"{path}: lists no pictures")
    return found


def _lines(path: Path) -> Iterator[tuple[int, Sequence[str]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("#", 1)[0].replace(",", " ").split()
        if fields:
            yield number, fields


def _stamp(path: Path, number: int, text: str) -> int:
    # Not as float: seconds since 1970 with microseconds do not fit into one.
    try:
        stamp_ns = int(Decimal(text) * 1_000_000_000)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise RecordingError(f"{path}, line {number}: '{text}' is no stamp") from error
    if not 0 <= stamp_ns < 2**63:
        raise RecordingError(f"{path}, line {number}: the stamp {text} is out of range")
    return stamp_ns


def _camera_by_name(path: Path) -> Camera:
    found = _CAMERA_NAME.search(path.resolve().name)
    if not found:
        raise RecordingError(
            f"{path}: the name tells neither freiburg1, 2 nor 3 (fr1, fr2, fr3), so its camera is"
            " not known; give a camera file"
        )
    return CAMERAS[found[1]]
