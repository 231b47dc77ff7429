# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses where a thing may be put for a reference: on a surface, or inside a container."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.container import CELL_M, Container, container_at
from roborefer_grasping.core.motion_reference import Kind, Reference, Spot
from roborefer_grasping.core.motion_scene import Scene, on_surface, thing_under
from roborefer_grasping.core.placing import (
    RELEASE_M,
    TURNS,
    Footprint,
    Placement,
    cells_in,
    motion_to,
    propose_placements,
)
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import Mask

# A thing is let go at most this far above the floor of a container, metres; where the fingers
# find no room so low, as beside a ball between the slopes of a bowl, it falls farther.
DROP_M, FAR_DROP_M = 0.018, 0.040
# Least distance to what rises in a container; how far more of it is better, metres.
_MARGIN_M, _AMPLE_M = 0.005, 0.030
# A reference of any other kind means a container when it lies this far below its rim, metres.
_BELOW_RIM_M = 0.010
# How many places of one heading and height are kept, and how many in all.
_PER_HEADING, _MOST = 4, 60


@dataclass(frozen=True, eq=False)
class Landing:
    """Where a thing may be put.

    Attributes:
        placements: Best first.
        place: The referred point on the surface, metres in the frame of the base, shape (3,).
        under: Pixels of the thing that it will stand on; None on a table or in a container.
        container: That it will stand in, or None.
        anywhere: Any place in the container is as good as the referred one.
    """

    placements: list[Placement]
    place: Array
    under: Mask | None = None
    container: Container | None = None
    anywhere: bool = False


def find_landing(
    scene: Scene,
    reference: Reference,
    spot: Spot,
    footprint: Footprint,
    ignored: Mask,
    tolerance: float,
    yaws: tuple[float, ...] | None = None,
) -> Landing:
    """Find places for a thing; none are left where there is no room.

    Args:
        scene: With the place.
        reference: The place. Where it means a container or its inside, every place in there will
            do, and the nearest ones come first.
        spot: Where it lies in the scene.
        footprint: Of the thing.
        ignored: Pixels of the robot and of the thing.
        tolerance: Farthest horizontal distance from the referred place, metres.
        yaws: Turns about up, relative to how it stood; all around when None.
    """
    view = scene.look.view
    place = on_surface(scene, spot.position)
    container = container_at(view, spot.position, scene.support, ignored)
    anywhere = container is not None and reference.kind in (Kind.OBJECT, Kind.INSIDE)
    if container is not None and (anywhere or _is_inside(container, place)):
        reach = np.inf if anywhere else tolerance
        found = inside_placements(container, place, footprint, reach, yaws)
        return Landing(found, place, None, container, anywhere)
    found = propose_placements(
        view, place, footprint, ignored=ignored, tolerance=tolerance, yaws=yaws
    )
    return Landing(found, place, thing_under(scene, place, footprint))


def inside_placements(
    container: Container,
    place: Array,
    footprint: Footprint,
    tolerance: float = np.inf,
    yaws: Sequence[float] | None = None,
) -> list[Placement]:
    """Places in a container, best first: near the wanted point, clear of walls, and seen.

    Args:
        container: The container.
        place: The wanted point, shape (3,), metres in the frame of the base.
        footprint: Of the thing.
        tolerance: Farthest horizontal distance from the wanted point, metres.
        yaws: Turns about up, relative to how it stood; all around when None.
    """
    height = container.height
    # What rises, or whose height nobody knows; not so the rounding of a bowl's floor.
    with np.errstate(invalid="ignore"):
        floor = container.within & (height < container.floor + DROP_M - RELEASE_M)
    free = CELL_M * (ndimage.distance_transform_edt(np.pad(floor, 1))[1:-1, 1:-1] - 0.5)
    surface = np.where(floor, np.fmax(height, container.floor), np.inf)
    grid = np.stack(np.meshgrid(*map(np.arange, floor.shape), indexing="ij"), axis=-1)
    aside = np.linalg.norm(container.origin + CELL_M * grid - place[:2], axis=-1)
    near = 1 - aside / max(float(aside[container.within].max()), CELL_M)
    found: list[tuple[int, float, Placement]] = []
    for yaw in yaws or tuple(2 * pi * i / TURNS for i in range(TURNS)):
        outline = footprint.outline @ np.array([[cos(yaw), sin(yaw)], [-sin(yaw), cos(yaw)]])
        cells = cells_in(outline)
        reach = int(np.abs(cells).max())
        shape = np.zeros((2 * reach + 1, 2 * reach + 1), bool)
        shape[tuple((cells + reach).T)] = True
        clear = ndimage.minimum_filter(free, footprint=shape, mode="constant", cval=0.0)
        level = ndimage.maximum_filter(surface, footprint=shape, mode="constant", cval=np.inf)
        known = ndimage.correlate(
            container.seen.astype(float), shape / shape.sum(), mode="constant"
        )
        quality = 0.3 * near + 0.5 * np.clip(clear / _AMPLE_M, 0, 1) + 0.2 * known
        fits = (clear >= _MARGIN_M) & (aside <= tolerance) & np.isfinite(level)
        best = np.argwhere(fits)[np.argsort(-quality[fits], kind="stable")]
        for rank, (x, y) in enumerate(_apart(best)):
            middle = container.origin + CELL_M * np.array([x, y])
            position = np.array([*middle, level[x, y]])
            lowest = level[x, y] - container.floor + RELEASE_M
            # Where fingers or palm meet floor or rim, the thing falls the last bit.
            for order, above in enumerate((lowest, DROP_M, FAR_DROP_M)):
                motion = motion_to(
                    np.array([*middle, container.floor]), yaw, footprint, float(above)
                )
                value = float(quality[x, y])
                placement = Placement(motion, position, float(clear[x, y]), value)
                # A long fall comes after the short ones of the places that are next best.
                found.append((2 * rank + (0, 1, 4)[order], -value, placement))
    found.sort(key=lambda entry: entry[:2])
    return [placement for _, _, placement in found[:_MOST]]


def _apart(cells: npt.NDArray[np.int_]) -> list[tuple[int, int]]:
    """The first cells that are not neighbours of one another."""
    kept: list[tuple[int, int]] = []
    for x, y in cells.tolist():
        if all(max(abs(x - a), abs(y - b)) > 2 for a, b in kept):
            kept.append((x, y))
            if len(kept) == _PER_HEADING:
                break
    return kept


def _is_inside(container: Container, place: Array) -> bool:
    return container.holds(place) and bool(place[2] < container.rim - _BELOW_RIM_M)
