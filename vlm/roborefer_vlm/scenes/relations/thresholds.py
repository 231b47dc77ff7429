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
        0.1,
        "1",
        "Of the distance: the lane is that much wider on each side than the hull of both things"
        " (RefSpatial's search area), since people also call a place between that bulges out.",
    ),
    "least_lane": Threshold(
        0.2,
        "1",
        "The lane between two touching things keeps a fifth of the distance of their centres.",
    ),
    "hull_margin": Threshold(
        0.25,
        "1",
        "Of the size of a group: one that far within its hull is as much among them as can be.",
    ),
    "middle": Threshold(
        0.5, "1", "The middle is the inner half of the way from the centre to the border."
    ),
    "corner": Threshold(
        0.25, "1", "Of the anchor's size: a corner region a quarter wide leaves the middle free."
    ),
    "edge": Threshold(
        0.15, "1", "Of the anchor's size: two edge strips leave most of the surface in between."
    ),
    "part_middle": Threshold(
        0.6,
        "1",
        "The best example of the left part is a little beyond the middle of the left half; its"
        " border, at no offset, is the centre line.",
    ),
    "clearance": Threshold(
        0.03, "m", "Half a small object's width, so that something small can be put there."
    ),
    "headroom": Threshold(0.25, "m", "What hangs higher leaves room to put something below it."),
    "contact_blur": Threshold(
        0.01, "m", "Tops measured that much above a place still carry it: noise of depth cameras."
    ),
    "outline_slack": Threshold(
        0.01, "m", "Outlines of measured surfaces end about that much too early or too late."
    ),
    "touch": Threshold(
        0.01, "m", "Depth cameras blur borders by about a centimetre at table-top distances."
    ),
    "contact": Threshold(
        0.05,
        "m",
        "RefSpatial takes a platform within 0.05 m of the bottom of a thing as its support.",
    ),
    "point_contact": Threshold(
        0.025, "m", "RefSpatial's tolerance between a lifted point and the measured depth."
    ),
    "indirect_support": Threshold(
        0.75, "1", "A cup on a book on the table is on the table, but less than the book is."
    ),
    "other_support": Threshold(
        0.6,
        "1",
        "What perception saw standing elsewhere needs a geometric score of at least 0.83 to be"
        " on something thin that was overlooked.",
    ),
    "rim": Threshold(0.02, "m", "Rims are measured that badly, being thin."),
    "rim_share": Threshold(
        0.15, "1", "Of a container's height: what lies loosely on top of a heap is still in it."
    ),
    "picture_containment": Threshold(
        0.75, "1", "Pixels within an outline are weaker evidence than boxes within each other."
    ),
    "distance_tolerance": Threshold(
        0.03, "m", "Nobody means a named distance more exactly than about an inch."
    ),
    "distance_share": Threshold(
        0.15, "1", "Larger named distances are estimates, good to about a sixth."
    ),
    "angle_tolerance": Threshold(
        radians(15), "rad", "Named angles are estimates; half of 30 degrees tells them apart."
    ),
    "facing": Threshold(
        radians(45), "rad", "Four sides share the plane, so each one faces 45 degrees each way."
    ),
    "comparison_steepness": Threshold(
        4.0,
        "1",
        "A ratio of sizes to this power gives the odds: 1.1 times is barely more (0.59), 1.5"
        " times clearly (0.84).",
    ),
    "context_radius": Threshold(
        0.5, "m", "RoboSpatial's shipped radius of the free points around a reference."
    ),
    "context_cell": Threshold(
        0.05, "m", "Half of RoboSpatial's cells, which are too coarse for things of a table top."
    ),
    "fit_clearance": Threshold(
        0.02, "m", "What a gripper needs at least beside a thing; RoboSpatial's own is 0."
    ),
    "visibility": Threshold(
        0.025, "m", "RefSpatial takes a point as visible if the measured depth is that close."
    ),
    "least_size": Threshold(1e-3, "m", "Smaller extents are noise and count as equal."),
}


def value(name: str) -> float:
    """Return the number of a threshold."""
    return THRESHOLDS[name].value
