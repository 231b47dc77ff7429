# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How sure a place is: what noise of depth and of the pixel do to its position and axes."""

from __future__ import annotations

import cv2
import numpy as np

from roborefer_perception.core.camera import Array
from roborefer_perception.core.segment import Window
from roborefer_perception.core.surface import Surface
from roborefer_perception.core.target import Target, within

# So many pixels of a region at least say how far the one that was meant may be off.
_LEAST_SPREAD = 6
# Depth is lost over so many pixels at the outline of a thing.
_OUTLINE_PX = 2


def _pose(ray: Array, terms: Array) -> tuple[Array, Array]:
    """Point and axes of a surface with q, q_x and q_y at a ray."""
    q, across, down = terms
    point = np.array([ray[0], ray[1], 1.0]) / q
    normal = -np.array([across, down, q - across * ray[0] - down * ray[1]])
    normal /= np.linalg.norm(normal)
    # Where the surface is seen edge-on from the right, "right" has no direction in it.
    right = np.array([1.0, 0.0, 0.0])
    if abs(normal[0]) > 1 - 1e-9:
        right = np.array([0.0, 0.0, 1.0])
    x_axis = right - (right @ normal) * normal
    x_axis /= np.linalg.norm(x_axis)
    return point, np.stack([x_axis, np.cross(normal, x_axis), normal], axis=1)


def differentiate(surface: Surface) -> tuple[Array, Array, Array]:
    """How position and rotation depend on q, q_x and q_y (6, 3); and both, (3,) and (3, 3)."""
    terms = surface.terms[:3]
    point, rotation = _pose(surface.ray, terms)
    jacobian = np.zeros((6, 3))
    for index in range(3):
        step = 1e-6 * terms[0]
        moved = terms.copy()
        moved[index] += step
        other_point, other_rotation = _pose(surface.ray, moved)
        turn = other_rotation @ rotation.T
        jacobian[:3, index] = (other_point - point) / step
        jacobian[3:, index] = (
            np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
            / 2
            / step
        )
    return jacobian, point, rotation


def pixel_covariance(
    window: Window,
    target: Target,
    surface: Surface,
    jacobian: Array,
    at: tuple[float, float],
    pixel_sigma: float,
) -> Array:
    """What comes from the pixel not being exactly the one that was meant.

    The one that was meant lies around the one that was asked for, and on the region.
    """
    if pixel_sigma <= 0:
        return np.zeros((6, 6))
    radius = 3 * pixel_sigma + target.snapped_px
    everywhere = np.ones_like(target.region)
    v, u = within(everywhere, at, radius + _OUTLINE_PX)
    top, left = v.min(), u.min()
    part = np.s_[top : v.max() + 1, left : u.max() + 1]
    # The outline of a thing is where depth is lost, so it may reach a little into the holes.
    kernel = np.ones((2 * _OUTLINE_PX + 1,) * 2, np.uint8)
    outline = cv2.dilate(target.region[part].astype(np.uint8), kernel) > 0
    possible = target.region[part] | (outline & ~window.good[part])
    v, u = within(possible, (at[0] - left, at[1] - top), radius)
    v, u = v + top, u + left
    if len(v) < _LEAST_SPREAD:
        v, u = within(everywhere, at, radius)
    covariance = np.zeros((6, 6))
    likely = np.exp(-((u - at[0]) ** 2 + (v - at[1]) ** 2) / (2 * pixel_sigma**2))
    likely /= max(float(likely.sum()), 1e-300)
    rays = window.rays[v, u].astype(float)
    q = np.maximum(surface.inverse_depth(rays), surface.terms[0] / 3)
    # A region may have steps that the smooth surface knows nothing of, such as a rim.
    q = np.where(window.good[v, u] & target.region[v, u], window.q[v, u], q)
    offsets = (
        np.c_[rays, np.ones(len(rays))] / q[:, None] - np.r_[surface.ray, 1] / surface.terms[0]
    )
    covariance[:3, :3] = (offsets * likely[:, None]).T @ offsets
    # The normal changes with the ray as the curvature says.
    moves = rays - surface.ray
    xx, xy, yy = surface.terms[3:]
    slopes = moves @ np.array([[xx, xy], [xy, yy]])
    turns = jacobian[3:, 1:] @ ((slopes * likely[:, None]).T @ slopes) @ jacobian[3:, 1:].T
    covariance[3:, 3:] = turns
    return covariance
