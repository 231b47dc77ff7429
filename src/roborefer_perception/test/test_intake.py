# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import threading

import numpy as np
import pytest
from camera_bench import FRAME, VALUES, H, W, failing, run
from roborefer_perception.core.frames import ImageWish, Policy
from roborefer_perception.exceptions import Reason, ReferFailure


@pytest.mark.parametrize("packed", [False, True])
def test_both_transports_bring_the_same_frame(packed):
    transports = {
        "camera.color_transport": "compressed",
        "camera.depth_transport": "compressedDepth",
    }
    with run(**(transports if packed else {})) as bench:
        bench.connected()
        stamp_ns = bench.send(skew_ns=5_000_000)

        frame = bench.frame()

        assert (frame.stamp_ns, frame.frame_id) == (stamp_ns, FRAME)
        assert frame.skew_s == pytest.approx(0.005)
        assert frame.rgb.shape == (H, W, 3)
        assert (frame.rgb == (100, 0, 0)).all()
        np.testing.assert_allclose(frame.depth_m, 0.75, rtol=1e-6)
        assert (frame.camera.width, frame.camera.fx, frame.camera.cx) == (W, 30.0, 15.5)


def test_what_is_missing_is_named_with_its_topic_and_the_next_query_works():
    with run() as bench:
        bench.connected()
        nothing = failing(lambda: bench.frame(0.05), Reason.NO_IMAGE)
        stamp_ns = bench.now_ns()
        bench.send_color(stamp_ns)
        bench.until(lambda: bench.intake.health().color.count)
        no_depth = failing(lambda: bench.frame(0.05), Reason.NO_IMAGE)
        bench.send_depth(stamp_ns)
        bench.until(lambda: bench.intake.health().depth.count)
        no_info = failing(lambda: bench.frame(0.05), Reason.NO_CAMERA_INFO)

        bench.send_info(stamp_ns)

        assert bench.frame().stamp_ns == stamp_ns
        assert "on /camera/color/image_raw;" in nothing
        assert "/camera/aligned_depth_to_color/image_raw" in no_depth
        assert "/camera/color/camera_info" in no_info


def test_remapped_topics_serve_both_transports_and_are_named_in_messages():
    remaps = ["camera/color/image_raw:=eye/rgb", "camera/color/camera_info:=eye/info"]
    compressed = {"camera.color_transport": "compressed"}
    with run(remaps=remaps, **compressed) as bench:
        names = dict(bench.node.get_topic_names_and_types())

        message = failing(lambda: bench.frame(0.02), Reason.NO_IMAGE)

        assert "on /eye/rgb;" in message
        assert {"/eye/rgb/compressed", "/eye/info"} <= set(names)


def test_stale_image_is_refused_and_a_new_one_ends_the_wait():
    with run() as bench:
        bench.connected()
        bench.send(bench.now_ns() - 3 * 10**9)
        bench.until(lambda: bench.intake.health().frames.count)
        message = failing(lambda: bench.frame(0.05, max_age_s=0.5), Reason.STALE_IMAGE)
        waiting = threading.Thread(target=lambda: frames.append(bench.frame(10.0)))
        frames = []
        waiting.start()

        stamp_ns = bench.send()
        waiting.join(10)

        assert "0.50 s are allowed" in message
        assert frames[0].stamp_ns == stamp_ns


def test_image_of_the_future_is_refused():
    with run() as bench:
        bench.connected()
        bench.send(bench.now_ns() + 60 * 10**9)
        bench.until(lambda: bench.intake.health().frames.count)

        message = failing(lambda: bench.frame(0.05), Reason.IMAGE_FROM_FUTURE)

        assert "use_sim_time" in message


def test_too_large_a_skew_is_refused_with_its_measure():
    with run() as bench:
        bench.connected()
        bench.send(skew_ns=45_000_000)
        bench.until(lambda: bench.intake.health().dropped)

        message = failing(lambda: bench.frame(0.05), Reason.SKEW_TOO_LARGE)

        assert "0.045 s after" in message
        assert bench.intake.health().skew_s == pytest.approx(0.045)


def test_fresh_image_and_image_of_a_stamp_are_found():
    with run() as bench:
        bench.connected()
        begin_ns = bench.now_ns() - 100_000_000
        stamps = [bench.send(begin_ns + i * 33_000_000, shade=i) for i in range(4)]
        bench.until(lambda: bench.intake.health().frames.count == 4)

        kept = bench.frame(policy=Policy.AT_STAMP, stamp_ns=stamps[1])
        fresh = bench.frame(policy=Policy.FRESH, after_ns=stamps[2] + 1)

        assert kept.rgb[0, 0, 0] == 1
        assert fresh.stamp_ns == stamps[3]
        failing(
            lambda: bench.frame(policy=Policy.AT_STAMP, stamp_ns=stamps[1] + 1),
            Reason.STAMP_NOT_KEPT,
        )


def test_damaged_image_is_refused_and_the_next_one_works():
    with run() as bench:
        from sensor_msgs.msg import Image

        bench.connected()
        stamp_ns = bench.now_ns()
        bench.send_info(stamp_ns)
        bench.color.publish(bench.stamp(Image(encoding="rgb8"), stamp_ns))
        bench.send_depth(stamp_ns)
        message = failing(bench.frame, Reason.UNSUPPORTED_IMAGE)

        later_ns = bench.send()

        assert "0 x 0" in message
        assert bench.frame(policy=Policy.FRESH, after_ns=later_ns).stamp_ns == later_ns


def test_check_ends_the_wait():
    from roborefer_common.patience import Patience

    def check():
        raise ReferFailure(Reason.CANCELED, "canceled")

    with run() as bench:
        patience = Patience(bench.node.get_clock(), 30.0)

        failing(lambda: bench.intake.frame(ImageWish(), patience, check), Reason.CANCELED)
        failing(lambda: bench.intake.transform("a", "b", 0, patience, check), Reason.CANCELED)


def test_listeners_get_every_frame_undecoded_until_removed():
    with run() as bench:
        bench.connected()
        heard = []
        remove = bench.intake.add_listener(heard.append)
        stamps = [bench.send(bench.now_ns()) for _ in range(3)]
        bench.until(lambda: len(heard) == 3)
        remove()
        bench.send()
        bench.until(lambda: bench.intake.health().frames.count == 4)

        assert [frame.stamp_ns for frame in heard] == stamps
        assert heard[0].decoded() is heard[0].decoded()


@pytest.mark.parametrize("rounds", [2])
def test_stopping_and_starting_again_begins_anew(rounds):
    with run() as bench:
        for _ in range(rounds):
            bench.intake.start()
            bench.intake.start()
            bench.connected()
            bench.send()
            assert bench.frame().rgb.shape == (H, W, 3)

            bench.intake.stop()
            bench.intake.stop()

            failing(bench.frame, Reason.NOT_ACTIVE)
            bench.until(lambda: bench.color.get_subscription_count() == 0)
            assert bench.intake.health().kept == 0


def test_only_changes_of_the_camera_are_logged():
    from rcl_interfaces.msg import Log
    from rclpy.logging import LoggingSeverity

    with run() as bench:
        bench.connected()
        said = []
        listener = bench.camera.create_subscription(
            Log, "/rosout", lambda m: said.append(m) if "intake" in m.name else None, 100
        )
        bench.until(lambda: listener.get_publisher_count() > 0)
        for _ in range(3):
            failing(lambda: bench.frame(0.02), Reason.NO_IMAGE)
        bench.send()
        for _ in range(3):
            bench.frame()
        bench.intake.stop()
        bench.intake.start()
        failing(lambda: bench.frame(0.02), Reason.NO_IMAGE)

        bench.until(lambda: len(said) >= 3)

        assert [LoggingSeverity(m.level).name for m in said] == ["WARN", "INFO", "WARN"]


def test_start_that_fails_leaves_nothing_behind_and_can_be_repeated():
    from rclpy.qos_overriding_options import InvalidQosOverridesError
    from roborefer_perception.nodes.intake import Intake

    with run() as bench:
        intake = Intake(bench.node, VALUES)
        topic = "/camera/color/image_raw"
        before = len(bench.node.get_subscriptions_info_by_topic(topic))
        create, calls = bench.node.create_subscription, []

        def refuse_the_third(*args, **kwargs):
            calls.append(args)
            if len(calls) == 3:
                raise InvalidQosOverridesError("depth")
            return create(*args, **kwargs)

        bench.node.create_subscription = refuse_the_third
        with pytest.raises(InvalidQosOverridesError):
            intake.start()
        bench.node.create_subscription = create

        bench.until(lambda: len(bench.node.get_subscriptions_info_by_topic(topic)) == before)
        intake.start()
        intake.stop()


def test_reliability_can_be_overridden_and_the_shared_profile_stays():
    from rclpy.qos import ReliabilityPolicy
    from roborefer_common.qos import SENSOR_IN

    topic = "/camera/color/image_raw"
    name = f"qos_overrides.{topic}.subscription.reliability"
    with run(overrides={name: "reliable"}) as bench:
        ends = bench.node.get_subscriptions_info_by_topic(topic)

        assert ends[0].qos_profile.reliability is ReliabilityPolicy.RELIABLE
        assert SENSOR_IN.reliability is ReliabilityPolicy.BEST_EFFORT
