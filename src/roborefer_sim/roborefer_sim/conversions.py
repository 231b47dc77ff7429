# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to core types and back."""

from __future__ import annotations

import array
from collections.abc import Sequence

import mujoco
import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration, Time
from control_msgs.action import FollowJointTrajectory
from geometry_msgs.msg import Pose, Transform, TransformStamped, Twist, Vector3
from sensor_msgs.msg import CameraInfo, Image, JointState
from simulation_interfaces.msg import Bounds, EntityState
from trajectory_msgs.msg import JointTrajectoryPoint

from roborefer_sim.core.camera import PinholeParameters
from roborefer_sim.core.cell import TIME_STEP_S
from roborefer_sim.core.goals import Goal, GoalPoint
from roborefer_sim.core.simulation import Joints
from roborefer_sim.core.trajectory import State
from roborefer_sim.exceptions import SceneError

Array = npt.NDArray[np.float64]
STEP_NS = round(TIME_STEP_S * 1e9)


def time_to_msg(steps: int) -> Time:
    """Time after so many time steps of the physics."""
    seconds, nanoseconds = divmod(steps * STEP_NS, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def seconds_from_msg(message: Time | Duration) -> float:
    """Seconds of a stamp or a duration."""
    return float(message.sec + message.nanosec * 1e-9)


def duration_to_msg(seconds: float) -> Duration:
    """Split seconds into the two numbers of a Duration."""
    whole, rest = divmod(round(seconds * 1e9), 1_000_000_000)
    return Duration(sec=whole, nanosec=rest)


def quaternion_of(rotation: Array) -> tuple[float, float, float, float]:
    """x, y, z, w of a rotation matrix, shape (3, 3)."""
    result = np.zeros(4)
    mujoco.mju_mat2Quat(result, np.ascontiguousarray(rotation).flatten())
    w, x, y, z = result.tolist()
    return x, y, z, w


def pose_to_msg(pose: Array) -> Pose:
    """Write a pose, shape (4, 4)."""
    message = Pose()
    at, turn = message.position, message.orientation
    at.x, at.y, at.z = pose[:3, 3].tolist()
    turn.x, turn.y, turn.z, turn.w = quaternion_of(pose[:3, :3])
    return message


def pose_from_msg(message: Pose) -> Array:
    """Read a pose as a matrix, shape (4, 4); a quaternion of only zeros is no rotation.

    Raises:
        SceneError: A number is not finite, or the quaternion has no unit length.
    """
    at, turn = message.position, message.orientation
    position = np.array([at.x, at.y, at.z])
    quaternion = np.array([turn.w, turn.x, turn.y, turn.z])
    length = np.linalg.norm(quaternion)
    if not np.isfinite(position).all() or not (length == 0 or abs(length - 1) < 1e-2):
        raise SceneError(
            f"the pose at {position.tolist()} with the quaternion (w, x, y, z)"
            f" {quaternion.tolist()} is not finite or not of unit length"
        )
    pose = np.eye(4)
    pose[:3, 3] = position
    if length > 0:
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, quaternion / length)
        pose[:3, :3] = matrix.reshape(3, 3)
    return pose


def transform_to_msg(parent: str, child: str, pose: Array, stamp: Time) -> TransformStamped:
    """Write the pose of child in parent, shape (4, 4)."""
    message = TransformStamped(child_frame_id=child, transform=Transform())
    message.header.frame_id, message.header.stamp = parent, stamp
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = pose[:3, 3].tolist()
    turn.x, turn.y, turn.z, turn.w = quaternion_of(pose[:3, :3])
    return message


def twist_from_msg(message: Twist) -> Array:
    """Read linear, then angular velocity, shape (6,)."""
    linear, angular = message.linear, message.angular
    return np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])


def entity_state_to_msg(pose: Array, twist: Array, steps: int) -> EntityState:
    """Write pose, shape (4, 4), and linear and angular velocity, shape (6,), in world."""
    message = EntityState(pose=pose_to_msg(pose))
    message.header.frame_id, message.header.stamp = "world", time_to_msg(steps)
    linear, angular = message.twist.linear, message.twist.angular
    linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = twist.tolist()
    return message


def bounds_to_msg(low: Array, high: Array) -> Bounds:
    """Write a box in an entity's own frame by its highest and its lowest corner."""
    corners = [Vector3(x=x, y=y, z=z) for x, y, z in (high.tolist(), low.tolist())]
    return Bounds(type=Bounds.TYPE_BOX, points=corners)


def joints_to_msg(joints: Joints, prefix: str, stamp: Time) -> JointState:
    """Write what the joints measure."""
    message = JointState(
        name=[prefix + name for name in joints.names],
        position=joints.position.tolist(),
        velocity=joints.velocity.tolist(),
        effort=joints.effort.tolist(),
    )
    message.header.stamp = stamp
    return message


def color_to_msg(rgb: npt.NDArray[np.uint8], frame: str, stamp: Time) -> Image:
    """Write a colour picture as rgb8, shape (height, width, 3)."""
    return _image(rgb, "rgb8", frame, stamp)


def depth_to_msg(
    depth_m: npt.NDArray[np.float32], encoding: str, frame: str, stamp: Time
) -> Image:
    """Write depth, shape (height, width), metres and 0 where invalid, as 16UC1 or 32FC1.

    16UC1 has whole millimetres up to 65.535 m, 0 is invalid; in 32FC1 invalid is NaN.
    """
    if encoding == "16UC1":
        millimetres = np.rint(depth_m * 1000)
        return _image(
            np.where(millimetres <= 65535, millimetres, 0).astype("<u2"), encoding, frame, stamp
        )
    metres = np.where(depth_m > 0, depth_m, np.nan).astype("<f4")
    return _image(metres, encoding, frame, stamp)


def _image(pixels: npt.NDArray[np.generic], encoding: str, frame: str, stamp: Time) -> Image:
    # A picture drawn by OpenGL is a view of rows from the bottom up.
    pixels = np.ascontiguousarray(pixels)
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=array.array("B", pixels.tobytes()),
    )
    message.header.frame_id, message.header.stamp = frame, stamp
    return message


def camera_info_to_msg(
    k: PinholeParameters, distortion: Sequence[float], frame: str, stamp: Time
) -> CameraInfo:
    """Write intrinsics, with the distortion k1, k2, p1, p2, k3."""
    message = CameraInfo(
        height=k.height,
        width=k.width,
        distortion_model="plumb_bob",
        d=[float(value) for value in distortion],
        k=[k.fx, 0.0, k.cx, 0.0, k.fy, k.cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[k.fx, 0.0, k.cx, 0.0, 0.0, k.fy, k.cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
    message.header.frame_id, message.header.stamp = frame, stamp
    return message


def goal_from_msg(goal: FollowJointTrajectory.Goal, prefix: str) -> Goal:
    """Read a trajectory goal; the prefix is taken off joint names that have it."""
    return Goal(
        joints=tuple(_bare(name, prefix) for name in goal.trajectory.joint_names),
        points=tuple(
            GoalPoint(
                seconds_from_msg(point.time_from_start),
                tuple(point.positions),
                tuple(point.velocities),
                tuple(point.accelerations),
            )
            for point in goal.trajectory.points
        ),
        stamp_s=seconds_from_msg(goal.trajectory.header.stamp),
        path_tolerance={
            _bare(t.name, prefix): (t.position, t.velocity) for t in goal.path_tolerance
        },
        goal_tolerance={
            _bare(t.name, prefix): (t.position, t.velocity) for t in goal.goal_tolerance
        },
        goal_time_s=seconds_from_msg(goal.goal_time_tolerance),
    )


def _bare(name: str, prefix: str) -> str:
    """Take the prefix off; a name without it stays unknown to the controller."""
    if not prefix:
        return name
    return name[len(prefix) :] if name.startswith(prefix) else f"{name} (without '{prefix}')"


def state_to_msg(state: State, time_s: float) -> JointTrajectoryPoint:
    """Write a state of joints, for feedback."""
    return JointTrajectoryPoint(
        positions=state.position.tolist(),
        velocities=state.velocity.tolist(),
        accelerations=state.acceleration.tolist(),
        time_from_start=duration_to_msg(time_s),
    )
