# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""An intake beside a camera that sends what a test wants."""

import contextlib
import os
import threading

import cv2
import numpy as np
import pytest
from roborefer_perception.core.frames import ImageWish
from roborefer_perception.exceptions import ReferFailure

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
    # A ROS domain of this run's own, so that runs beside it are not heard.
    rclpy.init(context=context, domain_id=1 + (os.getpid() + 50) % 200)
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


def failing(call, reason):
    with pytest.raises(ReferFailure) as caught:
        call()
    assert caught.value.reason is reason, str(caught.value)
    return str(caught.value)
