# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""An independent check of examples: is the answer true, the phrase unique, the point visible?

It starts from an example's words and facts and from the raw truth of its views, and decides with
the relations of `_data_world`, which share nothing with the data engine. What lies on a border of
these counts as right either way; what contradicts them is a fault, with a reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _data_meaning import ANYTHING, Fault, Meaning, Node, require
from _data_room import Room
from _data_world import (
    Body,
    Verdict,
    World,
    angle_between,
    gap,
    grey,
    negated,
)

# A rounded point may leave its pixel by half the last decimal.
_CLEARANCE_SLACK_M = 0.006
_LEVEL_M = 0.02


class Judge:
    """Judges examples about the views of one shot."""

    def __init__(self, views: Any) -> None:
        self.worlds = [World(view) for view in views]

    def fault(self, example: Any) -> str:
        """Return why an example is wrong, or "" where nothing contradicts it."""
        world = self.worlds[example.views[0]]
        facts = example.facts
        try:
            _words(example)
            getattr(self, f"_{example.kind.value}")(example, facts, world)
        except Fault as fault:
            return str(fault)
        return ""

    # ---- points -----------------------------------------------------------------------------

    def _location(self, example: Any, facts: Node, world: World) -> None:
        meaning = Meaning(world)
        [target] = facts["program"]["targets"]
        if target["node"] == "space":
            return self._placement(example, facts, world)
        if target["node"] == "part":
            target = target["of"]
        require("[(" in example.answer, "the answer is no point")
        meaning.unique(target, facts["target"])
        _pointed(world, example.point, world.bodies[facts["target"]])
        return None

    def _chain(self, example: Any, facts: Node, world: World) -> None:
        self._location(example, facts, world)
        written = f"[({example.point[0]:.3f}, {example.point[1]:.3f})]"
        require(written in example.answer, "the answer does not end with its point")
        for step in example.steps:
            self._step(step, world)

    def _step(self, step: Any, world: World) -> None:
        value = step.value
        if step.perception.value == "position":
            row, column = world.pixel(*value)
            # The spot that is asked for has no thing below it.
            require(0 <= row < world.height and 0 <= column < world.width, "a step is outside")
        elif step.perception.value == "orientation":
            require(abs(float(np.linalg.norm(value)) - 1) < 0.01, "a step is no unit vector")
            aim = world.pose[:3, :3] @ np.array(value)
            fronts = [b.front for b in world.bodies.values() if b.front is not None]
            near = min((angle_between(aim, front) for front in fronts), default=180.0)
            require(near < 5, "an orientation step is no front of anything")
        else:
            require(0 < value[0] < 3, "a size step is no length of a table top")

    def _placement(self, example: Any, facts: Node, world: World) -> None:
        meaning = Meaning(world)
        [space] = facts["program"]["targets"]
        surface = next(iter(world.surfaces.values()))
        carrier = surface
        if space.get("surface"):
            [carrier] = meaning.resolve(space["surface"])
        on_things = [
            c for c in space.get("constraints", ()) if c["relation"] in ("on", "above", "inside")
        ]
        if on_things and on_things[0].get("frame", "viewer") != "image":
            [carrier] = meaning.resolve(on_things[0]["anchors"][0])
        level = carrier.high if not carrier.hollow else carrier.low
        if "spot" in facts and facts["spot"] is not None:
            level = float(facts["spot"][2])
        spot = world.lifted(*example.point, level)
        if spot is None:
            raise Fault("the point is above the horizon")
        require(carrier.covers(spot) > -0.003, "the point is beside its surface")
        row, column = world.pixel(*example.point)
        clearance = float(facts.get("clearance_m", 0.02)) + float(facts["footprint_m"]) / 2
        for body in world.bodies.values():
            if body.visible and body is not carrier and body.mask[row, column]:
                raise Fault("the point is on a thing")
            if body is carrier or body.high < level + 0.004 or body.low > level + 0.25:
                continue
            if not carrier.outline is not None and carrier.covers(body.center) < -0.05:
                continue
            away = -body.covers(np.array([*spot[:2], body.center[2]]))
            require(away >= clearance - _CLEARANCE_SLACK_M, "the spot has too little clearance")
        if world.depth_m is not None and world.depth_m[row, column] > 0:
            depth = float(world.project(spot)[1][0])
            off = depth - float(world.depth_m[row, column])
            require(abs(off) < _LEVEL_M, "the spot is hidden")
        place = Body.spot(spot)
        if space.get("surface", {}).get("node") == "part":
            self._on_part(space["surface"], place, carrier, meaning)
        for constraint in space.get("constraints", ()):
            if constraint in on_things:
                continue
            verdict = meaning.constrained(place, constraint)
            require(verdict, f"the spot is not {constraint['relation']} its anchor")

    def _on_part(self, part: Node, place: Body, surface: Body, meaning: Meaning) -> None:
        relations, name = meaning.relations, part["name"]
        word = {"center": "middle"}.get(name, name)
        if word in ("middle", "edge", "corner"):
            require(relations.holds(word, place, [surface]), f"the spot is not at the {word}")
        sides = {"near": "front_part", "far": "back_part", "left": "left_part",
                 "right": "right_part"}  # fmt: skip
        for side in part.get("sides", ()):
            verdict = relations.holds(sides[side], place, [surface])
            require(verdict, f"the spot is not on the {side} side")

    # ---- words ------------------------------------------------------------------------------

    def _predicate(self, example: Any, facts: Node, world: World) -> None:
        meaning = Meaning(world)
        if facts["relation"] in ("nearer_than", "farther_than"):
            numbers = [facts["target"], *facts["anchors"]]
            third = None if facts["to"] is None else world.bodies[facts["to"]]
            away = [meaning.relations.order_value("far", world.bodies[n], third) for n in numbers]
            sign = 1 if facts["relation"] == "nearer_than" else -1
            holds = grey(sign * (away[1] - away[0]), 0, 0.005)
            all_numbers = [*numbers, *([] if third is None else [third.id])]
            for node, number in zip(facts["phrases"], all_numbers, strict=True):
                meaning.unique(node, number)
        elif facts.get("asked") == "existence":
            [node] = facts["program"]["things"]
            found = [v for n, v in meaning.fits(node).items() if world.bodies[n].visible or v]
            holds = True if any(v is True for v in found) else None if None in found else False
        else:
            holds = self._asked(facts, world, meaning)
        if facts.get("negated"):
            holds = negated(holds)
        _yes_no(example, holds)

    def _asked(self, facts: Node, world: World, meaning: Meaning) -> Verdict:
        program = facts["program"]
        constraint = program["constraint"]
        numbers = [facts["target"], *facts["anchors"]]
        nodes = [program["things"][0], *constraint["anchors"]]
        for node, number in zip(nodes, numbers, strict=True):
            meaning.unique(node, number)
        body, *anchors = (world.body(n) for n in numbers)
        frame = constraint.get("frame", "viewer")
        return meaning.relations.holds(
            constraint["relation"], body, anchors, frame, constraint.get("distance_m")
        )

    def _configuration(self, example: Any, facts: Node, world: World) -> None:
        """Use RoboSpatial's definition: on which side the middles lie, without any cone."""
        meaning = Meaning(world)
        self._asked(facts, world, meaning)
        a, b = (world.bodies[n] for n in (facts["target"], facts["anchors"][0]))
        relation, frame = facts["relation"], facts["frame"]
        pixels, depths = world.project(np.array([a.center, b.center]))
        if relation in ("above", "below"):
            step = float(a.center[2] - b.center[2]) * (1 if relation == "above" else -1)
        elif frame == "object":
            aim = world.direction(relation, frame, b)
            if aim is None:
                raise Fault("the anchor has no front")
            step = float((a.center - b.center) @ aim)
        elif relation in ("left", "right"):
            step = float(pixels[1, 0] - pixels[0, 0]) / world.width
            step *= 1 if relation == "left" else -1
        else:
            step = float(depths[1] - depths[0]) * (1 if relation == "front" else -1)
        _yes_no(example, grey(step, 0, 0.001))

    def _compatibility(self, example: Any, facts: Node, world: World) -> None:
        meaning = Meaning(world)
        program = facts["program"]
        numbers = [facts["target"], *facts["anchors"]]
        nodes = [program["things"][0], *program["constraint"]["anchors"]]
        for node, number in zip(nodes, numbers, strict=True):
            meaning.unique(node, number)
        thing, place, *more = (world.body(n) for n in numbers)
        room = Room(world)
        relation = facts["relation"]
        if relation == "between":
            _yes_no(example, room.fits_between(thing, place, more[0]))
            return
        if relation in ("on", "inside"):
            _yes_no(example, room.fits_upon(thing, place))
            return
        holds = room.fits_beside(thing, place, relation, facts["frame"], facts["within_m"])
        _yes_no(example, holds)

    def _choice(self, example: Any, facts: Node, world: World) -> None:
        meaning = Meaning(world)
        options = facts["options"]
        anchors = facts["anchors"]
        anchor = world.bodies[anchors[0]] if anchors else None
        values = {
            n: meaning.relations.order_value(facts["relation"], world.bodies[n], anchor)
            for n in options
        }
        target = facts["target"]
        require(target in options, "the answer is no option")
        best = max(values.values())
        require(values[target] >= best - 1e-6, "another option is more so")
        for node, number in zip(facts.get("phrases", ()), [*options, *anchors], strict=False):
            meaning.unique(node, number)
        for mark, number in zip(facts.get("marks", ()), options, strict=False):
            left, top, right, bottom = mark["box"]
            mask = world.bodies[number].mask
            inside = np.count_nonzero(mask[top : bottom + 1, left : right + 1])
            require(inside == np.count_nonzero(mask), "a mark does not hold its thing")
        _lettered(example, options.index(target))

    def _quantity(self, example: Any, facts: Node, world: World) -> None:
        _Quantity(world, example, facts).check()

    def _multi_view(self, example: Any, facts: Node, world: World) -> None:
        first, second = (self.worlds[view] for view in example.views[:2])
        sort = facts["sort"]
        looks = [(first, second)[view] for view in facts.get("phrase_views", ())]
        numbers = [facts.get("target"), *facts.get("anchors", ())]
        for node, number, look in zip(facts.get("phrases", ()), numbers, looks, strict=False):
            Meaning(look).unique(node, number)
        if sort == "match":
            _pointed(first, example.point, first.bodies[facts["target"]])
        elif sort == "same":
            _yes_no(example, facts["target"] == facts["anchors"][0])
        elif sort in ("both", "once"):
            for number in facts["options"]:
                seen = [w.bodies[number].visible for w in (first, second)]
                right = all(seen) == (sort == "both")
                require(any(seen), "an option is in no picture")
                require(right == (number == facts["target"]), "the answer is wrong")
            _lettered(example, facts["options"].index(facts["target"]))
        else:
            moved = (second.pose[:3, 3] - first.pose[:3, 3]) @ first.pose[:3, :3]
            side = "right" if moved[0] > 0 else "left"
            answer = example.answer
            if answer.startswith("("):
                answer = example.question.split(answer, 1)[1].split()[0].strip(".?,")
            require(answer.lower() == side, "the camera moved to the other side")


class _Quantity:
    """Checks lengths, distances, angles and counts."""

    def __init__(self, world: World, example: Any, facts: Node) -> None:
        self.world, self.example, self.facts = world, example, facts
        self.meaning = Meaning(world)

    def check(self) -> None:
        """Compare the number that is said.

        Raises:
            Fault: It is another one.
        """
        measure = self.facts["measure"]
        if measure == "count":
            self._count()
            return
        bodies = self._named()
        if measure in ("angle", "turn"):
            self._angle(measure, *bodies)
            return
        low, high = self._length(measure, bodies)
        number = float(self.example.answer.split()[0])
        metres = number / 100 if "centimeter" in self.example.answer else number
        slack = max(0.012, 0.03 * high)
        require(low - slack <= metres <= high + slack, f"the {measure} is another one")

    def _count(self) -> None:
        [node] = self.facts["program"]["things"]
        verdicts = [v for n, v in self.meaning.fits(node).items()]
        sure = sum(v is True for v in verdicts)
        most = sure + sum(v is None for v in verdicts)
        require(sure <= int(self.example.answer) <= most, "the count is another one")

    def _named(self) -> list[Body]:
        """Return the things of the question, each with a name of its own."""
        facts = self.facts
        program = facts.get("program", {})
        if "things" in facts:
            nodes, numbers = facts["things"], facts["targets"]
        elif program.get("node") == "question":
            nodes, numbers = program["things"], facts["targets"]
        else:
            nodes, numbers = ([program], [facts["target"]]) if program else ([], [])
        for node, number in zip(nodes, numbers, strict=True):
            self.meaning.unique(node, number)
        return [self.world.bodies[number] for number in numbers]

    def _length(self, measure: str, bodies: list[Body]) -> tuple[float, float]:
        """Return between which metres the truth lies."""
        world = self.world
        if measure == "distance":
            value = gap(*bodies)
        elif measure == "camera_distance":
            value = self.meaning.relations.order_value("far", bodies[0], None)
            return value - float(np.linalg.norm(bodies[0].size)) / 2, value
        elif measure == "depth":
            row, column = world.pixel(*self.facts["at"])
            value = float(world.depth_m[row, column])
        else:
            key = {"height": "tall", "width": "wide", "length": "long"}[measure]
            value = self.meaning.relations.order_value(key, bodies[0], None)
        return value, value

    def _angle(self, measure: str, a: Body, b: Body) -> None:
        if a.front is None or (measure == "angle" and b.front is None):
            raise Fault("a thing has no front")
        level = np.array([1.0, 1.0, 0.0])
        said = float(self.example.answer.split()[0])
        if measure == "angle":
            off = abs(said - angle_between(a.front * level, b.front * level))
            require(off < 5, "the angle is another one")
            return
        goal = (b.center - a.center) * level
        off = abs(said - angle_between(a.front * level, goal))
        left = float(np.cross(a.front, goal)[2]) > 0
        require(off < 5, "the angle is another one")
        side = "left" if left else "right"
        require(self.example.answer.endswith(side), "it is turned to the other side")


def _pointed(world: World, point: tuple[float, float], body: Body) -> None:
    row, column = world.pixel(*point)
    if not (0 <= row < world.height and 0 <= column < world.width):
        raise Fault("the point is outside the picture")
    require(bool(body.mask is not None and body.mask[row, column]), "the point misses its thing")


def _lettered(example: Any, place: int) -> None:
    if example.answer.startswith("("):
        letter = f"({'ABCD'[place]})"
        require(example.answer == letter, "the letter is that of another option")


def _yes_no(example: Any, holds: Verdict) -> None:
    """Compare an answer in words or letters with what holds."""
    answer = example.answer.strip().rstrip(".").lower()
    if answer.startswith("("):
        text = example.question.lower().split(answer, 1)
        require(len(text) == 2, "the answer is no option")
        answer = "yes" if text[1].strip().startswith("yes") else "no"
    require(answer in ("yes", "no"), "the answer is neither yes nor no")
    if holds is not None and holds != (answer == "yes"):
        raise Fault("the answer is wrong")


def _words(example: Any) -> None:
    """Make sure that the words speak of the things of the program."""
    text = f" {example.question.lower()} "
    for node in _things(example.facts.get("program")):
        if not node["noun"]:
            raise Fault("a phrase has no noun")
        noun = node["noun"].split()[-1]
        stem = noun[:-1] if len(noun) > 3 else noun
        if noun not in ANYTHING and stem not in text:
            raise Fault(f"the words do not say '{noun}'")
        for color in node.get("attributes", ()):
            require(color in text, f"the words do not say '{color}'")


def _things(value: Any) -> list[Node]:
    if isinstance(value, list):
        return [node for item in value for node in _things(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.get("node") == "thing" else []
    return own + [node for item in value.values() for node in _things(item)]
