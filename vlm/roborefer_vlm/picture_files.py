# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures, masks, depth maps and instance maps as they lie in files and tables.

Decoding itself is that of `model.pictures`, so that a file means the same here as over HTTP; here
every PictureError names the file, and what is no picture, mask or map of the wanted sort is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.model import pictures
from roborefer_vlm.model.depth import to_metres
from roborefer_vlm.types import FloatArray, UInt8Array

# Pillow keeps 16 and 32 bit pictures in these modes; they hold depth or ids, not colours.
_DEEP_MODES = ("I", "F")


@dataclass(frozen=True)
class Source:
    """An encoded picture: a file, or bytes out of a table.

    Attributes:
        name: What messages call it.
        path: The file, or None.
        data: The bytes, where there is no file.
    """

    name: str
    path: Path | None = None
    data: bytes | None = None

    @classmethod
    def of(cls, path: Path) -> Source:
        """Return the source for a file, under its own name."""
        return cls(str(path), path)

    def read(self) -> bytes:
        """Return the encoded bytes.

        Raises:
            PictureError: The file cannot be read.
        """
        if self.data is not None:
            return self.data
        if self.path is None:
            raise PictureError(f"{self.name}: neither a file nor bytes are given")
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise PictureError(f"{self.name}: {error.strerror or error}") from error


def picture_size(source: Source) -> tuple[int, int]:
    """Return (width, height) from the header alone; the pixels are not decoded.

    Raises:
        PictureError: This is no picture, or it has too many pixels.
    """
    data = source.read()
    with _named(source):
        size = pictures.picture_size(data)
        pictures.check_size(size)
    return size


def read_rgb(source: Source, *, upright: bool = False) -> UInt8Array:
    """Return a picture as RGB, uint8, shape (height, width, 3).

    Args:
        source: The picture; transparency is dropped.
        upright: Follow the orientation that a camera noted in the file. Benchmarks mark pixels as
            they are stored, so they leave it off.

    Raises:
        PictureError: It cannot be decoded, is too large, or is a 16 or 32 bit picture.
    """
    image = _decoded(source)
    if image.mode.startswith(_DEEP_MODES):
        raise PictureError(
            f"{source.name}: mode {image.mode} holds depth or ids; an 8 bit colour picture"
            " is needed"
        )
    with _named(source):
        return pictures.load_picture(image, honour_orientation=upright)


def read_gray(source: Source) -> UInt8Array:
    """Return the first channel of a mask picture, uint8, shape (height, width).

    One-bit pictures become 0 and 255, palettes keep their colours.

    Raises:
        PictureError: It cannot be decoded or is too large.
    """
    image = _decoded(source)
    if image.mode.startswith(_DEEP_MODES):
        return np.where(np.asarray(image) > 0, np.uint8(255), np.uint8(0))
    if image.mode in ("1", "P"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    pixels = np.array(image)
    return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[:, :, 0])


def read_instances(source: Source) -> npt.NDArray[np.int32]:
    """Return instance ids, int32, shape (height, width); 0 is background.

    Raises:
        PictureError: It cannot be decoded, or has several channels and is no id map.
    """
    image = _decoded(source)
    ids = np.array(image)
    if ids.ndim != 2 or ids.dtype.kind not in "ui":
        raise PictureError(
            f"{source.name}: mode {image.mode} is no map of ids; one channel of integers is needed"
        )
    return ids.astype(np.int32)


def read_depth(source: Source, scale_m: float | None) -> FloatArray:
    """Return metric depth, float32 metres, shape (height, width); 0 is no measurement.

    As over HTTP, the encoding tells what the values are: integers (16 bit PNG, TIFF, .npy) are
    multiples of a unit that no file states, so the caller has to; floats (TIFF, .npy) are metres.

    Args:
        source: The file.
        scale_m: Metres per unit of integers, such as 0.001 for millimetres; None: not known.

    Raises:
        PictureError: It cannot be decoded, or is of integers and no scale is given.
    """
    data = source.read()
    with _named(source):
        if data.startswith(pictures.NPY_MAGIC):
            depth = pictures.read_npy(data)
        else:
            depth = np.asarray(pictures.open_picture(data))
        if depth.ndim != 2 or depth.dtype.kind not in "uif" or depth.dtype == np.uint8:
            raise PictureError(
                f"{depth.dtype} {depth.shape} is no metric depth;"
                " one channel of 16 bit integers or of floats is needed"
            )
        if depth.dtype.kind != "f" and scale_m is None:
            raise PictureError(
                f"{depth.dtype} depth has no unit; give the metres per step,"
                " such as 0.001 for millimetres"
            )
        metres = to_metres(pictures.load_depth(depth), scale_m or 1.0)
    return np.nan_to_num(metres, copy=False, nan=0.0)


def _decoded(source: Source) -> Image.Image:
    data = source.read()
    with _named(source):
        return pictures.open_picture(data)


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Put the name of a source in front of what is wrong with its bytes."""
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{source.name}: {error}") from error
