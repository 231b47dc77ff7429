# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node sees: colour with depth, intrinsics and transforms, all of the same time."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import numpy as np
import yaml
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from roborefer_common.core.parameters import Value
from roborefer_common.patience import Patience, wait_until
from roborefer_common.qos import SENSOR_IN
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_ros import Buffer, TransformException, TransformListener

from roborefer_perception.core.arrivals import RawFrame
from roborefer_perception.core.camera import Array
from roborefer_perception.core.frames import (
    COLOR_TRANSPORTS,
    DEPTH_TRANSPORTS,
    FrameStore,
    ImageWish,
    StoreSettings,
)
from roborefer_perception.core.health import IntakeHealth
from roborefer_perception.core.types import RgbdFrame
from roborefer_perception.exceptions import Reason, ReferFailure
from roborefer_perception.image_conversions import (
    color_from_msg,
    depth_from_msg,
    info_from_msg,
    pose_from_transform,
)

COLOR_TOPIC = "camera/color/image_raw"
DEPTH_TOPIC = "camera/aligned_depth_to_color/image_raw"
INFO_TOPIC = "camera/color/camera_info"

Listener = Callable[[RawFrame], None]

# What ends a search for a frame and says nothing of the camera.
_OF_THE_CALLER = frozenset(
    {
        Reason.STAMP_NOT_KEPT,
        Reason.NOT_ACTIVE,
        Reason.CANCELED,
        Reason.PREEMPTED,
        Reason.TIMEOUT,
    }
)


class Intake:
    """Subscriptions to a camera and to TF, and what they brought. Usable from any thread.

    Subscribes to camera/color/image_raw, camera/aligned_depth_to_color/image_raw, in the chosen
    transports, camera/color/camera_info, /tf and /tf_static. Each QoS can be overridden by
    `qos_overrides.<topic>.subscription.*`.
    """

    def __init__(self, node: LifecycleNode, values: Mapping[str, Value]) -> None:
        """Take the settings; nothing is subscribed to before start().

        Args:
            node: Whose topics and clock are used.
            values: The parameters camera.color_transport, camera.depth_transport,
                sync.max_skew_s, sync.future_s, sync.keep_frames, sync.keep_s and tf.cache_s.
        """
        self._node, self._values = node, values
        self._logger = node.get_logger().get_child("intake")
        self._settings = StoreSettings(
            max_skew_s=float(values["sync.max_skew_s"]),
            future_s=float(values["sync.future_s"]),
            keep_frames=int(values["sync.keep_frames"]),
            keep_s=float(values["sync.keep_s"]),
        )
        self.changed = threading.Condition()
        self.buffer = Buffer(cache_time=Duration(seconds=float(values["tf.cache_s"])))
        self._group = MutuallyExclusiveCallbackGroup()
        self._listeners: list[Listener] = []
        self._subscriptions: list[object] = []
        self._tf: TransformListener | None = None
        self._jumps: object | None = None
        self._store = self._new_store()
        # How the last search for a frame ended, so that only changes are logged.
        self._state: Reason | None = None

    def _new_store(self) -> FrameStore:
        names = [self._node.resolve_topic_name(t) for t in (COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC)]
        return FrameStore(self._settings, (names[0], names[1], names[2]))

    # --- life ---------------------------------------------------------------------------------
    def start(self) -> None:
        """Subscribe, with nothing in memory; does nothing when that was done."""
        if self._subscriptions:
            return
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._listen()
            undo.pop_all()

    def _listen(self) -> None:
        self._store = self._new_store()
        color = str(self._values["camera.color_transport"])
        depth = str(self._values["camera.depth_transport"])
        resolve = self._node.resolve_topic_name
        # image_transport puts its endings behind the name that remapping makes.
        wanted = (
            (color != "raw", resolve(COLOR_TOPIC) + COLOR_TRANSPORTS[color], self._on_color),
            (depth != "raw", resolve(DEPTH_TOPIC) + DEPTH_TRANSPORTS[depth], self._on_depth),
        )
        for packed, topic, call in wanted:
            self._subscribe(CompressedImage if packed else Image, topic, call)
        self._subscribe(CameraInfo, INFO_TOPIC, self._on_info)
        self._tf = TransformListener(self.buffer, self._node)
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jumps = self._node.get_clock().create_jump_callback(
            threshold, post_callback=self._on_jump
        )

    def stop(self) -> None:
        """Unsubscribe and forget; does nothing when that was done."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._tf is not None:
            self._tf.unregister()
            self._tf = None
        if self._jumps is not None:
            self._jumps.unregister()
            self._jumps = None
        self._store = self._new_store()
        self.buffer.clear()
        self._state = None
        self._notify()

    def _subscribe(self, kind: type, topic: str, call: Callable[..., None]) -> None:
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                topic,
                call,
                # Overriding changes the profile that is given.
                copy.copy(SENSOR_IN),
                callback_group=self._group,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        )

    def add_listener(self, listener: Listener) -> Callable[[], None]:
        """Have something called with every frame, in the thread of the subscriptions.

        Args:
            listener: It must return fast and raise nothing.

        Returns:
            What ends it.
        """
        self._listeners = [*self._listeners, listener]

        def remove() -> None:
            self._listeners = [each for each in self._listeners if each is not listener]

        return remove

    # --- callbacks ----------------------------------------------------------------------------
    def _on_color(self, message: Image | CompressedImage) -> None:
        self._tell(self._store.add_color(color_from_msg(message)))

    def _on_depth(self, message: Image | CompressedImage) -> None:
        self._tell(self._store.add_depth(depth_from_msg(message)))

    def _on_info(self, message: CameraInfo) -> None:
        self._store.add_info(info_from_msg(message))
        self._notify()

    def _on_jump(self, _jump: object) -> None:
        self._logger.warning(
            "the clock was set back or changed; earlier images and transforms are forgotten"
        )
        self._store.clear()
        self.buffer.clear()
        self._notify()

    def _tell(self, frames: list[RawFrame]) -> None:
        self._notify()
        for frame in frames:
            for listener in self._listeners:
                listener(frame)

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    # --- frames -------------------------------------------------------------------------------
    def frame(
        self, wish: ImageWish, patience: Patience, check: Callable[[], None] = lambda: None
    ) -> RgbdFrame:
        """Wait for a frame and decode it.

        Args:
            wish: Which one.
            patience: How long to wait.
            check: Called while waiting; its exceptions end the wait.

        Raises:
            ReferFailure: NO_IMAGE, STALE_IMAGE, SKEW_TOO_LARGE, NO_CAMERA_INFO,
                IMAGE_FROM_FUTURE, STAMP_NOT_KEPT, UNSUPPORTED_IMAGE, INVALID_INTRINSICS,
                NOT_ACTIVE before start(), or from check.
        """
        try:
            frame = self._wait_for(wish, patience, check).decoded()
        except ReferFailure as failure:
            self._report(failure.reason, str(failure))
            raise
        self._report(None, "images come again")
        return frame

    def _wait_for(
        self, wish: ImageWish, patience: Patience, check: Callable[[], None]
    ) -> RawFrame:
        found: list[RawFrame] = []

        def look() -> bool:
            if not self._subscriptions:
                raise ReferFailure(
                    Reason.NOT_ACTIVE, "the node does not listen to the camera; activate it first"
                )
            frame = self._store.find(wish, self._now_ns())
            if frame is not None:
                found.append(frame)
            return frame is not None

        if not wait_until(look, patience, self.changed, check):
            raise self._store.why(wish, self._now_ns())
        return found[0]

    def _report(self, state: Reason | None, message: str) -> None:
        """Log how the camera does, when that changed."""
        if state in _OF_THE_CALLER:
            return
        before, self._state = self._state, state
        if state is before:
            return
        if state is None:
            self._logger.info(message)
        else:
            self._logger.warning(message)

    def health(self) -> IntakeHealth:
        """Return rates, ages, skew and what was dropped."""
        return self._store.health(self._now_ns())

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    # --- transforms ---------------------------------------------------------------------------
    def transform(
        self,
        target_frame: str,
        frame_id: str,
        stamp_ns: int,
        patience: Patience,
        check: Callable[[], None] = lambda: None,
    ) -> Array:
        """Wait for the pose of a frame in another at a time.

        Args:
            target_frame: The frame in which the pose is wanted.
            frame_id: The frame whose pose is wanted.
            stamp_ns: When; exactly then, never "latest".
            patience: How long to wait.
            check: Called while waiting; its exceptions end the wait.

        Returns:
            t_target_frame, shape (4, 4).

        Raises:
            ReferFailure: UNKNOWN_FRAME, or TRANSFORM_UNAVAILABLE between known frames, or from
                check.
        """
        for name in (frame_id, target_frame):
            # TF knows no such names, and complains of them in the log at every look.
            if not name or name.startswith("/"):
                raise self._unknown(name)
        if target_frame == frame_id:
            return np.eye(4)
        # TF takes 0 for "the latest".
        at_ns = max(stamp_ns, 1)
        time = Time(nanoseconds=at_ns, clock_type=self._node.get_clock().clock_type)
        here = lambda: self.buffer.can_transform(target_frame, frame_id, time)  # noqa: E731
        wait_until(here, patience, self.changed, check)
        try:
            found = self.buffer.lookup_transform(target_frame, frame_id, time, Duration())
        except TransformException as error:
            known = self.frames()
            for name in (frame_id, target_frame):
                if name not in known:
                    raise self._unknown(name) from error
            raise ReferFailure(
                Reason.TRANSFORM_UNAVAILABLE,
                f"no transform from '{frame_id}' to '{target_frame}' at"
                f" {stamp_ns * 1e-9:.3f} s, the time of the image, within"
                f" {patience.seconds:.1f} s: {error}",
            ) from error
        return pose_from_transform(found.transform)

    def _unknown(self, name: str) -> ReferFailure:
        known = ", ".join(self.frames()) or "none"
        return ReferFailure(
            Reason.UNKNOWN_FRAME, f"frame '{name}' is unknown; known frames: {known}"
        )

    def frames(self) -> list[str]:
        """Frames of the TF tree, in order of the alphabet."""
        tree = yaml.safe_load(self.buffer.all_frames_as_yaml()) or {}
        return sorted({*map(str, tree), *(str(entry["parent"]) for entry in tree.values())})
