# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the examples of a shot to records: conversations about the same pictures.

A record follows RefSpatial's (arXiv 2506.04308; LLaVA's with depth) and is read by
`roborefer_vlm.training.samples`:

    id, image [names], depth [names], conversations [{from: human | gpt, value}]

A record of one question also holds `kind`, `steps`, `point`, `facts`, `phrasing` of its example;
a record of several holds them, with the `id`, in `turns`, one entry per question. Chains always
stand alone, with their steps as text in `thinking` too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roborefer_vlm.data.examples import Example, Kind
from roborefer_vlm.data.views import Shot
from roborefer_vlm.exceptions import RecordError
from roborefer_vlm.types import PerceptionType

# As many as RefSpatial has at most.
MOST_TURNS = 15


class Group(StrEnum):
    """Files that records are sorted into; the names are RefSpatial's, where it has one."""

    TEMPLATE = "reasoning_template_qa"
    VACANT = "vacant_qa"
    CHOICE = "choice_qa"
    VISUAL_CHOICE = "visual_choice_qa"
    MULTI_VIEW = "multi_view_qa"
    CHAIN = "chain_qa"


_GROUPS = {
    Kind.LOCATION: Group.TEMPLATE,
    Kind.QUANTITY: Group.TEMPLATE,
    Kind.PLACEMENT: Group.VACANT,
    Kind.CHOICE: Group.CHOICE,
    Kind.PREDICATE: Group.CHOICE,
    Kind.COMPATIBILITY: Group.CHOICE,
    Kind.CONFIGURATION: Group.CHOICE,
    Kind.MULTI_VIEW: Group.MULTI_VIEW,
    Kind.CHAIN: Group.CHAIN,
}


@dataclass(frozen=True)
class Draft:
    """A record whose pictures are not written yet.

    Attributes:
        group: The file that it belongs to.
        views: Indices of the views that it shows, in this order.
        examples: Its questions, in the order of the conversation.
    """

    group: Group
    views: tuple[int, ...]
    examples: tuple[Example, ...]


def group_of(example: Example) -> Group:
    """Return the file that an example belongs to."""
    if example.kind is Kind.CHOICE and marks_of(example):
        return Group.VISUAL_CHOICE
    return _GROUPS[example.kind]


def marks_of(example: Example) -> Sequence[Mapping[str, Any]]:
    """Return what is to be drawn into the picture of an example: `facts["marks"]`, or nothing.

    A mark is `{"label": "A", "box": [left, top, right, bottom], "color": [r, g, b]}`, the box in
    pixels of the first view.
    """
    marks: Sequence[Mapping[str, Any]] = example.facts.get("marks", ())
    return marks


def check(shot: Shot, example: Example) -> None:
    """Refuse an example that cannot be written as it stands.

    Raises:
        RecordError: It has no words, shows a view that does not exist, its point lies outside
            the picture, or steps and kind do not fit. This is a maker's mistake.
    """

    def refuse(field: str, problem: str) -> None:
        raise RecordError("examples", example.id, field, problem)

    if not example.question.strip():
        refuse("question", "is empty")
    if not example.answer.strip():
        refuse("answer", "is empty")
    if not example.views or any(not 0 <= view < len(shot.views) for view in example.views):
        refuse("views", f"{example.views} of a shot with {len(shot.views)} views")
    if example.point is not None and not all(0 <= value < 1 for value in example.point):
        refuse("point", f"{example.point} lies outside the picture; 0 to 1 span it")
    if bool(example.steps) != (example.kind is Kind.CHAIN):
        refuse("steps", f"{len(example.steps)} steps in a question of kind {example.kind.value}")


def draft(examples: Sequence[Example], most_turns: int = MOST_TURNS) -> Iterator[Draft]:
    """Sort examples into records, keeping their order.

    Args:
        examples: Of one shot.
        most_turns: Most questions of one record.
    """
    together: dict[tuple[Group, tuple[int, ...]], list[Example]] = {}
    for example in examples:
        together.setdefault((group_of(example), example.views), []).append(example)
    for (group, views), members in together.items():
        size = 1 if group in (Group.CHAIN, Group.VISUAL_CHOICE) else most_turns
        for start in range(0, len(members), size):
            yield Draft(group, views, tuple(members[start : start + size]))


def record_of(one: Draft, images: Sequence[str], depths: Sequence[str]) -> dict[str, Any]:
    """Return a record as it is written, JSON values only.

    Args:
        one: What it holds.
        images: Names of its pictures.
        depths: Names of its depth pictures; empty where a view has none.
    """
    conversations = []
    for example in one.examples:
        conversations.append({"from": "human", "value": example.question})
        conversations.append({"from": "gpt", "value": example.answer})
    record: dict[str, Any] = {"id": one.examples[0].id, "image": list(images)}
    if depths:
        record["depth"] = list(depths)
    record["conversations"] = conversations
    if one.group is Group.CHAIN:
        record["thinking"] = [
            {"question_type": example.kind.value, "thinking": example.answer}
            for example in one.examples
        ]
    if len(one.examples) == 1:
        record |= _told(one.examples[0])
    else:
        record["turns"] = [{"id": e.id} | _told(e) for e in one.examples]
    return record


def questions_of(record: Mapping[str, Any], source: str = "record") -> list[dict[str, Any]]:
    """Return the questions of a record that this package wrote.

    Args:
        record: Its conversation has been checked, see `roborefer_vlm.record_files.spoken`.
        source: File that it stands in, for messages.

    Returns:
        Per question: id, question, answer, kind, steps, point, facts, phrasing.

    Raises:
        RecordError: It is no such record.
    """
    name = str(record.get("id"))
    said = record["conversations"]
    told = record.get("turns", [record])
    if not isinstance(told, list) or not all(isinstance(one, Mapping) for one in told):
        raise RecordError(source, name, "turns", "a list of objects is needed")
    if len(said) != 2 * len(told):
        raise RecordError(source, name, "turns", f"{len(told)} for {len(said)} sentences")
    questions = []
    for one, human, gpt in zip(told, said[::2], said[1::2], strict=True):
        for field, (fits, wanted) in _FIELDS.items():
            if field not in one:
                raise RecordError(source, name, field, "is missing")
            if not fits(one[field]):
                raise RecordError(
                    source, name, field, f"is {one[field]!r:.80}; {wanted} is needed"
                )
        questions.append(
            {
                "question": human["value"],
                "answer": gpt["value"],
                **{field: one[field] for field in _FIELDS},
            }
        )
    return questions


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(number) in (int, float) for number in value)


def _is_point(value: object) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, list)
        and _are_numbers(value)
        and len(value) == 2
        and all(0 <= share <= 1 for share in value)
    )


def _are_steps(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(step, dict)
        and step.get("perception") in list(PerceptionType)
        and _is_text(step.get("target"))
        and _are_numbers(step.get("value"))
        for step in value
    )


# What is told of a question: how each field is recognised, and how that is said.
_FIELDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "id": (_is_text, "a text"),
    "kind": (lambda value: value in list(Kind), f"one of {', '.join(Kind)}"),
    "steps": (_are_steps, "a list of perception, target and value (numbers)"),
    "point": (_is_point, "x and y from 0 to 1, or null,"),
    "facts": (lambda value: isinstance(value, dict), "an object"),
    "phrasing": (_is_text, "a text"),
}


def _told(example: Example) -> dict[str, Any]:
    return {
        "kind": example.kind.value,
        "steps": [
            {"perception": s.perception.value, "target": s.target, "value": list(s.value)}
            for s in example.steps
        ],
        "point": None if example.point is None else list(example.point),
        "facts": dict(example.facts),
        "phrasing": example.phrasing,
    }
