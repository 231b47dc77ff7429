# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to core types and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Transform, Vector3
from roborefer_common.times import duration_to_msg, nanoseconds, time_to_msg
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import ColorRGBA, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from visualization_msgs.msg import Marker, MarkerArray

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.motion import Phase, Reason
from roborefer_grasping.core.motion_reference import Kind, Reference
from roborefer_grasping.core.motion_task import HeldThing
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.rectify import is_distorted, rectified
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView
from roborefer_grasping.core.world import Obstacle, Shape, World
from roborefer_grasping.exceptions import SceneError
from roborefer_msgs.msg import ErrorCode, HeldObject, SpatialReference
from roborefer_msgs.msg import Phase as PhaseMsg

_COLORS = {
    "surroundings": (0.55, 0.55, 0.6, 0.8),
    "unseen": (0.2, 0.2, 0.25, 0.25),
    "target": (0.1, 0.7, 0.2, 0.9),
    "target_shadow": (0.1, 0.5, 0.2, 0.3),
    "support": (0.6, 0.5, 0.4, 0.4),
    "held": (0.9, 0.6, 0.1, 0.9),
}
_MARKERS = {Shape.BOX: Marker.CUBE, Shape.CYLINDER: Marker.CYLINDER, Shape.SPHERE: Marker.SPHERE}


def code_of(reason: Reason | None) -> int:
    """Error code of a reason; success for None."""
    return int(ErrorCode.SUCCESS if reason is None else getattr(ErrorCode, reason.value))


def phase_code(phase: Phase) -> int:
    """Constant of roborefer_msgs/Phase."""
    return int(getattr(PhaseMsg, phase.value))


# --- geometry ---------------------------------------------------------------------------------
def pose_to_msg(pose: Array) -> Pose:
    """Write a pose, shape (4, 4)."""
    message = Pose()
    at, turn = message.position, message.orientation
    at.x, at.y, at.z = pose[:3, 3].tolist()
    turn.x, turn.y, turn.z, turn.w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    return message


def pose_stamped(pose: Array | None, frame: str, stamp: Time) -> PoseStamped:
    """Write a pose with its frame; no pose has an empty frame."""
    message = PoseStamped()
    if pose is not None:
        message.header = Header(frame_id=frame, stamp=stamp)
        message.pose = pose_to_msg(pose)
    return message


def pose_from_transform(message: Transform) -> Array:
    """Pose of the child in its parent, shape (4, 4)."""
    move, turn = message.translation, message.rotation
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    pose[:3, 3] = (move.x, move.y, move.z)
    return pose


# --- camera -----------------------------------------------------------------------------------
def depth_from_msg(message: Image) -> npt.NDArray[np.float32]:
    """Depth in metres, shape (height, width); 0 where nothing was measured.

    Raises:
        SceneError: The encoding is not 16UC1 or 32FC1, or the data do not fit the size.
    """
    kinds = {"16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3), "32FC1": ("f4", 1.0)}
    if message.encoding not in kinds:
        raise SceneError(
            f"the depth image has encoding '{message.encoding}'; 16UC1 or 32FC1 is needed"
        )
    kind, scale = kinds[message.encoding]
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    raw = np.frombuffer(memoryview(message.data), np.uint8)
    row = message.width * dtype.itemsize
    if message.step < row or len(raw) < message.step * message.height or not row:
        raise SceneError(
            f"the depth image of {message.width} x {message.height} has {len(raw)} bytes and a"
            f" step of {message.step}"
        )
    rows = raw[: message.step * message.height].reshape(message.height, message.step)[:, :row]
    depth = np.ascontiguousarray(rows).view(dtype).astype(np.float32) * np.float32(scale)
    return np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0)


def view_from_msgs(depth: Image, info: CameraInfo, t_base_optical: Array) -> DepthView:
    """Put a depth image at its place.

    Raises:
        SceneError: Image and intrinsics do not belong together, or one cannot be used.
    """
    if (info.width, info.height) != (depth.width, depth.height):
        raise SceneError(
            f"camera_info is for {info.width} x {info.height}, the depth image has"
            f" {depth.width} x {depth.height} pixels"
        )
    k, metres = [float(value) for value in info.k], depth_from_msg(depth)
    if is_distorted(info.d):
        metres = rectified(metres, k, info.distortion_model, list(info.d))
    return DepthView(metres, k[0], k[4], k[2], k[5], t_base_optical)


# --- references and what is held --------------------------------------------------------------
def reference_from_msg(message: SpatialReference, t_base_frame: Array | None) -> Reference:
    """Read a reference.

    Args:
        message: The reference.
        t_base_frame: Pose of the frame of its pose in the frame of the base; None when the
            reference has no pose.
    """
    position, heading = None, 0.0
    if t_base_frame is not None:
        at = message.pose.pose.pose.position
        position = t_base_frame[:3, :3] @ np.array([at.x, at.y, at.z]) + t_base_frame[:3, 3]
        heading = float(np.arctan2(t_base_frame[1, 0], t_base_frame[0, 0]))
    return Reference(
        position=position,
        pixel=(float(message.pixel.u), float(message.pixel.v)),
        size=(int(message.image_width), int(message.image_height)),
        stamp_ns=nanoseconds(message.header.stamp),
        identity=bytes(bytearray(message.id.uuid)),
        label=message.label,
        yaw_offset=heading,
        kind=Kind(message.kind) if message.kind in set(Kind) else Kind.UNKNOWN,
    )


def held_to_msg(
    held: HeldThing | None, width: float, gripper: Gripper, frame: str, stamp: Time
) -> HeldObject:
    """Write what the gripper holds."""
    message = HeldObject(header=Header(frame_id=frame, stamp=stamp), width_m=float(width))
    if held is not None:
        part = held.solids.parts[0]
        message.held, message.id, message.label = True, held.name, held.label
        message.reference_id.uuid = np.frombuffer(held.reference, np.uint8)
        message.pose = pose_to_msg(gripper.t_tool_tcp @ part.pose)
        x, y, z = part.size.tolist()
        message.extent = Vector3(x=x, y=y, z=z)
    return message


# --- trajectories -----------------------------------------------------------------------------
def trajectory_to_msg(
    trajectory: Trajectory | None, joints: Sequence[str], stamp_ns: int = 0
) -> JointTrajectory:
    """Write a trajectory with positions and velocities, between which controllers go by cubics.

    Accelerations are left out on purpose: with them a controller would follow quintics, which are
    not what was verified.
    """
    message = JointTrajectory()
    if trajectory is None:
        return message
    message.header.stamp = time_to_msg(stamp_ns)
    message.joint_names = list(joints)
    begin = float(trajectory.times[0])
    message.points = [
        JointTrajectoryPoint(
            positions=position.tolist(),
            velocities=velocity.tolist(),
            time_from_start=duration_to_msg(float(time) - begin),
        )
        for time, position, velocity in zip(
            trajectory.times, trajectory.positions, trajectory.velocities, strict=True
        )
    ]
    return message


# --- markers ----------------------------------------------------------------------------------
def scene_markers(world: World, frame: str, stamp: Time) -> MarkerArray:
    """Solids of a world; a first marker deletes those of before."""
    header = Header(frame_id=frame, stamp=stamp)
    markers = [Marker(header=header, ns="scene", action=Marker.DELETEALL)]
    markers += [
        _solid_marker(obstacle, header, number) for number, obstacle in enumerate(world.obstacles)
    ]
    return MarkerArray(markers=markers)


def _solid_marker(obstacle: Obstacle, header: Header, number: int) -> Marker:
    red, green, blue, alpha = _COLORS.get(obstacle.name, (0.8, 0.2, 0.2, 0.8))
    x, y, z = obstacle.size.tolist()
    return Marker(
        header=header,
        ns=obstacle.name,
        id=number,
        type=_MARKERS[obstacle.shape],
        action=Marker.ADD,
        pose=pose_to_msg(obstacle.pose),
        scale=Vector3(x=x, y=y, z=z),
        color=ColorRGBA(r=red, g=green, b=blue, a=alpha),
    )


def grasp_markers(
    poses: Sequence[Array], gripper: Gripper, frame: str, stamp: Time
) -> MarkerArray:
    """Each TCP pose as the outline of a jaw; the first one is brighter."""
    header = Header(frame_id=frame, stamp=stamp)
    markers = [Marker(header=header, ns="grasps", action=Marker.DELETEALL)]
    half, tip, root = gripper.opening / 2, gripper.finger_reach, -gripper.pad_length
    outline = [(-half, tip), (-half, root), (half, root), (half, tip)]
    for number, pose in enumerate(poses):
        corners = [pose @ np.array([0.0, y, z, 1.0]) for y, z in outline]
        corners += [pose @ np.array([0.0, 0.0, z, 1.0]) for z in (root, 2 * root)]
        order = (0, 1, 1, 2, 2, 3, 4, 5)
        shade = 1.0 if number == 0 else 0.35
        markers.append(
            Marker(
                header=header,
                ns="grasps",
                id=number,
                type=Marker.LINE_LIST,
                action=Marker.ADD,
                scale=Vector3(x=0.003),
                color=ColorRGBA(r=0.1, g=shade, b=1.0 - shade / 2, a=shade),
                points=[
                    Point(x=float(corners[i][0]), y=float(corners[i][1]), z=float(corners[i][2]))
                    for i in order
                ],
            )
        )
        markers[-1].pose.orientation.w = 1.0
    return MarkerArray(markers=markers)
