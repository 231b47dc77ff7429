# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The referrer with a fake server and a synthetic camera: answers, refusals, cancel, lifecycle."""

import threading

import numpy as np
import pytest
import referring
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from referring import BLOCK_M, FRAME, FRESH, MIDDLE, H, W, hang, works
from roborefer_perception.testing import answer, point, point_at, stream
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


def test_a_newer_instruction_takes_the_place_of_the_older_one_and_is_not_told_busy(bench):
    asked = threading.Semaphore(0)

    def script(request):
        if request.text == "new":
            return point_at()(request)
        asked.release()
        return hang(request)

    bench.server.script = script
    instruction = bench.publisher(String, "instruction")
    # With this goal and the old instruction, as many run as may.
    sent = bench.refer("long")
    with bench.heard(SpatialReference, "reference") as references:
        instruction.publish(String(data="old"))
        for _ in range(2):
            assert asked.acquire(timeout=5)
        instruction.publish(String(data="new"))

        assert references.first().instruction == "new"
    sent.cancel()
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
    bench.refer(follow=True).result()
    with bench.heard(DiagnosticArray, "diagnostics") as heard:
        statuses = {status.name: status for status in heard.first().status}

    camera = statuses["referrer: camera"]
    values = {value.key: value.value for value in camera.values}
    assert camera.message == "images come"
    assert 5 < float(values["color_hz"]) < 40
    assert statuses["referrer: referring server"].values[0].value == bench.server.url
    queries = statuses["referrer: queries"]
    assert queries.message == "1 found"
    assert queries.values[0].value == "True"
    bench.call(Trigger, "stop_following")


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


def test_closing_ends_queries_so_that_the_process_can_end(bench):
    asked = threading.Event()
    bench.server.script = lambda request: asked.set() or hang(request)
    sent = bench.refer()
    assert asked.wait(5)

    for _ in range(2):
        bench.referrer.close()

    assert sent.result().error_code == ErrorCode.NOT_ACTIVE
    bench.server.script = point_at()
    for label in ("deactivate", "cleanup", "configure", "activate"):
        assert bench.transition(label)
    assert works(bench)


def test_a_defect_while_activating_leaves_nothing_behind(bench, monkeypatch):
    def broken(intake):
        raise RuntimeError("broken")

    assert bench.transition("deactivate")
    with monkeypatch.context() as patch:
        patch.setattr("roborefer_perception.nodes.intake.Intake.start", broken)
        assert not bench.transition("activate")

    assert bench.referrer.count_publishers("/diagnostics") == 0
    assert bench.transition("configure")
    assert bench.transition("activate")
    assert works(bench)


def test_parameters_that_cannot_be_keep_it_unconfigured():
    values = {"model.url": "ftp://nowhere"}
    with referring.own_domain(151), referring.run_referrer(active=False, **values) as bench:
        assert not bench.transition("configure")
        refused = bench.refer().result()

    assert refused.error_code == ErrorCode.NOT_ACTIVE
