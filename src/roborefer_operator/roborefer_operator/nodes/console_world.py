# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The 3D view of the console: TF, robot, markers and a cloud of the depth camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.node import Node
from rclpy.time import Time
from roborefer_common.pictures import picture_from_msg
from roborefer_common.qos import LATCHED, SENSOR_IN
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from tf2_ros import Buffer, TransformException, TransformListener
from visualization_msgs.msg import MarkerArray

from roborefer_operator.core.console.cloud import Pinhole, cloud_of
from roborefer_operator.core.console.newest import NewestPictures
from roborefer_operator.core.console.robot_model import read_robot
from roborefer_operator.core.console.sessions import LIVE
from roborefer_operator.core.console.shapes import Array, Form, Shape
from roborefer_operator.core.console.stage import Stage, bones
from roborefer_operator.exceptions import ConsoleError
from roborefer_operator.marker_conversions import Kept, pinhole_of, take_markers

_MARKERS = ("reference_markers", "planning_scene_markers", "grasp_markers")
_BONE = (0.25, 0.30, 0.36)


class World:
    """Feeds the view while a page is open; else it costs nothing."""

    def __init__(self, node: Node, values: dict[str, Any], pictures: NewestPictures) -> None:
        self._node, self._values, self._pictures = node, values, pictures
        self._frame = str(values["scene.frame"])
        self._stage = Stage()
        self.port = self._stage.port
        self._watching: list[Any] = []
        self._timer: Any = None
        self._buffer: Buffer | None = None
        self._listener: TransformListener | None = None
        self._robot: list[Shape] = []
        self._markers: dict[str, Kept] = {}
        self._due: set[str] = set()
        self._camera: Pinhole | None = None
        self._cloud_ns = 0

    def close(self) -> None:
        """End the view."""
        self.watch(False)
        self._stage.close()

    def watch(self, wanted: bool) -> None:
        """Take in the world only while somebody looks."""
        if wanted == bool(self._watching):
            return
        if wanted:
            self._begin()
            return
        self._node.destroy_timer(self._timer)
        assert self._listener is not None
        self._listener.unregister()
        self._buffer = self._listener = None
        for subscription in self._watching:
            self._node.destroy_subscription(subscription)
        self._watching = []

    def _begin(self) -> None:
        node = self._node
        self._buffer = Buffer()
        # It is asked for what is newest: the view is for eyes, nothing is reached for by it.
        self._listener = TransformListener(self._buffer, node)
        depth = "camera/aligned_depth_to_color/image_raw"
        self._watching = [
            node.create_subscription(String, "robot_description", self._on_robot, LATCHED),
            node.create_subscription(Image, depth, self._on_depth, SENSOR_IN),
            node.create_subscription(
                CameraInfo, "camera/color/camera_info", self._on_info, SENSOR_IN
            ),
            *(
                node.create_subscription(MarkerArray, name, self._marker_listener(name), LATCHED)
                for name in _MARKERS
            ),
        ]
        self._timer = node.create_timer(1.0 / self._values["scene.rate"], self._update)

    # --- what comes in ------------------------------------------------------------------------
    def _marker_listener(self, name: str) -> Any:
        def listen(message: MarkerArray) -> None:
            self._markers[name] = take_markers(self._markers.get(name, {}), message)
            self._due.add(name)

        return listen

    def _on_robot(self, message: String) -> None:
        try:
            self._robot = read_robot(message.data, _find)
        except ConsoleError as error:
            self._node.get_logger().warn(f"the robot is not shown: {error}")
        self._due.add("robot")

    def _on_info(self, message: CameraInfo) -> None:
        self._camera = pinhole_of(message)

    def _on_depth(self, message: Image) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        frame = message.header.frame_id
        fresh = abs(now_ns - self._cloud_ns) < self._values["scene.cloud_period_s"] * 1e9
        if fresh or self._camera is None or not self._stage.knows(frame):
            return
        self._cloud_ns = now_ns
        color = self._pictures.jpeg(LIVE)
        try:
            cloud = cloud_of(picture_from_msg(message), self._camera, color[1] if color else None)
        except ConsoleError as error:
            self._node.get_logger().warn(str(error), once=True)
            return
        self._stage.show_cloud(frame, cloud)

    # --- what is shown ------------------------------------------------------------------------
    def _update(self) -> None:
        parents = self._parents()
        poses = self._poses(parents)
        new = [name for name in poses if not self._stage.knows(name)]
        self._stage.move(poses)
        if new:
            self._due |= {"robot", *self._markers}
        if not self._robot:
            self._show_bones(parents, poses)
        for name in self._due:
            shapes = self._robot if name == "robot" else self._markers[name].values()
            self._stage.show(name, shapes)
        self._due = set()

    def _parents(self) -> dict[str, str]:
        assert self._buffer is not None
        frames = yaml.safe_load(self._buffer.all_frames_as_yaml()) or {}
        return {str(name): str(data["parent"]) for name, data in frames.items()}

    def _poses(self, parents: dict[str, str]) -> dict[str, tuple[Array, Array]]:
        assert self._buffer is not None
        poses = {self._frame: (np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))}
        for name in {*parents, *parents.values()}:
            try:
                found = self._buffer.lookup_transform(self._frame, name, Time()).transform
            except TransformException:
                # A frame of another tree has no place in this view.
                continue
            at, turn = found.translation, found.rotation
            poses[name] = (
                np.array([at.x, at.y, at.z]), np.array([turn.x, turn.y, turn.z, turn.w])
            )  # fmt: skip
        return poses

    def _show_bones(self, parents: dict[str, str], poses: dict[str, tuple[Array, Array]]) -> None:
        lines = bones(parents, poses)
        if lines:
            ends = np.concatenate(lines)
            shape = Shape(Form.LINES, self._frame, size=(0.01, 0.0, 0.0), color=_BONE, points=ends)
            self._stage.show("bones", [shape])


def _find(address: str) -> Path | None:
    """Return the file behind the address of a mesh."""
    parts = urlsplit(address)
    path = unquote(parts.path)
    if parts.scheme == "file":
        return Path(path)
    if parts.scheme == "package":
        try:
            return Path(get_package_share_directory(parts.netloc)) / path.lstrip("/")
        except (PackageNotFoundError, ValueError):
            return None
    return None
