# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Relations between boxes, written a second time, to check what the data engine claims.

Nothing here is taken from the package but the raw truth of a view: boxes, masks, cameras, depth,
names. Every relation answers True, False, or None on its narrow border, where either may be said.
The borders are narrower than those the data engine keeps clear of, and the definitions simpler.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import acos, degrees, hypot
from typing import Any

import numpy as np

Verdict = bool | None
UP = np.array([0.0, 0.0, 1.0])
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


@dataclass(eq=False)
class Body:
    """A thing, a surface or a spot; a spot is a body without extent."""

    id: int
    center: np.ndarray
    axes: np.ndarray
    size: np.ndarray
    mask: np.ndarray | None = None
    nouns: frozenset[str] = frozenset()
    colors: dict[str, float] = field(default_factory=dict)
    attributes: frozenset[str] = frozenset()
    front: np.ndarray | None = None
    hollow: bool = False
    outline: np.ndarray | None = None

    @classmethod
    def spot(cls, point: np.ndarray) -> Body:
        """Return a place without extent."""
        return cls(-1, np.asarray(point, float), np.eye(3), np.zeros(3))

    @property
    def corners(self) -> np.ndarray:
        """The corners, shape (8, 3)."""
        return self.center + (_SIGNS * self.size / 2) @ self.axes.T

    @property
    def low(self) -> float:
        """Lowest z."""
        return float(self.corners[:, 2].min())

    @property
    def high(self) -> float:
        """Highest z."""
        return float(self.corners[:, 2].max())

    @property
    def height(self) -> float:
        """Vertical extent."""
        return self.high - self.low

    @property
    def visible(self) -> bool:
        """Whether anything of it is in the picture."""
        return self.mask is not None and bool(self.mask.any())

    def samples(self) -> np.ndarray:
        """Points all over the box, shape (N, 3)."""
        steps = np.linspace(-0.5, 0.5, 11)
        grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        grid = grid[np.abs(grid).max(axis=1) > 0.499]
        return self.center + (grid * self.size) @ self.axes.T

    def outside(self, points: np.ndarray) -> np.ndarray:
        """Return how far points, shape (N, 3), are outside the box, metres, shape (N,)."""
        local = np.abs((points - self.center) @ self.axes)
        return np.linalg.norm(np.maximum(local - self.size / 2, 0), axis=1)

    def covers(self, point: np.ndarray) -> float:
        """Return how deep a point lies within the footprint; negative outside; metres."""
        if self.outline is not None:
            return depth_in_polygon(point[:2], self.outline)
        local = np.abs((point - self.center) @ self.axes)[:2]
        gaps = self.size[:2] / 2 - local
        return float(gaps.min()) if gaps.min() >= 0 else -float(hypot(*np.minimum(gaps, 0)))


class World:
    """The raw truth of one view."""

    def __init__(self, view: Any) -> None:
        scene = view.scene
        k = scene.camera.intrinsics
        self.width, self.height = k.width, k.height
        self.k = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1.0]])
        self.pose = np.asarray(scene.camera.t_scene_optical, float)
        self.depth_m = scene.depth_m
        self.bodies = {
            thing.id: Body(
                thing.id, np.asarray(thing.box.center, float), np.asarray(thing.box.rotation),
                np.asarray(thing.box.size, float), thing.mask,
                frozenset(n for n in (*view.nouns.get(thing.id, ()), thing.name) if n)
                | frozenset(view.kinds.get(thing.id, ())),
                dict(thing.colors), frozenset(thing.attributes), thing.front, thing.hollow,
            )
            for thing in scene.objects
        }  # fmt: skip
        self.surfaces = {}
        for surface in scene.surfaces:
            low, high = surface.outline.min(axis=0), surface.outline.max(axis=0)
            center = np.array([*(low + high) / 2, surface.height])
            self.surfaces[surface.id] = Body(
                surface.id, center, np.eye(3), np.array([*(high - low), 0.0]), surface.mask,
                frozenset({surface.name}), outline=surface.outline,
            )  # fmt: skip
        centers = np.array([body.center for body in self.bodies.values()]).reshape(-1, 3)
        self.spread = float(np.linalg.norm(np.ptp(centers, axis=0))) if len(centers) else 0.0

    def body(self, number: int) -> Body:
        """Return a thing or surface by its id."""
        return self.bodies.get(number) or self.surfaces[number]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels, shape (N, 2), and depths, shape (N,), of points of the scene."""
        optical = (np.atleast_2d(points) - self.pose[:3, 3]) @ self.pose[:3, :3]
        flat = optical @ self.k.T
        return flat[:, :2] / flat[:, 2:], optical[:, 2]

    def frame_in_picture(self, body: Body) -> np.ndarray:
        """Return left, top, right, bottom of the projected box."""
        pixels, _ = self.project(body.corners)
        return np.array([*pixels.min(axis=0), *pixels.max(axis=0)])

    def lifted(self, x: float, y: float, height: float) -> np.ndarray | None:
        """Return where the ray through a normalised point meets a level, or None."""
        pixel = np.array([x * self.width - 0.5, y * self.height - 0.5, 1.0])
        ray = self.pose[:3, :3] @ np.linalg.solve(self.k, pixel)
        if ray[2] >= -1e-9:
            return None
        return self.pose[:3, 3] + ray * (height - self.pose[2, 3]) / ray[2]

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """Return row and column of a normalised point."""
        return int(y * self.height), int(x * self.width)

    def direction(self, word: str, frame: str, anchor: Body) -> np.ndarray | None:
        """Return the horizontal unit vector of left, right, front or behind; None: no face."""
        if frame == "world":
            front = np.array([-1.0, 0, 0])
            left = np.array([0, 1.0, 0])
        elif frame == "object":
            if anchor.front is None or hypot(*anchor.front[:2]) < 0.3:
                return None
            front = _level(anchor.front)
            left = np.cross(UP, front)
        else:
            ahead = self.pose[:3, 2]
            if hypot(*ahead[:2]) < 0.2:
                ahead = -self.pose[:3, 1]
            front = -_level(ahead)
            left = -_level(self.pose[:3, 0])
        return {"left": left, "right": -left, "front": front, "behind": -front}[word]


def gap(a: Body, b: Body) -> float:
    """Return the distance between two boxes, metres."""
    return float(min(b.outside(a.samples()).min(), a.outside(b.samples()).min()))


def depth_in_polygon(point: np.ndarray, outline: np.ndarray) -> float:
    """Return how deep a point lies within a convex polygon; negative outside; metres."""
    ends = np.roll(outline, -1, axis=0)
    edges = ends - outline
    area = float(np.sum(outline[:, 0] * ends[:, 1] - ends[:, 0] * outline[:, 1]))
    normals = np.stack([-edges[:, 1], edges[:, 0]], 1) * np.sign(area)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return float(((point - outline) * normals).sum(axis=1).min())


def grey(value: float, border: float, slack: float) -> Verdict:
    """Return whether a value is above a border, None within the slack."""
    return None if abs(value - border) <= slack else bool(value > border)


def both(*verdicts: Verdict) -> Verdict:
    """And."""
    if any(v is not None and not v for v in verdicts):
        return False
    return None if any(v is None for v in verdicts) else True


def negated(verdict: Verdict) -> Verdict:
    """Not."""
    return None if verdict is None else not verdict


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle between two vectors, degrees."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 180.0 if lengths < 1e-9 else degrees(acos(np.clip(float(a @ b) / lengths, -1, 1)))


def _level(vector: np.ndarray) -> np.ndarray:
    flat = np.array([vector[0], vector[1], 0.0])
    return flat / np.linalg.norm(flat)


def _tolerance(metres: float) -> float:
    return max(0.03, 0.15 * metres)


class Relations:
    """All relations in one view."""

    def __init__(self, world: World) -> None:
        self.world = world

    def holds(
        self,
        relation: str,
        body: Body,
        anchors: list[Body],
        frame: str = "viewer",
        distance_m: float | None = None,
    ) -> Verdict:
        """Tell whether a body is in a relation to anchors; None: on the border.

        Raises:
            KeyError: The relation is not known here.
        """
        if any(anchor is body for anchor in anchors):
            return False
        narrow = relation.startswith("directly_")
        word = relation.removeprefix("directly_")
        if word in ("left", "right", "front", "behind", "above", "below"):
            return self._directed(word, body, anchors[0], frame, narrow, distance_m)
        check = getattr(self, f"_{relation}", None)
        if check is None:
            raise KeyError(f"relation '{relation}' has no independent check")
        verdict: Verdict = check(body, anchors, distance_m)
        return verdict

    def _directed(
        self, word: str, body: Body, anchor: Body, frame: str, narrow: bool,
        distance_m: float | None,
    ) -> Verdict:  # fmt: skip
        border = 32.0 if narrow else 62.0
        if frame == "image":
            mine, other = self.world.frame_in_picture(body), self.world.frame_in_picture(anchor)
            step = (mine[:2] + mine[2:] - other[:2] - other[2:]) / 2
            aim = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}[word]
            return grey(border - angle_between(step, np.array(aim)), 0, 8)
        if word in ("above", "below"):
            aim3 = UP if word == "above" else -UP
            step3 = body.center - anchor.center
            return grey(border - angle_between(step3, aim3), 0, 8)
        aim3 = self.world.direction(word, frame, anchor)
        if aim3 is None:
            return None
        if distance_m is not None:
            along = (body.corners @ aim3).min() - (anchor.corners @ aim3).max()
            side = np.cross(aim3, UP)
            across = abs(float((body.center - anchor.center) @ side))
            reach = (np.ptp(body.corners @ side) + np.ptp(anchor.corners @ side)) / 2
            tolerance = _tolerance(distance_m)
            return both(
                grey(1.5 * tolerance - abs(along - distance_m), 0, 0.5 * tolerance),
                grey(reach + 0.02 - across, 0, 0.02),
            )
        # One within or over the other is not beside it.
        deepest = max(anchor.covers(body.center), body.covers(anchor.center))
        step3 = (body.center - anchor.center) * (1, 1, 0)
        return both(grey(border - angle_between(step3, aim3), 0, 8), grey(-deepest, 0, 0.01))

    def _reach(self, body: Body, anchor: Body) -> float:
        longest = max(float(body.size.max()), float(anchor.size.max()))
        return max(0.05, min(1.5 * longest, 0.35 * self.world.spread))

    def _near(self, body: Body, anchors: list[Body], distance_m: float | None) -> Verdict:
        if not anchors:
            away = [self._away(other) for other in self.world.bodies.values()]
            return grey(float(np.median(away)) - self._away(body), 0, 0.02)
        distance = gap(body, anchors[0])
        border = self._reach(body, anchors[0]) if distance_m is None else distance_m + 0.015
        return grey(border - distance, 0, 0.25 * border)

    def _far(self, body: Body, anchors: list[Body], distance_m: float | None) -> Verdict:
        return negated(self._near(body, anchors, distance_m))

    def _away(self, body: Body) -> float:
        return float(np.linalg.norm(body.center - self.world.pose[:3, 3]))

    def _beside(self, body: Body, anchors: list[Body], distance_m: float | None) -> Verdict:
        anchor = anchors[0]
        if distance_m is None:
            close = self._near(body, anchors, None)
        else:
            close = self._distance(body, anchors, distance_m)
        apart = max(body.low - anchor.high, anchor.low - body.high, 0.0)
        level = grey(0.8 * max(body.height, anchor.height, 0.05) - apart, 0, 0.01)
        deepest = max(anchor.covers(body.center), body.covers(anchor.center))
        return both(close, level, grey(-deepest, 0, 0.01))

    def _around(self, body: Body, anchors: list[Body], distance_m: float | None) -> Verdict:
        deepest = max(anchors[0].covers(body.center), body.covers(anchors[0].center))
        return both(self._near(body, anchors, None), grey(-deepest, 0, 0.01))

    def _distance(self, body: Body, anchors: list[Body], distance_m: float | None) -> Verdict:
        assert distance_m is not None
        tolerance = _tolerance(distance_m)
        off = abs(gap(body, anchors[0]) - distance_m)
        return grey(1.5 * tolerance - off, 0, 0.5 * tolerance)

    def _touch(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return grey(0.012 - gap(body, anchors[0]), 0, 0.008)

    def _far_from(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return negated(self._touch(body, anchors, None))

    def _between(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        a, b = anchors[0].center, anchors[1].center
        line = b - a
        length = float(np.linalg.norm(line))
        if length < 1e-6:
            return None
        share = float((body.center - a) @ line) / length**2
        off = body.center - a - share * line
        if abs(line[2]) < 0.5 * length:
            off = off * (1, 1, 0)
        wide = max(float(np.linalg.norm(t.size[:2])) / 2 for t in anchors)
        return both(
            grey(min(share, 1 - share), 0.06, 0.06),
            grey(wide + 0.1 * length - float(np.linalg.norm(off)), 0, 0.25 * wide),
        )

    def _on(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        anchor = anchors[0]
        over = grey(anchor.covers(body.center), 0, 0.01)
        rise = body.low - anchor.high
        if anchor.outline is not None:
            # What stands on something that stands there is on it, in a way.
            return both(over, True if abs(rise) < 0.012 else None if rise > 0 else False)
        # In a flat dish the bottom is below the rim, yet above the dish's own bottom.
        raised = body.low > anchor.low + 0.002
        # What is deep in something is in it, and nobody says on.
        within = anchor.hollow and rise < -0.5 * anchor.height
        return both(over, grey(0.02 - rise, 0, 0.01), raised, not within)

    def _under(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        anchor = anchors[0]
        if anchor.outline is not None:
            return body.high < anchor.high
        over = max(anchor.covers(body.center), body.covers(anchor.center))
        lower = grey(anchor.center[2] - body.center[2], 0, 0.005)
        return both(grey(over, 0, 0.01), lower, grey(anchor.low - body.high, -0.06, 0.06))

    def _inside(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        anchor = anchors[0]
        if anchor.outline is not None:
            return False
        over = grey(anchor.covers(body.center), 0, 0.01)
        floor = body.low > anchor.low - 0.005
        depth = grey(anchor.high - body.low, 0.1 * anchor.height, 0.1 * anchor.height)
        return both(over, floor, depth, True if anchor.hollow else None)

    def _outside(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return negated(self._inside(body, anchors, None))

    def _compared(self, body: Body, anchors: list[Body], key: str, sign: int) -> Verdict:
        mine = self.order_value(key, body, None)
        others = [self.order_value(key, t, None) for t in anchors]
        if not others:
            others = [
                float(
                    np.median([self.order_value(key, t, None) for t in self.world.bodies.values()])
                )
            ]
        other = max(others) if sign > 0 else min(others)
        ratio = max(mine, 1e-3) / max(other, 1e-3)
        return grey(sign * float(np.log(ratio)), 0, 0.05)

    def _tall(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._compared(body, anchors, "tall", 1)

    def _short(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._compared(body, anchors, "tall", -1)

    def _big(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._compared(body, anchors, "big", 1)

    def _small(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._compared(body, anchors, "big", -1)

    def _wide(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._compared(body, anchors, "wide", 1)

    def _thin(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._compared(body, anchors, "wide", -1)

    def _facing(self, body: Body, anchors: list[Body]) -> float | None:
        if body.front is None or hypot(*body.front[:2]) < 0.3:
            return None
        goal = anchors[0].center if anchors else self.world.pose[:3, 3]
        return angle_between(body.front * (1, 1, 0), (goal - body.center) * (1, 1, 0))

    def _face(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        angle = self._facing(body, anchors)
        return False if angle is None else grey(45 - angle, 0, 8)

    def _back(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        angle = self._facing(body, anchors)
        return False if angle is None else grey(angle - 135, 0, 8)

    def _depth(self, body: Body, anchors: list[Body], distance_m: float | None) -> Verdict:
        assert distance_m is not None
        depth = float(self.world.project(body.center)[1][0])
        if anchors:
            depth -= float(self.world.project(anchors[0].center)[1][0])
        tolerance = _tolerance(abs(distance_m))
        return grey(1.5 * tolerance - abs(depth - distance_m), 0, 0.5 * tolerance)

    def _edge(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        deep = anchors[0].covers(body.center)
        size = float(anchors[0].size[:2].min())
        return both(grey(deep, 0, 0.01), grey(0.2 * size - deep, 0, 0.06 * size))

    def _corner(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        anchor = anchors[0]
        deep = anchor.covers(body.center)
        local = anchor.size[:2] / 2 - np.abs((body.center - anchor.center) @ anchor.axes)[:2]
        share = float((local / anchor.size[:2]).max())
        return both(grey(deep, 0, 0.01), grey(0.32 - share, 0, 0.08))

    def _middle(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        if len(anchors) == 1:
            anchor = anchors[0]
            local = np.abs((body.center - anchor.center) @ anchor.axes)[:2] / anchor.size[:2] * 2
            return grey(0.5 - float(local.max()), 0, 0.15)
        bodies = anchors or list(self.world.bodies.values())
        spots = np.array([t.corners[:, :2] for t in bodies]).reshape(-1, 2)
        low, high = spots.min(axis=0), spots.max(axis=0)
        share = np.abs(body.center[:2] - (low + high) / 2) / (high - low) * 2
        return grey(0.5 - float(share.max()), 0, 0.15)

    def _part(self, body: Body, anchor: Body, word: str) -> Verdict:
        aim = self.world.direction(word, "viewer", anchor)
        assert aim is not None
        step = float((body.center - anchor.center) @ aim)
        return both(grey(anchor.covers(body.center), 0, 0.01), grey(step, 0, 0.01))

    def _left_part(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._part(body, anchors[0], "left")

    def _right_part(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._part(body, anchors[0], "right")

    def _front_part(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._part(body, anchors[0], "front")

    def _back_part(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return self._part(body, anchors[0], "behind")

    def _free_space(self, body: Body, anchors: list[Body], _: float | None) -> Verdict:
        return True

    def order_value(self, key: str, body: Body, anchor: Body | None) -> float:
        """Return by how much a body is what a superlative says.

        Raises:
            KeyError: The key is not known here.
        """
        opposite = {"right": "left", "low": "high", "near": "far", "short": "tall",
                    "small": "big", "narrow": "wide", "thin": "thick"}  # fmt: skip
        if key in opposite:
            return -self.order_value(opposite[key], body, anchor)
        sides = body.size
        if key in ("left", "middle"):
            return -float(self.world.project(body.center)[0][0, 0]) / self.world.width
        if key == "high":
            return float(body.center[2])
        if key == "far":
            return self._away(body) if anchor is None else gap(body, anchor)
        values = {
            "tall": body.height,
            "big": float(np.sqrt(sides[0] * sides[1] + sides[1] * sides[2] + sides[2] * sides[0])),
            "wide": float(sides[:2].max()),
            "long": float(sides.max()),
            "thick": float(sides.min()),
        }
        return values[key]
