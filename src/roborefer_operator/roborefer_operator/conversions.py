# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to core types and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from roborefer_common.times import nanoseconds, time_to_msg

from roborefer_msgs.msg import ErrorCode, LatencySplit, SpatialReference, TaskStatus, TaskStep
from roborefer_msgs.msg import Question as QuestionMsg
from roborefer_msgs.srv import CorrectReference
from roborefer_operator.core.ports import Reference, Samples
from roborefer_operator.core.samples import Sample
from roborefer_operator.core.tasks import Question, QuestionKind, StepRun, TaskRun
from roborefer_operator.exceptions import Reason, TaskFailure

# Of the audio of `instruct`: samples per second, and what may be a sentence, seconds.
_RATE = 16000
_SHORTEST_S, _LONGEST_S = 0.1, 60.0

_LATENCIES = tuple(LatencySplit.get_fields_and_field_types())


def code_of(reason: Reason) -> int:
    """Error code of a reason."""
    return int(getattr(ErrorCode, reason.value))


def samples_of(audio: Sequence[int]) -> Samples:
    """Take over sound.

    Raises:
        TaskFailure: INVALID_AUDIO: it is too short for a word, or too long for a sentence.
    """
    seconds = len(audio) / _RATE
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise TaskFailure(
            Reason.INVALID_AUDIO,
            f"the sound is {seconds:.2f} s long at {_RATE} samples per second;"
            f" {_SHORTEST_S:g} to {_LONGEST_S:g} s are right",
        )
    return np.asarray(audio, np.int16)


def reference_from_msg(message: SpatialReference) -> Reference:
    """Take over what the executive needs of a reference."""
    at = message.pose.pose.pose.position
    frame = message.pose.header.frame_id
    return Reference(
        id=bytes(message.id.uuid).hex(),
        pixel=(message.pixel.u, message.pixel.v),
        stamp_ns=nanoseconds(message.header.stamp),
        kind=int(message.kind),
        label=message.label or message.instruction,
        words=message.instruction,
        confidence=float(message.confidence),
        frame=frame,
        position=(at.x, at.y, at.z) if frame else None,
        raw=message,
    )


def details_of(reference: Reference) -> dict[str, Any]:
    """Return what a record keeps of a reference beyond what the executive needs."""
    message = reference.raw
    if not isinstance(message, SpatialReference):
        return {}
    pose = message.pose.pose.pose.orientation
    split = message.latency
    return {
        "image_frame": message.header.frame_id,
        "image_size": [int(message.image_width), int(message.image_height)],
        "snapped_px": float(message.snapped_px),
        "orientation": [pose.x, pose.y, pose.z, pose.w],
        "covariance": [float(value) for value in message.pose.pose.covariance],
        "extent": [message.extent.x, message.extent.y, message.extent.z],
        "samples": int(message.samples),
        "samples_agreeing": int(message.samples_agreeing),
        "spread_m": float(message.spread_m),
        "reasoning": [step.text for step in message.reasoning],
        "model": message.model,
        "latency_s": {name: float(getattr(split, name)) for name in _LATENCIES},
    }


def correction_from_msg(request: CorrectReference.Request) -> Sample:
    """Take over what a person says was meant.

    Raises:
        TaskFailure: INVALID_GOAL: the pixel is none.
    """
    pixel = (float(request.pixel.u), float(request.pixel.v)) if request.in_image else None
    if pixel is not None and not np.isfinite(pixel).all():
        raise TaskFailure(Reason.INVALID_GOAL, f"pixel {pixel} is none; two finite numbers are")
    return Sample(
        request.instruction, pixel, "service", bytes(request.reference_id.uuid).hex(),
        kind=int(request.kind), note=request.note,
    )  # fmt: skip


def step_to_msg(step: StepRun) -> TaskStep:
    """Write a step."""
    message = TaskStep(
        verb=int(step.verb),
        phrase=step.phrase,
        state=int(step.state),
        phase=step.phase,
        attempts=step.attempts,
        error_code=step.code,
        error_msg=step.message,
        has_reference=step.reference is not None,
        started=time_to_msg(step.started_ns),
        ended=time_to_msg(step.ended_ns),
    )
    if step.reference is not None and isinstance(step.reference.raw, SpatialReference):
        message.reference = step.reference.raw
    return message


def question_to_msg(question: Question | None) -> QuestionMsg:
    """Write a question; kind NONE where none is open."""
    if question is None:
        return QuestionMsg(kind=int(QuestionKind.NONE))
    message = QuestionMsg(
        kind=int(question.kind),
        question_id=question.id,
        text=question.text,
        asked=time_to_msg(question.asked_ns),
        expires=time_to_msg(question.expires_ns),
    )
    for number, candidate in enumerate(question.candidates, 1):
        if isinstance(candidate.raw, SpatialReference):
            candidate.raw.candidate = number
            message.candidates.append(candidate.raw)
    return message


def task_to_msg(task: TaskRun) -> TaskStatus:
    """Write all there is to know about a task."""
    return TaskStatus(
        task_id=task.id,
        instruction=task.instruction,
        source=int(task.source),
        words_confidence=float(task.words_confidence),
        state=int(task.state),
        steps=[step_to_msg(step) for step in task.steps],
        current_step=task.current,
        question=question_to_msg(task.question),
        error_code=task.code,
        error_msg=task.error,
        message=task.message,
        accepted=time_to_msg(task.accepted_ns),
        updated=time_to_msg(task.updated_ns),
    )
