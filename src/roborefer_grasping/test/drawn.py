# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of boxes and balls on a table, cast ray by ray with numpy."""

from math import cos, sin

import numpy as np
from roborefer_grasping.core.view import DepthView

WIDTH, HEIGHT, FOCAL = 320, 240, 307.5
EYE, TARGET = np.array([1.12, 0.0, 0.72]), np.array([0.46, 0.0, 0.02])


def camera_pose():
    ahead = (TARGET - EYE) / np.linalg.norm(TARGET - EYE)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(ahead, right), ahead
    pose[:3, 3] = EYE
    return pose


def rays():
    """Viewing rays with length 1 along the optical axis, in the frame of the base."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    optical = np.stack(
        [(u - (WIDTH - 1) / 2) / FOCAL, (v - (HEIGHT - 1) / 2) / FOCAL, np.ones(u.shape)], -1
    )
    return optical @ camera_pose()[:3, :3].T


def box(size, x, y, z=0.0, yaw=0.0):
    """A box whose underside is at z."""
    return "box", np.array([x, y, z + size[2] / 2]), np.array(size) / 2, yaw


def ball(radius, x, y, z=0.0):
    return "ball", np.array([x, y, z + radius]), radius, 0.0


def vessel(radius, height, x, y, wall=0.006, pieces=16):
    """A round cup: flat pieces of wall around a floor of 6 mm."""
    parts = [box((1.4 * radius, 1.4 * radius, 0.006), x, y)]
    width = 2 * np.pi * radius / pieces * 1.1
    for piece in range(pieces):
        yaw = 2 * np.pi * piece / pieces
        parts.append(
            box((wall, width, height), x + radius * cos(yaw), y + radius * sin(yaw), 0.0, yaw)
        )
    return parts


def depth_of(things, table=0.0):
    directions = rays().reshape(-1, 3)
    depth = (table - EYE[2]) / directions[:, 2]
    for kind, center, size, yaw in things:
        turn = np.array([[cos(yaw), -sin(yaw), 0], [sin(yaw), cos(yaw), 0], [0, 0, 1]])
        origin, along = (EYE - center) @ turn, directions @ turn
        if kind == "box":
            with np.errstate(divide="ignore", invalid="ignore"):
                first, second = (-size - origin) / along, (size - origin) / along
            near = np.minimum(first, second).max(axis=1)
            far = np.maximum(first, second).min(axis=1)
            hit = np.where(near <= far, near, np.inf)
        else:
            a = (along**2).sum(1)
            b = along @ origin
            root = b * b - a * (origin @ origin - size**2)
            hit = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
        depth = np.minimum(depth, hit)
    return depth.reshape(HEIGHT, WIDTH).astype(np.float32)


def view_of(things, table=0.0, spoil=None):
    """A view of things; `spoil` may change the depth in place."""
    depth = depth_of(things, table)
    if spoil is not None:
        spoil(depth)
    return DepthView(depth, FOCAL, FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2, camera_pose())


def pixel_of(view, x, y, z):
    pixels, _ = view.project(np.array([[x, y, z]]))
    return float(pixels[0, 0]), float(pixels[0, 1])


def noisy(depth, seed=1):
    """Noise and lost edges, as a stereo camera has them."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    edge = ndimage.maximum_filter(depth, 3) - ndimage.minimum_filter(depth, 3) > 0.03
    noise = ndimage.gaussian_filter(rng.standard_normal(depth.shape), 1.0)
    depth += (0.0015 * noise / noise.std()).astype(np.float32)
    dice = rng.random(depth.shape)
    far = ndimage.maximum_filter(depth, 3)
    between = depth + (far - depth) * rng.random(depth.shape).astype(np.float32)
    depth[edge & (dice < 0.25)] = between[edge & (dice < 0.25)]
    depth[edge & (dice > 0.55)] = 0.0
