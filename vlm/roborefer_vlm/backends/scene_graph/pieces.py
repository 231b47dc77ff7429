# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Joining pieces of a segmentation into things."""

from __future__ import annotations

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.shapes import fit_circle_robustly
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.types import BoolArray, FloatArray

# Share of a border that has to be without a jump and without a crease: between sides of the same
# colour, and what each unit of contrast (CIELAB) adds.
LEAST_SMOOTH = 0.36
SMOOTH_PER_CONTRAST = 0.01
# Shortest border, as a share of the square root of the smaller piece's area.
LEAST_CONTACT = 0.35
# Normals that turn towards each other faster than this are a crease.
CREASE = -0.25
# A piece that is this much smaller than its neighbour, and has this much of its border there.
SLIVER = 0.03
SLIVER_CONTACT = 1.4
# Vessels: radius and height, how far a rim may be from a circle (share of its radius), and how
# much of a piece has to lie behind the opening.
SMALLEST_RIM_M = 0.015
LARGEST_RIM_M = 0.2
LOWEST_VESSEL_M = 0.025
ROUNDNESS = 0.15
RIM_TOLERANCE_M = 0.015
INSIDE_SHARE = 0.6
WALL_HEIGHT = 0.6
# Share of the circle that the outline of a rim has to fill to be known all around.
WHOLE_RIM = 0.6
FEWEST_RIM_PIXELS = 150


def join_pieces(view: View, labels: np.ndarray, jumps: BoolArray) -> np.ndarray:
    """Return the labels with pieces of one thing under one number.

    Args:
        view: The look at the scene.
        labels: Numbered pieces, 0 for none, shape (rows, columns).
        jumps: Where depth is not continuous.
    """
    count = int(labels.max()) + 1
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for a, b in smooth_borders(view, labels, jumps):
        parent[root(a)] = root(b)
    joined = np.array([root(i) for i in range(count)])
    return seen_through_rims(view, joined[labels])


def smooth_borders(view: View, labels: np.ndarray, jumps: BoolArray) -> list[tuple[int, int]]:
    """Return pairs of pieces that continue each other."""
    count = int(labels.max()) + 1
    points, normals = view.cloud.points, view.cloud.normals
    across = 2 * view.cloud.normal_radius
    picture = view.picture[:: view.step, :: view.step]
    lab = cv2.cvtColor(cv2.blur(picture, (5, 5)), cv2.COLOR_RGB2LAB).astype(np.float32)
    keys, smooth, contrast, open_border = [], [], [], []
    for axis in (0, 1):
        a = [slice(None), slice(None)]
        b = [slice(None), slice(None)]
        a[axis], b[axis] = slice(across, None), slice(None, -across)
        first, second = tuple(a), tuple(b)
        border = (labels[first] != labels[second]) & (labels[first] > 0) & (labels[second] > 0)
        if not border.any():
            continue
        p, q = points[first][border], points[second][border]
        n, m = normals[first][border], normals[second][border]
        apart = p - q
        distance = np.linalg.norm(apart, axis=1)
        # Pixels of a surface that is not seen too steeply are this far apart.
        step = 2.5 * across * np.minimum(p[:, 2], q[:, 2]) / view.cloud.intrinsics.fx
        turn = np.sum((n - m) * apart, axis=1)
        middle = [slice(None), slice(None)]
        middle[axis] = slice(across // 2, across // 2 - across)
        cut = jumps[tuple(middle)][border]
        known = (np.abs(n).sum(1) > 0) & (np.abs(m).sum(1) > 0)
        open_border.append(~cut & (distance < step + 0.004))
        smooth.append(open_border[-1] & (~known | (turn > CREASE * distance)))
        contrast.append(np.linalg.norm(lab[first][border] - lab[second][border], axis=1))
        low = np.minimum(labels[first][border], labels[second][border]).astype(np.int64)
        high = np.maximum(labels[first][border], labels[second][border]).astype(np.int64)
        keys.append(low * count + high)
    if not keys:
        return []
    pair, index = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(index)
    share = np.bincount(index, weights=np.concatenate(smooth)) / total
    continuous = np.bincount(index, weights=np.concatenate(open_border)) / total
    unlike = np.bincount(index, weights=np.concatenate(contrast)) / total
    # The less two sides look alike, the smoother their border has to be.
    needed = np.clip(LEAST_SMOOTH + (unlike - 10) * SMOOTH_PER_CONTRAST, LEAST_SMOOTH, 0.95)
    areas = np.bincount(labels.reshape(-1), minlength=count)
    result = []
    for i, key in enumerate(pair):
        a_label, b_label = divmod(int(key), count)
        less, more = sorted((areas[a_label], areas[b_label]))
        # Every border pixel is counted about `across` times.
        contact = total[i] / across / np.sqrt(less)
        # A sliver along a thing is a rim, a cap or noise of it.
        sliver = less < SLIVER * more and contact > SLIVER_CONTACT and continuous[i] > 0.6
        if sliver or (share[i] > needed[i] and contact > LEAST_CONTACT):
            result.append((a_label, b_label))
    return result


def seen_through_rims(view: View, labels: np.ndarray) -> np.ndarray:
    """Return labels with what is seen through the opening of a round thing counted to it.

    The upper border of a mug, seen from the side, is an arc of a circle; every line of sight that
    passes through the circle ends inside the mug, on a piece of its own or on a bare floor that
    is as low as the table. What sticks out of the rim stays a thing of its own.
    """
    labels = labels.copy()
    z = view.points[..., 2]
    numbers, sizes = np.unique(labels[labels > 0], return_counts=True)
    for number in numbers[np.argsort(-sizes, kind="stable")]:
        mask = labels == number
        if np.count_nonzero(mask) < FEWEST_RIM_PIXELS:
            continue
        opening = _opening(view, view.points[mask])
        if opening is None:
            continue
        polygon, center, radius, rim, whole = opening
        inside = np.zeros(labels.shape, np.uint8)
        cv2.fillConvexPoly(inside, polygon, 1)
        around = cv2.dilate((mask | (inside > 0)).astype(np.uint8), np.ones((5, 5), np.uint8))
        for other in np.unique(labels[around > 0]):
            piece = labels == other
            if other in (0, number) or np.quantile(z[piece], 0.9) > rim + RIM_TOLERANCE_M:
                continue
            seen = np.count_nonzero(inside[piece]) / np.count_nonzero(piece)
            # The outside of the vessel's wall is not seen through the rim, but reaches up to it.
            aside = np.linalg.norm(view.points[piece][:, :2] - center, axis=1)
            wall = (aside < 1.25 * radius + 0.005).mean() > INSIDE_SHARE
            wall &= np.quantile(z[piece], 0.9) > WALL_HEIGHT * rim
            if seen > INSIDE_SHARE or wall:
                labels[piece] = number
        if whole:
            labels[(inside > 0) & (labels == 0)] = number
    return labels


def _opening(
    view: View, points: FloatArray
) -> tuple[np.ndarray, np.ndarray, float, float, bool] | None:
    """Return a piece's round opening: outline in the picture, centre, radius, height, if whole."""
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
    outline = cv2.convexHull(np.ascontiguousarray(rim, np.float32))
    whole = cv2.contourArea(outline) > WHOLE_RIM * np.pi * radius**2
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(32)]) * radius
    pixels, depth = view.camera.project(ring + np.array([*center, top]))
    if (depth <= 0).any():
        return None
    return np.round(pixels / view.step).astype(np.int32), center, radius, float(top), whole
