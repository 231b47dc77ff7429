# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of the demo, its three sentences, and what must be true after each of them.

Positions are those of the simulator's world: the camera looks towards the robot along -x, so
that +y is the right of its picture and +x is towards the viewer. Pure Python, no ROS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, hypot, sin

MOVED_M = 0.03
LEANS_RAD = 0.2


@dataclass(frozen=True)
class Pose:
    """Where a thing stands.

    Attributes:
        x: Of the middle of its underside in world, metres.
        y: As x.
        z: As x.
        tilt: Angle between its own upright axis and the vertical, radians.
    """

    x: float
    y: float
    z: float = 0.0
    tilt: float = 0.0

    def far_from(self, other: Pose) -> float:
        """Distance on the table, metres."""
        return hypot(self.x - other.x, self.y - other.y)


@dataclass(frozen=True)
class Thing:
    """A thing of the simulator's library.

    Attributes:
        name: Of the entity.
        uri: What is spawned.
        x: Where, metres.
        y: Where, metres.
        yaw: Heading, radians.
    """

    name: str
    uri: str
    x: float
    y: float
    yaw: float = 0.0

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """Of its heading: x, y, z, w."""
        return 0.0, 0.0, sin(self.yaw / 2), cos(self.yaw / 2)


THINGS = (
    Thing("bowl", "library:bowl?color=blue", 0.47, 0.24),
    Thing("can", "library:soup_can?color=red", 0.62, -0.02),
    Thing("mug", "library:mug?color=yellow", 0.40, 0.02, -1.0),
    Thing("box", "library:cereal_box?color=brown&scale=0.85", 0.36, -0.26, 0.35),
    Thing("left block", "library:block?color=green", 0.56, -0.24, 0.2),
    Thing("right block", "library:block?color=green", 0.63, 0.15, -0.25),
)

Table = Mapping[str, Pose]


@dataclass(frozen=True)
class Check:
    """One thing that must be true.

    Attributes:
        text: What, with the measured value.
        passed: Whether it is.
    """

    text: str
    passed: bool


@dataclass(frozen=True)
class Act:
    """One sentence of the demo.

    Attributes:
        title: What it shows.
        sentence: The words.
        judge: From the table before and after to what must be true.
        spoken: Whether the words go in as sound.
        correction: Said when the first thing is in the hand; "" for none.
    """

    title: str
    sentence: str
    judge: Callable[[Table, Table], list[Check]]
    spoken: bool = False
    correction: str = ""


def left_of(thing: str, anchor: str) -> Callable[[Table, Table], list[Check]]:
    """Return a judge of "put THING to the left of ANCHOR"."""

    def judge(before: Table, after: Table) -> list[Check]:
        a, b = after[thing], after[anchor]
        side, along = b.y - a.y, a.x - b.x
        return [
            Check(f"the {thing} is {side:.2f} m to the left of the {anchor}", 0.04 < side < 0.2),
            Check(f"hardly in front or behind it ({along:+.2f} m)", abs(along) < 0.08),
            *_in_order(before, after, {thing}),
        ]

    return judge


def between(thing: str, one: str, other: str) -> Callable[[Table, Table], list[Check]]:
    """Return a judge of "put THING between ONE and OTHER"."""

    def judge(before: Table, after: Table) -> list[Check]:
        at, a, b = after[thing], after[one], after[other]
        dx, dy = b.x - a.x, b.y - a.y
        length = hypot(dx, dy)
        share = ((at.x - a.x) * dx + (at.y - a.y) * dy) / length**2
        aside = abs((at.x - a.x) * dy - (at.y - a.y) * dx) / length
        return [
            Check(
                f"the {thing} is at {100 * share:.0f} % of the way from the {one} to the {other}",
                0.2 < share < 0.8,
            ),
            Check(f"{aside:.2f} m beside that line", aside < 0.06),
            *_in_order(before, after, {thing}),
        ]

    return judge


def in_front_of(thing: str, anchor: str) -> Callable[[Table, Table], list[Check]]:
    """Return a judge of "put THING in front of ANCHOR"."""

    def judge(before: Table, after: Table) -> list[Check]:
        a, b = after[thing], after[anchor]
        nearer, along = a.x - b.x, a.y - b.y
        return [
            Check(f"the {thing} is {nearer:.2f} m in front of the {anchor}", 0.04 < nearer < 0.2),
            Check(f"hardly beside it ({along:+.2f} m)", abs(along) < 0.08),
            *_in_order(before, after, {thing}),
        ]

    return judge


def _in_order(before: Table, after: Table, moved: set[str]) -> list[Check]:
    """Everything else is where it was, and nothing has fallen over."""
    shifted = {
        name: after[name].far_from(pose)
        for name, pose in before.items()
        if name not in moved and after[name].far_from(pose) > MOVED_M
    }
    fallen = [name for name, pose in after.items() if pose.tilt > LEANS_RAD]
    told = ", ".join(f"{name} by {shift:.2f} m" for name, shift in shifted.items())
    return [
        Check(f"moved, too: {told}" if told else "all else stands where it was", not shifted),
        Check(f"fell over: {', '.join(fallen)}" if fallen else "nothing fell over", not fallen),
    ]


ACTS = (
    Act(
        "a relation, typed",
        "put the red can to the left of the blue bowl",
        left_of("can", "bowl"),
    ),
    Act(
        "a place between two things, spoken",
        "put the red can between the yellow mug and the brown box",
        between("can", "mug", "box"),
        spoken=True,
    ),
    Act(
        "several steps, with a correction on the way",
        "pick up the green block on the right and put it in front of the yellow mug",
        in_front_of("left block", "mug"),
        correction="no, the left one",
    ),
)
