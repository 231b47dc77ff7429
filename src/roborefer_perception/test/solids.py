# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth pictures of planes, balls and boxes whose truth is known in closed form."""

import numpy as np
from roborefer_perception.core.camera import Camera

CAMERA = Camera(640, 480, 615.0, 615.0, 319.5, 239.5)

# A table seen at 45 degrees from 0.65 m above: n . X = 0.65, n points away from the camera.
TABLE = np.array([0.0, np.sqrt(0.5), np.sqrt(0.5)]), 0.65


def rays(camera=CAMERA):
    """Rays with z = 1, shape (height, width, 3)."""
    flat = camera.ray_image.astype(float)
    return np.dstack([flat, np.ones(flat.shape[:2])])


def plane(normal, distance, camera=CAMERA):
    """Depth of the plane normal . X = distance; 0 where it is behind the camera."""
    facing = rays(camera) @ normal
    return np.where(facing > 1e-6, distance / np.where(facing > 1e-6, facing, 1), 0.0)


def table(camera=CAMERA):
    return plane(*TABLE, camera)


def ball(center, radius, camera=CAMERA):
    """Depth of a ball; 0 beside it."""
    ways = rays(camera)
    a, b = (ways * ways).sum(-1), ways @ np.asarray(center)
    inside = b * b - a * (np.dot(center, center) - radius**2)
    return np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, 0.0)


def on_table(u, v, rise=0.0, camera=CAMERA):
    """Point so far above the table's point behind a pixel, metres."""
    normal, distance = TABLE
    ray = np.append(camera.rays([(u, v)])[0], 1.0)
    return ray * distance / (ray @ normal) - rise * normal


def in_front(*depths):
    """What is nearest at each pixel; 0 means nothing."""
    stacked = np.stack([np.where(depth > 0, depth, np.inf) for depth in depths])
    nearest = stacked.min(axis=0)
    return np.where(np.isfinite(nearest), nearest, 0.0).astype(np.float32)


def noisy(depth, seed=0, camera=CAMERA, disparity_px=0.06, baseline_m=0.05):
    """The depth with the white noise of a stereo camera."""
    span = camera.fx * baseline_m
    noise = np.random.default_rng(seed).normal(0, disparity_px, depth.shape)
    found = span / (span / np.where(depth > 0, depth, 1) + noise)
    return np.where(depth > 0, found, 0).astype(np.float32)
