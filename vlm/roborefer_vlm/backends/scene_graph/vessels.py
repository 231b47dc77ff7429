# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Joining the walls, the inside and the floor of mugs, bowls, plates and baskets."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.shapes import fit_circle_robustly
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.types import FloatArray

# Round vessels: radius and height, how far a rim may be from a circle (share of its radius), and
# how much of a piece has to lie behind the opening.
SMALLEST_RIM_M = 0.015
LARGEST_RIM_M = 0.2
LOWEST_VESSEL_M = 0.025
ROUNDNESS = 0.15
RIM_TOLERANCE_M = 0.015
INSIDE_SHARE = 0.6
WALL_HEIGHT = 0.6
FEWEST_RIM_PIXELS = 150
# Walls of one vessel: difference in height, gap between them, and contrast (CIELAB).
SAME_HEIGHT_M = 0.01
WALL_GAP_M = 0.015
WALL_CONTRAST = 35.0
# Of eight sectors around its middle, a closed rim is seen in at least so many.
CLOSED_SECTORS = 6
# Share of the opening through which something deeper has to be seen, and how much deeper.
OPEN_SHARE = 0.6
DEEPER = 0.15
DEEPER_M = 0.005


def seen_through_rims(view: View, labels: np.ndarray) -> np.ndarray:
    """Return labels with what is seen through the opening of a round thing counted to it.

    The upper border of a mug, seen from the side, is an arc of a circle; every line of sight that
    passes through the circle ends inside the mug, on a piece of its own. What sticks out of the
    rim stays a thing of its own.
    """
    labels = labels.copy()
    z, valid = view.points[..., 2], view.cloud.valid
    numbers, sizes = np.unique(labels[labels > 0], return_counts=True)
    for number in numbers[np.argsort(-sizes, kind="stable")]:
        mask = (labels == number) & valid
        if np.count_nonzero(mask) < FEWEST_RIM_PIXELS:
            continue
        opening = _opening(view, view.points[mask])
        if opening is None:
            continue
        polygon, center, radius, rim = opening
        inside = np.zeros(labels.shape, np.uint8)
        cv2.fillConvexPoly(inside, polygon, 1)
        around = cv2.dilate((mask | (inside > 0)).astype(np.uint8), np.ones((5, 5), np.uint8))
        for other in np.unique(labels[around > 0]):
            piece = (labels == other) & valid
            if other in (0, number) or np.quantile(z[piece], 0.9) > rim + RIM_TOLERANCE_M:
                continue
            seen = np.count_nonzero(inside[piece]) / np.count_nonzero(piece)
            # The outside of the vessel's wall is not seen through the rim, but reaches up to it.
            aside = np.linalg.norm(view.points[piece][:, :2] - center, axis=1)
            wall = (aside < 1.25 * radius + 0.005).mean() > INSIDE_SHARE
            wall &= np.quantile(z[piece], 0.9) > WALL_HEIGHT * rim
            if seen > INSIDE_SHARE or wall:
                labels[labels == other] = number
    return labels


def _opening(view: View, points: FloatArray) -> tuple[np.ndarray, np.ndarray, float, float] | None:
    """Return a piece's round opening: outline in the picture, centre, radius and height."""
    low, top = np.quantile(points[:, 2], [0.02, 0.98])
    if top - low < LOWEST_VESSEL_M or top > float(view.camera.position[2]) - 0.02:
        return None
    rim = points[points[:, 2] > top - max(0.006, 0.1 * (top - low))][:, :2]
    center, radius = fit_circle_robustly(rim)
    around = rim - center
    widest = float(np.ptp(points[:, :2], axis=0).max())
    if not SMALLEST_RIM_M < radius < min(LARGEST_RIM_M, 0.6 * widest):
        return None
    off = np.abs(np.linalg.norm(around, axis=1) - radius)
    if np.quantile(off, 0.75) > ROUNDNESS * radius:
        return None
    sectors = np.int64(np.arctan2(around[:, 1], around[:, 0]) / (np.pi / 6) + 6) % 12
    if np.count_nonzero(np.bincount(sectors)) < 5:
        return None
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = center + radius * np.column_stack([np.cos(angle), np.sin(angle)])
    polygon = _projected(view, ring, float(top))
    return None if polygon is None else (polygon, center, radius, float(top))


@dataclass(frozen=True, eq=False)
class _Wall:
    """The upper border of a piece.

    Attributes:
        number: Of the piece.
        size: Pixels.
        top: z, metres.
        rise: From its lowest point to its top, metres.
        rim: Where the border is from above, shape (N, 2).
        color: Median in CIELAB, shape (3,).
    """

    number: int
    size: int
    top: float
    rise: float
    rim: FloatArray
    color: Array


def close_rims(view: View, labels: np.ndarray) -> np.ndarray:
    """Return labels with walls of the same height that close a ring, and what is in it, as one.

    Takes in the bare floor of a plate or bowl, which is as low as the table around it. A box with
    a lid closes no ring, as nothing deeper is seen within it; neither do things in a row.
    """
    labels = labels.copy()
    left = _walls(view, labels)
    while left:
        group = [left.pop(0)]
        for wall in group:
            near = [other for other in left if _continues(wall, other)]
            group += near
            left = [other for other in left if other not in near]
        for walls in (group, group[:1]) if len(group) > 1 else (group,):
            if _close(view, labels, walls):
                break
    return labels


def _walls(view: View, labels: np.ndarray) -> list[_Wall]:
    """Return the walls of all pieces, the largest first."""
    picture = view.picture[:: view.step, :: view.step]
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    walls = []
    for number in np.unique(labels[labels > 0]):
        mask = (labels == number) & view.cloud.valid
        size = int(np.count_nonzero(mask))
        if size < FEWEST_RIM_PIXELS:
            continue
        points = view.points[mask]
        low, top = np.quantile(points[:, 2], [0.02, 0.98])
        rim = points[points[:, 2] > top - max(0.006, 0.1 * (top - low))][:, :2]
        rim = rim[:: max(1, len(rim) // 200)]
        color = np.median(lab[mask], axis=0)
        walls.append(_Wall(int(number), size, float(top), float(top - low), rim, color))
    return sorted(walls, key=lambda wall: -wall.size)


def _continues(wall: _Wall, other: _Wall) -> bool:
    """Tell whether two walls may belong to one vessel."""
    if abs(wall.top - other.top) > SAME_HEIGHT_M:
        return False
    if float(np.linalg.norm(wall.color - other.color)) > WALL_CONTRAST:
        return False
    gaps = np.linalg.norm(wall.rim[:, None] - other.rim[None], axis=-1)
    return bool(gaps.min() < WALL_GAP_M)


def _close(view: View, labels: np.ndarray, walls: list[_Wall]) -> bool:
    """Give the walls and what is within them one label, if they close an open ring."""
    rim = np.ascontiguousarray(np.concatenate([wall.rim for wall in walls]), np.float32)
    top = max(wall.top for wall in walls)
    outline = cv2.convexHull(rim)[:, 0].astype(float)
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    around = rim - middle
    sectors = np.int64(np.arctan2(around[:, 1], around[:, 0]) / (np.pi / 4) + 4) % 8
    if np.count_nonzero(np.bincount(sectors)) < CLOSED_SECTORS:
        return False
    polygon = _projected(view, middle + 0.97 * (outline - middle), top)
    if polygon is None or float(np.ptp(outline, axis=0).max()) > 3 * LARGEST_RIM_M:
        return False
    inside = np.zeros(labels.shape, np.uint8)
    cv2.fillConvexPoly(inside, polygon, 1)
    z, valid = view.points[..., 2], view.cloud.valid
    seen = (inside > 0) & valid
    deep = top - max(DEEPER_M, DEEPER * max(wall.rise for wall in walls))
    if not seen.any() or float((z[seen] < deep).mean()) < OPEN_SHARE:
        return False
    number = walls[0].number
    for wall in walls[1:]:
        labels[labels == wall.number] = number
    for other in np.unique(labels[inside > 0]):
        piece = (labels == other) & valid
        if other in (0, number) or np.quantile(z[piece], 0.9) > top + RIM_TOLERANCE_M / 3:
            continue
        if np.count_nonzero(inside[piece]) > INSIDE_SHARE * np.count_nonzero(piece):
            labels[labels == other] = number
    labels[(inside > 0) & (labels == 0)] = number
    return True


def _projected(view: View, outline: Array, height: float) -> np.ndarray | None:
    """Return an outline at a height as pixels of the working resolution; None: not in front."""
    places = np.column_stack([outline, np.full(len(outline), height)])
    pixels, depth = view.camera.project(places)
    if (depth <= 0).any() or height > float(view.camera.position[2]) - 0.02:
        return None
    return np.asarray(np.round(pixels / view.step), np.int32)
