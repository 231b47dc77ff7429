# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The surface that things stand on: found in measured points, without knowing gravity.

One-point RANSAC: every hypothesis is a measured point with its normal, so a few hundred of them
cover every plane that fills a percent of the view. Among the planes found, the one that people
would call the table is chosen by size, closeness to the middle of the view, and by how level it
would be for a camera that is held upright or looks straight down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_vlm.backends.scene_graph.cloud import Cloud, noise_m
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.types import BoolArray

HYPOTHESES = 300
SAMPLED_POINTS = 5000
MOST_PLANES = 6
# Share of the measured points that a plane has to explain.
SMALLEST_PLANE = 0.02
# How far a stated `up` may be off before the measured plane is no longer taken as level.
MOST_TILT_RAD = np.deg2rad(8.0)
# A box lower than this stands on the larger plane below it; a table is higher above the floor.
HIGHEST_BOX_TOP_M = 0.3


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane of the optical frame: normal . p + offset = 0.

    Attributes:
        normal: Unit vector towards the camera's side, shape (3,).
        offset: Distance of the camera from the plane, metres; positive.
    """

    normal: Array
    offset: float

    def height(self, points: np.ndarray) -> Array:
        """Return the signed distance of points, shape (..., 3), positive on the camera's side."""
        return np.asarray(points @ self.normal + self.offset)


@dataclass(frozen=True, eq=False)
class Ground:
    """What is level in the scene, and how the scene's frame lies in the view.

    Attributes:
        t_scene_optical: Pose of the optical frame in the scene's frame, shape (4, 4).
        plane: The main support surface, or None where none was found.
    """

    t_scene_optical: Array
    plane: Plane | None


def find_ground(
    cloud: Cloud, up: tuple[float, float, float] | None = None, things: BoolArray | None = None
) -> Ground:
    """Find the main support surface and put the scene's frame on it.

    Args:
        cloud: The view.
        up: Against gravity in the optical frame. A surface that is level within 8 degrees of it
            defines z itself, as a measured plane is a better level than a chain of joints.
        things: Pixels known to belong to things and not to what they stand on.

    Returns:
        The ground. Without any plausible plane, z is `up`, or the camera's upward axis where
        that is not known either, and the origin is as low as the lowest measured points.
    """
    plane = find_main_plane(cloud, up, things)
    if plane is not None:
        return Ground(_scene_pose(plane.normal, plane.offset), plane)
    level = np.asarray(up if up is not None else (0.0, -1.0, 0.0), float)
    heights = cloud.points[cloud.valid] @ level
    return Ground(_scene_pose(level, -float(np.percentile(heights, 1))), None)


def find_main_plane(
    cloud: Cloud, up: tuple[float, float, float] | None = None, things: BoolArray | None = None
) -> Plane | None:
    """Return the plane that the things in view stand on, or None."""
    usable = cloud.valid & (np.abs(cloud.normals).sum(-1) > 0)
    if things is not None:
        usable &= ~things
    chosen = np.flatnonzero(usable)
    if len(chosen) < 50:
        return None
    chosen = chosen[:: max(1, len(chosen) // SAMPLED_POINTS)]
    points = cloud.points.reshape(-1, 3)[chosen].astype(float)
    normals = cloud.normals.reshape(-1, 3)[chosen].astype(float)
    found = _planes(points, normals)
    weights = _attention(cloud, chosen)
    scored = [
        (_levelness(plane, up) * float(weights[inside].sum()), plane, inside)
        for plane, inside in found
    ]
    scored = [entry for entry in scored if entry[0] > 0]
    if not scored:
        return None
    best = max(scored, key=lambda entry: entry[0])
    for other in scored:
        if _carries(other[1], other[2], best[1], best[2]):
            best = other
    return best[1]


def _planes(points: Array, normals: Array) -> list[tuple[Plane, BoolArray]]:
    """Return planes and the points on each, by falling number of points."""
    random = np.random.default_rng(0)
    tolerance = 3 * noise_m(points[:, 2])
    free = np.ones(len(points), bool)
    found: list[tuple[Plane, BoolArray]] = []
    for _ in range(MOST_PLANES):
        left = np.flatnonzero(free)
        if len(left) < SMALLEST_PLANE * len(points):
            break
        seeds = random.choice(left, min(HYPOTHESES, len(left)), replace=False)
        distance = np.abs(points[left] @ normals[seeds].T - np.sum(points * normals, 1)[seeds])
        near = distance < tolerance[left][:, None]
        alike = normals[left] @ normals[seeds].T > 0.85
        best = int(np.argmax((near & alike).sum(0)))
        seed = seeds[best]
        plane = Plane(normals[seed], float(-points[seed] @ normals[seed]))
        for width in (3.0, 2.0, 2.0, 1.5):
            plane, inside = _refit(plane, points, normals, free, width)
        if inside.sum() < SMALLEST_PLANE * len(points):
            # Whatever is left is made of even smaller pieces.
            break
        found.append((plane, inside))
        free &= ~(np.abs(plane.height(points)) < 1.5 * tolerance)
    return found


def _refit(
    plane: Plane, points: Array, normals: Array, free: BoolArray, width: float
) -> tuple[Plane, BoolArray]:
    """Fit a plane to the points within `width` standard deviations of it, weighted by noise."""
    sigma = noise_m(points[:, 2]).astype(float)
    inside = free & (np.abs(plane.height(points)) < width * sigma)
    inside &= normals @ plane.normal > 0.8
    if inside.sum() < 10:
        return plane, inside
    weight = 1 / np.square(sigma[inside])
    center = np.average(points[inside], axis=0, weights=weight)
    offsets = (points[inside] - center) * np.sqrt(weight)[:, None]
    normal = np.linalg.eigh(offsets.T @ offsets)[1][:, 0]
    if normal @ center > 0:
        normal = -normal
    return Plane(normal, float(-normal @ center)), inside


def _attention(cloud: Cloud, chosen: np.ndarray) -> Array:
    """Return a weight per pixel: near things in the middle of the view are what a view is of."""
    height, width = cloud.depth.shape
    v, u = np.divmod(chosen, width)
    aside = np.hypot((u - width / 2) / width, (v - height / 2) / height)
    depth = cloud.depth.reshape(-1)[chosen]
    return np.asarray(np.exp(-np.square(aside / 0.4)) / np.maximum(depth, 0.3))


def _levelness(plane: Plane, up: tuple[float, float, float] | None) -> float:
    """Return 0 to 1: how well a plane may be what things stand on."""
    if up is not None:
        return 1.0 if plane.normal @ np.asarray(up) > np.cos(MOST_TILT_RAD) else 0.0
    sideways, downwards, _ = plane.normal
    # A camera rolled by more than 40 degrees, or a ceiling.
    if abs(sideways) > 0.64 or downwards > 0.25:
        return 0.0
    # A plane that faces the camera is a wall, unless nothing else could carry things: then the
    # camera looks straight down.
    return float(np.clip((-downwards - 0.15) / 0.2, 0.05, 1.0))


def _carries(lower: Plane, on_lower: BoolArray, upper: Plane, on_upper: BoolArray) -> bool:
    """Tell whether the best plane is only the top of a box that stands on this one."""
    drop = lower.offset - upper.offset
    level = lower.normal @ upper.normal > np.cos(MOST_TILT_RAD)
    return bool(
        level and 0.02 < drop < HIGHEST_BOX_TOP_M and on_lower.sum() > 0.25 * on_upper.sum()
    )


def _scene_pose(up: Array, height: float) -> Array:
    """Return the pose of the optical frame: origin below the camera, x away from the viewer."""
    view = np.array([0.0, 0.0, 1.0])
    away = view - (view @ up) * up
    if np.linalg.norm(away) < 0.1:
        # Straight down: what is further up in the picture is further away.
        away = np.array([0.0, -1.0, 0.0])
        away = away - (away @ up) * up
    away /= np.linalg.norm(away)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([away, np.cross(up, away), up])
    pose[2, 3] = height
    return pose
