# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's compatibility questions (arXiv 2411.16537): can this be put there?

For a place both a thing that fits and one that does not have to be at hand, each beyond doubt
(`roborefer_vlm.data.fitting`); a coin decides which of them is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from roborefer_vlm.data import fitting
from roborefer_vlm.data.examples import Example, Kind, Rejected, Wish
from roborefer_vlm.data.fitting import Fitting, Gap, Surroundings
from roborefer_vlm.data.platforms import platform
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions.asking import Draft, Look, Unasked, Wording, ask, yes_or_no
from roborefer_vlm.data.questions.clear_configuration import has_side
from roborefer_vlm.data.questions.naming import Named, either
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Scene, SceneObject
from roborefer_vlm.scenes.program import Ask, Constraint, Question
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.scenes.relations.surroundings import DIRECTIONS, fit_on_top

# Shares of the questions; the rest is about the room on and in things.
BESIDE, BETWEEN = 0.08, 0.4
# Places that are looked at before a question is given up.
_MOST_PLACES = 2
_MOST_PAIRS = 12
# Gaps that a question may name, whole centimetres.
_GAPS_M = (0.05, 0.08, 0.1, 0.15)
# Places for larger things are not looked for.
_LARGEST_M = 0.2
_WORDS = {
    Relation.LEFT: "to the left of",
    Relation.RIGHT: "to the right of",
    Relation.FRONT: "in front of",
    Relation.BEHIND: "behind",
    Relation.DIRECTLY_LEFT: "directly to the left of",
    Relation.DIRECTLY_RIGHT: "directly to the right of",
    Relation.DIRECTLY_FRONT: "directly in front of",
    Relation.DIRECTLY_BEHIND: "directly behind",
}
_DIRECTLY = tuple(_WORDS)[4:]
_FRAMES = {
    Frame.VIEWER: (
        Wording("plain", ""),
        Wording("camera", "from the camera's perspective"),
        Wording("held_out_photographer", "seen from where the photographer stands"),
    ),
    Frame.OBJECT: (
        Wording("object", "from the perspective of {b}"),
        Wording("own", "from its own perspective"),
        Wording("held_out_object", "judged by which way {b} faces"),
    ),
}
_BESIDE = (
    Wording("can", "Can {a} fit {relation} {b} {frame}?"),
    Wording("space", "Is there enough space for {a} {relation} {b} {frame}?"),
    Wording("room", "{frame}, is there room to put {a} {relation} {b}?"),
    Wording("held_out_enough", "Would {a} find a place {relation} {b} {frame}?"),
)
_WITHIN = (
    Wording("within", "Can {a} be put {relation} {b} {frame}, within {gap} of it?"),
    Wording("gap", "Does {a} fit {relation} {b} {frame}, no more than {gap} away from it?"),
    Wording("held_out_gap", "Could one set {a} down at most {gap} {relation} {b} {frame}?"),
)
_ON = (
    Wording("can", "Can {a} fit on top of {b}?"),
    Wording("edge", "Can {a} stand on {b} without sticking out over the edge?"),
    Wording("room", "Is the top of {b} large enough for {a}?"),
    Wording("held_out_whole", "Would all of {a} find room on {b}?"),
)
_BETWEEN = (
    Wording("can", "Can {a} fit between {b} and {c}?"),
    Wording("gap", "Is the gap between {b} and {c} wide enough for {a}?"),
    Wording("room", "Is there enough room for {a} between {b} and {c}?"),
    Wording("held_out_gap", "Would {a} go into the gap between {b} and {c}?"),
)
_INSIDE = (
    Wording("can", "Can {a} fit inside {b}?"),
    Wording("large", "Is {b} large enough for {a} to go into it?"),
    Wording("held_out_go", "Would {a} go into {b}?"),
)


@dataclass(frozen=True)
class CompatibilityMaker:
    """Asks whether one thing can be put beside, on or into another one."""

    kind: Kind = Kind.COMPATIBILITY
    needs: frozenset[Fact] = frozenset({Fact.BOXES, Fact.METRIC, Fact.FREE_SPACE, Fact.COMPLETE})

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples and what was rejected; see `Maker.make`."""
        return ask(self.kind, shot, rng, wish, _compose)


@dataclass(frozen=True, eq=False)
class _Case:
    """A thing with what is known of it beside, on or in a place."""

    thing: SceneObject
    places: tuple[SceneObject, ...]
    found: Fitting

    def numbers(self) -> tuple[int, ...]:
        """Return the ids of the thing and of the places."""
        return (self.thing.id, *(place.id for place in self.places))


def _compose(look: Look) -> Draft:
    seen = look.visible
    movable = look.draw.order(look.truth.thing(n) for n in seen if not _carries(look, n))
    if len(seen) < 2 or not movable:
        raise Unasked("too few things")
    share = look.draw.rng.random()
    if share < BESIDE:
        return _beside(look, seen, movable)
    if share < BESIDE + BETWEEN:
        return _between(look, seen, movable)
    inside = any(look.truth.thing(n).hollow for n in seen) and look.draw.chance(0.4)
    return _upon(look, seen, movable, Relation.INSIDE if inside else Relation.ON)


def _carries(look: Look, number: int) -> bool:
    """Tell whether something would have to be moved along with a thing."""
    return any(thing.support == number for thing in look.view.scene.objects)


# ---- beside ---------------------------------------------------------------------------------


def _beside(look: Look, seen: list[int], movable: list[SceneObject]) -> Draft:
    scene = look.view.scene
    frame = Frame.VIEWER
    if look.trusts(Fact.FRONTS) and look.draw.chance(0.4):
        frame = Frame.OBJECT
    within = look.draw.one(_GAPS_M) if look.draw.chance(0.7) else None
    surfaces = {surface.id for surface in scene.surfaces}
    references = [
        thing
        for thing in map(look.truth.thing, seen)
        if thing.support in surfaces and (frame is not Frame.OBJECT or has_side(thing, scene))
    ]
    relation = look.draw.one(DIRECTIONS if within is None else _DIRECTLY)
    cases = _cases_beside(scene, references, movable, relation, frame, within)
    case, named = _drawn(look, *_parted(cases), relation)
    return _write_beside(look, case, named, relation, frame, within)


def _cases_beside(
    scene: Scene,
    references: list[SceneObject],
    movable: list[SceneObject],
    relation: Relation,
    frame: Frame,
    within: float | None,
) -> Iterator[_Case]:
    surfaces = {surface.id: surface for surface in scene.surfaces}
    for reference in references[:_MOST_PLACES]:
        radius = None if within is None else within + _LARGEST_M
        assert reference.support is not None
        on = platform(surfaces[reference.support])
        around = Surroundings(scene, reference, on, frame, radius)
        for thing in movable:
            if thing.id != reference.id and thing.support != reference.id:
                found = around.beside(thing, relation, within)
                if found is not None:
                    yield _Case(thing, (reference,), found)


def _drawn(
    look: Look, no: Iterator[_Case], yes: Iterator[_Case], asked: Relation
) -> tuple[_Case, list[Named]]:
    """Draw an answer, and take the first case that has it, with the names of its things.

    Args:
        look: Where it is asked.
        no: What does not fit, in random order; these are rarer, so they are looked for first.
        yes: What fits, in random order.
        asked: The relation that is asked about.

    Raises:
        Unasked: One of the answers has no case, or a thing has no name.
    """
    lacking = next(no, None)
    fitting_case = None if lacking is None else next(yes, None)
    if lacking is None or fitting_case is None:
        raise Unasked("only one answer possible")
    _, drawn, named = either(look, (fitting_case, lacking), _Case.numbers, asked)
    return drawn, named


def _parted(cases: Iterable[_Case]) -> tuple[Iterator[_Case], Iterator[_Case]]:
    """Return the first case that does not fit and the first one that does, where there are."""
    first: dict[bool, _Case] = {}
    for case in cases:
        first.setdefault(case.found.fits, case)
        if len(first) == 2:
            break
    no, yes = ([first[fits]] if fits in first else [] for fits in (False, True))
    return iter(no), iter(yes)


def _write_beside(
    look: Look,
    case: _Case,
    named: list[Named],
    relation: Relation,
    frame: Frame,
    within: float | None,
) -> Draft:
    a, b = named
    put = look.wording(_FRAMES[frame])
    wording = look.wording(_BESIDE if within is None else _WITHIN)
    gap = "" if within is None else f"{100 * within:g} cm"
    frame_words = put.text.format(b=b.words)
    question = wording.text.format(
        a=a.words, b=b.words, relation=_WORDS[relation], frame=frame_words, gap=gap
    )
    constraint = Constraint(relation, (b.phrase,), frame=frame, distance_m=within)
    program = Question(Ask.COMPATIBILITY, (a.phrase,), constraint)
    facts = {
        "program": program_to_json(program),
        "relation": relation.value,
        "frame": frame.value,
        "within_m": within,
        **_facts(case),
    }
    # Without a frame, "{frame}, is there room" begins with a comma, and "{frame}," ends with one.
    question = question.removeprefix(", ").replace(" ,", ",").replace(" ?", "?")
    return yes_or_no(look, question, f"{wording.name}/{put.name}", case.found.fits, facts)


def _facts(case: _Case) -> dict[str, object]:
    found = case.found
    return {
        "target": case.thing.id,
        "anchors": [place.id for place in case.places],
        "margin": round(found.margin_m, 4),
        "spot": None if found.spot is None else [round(c, 4) for c in found.spot],
        "clearance_m": fitting.CLEARANCE_M,
    }


# ---- between --------------------------------------------------------------------------------


def _between(look: Look, seen: list[int], movable: list[SceneObject]) -> Draft:
    scene = look.view.scene
    surfaces = {surface.id for surface in scene.surfaces}
    things = [thing for thing in map(look.truth.thing, seen) if thing.support in surfaces]
    pairs = look.draw.order(combinations(things, 2))[:_MOST_PAIRS]
    put = [thing for thing in movable if thing.support in surfaces]
    # Most gaps are too wide for that, whatever is put there.
    close = [pair for pair in pairs if fitting.may_be_narrow(*pair, put)]
    no = (
        _Case(thing, pair, found)
        for pair, gap, thing in _tried(close, put)
        if (found := gap.too_narrow_for(thing)) is not None
    )
    yes = (
        _Case(thing, pair, found)
        for pair, gap, thing in _tried(pairs, put)
        if (found := fitting.between(scene, thing, gap)) is not None and found.fits
    )
    case, (a, b, c) = _drawn(look, no, yes, Relation.BETWEEN)
    wording = look.wording(_BETWEEN)
    question = wording.text.format(a=a.words, b=b.words, c=c.words)
    constraint = Constraint(Relation.BETWEEN, (b.phrase, c.phrase))
    program = Question(Ask.COMPATIBILITY, (a.phrase,), constraint)
    facts = {
        "program": program_to_json(program),
        "relation": Relation.BETWEEN.value,
        **_facts(case),
    }
    return yes_or_no(look, question, wording.name, case.found.fits, facts)


def _tried(
    pairs: Iterable[tuple[SceneObject, SceneObject]], put: list[SceneObject]
) -> Iterator[tuple[tuple[SceneObject, SceneObject], Gap, SceneObject]]:
    """Yield the gaps of pairs with each thing that might be put there."""
    for pair in pairs:
        gap = fitting.gap_between(*pair)
        if gap is not None:
            yield from ((pair, gap, thing) for thing in put if thing not in pair)


# ---- on and in ------------------------------------------------------------------------------


def _upon(look: Look, seen: list[int], movable: list[SceneObject], relation: Relation) -> Draft:
    scene = look.view.scene
    decide = fitting.on_top if relation is Relation.ON else fitting.inside
    may_hold = fitting.is_table if relation is Relation.ON else fitting.is_vessel
    places = (place for place in map(look.truth.thing, seen) if may_hold(scene, place))
    cases = (
        _Case(thing, (place,), found)
        for place in places
        for thing in movable
        if place.id not in (thing.id, thing.support)
        if (found := decide(thing, place)) is not None
    )
    case, named = _drawn(look, *_parted(cases), Relation.BIG)
    # The benchmark's own test, at three angles, must not say otherwise.
    fits_so = relation is Relation.ON and fit_on_top(
        scene, case.thing, case.places[0], clearance_m=0
    )
    if fits_so and not case.found.fits:
        raise Unasked("definitions disagree")
    return _write_upon(look, case, named, relation)


def _write_upon(look: Look, case: _Case, named: list[Named], relation: Relation) -> Draft:
    a, b = named
    wording = look.wording(_ON if relation is Relation.ON else _INSIDE)
    question = wording.text.format(a=a.words, b=b.words)
    program = Question(Ask.COMPATIBILITY, (a.phrase,), Constraint(relation, (b.phrase,)))
    facts = {
        "program": program_to_json(program),
        "relation": relation.value,
        **_facts(case),
    }
    return yes_or_no(look, question, wording.name, case.found.fits, facts)
