# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `rgbd_player`: a recording in the place of an RGB-D camera."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from roborefer_common.declaring import declare, read
from roborefer_common.qos import LATCHED, SENSOR_OUT
from roborefer_common.times import time_to_msg
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from roborefer_perception.core.camera import Array
from roborefer_perception.core.playback import AtEnd, Pace, Playback
from roborefer_perception.core.recordings import RecordedFrame, plane_pose
from roborefer_perception.core.recordings_bag import BagTopics
from roborefer_perception.core.recordings_open import Layout, Reading, open_recording
from roborefer_perception.exceptions import PerceptionError, RecordingError
from roborefer_perception.nodes.player_parameters import TABLE
from roborefer_perception.player_conversions import (
    camera_to_msg,
    color_to_msg,
    depth_to_msg,
    transform_to_msg,
)

# Pose of the optical frame in the camera's body (docs/conventions.md).
_T_LINK_OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


class RgbdPlayer(Node):
    """Plays a recording as a camera.

    Publishes camera/color/image_raw (rgb8), camera/aligned_depth_to_color/image_raw and
    camera/color/camera_info, all three with the very same stamp, the frames world -> camera_link
    (on /tf with the stamp of the picture, or on /tf_static where the camera does not move) and
    camera_link -> optical, ~/shown (std_msgs/String, latched) with the name of the picture, and on
    request /clock. Offers ~/pause (std_srvs/SetBool) and ~/next (std_srvs/Trigger).
    Parameters: nodes/player_parameters.py. `close` must be called before it is destroyed.
    `finished` is set when the playback has ended by itself, `error` is what ended it.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Open the recording and begin to play.

        Raises:
            RecordingError: It cannot be played; the message names file and value.
            ParameterError: A parameter has a value that it must not have.
        """
        super().__init__("rgbd_player", **kwargs)
        declare(self, TABLE)
        self._values: dict[str, Any] = read(self, TABLE)
        values = self._values
        if not values["path"]:
            raise RecordingError("the parameter path is empty; give a file or folder to play")
        self.error: Exception | None = None
        self.finished = threading.Event()
        self._recording = open_recording(Path(values["path"]).expanduser(), _reading(values))
        self._shown: RecordedFrame | None = None
        self._pose: Array | None = None
        self._is_placed = False
        self._open_topics()
        pace = Pace(
            values["rate"],
            values["hold"],
            values["speed"],
            AtEnd(values["at_end"]),
            values["start_paused"],
        )
        clock = self.get_clock()
        self._playback = Playback(
            self._recording,
            pace,
            self._publish,
            lambda error: self.get_logger().error(f"left out: {error}"),
            self._on_end,
            None if values["publish_clock"] else lambda: clock.now().nanoseconds,
        )
        self.create_service(SetBool, "~/pause", self._on_pause)
        self.create_service(Trigger, "~/next", self._on_next)
        self.get_logger().info(
            f"plays {len(self._recording.stamps_ns)} pictures of {values['path']}"
        )
        self._playback.start()

    def close(self) -> None:
        """End the playback. Calling it twice is allowed."""
        self._playback.stop()

    # ---- what the thread of the playback does ----------------------------------------------

    def _publish(self, frame: RecordedFrame, stamp_ns: int) -> None:
        values, stamp = self._values, time_to_msg(stamp_ns)
        optical = values["frames.optical"]
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=stamp))
        is_new = frame is not self._shown
        if is_new:
            self._shown, self._pose = frame, self._pose_of(frame)
        self._publish_pose(stamp)
        self._info_publisher.publish(camera_to_msg(frame.camera, optical, stamp))
        depth = depth_to_msg(frame.depth_m, values["depth_encoding"], optical, stamp)
        self._depth_publisher.publish(depth)
        self._color_publisher.publish(color_to_msg(frame.rgb, optical, stamp))
        if is_new:
            self._name_publisher.publish(String(data=frame.name))

    def _publish_pose(self, stamp: Time) -> None:
        fixed = self._recording.fixed
        # A camera that stays where it is is told once to all who ever come.
        if self._pose is None or (fixed and self._is_placed):
            return
        self._is_placed = True
        link = self._pose @ np.linalg.inv(_T_LINK_OPTICAL)
        frames = self._static_frames if fixed else self._frames
        parent, child = self._values["frames.world"], self._values["frames.link"]
        frames.sendTransform(transform_to_msg(parent, child, link, stamp))

    def _pose_of(self, frame: RecordedFrame) -> Array | None:
        wanted = self._values["world"]
        if wanted in ("auto", "recorded") and frame.t_world_optical is not None:
            return frame.t_world_optical
        if wanted in ("auto", "plane") and frame.plane is not None:
            return plane_pose(frame.plane)
        if wanted in ("recorded", "plane"):
            self.get_logger().warning(
                f"{frame.name} has no pose of the kind '{wanted}' (parameter world), so no frame"
                f" '{self._values['frames.world']}' is published with it",
                throttle_duration_sec=5.0,
            )
        return None

    def _on_end(self, error: Exception | None) -> None:
        if not self.context.ok():
            # What was published last met a context that was being shut down.
            return
        self.error = error
        self.finished.set()
        if error is None:
            self.get_logger().info("all was played")
        else:
            self.get_logger().fatal(f"the playback ended: {error}")
        self.context.try_shutdown()

    # ---- what the executor does ------------------------------------------------------------

    def _open_topics(self) -> None:
        color, depth = "camera/color", "camera/aligned_depth_to_color"
        self._color_publisher = self.create_publisher(Image, f"{color}/image_raw", SENSOR_OUT)
        self._depth_publisher = self.create_publisher(Image, f"{depth}/image_raw", SENSOR_OUT)
        self._info_publisher = self.create_publisher(
            CameraInfo, f"{color}/camera_info", SENSOR_OUT
        )
        self._name_publisher = self.create_publisher(String, "~/shown", LATCHED)
        self._clock_publisher = (
            self.create_publisher(Clock, "/clock", 10) if self._values["publish_clock"] else None
        )
        self._frames = TransformBroadcaster(self)
        self._static_frames = StaticTransformBroadcaster(self)
        link, optical = self._values["frames.link"], self._values["frames.optical"]
        now = self.get_clock().now().to_msg()
        self._static_frames.sendTransform(transform_to_msg(link, optical, _T_LINK_OPTICAL, now))

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        self._playback.pause(request.data)
        response.success = True
        response.message = "stays at the present picture" if request.data else "goes on"
        return response

    def _on_next(self, request: Trigger.Request, response: Trigger.Response) -> Any:
        response.success = self._playback.next()
        response.message = (
            "goes to the next picture" if response.success else "the recording has ended"
        )
        return response


def _reading(values: dict[str, Any]) -> Reading:
    return Reading(
        Layout(values["layout"]),
        Path(values["camera_file"]).expanduser() if values["camera_file"] else None,
        values["budget"],
        BagTopics(
            values["bag.color_topic"],
            values["bag.depth_topic"],
            values["bag.info_topic"],
            values["bag.tf_static_topic"],
            values["bag.world_frame"],
        ),
    )


def main() -> int:
    """Run the node; 1 when nothing can be played."""
    with rclpy.init(args=sys.argv):
        try:
            node = RgbdPlayer()
        except (PerceptionError, ParameterException, ValueError) as error:
            print(f"rgbd_player: {error}", file=sys.stderr)
            return 1
        try:
            rclpy.spin(node)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        finally:
            node.close()
            node.destroy_node()
    return 1 if node.error else 0
