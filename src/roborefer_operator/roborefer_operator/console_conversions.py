# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to what the page of the console shows."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from roborefer_msgs.msg import (
    Phase,
    Question,
    ReasoningStep,
    SpatialReference,
    TaskStatus,
    TaskStep,
    TrackedReference,
    Transcript,
)
from roborefer_operator.core.language.steps import Verb
from roborefer_operator.core.tasks import StepRun, StepState, TaskState

_PHASES = {getattr(Phase, name): name for name in dir(Phase) if name.isupper()}
_STEP_LOOKS = {
    TaskStep.RUNNING: "busy", TaskStep.SUCCEEDED: "done", TaskStep.FAILED: "failed",
}  # fmt: skip
_TASK_LOOKS = {
    TaskStatus.SUCCEEDED: "done", TaskStatus.PARTLY_DONE: "warn", TaskStatus.FAILED: "failed",
    TaskStatus.CANCELED: "warn",
}  # fmt: skip
_YES = {
    Question.CONFIRM_WORDS: "Yes, that was said",
    Question.CONFIRM_PLAN: "Yes, do it",
    Question.GO_ON: "Try again",
}
_NO = {Question.CONFIRM_WORDS: "No", Question.CONFIRM_PLAN: "No"}
_LEVELS = {DiagnosticStatus.OK: "done", DiagnosticStatus.WARN: "warn"}
# Of a sentence from elsewhere that is shown.
_LONGEST = 400
# Texts of marks that are nearer than this to each other cannot be read.
_NEAR_PX = 25.0


def task_view(task: TaskStatus) -> dict[str, Any]:
    """Show a task."""
    return {
        "id": task.task_id,
        "instruction": task.instruction or "(being heard)",
        "state": _name(TaskState, task.state),
        "look": _TASK_LOOKS.get(task.state, "busy"),
        "ended": task.state >= TaskStatus.SUCCEEDED,
        "message": task.message[:_LONGEST],
        "error": task.error_msg[:_LONGEST],
        "done": sum(step.state == TaskStep.SUCCEEDED for step in task.steps),
        "steps": [_step_view(step) for step in task.steps],
        "question": _question_view(task.question),
    }


def _step_view(step: TaskStep) -> dict[str, str]:
    known = step.verb in list(Verb)
    words = StepRun(Verb(step.verb), step.phrase).words if known else step.phrase
    running = step.state == TaskStep.RUNNING
    phase = _PHASES.get(step.phase, str(step.phase)).replace("_", " ").lower()
    more = [f"({phase})"] if running else []
    more += [f"attempt {step.attempts}"] if step.attempts > 1 else []
    more += [step.error_msg[:_LONGEST]] if step.error_msg else []
    return {
        "words": words,
        "state": _name(StepState, step.state),
        "look": _STEP_LOOKS.get(step.state, ""),
        "more": " ".join(more),
    }


def _question_view(question: Question) -> dict[str, Any] | None:
    if question.kind == Question.NONE:
        return None
    return {
        "id": question.question_id,
        "text": question.text[:_LONGEST],
        "candidates": [
            {"number": found.candidate, "label": found.label or found.instruction}
            for found in question.candidates
        ],
        "yes": _YES.get(question.kind, ""),
        "no": _NO.get(question.kind, "Give up"),
        "click": question.kind == Question.WHICH,
    }


def reference_of(task: TaskStatus) -> SpatialReference | None:
    """Return the reference of the step in work, else the last one of the task."""
    if task.current_step < len(task.steps) and task.steps[task.current_step].has_reference:
        return task.steps[task.current_step].reference
    found = [step.reference for step in task.steps if step.has_reference]
    return found[-1] if found else None


def reference_view(found: SpatialReference) -> dict[str, Any]:
    """Show a reference; id "" is of one that was made by hand."""
    number = bytes(found.id.uuid)
    name = found.label or found.instruction or "chosen by a click"
    texts = [f"“{name}”, confidence {found.confidence:.2f}"]
    frame = found.pose.header.frame_id
    if frame:
        at = found.pose.pose.pose.position
        texts.append(f"at ({at.x:.3f}, {at.y:.3f}, {at.z:.3f}) m in {frame}")
    if found.model:
        texts.append(f"by {found.model}")
    return {
        "id": number.hex() if any(number) else "",
        "text": ", ".join(texts),
        "reasoning": [
            step.text[:_LONGEST] or f"{step.target}" for step in found.reasoning
        ],
    }  # fmt: skip


def marks_of(
    task: TaskStatus | None, found: SpatialReference | None, tracked: TrackedReference | None
) -> list[dict[str, Any]]:
    """Return the marks on the picture: the candidates of an open question, or the reference.

    With the reference go its steps of reasoning and the places of the task's other steps. A mark
    has no text where the target's stands.
    """
    if task is not None and task.question.kind == Question.WHICH:
        return [
            _mark(each.pixel, "candidate", f"{each.candidate} {each.label}")
            for each in task.question.candidates
        ]
    if found is None:
        return []
    followed = tracked is not None and not tracked.lost and tracked.id == found.id
    pixel = tracked.pixel if followed and tracked is not None else found.pixel
    marks = [
        _mark(step.pixel, "step", step.target)
        for step in found.reasoning
        if step.has_value and step.perception == ReasoningStep.POSITION
    ]
    if task is not None and task.state < TaskStatus.SUCCEEDED:
        marks += [
            _mark(step.reference.pixel, "other", step.reference.label)
            for step in task.steps[task.current_step + 1 :]
            if step.has_reference and step.reference.id != found.id
        ]
    for mark in marks:
        if max(abs(mark["u"] - pixel.u), abs(mark["v"] - pixel.v)) < _NEAR_PX:
            mark["text"] = ""
    return [*marks, _mark(pixel, "target", found.label)]


def _mark(pixel: Any, kind: str, text: str) -> dict[str, Any]:
    return {"u": round(pixel.u, 1), "v": round(pixel.v, 1), "kind": kind, "text": text[:60]}


def transcript_view(heard: Transcript) -> str:
    """Show what was heard."""
    if not heard.accepted:
        return f"Not taken: “{heard.text}” {heard.error_msg}"[:_LONGEST]
    return f"Heard: “{heard.text}” ({heard.confidence:.2f})"


def node_view(status: DiagnosticStatus, age_s: float, longest_s: float) -> dict[str, str]:
    """Show how a node is; one that says nothing any more is an error."""
    if age_s > longest_s:
        text = f"silent for {age_s:.0f} s"
        return {"name": status.name, "level": "error", "text": text}
    level = _LEVELS.get(status.level, "error")
    return {"name": status.name, "level": level, "text": status.message[:_LONGEST]}


def _name(kind: type[IntEnum], value: int) -> str:
    return kind(value).name.replace("_", " ").lower() if value in list(kind) else str(value)
