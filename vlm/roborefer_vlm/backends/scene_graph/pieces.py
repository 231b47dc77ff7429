# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Joining pieces of a segmentation into things."""

from __future__ import annotations

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.vessels import close_rims, seen_through_rims
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.types import BoolArray

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
    return close_rims(view, seen_through_rims(view, joined[labels]))


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
        passed = np.cumsum(jumps, axis=axis)
        cut = (passed[first] > passed[second])[border]
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
