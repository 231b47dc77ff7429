# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to core types and back, for queries and their results."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt

import cv2
import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, PoseWithCovarianceStamped, Vector3
from roborefer_common.times import nanoseconds, time_to_msg
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import ColorRGBA, Header
from unique_identifier_msgs.msg import UUID
from visualization_msgs.msg import Marker, MarkerArray

from roborefer_msgs.action import Refer
from roborefer_msgs.msg import (
    ErrorCode,
    LatencySplit,
    Pixel,
    ReasoningStep,
    SpatialReference,
)
from roborefer_perception.core.answers import Answer, Step
from roborefer_perception.core.frames import ImageWish, Policy
from roborefer_perception.core.place import Posed
from roborefer_perception.core.query import Found, QuerySettings, Wish
from roborefer_perception.core.types import Kind, RgbdFrame
from roborefer_perception.exceptions import Reason, ReferFailure

_NS = 1_000_000_000
_JPEG_QUALITY = 85
_POINT = (1.0, 0.25, 0.43)
_CANDIDATE = (1.0, 0.69, 0.0)
_NORMAL_M = 0.08
_DOT_M = 0.012
# Ellipsoids are drawn at two standard deviations.
_SIGMAS = 2.0


def code_of(reason: Reason | None) -> int:
    """Error code of a reason; success for None."""
    return int(ErrorCode.SUCCESS if reason is None else getattr(ErrorCode, reason.value))


# --- goals ------------------------------------------------------------------------------------
def wish_from_goal(goal: Refer.Goal, settings: QuerySettings, now_ns: int) -> Wish:
    """Read a goal, with the parameters in place of what it leaves open.

    Args:
        goal: As it came.
        settings: The parameters.
        now_ns: When it came, by the node's clock.

    Raises:
        ReferFailure: INVALID_GOAL; the message names the field.
    """
    pixel = (float(goal.pixel.u), float(goal.pixel.v)) if goal.use_pixel else None
    if pixel is None and not goal.instruction.strip():
        raise _invalid("instruction is empty; say what to point at, or set use_pixel")
    if pixel is not None and not all(map(isfinite, pixel)):
        raise _invalid(f"pixel is {pixel}; finite numbers are needed")
    if goal.kind not in set(Kind):
        raise _invalid(f"kind is {goal.kind}; use a constant KIND_* of SpatialReference")
    if goal.image_policy not in set(Policy):
        raise _invalid(f"image_policy is {goal.image_policy}; use a constant IMAGE_* of Refer")
    if goal.num_samples > settings.most_samples:
        raise _invalid(
            f"num_samples is {goal.num_samples}; up to {settings.most_samples} are allowed"
        )
    if not 0 <= goal.min_confidence <= 1:
        raise _invalid(f"min_confidence is {goal.min_confidence}; 0 to 1 is allowed")
    max_age_s = _seconds("max_image_age", goal.max_image_age, settings.max_image_age_s)
    return Wish(
        words=goal.instruction,
        kind=Kind(goal.kind),
        image=ImageWish(
            Policy(goal.image_policy), nanoseconds(goal.image_stamp), max_age_s, now_ns
        ),
        wait_s=_seconds("wait_timeout", goal.wait_timeout, settings.wait_s),
        deadline_s=_seconds("deadline", goal.deadline, settings.deadline_s),
        samples=int(goal.num_samples) or settings.samples,
        min_confidence=float(goal.min_confidence) or settings.min_confidence,
        target_frame=goal.target_frame or settings.target_frame,
        pixel=pixel,
        follow=bool(goal.follow),
    )


def _seconds(name: str, duration: Duration, default_s: float) -> float:
    given_ns = nanoseconds(duration)
    if given_ns < 0:
        raise _invalid(f"{name} is {given_ns * 1e-9:g} s; zero or more is needed")
    return given_ns * 1e-9 or default_s


def _invalid(message: str) -> ReferFailure:
    return ReferFailure(Reason.INVALID_GOAL, message)


# --- references -------------------------------------------------------------------------------
def reference_to_msg(
    found: Found,
    frame: RgbdFrame,
    wish: Wish,
    name: bytes,
    answer: Answer | None,
    latency: LatencySplit,
) -> SpatialReference:
    """Write a reference.

    Args:
        found: What was found.
        frame: In which picture.
        wish: The goal.
        name: 16 bytes that name this reference.
        answer: Of the model; None: a person clicked.
        latency: Where the time went.
    """
    place = found.place
    message = SpatialReference(
        header=header_of(frame),
        id=UUID(uuid=np.frombuffer(name, np.uint8)),
        instruction=wish.words,
        kind=int(found.kind),
        candidate=found.number,
        label=found.label,
        pixel=Pixel(u=float(found.pixel[0]), v=float(found.pixel[1])),
        snapped_px=0.0 if place is None else float(place.snapped_px),
        image_width=frame.camera.width,
        image_height=frame.camera.height,
        confidence=float(found.confidence),
        samples=found.samples,
        samples_agreeing=found.agreeing,
        spread_m=float(found.spread_m),
        latency=latency,
    )
    if answer is not None:
        message.reasoning = [step_to_msg(step) for step in answer.reasoning]
        message.model = answer.engine
    if found.posed is not None:
        message.pose = pose_to_msg(found.posed, wish.target_frame, frame.stamp_ns)
        assert place is not None
        message.extent = Vector3(**dict(zip("xyz", map(float, place.extent), strict=True)))
    return message


def header_of(frame: RgbdFrame) -> Header:
    """Stamp and optical frame of a picture."""
    return Header(stamp=time_to_msg(frame.stamp_ns), frame_id=frame.frame_id)


def pose_to_msg(posed: Posed, frame_id: str, stamp_ns: int) -> PoseWithCovarianceStamped:
    """Write a pose with its covariance."""
    message = PoseWithCovarianceStamped()
    message.header = Header(stamp=time_to_msg(stamp_ns), frame_id=frame_id)
    at, turn = message.pose.pose.position, message.pose.pose.orientation
    at.x, at.y, at.z = map(float, posed.position)
    turn.x, turn.y, turn.z, turn.w = map(float, posed.quaternion)
    message.pose.covariance = np.asarray(posed.covariance, float).ravel()
    return message


def step_to_msg(step: Step) -> ReasoningStep:
    """Write a step of the reasoning."""
    message = ReasoningStep(perception=int(step.perception), target=step.target, text=step.text)
    if step.pixel is not None:
        message.pixel = Pixel(u=float(step.pixel[0]), v=float(step.pixel[1]))
    if step.direction is not None:
        message.direction = Vector3(**dict(zip("xyz", step.direction, strict=True)))
    if step.size_m is not None:
        message.size_m = float(step.size_m)
    message.has_value = any(v is not None for v in (step.pixel, step.direction, step.size_m))
    return message


# --- pictures ---------------------------------------------------------------------------------
def image_to_msg(rgb: npt.NDArray[np.uint8], header: Header) -> Image:
    """Write a picture as rgb8; rgb has the shape (height, width, 3)."""
    height, width = rgb.shape[:2]
    message = Image(
        header=header, height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width
    )
    # A list of bytes would be checked one by one.
    message.data.frombytes(np.ascontiguousarray(rgb))
    return message


def jpeg_to_msg(rgb: npt.NDArray[np.uint8], header: Header) -> CompressedImage:
    """Write a picture as JPEG; rgb has the shape (height, width, 3)."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    message = CompressedImage(header=header, format="rgb8; jpeg compressed bgr8")
    message.data.frombytes(data)
    return message


# --- markers ----------------------------------------------------------------------------------
def markers_to_msg(references: Sequence[SpatialReference]) -> MarkerArray:
    """Show references: a dot, the normal, two sigmas as an ellipsoid, and number or label.

    The markers of the references before are deleted; none at all clears the view.
    """
    markers = [Marker(action=Marker.DELETEALL)]
    for number, reference in enumerate(references):
        if reference.pose.header.frame_id:
            markers += _markers(reference, 4 * number)
    return MarkerArray(markers=markers)


def _markers(reference: SpatialReference, first: int) -> list[Marker]:
    pose = reference.pose.pose.pose
    red, green, blue = _CANDIDATE if reference.candidate else _POINT

    def marker(offset: int, kind: int, scale: tuple[float, float, float], alpha: float) -> Marker:
        made = Marker(
            header=reference.pose.header, ns="reference", id=first + offset, type=kind,
            action=Marker.ADD, color=ColorRGBA(r=red, g=green, b=blue, a=alpha),
            scale=Vector3(x=scale[0], y=scale[1], z=scale[2]),
        )  # fmt: skip
        made.pose.position = pose.position
        made.pose.orientation.w = 1.0
        return made

    dot = marker(0, Marker.SPHERE, (_DOT_M, _DOT_M, _DOT_M), 1.0)
    arrow = marker(1, Marker.ARROW, (0.006, 0.012, 0.016), 1.0)
    at, turn = pose.position, pose.orientation
    # The third column of the rotation matrix.
    normal = (
        2 * (turn.x * turn.z + turn.w * turn.y),
        2 * (turn.y * turn.z - turn.w * turn.x),
        1 - 2 * (turn.x**2 + turn.y**2),
    )
    arrow.pose.position = Point()
    tip = [value + _NORMAL_M * n for value, n in zip((at.x, at.y, at.z), normal, strict=True)]
    arrow.points = [Point(x=at.x, y=at.y, z=at.z), Point(x=tip[0], y=tip[1], z=tip[2])]
    variances = np.asarray(reference.pose.pose.covariance).reshape(6, 6).diagonal()[:3]
    x, y, z = (2 * _SIGMAS * sqrt(max(1e-8, float(value))) for value in variances)
    doubt = marker(2, Marker.SPHERE, (x, y, z), 0.35)
    text = marker(3, Marker.TEXT_VIEW_FACING, (0.0, 0.0, 0.03), 1.0)
    text.pose.position = Point(x=tip[0], y=tip[1], z=tip[2] + 0.02)
    words = reference.label or reference.instruction
    text.text = f"{reference.candidate} {words}" if reference.candidate else words
    return [dot, arrow, doubt, text]
