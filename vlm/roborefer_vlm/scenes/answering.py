# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Questions that are answered in words: yes or no, a number, a distance."""

from __future__ import annotations

from collections.abc import Sequence

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import SceneObject, Surface
from roborefer_vlm.scenes.grounding import Grounder, NothingFits
from roborefer_vlm.scenes.places import Anchor as Place
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.program import (
    Anchor,
    Ask,
    Constraint,
    Part,
    Question,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import (
    Key,
    Relation,
    configuration_of,
    fit_beside,
    fit_on_top,
    measure,
)
from roborefer_vlm.scenes.wording import describe

# What RoboSpatial's configuration decides (arXiv 2411.16537); other relations use their scores.
_CONFIGURED = {
    Relation.LEFT: "left",
    Relation.RIGHT: "right",
    Relation.FRONT: "front",
    Relation.BEHIND: "behind",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
}
_BESIDE = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
_ON_TOP = (Relation.ON, Relation.ABOVE)
_COUNTED = 0.5


def answer_question(grounder: Grounder, question: Question) -> str:
    """Return "yes", "no", a number, or a distance with its unit.

    Raises:
        NothingFits: What the question is about is not in view, or cannot be decided.
    """
    if question.ask in (Ask.COUNT, Ask.EXISTENCE):
        return _count(grounder, question)
    if question.ask is Ask.DISTANCE:
        return _distance(grounder, question.things)
    constraint = question.constraint
    assert constraint is not None
    subject = _single(grounder, question.things[0])
    if question.ask is Ask.COMPATIBILITY:
        return _yes(_fits(grounder, subject, constraint))
    return _yes(_is(grounder, subject, constraint))


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _single(grounder: Grounder, anchor: Anchor) -> Place:
    phrase = anchor.of if isinstance(anchor, Part) else anchor
    if not isinstance(phrase, Thing):
        raise NothingFits("the camera itself is not in view")
    options = grounder.options(phrase)
    if not options:
        raise NothingFits(f"nothing in view fits {describe(phrase)}")
    return options[0].place


def _is(grounder: Grounder, subject: Place, constraint: Constraint) -> bool:
    word = _CONFIGURED.get(constraint.relation)
    if word and len(constraint.anchors) == 1 and not isinstance(constraint.anchors[0], Viewer):
        other = _single(grounder, constraint.anchors[0])
        if isinstance(subject, SceneObject) and isinstance(other, SceneObject):
            holds = bool(getattr(_configured(grounder, subject, other, constraint.frame), word))
            return holds != constraint.negated
    # The score of a negated constraint is one minus its plain one already.
    return bool(grounder.holds(constraint, Places.of_objects([subject]))[0] >= _COUNTED)


def _configured(
    grounder: Grounder, subject: SceneObject, other: SceneObject, frame: Frame
) -> object:
    try:
        return configuration_of(grounder.scene, subject, other, frame)
    except QueryError:
        return configuration_of(grounder.scene, subject, other)


def _fits(grounder: Grounder, subject: Place, constraint: Constraint) -> bool:
    other = _single(grounder, constraint.anchors[0])
    relation = constraint.relation
    if not isinstance(subject, SceneObject):
        raise NothingFits("a support surface cannot be put anywhere")
    if relation in _ON_TOP:
        return fit_on_top(grounder.scene, subject, other) is not None
    if relation not in _BESIDE or isinstance(other, Surface):
        raise NothingFits(f"whether something fits {describe(constraint)} is not known")
    frame = constraint.frame
    if frame is Frame.OBJECT and other.front is None:
        frame = Frame.VIEWER
    return fit_beside(grounder.scene, subject, other, relation, frame) is not None


def _count(grounder: Grounder, question: Question) -> str:
    phrase = question.things[0]
    assert isinstance(phrase, Thing)
    try:
        options = grounder.options(phrase)
    except NothingFits:
        options = ()
    number = sum(option.score >= _COUNTED for option in options)
    return str(number) if question.ask is Ask.COUNT else _yes(number > 0)


def _distance(grounder: Grounder, things: Sequence[Anchor]) -> str:
    first, second = things
    if isinstance(first, Viewer):
        first, second = second, first
    place = Places.of_objects([_single(grounder, first)])
    anchor = None if isinstance(second, Viewer) else _single(grounder, second)
    return f"{measure(Key.FAR, grounder.scene, place, anchor)[0]:.2f} m"
