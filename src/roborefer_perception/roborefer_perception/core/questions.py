# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A question about one view, and the body of `POST /v1/refer` that carries it.

The body is a multipart form: bytes travel as they are. Depth goes as float32 .npy, without loss
and without work. The picture goes as JPEG, which is made in the shortest time and leaves the
server the least to read; or as a PNG that is not compressed, without loss.
"""

from __future__ import annotations

import base64
import json
import secrets
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from math import hypot, isfinite
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Camera
from roborefer_perception.core.types import Kind, Mask
from roborefer_perception.exceptions import Reason, ReferFailure

# What a referring server accepts.
LONGEST_SENTENCE = 4000
MOST_SAMPLES = 32
SHORTEST_DEADLINE_S = 0.1
LONGEST_DEADLINE_S = 600.0
# How far the length of a direction may be from 1.
_UNIT = 1e-3
_JPEG_QUALITY = 95


class PictureFormat(StrEnum):
    """How the picture travels."""

    # Quality 95.
    JPEG = "jpeg"
    # Without loss, and without compression.
    PNG = "png"


@dataclass(frozen=True, eq=False)
class GivenThing:
    """A thing that was found in the picture already.

    Attributes:
        name: In plain words.
        mask: Its visible pixels, shape (height, width).
    """

    name: str
    mask: Mask


@dataclass(frozen=True, eq=False)
class Question:
    """What the model is asked.

    Attributes:
        rgb: uint8, shape (height, width, 3).
        text: The sentence, unchanged.
        depth_m: Registered to rgb; along the optical axis, float32 metres, shape (height, width);
            0, NaN and infinity where nothing was measured. None, or nothing measured at all:
            asked without depth.
        camera: Intrinsics of rgb. Its distortion is not sent: servers know none.
        up: Unit vector against gravity in the optical frame.
        things: What was found already.
        kind: What is wanted; UNKNOWN leaves it to the words.
        samples: How many answers to draw.
        temperature: How freely all but the first are drawn.
        seed: Of the drawing.
        max_new_tokens: Longest answer.

    Raises:
        ReferFailure: INVALID_GOAL for the sentence or a number, UNSUPPORTED_IMAGE for a picture
            or depth of another form or size, INTERNAL_ERROR for an up that is no unit vector.
    """

    rgb: npt.NDArray[np.uint8]
    text: str
    depth_m: npt.NDArray[np.float32] | None = None
    camera: Camera | None = None
    up: tuple[float, float, float] | None = None
    things: tuple[GivenThing, ...] = ()
    kind: Kind = Kind.UNKNOWN
    samples: int = 1
    temperature: float = 0.7
    seed: int = 0
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        if not self.text.strip() or len(self.text) > LONGEST_SENTENCE:
            raise ReferFailure(
                Reason.INVALID_GOAL,
                f"the instruction has {len(self.text)} characters; 1 to {LONGEST_SENTENCE} that"
                " say what to point at are needed",
            )
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise ReferFailure(
                Reason.INVALID_GOAL, f"samples is {self.samples}; 1 to {MOST_SAMPLES} are possible"
            )
        if not (isfinite(self.temperature) and 0 < self.temperature <= 2):
            raise ReferFailure(
                Reason.INVALID_GOAL,
                f"temperature is {self.temperature}; above 0 and up to 2 is possible",
            )
        if self.up is not None and not abs(hypot(*self.up) - 1) < _UNIT:
            raise ReferFailure(
                Reason.INTERNAL_ERROR, f"up is {self.up}; a unit vector is needed; check TF"
            )
        rgb = self.rgb
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
            raise ReferFailure(
                Reason.UNSUPPORTED_IMAGE,
                f"the picture is {rgb.dtype} {rgb.shape}; uint8 (height, width, 3) is needed",
            )
        shape = rgb.shape[:2]
        masks = {f"the mask of '{thing.name}'": thing.mask.shape for thing in self.things}
        if self.depth_m is not None:
            masks["the depth"] = self.depth_m.shape
        if self.camera is not None:
            masks["the camera"] = (self.camera.height, self.camera.width)
        for name, other in masks.items():
            if other != shape:
                raise ReferFailure(
                    Reason.UNSUPPORTED_IMAGE,
                    f"{name} has {other[::-1]} pixels, the picture {shape[::-1]}; they have to be"
                    " of one size",
                )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]


@dataclass(frozen=True, eq=False)
class Parts:
    """A question's encoded parts, ready to be sent once or several times.

    Attributes:
        picture: Of the format that was asked for.
        text: UTF-8.
        depth: .npy, or None.
        request: The other fields.
    """

    picture: bytes
    text: bytes
    depth: bytes | None
    request: dict[str, Any]

    def body(self, deadline_s: float, stream: bool) -> tuple[str, bytes]:
        """Return Content-Type and body of the request.

        Args:
            deadline_s: Left for the answer from its arrival.
            stream: Whether the reasoning shall come as it is written.
        """
        left = min(max(deadline_s, SHORTEST_DEADLINE_S), LONGEST_DEADLINE_S)
        request = {**self.request, "deadline_s": left, "stream": stream}
        parts = {"request": json.dumps(request).encode(), "text": self.text, "image": self.picture}
        if self.depth is not None:
            parts["depth"] = self.depth
        # Random, so that no picture can hold it.
        boundary = secrets.token_hex(16)
        pieces: list[bytes] = []
        for name, data in parts.items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            pieces += [head.encode(), data, b"\r\n"]
        pieces.append(f"--{boundary}--\r\n".encode())
        return f"multipart/form-data; boundary={boundary}", b"".join(pieces)


def encode(question: Question, picture: PictureFormat = PictureFormat.JPEG) -> Parts:
    """Encode all that does not change between attempts.

    Raises:
        ReferFailure: INVALID_GOAL: the sentence holds halves of surrogate pairs.
    """
    request: dict[str, Any] = {
        "kind": question.kind.name.lower(),
        "samples": question.samples,
        "temperature": question.temperature,
        "seed": question.seed,
        "max_new_tokens": question.max_new_tokens,
    }
    if (camera := question.camera) is not None:
        request["intrinsics"] = {
            **{"width": camera.width, "height": camera.height},
            **{"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy},
        }
    if question.up is not None:
        request["up"] = list(question.up)
    if question.things:
        request["objects"] = [
            {"name": thing.name, "mask": base64.b64encode(_mask(thing.mask)).decode("ascii")}
            for thing in question.things
        ]
    depth = question.depth_m
    try:
        text = question.text.encode()
    except UnicodeEncodeError as error:
        raise ReferFailure(
            Reason.INVALID_GOAL, f"character {error.start} of the instruction is no character"
        ) from None
    rgb = question.rgb
    return Parts(
        _jpeg(rgb) if picture is PictureFormat.JPEG else _png(rgb),
        text,
        None if depth is None or not _measured(depth) else _npy(depth),
        request,
    )


def _measured(depth_m: npt.NDArray[np.float32]) -> bool:
    # A comparison with NaN is false.
    return bool(((depth_m > 0) & (depth_m < np.inf)).any())


def _png(rgb: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG of stored blocks; OpenCV's level 0 takes several times as long."""
    height, width = rgb.shape[:2]
    # Each row begins with the number of its filter; 0 is none.
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = rgb.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.data, 0)), (b"IEND", b"")]
    pieces = [b"\x89PNG\r\n\x1a\n"]
    for name, data in chunks:
        check = zlib.crc32(data, zlib.crc32(name))
        pieces += [struct.pack(">I", len(data)), name, data, struct.pack(">I", check)]
    return b"".join(pieces)


def _jpeg(rgb: npt.NDArray[np.uint8]) -> bytes:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _mask(mask: Mask) -> bytes:
    grey = mask.astype(np.uint8) * np.uint8(255)
    return cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _npy(depth_m: npt.NDArray[np.float32]) -> bytes:
    stored = BytesIO()
    np.save(stored, np.ascontiguousarray(depth_m, np.float32), allow_pickle=False)
    return stored.getvalue()
