# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixels to point at: well inside what is seen of a thing, a part of it, or a free region."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.scenes.graph import Array, Scene, SceneObject
from roborefer_vlm.scenes.part_places import part_direction
from roborefer_vlm.scenes.places import Anchor as Place
from roborefer_vlm.scenes.program import Part, PartName, Side
from roborefer_vlm.types import BoolArray, Pixel

# How much the nearness to the centroid counts against the distance from the border.
_CENTRAL = 0.5
# Share of a thing, from its outermost point on, that counts as its side or end.
_END = 0.18
# Share of the best score from which a free place counts as part of the region meant.
_REGION = 0.6
# Distance from the border of a region that is enough, as a share of the root of its area.
_DEEP = 0.2


def pixels_of(mask: BoolArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of a mask as np.nonzero does, fast for a small part of a picture."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return rows, rows
    band = mask[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(band.any(axis=0))
    v, u = np.nonzero(band[:, columns[0] : columns[-1] + 1])
    return v + rows[0], u + columns[0]


def inner_pixel(mask: BoolArray) -> Pixel:
    """Return a pixel of a mask far from its border, and near the centroid if there is a choice.

    Args:
        mask: Shape (height, width), with at least one pixel.
    """
    v, u = pixels_of(mask)
    top, left = int(v.min()), int(u.min())
    crop = np.pad(mask[top : v.max() + 1, left : u.max() + 1], 1).astype(np.uint8)
    depth = cv2.distanceTransform(crop, cv2.DIST_L2, 5)
    rows, columns = np.mgrid[: crop.shape[0], : crop.shape[1]]
    away = np.hypot(rows - (v.mean() - top + 1), columns - (u.mean() - left + 1))
    size = float(np.hypot(*crop.shape)) / 2
    score = depth / depth.max() - _CENTRAL * away / size
    best = int(np.argmax(np.where(crop > 0, score, -np.inf)))
    row, column = divmod(best, crop.shape[1])
    return Pixel(float(column - 1 + left), float(row - 1 + top))


def thing_pixel(scene: Scene, thing: SceneObject) -> Pixel | None:
    """Return where to point at a thing; None: nothing of it is in the image."""
    if thing.mask is not None and thing.mask.any():
        return inner_pixel(thing.mask)
    pixels, _ = scene.camera.project(thing.box.center[None])
    k = scene.camera.intrinsics
    pixel = Pixel(float(pixels[0, 0]), float(pixels[0, 1]))
    return pixel if np.isfinite(pixels).all() and pixel.inside(k.width, k.height) else None


def place_pixel(scene: Scene, place: Place) -> Pixel | None:
    """Return where a thing or surface is in the image; None: nowhere."""
    if isinstance(place, SceneObject):
        return thing_pixel(scene, place)
    return inner_pixel(place.mask) if place.mask is not None and place.mask.any() else None


def part_pixel(scene: Scene, thing: SceneObject, part: Part) -> Pixel | None:
    """Return where to point at a part of a thing, by its shape; None: nothing is in the image."""
    seen = _measured(scene, thing)
    if seen is None:
        return thing_pixel(scene, thing)
    pixels, points = seen
    chosen = _part_rows(scene, thing, part, pixels, points)
    mask = np.zeros((scene.camera.intrinsics.height, scene.camera.intrinsics.width), bool)
    mask[pixels[chosen, 1], pixels[chosen, 0]] = True
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    assert thing.mask is not None
    region = (closed > 0) & thing.mask
    _, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return inner_pixel(labels == largest)


def _measured(scene: Scene, thing: SceneObject) -> tuple[np.ndarray, Array] | None:
    """Return pixels (u, v) and points of the scene of a thing's measured surface."""
    if thing.mask is None or scene.depth_m is None:
        return None
    v, u = np.nonzero(thing.mask & (scene.depth_m > 0))
    if len(v) < 20:
        return None
    k, z = scene.camera.intrinsics, scene.depth_m[v, u].astype(float)
    optical = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z], axis=1)
    points = scene.camera.to_scene(optical)
    # Pixels at the border see what is behind.
    box = thing.box
    local = np.abs((points - box.center) @ box.rotation)
    near = (local <= box.size / 2 + 0.03).all(axis=1)
    if near.sum() < 20:
        return None
    return np.stack([u, v], axis=1)[near], points[near]


def _part_rows(
    scene: Scene, thing: SceneObject, part: Part, pixels: np.ndarray, points: Array
) -> BoolArray:
    """Tell which measured pixels of a thing belong to a part of it, shape (N,)."""
    if part.name is PartName.HANDLE and not part.sides:
        return _protruding(thing, pixels)
    if part.name is PartName.INSIDE:
        low, high = np.quantile(points[:, 2], [0.05, 0.97])
        deep = points[:, 2] < high - 0.3 * (high - low)
        return deep if thing.hollow and deep.any() else np.ones(len(points), bool)
    if part.name is PartName.CENTER:
        away = np.linalg.norm(pixels - pixels.mean(axis=0), axis=1)
        return np.asarray(away <= np.quantile(away, 0.2))
    chosen = np.ones(len(points), bool)
    across = {Side.LEFT: -pixels[:, 0], Side.RIGHT: pixels[:, 0]}
    for side in part.sides:
        values = across.get(side)
        if values is None:
            values = points @ part_direction(scene, Part(PartName.SIDE, part.of, (side,)))
        chosen &= _outer(values, 2 * _END if len(part.sides) > 1 else _END)
    whole = part_direction(scene, Part(part.name, part.of))
    if np.linalg.norm(whole) > 0:
        chosen &= _outer(points @ whole, 2 * _END if part.sides else _END)
    elif part.name in (PartName.EDGE, PartName.CORNER, PartName.TIP) and not part.sides:
        away = np.linalg.norm(pixels - pixels.mean(axis=0), axis=1)
        chosen &= away >= np.quantile(away, 1 - _END)
    return chosen if chosen.any() else np.ones(len(points), bool)


def _outer(values: Array, share: float) -> BoolArray:
    """Tell which values lie in the outer share of their range."""
    low, high = np.quantile(values, [0.01, 0.99])
    return np.asarray(values >= high - share * (high - low))


def _protruding(thing: SceneObject, pixels: np.ndarray) -> BoolArray:
    """Tell which pixels stick out of a thing's body: what a wide opening takes away."""
    assert thing.mask is not None
    size = max(3, int(0.35 * np.sqrt(thing.mask.sum())) | 1)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    body = cv2.morphologyEx(thing.mask.astype(np.uint8), cv2.MORPH_OPEN, brush) > 0
    outside = ~body[pixels[:, 1], pixels[:, 0]]
    if outside.sum() >= 0.02 * len(pixels):
        return np.asarray(outside)
    away = np.abs(pixels[:, 0] - pixels[:, 0].mean())
    return np.asarray(away >= np.quantile(away, 1 - _END))


def region_pixel(pixels: Array, scores: Array, width: int, height: int) -> tuple[Pixel, int]:
    """Return the place of a scattered region that is good and far from where it is not.

    Args:
        pixels: (u, v) of the candidates, shape (N, 2), N at least 1.
        scores: How good each one is, shape (N,), with at least one above 0.
        width: Of the image.
        height: Of the image.

    Returns:
        The pixel, and the index of the candidate there.
    """
    chosen = scores >= _REGION * scores.max()
    grid = np.round(pixels).astype(int)
    spacing = _spacing(grid)
    mask = np.zeros((height + 2, width + 2), np.uint8)
    mask[grid[chosen, 1] + 1, grid[chosen, 0] + 1] = 1
    brush = np.ones((2 * spacing + 1, 2 * spacing + 1), np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, brush), np.uint8)
    # What lies outside the image, and candidates that do not fit, are no part of it.
    mask[0, :] = mask[-1, :] = 0
    mask[:, 0] = mask[:, -1] = 0
    mask[grid[~chosen, 1] + 1, grid[~chosen, 0] + 1] = 0
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)[grid[:, 1] + 1, grid[:, 0] + 1]
    # Deep enough inside is enough: a wide region far off shall not win over a good narrow one.
    enough = _DEEP * np.sqrt(mask.sum())
    inside = np.sqrt(np.clip(depth / enough, 1e-3, 1))
    best = int(np.argmax(np.where(chosen, scores * inside, -1.0)))
    return Pixel(float(pixels[best, 0]), float(pixels[best, 1])), best


def _spacing(grid: np.ndarray) -> int:
    """Return about how far neighbouring candidates are apart, pixels."""
    low, high = grid.min(axis=0), grid.max(axis=0)
    area = float(np.prod(high - low + 1))
    return int(np.clip(np.ceil(np.sqrt(area / len(grid))), 1, 8))
