# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""ScanNet (arXiv 1702.04405) as unpacked by its own tools, with VoteNet's aligned boxes.

    folder/<scene>/color/<n>.jpg                 picture
    folder/<scene>/depth/<n>.png                 16 bit millimetres
    folder/<scene>/pose/<n>.txt                  4 x 4 pose of the camera, camera to world
    folder/<scene>/intrinsic/intrinsic_color.txt, intrinsic_depth.txt   4 x 4
    folder/<scene>/<scene>.txt                   with a line "axisAlignment = 16 numbers"; optional
    folder/<scene>/<scene>_aligned_bbox.npy, or <scene>_bbox.npy        (N, 7) or (N, 8):
        centre, lengths, NYU40 class, and for 8 columns the instance

The boxes are aligned with the axes of the world after axisAlignment, z up. Views are those of
the depth camera: the picture is resampled into it, so that every pixel has its own depth.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
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
    pinhole,
    size_of,
    upright_axes,
)
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.graph import Array, Camera

# Classes of ScanNet by their NYU40 numbers; the generic ones are things without a name.
_CLASSES = (
    "wall floor cabinet bed chair sofa table door window bookshelf picture counter blinds desk"
    " shelves curtain dresser pillow mirror floor_mat clothes ceiling books refrigerator"
    " television paper towel shower_curtain box whiteboard person night_stand toilet sink lamp"
    " bathtub bag object object object"
)
_NYU40 = dict(enumerate(_CLASSES.split(), start=1))


class ScanNetFormat:
    """Reads scenes of ScanNet; see the module for the files."""

    name = "scannet"
    # Small things have no boxes.
    exhaustive = False
    generic_is_a_class = True

    def frames(self, folder: Path) -> list[FrameName]:
        """List the frames of all scenes by number."""
        found = [path for path in folder.glob("*/color/*.jpg") if path.stem.isdigit()]
        if not found:
            raise ConfigurationError(f"{folder}: no <scene>/color/<n>.jpg in it")
        found.sort(key=lambda path: (path.parent.parent.name, int(path.stem)))
        return [FrameName(p.parent.parent.name, p.stem, p.parent.parent) for p in found]

    def layout(self, name: FrameName) -> Layout:
        """Read the pose of a frame's depth camera and the boxes of its scene."""
        pose_file = name.path / "pose" / f"{name.frame}.txt"
        pose = check_pose(_matrix(pose_file), str(pose_file))
        matrix = name.path / "intrinsic" / "intrinsic_depth.txt"
        size = size_of(name.path / "depth" / f"{name.frame}.png")
        k = pinhole(_matrix(matrix), size, str(matrix))
        return Layout(Camera(k, _alignment(name.path) @ pose), _boxes(name.path))

    def pictures(self, name: FrameName, camera: Camera) -> Pictures:
        """Read a frame's depth, and its picture as the depth camera would have taken it."""
        depth = depth_of(name.path / "depth" / f"{name.frame}.png", None)
        file = name.path / "color" / f"{name.frame}.jpg"
        matrix = name.path / "intrinsic" / "intrinsic_color.txt"
        size = size_of(file)
        color, k = pinhole(_matrix(matrix), size, str(matrix)), camera.intrinsics
        # Both sit so close together that ScanNet gives one pose for the two.
        u = (np.arange(k.width) - k.cx) / k.fx * color.fx + color.cx
        v = (np.arange(k.height) - k.cy) / k.fy * color.fy + color.cy
        columns, rows = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
        rgb = cv2.remap(color_of(file, size), columns, rows, cv2.INTER_LINEAR)
        # What the colour camera does not see is no part of the view.
        beside = (columns < 0) | (columns > size[0] - 1) | (rows < 0) | (rows > size[1] - 1)
        return Pictures(np.asarray(rgb, np.uint8), np.where(beside, np.float32(0), depth))


def _matrix(path: Path) -> Array:
    try:
        values = np.array(path.read_text(encoding="utf-8").split(), float)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise SourceError(f"{path}: {error}; 16 numbers are needed") from error
    if values.size != 16:
        raise SourceError(f"{path}: {values.size} numbers; 16 are needed")
    return values.reshape(4, 4)


@lru_cache(maxsize=8)
def _alignment(scene: Path) -> Array:
    path = scene / f"{scene.name}.txt"
    if not path.exists():
        return np.eye(4)
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, values = line.partition("=")
        if name.strip() == "axisAlignment":
            try:
                matrix = np.array(values.split(), float).reshape(4, 4)
            except ValueError:
                raise SourceError(
                    f"{path}: axisAlignment {values.strip()[:80]}; 16 numbers are needed"
                ) from None
            return check_pose(matrix, f"{path}: axisAlignment")
    return np.eye(4)


@lru_cache(maxsize=8)
def _boxes(scene: Path) -> tuple[AnnotatedBox, ...]:
    files = [scene / f"{scene.name}_{kind}.npy" for kind in ("aligned_bbox", "bbox")]
    path = next((file for file in files if file.exists()), files[0])
    try:
        rows = np.load(path, allow_pickle=False)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from error
    if rows.ndim != 2 or rows.shape[1] not in (7, 8):
        raise SourceError(f"{path}: shape {rows.shape}; (N, 7) or (N, 8) is needed")
    boxes = []
    for number, row in enumerate(rows.astype(float)):
        where = f"{path}: row {number}"
        box = upright_axes(row[:3], np.eye(3), row[3:6])
        check_box(box, where)
        label = _NYU40.get(int(row[6]))
        if label is None:
            raise SourceError(f"{where}: class {row[6]:g}; NYU40's are 1 to 40")
        boxes.append(AnnotatedBox(str(number), label, box, np.array([1.0, 0, 0])))
    return tuple(boxes)
