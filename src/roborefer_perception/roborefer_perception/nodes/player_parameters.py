# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the rgbd_player's parameters: declaration, checks and sample file.

Type `python3 -m roborefer_perception.nodes.player_parameters` to print config/rgbd_player.yaml,
with `--readme` the table of the README.
"""

from __future__ import annotations

import sys

from roborefer_common.core.parameters import Row, readme_table, sample_yaml

from roborefer_perception.core.playback import AtEnd
from roborefer_perception.core.recordings_open import Layout

DEPTH_ENCODINGS = ("32FC1", "16UC1")
WORLDS = ("auto", "recorded", "plane", "none")

TABLE = (
    Row(
        "path", "", "A scene, a folder of scenes, a TUM RGB-D sequence or a ROS 2 bag.",
        fixed=True,
    ),
    Row(
        "layout", "auto", "What lies there; auto looks.", choices=tuple(Layout), fixed=True
    ),
    Row(
        "camera_file", "",
        "Intrinsics of a TUM sequence, as YAML of camera_info; empty: those published for fr1, fr2"
        " or fr3, by the name of the folder.",
        fixed=True,
    ),
    Row(
        "budget", 0.02, "Most that depth, and poses, may be apart from colour, seconds.",
        0.0, 1.0, fixed=True,
    ),
    Row("bag.color_topic", "/camera/color/image_raw", "Image or CompressedImage.", fixed=True),
    Row(
        "bag.depth_topic", "/camera/aligned_depth_to_color/image_raw",
        "Image, or CompressedImage of compressedDepth; aligned to colour.", fixed=True,
    ),
    Row("bag.info_topic", "/camera/color/camera_info", "CameraInfo of colour.", fixed=True),
    Row("bag.tf_static_topic", "/tf_static", "Frames that never change.", fixed=True),
    Row("bag.world_frame", "world", "Frame that the bag tells the camera's pose in.", fixed=True),
    Row(
        "rate", 10.0, "Pictures per second while one stays: a scene, or any while paused.",
        0.1, 60.0, fixed=True,
    ),
    Row(
        "hold", 0.0, "How long a scene stays, seconds; 0: until the service next is called.",
        0.0, 86400.0, fixed=True,
    ),
    Row("speed", 1.0, "Seconds of a sequence or bag per second.", 0.01, 100.0, fixed=True),
    Row(
        "at_end", "loop",
        "After the last picture: begin again, hold it, or exit the program.",
        choices=tuple(AtEnd), fixed=True,
    ),
    Row("start_paused", False, "Stay at the first picture.", fixed=True),
    Row(
        "publish_clock", False,
        "Stamp with recorded time and publish it as /clock, for nodes with use_sim_time; else the"
        " stamps are now.",
        fixed=True,
    ),
    Row(
        "depth_encoding", "32FC1", "32FC1 metres, or 16UC1 whole millimetres.",
        choices=DEPTH_ENCODINGS, fixed=True,
    ),
    Row(
        "world", "auto",
        "Pose of the camera: recorded; plane, which puts the main plane of a scene at z = 0; none;"
        " auto takes the first of these that there is.",
        choices=WORLDS, fixed=True,
    ),
    Row("frames.world", "world", "Name of the frame that the camera stands in.", fixed=True),
    Row("frames.link", "camera_link", "Name of the camera's body.", fixed=True),
    Row(
        "frames.optical", "camera_color_optical_frame", "Name of the frame of the pictures.",
        fixed=True,
    ),
)  # fmt: skip


def sample_file() -> str:
    """Return the text of config/rgbd_player.yaml."""
    made_by = "python3 -m roborefer_perception.nodes.player_parameters > config/rgbd_player.yaml"
    return sample_yaml(TABLE, {}, "A recording in the place of an RGB-D camera.", made_by)


if __name__ == "__main__":
    print(readme_table(TABLE) if "--readme" in sys.argv else sample_file(), end="")
