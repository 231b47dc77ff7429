# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a task makes of a look: where the robot is in it, and how two looks differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_grasping.core.motion import Look, Reason, TaskFailure
from roborefer_grasping.core.motion_settings import Settings
from roborefer_grasping.core.placing import UNEVEN_M, Footprint
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.segment import support_height
from roborefer_grasping.core.self_filter import robot_mask
from roborefer_grasping.core.view import Mask
from roborefer_grasping.core.world import Held, Obstacle, Shape
from roborefer_grasping.exceptions import SceneError

# A depth that changed by less than this is the same surface: a few times the noise at a metre.
SAME_DEPTH_M = 0.006
# Of a thing's pixels at least this many must be visible to say whether it is still there.
_LEAST_VISIBLE = 0.3
_LEAST_PIXELS = 20
# Headings of the box around a thing that are tried within a quarter turn.
_BOX_HEADINGS = 18
# The surface under a place is measured this far around it, metres.
SURFACE_M = 0.015
# More than this above the table, a place lies on or in a thing, which may then be touched, metres.
_ON_A_THING_M = 0.012


@dataclass(frozen=True, eq=False)
class Scene:
    """A look and what is known of it before anybody asks for a thing.

    Attributes:
        look: The look.
        robot: Pixels of the robot and of what it holds.
        support: Height of what things stand on, metres.
    """

    look: Look
    robot: Mask
    support: float


def understand(look: Look, settings: Settings, held: Held | None) -> Scene:
    """Find the robot and the support in a look.

    Raises:
        TaskFailure: NO_DEPTH: hardly anything was measured, or no support was seen.
    """
    view = look.view
    share = float(view.measured.mean())
    if share < settings.least_valid:
        raise TaskFailure(
            Reason.NO_DEPTH,
            f"only {share:.1%} of the depth image was measured, {settings.least_valid:.0%} are"
            " needed; look at camera, lens and light",
        )
    robot = robot_mask(view, settings.robot, settings.gripper, look.joints, look.jaw, held)
    low, high = np.array(settings.scene.low), np.array(settings.scene.high)
    low[2], high[2] = settings.support_z
    try:
        support = support_height(view, low, high)
    except SceneError as error:
        raise TaskFailure(Reason.NO_DEPTH, str(error)) from error
    return Scene(look, robot, support)


def still_there(mask: Mask, before: Look, now: Look, robot: Mask) -> bool | None:
    """Tell whether the surface under a mask is where it was.

    Args:
        mask: Pixels of the surface in the look before.
        before: The look.
        now: A later look of the same camera.
        robot: Pixels of the robot in the later look.

    Returns:
        None when too little of it is visible to tell.
    """
    if now.view.depth_m.shape != mask.shape or _moved(before, now):
        return None
    known = mask & before.view.measured
    visible = known & now.view.measured & ~robot
    if visible.sum() < max(_LEAST_PIXELS, _LEAST_VISIBLE * known.sum()):
        return None
    change = np.abs(now.view.depth_m[visible] - before.view.depth_m[visible])
    return bool((change < 2 * SAME_DEPTH_M).mean() > 0.5)


def appeared(before: Scene, now: Scene, place: Array, reach: float) -> Mask:
    """Pixels near a place that are nearer to the camera than they were: what was put there.

    Args:
        before: Scene without the thing.
        now: Scene with it.
        place: Where it should be, metres in the frame of the base, shape (3,).
        reach: How far around the place is looked, metres.
    """
    earlier, later = before.look.view, now.look.view
    if earlier.depth_m.shape != later.depth_m.shape or _moved(before.look, now.look):
        return np.zeros(later.depth_m.shape, bool)
    with np.errstate(invalid="ignore"):
        nearer = earlier.depth_m - later.depth_m > SAME_DEPTH_M
        near = np.linalg.norm(later.points[..., :2] - place[:2], axis=-1) < reach
        above = later.points[..., 2] > place[2] + 0.004
    seen = earlier.measured & later.measured & ~now.robot
    # What the robot hid before may have stood there all the time.
    return np.asarray(seen & nearer & near & above & ~before.robot)


def solid_of(scene: Scene, target: Mask, unmeasured: Array | None = None) -> Held:
    """The target as an upright box, turned as it stands, as far as it was seen.

    Args:
        scene: With the target.
        target: Its pixels.
        unmeasured: Points of its top that showed no depth, shape (N, 3).

    Raises:
        SceneError: Too few of its pixels have a depth.
    """
    points = scene.look.view.points[target & scene.look.view.valid]
    if len(points) < 10:
        raise SceneError(f"only {len(points)} pixels of the target have a depth; 10 are needed")
    if unmeasured is not None:
        points = np.concatenate([points, unmeasured])
    headings = np.linspace(0, np.pi / 2, _BOX_HEADINGS, endpoint=False)
    axes = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    across = np.stack([-axes[:, 1], axes[:, 0]], axis=1)
    spans = [np.percentile(points[:, :2] @ side.T, [1, 99], axis=0) for side in (axes, across)]
    best = int(np.prod([high - low for low, high in spans], axis=0).argmin())
    pose = np.eye(4)
    pose[:2, 0], pose[:2, 1] = axes[best], across[best]
    # It stands on its support; a little above, or the support would seem to be touched.
    low = np.array([spans[0][0][best], spans[1][0][best], scene.support + 0.006])
    high = np.array([spans[0][1][best], spans[1][1][best], np.percentile(points[:, 2], 99)])
    pose[:3, 3] = pose[:3, :3] @ ((low + high) / 2)
    size = np.maximum(high - low - 0.004, 0.005)
    return Held("held", (Obstacle("held", Shape.BOX, size, pose),))


def on_surface(scene: Scene, position: Array) -> Array:
    """The place with the height of the surface around it rather than that of one pixel."""
    points = scene.look.view.points[scene.look.view.valid & ~scene.robot]
    near = np.linalg.norm(points - position, axis=1) < SURFACE_M
    if near.sum() < 5:
        return position
    return np.array([*position[:2], float(np.median(points[near, 2]))])


def thing_under(scene: Scene, place: Array, footprint: Footprint) -> Mask | None:
    """Pixels of the thing that the held one will stand on or in; None when that is the table."""
    if abs(place[2] - scene.support) < _ON_A_THING_M:
        return None
    points = scene.look.view.points
    radius = float(np.linalg.norm(footprint.outline, axis=1).max()) + SURFACE_M
    with np.errstate(invalid="ignore"):
        near = np.linalg.norm(points[..., :2] - place[:2], axis=-1) < radius
        level = np.abs(points[..., 2] - place[2]) < UNEVEN_M
    return np.asarray(near & level & ~scene.robot)


def _moved(before: Look, now: Look) -> bool:
    """Whether the camera itself moved, so that pixels cannot be compared."""
    return bool(np.abs(before.view.t_base_optical - now.view.t_base_optical).max() > 0.003)
