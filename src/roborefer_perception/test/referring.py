# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A running referrer with a fake server and a small synthetic camera, for tests.

The camera looks straight down on a table from HEIGHT_M above the origin of base_link. A block of
BLOCK_M stands in the middle of the picture.
"""

import contextlib
import os
import threading
from time import monotonic

import numpy as np

FRAME = "camera_color_optical_frame"
W, H, FOCAL = 160, 120, 150.0
HEIGHT_M, BLOCK_M = 0.8, 0.06
# The top of the block in the picture: columns and rows.
BLOCK = np.s_[50:70, 70:90]
MIDDLE = ((W - 1) / 2, (H - 1) / 2)
# The policy IMAGE_FRESH of a goal: pictures of before a change are not taken.
FRESH = 1


def scene():
    """Colours and depth, millimetres, of what the camera sees."""
    rgb = np.full((H, W, 3), (150, 140, 120), np.uint8)
    rgb[::8] = (120, 110, 100)
    rgb[BLOCK] = (200, 30, 30)
    depth = np.full((H, W), round(1000 * HEIGHT_M), np.uint16)
    depth[BLOCK] = round(1000 * (HEIGHT_M - BLOCK_M))
    return rgb, depth


@contextlib.contextmanager
def own_domain(number=150):
    """Use a ROS domain of this run's own, so that runs beside it are not heard."""
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(1 + (os.getpid() + number) % 200)
    try:
        yield
    finally:
        if before is None:
            del os.environ["ROS_DOMAIN_ID"]
        else:
            os.environ["ROS_DOMAIN_ID"] = before


def works(bench):
    """Whether a good query works, with a picture taken after it was sent."""
    from builtin_interfaces.msg import Duration

    result = bench.refer(image_policy=FRESH, wait_timeout=Duration(sec=5)).result()
    return result.error_code == 0 and len(result.references) == 1


def hang(request):
    """Script of a server that does not answer."""
    request.gone.wait(20)


class Camera:
    """Publishes the scene; what it sends can be spoilt while it runs.

    Attributes:
        color: rgb8 image of the next messages, or None for none.
        depth: 16UC1 image, or None.
        k: Intrinsics, or None.
        age_s: How old the stamps are.
        skew_s: Stamp of depth minus stamp of colour.
        sim_ns: Simulated time, which each picture moves on; None: there is none.
        change: Called with the messages (color, depth, info) before they are sent.
    """

    def __init__(self, node):
        from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, Image
        from tf2_ros import StaticTransformBroadcaster

        self.node, self.sim_ns = node, None
        self.heal()
        self._clock = node.create_publisher(Clock, "/clock", 10)
        self._color = node.create_publisher(Image, "camera/color/image_raw", 5)
        self._depth = node.create_publisher(Image, "camera/aligned_depth_to_color/image_raw", 5)
        self._info = node.create_publisher(CameraInfo, "camera/color/camera_info", 5)
        self._tf = StaticTransformBroadcaster(node)
        self._tf.sendTransform(self._pose())
        self._timer = node.create_timer(
            0.05, self.send, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def heal(self):
        self.color, self.depth = scene()
        self.k = [FOCAL, 0.0, MIDDLE[0], 0.0, FOCAL, MIDDLE[1], 0.0, 0.0, 1.0]
        self.age_s = self.skew_s = 0.0
        self.frame_id = FRAME
        self.change = lambda color, depth, info: None

    def _pose(self):
        from geometry_msgs.msg import TransformStamped

        message = TransformStamped(child_frame_id=FRAME)
        message.header.frame_id = "base_link"
        message.transform.translation.z = HEIGHT_M
        # Half a turn about x: looking down.
        message.transform.rotation.x = 1.0
        message.transform.rotation.w = 0.0
        return message

    def send(self):
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, Image

        now = self.node.get_clock().now().nanoseconds - round(self.age_s * 1e9)
        if self.sim_ns is not None:
            self.sim_ns += 50_000_000
            now = self.sim_ns
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = divmod(now, 10**9)
            self._clock.publish(clock)
        color, depth, k = self.color, self.depth, self.k
        rgb = Image(width=W, height=H, encoding="rgb8", step=3 * W)
        if color is not None:
            rgb.height, rgb.width = color.shape[:2]
            rgb.step, rgb.data = 3 * rgb.width, color.tobytes()
        z = Image(width=W, height=H, encoding="16UC1", step=2 * W)
        if depth is not None:
            z.height, z.width = depth.shape
            z.step, z.data = 2 * z.width, depth.tobytes()
        info = CameraInfo(width=rgb.width, height=rgb.height, distortion_model="plumb_bob")
        info.d = [0.0] * 5
        info.k = k or [0.0] * 9
        for message, at in ((rgb, now), (z, now + round(self.skew_s * 1e9)), (info, now)):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(max(0, at), 10**9)
            message.header.frame_id = self.frame_id
        self.change(rgb, z, info)
        if k is not None:
            self._info.publish(info)
        if depth is not None:
            self._depth.publish(z)
        if color is not None:
            self._color.publish(rgb)


class Sent:
    """A goal under way."""

    def __init__(self, bench, handle, feedback):
        self.bench, self.handle, self.feedback = bench, handle, feedback
        self.future = handle.get_result_async()

    def result(self, timeout_s=20.0):
        return self.bench.wait(self.future, timeout_s).result

    def cancel(self):
        """Cancel; return how long it took until the result came, seconds."""
        begin = monotonic()
        self.handle.cancel_goal_async()
        self.result()
        return monotonic() - begin


class Bench:
    """A referrer, its server and its camera, with a node that talks to it."""

    def __init__(self, referrer, client, camera, server):
        from rclpy.action import ActionClient

        from roborefer_msgs.action import Refer

        self.referrer, self.client, self.camera, self.server = referrer, client, camera, server
        self._refer = ActionClient(client, Refer, "refer")

    def wait(self, future, timeout_s=20.0):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "no answer in time"
        return future.result()

    def call(self, kind, name, /, **fields):
        service = self.client.create_client(kind, name)
        assert service.wait_for_service(10.0), f"no service {name}"
        try:
            return self.wait(service.call_async(kind.Request(**fields)))
        finally:
            self.client.destroy_client(service)

    def transition(self, label):
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request()
        request.transition.label = label
        return self.call(
            ChangeState, "referrer/change_state", transition=request.transition
        ).success

    def refer(self, words="the red block", on_feedback=None, /, **fields):
        """Send a goal; return it once it is accepted."""
        from roborefer_msgs.action import Refer

        assert self._refer.wait_for_server(10.0)
        told = []

        def take(message):
            told.append(message.feedback)
            if on_feedback is not None:
                on_feedback(message.feedback)

        goal = Refer.Goal(instruction=words, **fields)
        handle = self.wait(self._refer.send_goal_async(goal, feedback_callback=take))
        assert handle.accepted
        return Sent(self, handle, told)

    def wait_for_second(self, second):
        """Wait until the clock of the referrer shows this second, or one of the next nine."""
        limit, tick = monotonic() + 10, threading.Event()
        clock = self.referrer.get_clock()
        while not 0 <= clock.now().nanoseconds * 1e-9 - second < 10:
            assert monotonic() < limit, "the clock does not run"
            tick.wait(0.01)

    def publisher(self, kind, topic):
        """Make a publisher that somebody hears already."""
        publisher = self.client.create_publisher(kind, topic, 10)
        limit = monotonic() + 10
        tick = threading.Event()
        while not publisher.get_subscription_count():
            assert monotonic() < limit, f"nobody listens to {topic}"
            tick.wait(0.01)
        return publisher

    @contextlib.contextmanager
    def heard(self, kind, topic, qos=10):
        """Collect what is published on a topic."""
        heard = Heard()
        subscription = self.client.create_subscription(kind, topic, heard.take, qos)
        try:
            publishers = lambda: self.client.count_publishers(  # noqa: E731
                self.client.resolve_topic_name(topic)
            )
            assert publishers() > 0
            yield heard
        finally:
            self.client.destroy_subscription(subscription)


class Heard:
    """Messages of a topic, in order."""

    def __init__(self):
        self.messages, self._changed = [], threading.Condition()

    def take(self, message):
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def first(self, wanted=lambda message: True, timeout_s=10.0):
        def found():
            return next((m for m in self.messages if wanted(m)), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, timeout_s), "none came"
            return found()


@contextlib.contextmanager
def run_referrer(active=True, **values):
    """Run everything in this process, the nodes in executors of their own."""
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from roborefer_perception.nodes.referrer import Referrer
    from roborefer_perception.testing import FakeReferringServer

    context = Context()
    rclpy.init(context=context)
    executor = MultiThreadedExecutor(num_threads=12, context=context)
    with FakeReferringServer() as server:
        overrides = {"model.url": server.url, "query.wait_s": 0.4, **values}
        referrer = Referrer(
            context=context,
            parameter_overrides=[Parameter(n, value=v) for n, v in overrides.items()],
        )
        client = rclpy.create_node("tester", context=context)
        camera = Camera(client)
        for node in (referrer, client):
            executor.add_node(node)

        def spin():
            with contextlib.suppress(ExternalShutdownException):
                executor.spin()

        thread = threading.Thread(target=spin)
        thread.start()
        bench = Bench(referrer, client, camera, server)
        try:
            if active:
                assert bench.transition("configure")
                assert bench.transition("activate")
            yield bench
        finally:
            if active:
                bench.transition("deactivate")
                bench.transition("cleanup")
            executor.shutdown()
            rclpy.try_shutdown(context=context)
            thread.join(10)
            assert not thread.is_alive()
