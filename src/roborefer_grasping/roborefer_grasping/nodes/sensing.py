# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the arm knows of itself and of the scene: joint states, depth images and transforms."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.time import Time
from roborefer_common.core.parameters import Value
from roborefer_common.patience import Patience, wait_until
from roborefer_common.qos import SENSOR_IN
from roborefer_common.times import nanoseconds
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_ros import Buffer, TransformException, TransformListener

from roborefer_grasping.conversions import pose_from_transform, reference_from_msg, view_from_msgs
from roborefer_grasping.core.motion import Look, Reason, TaskFailure
from roborefer_grasping.core.motion_reference import Reference
from roborefer_grasping.core.rectify import is_distorted, undistorted_pixel
from roborefer_grasping.core.robot import JOINTS, Array
from roborefer_grasping.exceptions import SceneError
from roborefer_msgs.msg import SpatialReference

# Joint states are kept this long, so that one can be had for the time of an image.
_KEPT = 1000
# A message of the future by more than this comes from a clock that disagrees, seconds.
_FUTURE_S = 0.5
_NS = 1e-9


@dataclass(frozen=True)
class _State:
    stamp_ns: int
    position: Array
    velocity: Array


class Sensing:
    """Subscriptions and what they brought; usable from any thread."""

    def __init__(self, node: LifecycleNode, values: Mapping[str, Value]) -> None:
        self._node, self._values = node, values
        prefix = str(values["robot.tf_prefix"])
        self.base_frame = prefix + str(values["robot.base_frame"])
        self.tool_frame = prefix + str(values["robot.tool_frame"])
        self.joint_names = tuple(prefix + name for name in JOINTS)
        finger = str(values["gripper.joint"])
        self._finger_names = (finger, prefix + finger)
        self.changed = threading.Condition()
        self._states: deque[_State] = deque(maxlen=_KEPT)
        self._heard_wall = self._seen_wall = -np.inf
        self._finger: tuple[int, float] | None = None
        self._depth: Image | None = None
        self._info: CameraInfo | None = None
        self.buffer = Buffer(node=node)
        self._listener = TransformListener(self.buffer, node)
        group = MutuallyExclusiveCallbackGroup()
        self._subscriptions = [
            node.create_subscription(kind, topic, call, SENSOR_IN, callback_group=group)
            for kind, topic, call in (
                (JointState, "joint_states", self._on_joints),
                (Image, "camera/aligned_depth_to_color/image_raw", self._on_depth),
                (CameraInfo, "camera/color/camera_info", self._on_info),
            )
        ]

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._listener.unregister()

    # --- callbacks ----------------------------------------------------------------------------
    def _on_joints(self, message: JointState) -> None:
        places = {name: index for index, name in enumerate(message.name)}
        stamp_ns = nanoseconds(message.header.stamp)
        with self.changed:
            if all(name in places for name in self.joint_names):
                order = [places[name] for name in self.joint_names]
                position = np.array([message.position[i] for i in order])
                fits = len(message.velocity) == len(message.name)
                velocity = np.array([message.velocity[i] if fits else 0.0 for i in order])
                if np.isfinite(position).all():
                    if self._states and stamp_ns < self._states[-1].stamp_ns:
                        # Time was set back, as by the reset of a simulation.
                        self._states.clear()
                    self._states.append(_State(stamp_ns, position, velocity))
                    self._heard_wall = monotonic()
            for name in self._finger_names:
                if name in places and np.isfinite(message.position[places[name]]):
                    self._finger = (stamp_ns, float(message.position[places[name]]))
            self.changed.notify_all()

    def _on_depth(self, message: Image) -> None:
        with self.changed:
            self._depth = message
            self._seen_wall = monotonic()
            self.changed.notify_all()

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    # --- the robot ----------------------------------------------------------------------------
    def now_ns(self) -> int:
        """Present time of the node's clock."""
        return int(self._node.get_clock().now().nanoseconds)

    def age_s(self, stamp_ns: int) -> float:
        """Age of a stamp, seconds; negative in the future."""
        return (self.now_ns() - stamp_ns) * _NS

    def state(self) -> _State:
        """Newest joint state.

        Raises:
            TaskFailure: NO_JOINT_STATES: there is none, or it is too old.
        """
        most = float(self._values["joints.stale_s"])
        newest = self._states[-1] if self._states else None
        if newest is None:
            raise TaskFailure(
                Reason.NO_JOINT_STATES,
                f"no joint states of {self.joint_names[0]} and the others have come; start the"
                " robot's driver",
            )
        age = self.age_s(newest.stamp_ns)
        silent = monotonic() - self._heard_wall
        if age > most or silent > 10 * most or age < -_FUTURE_S:
            raise TaskFailure(
                Reason.NO_JOINT_STATES,
                f"the newest joint states are {max(age, silent):.2f} s old, {most:.2f} s are"
                " allowed; look at the robot's driver and the clocks",
            )
        return newest

    def jaw(self) -> float:
        """Distance of the pads, metres.

        Raises:
            TaskFailure: NO_JOINT_STATES: the gripper tells nothing, or long ago.
        """
        if self._finger is None or self.age_s(self._finger[0]) > 2.0:
            raise TaskFailure(
                Reason.NO_JOINT_STATES,
                f"no recent joint state of the gripper's {self._finger_names[1]}; start its"
                " driver",
            )
        return self.opening_of(self._finger[1])

    def opening_of(self, position: float) -> float:
        """Distance of the pads at a position of the finger's joint, metres."""
        closed, opened = self._finger_range()
        share = (position - closed) / (opened - closed)
        return float(np.clip(share, 0.0, 1.05)) * float(self._values["gripper.opening"])

    def position_of(self, opening: float) -> float:
        """Position of the finger's joint at a distance of the pads."""
        closed, opened = self._finger_range()
        share = float(np.clip(opening / float(self._values["gripper.opening"]), 0.0, 1.0))
        return closed + share * (opened - closed)

    def _finger_range(self) -> tuple[float, float]:
        return (
            float(self._values["gripper.closed_position"]),
            float(self._values["gripper.open_position"]),
        )

    def _joints_at(self, stamp_ns: int) -> Array | None:
        """Joints at a time, between the two nearest states; None when that is not known."""
        states = list(self._states)
        times = np.array([s.stamp_ns for s in states], np.int64)
        index = int(np.searchsorted(times, stamp_ns))
        if index == len(states):
            return None
        if index == 0:
            near = times[0] - stamp_ns < 50_000_000
            return states[0].position if near else None
        before, after = states[index - 1], states[index]
        span = after.stamp_ns - before.stamp_ns
        share = (stamp_ns - before.stamp_ns) / span if span else 1.0
        return np.asarray(before.position + share * (after.position - before.position))

    # --- the scene ----------------------------------------------------------------------------
    def depth_age_s(self) -> float:
        """Age of the newest image, by whichever clock says more; infinite when there is none."""
        if self._depth is None:
            return float("inf")
        silent = (monotonic() - self._seen_wall) / 10
        return max(self.age_s(nanoseconds(self._depth.header.stamp)), silent)

    def look(self, after_ns: int, check: Callable[[], None]) -> Look:
        """Wait for a depth image, its transform and the joints at its time.

        Raises:
            TaskFailure: NO_DEPTH, TRANSFORM_UNAVAILABLE, NO_JOINT_STATES, or from check.
        """
        stale = float(self._values["depth.stale_s"])
        patience = Patience(self._node.get_clock(), float(self._values["depth.wait_s"]))

        def usable() -> bool:
            depth, info = self._depth, self._info
            if depth is None or info is None:
                return False
            age = self.age_s(nanoseconds(depth.header.stamp))
            new = nanoseconds(depth.header.stamp) >= after_ns
            return new and -_FUTURE_S < age < stale

        if not wait_until(usable, patience, self.changed, check):
            raise TaskFailure(Reason.NO_DEPTH, self._why_no_depth(stale))
        depth, info = self._depth, self._info
        assert depth is not None
        assert info is not None
        stamp_ns = nanoseconds(depth.header.stamp)
        pose = self._transform(depth.header.frame_id, stamp_ns, check)
        known = lambda: self._joints_at(stamp_ns) is not None  # noqa: E731
        if not wait_until(known, Patience(self._node.get_clock(), 0.5), self.changed, check):
            self.state()
            raise TaskFailure(
                Reason.NO_JOINT_STATES, "no joint states of the time of the depth image have come"
            )
        joints = self._joints_at(stamp_ns)
        assert joints is not None
        try:
            view = view_from_msgs(depth, info, pose)
        except SceneError as error:
            raise TaskFailure(Reason.NO_DEPTH, str(error)) from error
        return Look(view, joints, self.jaw(), stamp_ns)

    def _why_no_depth(self, stale: float) -> str:
        if self._depth is None:
            topic = self._node.resolve_topic_name("camera/aligned_depth_to_color/image_raw")
            return f"no depth image has come on {topic}; start the camera"
        if self._info is None:
            topic = self._node.resolve_topic_name("camera/color/camera_info")
            return f"no intrinsics have come on {topic}; start the camera"
        age = self.age_s(nanoseconds(self._depth.header.stamp))
        return (
            f"the newest depth image is {age:.2f} s old and none has followed, {stale:.2f} s are"
            " allowed; look at the camera and the clocks"
        )

    # --- frames -------------------------------------------------------------------------------
    def _transform(self, frame: str, stamp_ns: int, check: Callable[[], None]) -> Array:
        """Pose of a frame in that of the base at a time.

        Raises:
            TaskFailure: UNKNOWN_FRAME or TRANSFORM_UNAVAILABLE, or from check.
        """
        time = Time(nanoseconds=stamp_ns, clock_type=self._node.get_clock().clock_type)
        patience = Patience(self._node.get_clock(), float(self._values["tf.timeout_s"]))
        here = lambda: self.buffer.can_transform(self.base_frame, frame, time)  # noqa: E731
        wait_until(here, patience, self.changed, check)
        try:
            found = self.buffer.lookup_transform(self.base_frame, frame, time, Duration())
        except TransformException as error:
            known = self.frames()
            if frame not in known or self.base_frame not in known:
                missing = frame if frame not in known else self.base_frame
                raise TaskFailure(
                    Reason.UNKNOWN_FRAME,
                    f"frame '{missing}' is unknown; known frames: {', '.join(known) or 'none'}",
                ) from error
            raise TaskFailure(
                Reason.TRANSFORM_UNAVAILABLE,
                f"no transform from '{frame}' to '{self.base_frame}' at the time of the message:"
                f" {error}",
            ) from error
        return pose_from_transform(found.transform)

    def frames(self) -> list[str]:
        """Frames of the TF tree, in order of the alphabet."""
        lines = self.buffer.all_frames_as_yaml().splitlines()
        names = {line.split(":")[0].strip() for line in lines if line[:1].strip(" {}[]")}
        parents = {
            line.split(":", 1)[1].strip().strip("'\"")
            for line in lines
            if line.strip().startswith("parent:")
        }
        return sorted(names | parents)

    def reference(self, message: SpatialReference, check: Callable[[], None]) -> Reference:
        """Bring a reference into the frame of the base.

        Raises:
            TaskFailure: INVALID_GOAL, REFERENCE_STALE, UNKNOWN_FRAME, TRANSFORM_UNAVAILABLE, or
                from check.
        """
        stamp_ns = nanoseconds(message.header.stamp)
        at = message.pose.pose.pose.position
        has_pose = bool(message.pose.header.frame_id)
        numbers = [message.pixel.u, message.pixel.v] + ([at.x, at.y, at.z] if has_pose else [])
        if not np.isfinite(numbers).all():
            raise TaskFailure(
                Reason.INVALID_GOAL,
                f"the reference has the pixel ({numbers[0]}, {numbers[1]}) and the position"
                f" {numbers[2:]}; all must be finite",
            )
        if not has_pose and not message.header.frame_id:
            raise TaskFailure(
                Reason.INVALID_GOAL, "the reference is empty: it has neither pose nor image"
            )
        age = self.age_s(stamp_ns)
        most = float(self._values["reference.max_age_s"])
        if age > most or age < -_FUTURE_S:
            raise TaskFailure(
                Reason.REFERENCE_STALE,
                f"the reference is {age:.1f} s old, 0 to {most:.1f} s are allowed; refer again",
            )
        t_base_frame = None
        if has_pose:
            header = message.pose.header
            t_base_frame = self._transform(header.frame_id, nanoseconds(header.stamp), check)
        reference = reference_from_msg(message, t_base_frame)
        info = self._info
        if info is not None and is_distorted(info.d):
            k, d = [float(value) for value in info.k], list(info.d)
            pixel = undistorted_pixel(*reference.pixel, k, info.distortion_model, d)
            reference = replace(reference, pixel=pixel)
        return reference
