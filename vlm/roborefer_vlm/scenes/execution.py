# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs against a scene: the points they mean, with every step on the way.

A sentence may have several readings. Each is executed, and the one that the scene supports best
wins; a reading whose anchors fit several things equally is worth less than one whose anchors are
plain. When two things fit alike the answer is that it is ambiguous, and how they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from roborefer_vlm.scenes.answering import answer_question
from roborefer_vlm.scenes.differences import differences
from roborefer_vlm.scenes.graph import Scene, SceneObject, Surface
from roborefer_vlm.scenes.grounding import Grounder, NothingFits, Option, PhraseMatcher
from roborefer_vlm.scenes.part_places import surface_relations
from roborefer_vlm.scenes.placing import FindSpace, find_spot
from roborefer_vlm.scenes.pointing import part_pixel, thing_pixel
from roborefer_vlm.scenes.program import (
    Part,
    PartName,
    Program,
    Quantifier,
    Question,
    Space,
    Target,
    Thing,
)
from roborefer_vlm.scenes.tracing import position_step, trace
from roborefer_vlm.scenes.wording import describe
from roborefer_vlm.types import (
    Outcome,
    ReasoningStep,
    ReferredPoint,
    TargetKind,
)

# A second thing that fits at least this well, as a share of the best, makes it ambiguous.
AMBIGUOUS = 0.9
# How much less a reading is worth than the one before it, which is the more natural one.
LESS_NATURAL = 0.93
# Of what fits at least this share of the best, "all" means every one.
ALL_SHARE = 0.6


@dataclass(frozen=True)
class Execution:
    """What a program comes to in a scene.

    Attributes:
        outcome: OK, TEXT, AMBIGUOUS or NOTHING_FOUND.
        points: OK: what is meant, best first.
        kind: What the points lie on.
        steps: The way there.
        candidates: AMBIGUOUS: what could be meant, with how they differ.
        text: One sentence for people, or the answer to a question.
        worth: How well the scene supports this reading, 0 to 1.
    """

    outcome: Outcome
    points: tuple[ReferredPoint, ...] = ()
    kind: TargetKind = TargetKind.UNKNOWN
    steps: tuple[ReasoningStep, ...] = ()
    candidates: tuple[ReferredPoint, ...] = ()
    text: str = ""
    worth: float = 0.0


@dataclass(eq=False)
class Executor:
    """Executes programs in one scene.

    Attributes:
        scene: With the camera that the answer's pixels count in.
        matcher: Compares words with things.
        find_space: Returns bare places of a surface or thing; None asks for all.
        stopped: Called between steps; raises to give up.
    """

    scene: Scene
    matcher: PhraseMatcher
    find_space: FindSpace
    stopped: Callable[[], None] = lambda: None
    _grounder: Grounder = field(init=False)

    def __post_init__(self) -> None:
        self._grounder = Grounder(self.scene, self.matcher)

    def best(self, programs: Sequence[Program], wanted: TargetKind) -> Execution:
        """Return what the best supported reading comes to.

        Args:
            programs: Readings, the most natural one first; at least one.
            wanted: OBJECT: of "put the cup there" the cup is meant, not the place.
        """
        results: list[tuple[float, Execution]] = []
        for i, program in enumerate(programs):
            self.stopped()
            result = self.execute(program, wanted)
            results.append((result.worth * LESS_NATURAL**i, result))
        return max(results, key=lambda entry: entry[0])[1]

    def execute(self, program: Program, wanted: TargetKind = TargetKind.UNKNOWN) -> Execution:
        """Return what one program comes to; never raises for what is not in view."""
        try:
            if isinstance(program, Question):
                text = answer_question(self._grounder, program)
                return Execution(Outcome.TEXT, text=text, worth=0.8)
            targets = program.targets
            if program.moved is not None and wanted is TargetKind.OBJECT:
                targets = (program.moved,)
            parts = [self._target(target) for target in targets]
        except NothingFits as error:
            return Execution(Outcome.NOTHING_FOUND, text=_sentence(str(error)))
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _target(self, target: Target) -> Execution:
        if isinstance(target, Space):
            return self._space(target)
        if isinstance(target, Part):
            return self._part(target)
        return self._thing(target)

    # ---- things -----------------------------------------------------------------------------

    def _thing(self, phrase: Thing) -> Execution:
        options = self._pointable(phrase)
        chosen, worth, rivals = self._choose(phrase, options)
        if rivals:
            return self._ambiguous(phrase, rivals, worth)
        points, steps = [], list(trace(self._grounder, phrase, chosen[0].place))
        for option in chosen:
            assert isinstance(option.place, SceneObject)
            pixel = thing_pixel(self.scene, option.place)
            if pixel is not None:
                name = option.place.name.replace("_", " ") or phrase.noun
                points.append(ReferredPoint(pixel, worth, name, describe(phrase)))
        if not points:
            raise NothingFits(f"{describe(phrase)} is not in the image")
        return Execution(Outcome.OK, tuple(points), TargetKind.OBJECT, tuple(steps), (), "", worth)

    def _pointable(self, phrase: Thing) -> list[Option]:
        """Return the things that a phrase may mean, not the surfaces."""
        options = [
            option
            for option in self._grounder.options(phrase)
            if isinstance(option.place, SceneObject)
        ]
        if not options or options[0].score < 1e-3:
            raise NothingFits(f"nothing in view is {describe(phrase)}")
        return options

    def _choose(
        self, phrase: Thing, options: Sequence[Option]
    ) -> tuple[list[Option], float, list[Option]]:
        """Return what is meant, how sure that is, and rivals where it is not sure at all."""
        best = options[0].score
        if phrase.quantifier is Quantifier.ALL:
            chosen = [o for o in options if o.score >= ALL_SHARE * best]
            if phrase.count is not None:
                chosen = list(options[: phrase.count])
            return chosen, _worth(best, phrase), []
        second = options[1].score / best if len(options) > 1 else 0.0
        worth = _worth(best, phrase) * (1 - 0.5 * second**4)
        if phrase.quantifier is Quantifier.ONE and second >= AMBIGUOUS:
            return [], worth, [o for o in options if o.score >= AMBIGUOUS * best]
        return [options[0]], worth, []

    def _ambiguous(self, phrase: Thing, rivals: Sequence[Option], worth: float) -> Execution:
        things = [r.place for r in rivals if isinstance(r.place, SceneObject)]
        reasons = differences(self.scene, things)
        candidates = []
        for thing, reason in zip(things, reasons, strict=True):
            pixel = thing_pixel(self.scene, thing)
            if pixel is not None:
                name = thing.name.replace("_", " ") or phrase.noun
                candidates.append(ReferredPoint(pixel, worth / len(things), name, reason))
        listed = "; ".join(f"{c.label}: {c.reason}" for c in candidates)
        text = f"{describe(phrase)} fits {len(candidates)} things ({listed}); say which one"
        return Execution(
            Outcome.AMBIGUOUS,
            kind=TargetKind.OBJECT,
            steps=tuple(position_step(self.scene, c.label, c.pixel) for c in candidates),
            candidates=tuple(candidates),
            text=_sentence(text),
            worth=0.5 * worth,
        )

    # ---- parts and space --------------------------------------------------------------------

    def _part(self, part: Part) -> Execution:
        options = self._grounder.options(part.of)
        if options and isinstance(options[0].place, Surface) and surface_relations(part):
            return self._space(Space(surface=part))
        things = self._pointable(part.of)
        chosen, worth, rivals = self._choose(part.of, things)
        if rivals:
            return self._ambiguous(part.of, rivals, worth)
        thing = chosen[0].place
        assert isinstance(thing, SceneObject)
        pixel = part_pixel(self.scene, thing, part)
        if pixel is None:
            raise NothingFits(f"{describe(part)} is not in the image")
        steps = (
            *trace(self._grounder, part.of, thing),
            position_step(self.scene, describe(part), pixel),
        )
        kind = TargetKind.INSIDE if part.name is PartName.INSIDE else TargetKind.PART
        point = ReferredPoint(pixel, 0.8 * worth, describe(part))
        return Execution(Outcome.OK, (point,), kind, steps, (), "", 0.8 * worth)

    def _space(self, space: Space) -> Execution:
        spot = find_spot(self._grounder, space, self.find_space)
        steps: list[ReasoningStep] = []
        for phrase, place in spot.anchors:
            steps += [s for s in trace(self._grounder, phrase, place) if s not in steps]
        steps.append(position_step(self.scene, describe(space), spot.pixel))
        worth = float(np.sqrt(spot.score))
        point = ReferredPoint(spot.pixel, worth, "free space", describe(space))
        return Execution(Outcome.OK, (point,), spot.kind, tuple(steps), (), "", worth)


def _worth(score: float, phrase: Thing) -> float:
    """Return how sure a match is; every relation takes its share of the product."""
    factors = 1 + len(phrase.constraints) + len(phrase.orders)
    return float(min(1.0, score) ** (1 / (1 + 0.5 * factors)))


def _joined(parts: Sequence[Execution]) -> Execution:
    """Return several targets of one sentence as one answer; all of them have to be found."""
    failed = next((part for part in parts if part.outcome is not Outcome.OK), None)
    if failed is not None:
        return failed
    return Execution(
        Outcome.OK,
        tuple(point for part in parts for point in part.points),
        parts[0].kind,
        tuple(step for part in parts for step in part.steps),
        worth=min(part.worth for part in parts),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
