# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps of the way to an answer, from the program of its question, and the two texts of them.

Anchors come first, theirs before them; where a front decides, its direction is a step, and where
a size decides, its metres are (RefSpatial, arXiv 2506.04308: Position, Orientation, Size).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from roborefer_vlm.data.examples import KeyStep
from roborefer_vlm.data.meaning import resolve
from roborefer_vlm.data.paraphrasing import Words
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.scenes.frames import Frame, front_of
from roborefer_vlm.scenes.program import Constraint, OrderKey, Thing
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.types import PerceptionType

# Longer names of steps are not read back (see roborefer_vlm.parsing.steps).
LONGEST_TARGET = 200

_SIZED = {
    Relation.TALL: OrderKey.TALL,
    Relation.SHORT: OrderKey.TALL,
    Relation.WIDE: OrderKey.WIDE,
    Relation.THIN: OrderKey.WIDE,
}
_RANKED = {
    OrderKey.TALL: OrderKey.TALL,
    OrderKey.SHORT: OrderKey.TALL,
    OrderKey.WIDE: OrderKey.WIDE,
    OrderKey.NARROW: OrderKey.WIDE,
    OrderKey.LONG: OrderKey.LONG,
}
_NAMES = {OrderKey.TALL: "height", OrderKey.WIDE: "width", OrderKey.LONG: "length"}


class ChainForm(StrEnum):
    """How a chain of steps is written."""

    # "Step1: [Position] [the mug] Point (0.129, 0.617). ... [(0.510, 0.255)]"
    SFT = "sft"
    # "<think> [Position] [the mug]: [(0.129, 0.617)] ... </think><answer>...</answer>"
    RFT = "rft"


def way_to(truth: Truth, words: Words, phrase: Thing, number: int) -> list[KeyStep]:
    """Return the steps that lead to a thing, the last one says where it is.

    Args:
        truth: Of the view.
        words: Those of the question.
        phrase: Proven to mean the thing.
        number: Id of the thing.
    """
    # The same anchor may be named twice.
    return list(dict.fromkeys(_steps(truth, words, phrase, number)))


def _steps(truth: Truth, words: Words, phrase: Thing, number: int) -> Iterator[KeyStep]:
    name = words.thing(phrase)
    for constraint in phrase.constraints:
        yield from way_to_anchors(truth, words, constraint)
        if constraint.relation in (Relation.FACE, Relation.BACK):
            yield from _front(truth, name, number)
        yield from _size(truth, name, number, _SIZED.get(constraint.relation))
    for order in phrase.orders:
        if isinstance(order.anchor, Thing):
            yield from _anchor_steps(truth, words, order.anchor)
        yield from _size(truth, name, number, _RANKED.get(order.key))
    point = truth.point(number)
    assert point is not None  # What is referred to is visible.
    yield KeyStep(PerceptionType.POSITION, name, point)


def way_to_anchors(truth: Truth, words: Words, constraint: Constraint) -> Iterator[KeyStep]:
    """Yield the steps to the anchors of a constraint, and what of them decides."""
    for anchor in constraint.anchors:
        if not isinstance(anchor, Thing):
            continue
        yield from _anchor_steps(truth, words, anchor)
        for number in resolve(truth, anchor) or ():
            if constraint.frame is Frame.OBJECT:
                yield from _front(truth, words.thing(anchor), number)
            yield from _size(truth, words.thing(anchor), number, _SIZED.get(constraint.relation))


def _anchor_steps(truth: Truth, words: Words, anchor: Thing) -> Iterator[KeyStep]:
    # A surface has no point of its own, and several things have several.
    found = resolve(truth, anchor) or ()
    if len(found) == 1 and found[0] in truth.ids:
        yield from _steps(truth, words, anchor, found[0])


def _front(truth: Truth, name: str, number: int) -> Iterator[KeyStep]:
    front = front_of(truth.place(number))
    if front is not None:
        x, y, z = front @ truth.scene.camera.t_scene_optical[:3, :3]
        value = (round(float(x), 3), round(float(y), 3), round(float(z), 3))
        yield KeyStep(PerceptionType.ORIENTATION, f"the front of {name}", value)


def _size(truth: Truth, name: str, number: int, key: OrderKey | None) -> Iterator[KeyStep]:
    if key is not None and Fact.METRIC in truth.view.trusts:
        metres = round(float(truth.values(key)[truth.row(number)]), 3)
        yield KeyStep(PerceptionType.SIZE, f"the {_NAMES[key]} of {name}", (metres,))


def is_readable(steps: Sequence[KeyStep]) -> bool:
    """Tell whether the names of steps are short enough, and without brackets, to be read back."""
    return all(
        len(step.target) <= LONGEST_TARGET and not set("[]\n") & set(step.target) for step in steps
    )


def chain_text(steps: Sequence[KeyStep], answer: str, form: ChainForm) -> str:
    """Return steps and answer as a model shall write them."""
    if form is ChainForm.RFT:
        lines = "\n".join(f"[{_type(step)}] [{step.target}]: {_value(step)}" for step in steps)
        return f"<think> {lines} </think><answer>{answer}</answer>"
    texts = [
        f"Step{number}: [{_type(step)}] [{step.target}] {_labelled(step)}."
        for number, step in enumerate(steps, 1)
    ]
    return " ".join((*texts, answer))


def _type(step: KeyStep) -> str:
    return step.perception.value.capitalize()


def _value(step: KeyStep) -> str:
    if step.perception is PerceptionType.SIZE:
        return f"{step.value[0]:.3f}"
    return f"[{_numbers(step)}]"


def _labelled(step: KeyStep) -> str:
    if step.perception is PerceptionType.SIZE:
        return f"Size {step.value[0]:.3f}"
    label = "Vector" if step.perception is PerceptionType.ORIENTATION else "Point"
    return f"{label} {_numbers(step)}"


def _numbers(step: KeyStep) -> str:
    return "(" + ", ".join(f"{number:.3f}" for number in step.value) + ")"
