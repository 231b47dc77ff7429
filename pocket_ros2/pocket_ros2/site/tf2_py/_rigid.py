# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as plain tuples (x, y, z, qx, qy, qz, qw): fastest at this size."""

from __future__ import annotations

from math import acos, cos, isfinite, sin, sqrt

Rigid = tuple[float, float, float, float, float, float, float]
IDENTITY: Rigid = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def compose(a: Rigid, b: Rigid) -> Rigid:
    """Return the transform that applies b first, then a."""
    ax, ay, az, i, j, k, w = a
    x, y, z, p, q, r, s = b
    tx, ty, tz = 2 * (j * z - k * y), 2 * (k * x - i * z), 2 * (i * y - j * x)
    return (
        ax + x + w * tx + j * tz - k * ty,
        ay + y + w * ty + k * tx - i * tz,
        az + z + w * tz + i * ty - j * tx,
        w * p + i * s + j * r - k * q,
        w * q + j * s + k * p - i * r,
        w * r + k * s + i * q - j * p,
        w * s - i * p - j * q - k * r,
    )


def inverse(a: Rigid) -> Rigid:
    """Return the transform that undoes a."""
    x, y, z, i, j, k, w = a
    turned = compose((0.0, 0.0, 0.0, -i, -j, -k, w), (-x, -y, -z, 0.0, 0.0, 0.0, 1.0))
    return (*turned[:3], -i, -j, -k, w)


def interpolate(a: Rigid, b: Rigid, ratio: float) -> Rigid:
    """Return the transform between a (ratio 0) and b (ratio 1): lerp and shortest slerp."""
    x, y, z, i, j, k, w = a
    u, v, t, p, q, r, s = b
    one = 1.0 - ratio
    dot = i * p + j * q + k * r + w * s
    theta = acos(min(1.0, abs(dot)))
    if theta:
        scale = 1.0 / sin(theta)
        m, n = sin(one * theta) * scale, sin(ratio * theta) * scale
        if dot < 0:
            n = -n
        i, j, k, w = m * i + n * p, m * j + n * q, m * k + n * r, m * w + n * s
    return (one * x + ratio * u, one * y + ratio * v, one * z + ratio * t, i, j, k, w)


def canonical(a: Rigid) -> Rigid:
    """Return a with a unit quaternion whose sign is what a rotation matrix would give back.

    Raises:
        ValueError: The quaternion has no length, or a value is not a number.
    """
    x, y, z, *q = a
    length = sqrt(sum(c * c for c in q))
    if not (length > 0 and isfinite(length)) or any(c != c for c in (x, y, z)):
        raise ValueError("not a rigid transform")
    sign = q[3] if 4 * q[3] * q[3] > length * length else max(q[:3], key=abs)
    length = length if sign > 0 else -length
    i, j, k, w = (c / length for c in q)
    return (x, y, z, i, j, k, w)


def from_rpy(roll: float, pitch: float, yaw: float) -> Rigid:
    """Return a rotation: roll about X, then pitch about Y, then yaw about Z, axes fixed."""
    rigid = IDENTITY
    for axis, angle in enumerate((roll, pitch, yaw)):
        turn = [0.0, 0.0, 0.0, cos(angle / 2)]
        turn[axis] = sin(angle / 2)
        rigid = compose((0.0, 0.0, 0.0, *turn), rigid)
    return rigid
