# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Every threshold of the spatial relations, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians


@dataclass(frozen=True)
class Threshold:
    """One number.

    Attributes:
        value: In the unit.
        unit: "m", "rad", or "1" for shares and ratios.
        reason: Why it is this large.
    """

    value: float
    unit: str
    reason: str


THRESHOLDS: dict[str, Threshold] = {
    "cone": Threshold(
        radians(60),
        "rad",
        "A diagonal neighbour is both left of and in front of a thing, so each cone is wider than"
        " the 45 degrees that would split the plane; beyond 60 people name the other direction.",
    ),
    "narrow_cone": Threshold(
        radians(30),
        "rad",
        "Half of the wide cone: 'directly' leaves diagonal neighbours out.",
    ),
    "proximity_weight": Threshold(
        0.6,
        "1",
        "Share of a direction's score above 0.5 that is lost with distance: an aligned thing far"
        " away still wins over one at the border of the cone, not over a near one at 30 degrees.",
    ),
    "narrow_proximity_weight": Threshold(
        0.8,
        "1",
        "'Directly' also asks for the next one, so distance counts more.",
    ),
    "reach": Threshold(
        1.5,
        "1",
        "Near is within one and a half lengths of the larger of the two things.",
    ),
    "scene_reach": Threshold(
        0.35,
        "1",
        "Near is never more than about a third of the spread of the scene, else all is near to"
        " something large.",
    ),
    "least_reach": Threshold(
        0.05,
        "m",
        "Floor of the reach, for points and for things without measured extent.",
    ),
    "between_width": Threshold(
        0.2,
        "1",
        "Half width of the lane between two small things as a share of their distance; larger"
        " ones widen it to the hull of both (RefSpatial's search area for 'between').",
    ),
}


def value(name: str) -> float:
    """Return the number of a threshold."""
    return THRESHOLDS[name].value
