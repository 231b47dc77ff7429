# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The referrer with a fake server and a synthetic camera: answers, refusals, cancel, lifecycle."""

import threading

import numpy as np
import pytest
import referring
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from referring import BLOCK_M, FRAME, MIDDLE, H, W
from roborefer_perception.testing import FakeReply, answer, point, point_at, stream
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from roborefer_msgs.action import Refer
from roborefer_msgs.msg import (
    ErrorCode,
    Phase,
    Pixel,
    SpatialReference,
    TrackedReference,
)

FRESH = Refer.Goal.IMAGE_FRESH
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# The promise is 0.2 s; a shared machine may take as long again to wake threads.
CANCEL_S = 0.4


@pytest.fixture(scope="module")
def running():
    values = {"model.retries": 0, "model.breaker_failures": 100}
    with referring.own_domain(), referring.run_referrer(**values) as bench:
        assert bench.refer(wait_timeout=Duration(sec=10)).result().error_code == 0
        yield bench


@pytest.fixture
def bench(running):
    yield running
    running.camera.heal()
    running.server.script = point_at()


def position(reference):
    at = reference.pose.pose.pose.position
    return np.array([at.x, at.y, at.z])


def works(bench):
    result = bench.refer(image_policy=FRESH, wait_timeout=Duration(sec=5)).result()
    return result.error_code == ErrorCode.SUCCESS and len(result.references) == 1


def hang(request):
    request.gone.wait(20)


# --- answers ----------------------------------------------------------------------------------
def test_words_become_a_place_in_the_target_frame(bench):
    result = bench.refer("the red block").result()

    reference = result.references[0]
    assert (result.error_code, result.error_msg, result.phase) == (0, "", Phase.DONE)
    assert not result.candidates
    assert reference.header.frame_id == FRAME
    assert reference.pose.header.frame_id == "base_link"
    assert reference.pose.header.stamp == reference.header.stamp
    assert reference.instruction == "the red block"
    assert reference.kind == SpatialReference.KIND_OBJECT
    assert (reference.pixel.u, reference.pixel.v) == MIDDLE
    assert (reference.image_width, reference.image_height) == (W, H)
    np.testing.assert_allclose(position(reference), [0, 0, BLOCK_M], atol=2e-3)
    assert abs(reference.pose.pose.pose.orientation.w) > 0.99
    assert 0.09 < reference.extent.x < 0.11
    assert np.diag(np.reshape(reference.pose.pose.covariance, (6, 6))).min() > 0
    assert reference.model == "fake:no-model"
    assert (reference.samples, reference.samples_agreeing) == (1, 1)
    assert any(reference.id.uuid)


def test_the_server_gets_words_depth_intrinsics_and_the_direction_up(bench):
    bench.refer("  the block, ünïcode ", kind=1, num_samples=3).result()

    request = bench.server.requests[-1]
    assert request.text == "  the block, ünïcode "
    assert request.fields["samples"] == 3
    assert request.fields["kind"] == "object"
    assert request.fields["intrinsics"]["fx"] == referring.FOCAL
    np.testing.assert_allclose(request.fields["up"], [0, 0, -1], atol=1e-9)
    assert "depth" in request.parts


def test_feedback_tells_phases_time_and_reasoning_as_it_is_written(bench):
    read = [threading.Event(), threading.Event()]
    located = threading.Event()

    def pieces():
        # The next piece is written once the one before was read.
        yield "[Position Perception] [the block]: (0.5, "
        read[0].wait(5)
        yield "0.5)\nthen left"
        read[1].wait(5)

    def on_feedback(told):
        if told.reasoning:
            read[len(told.reasoning) - 1].set()
        if told.phase == Phase.LOCATING:
            located.set()

    bench.server.script = lambda request: stream(pieces(), answer((W, H), [MIDDLE]))

    sent = bench.refer("it", on_feedback)
    assert sent.result().error_code == 0
    # Feedback and result come by different ways.
    assert located.wait(5)

    phases = [feedback.phase for feedback in sent.feedback]
    assert sorted(phases) == phases
    assert set(phases) == {Phase.GETTING_IMAGE, Phase.ASKING_MODEL, Phase.LOCATING}
    written = [f.reasoning for f in sent.feedback if f.phase == Phase.ASKING_MODEL]
    assert [step.text for step in written[-1]] == [
        "[Position Perception] [the block]: (0.5, 0.5)",
        "then left",
    ]
    assert written[-1][0].perception == 1
    assert written[-1][0].target == "the block"
    elapsed = [f.elapsed.sec + f.elapsed.nanosec * 1e-9 for f in sent.feedback]
    assert sorted(elapsed) == elapsed


def test_the_time_is_split_into_what_it_was_spent_on(bench):
    def slow(request):
        request.gone.wait(0.2)
        given = answer((W, H), [MIDDLE])
        given["latency"] |= {"queue_s": 0.05, "total_s": 0.2}
        return given

    bench.server.script = slow

    latency = bench.refer().result().references[0].latency

    assert latency.queue_s == pytest.approx(0.05)
    assert latency.model_s == pytest.approx(0.15)
    assert 0 < latency.transport_s < 0.1
    assert 0 < latency.geometry_s < 0.1
    assert 0 <= latency.image_age_s < 0.5
    parts = (latency.wait_s, latency.queue_s, latency.model_s, latency.transport_s)
    assert sum(parts) + latency.geometry_s <= latency.total_s < 1


def test_a_click_needs_no_server(bench):
    before = len(bench.server.requests)

    result = bench.refer("", use_pixel=True, pixel=Pixel(u=20.0, v=30.0)).result()

    reference = result.references[0]
    assert result.error_code == 0, result.error_msg
    assert len(bench.server.requests) == before
    assert reference.model == ""
    assert reference.kind == SpatialReference.KIND_FREE_SPACE
    assert reference.samples == 0
    scale = referring.HEIGHT_M / referring.FOCAL
    expected = [(20 - MIDDLE[0]) * scale, -(30 - MIDDLE[1]) * scale, 0]
    np.testing.assert_allclose(position(reference), expected, atol=3e-3)


def test_an_image_can_be_asked_for_by_its_stamp(bench):
    first = bench.refer().result().references[0]

    again = bench.refer(
        image_policy=Refer.Goal.IMAGE_AT_STAMP, image_stamp=first.header.stamp
    ).result()

    assert again.references[0].header.stamp == first.header.stamp


def test_a_fresh_image_is_taken_after_the_goal(bench):
    now = bench.client.get_clock().now().nanoseconds

    stamp = bench.refer(image_policy=FRESH).result().references[0].header.stamp

    assert stamp.sec * 10**9 + stamp.nanosec >= now


def test_samples_that_go_apart_are_ambiguous_and_give_numbered_candidates(bench):
    def torn(request):
        table = point(20.0, 30.0, (W, H))
        block = point(*MIDDLE, (W, H))
        return answer((W, H), [MIDDLE], kind="unknown", samples=[[block], [table]] * 2)

    bench.server.script = torn

    with bench.heard(MarkerArray, "reference_markers", LATCHED) as markers:
        result = bench.refer(num_samples=4).result()
        texts = [
            marker.text
            for marker in markers.first(lambda m: len(m.markers) == 9).markers
            if marker.type == Marker.TEXT_VIEW_FACING and marker.action == Marker.ADD
        ]

    assert result.error_code == ErrorCode.REFER_AMBIGUOUS
    assert not result.references
    assert [candidate.candidate for candidate in result.candidates] == [1, 2]
    assert all(candidate.samples_agreeing == 2 for candidate in result.candidates)
    assert sorted(text[0] for text in texts) == ["1", "2"]


# --- refusals ---------------------------------------------------------------------------------
def drop(name):
    return lambda camera: setattr(camera, name, None)


def put(name, value):
    return lambda camera: setattr(camera, name, value)


def change(**fields):
    """Spoil fields of the messages: color__encoding is that of the colour image."""

    def spoil(camera):
        def edit(color, depth, info):
            messages = {"color": color, "depth": depth, "info": info}
            for name, value in fields.items():
                message, field = name.split("__")
                setattr(messages[message], field, value)

        camera.change = edit

    return spoil


SPOILT = {
    "no colour": (drop("color"), ErrorCode.REFER_STALE_IMAGE),
    "no depth": (drop("depth"), ErrorCode.REFER_SKEW_TOO_LARGE),
    "stale stamps": (put("age_s", 10.0), ErrorCode.REFER_STALE_IMAGE),
    "stamps of the future": (put("age_s", -10.0), ErrorCode.REFER_IMAGE_FROM_FUTURE),
    "depth of another time": (put("skew_s", 3.0), ErrorCode.REFER_SKEW_TOO_LARGE),
    "zero intrinsics": (put("k", [0.0] * 9), ErrorCode.REFER_INVALID_INTRINSICS),
    "NaN intrinsics": (put("k", [float("nan")] * 9), ErrorCode.REFER_INVALID_INTRINSICS),
    "intrinsics of another size": (change(info__width=640), ErrorCode.REFER_INVALID_INTRINSICS),
    "unknown distortion": (
        change(info__distortion_model="magic", info__d=[0.1]),
        ErrorCode.REFER_UNSUPPORTED_IMAGE,
    ),
    "depth of another size": (
        put("depth", np.full((60, 80), 800, np.uint16)),
        ErrorCode.REFER_UNSUPPORTED_IMAGE,
    ),
    "empty images": (
        lambda camera: (
            put("color", np.zeros((0, 0, 3), np.uint8))(camera),
            put("depth", np.zeros((0, 0), np.uint16))(camera),
        ),
        ErrorCode.REFER_UNSUPPORTED_IMAGE,
    ),
    "too few bytes": (change(color__data=bytes(10)), ErrorCode.REFER_UNSUPPORTED_IMAGE),
    "wrong colour encoding": (
        change(color__encoding="bayer_magic"),
        ErrorCode.REFER_UNSUPPORTED_IMAGE,
    ),
    "colour for depth": (change(depth__encoding="rgb8"), ErrorCode.REFER_UNSUPPORTED_IMAGE),
    "nothing measured": (
        put("depth", np.zeros((H, W), np.uint16)),
        ErrorCode.REFER_NO_VALID_DEPTH,
    ),
    "a frame without TF": (put("frame_id", "lost_camera"), ErrorCode.UNKNOWN_FRAME),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_camera_is_refused_by_name_and_heals(bench, name):
    spoil, code = SPOILT[name]
    spoil(bench.camera)

    result = bench.refer(image_policy=FRESH).result()
    bench.camera.heal()

    assert result.error_code == code, result.error_msg
    assert result.error_msg
    assert not result.references
    assert works(bench)


GOALS = {
    "no words": ({"words": "  "}, ErrorCode.INVALID_GOAL),
    "too many words": ({"words": "red " * 2000}, ErrorCode.INVALID_GOAL),
    "unknown kind": ({"kind": 9}, ErrorCode.INVALID_GOAL),
    "unknown policy": ({"image_policy": 9}, ErrorCode.INVALID_GOAL),
    "too many samples": ({"num_samples": 1000}, ErrorCode.INVALID_GOAL),
    "negative deadline": ({"deadline": Duration(sec=-1)}, ErrorCode.INVALID_GOAL),
    "negative wait": ({"wait_timeout": Duration(sec=-1)}, ErrorCode.INVALID_GOAL),
    "negative age": ({"max_image_age": Duration(sec=-1)}, ErrorCode.INVALID_GOAL),
    "confidence that is none": ({"min_confidence": float("nan")}, ErrorCode.INVALID_GOAL),
    "confidence above 1": ({"min_confidence": 1.5}, ErrorCode.INVALID_GOAL),
    "a click that is none": (
        {"use_pixel": True, "pixel": Pixel(u=float("nan"), v=1.0)},
        ErrorCode.INVALID_GOAL,
    ),
    "a click outside": (
        {"use_pixel": True, "pixel": Pixel(u=float(W), v=1.0)},
        ErrorCode.INVALID_GOAL,
    ),
    "an unknown frame": ({"target_frame": "moon"}, ErrorCode.UNKNOWN_FRAME),
    "a stamp of long ago": (
        {"image_policy": 2, "image_stamp": Time(sec=5)},
        ErrorCode.REFER_STAMP_NOT_KEPT,
    ),
    "a deadline that is over": ({"deadline": Duration(nanosec=1000)}, ErrorCode.TIMEOUT),
    "free space where the block is": (
        {"use_pixel": True, "pixel": Pixel(u=79.5, v=59.5), "kind": 3},
        None,
    ),
}


@pytest.mark.parametrize("name", GOALS)
def test_a_goal_that_cannot_be_met_is_refused_by_name(bench, name):
    fields, code = GOALS[name]
    fields = dict(fields)

    result = bench.refer(fields.pop("words", "the red block"), **fields).result()

    if code is None:
        # The top of a large block is as good a free space as the table.
        assert result.error_code in (ErrorCode.SUCCESS, ErrorCode.REFER_WRONG_KIND)
    else:
        assert result.error_code == code, result.error_msg
        assert result.error_msg
        assert not result.references
    assert works(bench)


def test_a_transform_of_another_time_is_not_used(bench):
    from geometry_msgs.msg import TransformStamped
    from tf2_ros import TransformBroadcaster

    moving = TransformStamped(child_frame_id="cart")
    moving.header.frame_id = "base_link"
    old = bench.client.get_clock().now().nanoseconds - 5 * 10**9
    moving.header.stamp.sec = old // 10**9
    moving.transform.rotation.w = 1.0
    TransformBroadcaster(bench.client).sendTransform(moving)

    result = bench.refer(target_frame="cart").result()

    assert result.error_code == ErrorCode.TRANSFORM_UNAVAILABLE, result.error_msg
    assert result.phase == Phase.GETTING_IMAGE
    assert works(bench)


def lie(**fields):
    return lambda request: answer((W, H), [MIDDLE], **fields)


LIES = {
    "points outside": (lambda r: answer((W, H), [(W + 1.0, 5.0)]), ErrorCode.REFER_ANSWER_INVALID),
    "ten thousand points": (
        lambda r: answer((W, H), [MIDDLE] * 10_000),
        ErrorCode.REFER_ANSWER_INVALID,
    ),
    "nonsense": (lambda r: FakeReply(b"\x00<html>"), ErrorCode.REFER_ANSWER_INVALID),
    "another picture": (lambda r: answer((9, 9), [(1, 1)]), ErrorCode.REFER_ANSWER_INVALID),
    "a confidence of 7": (lie(confidence=7.0), ErrorCode.REFER_ANSWER_INVALID),
    "an unreadable model": (
        lambda r: answer((W, H), [], outcome="invalid_answer"),
        ErrorCode.REFER_ANSWER_INVALID,
    ),
    "an error that is none": (lambda r: FakeReply(b"", 500), None),
    "nothing": (lambda r: answer((W, H), []), ErrorCode.REFER_NOTHING_FOUND),
    "words only": (lambda r: answer((W, H), [], outcome="text"), ErrorCode.REFER_NOTHING_FOUND),
    "another kind": (lie(kind="free_space"), ErrorCode.REFER_WRONG_KIND),
    "a guess": (lie(confidence=0.01), ErrorCode.REFER_LOW_CONFIDENCE),
    "several": (
        lambda r: answer(
            (W, H),
            [],
            outcome="ambiguous",
            candidates=[point(*MIDDLE, (W, H)), point(20, 20, (W, H))],
        ),
        ErrorCode.REFER_AMBIGUOUS,
    ),
    "hanging up": (lambda r: None, ErrorCode.REFER_MODEL_UNAVAILABLE),
    "silence": (hang, ErrorCode.REFER_MODEL_TIMEOUT),
}


@pytest.mark.parametrize("name", LIES)
def test_whatever_the_server_does_the_outcome_is_typed(bench, name):
    script, code = LIES[name]
    bench.server.script = script

    result = bench.refer(kind=1, deadline=Duration(nanosec=600_000_000)).result()
    bench.server.script = point_at()

    assert result.error_code != 0
    if code is not None:
        assert result.error_code == code, result.error_msg
    assert result.error_msg
    assert not result.references
    undecided = (ErrorCode.REFER_AMBIGUOUS, ErrorCode.REFER_LOW_CONFIDENCE)
    assert bool(result.candidates) == (result.error_code in undecided)
    assert works(bench)


def test_the_server_may_die_and_come_back(bench):
    bench.server.die()
    try:
        dead = bench.refer().result()
    finally:
        bench.server.start()

    assert dead.error_code == ErrorCode.REFER_MODEL_UNAVAILABLE, dead.error_msg
    assert works(bench)


# --- cancel, several at once ------------------------------------------------------------------
@pytest.mark.parametrize(
    "phase", [Phase.GETTING_IMAGE, Phase.ASKING_MODEL, Phase.LOCATING], ids=["image", "ask", "at"]
)
def test_a_cancel_is_noticed_at_once_in_every_phase(bench, phase, monkeypatch):
    from roborefer_perception.core import query

    locate, slowly = query.locate, threading.Event()
    if phase == Phase.GETTING_IMAGE:
        bench.camera.color = None
    elif phase == Phase.ASKING_MODEL:
        bench.server.script = hang
    else:
        bench.server.script = lambda request: answer((W, H), [MIDDLE] * 60)
        monkeypatch.setattr(query, "locate", lambda *a: slowly.wait(0.05) or locate(*a))
    reached = threading.Event()

    sent = bench.refer(
        "the block", lambda told: told.phase == phase and reached.set(),
        image_policy=FRESH, wait_timeout=Duration(sec=10),
    )  # fmt: skip
    assert reached.wait(5)
    took = sent.cancel()
    result = sent.result()

    assert result.error_code == ErrorCode.CANCELED, result.error_msg
    assert result.phase == phase
    assert took < CANCEL_S
    monkeypatch.undo()
    bench.camera.heal()
    bench.server.script = point_at()
    assert works(bench)


def test_more_goals_than_allowed_are_told_that_it_is_busy(bench):
    asked = threading.Semaphore(0)
    bench.server.script = lambda request: asked.release() or hang(request)
    running = [bench.refer(), bench.refer()]
    for _ in running:
        assert asked.acquire(timeout=5)

    third = bench.refer().result()
    for sent in running:
        sent.cancel()
    bench.server.script = point_at()

    assert third.error_code == ErrorCode.BUSY
    assert works(bench)


# --- topics -----------------------------------------------------------------------------------
def test_an_instruction_on_the_topic_is_answered_on_the_topics(bench):
    instruction = bench.publisher(String, "instruction")
    with (
        bench.heard(SpatialReference, "reference") as references,
        bench.heard(PoseWithCovarianceStamped, "reference_pose") as poses,
        bench.heard(Image, "reference_image") as images,
        bench.heard(CompressedImage, "reference_image/compressed") as jpegs,
        bench.heard(MarkerArray, "reference_markers", LATCHED) as markers,
    ):
        instruction.publish(String(data="the red block"))

        reference = references.first(lambda r: r.instruction == "the red block")
        assert poses.first() == reference.pose
        image = images.first()
        assert (image.width, image.height, image.encoding) == (W, H, "rgb8")
        assert image.header == reference.header
        assert jpegs.first().format.startswith("rgb8; jpeg")
        array = markers.first(lambda m: len(m.markers) > 1 and "the red" in m.markers[4].text)
        assert array.markers[0].action == Marker.DELETEALL
    bench.client.destroy_publisher(instruction)


def test_a_newer_instruction_takes_over(bench):
    asked = threading.Event()

    def script(request):
        if request.text == "old":
            asked.set()
            return hang(request)
        return point_at()(request)

    bench.server.script = script
    instruction = bench.publisher(String, "instruction")
    with bench.heard(SpatialReference, "reference") as references:
        instruction.publish(String(data="old"))
        assert asked.wait(5)
        instruction.publish(String(data="new"))

        assert references.first().instruction == "new"
    bench.client.destroy_publisher(instruction)


def test_a_followed_reference_is_published_until_following_is_stopped(bench):
    with bench.heard(TrackedReference, "tracked_reference") as tracked:
        reference = bench.refer(follow=True).result().references[0]
        first = tracked.first()
        stopped = bench.call(Trigger, "stop_following")
        again = bench.call(Trigger, "stop_following")

    assert first.id == reference.id
    assert not first.lost
    at = first.pose.pose.pose.position
    np.testing.assert_allclose([at.x, at.y, at.z], position(reference), atol=5e-3)
    assert stopped.success
    assert not again.success
    assert again.message


def test_the_next_goal_ends_following(bench):
    assert bench.refer(follow=True).result().error_code == 0

    assert works(bench)

    assert not bench.call(Trigger, "stop_following").success


def test_diagnostics_tell_of_camera_server_and_queries(bench):
    bench.refer().result()
    with bench.heard(DiagnosticArray, "diagnostics") as heard:
        statuses = {status.name: status for status in heard.first().status}

    camera = statuses["referrer: camera"]
    values = {value.key: value.value for value in camera.values}
    assert camera.message == "images come"
    assert 5 < float(values["color_hz"]) < 40
    assert statuses["referrer: referring server"].values[0].value == bench.server.url
    assert statuses["referrer: queries"].message == "1 found"


# --- lifecycle --------------------------------------------------------------------------------
def test_deactivation_ends_queries_and_everything_can_be_done_twice(bench):
    asked = threading.Event()
    bench.server.script = lambda request: asked.set() or hang(request)
    sent = bench.refer()
    assert asked.wait(5)

    assert bench.transition("deactivate")
    ended = sent.result()
    bench.server.script = point_at()

    assert ended.error_code == ErrorCode.NOT_ACTIVE, ended.error_msg
    assert bench.refer().result().error_code == ErrorCode.NOT_ACTIVE
    for _ in range(2):
        assert bench.transition("activate")
        assert works(bench)
        assert bench.transition("deactivate")
        assert bench.transition("cleanup")
        assert bench.refer().result().error_code == ErrorCode.NOT_ACTIVE
        assert bench.transition("configure")
    assert bench.transition("activate")
    assert works(bench)


def test_parameters_that_cannot_be_keep_it_unconfigured(running):
    with referring.run_referrer(active=False, **{"model.url": "ftp://nowhere"}) as bench:
        assert not bench.transition("configure")
        refused = bench.refer().result()

    assert refused.error_code == ErrorCode.NOT_ACTIVE
