# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens a recording, whatever its layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from roborefer_perception.core.recordings import Recording
from roborefer_perception.core.recordings_bag import Bag, BagTopics
from roborefer_perception.core.recordings_folder import SceneFolder, scene_folders
from roborefer_perception.core.recordings_tum import TumSequence
from roborefer_perception.exceptions import RecordingError


class Layout(StrEnum):
    """How a recording is laid out."""

    AUTO = "auto"
    FOLDER = "folder"
    TUM = "tum"
    BAG = "bag"


@dataclass(frozen=True)
class Reading:
    """How a recording is read.

    Attributes:
        layout: AUTO looks at what is there.
        camera_file: Intrinsics for TUM sequences; see `recordings.read_camera`.
        budget_s: Most that depth, and poses, may be apart from colour.
        topics: Of bags.
    """

    layout: Layout = Layout.AUTO
    camera_file: Path | None = None
    budget_s: float = 0.02
    topics: BagTopics = field(default_factory=BagTopics)


def open_recording(path: Path, reading: Reading | None = None) -> Recording:
    """Open what lies at a path.

    Raises:
        RecordingError: Nothing that can be played lies there; the message names file and value.
    """
    reading = reading or Reading()
    if not path.exists():
        raise RecordingError(f"{path}: there is no such file or folder")
    layout = reading.layout if reading.layout is not Layout.AUTO else _layout(path)
    if layout is Layout.TUM:
        return TumSequence(path, reading.camera_file, reading.budget_s)
    if layout is Layout.BAG:
        return Bag(path, reading.topics, reading.budget_s)
    return SceneFolder(path)


def _layout(path: Path) -> Layout:
    if path.suffix in (".mcap", ".db3") or (path / "metadata.yaml").is_file():
        return Layout.BAG
    if (path / "rgb.txt").is_file():
        return Layout.TUM
    if scene_folders(path):
        return Layout.FOLDER
    raise RecordingError(
        f"{path}: is neither a folder with camera.json, rgb.png and depth.png (or of such"
        " folders), nor a TUM sequence with rgb.txt, nor a ROS 2 bag with metadata.yaml; a ROS 1"
        " bag becomes one by rosbags-convert"
    )
