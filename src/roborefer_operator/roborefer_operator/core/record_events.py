# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A task as plain data, and what has happened between two looks at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from roborefer_operator.core.language.steps import (
    Context,
    Control,
    Correction,
    Plan,
    Step,
    Utterance,
    Verb,
)
from roborefer_operator.core.ports import Reference
from roborefer_operator.core.tasks import Answer, Question, TaskRun

Shot = dict[str, Any]
Details = Callable[[Reference], Mapping[str, Any]]
_STEP_FIELDS = ("state", "phase", "attempts", "code", "message")


def shot_of(task: TaskRun, details: Details) -> Shot:
    """Return all that is recorded of a task, as it stands.

    Args:
        task: The task; it must not change meanwhile.
        details: What else is known of a reference, as plain data.
    """
    return {
        "task": task.id,
        "words": task.instruction,
        "source": task.source.name.lower(),
        "words_confidence": _plain(task.words_confidence),
        "confirm": task.confirm,
        "plan_only": task.plan_only,
        "accepted_ns": task.accepted_ns,
        "at_ns": task.updated_ns,
        "reading": reading_to_json(task.reading) if task.reading is not None else None,
        "context": {
            "holding": task.context.holding,
            "target": task.context.target,
            "place": task.context.place,
            "held": task.context.held,
        },
        "state": task.state.name.lower(),
        "ended": task.state.ended,
        "message": task.message,
        "code": task.code,
        "error": task.error,
        "steps": [
            {
                "verb": step.verb.name.lower(),
                "phrase": step.phrase,
                "back": step.back,
                "state": step.state.name.lower(),
                "phase": step.phase,
                "attempts": step.attempts,
                "code": step.code,
                "message": step.message,
                "reference": _reference(step.reference, details),
            }
            for step in task.steps
        ],
        "question": _question(task.question, details),
        "answers": [_answer(answer) for answer in task.answers],
    }


def events(before: Shot | None, after: Shot) -> list[dict[str, Any]]:
    """Return what happened between two shots of the same task, one line of a record each.

    Args:
        before: The earlier one; None at the beginning.
        after: The later one.
    """
    found: list[dict[str, Any]] = []
    at = round((after["at_ns"] - after["accepted_ns"]) * 1e-9, 3)

    def tell(event: str, **fields: Any) -> None:
        found.append({"at_s": at, "event": event, **fields})

    def changed(*names: str) -> bool:
        return before is None or any(before[name] != after[name] for name in names)

    if before is None:
        names = ("task", "source", "words_confidence", "confirm", "plan_only", "accepted_ns")
        tell("accepted", **{name: after[name] for name in names})
    if changed("words", "reading") and after["words"]:
        tell("words", **{name: after[name] for name in ("words", "words_confidence")})
        if after["reading"] is not None:
            reading = {name: after[name] for name in ("words", "context", "reading")}
            tell("read", **reading)
    plans = [
        [[s["verb"], s["phrase"]] for s in shot["steps"]]
        for shot in (before or {"steps": []}, after)
    ]
    if plans[0] != plans[1]:
        tell("steps", steps=plans[1])
    for answer in after["answers"][len(before["answers"]) if before else 0 :]:
        tell("answer", **answer)
    _tell_steps(before, after, tell)
    if changed("question") and after["question"] is not None:
        tell("question", **after["question"])
    if changed("state") and not after["ended"]:
        tell("state", state=after["state"], message=after["message"])
    if after["ended"] and changed("ended"):
        done = sum(step["state"] == "succeeded" for step in after["steps"])
        end = {name: after[name] for name in ("state", "code", "error", "message")}
        tell("ended", **end, steps_done=done)
    return found


def _tell_steps(before: Shot | None, after: Shot, tell: Callable[..., None]) -> None:
    for number, step in enumerate(after["steps"]):
        was = before["steps"][number] if before and number < len(before["steps"]) else {}
        reference = step["reference"]
        if reference is not None and reference != was.get("reference"):
            tell("reference", step=number, reference=reference)
        news = {name: step[name] for name in _STEP_FIELDS if step[name] != was.get(name)}
        if was and news:
            tell("step", step=number, **news)


def reading_to_json(found: Utterance) -> dict[str, Any]:
    """Return what the grammar read, as plain data."""
    if isinstance(found, Control):
        return {"control": found.value}
    if isinstance(found, Correction):
        plan = reading_to_json(found.plan) if found.plan is not None else None
        return {"target": found.target, "place": found.place, "plan": plan}
    assert isinstance(found, Plan)
    return {
        "steps": [_step(step) for step in found.steps],
        "others": [[_step(step) for step in steps] for steps in found.others],
    }


def context_from_json(data: Mapping[str, Any]) -> Context:
    """Read what the grammar knew."""
    # Records of older versions do not name what was held.
    held = str(data.get("held", ""))
    return Context(bool(data["holding"]), str(data["target"]), str(data["place"]), held)


def _step(step: Step) -> list[str]:
    return [Verb(step.verb).name.lower(), step.phrase]


def _reference(reference: Reference | None, details: Details) -> dict[str, Any] | None:
    if reference is None:
        return None
    own = {
        "id": reference.id, "words": reference.words, "label": reference.label,
        "pixel": reference.pixel, "stamp_ns": reference.stamp_ns, "kind": reference.kind,
        "confidence": reference.confidence, "frame": reference.frame,
        "position": reference.position,
    }  # fmt: skip
    return {name: _plain(value) for name, value in {**own, **details(reference)}.items()}


def _question(question: Question | None, details: Details) -> dict[str, Any] | None:
    if question is None:
        return None
    return {
        "kind": question.kind.name.lower(),
        "id": question.id,
        "text": question.text,
        "candidates": [_reference(c, details) for c in question.candidates],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question.id,
        "kind": answer.reply.kind.name.lower(),
        "candidate": answer.reply.candidate,
        "text": answer.reply.text,
        "pixel": list(answer.pixel) if answer.pixel is not None else None,
    }


def _plain(value: Any) -> Any:
    """Make JSON of a value; numbers that JSON does not know become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
