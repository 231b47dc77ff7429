# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's spatial configuration: yes or no for ordered pairs of things.

These are the benchmark's own definitions (RoboSpatial, arXiv 2411.16537), from projected boxes and
corner depths, beside the graded relations of this package that answer sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.boxes import boxes_overlap
from roborefer_vlm.scenes.frames import Frame, front_of
from roborefer_vlm.scenes.graph import Array, Camera, OrientedBox, Scene, SceneObject
from roborefer_vlm.scenes.places import UP, Places, describe
from roborefer_vlm.scenes.polygons import area, convex_hull, intersection

_FACES = [[i for i in range(8) if i >> axis & 1 == side] for axis in range(3) for side in (0, 1)]


class Definition(StrEnum):
    """How separate two things have to be."""

    # The extents do not overlap.
    STRICT = "strict"
    # The middles decide, unless one's middle lies within the other.
    LENIENT = "lenient"


@dataclass(frozen=True)
class Configuration:
    """What the first thing is to the second one; opposites exclude each other."""

    left: bool = False
    right: bool = False
    front: bool = False
    behind: bool = False
    above: bool = False
    below: bool = False

    @property
    def overlapping(self) -> bool:
        """Whether no direction separates the two."""
        return not any((self.left, self.right, self.front, self.behind, self.above, self.below))


@dataclass(frozen=True, eq=False)
class Silhouette:
    """A box as the camera sees it.

    Attributes:
        low: Least u and v within the image, shape (2,).
        high: Largest u and v within the image, shape (2,).
        centroid: Middle of its area within the image, shape (2,).
    """

    low: Array
    high: Array
    centroid: Array

    def covers(self, pixel: Array) -> bool:
        """Tell whether a pixel lies within the frame around the silhouette."""
        return bool(((self.low <= pixel) & (pixel <= self.high)).all())


def configuration_of(
    scene: Scene,
    first: SceneObject,
    second: SceneObject,
    frame: Frame = Frame.VIEWER,
    definition: Definition = Definition.LENIENT,
) -> Configuration:
    """Tell what the first thing is to the second one.

    - VIEWER and WORLD (the same in RoboSpatial). Strict: left if its silhouette ends before the
      other's begins, in front if its deepest corner is nearer than the other's nearest. Lenient:
      left if its centroid is further left and the other's centroid lies outside the frame around
      its silhouette; in front if its corners are nearer on average, and on a tie as for strict.
    - OBJECT: in front, behind, left and right only if the boxes are disjoint, by the sign of the
      displacement of the centres along the second one's axes.
    - Vertical, in every frame, by z clamped to the floor at 0. Strict: the extents are apart.
      Lenient: also above if its mean is higher than the other's top, and the mirror image.

    Raises:
        QueryError: The frame is OBJECT and the second thing has no front that looks sideways, or
            the frame is IMAGE, or one of them is not in front of the camera and in the image.
    """
    if frame is Frame.OBJECT:
        left, front = _by_axes(first, second)
    elif frame is Frame.IMAGE:
        raise QueryError("frame 'image' is not one of RoboSpatial's: viewer, world, object")
    else:
        left, front = _by_view(scene, first, second, definition)
    above = _by_height(first, second, definition)
    return Configuration(left > 0, left < 0, front > 0, front < 0, above > 0, above < 0)


def silhouette(scene: Scene, thing: SceneObject) -> Silhouette:
    """Project a box into the image: the hull of its faces that are wholly before the camera.

    Raises:
        QueryError: Nothing of it is in the image.
    """
    found = _silhouette(scene.camera, thing.box)
    if found is None:
        raise QueryError(f"{describe(thing)} is not in the image")
    return found


# Every question about two things asks for theirs several times.
@lru_cache(maxsize=128)
def _silhouette(camera: Camera, box: OrientedBox) -> Silhouette | None:
    pixels, _ = camera.project(box.corners)
    seen = [i for face in _FACES if np.isfinite(pixels[face]).all() for i in face]
    k = camera.intrinsics
    right, bottom = k.width - 0.5, k.height - 0.5
    image = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    outline = intersection(convex_hull(pixels[sorted(set(seen))]), image) if seen else image[:0]
    if not len(outline):
        return None
    return Silhouette(outline.min(axis=0), outline.max(axis=0), _centroid(outline))


def corner_depths(scene: Scene, thing: SceneObject) -> Array:
    """Return the depth of the eight corners along the optical axis, shape (8,), metres."""
    return np.asarray(scene.camera.to_optical(thing.box.corners)[:, 2])


def _by_view(
    scene: Scene, first: SceneObject, second: SceneObject, definition: Definition
) -> tuple[int, int]:
    mine, theirs = silhouette(scene, first), silhouette(scene, second)
    depths, others = corner_depths(scene, first), corner_depths(scene, second)
    strict_front = int(depths.max() < others.min()) - int(others.max() < depths.min())
    if definition is Definition.STRICT:
        left = int(mine.high[0] < theirs.low[0]) - int(theirs.high[0] < mine.low[0])
        return left, strict_front
    step = float(theirs.centroid[0] - mine.centroid[0])
    left = 0 if mine.covers(theirs.centroid) else int(np.sign(step))
    nearer = float(others.mean() - depths.mean())
    return left, int(np.sign(nearer)) if abs(nearer) > 1e-9 else strict_front


def _by_axes(first: SceneObject, second: SceneObject) -> tuple[int, int]:
    front = front_of(second)
    if front is None or np.hypot(front[0], front[1]) < 1e-3:
        raise QueryError(
            f"{describe(second)} has no front that looks sideways; use frame viewer or world"
        )
    if boxes_overlap(Places.of_objects([first]), Places.of_objects([second]))[0]:
        return 0, 0
    step = first.box.center - second.box.center
    return int(np.sign(step @ np.cross(UP, front))), int(np.sign(step @ front))


def _by_height(first: SceneObject, second: SceneObject, definition: Definition) -> int:
    mine, theirs = (np.maximum(t.box.corners[:, 2], 0) for t in (first, second))
    strict = int(mine.min() > theirs.max()) - int(mine.max() < theirs.min())
    if strict or definition is Definition.STRICT:
        return strict
    return int(mine.mean() > theirs.max()) - int(theirs.mean() > mine.max())


def _centroid(outline: Array) -> Array:
    size = area(outline)
    if size < 1e-9:
        return np.asarray(outline.mean(axis=0))
    following = np.roll(outline, -1, axis=0)
    cross = outline[:, 0] * following[:, 1] - outline[:, 1] * following[:, 0]
    return np.asarray(((outline + following) * cross[:, None]).sum(axis=0) / (6 * size))
