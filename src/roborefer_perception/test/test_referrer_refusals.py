# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Bad cameras, goals and servers: each has its code, and the next query works."""

import numpy as np
import pytest
import referring
from builtin_interfaces.msg import Duration, Time
from referring import FRESH, MIDDLE, H, W, hang, works
from roborefer_perception.testing import FakeReply, answer, point, point_at

from roborefer_msgs.msg import ErrorCode, Phase, Pixel


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
    "a distortion without inverse": (
        change(info__d=[5.0] * 5),
        ErrorCode.REFER_INVALID_INTRINSICS,
    ),
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
}


@pytest.mark.parametrize("name", GOALS)
def test_a_goal_that_cannot_be_met_is_refused_by_name(bench, name):
    fields, code = GOALS[name]
    fields = dict(fields)

    result = bench.refer(fields.pop("words", "the red block"), **fields).result()

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


def test_a_goal_cannot_move_the_workspace_by_naming_another_frame():
    # Of base_link; in the optical frame the block lies at z = 0.74 m.
    values = {"workspace.low": [-10.0, -10.0, 0.5]}
    with referring.own_domain(152), referring.run_referrer(**values) as bench:
        wait = Duration(sec=10)
        results = [
            bench.refer(target_frame=frame, wait_timeout=wait).result()
            for frame in ("", referring.FRAME)
        ]

    for result in results:
        assert result.error_code == ErrorCode.REFER_OUTSIDE_WORKSPACE, result.error_msg
        assert "in 'base_link'" in result.error_msg


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

    # Zero is the parameter's default.
    deadline = Duration(nanosec=600_000_000 if name == "silence" else 0)
    result = bench.refer(kind=1, deadline=deadline).result()
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


def test_a_clock_that_jumps_is_followed():
    with referring.own_domain(151), referring.run_referrer(use_sim_time=True) as bench:
        stamps = []
        for second in (100, 20, 500):
            bench.camera.sim_ns = second * 10**9
            bench.wait_for_second(second)
            assert works(bench)
            stamps.append(bench.refer().result().references[0].header.stamp.sec)

    assert [stamp // 10 for stamp in stamps] == [10, 2, 50]
