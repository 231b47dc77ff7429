# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures, masks, depth maps and instance maps as they lie in files.

Everything comes from outside, so every decoder is bounded and every failure is a PictureError that
names the file.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.types import BoolArray, FloatArray, UInt8Array

MOST_PIXELS = 50_000_000
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
        PictureError: This is no picture, or it has more than MOST_PIXELS pixels.
    """
    with _open(source) as image:
        return image.size


def read_rgb(source: Source, *, upright: bool = False) -> UInt8Array:
    """Return a picture as RGB, uint8, shape (height, width, 3).

    Args:
        source: The picture; transparency is laid on white.
        upright: Follow the orientation that a camera noted in the file. Benchmarks mark pixels as
            they are stored, so they leave it off.

    Raises:
        PictureError: It cannot be decoded, is too large, or is a 16 or 32 bit picture.
    """
    with _open(source) as image:
        _load(image, source)
        if image.mode.startswith(_DEEP_MODES):
            raise PictureError(
                f"{source.name}: mode {image.mode} holds depth or ids; an 8 bit colour picture"
                " is needed"
            )
        turned = ImageOps.exif_transpose(image) if upright else image
        if "A" in turned.getbands() or "transparency" in turned.info:
            turned = turned.convert("RGBA")
            white = Image.new("RGBA", turned.size, "white")
            turned = Image.alpha_composite(white, turned)
        return np.array(turned.convert("RGB"))


def read_gray(source: Source) -> UInt8Array:
    """Return the first channel of a mask picture, uint8, shape (height, width).

    One-bit pictures become 0 and 255, palettes keep their colours.

    Raises:
        PictureError: It cannot be decoded or is too large.
    """
    with _open(source) as image:
        _load(image, source)
        if image.mode.startswith(_DEEP_MODES):
            deep = np.asarray(image)
            return np.where(deep > 0, np.uint8(255), np.uint8(0))
        if image.mode in ("1", "P"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        pixels = np.array(image)
        return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[:, :, 0])


def read_mask(source: Source) -> BoolArray:
    """Return a mask, bool, shape (height, width): first channel above zero.

    Raises:
        PictureError: It cannot be decoded or is too large.
    """
    return np.asarray(read_gray(source) > 0)


def read_instances(source: Source) -> npt.NDArray[np.int32]:
    """Return instance ids, int32, shape (height, width); 0 is background.

    Raises:
        PictureError: It cannot be decoded, or has several channels and is no id map.
    """
    with _open(source) as image:
        _load(image, source)
        ids = np.array(image)
    if ids.ndim != 2 or ids.dtype.kind not in "ui":
        raise PictureError(
            f"{source.name}: mode {image.mode} is no map of ids; one channel of integers is needed"
        )
    return ids.astype(np.int32)


def read_depth(source: Source, scale_m: float | None) -> FloatArray:
    """Return metric depth, float32 metres, shape (height, width); 0 is no measurement.

    A one-channel integer picture (16 bit PNG, TIFF) holds multiples of a unit that no file states,
    so the caller has to. A float TIFF, and a float array in a .npy file, are metres already unless
    a scale is given.

    Args:
        source: The file.
        scale_m: Metres per unit, such as 0.001 for millimetres; None: the file holds metres.

    Raises:
        PictureError: It cannot be decoded, or is of integers and no scale is given.
    """
    data = source.read()
    if data.startswith(b"\x93NUMPY"):
        try:
            depth = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise PictureError(f"{source.name}: {error}") from error
    else:
        with _open(Source(source.name, data=data)) as image:
            _load(image, source)
            depth = np.array(image)
    if depth.ndim != 2 or depth.dtype.kind not in "uif" or depth.dtype == np.uint8:
        raise PictureError(
            f"{source.name}: {depth.dtype} {depth.shape} is no metric depth;"
            " one channel of 16 bit integers or of floats is needed"
        )
    if depth.dtype.kind != "f" and scale_m is None:
        raise PictureError(
            f"{source.name}: {depth.dtype} depth has no unit; give the metres per step,"
            " such as 0.001 for millimetres"
        )
    metres = depth.astype(np.float32)
    if scale_m is not None:
        metres *= np.float32(scale_m)
    return np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(0))


def _open(source: Source) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(source.read()))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"{source.name}: no picture that can be read ({error})") from error
    if image.width * image.height > MOST_PIXELS:
        raise PictureError(
            f"{source.name}: {image.width} x {image.height} pixels; {MOST_PIXELS} are allowed"
        )
    return image


def _load(image: Image.Image, source: Source) -> None:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise PictureError(f"{source.name}: the picture is damaged ({error})") from error
