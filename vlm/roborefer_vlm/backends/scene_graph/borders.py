# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Moving the borders of segments from where depth has them to where the picture has them."""

from __future__ import annotations

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.view import View, window
from roborefer_vlm.types import BoolArray, FloatArray, UInt8Array

# How far borders may move to an edge of the picture.
BORDER_PX = 5
# Levels per channel of a colour histogram, and the count that every colour is given.
LEVELS = 12
PRIOR = 2e-4
# How much more a colour has to belong to the surface than to the thing to be taken from it.
SURFACE_RATIO = 4.0
# What is lower than this and has this share of its colours from the surface is a part of it.
LOW_M = 0.03
LIKE_SURFACE = 0.35
# A hole, or an unmeasured spot within a thing's outline, belongs to it up to this share of it.
LARGEST_HOLE = 0.2


def refine_borders(view: View, labels: np.ndarray, bare: BoolArray) -> list[BoolArray]:
    """Return one mask per label at the working resolution.

    Args:
        view: The look at the scene.
        labels: Numbered things, 0 for none, shape (rows, columns).
        bare: Pixels that surely are the surface.
    """
    picture = np.ascontiguousarray(view.picture[:: view.step, :: view.step])
    keys = _color_keys(picture)
    surface = _histogram(keys, bare)
    numbers = [int(n) for n in np.unique(labels) if n]
    cleaned = np.zeros(labels.shape, np.int32)
    for number in numbers:
        mask = labels == number
        part = window(mask)
        cleaned[part][_without_surface(mask[part], keys[part], surface)] = number
    markers, reachable = _markers(cleaned, numbers)
    cv2.watershed(picture, markers)
    hidden = ~view.cloud.valid & (labels == 0)
    z = view.points[..., 2]
    masks = []
    for number in numbers:
        mask = (markers == number + 1) & reachable[number]
        part = window(mask)
        measured = mask[part] & view.cloud.valid[part]
        if not _is_surface(mask[part], keys[part], surface, z[part][measured]):
            mask[part] = _filled(mask[part], hidden[part])
            masks.append(mask)
    return masks


def _is_surface(mask: BoolArray, keys: np.ndarray, surface: FloatArray, z: FloatArray) -> bool:
    """Tell whether something low looks so much like the surface that it is a part of it."""
    if len(z) == 0:
        return True
    own = _histogram(keys, mask)
    alike = float((surface[keys[mask]] > 0.3 * own[keys[mask]]).mean())
    return alike > LIKE_SURFACE and float(np.median(z)) < LOW_M


def _color_keys(picture: UInt8Array) -> np.ndarray:
    """Return the number of the histogram cell of each pixel."""
    lab = cv2.cvtColor(cv2.medianBlur(picture, 3), cv2.COLOR_RGB2LAB).astype(np.int32)
    cells = lab * LEVELS // 256
    # Chroma of real surfaces fills a third of the range; finer steps there.
    chroma = np.clip((lab[..., 1:] - 128) * LEVELS // 96 + LEVELS // 2, 0, LEVELS - 1)
    return np.asarray((cells[..., 0] * LEVELS + chroma[..., 0]) * LEVELS + chroma[..., 1])


def _histogram(keys: np.ndarray, mask: BoolArray) -> FloatArray:
    """Return how probable each colour is in a mask, shape (LEVELS ** 3,)."""
    counts = np.bincount(keys[mask], minlength=LEVELS**3).reshape(LEVELS, LEVELS, LEVELS)
    smooth = cv2.GaussianBlur(counts.reshape(LEVELS, -1).astype(np.float32), (1, 3), 0.6)
    return np.asarray(smooth.reshape(-1) / max(float(counts.sum()), 1) + PRIOR, np.float32)


def _without_surface(mask: BoolArray, keys: np.ndarray, surface: FloatArray) -> BoolArray:
    """Take from a mask the fringe that looks like the surface and not like the thing's middle."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    own = _histogram(keys, depth > 0.4 * float(depth.max()))
    alike = (surface[keys] > SURFACE_RATIO * own[keys]).astype(np.float32)
    kept = mask & (cv2.blur(alike, (5, 5)) < 0.5)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(
        kept.astype(np.uint8), connectivity=4
    )
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    large = np.flatnonzero(areas > 0.2 * areas.max())
    kept = np.isin(pieces, large)
    # A thing that looks like what it stands on keeps its shape.
    return kept if kept.sum() > 0.3 * mask.sum() else mask


def _markers(labels: np.ndarray, numbers: list[int]) -> tuple[np.ndarray, dict[int, BoolArray]]:
    """Return what surely is each thing (number + 1) or none (1), and how far each may reach."""
    markers = np.zeros(labels.shape, np.int32)
    around = np.ones((2 * BORDER_PX + 1, 2 * BORDER_PX + 1), np.uint8)
    reachable = {}
    for number in numbers:
        mask = labels == number
        inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)
        inside = inside[1:-1, 1:-1]
        # A thin thing keeps its middle line.
        markers[inside > min(BORDER_PX, 0.5 * float(inside.max()))] = number + 1
        reachable[number] = cv2.dilate(mask.astype(np.uint8), around) > 0
    markers[cv2.dilate((labels > 0).astype(np.uint8), around) == 0] = 1
    return markers, reachable


def _filled(mask: BoolArray, unmeasured: BoolArray) -> BoolArray:
    """Return a mask without holes, and with small unmeasured spots within its convex outline."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros_like(closed)
    cv2.drawContours(whole, outlines, -1, 1, cv2.FILLED)
    hull = np.zeros_like(closed)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.concatenate(outlines)), 1)
    spots = ((whole > 0) | ((hull > 0) & unmeasured)) & (closed == 0)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(spots.astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < LARGEST_HOLE * closed.sum()
    small[0] = False
    return np.asarray((closed > 0) | small[pieces])
