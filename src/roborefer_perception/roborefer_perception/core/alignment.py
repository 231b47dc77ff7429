# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lays a print onto a sheet to a fraction of an element, and judges whether it is the target."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from roborefer_perception.core.camera import Array
from roborefer_perception.core.sheets import Plane, Print, Sheet
from roborefer_perception.core.types import Mask

_STEPS = 6
_STILL = 0.02
# Neighbouring elements err alike; so many of them are worth one.
_ALIKE = 9.0
# Depth comes in steps, which all of a surface take together; their standard deviation, metres.
_STEP_M = 1e-3
# The same for what interpolation leaves, elements.
_STEP = 0.2
# Differences beyond so many steps hardly count.
_ROBUST = 2.5


@dataclass(frozen=True)
class Likeness:
    """What counts as the same look.

    Attributes:
        colour_sigma: Usual difference of red, green and blue, levels of 255.
        relief_sigma_m: Usual difference of depth, metres.
        most_relief_m: Greatest difference of depth that is told from a greater one, metres.
        turn_sigma: Usual turn between two pictures, radians.
        shift_sigma: Usual distance from the place that was found coarsely, elements.
    """

    colour_sigma: float = 10.0
    relief_sigma_m: float = 0.006
    most_relief_m: float = 0.04
    turn_sigma: float = 0.05
    shift_sigma: float = 6.0


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a print lies on a sheet.

    Attributes:
        x: Column on the sheet of the target's point.
        y: Row.
        turn: Of the target about its axis, radians.
        farther_m: Depth of the target minus that of the sheet's place.
        covariance: Of x and y, elements squared, shape (2, 2).
        farther_sigma_m: Of farther_m.
        visible: Share of the target that is in the picture and not hidden.
        alike: Share of the visible part that looks like the print.
        agreeing: Elements that do, shape of the print.
    """

    x: float
    y: float
    turn: float
    farther_m: float
    covariance: Array
    farther_sigma_m: float
    visible: float
    alike: float
    agreeing: Mask


def align(
    target: Print,
    sheet: Sheet,
    begin: tuple[float, float],
    most_farther_m: float,
    likeness: Likeness,
) -> Alignment:
    """Find the place and turn at which the print fits best, from one that is nearly right.

    Args:
        target: The print.
        sheet: Of the same grain.
        begin: Column and row on the sheet at which to begin.
        most_farther_m: By how much the target may be farther or nearer than the sheet's place.
        likeness: What counts as the same.
    """
    known = target.sheet
    across, down = target.slopes
    prior = np.diag([likeness.shift_sigma**-2, likeness.shift_sigma**-2, likeness.turn_sigma**-2])
    start = np.array([*begin, 0.0])
    at = start.copy()
    radius = max(known.middle)
    hessian = prior
    for _ in range(_STEPS):
        colour, relief, deep, inside = _look(target, sheet, at)
        farther = _farther(target, relief, deep, most_farther_m, likeness)
        unlike = (colour - known.colour) / np.float32(likeness.colour_sigma)
        hidden = _hidden(target, relief - np.float32(farther), deep, likeness)
        weight = target.weight * (inside & ~hidden)
        limit = likeness.most_relief_m
        step = np.clip(relief - np.float32(farther), -limit, limit)
        step = (step - np.clip(known.relief, -limit, limit)) / np.float32(likeness.relief_sigma_m)
        both = deep & known.deep
        size = np.sqrt((unlike**2).sum(axis=-1) / 3 + np.where(both, step, 0) ** 2)
        weight = weight / (1 + (size / _ROBUST) ** 2) / _ALIKE
        # How the picture would change if the print moved on: as the print itself does.
        wide, high = across / likeness.colour_sigma, down / likeness.colour_sigma
        swing = wide * target.flow[..., :1] + high * target.flow[..., 1:]
        changes = np.stack([wide, high, swing], axis=-1).reshape(-1, 3, 3)
        weighted = changes * weight.reshape(-1, 1, 1)
        flat = changes.reshape(-1, 3)
        hessian = weighted.reshape(-1, 3).T @ flat + prior
        slope = weighted.reshape(-1, 3).T @ unlike.reshape(-1)
        move = -np.linalg.solve(hessian, slope + prior @ (at - start))
        length = float(np.hypot(move[0], move[1]))
        at = at + move * min(1.0, 2.0 / max(length, 1e-9))
        # The rim of the target moves, too, when it turns.
        if length + abs(float(move[2])) * radius < _STILL:
            break
    return _judge(target, sheet, at, most_farther_m, hessian, likeness)


def _look(target: Print, sheet: Sheet, at: Array) -> tuple[Plane, Plane, Mask, Mask]:
    """Colour, relief, whether it was measured and whether it is inside, as the print lies."""
    rows, columns = target.on.shape
    left, top = target.sheet.middle
    x = np.arange(columns, dtype=np.float32) + np.float32(at[0] - left)
    y = np.arange(rows, dtype=np.float32) + np.float32(at[1] - top)
    moved = target.flow * np.float32(at[2])
    across, down = moved[..., 0] + x, moved[..., 1] + y[:, None]
    colour = cv2.remap(sheet.colour, across, down, cv2.INTER_LINEAR)
    # Depth must not be mixed across holes and edges.
    layers = np.dstack([sheet.relief, sheet.deep, sheet.inside]).astype(np.float32)
    found = cv2.remap(layers, across, down, cv2.INTER_NEAREST)
    relief = found[..., 0].astype(np.float32)
    return colour.astype(np.float32), relief, found[..., 1] > 0, found[..., 2] > 0


def _farther(target: Print, relief: Plane, deep: Mask, most_m: float, likeness: Likeness) -> float:
    """By how much the target is farther away than the place of the sheet, as the print lies."""
    both = target.on & deep & target.sheet.deep
    change = (relief - target.sheet.relief)[both]
    change = change[np.abs(change) < most_m]
    if not len(change):
        return 0.0
    # The most frequent change is that of the target, also when half of it is hidden.
    width = likeness.most_relief_m / 4
    bins = ((change + most_m) / width).astype(np.intp)
    counts = np.convolve(np.bincount(bins), np.ones(3), "same")
    peak = (int(counts.argmax()) + 0.5) * width - most_m
    near = change[np.abs(change - peak) < 2 * width]
    return float(np.median(near if len(near) else change))


def _hidden(target: Print, relief: Plane, deep: Mask, likeness: Likeness) -> Mask:
    """Where something is in front of the target."""
    return np.asarray(deep & (relief < target.surface - np.float32(likeness.most_relief_m)))


def _judge(
    target: Print,
    sheet: Sheet,
    at: Array,
    most_farther_m: float,
    hessian: Array,
    likeness: Likeness,
) -> Alignment:
    known = target.sheet
    colour, relief, deep, inside = _look(target, sheet, at)
    farther = _farther(target, relief, deep, most_farther_m, likeness)
    both = deep & known.deep
    change = relief - np.float32(farther) - known.relief
    hidden = _hidden(target, relief - np.float32(farther), deep, likeness)
    visible = target.on & inside & ~hidden
    difference = np.sqrt(((colour - known.colour) ** 2).mean(axis=-1))
    same = difference < 3 * likeness.colour_sigma
    same &= ~both | (np.abs(change) < 3 * likeness.relief_sigma_m)
    agreeing = visible & same
    steady = change[agreeing & both]
    count = max(len(steady) / _ALIKE, 1.0)
    scatter = float(np.median(np.abs(steady)) * 1.48) if len(steady) > 8 else 0.02
    return Alignment(
        float(at[0]), float(at[1]), float(at[2]), farther,
        np.asarray(np.linalg.inv(hessian)[:2, :2], float) + _STEP**2 * np.eye(2),
        float(np.hypot(scatter / np.sqrt(count), _STEP_M)),
        float(visible.sum() / max(int(target.on.sum()), 1)),
        float(agreeing.sum() / max(int(visible.sum()), 1)), agreeing,
    )  # fmt: skip
