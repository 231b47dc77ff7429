# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's spatial context and compatibility: free points around a thing, and what fits.

The directions are the benchmark's (arXiv 2411.16537): beyond the whole extent of the reference.
Different from it, visibility is depth-ordered, the reference does not hide its own surroundings,
clearance is a real margin in metres, points and pixels come in pairs, and the surface under the
reference is no obstacle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame, axes_of
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject, Surface
from roborefer_vlm.scenes.places import Places, footprint
from roborefer_vlm.scenes.polygons import convex_hull, depth_inside
from roborefer_vlm.scenes.relations.configuration import corner_depths, silhouette
from roborefer_vlm.scenes.relations.names import Relation
from roborefer_vlm.scenes.relations.sight import visible
from roborefer_vlm.scenes.relations.thresholds import value

DIRECTIONS = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
_YAWS = np.deg2rad([0, 45, 90])


@dataclass(frozen=True, eq=False)
class FreePoints:
    """Points of free space with the pixels that show them.

    Attributes:
        points: Shape (N, 3), the scene's frame, metres.
        pixels: Shape (N, 2), u and v of the same points.
    """

    points: Array
    pixels: Array

    def __len__(self) -> int:
        return len(self.points)

    def drawn(self, count: int, seed: int) -> FreePoints:
        """Draw at most that many of them without repetition, uniformly."""
        chosen = np.random.default_rng(seed).permutation(len(self))[:count]
        return FreePoints(self.points[chosen], self.pixels[chosen])


@dataclass(frozen=True, eq=False)
class Fit:
    """Where a thing would stand.

    Attributes:
        position: Middle of its footprint on the support, shape (3,), metres.
        yaw_rad: By how much it is turned about up from how it stands now.
        clearance_m: Horizontal distance to the nearest obstacle; infinite without any.
    """

    position: Array
    yaw_rad: float
    clearance_m: float


def spatial_context(
    scene: Scene,
    reference: SceneObject,
    direction: Relation,
    frame: Frame = Frame.VIEWER,
    *,
    surface: Surface | None = None,
    radius_m: float | None = None,
) -> FreePoints:
    """Return the visible free points at the foot of a thing, in a direction from it.

    Args:
        scene: Where all of it is.
        reference: The thing.
        direction: LEFT, RIGHT, FRONT or BEHIND. In the viewer's and the world's frame left and
            right are beyond its silhouette in the picture, front and behind beyond the depths of
            its corners; in its own frame beyond its extent along its axes.
        frame: VIEWER, WORLD (the same) or OBJECT.
        surface: Where the points have to lie on; None: anywhere.
        radius_m: How far from its footprint; None: RoboSpatial's.

    Raises:
        QueryError: Another direction or frame, or the reference is not in the image.
    """
    radius = value("context_radius") if radius_m is None else radius_m
    points = _around(scene, reference, direction, frame, surface, radius)
    return _visible(scene, reference, points)


def fit_beside(
    scene: Scene,
    thing: SceneObject,
    reference: SceneObject,
    direction: Relation,
    frame: Frame = Frame.VIEWER,
    *,
    surface: Surface | None = None,
    clearance_m: float | None = None,
) -> Fit | None:
    """Return where a thing fits beside another one, with the most room; None: it does not.

    Its footprint is tried at 0, 45 and 90 degrees at every free point in the direction. It must
    keep the clearance from everything that reaches into its height, from the reference too, and
    lie on the surface if there is one. The middle of its place must not be hidden by something
    nearer to the camera.

    Args:
        scene: Where all of it is; the thing itself is no obstacle.
        thing: What is to be placed.
        reference: What it is to be beside.
        direction: LEFT, RIGHT, FRONT or BEHIND.
        frame: VIEWER, WORLD or OBJECT.
        surface: Where it has to stand; None: at the foot of the reference, anywhere.
        clearance_m: Least distance; None: that of the table of thresholds.

    Raises:
        QueryError: As for spatial_context.
    """
    margin = value("fit_clearance") if clearance_m is None else clearance_m
    size = float(thing.box.size[:2].max() + reference.box.size[:2].max())
    radius = value("context_radius") + size / 2
    points = _around(scene, reference, direction, frame, surface, radius, ignored=(thing.id,))
    points = _visible(scene, reference, points, ignored=(thing.id,)).points
    level = reference.box.bottom
    obstacles = _obstacles(scene, level, thing.box.top - thing.box.bottom, (thing.id,))
    outline = footprint(surface) if surface is not None else None
    return _roomiest(thing, points, [footprint(o) for o in obstacles], outline, margin)


def fit_on_top(
    scene: Scene,
    thing: SceneObject,
    carrier: SceneObject | Surface,
    *,
    clearance_m: float | None = None,
) -> Fit | None:
    """Return where a thing fits on top of another one or a surface; None: it does not.

    At one of three yaws its whole footprint lies on the carrier's top and keeps the clearance
    from what stands there.
    """
    margin = value("fit_clearance") if clearance_m is None else clearance_m
    level = float(Places.of_objects([carrier]).tops[0])
    outline = footprint(carrier)
    grid = _grid(outline.min(axis=0), outline.max(axis=0), level, value("context_cell") / 2)
    obstacles = _obstacles(scene, level, thing.box.top - thing.box.bottom, (thing.id, carrier.id))
    return _roomiest(thing, grid, [footprint(o) for o in obstacles], outline, margin)


def _around(
    scene: Scene,
    reference: SceneObject,
    direction: Relation,
    frame: Frame,
    surface: Surface | None,
    radius: float,
    ignored: Sequence[int] = (),
) -> Array:
    """Return the free points of a grid around a thing in a direction, shape (N, 3)."""
    if direction not in DIRECTIONS:
        raise QueryError(f"direction is '{direction}'; use {', '.join(DIRECTIONS)}")
    if not (np.isfinite(radius) and radius > 0):
        raise QueryError(f"radius_m is {radius}; more than 0 metres are needed")
    outline = footprint(reference)
    level = reference.box.bottom
    low, high = outline.min(axis=0) - radius, outline.max(axis=0) + radius
    points = _grid(low, high, level, value("context_cell"))
    free = depth_inside(points[:, :2], outline) >= -radius
    if surface is not None:
        free &= depth_inside(points[:, :2], footprint(surface)) >= 0
    height = reference.box.top - level
    for other in _obstacles(scene, level, height, (*ignored, reference.id)):
        free &= depth_inside(points[:, :2], footprint(other)) < 0
    points = points[free]
    return points[_in_direction(scene, reference, direction, frame, points)]


def _in_direction(
    scene: Scene, reference: SceneObject, direction: Relation, frame: Frame, points: Array
) -> npt.NDArray[np.bool_]:
    if frame is Frame.IMAGE:
        raise QueryError("frame 'image' is not one of RoboSpatial's: viewer, world, object")
    if frame is Frame.OBJECT:
        axes = axes_of(frame, scene, reference)
        word = axes.left if direction in (Relation.LEFT, Relation.RIGHT) else axes.front
        word = -word if direction in (Relation.RIGHT, Relation.BEHIND) else word
        return np.asarray(points @ word > (reference.box.corners @ word).max() + 1e-4)
    pixels, depths = scene.camera.project(points)
    if direction in (Relation.LEFT, Relation.RIGHT):
        seen = silhouette(scene, reference)
        if direction is Relation.LEFT:
            return np.asarray(pixels[:, 0] < seen.low[0])
        return np.asarray(pixels[:, 0] > seen.high[0])
    own = corner_depths(scene, reference)
    return np.asarray(depths < own.min() if direction is Relation.FRONT else depths > own.max())


def _visible(
    scene: Scene, reference: SceneObject, points: Array, ignored: Sequence[int] = ()
) -> FreePoints:
    """Keep the points in the image that nothing nearer hides.

    The reference's own box hides nothing, being only about where it is.
    """
    seen, pixels = visible(scene, points, ignored=(reference.id, *ignored))
    return FreePoints(points[seen], pixels[seen])


def _obstacles(
    scene: Scene, level: float, height: float, ignored: Sequence[int]
) -> list[SceneObject]:
    """Return the things that reach into a layer above a support."""
    return [
        thing
        for thing in scene.objects
        if thing.id not in ignored
        and thing.box.top > level + value("contact_blur")
        and thing.box.bottom < level + height
    ]


def _roomiest(
    thing: SceneObject, points: Array, obstacles: list[Array], outline: Array | None, margin: float
) -> Fit | None:
    """Return the placement with the largest clearance, if any keeps the margin."""
    shape = footprint(thing)
    shape = shape - (shape.min(axis=0) + shape.max(axis=0)) / 2
    best: Fit | None = None
    if not len(points):
        return None
    for yaw in _YAWS:
        turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        turned = shape @ turn.T
        room = np.full(len(points), np.inf)
        for obstacle in obstacles:
            # Two convex shapes are as far apart as a point is from their Minkowski difference.
            blocked = convex_hull((obstacle[:, None] - turned[None]).reshape(-1, 2))
            room = np.minimum(room, -depth_inside(points[:, :2], blocked))
        fits = room >= margin
        if outline is not None:
            for corner in turned:
                fits &= depth_inside(points[:, :2] + corner, outline) >= 0
        if fits.any():
            chosen = int(np.where(fits, room, -np.inf).argmax())
            if best is None or room[chosen] > best.clearance_m:
                best = Fit(points[chosen], float(yaw), float(room[chosen]))
    return best


def _grid(low: Array, high: Array, level: float, cell: float) -> Array:
    """Return the nodes of a grid at a height, shape (N, 3)."""
    axes = [np.arange(start, end + cell / 2, cell) for start, end in zip(low, high, strict=True)]
    x, y = (axis.ravel() for axis in np.meshgrid(*axes))
    return np.column_stack([x, y, np.full(len(x), level)])
