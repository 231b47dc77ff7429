# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The generated classes: every field survives the wire, constants mean what the docs say."""

from __future__ import annotations

import array
import re
from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.serialization import deserialize_message, serialize_message

import roborefer_msgs.action as actions
import roborefer_msgs.msg as messages
import roborefer_msgs.srv as services
from roborefer_msgs.msg import (
    ErrorCode,
    Phase,
    Pixel,
    Question,
    SpatialReference,
    TaskStatus,
    TaskStep,
)

PACKAGE = Path(__file__).parents[1]


def public(module: Any, kind: str) -> list[Any]:
    return [getattr(module, file.stem) for file in sorted(PACKAGE.glob(f"{kind}/*.{kind}"))]


MESSAGES = public(messages, "msg")
for service in public(services, "srv"):
    MESSAGES += [service.Request, service.Response]
for action in public(actions, "action"):
    MESSAGES += [action.Goal, action.Result, action.Feedback]


def fill(message: Any, seed: int = 1) -> Any:
    """Give every field a value that is not its default, sequences two elements."""
    for number, (name, kind) in enumerate(message.get_fields_and_field_types().items(), seed):
        value = getattr(message, name)
        if kind.startswith("sequence<"):
            element = kind[9:-1].partition(",")[0]
            setattr(message, name, [fill_value(element, number)] * 2)
        elif hasattr(value, "get_fields_and_field_types"):
            fill(value, number)
        elif hasattr(value, "__len__") and not isinstance(value, str):
            value[:] = array.array("d", range(1, len(value) + 1))
        else:
            setattr(message, name, fill_value(kind, number))
    return message


def fill_value(kind: str, number: int) -> Any:
    if "/" in kind:
        package, name = kind.split("/")
        module = __import__(f"{package}.msg", fromlist=[name])
        return fill(getattr(module, name)(), number)
    if kind.startswith("string"):
        return f"wörter {number}"
    if kind == "boolean":
        return True
    return number + 0.5 if kind in {"float", "double"} else number


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda c: c.__name__)
def test_every_field_survives_the_wire(kind):
    sent = fill(kind())

    received = deserialize_message(serialize_message(sent), kind)

    assert received == sent
    assert kind() == kind()
    if kind.get_fields_and_field_types():
        assert received != kind()


def test_every_reference_can_carry_the_pose_that_rviz_shows():
    reference = SpatialReference(kind=SpatialReference.KIND_FREE_SPACE, pixel=Pixel(u=3.5, v=4.0))

    assert isinstance(reference.pose, PoseWithCovarianceStamped)
    assert reference.KIND_FREE_SPACE == 3
    assert reference.pose.pose.covariance.shape == (36,)


def test_a_caller_decides_from_the_number_alone():
    def decision(code: int) -> str:
        rest = code % ErrorCode.SERVER_SPAN
        if code == ErrorCode.SUCCESS:
            return "done"
        if rest < ErrorCode.FIRST_ASK:
            return "retry"
        return "ask" if rest < ErrorCode.FIRST_ABORT else "abort"

    assert decision(ErrorCode.SUCCESS) == "done"
    assert decision(ErrorCode.REFER_STALE_IMAGE) == "retry"
    assert decision(ErrorCode.REFER_AMBIGUOUS) == "ask"
    assert decision(ErrorCode.ARM_PROTECTIVE_STOP) == "abort"


def test_a_message_left_empty_claims_nothing():
    assert TaskStep().state == TaskStep.PENDING
    assert TaskStatus().state == TaskStatus.QUEUED
    assert TaskStatus().question.kind == Question.NONE
    assert services.AnswerQuestion.Request().answer == services.AnswerQuestion.Request.NO
    assert actions.Pick.Result().phase == Phase.WAITING
    assert not actions.Pick.Result().held_object.held


def test_phases_differ():
    names = [n for n in dir(Phase) if re.fullmatch(r"[A-Z][A-Z_]+", n)]
    values = [v for v in (getattr(Phase, n) for n in names) if isinstance(v, int)]

    assert len(values) > 20
    assert len(set(values)) == len(values)
