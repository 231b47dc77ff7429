# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Goals, references, pictures and markers as messages."""

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from roborefer_perception.core.answers import Perception, Step
from roborefer_perception.core.frames import Policy
from roborefer_perception.core.query import QuerySettings
from roborefer_perception.core.types import Kind
from roborefer_perception.exceptions import Reason
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from roborefer_msgs.action import Refer
from roborefer_msgs.msg import ErrorCode, ReasoningStep, SpatialReference
from roborefer_perception import conversions

SETTINGS = QuerySettings()


def test_what_a_goal_leaves_open_comes_from_the_parameters():
    wish = conversions.wish_from_goal(Refer.Goal(instruction="the mug"), SETTINGS, 5)

    assert (wish.words, wish.kind, wish.pixel) == ("the mug", Kind.UNKNOWN, None)
    assert wish.image.policy is Policy.NEWEST
    assert wish.image.max_age_s == SETTINGS.max_image_age_s
    assert wish.wait_s == SETTINGS.wait_s
    assert wish.deadline_s == SETTINGS.deadline_s
    assert wish.samples == SETTINGS.samples
    assert wish.min_confidence == SETTINGS.min_confidence
    assert wish.target_frame == SETTINGS.target_frame


def test_what_a_goal_says_wins_over_the_parameters():
    goal = Refer.Goal(
        instruction="x", kind=3, image_policy=1, deadline=Duration(sec=2), num_samples=4,
        wait_timeout=Duration(nanosec=500_000_000), min_confidence=0.5, target_frame="map",
        max_image_age=Duration(sec=9), follow=True, image_stamp=Time(sec=3, nanosec=4),
    )  # fmt: skip

    wish = conversions.wish_from_goal(goal, SETTINGS, 77)

    assert (wish.kind, wish.image.policy, wish.image.after_ns) == (
        Kind.FREE_SPACE, Policy.FRESH, 77,
    )  # fmt: skip
    assert (wish.deadline_s, wish.wait_s, wish.image.max_age_s) == (2.0, 0.5, 9.0)
    assert (wish.samples, wish.min_confidence, wish.target_frame) == (4, 0.5, "map")
    assert wish.image.stamp_ns == 3_000_000_004
    assert wish.follow


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_an_error_code(reason):
    assert conversions.code_of(reason) > 0


def test_no_reason_is_success():
    assert conversions.code_of(None) == ErrorCode.SUCCESS


@pytest.mark.parametrize("kind", Kind)
def test_kinds_are_those_of_the_message(kind):
    assert getattr(SpatialReference, f"KIND_{kind.name}") == kind


@pytest.mark.parametrize("perception", Perception)
def test_perceptions_are_those_of_the_message(perception):
    assert getattr(ReasoningStep, perception.name) == perception


@pytest.mark.parametrize(
    ("step", "has_value"),
    [
        (Step("words"), False),
        (Step("at", Perception.POSITION, "mug", pixel=(3.5, 4.0)), True),
        (Step("up", Perception.ORIENTATION, direction=(0.0, 0.0, 1.0)), True),
        (Step("big", Perception.SIZE, size_m=0.3), True),
    ],
)
def test_a_step_says_whether_it_has_a_value(step, has_value):
    message = conversions.step_to_msg(step)

    assert message.has_value is has_value
    assert (message.text, message.target) == (step.text, step.target)
    if step.pixel:
        assert (message.pixel.u, message.pixel.v) == step.pixel


def test_a_picture_has_its_bytes_and_a_jpeg_its_looks():
    rng = np.random.default_rng(1)
    rgb = np.kron(rng.integers(0, 255, (3, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)

    raw = conversions.image_to_msg(rgb, Header(frame_id="optical"))
    jpeg = conversions.jpeg_to_msg(rgb, Header(frame_id="optical"))

    assert (raw.width, raw.height, raw.step, raw.encoding) == (64, 48, 192, "rgb8")
    assert bytes(raw.data) == rgb.tobytes()
    import cv2

    back = cv2.imdecode(np.frombuffer(bytes(jpeg.data), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(back.astype(int) - rgb).mean() < 4


def reference(frame="base_link", candidate=0):
    message = SpatialReference(instruction="the mug", candidate=candidate)
    message.pose.header.frame_id = frame
    message.pose.pose.pose.orientation.x = 1.0
    message.pose.pose.pose.orientation.w = 0.0
    message.pose.pose.covariance = np.diag([1e-4] * 6).ravel()
    return message


def test_markers_first_delete_those_of_before():
    array = conversions.markers_to_msg([])

    assert [marker.action for marker in array.markers] == [Marker.DELETEALL]


def test_the_arrow_of_a_reference_points_along_its_normal():
    _, _, arrow, doubt, _ = conversions.markers_to_msg([reference()]).markers

    # Half a turn about x: the normal points down.
    assert arrow.points[1].z < arrow.points[0].z
    assert doubt.scale.x == pytest.approx(4 * 0.01)


def test_candidates_have_their_number_and_ids_of_their_own():
    array = conversions.markers_to_msg([reference(candidate=1), reference(candidate=2)])

    ids = [marker.id for marker in array.markers[1:]]
    assert len(set(ids)) == len(ids) == 8
    assert array.markers[4].text == "1 the mug"


def test_a_reference_without_a_place_has_no_markers():
    assert len(conversions.markers_to_msg([reference(frame="")]).markers) == 1
