# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""When something is clear enough to be told as true or false, and when it is better not asked.

States are numbers, so that whole scenes are decided at once: 1 is clearly true, 0 clearly false,
0.5 unclear. "And" is the minimum of states, "not" is one minus a state (Kleene's logic).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.program import OrderKey
from roborefer_vlm.scenes.relations import Relation

YES, UNCLEAR, NO = 1.0, 0.5, 0.0


@dataclass(frozen=True)
class Borders:
    """Between which grades a relation is unclear.

    Attributes:
        true_from: Clearly true from this grade on.
        false_to: Clearly false up to this grade.
    """

    true_from: float = 0.9
    false_to: float = 0.1


# Grades that fall like a hyperbola never come near 0 and 1; here is what theirs mean.
_NEARNESS = Borders(0.7, 0.3)  # Gaps below 3/7 and above 7/3 of the reach.
_CONTACT = Borders(0.75, 0.25)  # Gaps below 3 mm and above 3 cm.
_COMPARED = Borders(0.72, 0.28)  # A ratio of sizes of 1.27.
# A thing that stands on another one on the anchor is on it, but not plainly so.
_SUPPORT = Borders(0.9, 0.15)

BORDERS: dict[Relation, Borders] = {
    Relation.NEAR: _NEARNESS,
    Relation.FAR: _NEARNESS,
    Relation.BESIDE: Borders(0.7, 0.3),
    Relation.AROUND: Borders(0.7, 0.3),
    Relation.TOUCH: _CONTACT,
    Relation.FAR_FROM: _CONTACT,
    Relation.TALL: _COMPARED,
    Relation.SHORT: _COMPARED,
    Relation.BIG: _COMPARED,
    Relation.SMALL: _COMPARED,
    Relation.WIDE: _COMPARED,
    Relation.THIN: _COMPARED,
    Relation.ON: _SUPPORT,
    # Within 0.63 of the way from the middle of the lane to its border.
    Relation.BETWEEN: Borders(0.8, 0.1),
}
_PLAIN = Borders()

# Which way a direction goes in the picture, columns or rows; what it says of space has to agree
# with what is seen.
_ACROSS = {
    Relation.LEFT: -1,
    Relation.DIRECTLY_LEFT: -1,
    Relation.RIGHT: 1,
    Relation.DIRECTLY_RIGHT: 1,
}
_DOWN = {Relation.ABOVE: -1, Relation.BELOW: 1}
# Share of the picture's width by which places in it have to differ.
LEAST_STEP = 0.01
# From this share on a thing seen to the left is not told to be not left, wherever it is.
MOST_OPPOSED = 0.04

# Radians between neighbours in a row, seen from the camera: 20 pixels of a usual camera.
LEAST_TURN = 0.035
# Of distances to the camera: the farther by that much of the nearer.
LEAST_FARTHER = 1.05
# Of sizes: the larger by that much of the smaller.
LEAST_LARGER = 1.2
# Of distances to an anchor: by that share of the larger, and of the usual size of things.
LEAST_NEARER = 0.2
LEAST_NEARER_SIZE = 0.15
# Of heights of centres: by that share of the usual size of things.
LEAST_HIGHER = 0.3

_SIZES = (
    OrderKey.TALL,
    OrderKey.SHORT,
    OrderKey.BIG,
    OrderKey.SMALL,
    OrderKey.WIDE,
    OrderKey.NARROW,
    OrderKey.THICK,
    OrderKey.THIN,
    OrderKey.LONG,
)


def decided(relation: Relation, grades: Array) -> Array:
    """Return the state of each grade, shape (N,)."""
    borders = BORDERS.get(relation, _PLAIN)
    states = np.full(len(grades), UNCLEAR)
    states[grades >= borders.true_from] = YES
    states[grades <= borders.false_to] = NO
    return states


def agreeing(relation: Relation, frame: Frame, states: Array, steps: Array, width: int) -> Array:
    """Make unclear what the picture shows otherwise, such as "left" of what is seen right of it.

    Args:
        relation: Which one.
        frame: Whose left and right.
        states: Shape (N,).
        steps: By how many columns and rows each one is right of and below the anchor, pixels,
            shape (N, 2).
        width: Of the picture.
    """
    along: Array | None = None
    most_opposed = MOST_OPPOSED
    if relation in _ACROSS and frame is not Frame.OBJECT:
        along = _ACROSS[relation] * steps[:, 0]
    elif relation in _DOWN and frame is Frame.IMAGE:
        # "Lower in the image than" means the rows and nothing else.
        along, most_opposed = _DOWN[relation] * steps[:, 1], 0.0
    if along is None:
        return states
    with np.errstate(invalid="ignore"):
        shown = along >= LEAST_STEP * width
        opposed = along > most_opposed * width
    states = np.where((states == YES) & ~shown, UNCLEAR, states)
    # Far behind the anchor a thing can be seen left of it and still not be left of it in space.
    return np.where((states == NO) & opposed, UNCLEAR, states)


def apart(key: OrderKey, more: float, less: float, size: float, *, anchored: bool) -> bool:
    """Tell whether two neighbours in an order are clearly in this order.

    Args:
        key: What they are ordered by.
        more: Value of the one that comes first, as `measure` gives it.
        less: Value of the one that comes next.
        size: Usual size of things in the scene, in its unit of length.
        anchored: NEAR and FAR are counted from an anchor, not from the camera.
    """
    step = more - less
    if key in (OrderKey.LEFT, OrderKey.RIGHT, OrderKey.MIDDLE):
        return step >= LEAST_TURN
    if key in (OrderKey.HIGH, OrderKey.LOW):
        return step >= LEAST_HIGHER * size
    larger, smaller = max(abs(more), abs(less)), min(abs(more), abs(less))
    if key in _SIZES:
        return larger >= LEAST_LARGER * smaller
    if anchored:
        return step >= max(LEAST_NEARER * larger, LEAST_NEARER_SIZE * size)
    return larger >= LEAST_FARTHER * smaller
