# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import threading

import cv2
import numpy as np
import pytest
from roborefer_perception.core.frames import ImageWish, Policy
from roborefer_perception.exceptions import Reason, ReferFailure

FRAME = "camera_color_optical_frame"
VALUES = {
    "camera.color_transport": "raw",
    "camera.depth_transport": "raw",
    "sync.max_skew_s": 0.02,
    "sync.future_s": 0.2,
    "sync.keep_frames": 30,
    "sync.keep_s": 5.0,
    "tf.cache_s": 10.0,
}
W, H = 32, 24


@pytest.fixture(scope="module", autouse=True)
def domain():
    """A ROS domain of this run's own, so that runs beside it are not heard."""
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(1 + (os.getpid() + 50) % 200)
    yield
    if before is None:
        del os.environ["ROS_DOMAIN_ID"]
    else:
        os.environ["ROS_DOMAIN_ID"] = before


class Bench:
    """An intake and a camera that sends what a test wants, in one process."""

    def __init__(self, node, camera, intake, values):
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image
        from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

        self.node, self.camera, self.intake = node, camera, intake
        self.packed = values["camera.color_transport"] != "raw"
        kind = CompressedImage if self.packed else Image
        color, depth = "camera/color/image_raw", "camera/aligned_depth_to_color/image_raw"
        if self.packed:
            color, depth = f"{color}/compressed", f"{depth}/compressedDepth"
        self.color = camera.create_publisher(kind, color, 5)
        self.depth = camera.create_publisher(kind, depth, 5)
        self.info = camera.create_publisher(CameraInfo, "camera/color/camera_info", 5)
        self.clock = camera.create_publisher(Clock, "/clock", 10)
        self.static = StaticTransformBroadcaster(camera)
        self.moving = TransformBroadcaster(camera)

    def now_ns(self):
        return self.node.get_clock().now().nanoseconds

    @staticmethod
    def stamp(message, stamp_ns, frame=FRAME):
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        message.header.frame_id = frame
        return message

    def send_info(self, stamp_ns, focal=30.0, size=(W, H)):
        from sensor_msgs.msg import CameraInfo

        info = CameraInfo(width=size[0], height=size[1], distortion_model="plumb_bob")
        info.k = [focal, 0.0, 15.5, 0.0, focal, 11.5, 0.0, 0.0, 1.0]
        info.d = [0.0] * 5
        self.info.publish(self.stamp(info, stamp_ns))

    def send_color(self, stamp_ns, shade=100):
        from sensor_msgs.msg import CompressedImage, Image

        rgb = np.full((H, W, 3), (shade, 0, 0), np.uint8)
        if self.packed:
            data = cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()
            message = CompressedImage(format="rgb8; png compressed bgr8", data=data)
        else:
            message = Image(width=W, height=H, encoding="rgb8", step=W * 3, data=rgb.tobytes())
        self.color.publish(self.stamp(message, stamp_ns))

    def send_depth(self, stamp_ns, millimetres=750):
        from sensor_msgs.msg import CompressedImage, Image

        depth = np.full((H, W), millimetres, np.uint16)
        if self.packed:
            data = bytes(12) + cv2.imencode(".png", depth)[1].tobytes()
            message = CompressedImage(format="16UC1; compressedDepth png", data=data)
        else:
            message = Image(width=W, height=H, encoding="16UC1", step=W * 2, data=depth.tobytes())
        self.depth.publish(self.stamp(message, stamp_ns))

    def send(self, stamp_ns=None, shade=100, skew_ns=0):
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        self.send_info(stamp_ns)
        self.send_color(stamp_ns, shade)
        self.send_depth(stamp_ns + skew_ns)
        return stamp_ns

    def transform(self, parent, child, stamp_ns, x=1.0):
        from geometry_msgs.msg import TransformStamped

        message = TransformStamped(child_frame_id=child)
        message.transform.translation.x = x
        message.transform.rotation.w = 1.0
        return self.stamp(message, stamp_ns, parent)

    def tick(self, seconds):
        from rosgraph_msgs.msg import Clock

        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(round(seconds * 1e9), 10**9)
        self.clock.publish(message)
        self.until(lambda: self.now_ns() == round(seconds * 1e9))

    def until(self, done, timeout_s=10.0):
        """Wait for what callbacks bring about."""
        with self.intake.changed:
            for _ in range(round(timeout_s * 100)):
                if done():
                    return
                self.intake.changed.wait(0.01)
        raise AssertionError("it did not happen")

    def connected(self):
        for publisher in (self.color, self.depth, self.info):
            self.until(lambda publisher=publisher: publisher.get_subscription_count() > 0)

    def frame(self, seconds=5.0, **wish):
        from roborefer_common.patience import Patience

        patience = Patience(self.node.get_clock(), seconds)
        return self.intake.frame(ImageWish(**wish), patience, lambda: None)

    def pose(self, target, frame, stamp_ns, seconds=0.2):
        from roborefer_common.patience import Patience

        patience = Patience(self.node.get_clock(), seconds)
        return self.intake.transform(target, frame, stamp_ns, patience, lambda: None)


@contextlib.contextmanager
def run(sim_time=False, remaps=(), overrides=None, **changes):
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.lifecycle import LifecycleNode
    from rclpy.parameter import Parameter
    from roborefer_perception.nodes.intake import Intake

    values = VALUES | changes
    context = Context()
    rclpy.init(context=context)
    executor = MultiThreadedExecutor(num_threads=4, context=context)
    node = LifecycleNode(
        "taker",
        context=context,
        parameter_overrides=[
            Parameter(name, value=value)
            for name, value in ({"use_sim_time": sim_time} | (overrides or {})).items()
        ],
        cli_args=["--ros-args", *(part for remap in remaps for part in ("-r", remap))],
    )
    camera = rclpy.create_node("camera", context=context)
    intake = Intake(node, values)
    executor.add_node(node)
    executor.add_node(camera)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    bench = Bench(node, camera, intake, values)
    try:
        intake.start()
        yield bench
    finally:
        intake.stop()
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        thread.join(10)
        assert not thread.is_alive()


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


# --- images -----------------------------------------------------------------------------------
def failing(call, reason):
    with pytest.raises(ReferFailure) as caught:
        call()
    assert caught.value.reason is reason, str(caught.value)
    return str(caught.value)


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


# --- clocks -----------------------------------------------------------------------------------
def test_clock_that_jumps_back_forgets_images_and_transforms():
    with run(sim_time=True) as bench:
        bench.connected()
        bench.until(lambda: bench.clock.get_subscription_count() > 0)
        bench.tick(100.0)
        bench.static.sendTransform(bench.transform("hand", FRAME, 0, x=0.5))
        bench.moving.sendTransform(bench.transform("base_link", "hand", 100 * 10**9))
        bench.pose("base_link", FRAME, 100 * 10**9, 5.0)
        bench.send(100 * 10**9)
        assert bench.frame().stamp_ns == 100 * 10**9

        bench.tick(5.0)

        bench.until(lambda: bench.intake.health().kept == 0)
        bench.send(5 * 10**9)
        assert bench.frame().stamp_ns == 5 * 10**9
        # What moves is learnt anew, what does not is still known.
        bench.moving.sendTransform(bench.transform("base_link", "hand", 5 * 10**9, x=2.0))
        assert bench.pose("base_link", FRAME, 5 * 10**9, 5.0)[0, 3] == pytest.approx(2.5)


def test_waits_end_while_a_simulated_clock_stands_still():
    with run(sim_time=True) as bench:
        bench.connected()

        # The wall ends it, after the two seconds of grace of roborefer_common.
        message = failing(lambda: bench.frame(0.01), Reason.NO_IMAGE)

        assert "start the camera" in message


# --- transforms -------------------------------------------------------------------------------
def test_transform_is_that_of_the_stamp_and_not_the_latest():
    with run() as bench:
        begin_ns = bench.now_ns()
        bench.static.sendTransform(bench.transform("hand", FRAME, begin_ns, x=0.1))
        for i in range(3):
            moved = bench.transform("base_link", "hand", begin_ns + i * 10**8, x=float(i))
            bench.moving.sendTransform(moved)

        pose = bench.pose("base_link", FRAME, begin_ns + 150_000_000, 5.0)

        assert pose.shape == (4, 4)
        np.testing.assert_allclose(pose[:3, 3], (1.6, 0, 0), atol=1e-9)
        np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-12)


def test_transform_that_comes_late_is_waited_for_and_one_that_does_not_is_refused():
    with run() as bench:
        stamp_ns = bench.now_ns()
        bench.moving.sendTransform(bench.transform("base_link", FRAME, stamp_ns))
        bench.pose("base_link", FRAME, stamp_ns, 5.0)

        early = failing(
            lambda: bench.pose("base_link", FRAME, stamp_ns + 10**9), Reason.TRANSFORM_UNAVAILABLE
        )
        bench.moving.sendTransform(
            bench.transform("base_link", FRAME, stamp_ns + 2 * 10**9, x=3.0)
        )
        late = bench.pose("base_link", FRAME, stamp_ns + 10**9, 5.0)

        assert FRAME in early
        assert "extrapolation" in early.lower()
        assert late[0, 3] == pytest.approx(2.0)


@pytest.mark.parametrize("prefix", ["", "my_"])
def test_unknown_frame_lists_those_that_are_known(prefix):
    with run() as bench:
        base, eye = f"{prefix}base_link", f"{prefix}{FRAME}"
        bench.static.sendTransform(bench.transform(base, eye, 0))
        bench.pose(base, eye, bench.now_ns(), 5.0)

        message = failing(lambda: bench.pose("world", eye, 1), Reason.UNKNOWN_FRAME)
        other = failing(lambda: bench.pose(base, "", 1), Reason.UNKNOWN_FRAME)

        assert f"'world' is unknown; known frames: {base}, {eye}" in message
        assert "frame '' is unknown" in other


def test_frames_that_are_not_connected_are_no_unknown_frames():
    with run() as bench:
        bench.static.sendTransform(
            [bench.transform("base_link", FRAME, 0), bench.transform("map", "odom", 0)]
        )
        bench.pose("base_link", FRAME, 1, 5.0)

        failing(lambda: bench.pose("map", FRAME, 1), Reason.TRANSFORM_UNAVAILABLE)


def test_no_frames_at_all_is_said_so_and_a_frame_in_itself_needs_none():
    with run() as bench:
        message = failing(lambda: bench.pose("base_link", FRAME, 1), Reason.UNKNOWN_FRAME)

        assert "known frames: none" in message
        assert (bench.pose(FRAME, FRAME, 1) == np.eye(4)).all()


# --- settings ---------------------------------------------------------------------------------
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
