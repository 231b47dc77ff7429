# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A polyline whose corners are rounded, as a curve that is known exactly.

Lines have unit speed; a corner is a parabola that meets both lines with their direction and speed.
So the first derivative is continuous, the second one constant per piece, and nothing overshoots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_grasping.core.robot import Array


@dataclass(frozen=True, eq=False)
class Curve:
    """Pieces p + v t + a t^2 / 2 with t from 0 to the length of the piece.

    Attributes:
        breaks: Where pieces begin and the last one ends, shape (K + 1,).
        points: p of each piece, shape (K, 6).
        tangents: v of each piece, shape (K, 6).
        bends: a of each piece, shape (K, 6).
    """

    breaks: Array
    points: Array
    tangents: Array
    bends: Array

    @property
    def length(self) -> float:
        """Where the curve ends."""
        return float(self.breaks[-1])

    def at(self, s: Array, order: int = 0) -> Array:
        """Points, or derivatives of order 1 or 2, shape (M, 6)."""
        s = np.atleast_1d(s)
        piece = np.clip(np.searchsorted(self.breaks, s, side="right") - 1, 0, len(self.points) - 1)
        t = np.clip(s - self.breaks[piece], 0, None)[:, None]
        p, v, a = self.points[piece], self.tangents[piece], self.bends[piece]
        if order == 0:
            return np.asarray(p + v * t + a * t * t / 2)
        return np.asarray(v + a * t if order == 1 else a)

    def grid(self, step: float) -> Array:
        """Places along the curve at most this far apart, with every break among them."""
        parts = [
            np.linspace(a, b, max(2, int(np.ceil((b - a) / step)) + 1))[:-1]
            for a, b in zip(self.breaks[:-1], self.breaks[1:], strict=True)
        ]
        return np.append(np.concatenate(parts), self.breaks[-1])


def rounded(path: Array, radius: float) -> Curve:
    """Round the corners of a polyline.

    Args:
        path: Corner points without repetitions, shape (N, 6), N at least 2.
        radius: How far from a corner the curve may leave the line, in the length of joint space
            (radians); never more than 45 % of the line on either side.
    """
    steps = np.diff(path, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    directions = steps / lengths[:, None]
    cut = np.zeros(len(path))
    cut[1:-1] = np.minimum(radius, 0.45 * np.minimum(lengths[:-1], lengths[1:]))
    spans, points, tangents, bends = [], [], [], []
    for index, (length, direction) in enumerate(zip(lengths, directions, strict=True)):
        spans.append(length - cut[index] - cut[index + 1])
        points.append(path[index] + direction * cut[index])
        tangents.append(direction)
        bends.append(np.zeros(6))
        if cut[index + 1] > 0:
            following = directions[index + 1]
            spans.append(2 * cut[index + 1])
            points.append(path[index + 1] - direction * cut[index + 1])
            tangents.append(direction)
            bends.append((following - direction) / (2 * cut[index + 1]))
    breaks = np.concatenate([[0.0], np.cumsum(spans)])
    return Curve(breaks, np.array(points), np.array(tangents), np.array(bends))


def without_repetitions(path: Array, smallest: float = 1e-6) -> Array:
    """Leave out points that lie on the one before; at least the first and last point stay."""
    kept = [path[0]]
    for point in path[1:]:
        if np.abs(point - kept[-1]).max() > smallest:
            kept.append(point)
    return np.array(kept)
