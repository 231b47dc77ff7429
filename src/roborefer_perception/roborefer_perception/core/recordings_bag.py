# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads RGB-D pictures from ROS 2 bags, mcap or sqlite3, through the library rosbags."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from roborefer_common.core.pictures import RawPicture
from scipy.spatial.transform import Rotation

from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.core.compressed import PackedPicture, unpack_color, unpack_depth
from roborefer_perception.core.pictures import decode_color, decode_depth
from roborefer_perception.core.recordings import RecordedFrame, associate, same_size
from roborefer_perception.exceptions import RecordingError, ReferFailure

_IMAGE, _PACKED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_INFO, _TF = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"


@dataclass(frozen=True)
class BagTopics:
    """What to play of a bag.

    Attributes:
        colour: Topic of Image or CompressedImage.
        depth: Topic of the same, aligned to colour.
        info: Topic of CameraInfo of colour.
        tf_static: Topic of the transforms that never change.
        world: Frame that poses of the camera are told in.
    """

    colour: str = "/camera/color/image_raw"
    depth: str = "/camera/aligned_depth_to_color/image_raw"
    info: str = "/camera/color/camera_info"
    tf_static: str = "/tf_static"
    world: str = "world"


class Bag:
    """The colour pictures of a bag that have depth; implements `Recording`."""

    def __init__(
        self, path: Path, topics: BagTopics | None = None, budget_s: float = 0.02
    ) -> None:
        """Go through the bag once and pair the pictures; they are decoded when they are played.

        Args:
            path: Folder of a bag with metadata.yaml, or one mcap file.
            topics: What to play.
            budget_s: Most that depth may be apart from colour.

        Raises:
            RecordingError: rosbags is not installed, the bag cannot be read, a topic is missing or
                of another type, or nothing pairs.
        """
        self._path, self._topics = path, topics or BagTopics()
        wanted = self._topics
        colour: list[int] = []
        depth: list[int] = []
        infos: dict[int, Any] = {}
        transforms: dict[str, tuple[str, Array]] = {}
        frame = ""
        types = {
            wanted.colour: (_IMAGE, _PACKED),
            wanted.depth: (_IMAGE, _PACKED),
            wanted.info: (_INFO,),
        }
        for topic, message in self._messages(types, {wanted.tf_static: (_TF,)}):
            if topic == wanted.tf_static:
                transforms |= _transforms(message)
                continue
            stamp_ns = _stamp(message)
            if topic == wanted.colour:
                colour.append(stamp_ns)
                frame = frame or str(message.header.frame_id)
            elif topic == wanted.depth:
                depth.append(stamp_ns)
            else:
                infos[stamp_ns] = message
        self._pairs = associate(colour, depth, round(budget_s * 1e9))
        if not self._pairs or not infos:
            raise RecordingError(
                f"{path}: {len(colour)} pictures on {wanted.colour}, {len(depth)} on"
                f" {wanted.depth}, {len(infos)} messages on {wanted.info}, {len(self._pairs)}"
                f" pairs within {budget_s} s; all are needed"
            )
        self.unpaired = len(colour) - len(self._pairs)
        self._infos = sorted(infos.items(), key=lambda item: item[0])
        self.stamps_ns: Sequence[int] = [colour[i] for i, _ in self._pairs]
        self.still, self.fixed = False, True
        self._pose = _chain(transforms, wanted.world, frame)

    def frames(self) -> Iterator[RecordedFrame | RecordingError]:
        """Yield the pairs.

        Raises:
            RecordingError: The bag cannot be read any further.
        """
        wanted = self._topics
        counts = {wanted.colour: 0, wanted.depth: 0}
        place = {(wanted.colour, i): n for n, (i, _) in enumerate(self._pairs)}
        place |= {(wanted.depth, k): n for n, (_, k) in enumerate(self._pairs)}
        # Only what still waits for its other half, or for the pair before it, is held.
        waiting: dict[tuple[str, int], Any] = {}
        turn = 0
        types: dict[str, tuple[str, ...]] = dict.fromkeys(counts, (_IMAGE, _PACKED))
        for topic, message in self._messages(types, {}):
            number = place.get((topic, counts[topic]))
            counts[topic] += 1
            if number is None:
                continue
            waiting[topic, number] = message
            while (wanted.colour, turn) in waiting and (wanted.depth, turn) in waiting:
                pair = waiting.pop((wanted.colour, turn)), waiting.pop((wanted.depth, turn))
                try:
                    yield self._frame(*pair)
                except (RecordingError, ReferFailure) as error:
                    yield RecordingError(f"{self._path}, stamp {_stamp(pair[0])} ns: {error}")
                turn += 1

    def _frame(self, colour: Any, depth: Any) -> RecordedFrame:
        stamp_ns = _stamp(colour)
        packed = colour.__msgtype__ == _PACKED
        rgb = unpack_color(_packed(colour)) if packed else decode_color(_raw(colour))
        packed = depth.__msgtype__ == _PACKED
        depth_m = unpack_depth(_packed(depth)) if packed else decode_depth(_raw(depth))
        camera = self._camera(stamp_ns)
        same_size(rgb, depth_m, camera, "the pictures")
        return RecordedFrame(str(stamp_ns), stamp_ns, rgb, depth_m, camera, self._pose)

    def _camera(self, stamp_ns: int) -> Camera:
        after = bisect.bisect_left(self._infos, stamp_ns, key=lambda item: item[0])
        near = self._infos[max(0, after - 1) : after + 1]
        info = min(near, key=lambda item: abs(item[0] - stamp_ns))[1]
        roi = info.roi
        return Camera.from_info(
            (int(info.width), int(info.height)),
            [float(value) for value in info.k],
            [float(value) for value in info.d],
            str(info.distortion_model),
            (int(info.binning_x), int(info.binning_y)),
            (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        )

    def _messages(
        self, needed: dict[str, tuple[str, ...]], optional: dict[str, tuple[str, ...]]
    ) -> Iterator[tuple[str, Any]]:
        """Yield topic and message by the times at which they were recorded."""
        with self._reader() as reader:
            kinds = {connection.topic: connection.msgtype for connection in reader.connections}
            for topic, types in (needed | optional).items():
                if topic in needed and topic not in kinds:
                    raise RecordingError(
                        f"{self._path}: has no topic {topic}; it has"
                        f" {', '.join(sorted(kinds)) or 'none'}"
                    )
                if topic in kinds and kinds[topic] not in types:
                    raise RecordingError(
                        f"{self._path}: {topic} is of {kinds[topic]}; {' or '.join(types)} is"
                        " needed"
                    )
            chosen = [c for c in reader.connections if c.topic in needed | optional]
            messages = reader.messages(chosen)
            while True:
                # Whatever a broken file makes the library raise, it is the file that is wrong.
                try:
                    connection, _, data = next(messages)
                    message = reader.deserialize(data, connection.msgtype)
                except StopIteration:
                    return
                except Exception as error:
                    raise RecordingError(
                        f"{self._path}: cannot be read any further: {error}"
                    ) from error
                yield connection.topic, message

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Any]:
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise RecordingError(
                f"{self._path}: bags are read by the library rosbags, which is not installed;"
                " type: pip install 'rosbags>=0.11,<0.12'"
            ) from error
        reader = None
        try:
            types = get_typestore(Stores.ROS2_JAZZY)
            reader = AnyReader([self._path], default_typestore=types)
            reader.open()
        except Exception as error:
            raise RecordingError(f"{self._path}: is no bag that can be read: {error}") from error
        try:
            yield reader
        finally:
            reader.close()


def _stamp(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _raw(message: Any) -> RawPicture:
    return RawPicture(
        int(message.width), int(message.height), str(message.encoding), int(message.step),
        bool(message.is_bigendian), memoryview(message.data),
    )  # fmt: skip


def _packed(message: Any) -> PackedPicture:
    return PackedPicture(str(message.format), memoryview(message.data))


def _transforms(message: Any) -> dict[str, tuple[str, Array]]:
    """Return parent and pose in it by child."""
    found = {}
    for one in message.transforms:
        move, turn = one.transform.translation, one.transform.rotation
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        pose = np.eye(4)
        if np.linalg.norm(quaternion) > 0:
            pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
        pose[:3, 3] = move.x, move.y, move.z
        found[one.child_frame_id.lstrip("/")] = (one.header.frame_id.lstrip("/"), pose)
    return found


def _chain(transforms: dict[str, tuple[str, Array]], world: str, frame: str) -> Array | None:
    """Return the pose of a frame in world, or None where no transforms lead there."""
    pose, at = np.eye(4), frame.lstrip("/")
    for _ in range(len(transforms) + 1):
        if at == world:
            return pose
        if at not in transforms:
            return None
        at, step = transforms[at]
        pose = step @ pose
    return None
