# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `hand_eye` with a camera and an arm that a test moves."""

import contextlib
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_board import seen
from roborefer_common.core.parameters import readme_table
from roborefer_perception.core.board import Board
from roborefer_perception.core.camera import Camera
from roborefer_perception.nodes.hand_eye_parameters import TABLE, sample_file
from scipy.spatial.transform import Rotation

FRAME = "camera_color_optical_frame"
CAMERA = Camera(480, 360, 460, 460, 239.5, 179.5)
BOARD = Board(columns=6)


def pose(rotvec_deg, position):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotvec_deg, degrees=True).as_matrix()
    matrix[:3, 3] = position
    return matrix


T_BASE_CAMERA = pose([100, -30, 60], [1.1, 0.2, 0.7])
T_TOOL_BOARD = pose([170, 5, 20], [0.1, -0.15, 0.2])
T_LINK_FRAME = pose([-90, 0, 0], [0.0, 0.02, 0.0])
# Turns and places of the board before the camera, seen well and different enough.
LOOKS = [
    pose(turn, np.add(at, (-0.12, -0.1, 0.0)))
    for turn, at in [
        ((0, 5, 0), (0.0, 0.0, 0.45)),
        ((30, 0, 0), (0.02, 0.01, 0.5)),
        ((-30, 0, 10), (-0.02, 0.0, 0.5)),
        ((0, 30, 0), (0.0, 0.02, 0.55)),
        ((0, -30, -10), (0.03, 0.0, 0.5)),
        ((20, 20, 30), (0.05, -0.02, 0.5)),
        ((-20, 20, -20), (0.0, 0.0, 0.6)),
    ]
]


@pytest.fixture(scope="module", autouse=True)
def domain():
    """A ROS domain of this run's own, so that runs beside it are not heard."""
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(1 + (os.getpid() + 70) % 200)
    yield
    if before is None:
        del os.environ["ROS_DOMAIN_ID"]
    else:
        os.environ["ROS_DOMAIN_ID"] = before


@pytest.fixture(scope="module")
def pictures():
    return [np.repeat(seen(BOARD, look, CAMERA)[..., None], 3, axis=2) for look in LOOKS]


class Bench:
    """The node, with a camera and an arm."""

    def __init__(self, node, robot):
        from sensor_msgs.msg import CameraInfo, Image
        from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

        self.node, self.robot = node, robot
        self.images = robot.create_publisher(Image, "camera/color/image_raw", 5)
        self.infos = robot.create_publisher(CameraInfo, "camera/color/camera_info", 5)
        self.moving, self.fixed = TransformBroadcaster(robot), StaticTransformBroadcaster(robot)
        self.fixed.sendTransform(self.transform("camera_link", FRAME, T_LINK_FRAME))

    def stamped(self, message, frame):
        message.header.stamp = self.robot.get_clock().now().to_msg()
        message.header.frame_id = frame
        return message

    def transform(self, parent, child, matrix):
        from geometry_msgs.msg import TransformStamped

        message = self.stamped(TransformStamped(child_frame_id=child), parent)
        move, turn = message.transform.translation, message.transform.rotation
        move.x, move.y, move.z = matrix[:3, 3].tolist()
        turn.x, turn.y, turn.z, turn.w = Rotation.from_matrix(matrix[:3, :3]).as_quat().tolist()
        return message

    def show(self, rgb, look):
        """Send one picture, and the arm's pose of just before and just after it."""
        from sensor_msgs.msg import CameraInfo, Image

        t_base_tool = T_BASE_CAMERA @ look @ np.linalg.inv(T_TOOL_BOARD)
        self.moving.sendTransform(self.transform("base_link", "tool0", t_base_tool))
        info = CameraInfo(width=CAMERA.width, height=CAMERA.height, distortion_model="plumb_bob")
        info.k, info.d = CAMERA.matrix.ravel().tolist(), [0.0] * 5
        self.infos.publish(self.stamped(info, FRAME))
        height, width = rgb.shape[:2]
        image = Image(width=width, height=height, encoding="rgb8", step=3 * width)
        image.data.frombytes(rgb.tobytes())
        self.images.publish(self.stamped(image, FRAME))
        self.moving.sendTransform(self.transform("base_link", "tool0", t_base_tool))

    def call(self, name):
        from std_srvs.srv import Trigger

        client = self.robot.create_client(Trigger, name)
        assert client.wait_for_service(10.0)
        done = threading.Event()
        future = client.call_async(Trigger.Request())
        future.add_done_callback(lambda _: done.set())
        assert done.wait(30.0), f"{name} does not answer"
        return future.result()

    def show_until(self, rgb, look, done):
        """Send a picture at 30 Hz until something holds."""
        for _ in range(600):
            if done():
                return
            self.show(rgb, look)
            threading.Event().wait(0.033)
        raise AssertionError(f"not done in time; {self.call('take_sample').message}")

    def samples(self):
        return len(self.node._session.samples)

    def collect(self, pictures):
        for number, (rgb, look) in enumerate(zip(pictures, LOOKS, strict=True), 1):
            self.show_until(rgb, look, lambda n=number: self.samples() >= n)


@contextlib.contextmanager
def running(auto=False, **changes):
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from roborefer_perception.nodes.hand_eye import HandEye

    values = {"board.columns": 6, "samples.least": 6, "samples.still_s": 0.1, "looks_per_s": 20.0}
    overrides = [Parameter(name, value=value) for name, value in (values | changes).items()]
    context = Context()
    rclpy.init(context=context)
    executor = MultiThreadedExecutor(num_threads=4, context=context)
    node = HandEye(auto, context=context, parameter_overrides=overrides)
    robot = rclpy.create_node("robot", context=context)
    for each in (node, robot):
        executor.add_node(each)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield Bench(node, robot)
    finally:
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        thread.join(10)
        assert not thread.is_alive()


def test_auto_mode_collects_and_the_file_has_the_true_pose(tmp_path, pictures):
    file = tmp_path / "found.yaml"
    with running(auto=True, **{"output.file": str(file), "camera_frame": "camera_link"}) as bench:
        bench.collect(pictures)
        answer = bench.call("calibrate")
        again = bench.call("calibrate")

    assert answer.success, answer.message
    assert "ros2 run tf2_ros static_transform_publisher --x" in answer.message
    result = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert (result["parent_frame"], result["child_frame"]) == ("base_link", "camera_link")
    truth = T_BASE_CAMERA @ np.linalg.inv(T_LINK_FRAME)
    found = np.array([result["translation"][axis] for axis in "xyz"])
    # Seven looks of a small picture: a few millimetres are what they can give.
    assert np.linalg.norm(found - truth[:3, 3]) < 0.005
    turn = Rotation.from_quat([result["rotation"][axis] for axis in "xyzw"])
    off = turn.inv() * Rotation.from_matrix(truth[:3, :3])
    assert np.degrees(off.magnitude()) < 0.5
    assert not again.success
    assert "exists and was left alone" in again.message


def test_samples_are_taken_on_demand_and_can_be_removed(tmp_path, pictures):
    with running(**{"output.file": str(tmp_path / "x.yaml")}) as bench:
        session = bench.node._session
        bench.show_until(pictures[0], LOOKS[0], lambda: session.still_for_s > 0.1)
        taken = bench.call("take_sample")
        removed = bench.call("remove_last_sample")
        none_left = bench.call("remove_last_sample")
        too_few = bench.call("calibrate")

    assert taken.success, taken.message
    assert taken.message.startswith("sample 1: 20 corners")
    assert removed.success
    assert not none_left.success
    assert not too_few.success
    assert "too few" in too_few.message


def test_without_camera_the_topic_is_named():
    with running() as bench:
        answer = bench.call("take_sample")

    assert not answer.success
    assert "no image has come on /camera/color/image_raw" in answer.message


def test_an_empty_view_and_an_unknown_tool_are_told_apart(pictures):
    with running(tool_frame="flange") as bench:
        session = bench.node._session
        empty = np.full_like(pictures[0], 90)
        bench.show_until(empty, LOOKS[0], lambda: session.stamp_ns > 0)
        unseen = bench.call("take_sample")
        bench.show_until(pictures[0], LOOKS[0], lambda: session.still_for_s > 0.1)
        no_frame = bench.call("take_sample")

    assert "0 of 20 corners" in unseen.message
    assert not no_frame.success
    assert "flange" in no_frame.message


def test_the_picture_shows_the_corners(pictures):
    from roborefer_common.qos import SENSOR_IN
    from sensor_msgs.msg import Image

    with running() as bench:
        got, message = threading.Event(), []
        bench.robot.create_subscription(
            Image, "calibration_image", lambda m: (message.append(m), got.set()), SENSOR_IN
        )
        bench.show_until(pictures[0], LOOKS[0], got.is_set)

    picture = np.frombuffer(message[0].data, np.uint8).reshape(360, 480, 3)
    assert message[0].header.frame_id == FRAME
    assert (picture != pictures[0]).any(axis=2).sum() > 500


def test_sample_file_is_that_of_the_table():
    file = Path(__file__).parents[1] / "config" / "hand_eye.yaml"

    assert file.read_text(encoding="utf-8") == sample_file()


def test_readme_has_the_table():
    file = Path(__file__).parents[1] / "README.md"

    assert readme_table(TABLE) in file.read_text(encoding="utf-8")
