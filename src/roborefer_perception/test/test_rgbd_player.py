# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The player as other nodes see it."""

import contextlib
import threading
from pathlib import Path

import numpy as np
import pytest
import recorded
from roborefer_common.core.parameters import readme_table
from roborefer_common.exceptions import ParameterError
from roborefer_perception.exceptions import RecordingError
from roborefer_perception.nodes import player_parameters

COLOR = "camera/color/image_raw"
DEPTH = "camera/aligned_depth_to_color/image_raw"
INFO = "camera/color/camera_info"
OPTICAL = "camera_color_optical_frame"
PACKAGE = Path(__file__).parents[1]


class Watcher:
    """A node that takes all that the player publishes."""

    def __init__(self, context):
        import rclpy
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, Image
        from std_msgs.msg import String
        from tf2_ros import Buffer, TransformListener

        self.changed = threading.Condition()
        self.color, self.depth, self.info, self.clocks, self.names = {}, {}, {}, [], []
        self.node = rclpy.create_node("watcher", context=context)
        for kind, topic, kept in (
            (Image, COLOR, self.color),
            (Image, DEPTH, self.depth),
            (CameraInfo, INFO, self.info),
        ):
            self.node.create_subscription(kind, topic, lambda m, k=kept: self.keep(k, m), 50)
        self.node.create_subscription(Clock, "/clock", lambda m: self.note(self.clocks, m), 50)
        latched = rclpy.qos.QoSProfile(
            depth=1, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL
        )
        self.node.create_subscription(
            String, "rgbd_player/shown", lambda m: self.note(self.names, m.data), latched
        )
        self.buffer = Buffer()
        self.listener = TransformListener(self.buffer, self.node)

    def keep(self, kept, message):
        with self.changed:
            kept[message.header.stamp.sec, message.header.stamp.nanosec] = message
            self.changed.notify_all()

    def note(self, kept, value):
        with self.changed:
            kept.append(value)
            self.changed.notify_all()

    def wait(self, done, timeout_s=15.0):
        with self.changed:
            assert self.changed.wait_for(done, timeout_s), "nothing in time"

    def whole(self):
        """Return the stamps for which everything has come."""
        return sorted(set(self.color) & set(self.depth) & set(self.info))

    def call(self, kind, name, **fields):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(10.0)
        done = threading.Event()
        future = client.call_async(kind.Request(**fields))
        future.add_done_callback(lambda _: done.set())
        assert done.wait(10.0)
        return future.result()

    def pose(self, stamp):
        from rclpy.time import Time
        from roborefer_perception.image_conversions import pose_from_transform

        known = threading.Event()
        time = Time(seconds=stamp[0], nanoseconds=stamp[1])
        future = self.buffer.wait_for_transform_async("world", OPTICAL, time)
        future.add_done_callback(lambda _: known.set())
        assert known.wait(10.0), "no transform"
        return pose_from_transform(self.buffer.lookup_transform("world", OPTICAL, time).transform)


@contextlib.contextmanager
def played(folder, **values):
    import rclpy
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from roborefer_perception.nodes.rgbd_player import RgbdPlayer

    context = rclpy.Context()
    rclpy.init(context=context)
    executor = MultiThreadedExecutor(num_threads=3, context=context)
    watcher = Watcher(context)
    executor.add_node(watcher.node)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    player = None
    try:
        values = {"path": str(folder), "rate": 30.0} | values
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        player = RgbdPlayer(context=context, parameter_overrides=overrides)
        executor.add_node(player)
        watcher.player = player
        yield watcher
    finally:
        if player:
            player.close()
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        thread.join(10)
        assert not thread.is_alive()


def pixels(message):
    kind = {"rgb8": np.uint8, "16UC1": np.uint16, "32FC1": np.float32}[message.encoding]
    return np.frombuffer(message.data, kind).reshape(message.height, message.width, -1)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_scene_comes_as_three_messages_of_one_stamp(tmp_path, encoding):
    folder = recorded.write_scene(tmp_path / "table", 0.0001)
    with played(folder, depth_encoding=encoding) as watcher:
        watcher.wait(lambda: len(watcher.whole()) >= 2)

    stamp = watcher.whole()[0]
    color, depth, info = watcher.color[stamp], watcher.depth[stamp], watcher.info[stamp]
    assert {m.header.frame_id for m in (color, depth, info)} == {OPTICAL}
    assert (color.encoding, depth.encoding) == ("rgb8", encoding)
    assert (pixels(color) == recorded.colour()).all()
    unit_m = {"32FC1": 1.0, "16UC1": 0.001}[encoding]
    error_m = np.abs(pixels(depth)[:, :, 0] * unit_m - recorded.depth_m())
    assert error_m.max() < (0.6e-3 if encoding == "16UC1" else 0.6e-4)
    assert list(info.k) == [60, 0, 31.5, 0, 60, 23.5, 0, 0, 1]
    assert (info.width, info.height) == (recorded.WIDTH, recorded.HEIGHT)


def test_main_plane_of_a_scene_is_the_floor_of_world(tmp_path):
    with played(recorded.write_scene(tmp_path / "table"), world="plane") as watcher:
        watcher.wait(watcher.whole)
        pose = watcher.pose(watcher.whole()[0])

    middle = recorded.depth_m()[23, 31] * np.array([0, 0, 1.0])
    assert (pose[:3, :3] @ middle + pose[:3, 3])[2] == pytest.approx(0, abs=0.01)
    assert pose[2, 3] == pytest.approx(0.6)


def test_recorded_pose_wins_over_the_plane(tmp_path):
    pose = np.eye(4)
    pose[:3, 3] = 1, 2, 3
    folder = recorded.write_scene(tmp_path / "a", camera_pose_in_robot_base=pose.tolist())
    with played(folder) as watcher:
        watcher.wait(watcher.whole)

        assert watcher.pose(watcher.whole()[0]) == pytest.approx(pose)


def test_next_shows_the_next_scene_with_its_own_pose(tmp_path):
    from std_srvs.srv import Trigger

    for seed, name in enumerate("ab"):
        pose = np.eye(4)
        pose[0, 3] = seed
        recorded.write_scene(tmp_path / name, seed=seed, camera_pose_in_robot_base=pose.tolist())
    with played(tmp_path) as watcher:
        watcher.wait(watcher.whole)
        before = watcher.player.get_clock().now().nanoseconds
        answer = watcher.call(Trigger, "rgbd_player/next")
        watcher.wait(lambda: watcher.names[-1:] == ["b"])
        after = watcher.player.get_clock().now().nanoseconds
        watcher.wait(lambda: any(s[0] * 10**9 + s[1] > after for s in watcher.whole()))
        first, last = watcher.whole()[0], watcher.whole()[-1]
        poses = [watcher.pose(stamp) for stamp in (first, last)]

    assert answer.success
    assert before < after
    assert (pixels(watcher.color[first]) == recorded.colour(0)).all()
    assert (pixels(watcher.color[last]) == recorded.colour(1)).all()
    assert [pose[0, 3] for pose in poses] == [0, 1]


def test_sequence_plays_with_its_own_stamps_clock_and_moving_camera(tmp_path):
    camera = recorded.write_tum(tmp_path / "seq")
    last = max(file.stem for file in (tmp_path / "seq" / "rgb").iterdir())
    values = {"camera_file": str(camera), "publish_clock": True, "at_end": "hold"}
    with played(tmp_path / "seq", start_paused=True, **values) as watcher:
        watcher.wait(watcher.whole)
        from std_srvs.srv import SetBool

        watcher.call(SetBool, "rgbd_player/pause", data=False)
        # Of names, as of all that is latched, only the last one is kept for who is slow.
        watcher.wait(lambda: watcher.names[-1:] == [last])
        count = len(watcher.whole())
        watcher.wait(lambda: len(watcher.whole()) > count + 1)
        stamps = watcher.whole()
        poses = [watcher.pose(stamp) for stamp in stamps]

    # Time goes on while the first picture stays, so whoever comes late sees it with a later stamp.
    assert (1311868164, 400000000) <= stamps[0] < (1311868170, 0)
    clocks = {(clock.clock.sec, clock.clock.nanosec) for clock in watcher.clocks}
    assert set(stamps) <= clocks
    assert poses[-1][0, 3] == pytest.approx(0.1 * 4 / 30, abs=2e-5)
    assert poses[0][0, 3] == pytest.approx(0, abs=2e-5)


def test_bag_plays_and_ends(tmp_path):
    pytest.importorskip("rosbags")
    folder = recorded.write_bag(tmp_path / "bag")
    with played(folder, start_paused=True, at_end="exit") as watcher:
        watcher.wait(watcher.whole)
        pose = watcher.pose(watcher.whole()[0])
        from std_srvs.srv import SetBool

        watcher.call(SetBool, "rgbd_player/pause", data=False)
        assert watcher.player.finished.wait(10.0)

    assert watcher.player.error is None
    assert pose @ [0, 0, 1, 1] == pytest.approx([2.25, 0, 0, 1])


def test_scene_that_cannot_be_read_is_left_out(tmp_path):
    for name in "ab":
        recorded.write_scene(tmp_path / name)
    (tmp_path / "a" / "depth.png").write_bytes(b"")
    with played(tmp_path) as watcher:
        watcher.wait(lambda: watcher.names)

    assert watcher.names[0] == "b"


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"path": ""}, RecordingError, "path is empty"),
        ({"path": "nowhere"}, RecordingError, "nowhere"),
        ({"depth_encoding": "8UC1"}, ParameterError, "depth_encoding"),
        ({"at_end": "stop"}, ParameterError, "at_end"),
    ],
)
def test_player_does_not_start_with_what_it_cannot_play(tmp_path, values, error, said):
    folder = recorded.write_scene(tmp_path / "a")

    with pytest.raises(error, match=said), played(folder, **values):
        pass


def test_sample_file_is_that_of_the_table():
    file = PACKAGE / "config" / "rgbd_player.yaml"

    assert file.read_text(encoding="utf-8") == player_parameters.sample_file()


def test_readme_has_the_table():
    file = PACKAGE / "README.md"

    assert readme_table(player_parameters.TABLE) in file.read_text(encoding="utf-8")
