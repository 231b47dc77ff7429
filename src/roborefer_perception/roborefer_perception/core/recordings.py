# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What recorded RGB-D pictures are, whoever wrote them, and what their readers share."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.exceptions import RecordingError, ReferFailure

RgbImage = npt.NDArray[np.uint8]
DepthImage = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RecordedFrame:
    """One look of the camera that was recorded.

    Attributes:
        name: What the recording calls it.
        stamp_ns: When it was taken, since the epoch of the recording.
        rgb: uint8, shape (height, width, 3).
        depth_m: Registered to rgb; along the optical axis, metres, shape (height, width); 0 where
            nothing was measured.
        camera: Intrinsics of both.
        t_world_optical: Pose of the optical frame in the recording's world, shape (4, 4), if it
            was recorded.
        plane: Unit normal n in the optical frame, towards the camera, and distance d of the
            camera, metres: n . p + d = 0 for points p of the scene's main plane, if it is known;
            shape (4,).
    """

    name: str
    stamp_ns: int
    rgb: RgbImage
    depth_m: DepthImage
    camera: Camera
    t_world_optical: Array | None = None
    plane: Array | None = None


class Recording(Protocol):
    """Pictures that can be played again and again.

    Attributes:
        stamps_ns: Of the frames, in the order of `frames`, never falling.
        still: Whether the frames are scenes of their own and not moments of one sequence.
        fixed: Whether the camera has one pose in all frames.
    """

    stamps_ns: Sequence[int]
    still: bool
    fixed: bool

    def frames(self) -> Iterator[RecordedFrame | RecordingError]:
        """Yield the frames from the first to the last, each read when it is its turn.

        A frame that cannot be read is its error, and the ones behind it follow.
        """
        ...


def associate(
    colour_ns: Sequence[int], depth_ns: Sequence[int], budget_ns: int
) -> list[tuple[int, int]]:
    """Pair every colour picture with the depth picture nearest in time, each used once.

    Args:
        colour_ns: Stamps.
        depth_ns: Stamps.
        budget_ns: Most that the two may be apart.

    Returns:
        Indices into both, by rising time; the closest pairs are made first.
    """
    order = sorted(range(len(depth_ns)), key=depth_ns.__getitem__)
    stamps = [depth_ns[i] for i in order]
    near: list[tuple[int, int, int]] = []
    for i, stamp in enumerate(colour_ns):
        low = bisect.bisect_left(stamps, stamp - budget_ns)
        high = bisect.bisect_right(stamps, stamp + budget_ns)
        near += [(abs(stamps[k] - stamp), i, order[k]) for k in range(low, high)]
    left_colour, left_depth = set(range(len(colour_ns))), set(range(len(depth_ns)))
    pairs = []
    for _, i, k in sorted(near):
        if i in left_colour and k in left_depth:
            left_colour.remove(i)
            left_depth.remove(k)
            pairs.append((i, k))
    return sorted(pairs, key=lambda pair: colour_ns[pair[0]])


def plane_pose(plane: Array) -> Array:
    """Return a world in which the plane of a picture is z = 0.

    Args:
        plane: As in RecordedFrame.

    Returns:
        The pose of the optical frame in it, shape (4, 4): the origin is the foot of the camera
        on the plane, x is where the camera looks.
    """
    up = plane[:3]
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    # A camera that looks straight down has its head, not its look, along x.
    if np.linalg.norm(ahead) < 1e-3:
        ahead = np.array([0.0, -1.0, 0.0]) + up[1] * up
    ahead /= np.linalg.norm(ahead)
    pose = np.eye(4)
    pose[:3, :3] = [ahead, np.cross(up, ahead), up]
    pose[2, 3] = plane[3]
    return pose


def read_colour(path: Path) -> RgbImage:
    """Read a colour picture, shape (height, width, 3), red first.

    Raises:
        RecordingError: It is missing or no picture.
    """
    picture = _imread(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def read_depth(path: Path, unit_m: float) -> DepthImage:
    """Read a 16-bit depth picture, shape (height, width), in metres; 0 is nothing measured.

    Raises:
        RecordingError: It is missing, or no picture of 16 bits in one channel.
    """
    picture = _imread(path, cv2.IMREAD_UNCHANGED)
    if picture.dtype != np.uint16 or picture.ndim != 2:
        raise RecordingError(
            f"{path}: depth is {picture.dtype} of shape {picture.shape}; 16 bits in one channel"
            " are needed"
        )
    return (picture * np.float64(unit_m)).astype(np.float32)


def same_size(rgb: RgbImage, depth_m: DepthImage, camera: Camera, name: str) -> None:
    """Check that all three belong together.

    Raises:
        RecordingError: The sizes differ.
    """
    sizes = {
        "colour": (rgb.shape[1], rgb.shape[0]),
        "depth": (depth_m.shape[1], depth_m.shape[0]),
        "the intrinsics": (camera.width, camera.height),
    }
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{what} {width} x {height}" for what, (width, height) in sizes.items())
        raise RecordingError(f"{name}: the sizes differ: {said}; depth must be aligned to colour")


def read_camera(path: Path) -> Camera:
    """Read intrinsics from a file.

    Args:
        path: A camera_info YAML as camera_calibration writes it (image_width, image_height,
            camera_matrix, distortion_model, distortion_coefficients), or YAML or JSON with
            width, height, fx, fy, cx, cy and, if it is distorted, model and d.

    Raises:
        RecordingError: The file is missing or a value is; the message names it.
    """
    return camera_of(read_mapping(path), path)


def camera_of(fields: Mapping[str, Any], path: Path) -> Camera:
    """Take intrinsics from the fields of a file; see `read_camera`."""
    try:
        if "camera_matrix" in fields:
            k = [float(value) for value in fields["camera_matrix"]["data"]]
            fx, fy, cx, cy = k[0], k[4], k[2], k[5]
            size = int(fields["image_width"]), int(fields["image_height"])
            d = tuple(float(c) for c in fields.get("distortion_coefficients", {}).get("data", ()))
            model = str(fields.get("distortion_model", ""))
        else:
            fx, fy, cx, cy = (float(fields[name]) for name in ("fx", "fy", "cx", "cy"))
            size = int(fields["width"]), int(fields["height"])
            d = tuple(float(c) for c in fields.get("d") or ())
            model = str(fields.get("model") or "")
        distorted = any(d)
        return Camera(*size, fx, fy, cx, cy, model if distorted else "", d if distorted else ())
    except KeyError as error:
        raise RecordingError(f"{path}: the intrinsics have no {error.args[0]}") from error
    except (AttributeError, IndexError, TypeError, ValueError, ReferFailure) as error:
        raise RecordingError(f"{path}: the intrinsics cannot be used: {error}") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file that holds one mapping.

    Raises:
        RecordingError: It is missing, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # JSON goes its own way: YAML 1.1 reads some of its numbers as words.
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RecordingError(f"{path}: holds {type(found).__name__}, a mapping is needed")
    return found


def pose_of(value: Any, name: str) -> Array:
    """Check a pose, shape (4, 4).

    Raises:
        RecordingError: It is no rotation and translation.
    """
    try:
        pose = np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{name}: the pose is {value}: {error}") from error
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise RecordingError(
            f"{name}: the pose is {pose.tolist()}; 4 x 4 finite numbers are needed"
        )
    turn = pose[:3, :3]
    # Poses are written with few digits; a millimetre at one metre is what is asked of them.
    is_rotation = np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0
    if not is_rotation or not np.allclose(pose[3], [0, 0, 0, 1]):
        raise RecordingError(f"{name}: the pose {pose.tolist()} is no rotation and translation")
    return pose


def _imread(path: Path, how: int) -> npt.NDArray[Any]:
    if not path.is_file():
        raise RecordingError(f"{path}: there is no such file")
    picture = cv2.imread(str(path), how)
    if picture is None:
        raise RecordingError(f"{path}: is no picture that can be read, or is cut off")
    return np.asarray(picture)
