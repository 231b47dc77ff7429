# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures where a thing stands after it was put down, and how well that is known.

Two estimates of its middle err for different reasons: the middle of what is highest fails where a
top is dark or shiny and shows no depth; the known outline laid against the sides that face the
camera fails where the thing has turned, or was taken to have another outline. Where both agree,
the middle is known; their difference is how uncertain it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from roborefer_grasping.core.motion_scene import Scene, appeared
from roborefer_grasping.core.placing import UNEVEN_M, Footprint
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView, Mask, middle_of

# How far from its place a thing is looked for, beyond its own size, metres.
_LOOK_AROUND_M = 0.10
# Smaller pieces are specks of the sensor, pixels; with fewer pixels in all nothing is measured.
_LEAST_PIECE_PX, _LEAST_PX = 12, 20
# Headings in which an outline is compared, and how far around to the side of the camera.
_HEADINGS = 36
_FACING_COS = -0.1
# What a sensor and a calibrated camera leave uncertain at best, metres.
_AT_BEST_M = 0.004


@dataclass(frozen=True, eq=False)
class Standing:
    """A thing as it was seen to stand.

    Attributes:
        middle: Of its footprint, x and y in the frame of the base, metres.
        height: Of the thing above its place, metres.
        uncertainty: By which the middle may be off, metres.
    """

    middle: Array
    height: float
    uncertainty: float


def measure_standing(
    before: Scene, now: Scene, place: Array, footprint: Footprint, turn: float
) -> Standing | None:
    """Find what was put down near a place.

    Args:
        before: Scene without the thing.
        now: Scene with it.
        place: Where it should be, metres in the frame of the base, shape (3,).
        footprint: That it had when it was taken.
        turn: By which it was turned since, radians.

    Returns:
        None when nothing new is seen there.
    """
    reach = float(np.linalg.norm(footprint.outline, axis=1).max()) + _LOOK_AROUND_M
    mask = _one_thing(appeared(before, now, place, reach), before.look.view, float(place[2]))
    view = now.look.view
    points = view.points[mask & view.valid]
    if len(points) < _LEAST_PX:
        # Of thin things hardly a pixel is clear of edges.
        points = view.points[mask]
    if len(points) < _LEAST_PX:
        return None
    of_top = middle_of(points, float(place[2]))
    to_camera = view.t_base_optical[:2, 3] - place[:2]
    of_sides, misfit = _laid_against(points, footprint.outline, turn, to_camera)
    apart = float(np.hypot(*(of_top - of_sides)))
    return Standing(
        (of_top + of_sides) / 2,
        float(np.percentile(points[:, 2], 99) - place[2]),
        float(np.linalg.norm([_AT_BEST_M, apart / 2, misfit])),
    )


def _one_thing(mask: Mask, before: DepthView, level: float) -> Mask:
    """The largest piece, and those where the surface was bare before.

    Where other things stood, their edges flicker.
    """
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    with np.errstate(invalid="ignore"):
        bare = np.abs(before.points[..., 2] - level) < UNEVEN_M
    share = np.bincount(labels.ravel(), bare.ravel(), count + 1) / np.maximum(sizes, 1)
    kept = (sizes >= _LEAST_PIECE_PX) & (share > 0.5)
    kept[sizes.argmax()] = sizes.max() >= _LEAST_PIECE_PX
    kept[0] = False
    return np.asarray(kept[labels])


def _laid_against(
    points: Array, outline: Array, turn: float, to_camera: Array
) -> tuple[Array, float]:
    """Shift of an outline so that its sides towards the camera lie on those of the points.

    Returns:
        The shift, shape (2,), and how badly the sides then fit, both metres.
    """
    headings = np.linspace(0, 2 * np.pi, _HEADINGS, endpoint=False)
    directions = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    ahead = to_camera / max(float(np.linalg.norm(to_camera)), 1e-9)
    directions = directions[directions @ ahead > _FACING_COS]
    c, s = np.cos(turn), np.sin(turn)
    turned = outline @ np.array([[c, s], [-s, c]])
    gap = np.percentile(points[:, :2] @ directions.T, 98, axis=0)
    gap = gap - (turned @ directions.T).max(axis=0)
    shift = np.linalg.lstsq(directions, gap, rcond=None)[0]
    misfit = float(np.sqrt(np.mean((directions @ shift - gap) ** 2)))
    return np.asarray(shift), misfit
