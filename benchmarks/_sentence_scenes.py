# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenes with sentences that are true and unambiguous in them, and the judge of what was done.

Directions are those of the camera's picture on the table: left is left in the picture, in front
is nearer to the camera. Every phrase is proved against the scene: it fits exactly one thing, with
a margin; every place has room for the thing that shall go there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
import numpy.typing as npt
from roborefer_sim.core.cell import Cell, Placed

Array = npt.NDArray[np.float64]

CATEGORIES = ("side", "relation", "between", "into", "two_steps")
# The jaw cannot take plates; baskets and bowls stand as places for others.
NOT_TAKEN = ("plate", "basket", "bowl")
CONTAINERS = ("basket", "bowl")
# A direction holds when the offset along it is this large, metres, and larger than across.
MARGIN_M = 0.06
NEAR_M = 0.30
CLEAR_M = 0.025
LEAST_SPOTS = 25
SPOT_STEP_M = 0.01
MOVED_M = 0.03
TIPPED_RAD = 0.5

# Ways to say it while the robot was developed, and other ways, which only the full run uses.
KNOWN = (
    "put {target} {place}",
    "pick up {target} and put it {place}",
    "move {target} {place}",
)
HELD_OUT = (
    "could you place {target} {place}, please",
    "take {target} and set it down {place}",
    "grab {target}, then put it {place}",
    "I want you to lay {target} {place}",
    "get {target} and leave it {place}",
    "please bring {target} {place}",
    "robot, stand {target} {place} now",
    "would you transfer {target} {place}?",
    "now pick {target} up and drop it {place}",
    "set {target} {place}",
)
SIDES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "left": (("left of {a}", "to the left of {a}"), ("on the left side of {a}", "left of {a}")),
    "right": (
        ("right of {a}", "to the right of {a}"),
        ("on the right side of {a}", "right of {a}"),
    ),
    "front": (("in front of {a}",), ("directly in front of {a}", "in front of {a}")),
    "behind": (("behind {a}",), ("right behind {a}", "behind {a}")),
}
BETWEEN = (
    ("between {a} and {b}",),
    ("in the free space between {a} and {b}", "between {a} and {b}"),
)
INTO = (("into {a}", "in {a}"), ("inside {a}", "into {a}"))


@dataclass(frozen=True)
class Wish:
    """What a part of a sentence asks for.

    Attributes:
        target: Name of the thing to move.
        relation: One of SIDES, "between" or "into".
        anchors: Names of the things that tell where.
    """

    target: str
    relation: str
    anchors: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A sentence and what it asks for."""

    category: str
    sentence: str
    wishes: tuple[Wish, ...]


@dataclass(frozen=True)
class Ground:
    """Where things stand on the table as the camera sees it.

    Attributes:
        at: Name to (to the right, away from the camera), metres.
        radius: Name to the circle around it, metres.
        height: Name to the height of its middle above the table, metres.
        axes: Right and away in world, shape (2, 2).
    """

    at: Mapping[str, Array]
    radius: Mapping[str, float]
    axes: Array


def ground_of(cell: Cell) -> Ground:
    """Look at the truth of a cell."""
    placed = {thing.name: thing for thing in cell.placed}
    poses = {name: cell.pose_of(name) for name in placed}
    return ground_from(placed, poses, axes_of(cell))


def axes_of(cell: Cell) -> Array:
    """Right and away of the camera on the table, rows in world."""
    t = cell.layout.camera.t_world_optical
    right, away = t[:2, 0], t[:2, 2]
    return np.stack([right / np.linalg.norm(right), away / np.linalg.norm(away)])


def ground_from(placed: Mapping[str, Placed], poses: Mapping[str, Array], axes: Array) -> Ground:
    """Bring things into the directions of the camera."""
    at, radius = {}, {}
    for name, pose in poses.items():
        make = placed[name].make
        low, high = make.bounds
        middle = pose @ np.append((low + high) / 2, 1.0)
        at[name] = axes @ middle[:2]
        radius[name] = make.footprint_radius
    return Ground(at, radius, axes)


def holds(relation: str, thing: Array, anchors: Sequence[Array], loose: float = 1.0) -> bool:
    """Whether a thing stands so to its anchors.

    Args:
        relation: One of SIDES or "between".
        thing: Right and away, metres.
        anchors: Likewise, one or two.
        loose: Factor on the margin; below 1 accepts more.
    """
    if relation == "between":
        first, second = anchors
        along = second - first
        share = float((thing - first) @ along / (along @ along))
        off = abs(float(np.cross(along, thing - first))) / float(np.linalg.norm(along))
        return 0.15 < share < 0.85 and off < 0.05 / loose
    right, away = thing - anchors[0]
    along = {"left": -right, "right": right, "front": -away, "behind": away}[relation]
    across = abs(away if relation in ("left", "right") else right)
    return bool(along > MARGIN_M * loose and across < along / loose and along < NEAR_M / loose)


def draw_task(cell: Cell, category: str, seed: int, held_out: bool) -> Task | None:
    """Draw a sentence of a category; None where the scene has none.

    Args:
        cell: The settled scene.
        category: One of CATEGORIES.
        seed: Of the draw.
        held_out: Take ways to say it that were not used in development.
    """
    rng = np.random.default_rng(seed)
    ground = ground_of(cell)
    placed = {thing.name: thing for thing in cell.placed}
    frames = HELD_OUT if held_out else KNOWN
    parts: list[tuple[str, Wish]] = []
    used: set[str] = set()
    wanted = ["side", "side"] if category == "two_steps" else [category]
    for kind in wanted:
        found = _draw_part(cell, placed, ground, kind, rng, held_out, used)
        if found is None:
            return None
        parts.append(found)
        used |= {found[1].target, *found[1].anchors}
    said = []
    for phrase, _ in parts:
        target, _, place = phrase.partition("|")
        frame = frames[int(rng.integers(len(frames)))]
        said.append(frame.format(target=target, place=place))
    sentence = said[0]
    if len(said) > 1:
        sentence = (
            f"{said[0].rstrip('?').removesuffix(', please').removesuffix(' now')}, then {said[1]}"
        )
    return Task(category, sentence, tuple(wish for _, wish in parts))


def _draw_part(
    cell: Cell,
    placed: Mapping[str, Placed],
    ground: Ground,
    kind: str,
    rng: np.random.Generator,
    held_out: bool,
    used: set[str],
) -> tuple[str, Wish] | None:
    names = [str(n) for n in rng.permutation(sorted(placed))]
    for target in names:
        if target in used or placed[target].make.thing.key in NOT_TAKEN:
            continue
        phrase, told_by = plain_phrase(target, placed), ""
        if kind == "relation":
            phrase, told_by = related_phrase(target, placed, ground)
        if not phrase:
            continue
        for anchors, relation in _places(target, names, placed, kind, rng):
            if set(anchors) & {*used, told_by}:
                continue
            places = [ground.at[a] for a in anchors]
            if relation != "into" and holds(relation, ground.at[target], places, 0.5):
                # It is there already.
                continue
            said = [plain_phrase(a, placed) for a in anchors]
            if not all(said) or not _has_room(cell, ground, target, relation, anchors, placed):
                continue
            forms = {**SIDES, "between": BETWEEN, "into": INTO}[relation][int(held_out)]
            form = forms[int(rng.integers(len(forms)))]
            place = form.format(**dict(zip("ab", said, strict=False)))
            return f"{phrase}|{place}", Wish(target, relation, tuple(anchors))
    return None


def _places(
    target: str,
    names: list[str],
    placed: Mapping[str, Placed],
    kind: str,
    rng: np.random.Generator,
) -> list[tuple[tuple[str, ...], str]]:
    others = [name for name in names if name != target]
    if kind == "between":
        return [((a, b), "between") for a in others for b in others if a < b]
    if kind == "into":
        return [((a,), "into") for a in others if placed[a].make.thing.key in CONTAINERS]
    sides = [str(side) for side in rng.permutation(list(SIDES))]
    return [((a,), side) for a in others for side in sides]


def plain_phrase(name: str, placed: Mapping[str, Placed]) -> str:
    """Return "the red mug" if there is one such thing, else ""."""
    make = placed[name].make
    alike = [
        other
        for other, thing in placed.items()
        if thing.make.color == make.color and _same_noun(thing.make.thing, make.thing)
    ]
    return f"the {make.color} {make.thing.noun}" if len(alike) == 1 else ""


def related_phrase(name: str, placed: Mapping[str, Placed], ground: Ground) -> tuple[str, str]:
    """Return "the mug that is left of the red can" and the can, if no other mug is; else ""."""
    thing = placed[name].make.thing
    rivals = [o for o, p in placed.items() if o != name and _same_noun(p.make.thing, thing)]
    if not rivals:
        return "", ""
    words = {"left": "left of", "right": "right of", "front": "in front of", "behind": "behind"}
    for anchor in sorted(placed):
        said = plain_phrase(anchor, placed)
        if not said or anchor == name or anchor in rivals:
            continue
        for side, word in words.items():
            fits = holds(side, ground.at[name], [ground.at[anchor]])
            # A rival must be far from fitting, not just less so.
            others = [holds(side, ground.at[r], [ground.at[anchor]], 0.3) for r in rivals]
            if fits and not any(others):
                return f"the {thing.noun} that is {word} {said}", anchor
    return "", ""


def _same_noun(first: object, second: object) -> bool:
    """Whether one word may be used for both."""
    words = [{t.noun, *t.also, *t.kinds} for t in (first, second)]  # type: ignore[attr-defined]
    last = [{w.split()[-1] for w in each} for each in words]
    return bool(last[0] & last[1])


def _has_room(
    cell: Cell,
    ground: Ground,
    target: str,
    relation: str,
    anchors: Sequence[str],
    placed: Mapping[str, Placed],
) -> bool:
    if relation == "into":
        make = placed[anchors[0]].make
        room = make.thing.inside
        assert room is not None
        free = (room.radius or min(room.size) / 2) * make.scale
        near = [
            hypot(*(ground.at[o] - ground.at[anchors[0]]))
            for o in placed
            if o not in (target, anchors[0])
        ]
        return ground.radius[target] < free - 0.012 and min(near, default=1.0) > free
    low, high = (0.30, -0.30), (0.64, 0.30)
    xs = np.arange(low[0], high[0], SPOT_STEP_M)
    ys = np.arange(low[1], high[1], SPOT_STEP_M)
    spots = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2) @ ground.axes.T
    places = [ground.at[a] for a in anchors]
    free = np.ones(len(spots), bool)
    for other in placed:
        if other != target:
            reach = ground.radius[other] + ground.radius[target] + CLEAR_M
            free &= np.linalg.norm(spots - ground.at[other], axis=1) > reach
    fits = sum(holds(relation, spot, places) for spot in spots[free])
    return fits >= LEAST_SPOTS


@dataclass(frozen=True)
class Verdict:
    """What became of a task, by the truth of the simulator.

    Attributes:
        done: Every wish holds and nothing else was disturbed.
        wishes: Which of them hold.
        disturbed: Names of other things that moved or tipped over.
    """

    done: bool
    wishes: tuple[bool, ...]
    disturbed: tuple[str, ...]


def judge(
    task: Task,
    placed: Mapping[str, Placed],
    before: Mapping[str, Array],
    after: Mapping[str, Array],
    axes: Array,
) -> Verdict:
    """Compare where things are with what was asked.

    Args:
        task: The sentence.
        placed: The things.
        before: Their poses in world when it was said, shape (4, 4) each.
        after: Their poses now.
        axes: Of the camera on the table.
    """
    ground = ground_from(placed, after, axes)
    held = tuple(_fulfilled(wish, ground, placed, after) for wish in task.wishes)
    targets = {wish.target for wish in task.wishes}
    disturbed = tuple(
        name
        for name in placed
        if name not in targets
        and (
            hypot(*(after[name] - before[name])[:2, 3]) > MOVED_M
            or _tilt(after[name]) - _tilt(before[name]) > TIPPED_RAD
        )
    )
    return Verdict(all(held) and not disturbed, held, disturbed)


def _fulfilled(
    wish: Wish, ground: Ground, placed: Mapping[str, Placed], poses: Mapping[str, Array]
) -> bool:
    here, places = ground.at[wish.target], [ground.at[a] for a in wish.anchors]
    if wish.relation == "into":
        make = placed[wish.anchors[0]].make
        room = make.thing.inside
        assert room is not None
        free = (room.radius or min(room.size) / 2) * make.scale
        above = poses[wish.target][2, 3] - poses[wish.anchors[0]][2, 3]
        return bool(hypot(*(here - places[0])) < free and -0.01 < above < 0.15)
    # On the table, and by half the margin of the question.
    return bool(poses[wish.target][2, 3] < 0.03) and holds(wish.relation, here, places, 0.5)


def _tilt(pose: Array) -> float:
    return float(np.arccos(np.clip(pose[2, 2], -1.0, 1.0)))
