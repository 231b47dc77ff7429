# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The narrated video: what the camera sees, the referred point, and words beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_bringup.demo.witness import Caption, Frame
from roborefer_msgs.msg import TaskStep

Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

FRAMES_PER_S = 12
_PANEL_WIDTH = 400
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Blue, green, red.
_GROUND: Color = (30, 26, 24)
_TEXT: Color = (235, 232, 230)
_QUIET: Color = (150, 142, 138)
_POINT: Color = (110, 64, 255)
_DONE: Color = (118, 210, 60)
_FAILED: Color = (90, 110, 255)
_NOW: Color = (60, 190, 255)
_MARKS = {
    TaskStep.PENDING: ("o", _QUIET), TaskStep.RUNNING: (">", _NOW),
    TaskStep.SUCCEEDED: ("+", _DONE), TaskStep.FAILED: ("x", _FAILED),
    TaskStep.SKIPPED: ("-", _QUIET), TaskStep.UNDONE: ("-", _QUIET),
}  # fmt: skip
_MOST_REASONING = 6


class FilmError(Exception):
    """No video can be written on this machine."""


def compose(picture: Picture, caption: Caption, stamp_s: float) -> Picture:
    """Draw one frame.

    Args:
        picture: Of the camera, blue green red.
        caption: What goes with it.
        stamp_s: Simulated time, seconds.

    Returns:
        The picture with a panel of text to its right.
    """
    height = picture.shape[0]
    left = picture.copy()
    if caption.pixel is not None:
        at = (round(caption.pixel[0]), round(caption.pixel[1]))
        cv2.circle(left, at, 11, _GROUND, 5, cv2.LINE_AA)
        cv2.circle(left, at, 11, _POINT, 2, cv2.LINE_AA)
        cv2.circle(left, at, 3, _POINT, -1, cv2.LINE_AA)
    panel = np.empty((height, _PANEL_WIDTH, 3), np.uint8)
    panel[:] = _GROUND
    pen = _Pen(panel)
    pen.write(caption.title, _QUIET, 0.48)
    pen.skip(4)
    for said in caption.said:
        pen.write(f'"{said}"', _TEXT, 0.56)
    pen.skip(10)
    for line in caption.steps:
        mark, color = _MARKS[line.state]
        pen.write(line.words, color, 0.48, mark)
    if caption.phase:
        pen.skip(8)
        pen.write(caption.phase, _NOW, 0.56)
    if caption.note:
        pen.write(caption.note, _TEXT, 0.48)
    if caption.reasoning:
        pen.skip(10)
        pen.write("why there:", _QUIET, 0.42)
        for thought in caption.reasoning[:_MOST_REASONING]:
            pen.write(thought, _QUIET, 0.42)
    cv2.putText(
        panel, f"{stamp_s:6.1f} s", (_PANEL_WIDTH - 92, height - 12), _FONT, 0.45, _QUIET, 1,
        cv2.LINE_AA,
    )  # fmt: skip
    return np.hstack([left, panel])


class _Pen:
    """Writes wrapped lines from top to bottom."""

    def __init__(self, panel: Picture) -> None:
        self._panel, self._y = panel, 8

    def skip(self, rows: int) -> None:
        self._y += rows

    def write(self, text: str, color: Color, size: float, mark: str = "") -> None:
        # The font knows ASCII only.
        plain = text.encode("ascii", "replace").decode()
        indent = 16 if mark else 0
        columns = int((_PANEL_WIDTH - 28 - indent) / (19.5 * size))
        for number, line in enumerate(textwrap.wrap(plain, columns) or [""]):
            self._y += int(36 * size)
            if mark and not number:
                cv2.putText(self._panel, mark, (14, self._y), _FONT, size, color, 1, cv2.LINE_AA)
            cv2.putText(
                self._panel, line, (14 + indent, self._y), _FONT, size, color, 1, cv2.LINE_AA
            )


def frame_picture(frame: Frame) -> Picture:
    """Draw a frame that was kept."""
    picture = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
    return compose(picture, frame.caption, frame.stamp_s)


def write_film(frames: Sequence[Frame], file: Path) -> None:
    """Write the video.

    Args:
        frames: In order.
        file: Its name ends with .mp4.

    Raises:
        FilmError: There are no frames, or OpenCV cannot write here.
    """
    if not frames:
        raise FilmError("no picture of the camera was kept")
    try:
        import av
    except ImportError:
        _write_with_opencv(frames, file)
        return
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", FRAMES_PER_S, {"preset": "veryfast", "crf": "27"})
        first = frame_picture(frames[0])
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame_picture(frame), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _write_with_opencv(frames: Sequence[Frame], file: Path) -> None:
    """Write what players show, though not browsers."""
    first = frame_picture(frames[0])
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(file), code, FRAMES_PER_S, (first.shape[1], first.shape[0]))
    if not writer.isOpened():
        raise FilmError("this OpenCV writes no video; install PyAV: pip install av")
    try:
        for frame in frames:
            writer.write(frame_picture(frame))
    finally:
        writer.release()
