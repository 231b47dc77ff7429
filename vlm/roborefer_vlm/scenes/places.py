# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Places: what a relation is asked about, things with an extent or bare points, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.graph import Array, OrientedBox, SceneObject, Surface
from roborefer_vlm.scenes.polygons import convex_hull, smallest_rectangle

Anchor = SceneObject | Surface


@dataclass(frozen=True, eq=False)
class Places:
    """N located candidates: all of them things, or all of them points without extent.

    Attributes:
        centers: Shape (N, 3), the scene's frame, metres.
        half_sizes: Shape (N, 3), half lengths along the axes of each box; zero for points.
        rotations: Shape (N, 3, 3), columns are the axes of each box.
        things: The N things or surfaces; empty for points.
    """

    centers: Array
    half_sizes: Array
    rotations: Array
    things: tuple[Anchor, ...] = ()

    @classmethod
    def of_objects(cls, objects: Sequence[Anchor]) -> Places:
        """Take things, or surfaces as flat boxes.

        Raises:
            QueryError: A box has a value that is not finite, or a negative length.
        """
        boxes = [box_of(thing) for thing in objects]
        centers = np.array([b.center for b in boxes], float).reshape(-1, 3)
        sizes = np.array([b.size for b in boxes], float).reshape(-1, 3)
        rotations = np.array([b.rotation for b in boxes], float).reshape(-1, 3, 3)
        if not (
            np.isfinite(centers).all() and np.isfinite(rotations).all() and _are_lengths(sizes)
        ):
            for thing, box in zip(objects, boxes, strict=True):
                _check_box(thing, box)
        return cls(centers, sizes / 2, rotations, tuple(objects))

    @classmethod
    def of_points(cls, points: npt.ArrayLike) -> Places:
        """Take bare points, shape (N, 3), metres in the scene's frame.

        Raises:
            QueryError: The shape is another one, or a coordinate is not finite.
        """
        centers = np.asarray(points, float)
        if centers.ndim != 2 or centers.shape[1] != 3:
            raise QueryError(f"points have shape {centers.shape}; (N, 3) is needed")
        bad = np.flatnonzero(~np.isfinite(centers).all(axis=1))
        if bad.size:
            raise QueryError(f"point {bad[0]} is {centers[bad[0]]}; finite metres are needed")
        zero = np.broadcast_to(np.zeros(3), centers.shape)
        return cls(centers, zero, np.broadcast_to(np.eye(3), (len(centers), 3, 3)))

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def are_points(self) -> bool:
        """Whether these are points without extent."""
        return not self.things

    def half_extents(self, direction: Array) -> Array:
        """Return half the length of each box's shadow on a direction, shape (N,).

        Args:
            direction: Unit vector, shape (3,), or one per box, shape (N, 3).
        """
        if self.are_points:
            return np.zeros(len(self))
        directions = np.broadcast_to(direction, (len(self), 3))
        shares = np.abs(np.einsum("nij,ni->nj", self.rotations, directions))
        return np.asarray((shares * self.half_sizes).sum(axis=1))

    def spans(self, direction: Array) -> tuple[Array, Array]:
        """Return where each box begins and ends along a direction, two of shape (N,)."""
        middle, half = self.centers @ direction, self.half_extents(direction)
        return middle - half, middle + half

    @cached_property
    def bottoms(self) -> Array:
        """Lowest z of each, shape (N,), metres."""
        return self.spans(UP)[0]

    @cached_property
    def tops(self) -> Array:
        """Highest z of each, shape (N,), metres."""
        return self.spans(UP)[1]

    @cached_property
    def heights(self) -> Array:
        """Vertical extent of each, shape (N,), metres."""
        return 2 * self.half_extents(UP)

    @cached_property
    def diagonals(self) -> Array:
        """Length of each box's diagonal, shape (N,), metres."""
        return np.asarray(2 * np.linalg.norm(self.half_sizes, axis=1))

    def visible_centers(self) -> Array:
        """The mean of each visible surface, or else the centre of the box, shape (N, 3)."""
        centers = np.array(self.centers)
        for i, thing in enumerate(self.things):
            if isinstance(thing, SceneObject) and thing.points is not None and len(thing.points):
                centers[i] = np.mean(thing.points, axis=0, dtype=float)
        return centers

    def corners(self) -> Array:
        """The corners of each, shape (N, 8, 3); for points shape (N, 1, 3)."""
        if self.are_points:
            return self.centers[:, None, :]
        offsets = _SIGNS[None] * self.half_sizes[:, None, :]
        return np.asarray(self.centers[:, None] + offsets @ self.rotations.transpose(0, 2, 1))

    def among(self, anchors: Sequence[Anchor]) -> npt.NDArray[np.bool_]:
        """Tell which of the places are one of these anchors themselves, shape (N,)."""
        ids = {anchor.id for anchor in anchors}
        if self.are_points:
            return np.zeros(len(self), bool)
        return np.array([thing.id in ids for thing in self.things], bool)


UP = np.array([0.0, 0.0, 1.0])
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


def footprint(thing: Anchor) -> Array:
    """Return the convex outline of a thing or surface from above, (M, 2), counter-clockwise."""
    return box_footprint(thing.box) if isinstance(thing, SceneObject) else _outline(thing)


# The same few things are asked for again and again, by every relation and every free place.
@lru_cache(maxsize=256)
def box_footprint(box: OrientedBox) -> Array:
    """Return the convex outline of a box from above, shape (M, 2), counter-clockwise."""
    if abs(box.rotation[2, 2]) > 1 - 1e-12 and (box.size[:2] > 0).all():
        # Most boxes are upright, and many are asked for.
        turn = np.sign(box.rotation[2, 2])
        ring = np.array([[-1, -turn], [1, -turn], [1, turn], [-1, turn]])
        corners = box.center[:2] + (ring * box.size[:2] / 2) @ box.rotation[:2, :2].T
    else:
        corners = convex_hull(box.corners[:, :2])
    return _shared(corners)


@lru_cache(maxsize=16)
def _outline(surface: Surface) -> Array:
    return _shared(convex_hull(surface.outline))


def _shared(corners: Array) -> Array:
    """Return corners that nobody can change for the others."""
    result = np.array(corners, float)
    result.setflags(write=False)
    return result


def box_of(thing: Anchor) -> OrientedBox:
    """Return the box of a thing, or of a surface the flat box around its outline."""
    if isinstance(thing, SceneObject):
        return thing.box
    center, axes, size = smallest_rectangle(thing.outline)
    rotation = np.eye(3)
    rotation[:2, :2] = axes
    return OrientedBox(np.append(center, thing.height), rotation, np.append(size, 0.0))


def _are_lengths(sizes: Array) -> bool:
    """Tell whether all sizes are finite and not negative."""
    return bool((np.isfinite(sizes) & (sizes >= 0)).all())


def _check_box(thing: Anchor, box: OrientedBox) -> None:
    values = np.concatenate([box.center, box.rotation.ravel(), box.size])
    if not np.isfinite(values).all():
        raise QueryError(
            f"box of {describe(thing)} has a value that is not finite: center {box.center},"
            f" size {box.size}; finite metres are needed"
        )
    if (box.size < 0).any():
        raise QueryError(f"box of {describe(thing)} has size {box.size}; none may be negative")


def describe(thing: Anchor) -> str:
    """Name a thing in an error message."""
    return f"'{thing.name}' (id {thing.id})"
