# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a thing fits somewhere, found by trying: the independent check of compatibility."""

from __future__ import annotations

import numpy as np
from _data_world import Body, Relations, Verdict, World, gap

_STEP_M = 0.015
_YAWS = np.deg2rad(np.arange(0, 180, 22.5))
# With so little clearance it must fit where the answer is yes, and with so much where it is no.
_TIGHT_M, _WIDE_M = 0.005, 0.035
_CONES_DEG = (75.0, 30.0)


class Room:
    """Free room in one view."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.relations = Relations(world)

    def fits_beside(
        self, thing: Body, reference: Body, word: str, frame: str, within_m: float | None
    ) -> Verdict:
        """Tell whether a thing fits in a direction from another one, on the same surface."""
        if self._found(thing, reference, word, frame, within_m, easy=False):
            return True
        if not self._found(thing, reference, word, frame, within_m, easy=True):
            return False
        return None

    def _found(
        self, thing: Body, reference: Body, word: str, frame: str, within_m: float | None,
        *, easy: bool,
    ) -> bool:  # fmt: skip
        surface = next(iter(self.world.surfaces.values()))
        narrow = word.startswith("directly_")
        aim = self.world.direction(word.removeprefix("directly_"), frame, reference)
        if aim is None or surface.outline is None:
            return easy
        margin = _TIGHT_M if easy else _WIDE_M
        slack = 0.02 if easy else -0.02
        cone = np.cos(np.deg2rad(_CONES_DEG[0 if easy else 1] / (1 + narrow)))
        reach = 0.5 + thing.size[:2].max() + reference.size[:2].max()
        steps = np.arange(-reach, reach, _STEP_M)
        spots = reference.center[:2] + np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        away = spots - reference.center[:2]
        lengths = np.linalg.norm(away, axis=1)
        spots = spots[(away @ aim[:2] > cone * lengths) & (lengths > 0.01)]
        if not easy:
            spots = spots[self._seen(spots, reference.low)]
        level = reference.low
        obstacles = [
            b
            for b in self.world.bodies.values()
            if b is not thing and b.low < level + thing.height and b.high > level + 0.004
        ]
        for yaw in _YAWS:
            axes = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
            half = thing.size[:2] / 2
            good = _within(spots, axes, half, surface.outline, 0.0 if easy else 0.02)
            free = spots[good]
            for body in obstacles:
                apart = _apart(free, axes, half, body)
                if body is reference and within_m is not None:
                    free = free[(apart >= margin) & (apart <= within_m + slack)]
                else:
                    free = free[apart >= margin]
            if len(free):
                return True
        return False

    def _seen(self, spots: np.ndarray, level: float) -> np.ndarray:
        points = np.column_stack([spots, np.full(len(spots), level)])
        pixels, depths = self.world.project(points)
        columns, rows = np.rint(pixels).astype(int).T
        inside = (columns >= 0) & (rows >= 0) & (depths > 0)
        inside &= (columns < self.world.width) & (rows < self.world.height)
        seen = inside.copy()
        if self.world.depth_m is not None:
            measured = self.world.depth_m[rows[inside], columns[inside]]
            seen[inside] = np.abs(measured - depths[inside]) < 0.02
        return seen

    def fits_between(self, thing: Body, first: Body, second: Body) -> Verdict:
        """Tell whether a thing fits between two others, by the gap between them."""
        wide = gap(first, second)
        if wide < float(thing.size[:2].min()) - 0.003:
            return False
        line = second.center - first.center
        others = [
            b
            for b in self.world.bodies.values()
            if b not in (thing, first, second)
            and b.covers(first.center + line / 2) > -float(np.linalg.norm(line)) / 2
        ]
        return True if not others and wide > np.hypot(*thing.size[:2]) + 0.08 else None

    def fits_upon(self, thing: Body, place: Body) -> Verdict:
        """Tell whether a thing fits on or into another one, by the sizes of both."""
        # What goes into something may be turned upright first.
        sides = np.sort(thing.size)[:2] if place.hollow else np.sort(thing.size[:2])
        room = np.sort(place.size[:2])
        taken = any(
            b is not place and b is not thing and place.covers(b.center) > 0
            and b.low > place.low + 0.002
            for b in self.world.bodies.values()
        )  # fmt: skip
        if (sides > room + 0.003).any():
            # A long thing may still lie across the corners.
            across = sides[1] > float(np.hypot(*room)) or sides[0] > room[0] + 0.003
            return False if across else None
        if not taken and np.hypot(*sides) < 0.6 * room[0]:
            return True
        return None


def _within(
    spots: np.ndarray, axes: np.ndarray, half: np.ndarray, outline: np.ndarray, margin: float
) -> np.ndarray:
    low, high = outline.min(axis=0) + margin, outline.max(axis=0) - margin
    reach = np.abs(axes) @ half
    return ((spots - reach >= low) & (spots + reach <= high)).all(axis=1)


def _apart(spots: np.ndarray, axes: np.ndarray, half: np.ndarray, body: Body) -> np.ndarray:
    """Return the largest gap that an axis of either rectangle shows; no more than the distance."""
    other = body.axes[:2, :2]
    step = body.center[:2] - spots
    gaps = []
    for line in (*axes.T, *other.T):
        reach = np.abs(line @ axes) @ half + np.abs(line @ other) @ (body.size[:2] / 2)
        gaps.append(np.abs(step @ line) - reach)
    return np.max(gaps, axis=0)
