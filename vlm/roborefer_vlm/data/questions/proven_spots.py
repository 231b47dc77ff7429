# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Free places as answers: rounded to what is written down, then proven for that very point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from roborefer_vlm.data.free_space import FreeSpace, Spots
from roborefer_vlm.data.search_areas import areas_of
from roborefer_vlm.data.table_parts import TablePart
from roborefer_vlm.data.views import View
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene
from roborefer_vlm.scenes.places import footprint
from roborefer_vlm.scenes.pointing import part_pixel
from roborefer_vlm.scenes.polygons import depth_inside
from roborefer_vlm.scenes.program import Part, PartName, Thing
from roborefer_vlm.scenes.relations import Key, Places, Relation, measure
from roborefer_vlm.scenes.relations.thresholds import value
from roborefer_vlm.types import BoolArray, Pixel

# Room that is promised around what is put there, metres, and what rounding may take of it.
CLEARANCE_M = 0.02
ROUNDING_M = 0.003
# Share of the picture that the frame around the clear places has to fill.
LEAST_SHARE = 1e-4
# Nearer to the picture's border than this share of its size nobody points.
LEAST_BORDER = 0.015
# Inside a vessel: above the rim by that share of its height is not inside, nor nearer to the
# rim from above than that share of its narrower side.
_BELOW_RIM, _FROM_RIM = 0.3, 0.15


@dataclass(frozen=True, eq=False)
class Wanted:
    """Which place is wanted.

    Attributes:
        constraints: Relations to anchors, by their ids.
        footprint_m: Diameter of what is to be put there.
        frame: Whose left, right, front and behind.
        distance_m: Named distance from the anchor of the first constraint.
        nearest: Of all such places the one nearest to that anchor.
        part: Edge or corner of the surface that it has to be at, or None.
    """

    constraints: tuple[tuple[Relation, tuple[int, ...]], ...]
    footprint_m: float
    frame: Frame = Frame.VIEWER
    distance_m: float | None = None
    nearest: bool = False
    part: TablePart | None = None


@dataclass(frozen=True, eq=False)
class Spot:
    """A proven place.

    Attributes:
        point: x and y in the picture, 0 to 1, three decimals.
        spot: The place itself, scene's frame, metres, shape (3,).
        platform: Id of what it lies on.
        room_m: Distance from what is put there to the next thing; 0 inside a vessel.
        wanted: What it was found for.
    """

    point: tuple[float, float]
    spot: Array
    platform: int
    room_m: float
    wanted: Wanted

    def facts(self) -> dict[str, Any]:
        """Return what proves it, as JSON values."""
        wanted = self.wanted
        constraints = [
            {"relation": relation.value, "frame": wanted.frame.value, "anchors": list(ids)}
            for relation, ids in wanted.constraints
        ]
        return {
            "relation": "+".join(relation.value for relation, _ in wanted.constraints),
            "frame": wanted.frame.value,
            "anchors": [number for _, ids in wanted.constraints for number in ids],
            "constraints": constraints,
            "distance_m": wanted.distance_m,
            "nearest": wanted.nearest,
            "sides": [] if wanted.part is None else [side.value for side in wanted.part.sides],
            "platform": self.platform,
            "spot": [round(float(c), 4) for c in self.spot],
            "footprint_m": wanted.footprint_m,
            "clearance_m": min(CLEARANCE_M, self.room_m),
            "margin": round(self.room_m, 4),
        }


def find_spot(view: View, wanted: Wanted, rng: np.random.Generator) -> Spot | str:
    """Return a place that is wanted, or the reason why there is none."""
    scene = view.scene
    spots = _free_space(view).spots(
        wanted.constraints,
        rng,
        wanted.footprint_m,
        frame=wanted.frame,
        distance_m=wanted.distance_m,
    )
    if not len(spots) or spots.platform is None:
        return spots.reason
    clear = np.array(spots.clear)
    if wanted.part is not None:
        clear &= wanted.part.owns(spots.points)
        if not clear.any():
            return "unclear"
    k = scene.camera.intrinsics
    if np.ptp(spots.pixels[clear], axis=0).prod() < LEAST_SHARE * k.width * k.height:
        return "too small"
    chosen = _chosen(scene, wanted, spots, clear)
    point = _rounded(scene, spots.pixels[chosen])
    if not min(*point, 1 - point[0], 1 - point[1]) >= LEAST_BORDER:
        return "at the border of the picture"
    spot = _on_level(scene, point, float(spots.points[chosen, 2]))
    room = _room(scene, spot, spots.ignored, wanted)
    asked, half = (wanted.frame, wanted.distance_m), wanted.footprint_m / 2
    proven = (
        room >= CLEARANCE_M
        and np.linalg.norm(spot - spots.points[chosen]) <= ROUNDING_M
        and _is_bare(scene, point, spots.ignored)
        and all(a.clear(spot[None])[0] for a in areas_of(scene, wanted.constraints, *asked, half))
    )
    return Spot(point, spot, spots.platform, room, wanted) if proven else "lost by rounding"


def spot_inside(view: View, number: int, phrase: Thing) -> Spot | str:
    """Return a visible place on the floor of a vessel, or the reason why there is none."""
    scene = view.scene
    vessel = scene.object(number)
    pixel = part_pixel(scene, vessel, Part(PartName.INSIDE, phrase))
    if pixel is None or scene.depth_m is None or vessel.mask is None:
        return "hidden"
    point = _rounded(scene, np.array([pixel.u, pixel.v]))
    row, column = _indices(scene, point)
    if not vessel.mask[row, column]:
        return "lost by rounding"
    spot = _lifted(scene, point, float(scene.depth_m[row, column]))
    low = vessel.box.top - spot[2] >= _BELOW_RIM * (vessel.box.top - vessel.box.bottom)
    rim = _FROM_RIM * float(vessel.box.size[:2].min())
    if not low or depth_inside(spot[None, :2], footprint(vessel))[0] < rim:
        return "unclear"
    wanted = Wanted(((Relation.INSIDE, (number,)),), 0.0)
    return Spot(point, spot, number, 0.0, wanted)


@lru_cache(maxsize=4)
def _free_space(view: View) -> FreeSpace:
    return FreeSpace(view.scene, CLEARANCE_M + ROUNDING_M)


def _chosen(scene: Scene, wanted: Wanted, spots: Spots, clear: BoolArray) -> int:
    """Return the index of the answer among the clear places."""
    if wanted.nearest:
        anchor = scene.object(wanted.constraints[0][1][0])
        away = measure(Key.FAR, scene, Places.of_points(spots.points), anchor)
    elif wanted.part is None:
        return spots.best
    else:
        away = np.linalg.norm(spots.points - spots.points[clear].mean(axis=0), axis=1)
    return int(np.where(clear, away, np.inf).argmin())


def _rounded(scene: Scene, pixel: Array) -> tuple[float, float]:
    k = scene.camera.intrinsics
    x, y = Pixel(float(pixel[0]), float(pixel[1])).normalised(k.width, k.height)
    return round(x, 3), round(y, 3)


def _indices(scene: Scene, point: tuple[float, float]) -> tuple[int, int]:
    """Return row and column of a written point; one at the very border is moved inside."""
    k = scene.camera.intrinsics
    return min(int(point[1] * k.height), k.height - 1), min(int(point[0] * k.width), k.width - 1)


def _lifted(scene: Scene, point: tuple[float, float], depth: float) -> Array:
    k = scene.camera.intrinsics
    pixel = Pixel.from_normalised(*point, k.width, k.height)
    ray = np.array([(pixel.u - k.cx) / k.fx, (pixel.v - k.cy) / k.fy, 1.0])
    return np.asarray(scene.camera.to_scene(depth * ray[None])[0])


def _on_level(scene: Scene, point: tuple[float, float], height: float) -> Array:
    """Return where the line of sight through a written point meets a level."""
    eye = scene.camera.position
    step = _lifted(scene, point, 1.0) - eye
    return np.asarray(eye + (height - eye[2]) / step[2] * step)


def _room(scene: Scene, spot: Array, ignored: frozenset[int], wanted: Wanted) -> float:
    """Return the distance from what is put at a spot to the next thing, metres."""
    nearest = np.inf
    for thing in scene.objects:
        higher = thing.box.top > spot[2] + value("contact_blur")
        reaches = higher and thing.box.bottom < spot[2] + value("headroom")
        if reaches and thing.id not in ignored:
            nearest = min(nearest, -float(depth_inside(spot[None, :2], footprint(thing))[0]))
    return float(min(nearest - wanted.footprint_m / 2, 1.0))


def _is_bare(scene: Scene, point: tuple[float, float], ignored: frozenset[int]) -> bool:
    """Tell whether nothing that is in the way is seen at a written point."""
    row, column = _indices(scene, point)
    return not any(
        thing.mask is not None and thing.mask[row, column]
        for thing in scene.objects
        if thing.id not in ignored
    )
