# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Words for the shape and pose of a thing, and whether it is hollow, from its visible points."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roborefer_vlm.scenes.graph import Array, OrientedBox, SceneObject
from roborefer_vlm.types import BoolArray, FloatArray

# Thresholds are ratios of lengths of the box unless they carry a unit.
FLAT = 0.35
FLAT_M = 0.012
LONG = 2.2
TALL = 1.35
THIN_M = 0.035
# Share of the rim's opening through which the eye has to see something deeper.
OPEN_SHARE = 0.35
FEWEST_POINTS = 30


def shape_words(points: FloatArray, box: OrientedBox, hollow: bool = False) -> frozenset[str]:
    """Return the words that are true of a thing's shape and pose.

    Args:
        points: Its visible surface in the scene's frame, shape (N, 3).
        box: Its box, down to what it stands on.
        hollow: Whether it is open upwards; then it does not lie.
    """
    length, width, height = (float(x) for x in box.size)
    words = set()
    if height < FLAT_M or height < FLAT * width:
        words.add("flat")
    if max(length, height) > LONG * sorted((length, width, height))[1]:
        words |= {"long", "elongated"}
    if min(length, width, height) < THIN_M:
        words.add("thin")
    words |= {"upright", "open", "hollow"} if hollow else _pose(length, width, height)
    words |= _form(points, box)
    return frozenset(words)


def is_hollow(points: FloatArray, eye: Array) -> bool:
    """Tell whether things could be put into a thing: the eye sees deep through its rim.

    Args:
        points: Its visible surface in the scene's frame, shape (N, 3).
        eye: Where the viewer is, shape (3,).
    """
    crossing = _rim_crossing(points, eye)
    if crossing is None:
        return False
    room, deep = crossing
    inside = room > 0
    return bool(inside.sum() >= FEWEST_POINTS and deep[inside].mean() > OPEN_SHARE)


def through_opening(points: FloatArray, eye: Array) -> tuple[BoolArray, Array]:
    """Return which points of a hollow thing are seen through its rim.

    Args:
        points: Its visible surface in the scene's frame, shape (N, 3).
        eye: Where the viewer is, shape (3,).

    Returns:
        Which points lie inside, shape (N,), and how far within the rim each line of sight
        passes, shape (N,), metres.
    """
    crossing = _rim_crossing(points, eye)
    if crossing is None:
        return np.zeros(len(points), bool), np.zeros(len(points))
    room, deep = crossing
    return (room > 0) & deep, room


def _rim_crossing(points: FloatArray, eye: Array) -> tuple[Array, BoolArray] | None:
    """Return how far within the rim lines of sight pass, and which end well below it.

    The rim is what is highest. Where a line of sight passes the rim's plane inside the rim but
    ends well below it, there is no lid. A dome or a lying bottle has no wide rim: None.
    """
    if len(points) < FEWEST_POINTS:
        return None
    low, top = np.quantile(points[:, 2], [0.02, 0.98])
    height = top - low
    depth = max(0.012, 0.2 * height)
    if height < 1.5 * depth or eye[2] < top + 0.02:
        return None
    rim = points[points[:, 2] > top - max(0.008, 0.15 * height)]
    outline = _hull(rim)
    # A dozen corners describe a rim well enough.
    outline = np.ascontiguousarray(outline[:: max(1, len(outline) // 16)])
    if len(outline) < 3 or cv2.contourArea(outline) < 0.3 * cv2.contourArea(_hull(points)):
        return None
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    around = rim[:, :2] - middle
    sectors = np.bincount(np.int64(np.arctan2(around[:, 1], around[:, 0]) / (np.pi / 3) + 3) % 6)
    if np.count_nonzero(sectors) < 5:
        return None
    # Where each line of sight passes the rim's plane.
    share = (eye[2] - top) / np.maximum(eye[2] - points[:, 2], 1e-6)
    passed = (eye + share[:, None] * (points - eye))[:, :2]
    inset = (outline - middle) * 0.8 + middle
    return _depth_within(passed, inset), np.asarray(points[:, 2] < top - depth)


def size_words(objects: Sequence[SceneObject]) -> list[frozenset[str]]:
    """Return for each thing how it compares with the others of the scene."""
    if len(objects) < 2:
        return [frozenset() for _ in objects]
    volumes = np.array([float(np.prod(o.box.size)) for o in objects])
    heights = np.array([float(o.box.size[2]) for o in objects])
    middle, tall = np.median(volumes), np.median(heights)
    result = []
    for volume, height in zip(volumes, heights, strict=True):
        words = set()
        if volume > 2 * middle:
            words |= {"large", "big"}
        elif volume < 0.5 * middle:
            words |= {"small", "little"}
        if height > 1.4 * tall:
            words.add("high")
        elif height < 0.6 * tall:
            words |= {"low", "short"}
        result.append(frozenset(words))
    return result


def _pose(length: float, width: float, height: float) -> set[str]:
    """Return words for how the longest side of a thing lies."""
    if height > 1.1 * length:
        return {"standing", "upright"} | ({"tall"} if height > TALL * length else set())
    # A can on its side is as high as wide; a tin that is wider than high stands all the same.
    if length > 1.25 * max(height, width) or (length > 1.25 * width and height < 0.6 * width):
        return {"lying"}
    return {"upright"} if height > 0.5 * length else set()


def _form(points: FloatArray, box: OrientedBox) -> set[str]:
    """Return which simple body a thing resembles, by how its sides fit a circle or a box."""
    if len(points) < FEWEST_POINTS or box.size.min() < FLAT_M:
        return set()
    local = (points - box.center) @ box.rotation / (box.size / 2)
    metric = local * (box.size / 2)
    length, width, height = box.size
    # Looked at along each axis in turn; the middle part, as caps and rims differ.
    upright = metric[np.abs(local[:, 2]) < 0.7]
    along = metric[np.abs(local[:, 0]) < 0.7]
    standing, standing_box = _fits(upright[:, [0, 1]], float(length))
    lying, lying_box = _fits(along[:, [1, 2]], float(max(width, height)))
    if max(length, width, height) < 1.4 * min(length, width, height):
        ball = _ball_misfit(metric, float(max(length, width, height)))
        if ball < 0.7 * min(standing, lying, standing_box):
            return {"round", "ball", "spherical"}
    if standing < (0.7 if width > 0.8 * length else 0.5) * standing_box and width > 0.45 * length:
        return {"round", "cylinder", "cylindrical"}
    if length > 1.2 * height and lying < 0.5 * lying_box:
        return {"round", "cylinder", "cylindrical"}
    if standing_box < 0.8 * standing and standing_box < 0.06 * length:
        return {"box", "rectangular", "boxy"}
    return set()


def _fits(outline: Array | FloatArray, size: float) -> tuple[float, float]:
    """Return how far a cross-section, shape (N, 2), is from a circle and from a rectangle.

    Both are median distances in metres; infinite where the circle is no cross-section at all.
    """
    if len(outline) < FEWEST_POINTS:
        return np.inf, np.inf
    low, high = np.quantile(outline, [0.01, 0.99], axis=0)
    rectangle = float(np.median(np.minimum(np.abs(outline - low), np.abs(outline - high)).min(1)))
    center, radius = fit_circle(outline)
    if not 0.3 * size < radius < 0.75 * size:
        return np.inf, rectangle
    distance = np.abs(np.linalg.norm(outline - center, axis=1) - radius)
    return float(np.median(distance)), rectangle


def fit_circle(outline: Array | FloatArray) -> tuple[Array, float]:
    """Return centre and radius of the circle of least algebraic distance (Kasa, 1976)."""
    system = np.column_stack([2 * outline, np.ones(len(outline))]).astype(float)
    solution = np.linalg.lstsq(system, np.square(outline).sum(1), rcond=None)[0]
    squared = float(solution[-1] + np.square(solution[:-1]).sum())
    return solution[:-1], float(np.sqrt(max(squared, 0.0)))


def fit_circle_robustly(outline: Array | FloatArray) -> tuple[Array, float]:
    """Return centre and radius of the circle that most of the points, shape (N, 2), lie on."""
    center, radius = fit_circle(outline)
    for _ in range(3):
        distance = np.abs(np.linalg.norm(outline - center, axis=1) - radius)
        center, radius = fit_circle(outline[distance <= np.quantile(distance, 0.7)])
    return center, radius


def _ball_misfit(points: Array, size: float) -> float:
    """Return the median distance of points to the sphere that fits them, metres."""
    center, radius = fit_circle(points)
    if not 0.35 * size < radius < 0.7 * size:
        return np.inf
    return float(np.median(np.abs(np.linalg.norm(points - center, axis=1) - radius)))


def _hull(points: FloatArray | Array) -> FloatArray:
    """Return the convex outline of points from above, shape (N, 2)."""
    if len(points) < 3:
        return np.zeros((0, 2), np.float32)
    return np.asarray(
        cv2.convexHull(np.ascontiguousarray(points[:, :2], np.float32))[:, 0], np.float32
    )


def _depth_within(places: Array, polygon: FloatArray) -> Array:
    """Return how far places, shape (N, 2), lie within a convex polygon; negative outside."""
    ahead = np.roll(polygon, -1, axis=0) - polygon
    length = np.maximum(np.linalg.norm(ahead, axis=1), 1e-9)
    offset = places[:, None] - polygon
    side = (ahead[:, 0] * offset[..., 1] - ahead[:, 1] * offset[..., 0]) / length
    # Positive on the inner side for one direction of the outline, negative for the other.
    return np.asarray(np.maximum(side.min(axis=1), (-side).min(axis=1)), float)
