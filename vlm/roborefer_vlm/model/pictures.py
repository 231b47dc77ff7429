# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From files, bytes, arrays and Pillow images to RGB pictures and depth maps.

Needs numpy and Pillow only. Whatever cannot be used raises PictureError; a size above the limit
does so before any pixel is decoded, and a truncated file does so too.

| what comes in              | as a picture (RGB, uint8)         | as depth                       |
|----------------------------|-----------------------------------|--------------------------------|
| RGB, YCbCr, CMYK           | converted as Pillow does          | relative, if all channels equal|
| RGBA, LA                   | alpha dropped, not composited     | alpha dropped, then as above   |
| palette                    | expanded, transparency dropped    | as RGB                         |
| grey, 8 bit; 1 bit         | replicated                        | relative                       |
| grey, 16 bit               | high byte, replicated             | sensor units, uint16           |
| grey, float                | 0 to 1 becomes 0 to 255           | metres, float32                |
| `.npy` (never pickled)     | no                                | by dtype, as an array          |

Animations give their first frame.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.types import UInt8Array

# A decoded picture of this size takes 160 MB inside Pillow.
MOST_PIXELS = 40_000_000
# A resize keeps one whole side in between, so that a thin line of pixels would fill the memory.
MOST_SIDE = 16_384

# Formats whose decoders are part of Pillow itself and need no outside program.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER_BYTES = 4096
# What numpy writes for an array of numbers; read by this pattern and never evaluated.
_NPY_HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[<>|](?:[ui][1248]|f[248]))', 'fortran_order': (?P<order>True|False),"
    rb" 'shape': \((?P<shape>[0-9]{1,9}, [0-9]{1,9}(?:, [134])?)\), \} *\n"
)
# What the decoders raise for bytes that are not what their header says.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    # Only where the program turned warnings into errors.
    Warning,
)

# uint8: relative, bright is near. uint16: units of the sensor. float32: metres.
DepthArray: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
Source: TypeAlias = npt.NDArray[Any] | Image.Image | bytes | str | Path


def decode_picture(
    data: bytes, max_pixels: int = MOST_PIXELS, *, honour_orientation: bool = False
) -> UInt8Array:
    """Decode an encoded picture.

    Args:
        data: A PNG, JPEG, WebP, TIFF, BMP, GIF or PPM file.
        max_pixels: Most pixels (width * height) that are decoded.
        honour_orientation: Turn the picture as its EXIF data say. Off, as the released weights
            were trained and served: the pixels are taken as they are stored.

    Returns:
        RGB, uint8, shape (height, width, 3); may be read-only.

    Raises:
        PictureError: The bytes are no such file, are truncated, or hold too many pixels.
    """
    return _rgb(open_picture(data, max_pixels), honour_orientation)


def decode_depth(data: bytes, max_pixels: int = MOST_PIXELS) -> DepthArray:
    """Decode an encoded depth map; its form tells what it means.

    Args:
        data: An 8-bit grey picture (relative), a 16-bit grey picture (sensor units), a float TIFF
            (metres) or a `.npy` file of uint8, uint16 or floats.
        max_pixels: Most pixels that are decoded.

    Returns:
        Shape (height, width): uint8 relative inverse depth (bright is near), uint16 in units of
        the sensor (0: none), or float32 metres (0, NaN, infinity: none).

    Raises:
        PictureError: The bytes are no such file, are truncated, hold too many pixels, or show
            colours.
    """
    if data.startswith(NPY_MAGIC):
        return _depth_array(read_npy(data, max_pixels))
    return _depth(open_picture(data, max_pixels))


def load_picture(
    source: Source, max_pixels: int = MOST_PIXELS, *, honour_orientation: bool = False
) -> UInt8Array:
    """Take a picture from wherever it is: see `decode_picture` for the meaning of the rest.

    Args:
        source: A path, the bytes of a file, a Pillow image, or an array: (height, width) or
            (height, width, 1, 3 or 4) of bool, uint8, uint16, or floats from 0 to 1; RGB order.
        max_pixels: Most pixels.
        honour_orientation: Turn by EXIF data; not for arrays, which have none.

    Returns:
        RGB, uint8, shape (height, width, 3); a view of `source` where that is such an array.

    Raises:
        PictureError: The source cannot be read or used.
    """
    if isinstance(source, np.ndarray):
        return _rgb_array(source, max_pixels)
    return _rgb(_image(source, max_pixels), honour_orientation)


def load_depth(source: Source, max_pixels: int = MOST_PIXELS) -> DepthArray:
    """Take a depth map from a path, bytes, a Pillow image or an array; see `decode_depth`.

    Raises:
        PictureError: The source cannot be read or used.
    """
    if isinstance(source, np.ndarray):
        check_size(source.shape[1::-1], max_pixels)
        return _depth_array(source)
    if isinstance(source, str | Path):
        source = _read(source)
    if isinstance(source, bytes):
        return decode_depth(source, max_pixels)
    return _depth(_image(source, max_pixels))


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise PictureError(f"picture '{path}' cannot be read: {error.strerror}") from error


def _image(source: Image.Image | bytes | str | Path, max_pixels: int) -> Image.Image:
    if isinstance(source, Image.Image):
        check_size(source.size, max_pixels)
        return source
    return open_picture(source if isinstance(source, bytes) else _read(source), max_pixels)


def check_size(size: tuple[int, ...], max_pixels: int = MOST_PIXELS) -> None:
    """Refuse a size that nobody should decode.

    Args:
        size: Width and height.
        max_pixels: Most pixels.

    Raises:
        PictureError: A side is 0 or above MOST_SIDE, or there are too many pixels.
    """
    if len(size) != 2 or min(size) < 1:
        raise PictureError(f"picture has the size {size}; width and height of 1 or more needed")
    if size[0] * size[1] > max_pixels or max(size) > MOST_SIDE:
        raise PictureError(
            f"picture has {size[0]} x {size[1]} pixels; at most {max_pixels}, and {MOST_SIDE} to"
            " a side, are allowed"
        )


def picture_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) as the header of an encoded picture has it; decodes nothing.

    Raises:
        PictureError: The bytes are no picture.
    """
    return _open_header(data).size


def open_picture(data: bytes, max_pixels: int = MOST_PIXELS) -> Image.Image:
    """Open an encoded picture and decode all of it, the size being checked in between.

    Raises:
        PictureError: The bytes are no picture, are truncated, or hold too many pixels.
    """
    image = _open_header(data)
    check_size(image.size, max_pixels)
    try:
        image.load()
    except _DECODE_ERRORS as error:
        raise PictureError(f"{image.format} picture is broken or truncated: {error}") from error
    return image


def _open_header(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(
            f"the {len(data)} bytes are no picture; {', '.join(_FORMATS)} are understood"
        ) from error
    except _DECODE_ERRORS as error:
        raise PictureError(f"picture cannot be opened: {error}") from error


def _rgb(image: Image.Image, honour_orientation: bool) -> UInt8Array:
    try:
        if honour_orientation:
            image = ImageOps.exif_transpose(image)
        if image.mode == "RGB":
            return np.asarray(image)
        if image.mode == "F" or image.mode.startswith("I"):
            return _rgb_array(np.asarray(image), image.width * image.height)
        if image.mode in ("P", "PA"):
            # In one step Pillow warns about a transparency that is dropped here on purpose.
            image = image.convert("RGBA")
        return np.asarray(image.convert("RGB"))
    except PictureError:
        raise
    except _DECODE_ERRORS as error:
        raise PictureError(f"picture of mode {image.mode} has no RGB form: {error}") from error


def _rgb_array(array: npt.NDArray[Any], max_pixels: int) -> UInt8Array:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PictureError(
            f"picture array has shape {array.shape}; (height, width) or"
            " (height, width, 1, 3 or 4) is needed"
        )
    check_size((array.shape[1], array.shape[0]), max_pixels)
    bytes_ = _to_bytes(array[..., :3] if array.ndim == 3 else array)
    return bytes_ if bytes_.ndim == 3 else np.repeat(bytes_[..., None], 3, axis=2)


def _to_bytes(array: npt.NDArray[Any]) -> UInt8Array:
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if kind == "f":
        # A comparison with NaN is false, so NaN is refused here too.
        if not ((array >= 0) & (array <= 1)).all():
            raise PictureError("a float picture has values outside 0 to 1, or NaN")
        return np.asarray(np.rint(array * 255), dtype=np.uint8)
    if kind in "iu" and array.dtype.itemsize >= 2:
        if array.min() < 0 or array.max() > 65535:
            raise PictureError(
                f"an integer picture has values from {array.min()} to {array.max()};"
                " 0 to 65535 is understood, as 16 bit"
            )
        return (array >> 8).astype(np.uint8)
    raise PictureError(f"picture array has dtype {array.dtype}; uint8 is needed")


def _depth(image: Image.Image) -> DepthArray:
    if image.mode == "F" or image.mode.startswith("I"):
        return _depth_array(np.asarray(image))
    if image.mode == "L":
        return np.asarray(image)
    return _depth_array(_rgb(image, honour_orientation=False))


def _depth_array(array: npt.NDArray[Any]) -> DepthArray:
    if array.ndim == 3 and array.shape[2] in (1, 3, 4):
        colour = array[..., 1:3]
        if (colour != array[..., :1]).any():
            raise PictureError(
                "depth picture shows colours; grey is needed (bright is near), not a colour map"
            )
        array = array[..., 0]
    if array.ndim != 2 or not array.size:
        raise PictureError(f"depth has shape {array.shape}; (height, width) is needed")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f":
        # Beyond float32 there is nothing that a sensor measures: infinity means none.
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize >= 2:
        if array.min() < 0 or array.max() > 65535:
            raise PictureError(
                f"depth has integers from {array.min()} to {array.max()}; uint16 is needed"
            )
        return array.astype(np.uint16)
    raise PictureError(f"depth has dtype {array.dtype}; uint8, uint16 or float32 is needed")


def read_npy(data: bytes, max_pixels: int = MOST_PIXELS) -> npt.NDArray[Any]:
    """Return the array of numbers in a `.npy` file, (height, width) or with channels; a view.

    The header is matched and never evaluated, and its size is checked before it is believed.

    Raises:
        PictureError: The bytes are no such file, are truncated, or hold too many pixels.
    """
    # Version 1 has two bytes for the length of the header, version 2 has four.
    start = {b"\x01\x00": 10, b"\x02\x00": 12}.get(data[6:8], 0)
    end = start + int.from_bytes(data[8:start], "little")
    header = _NPY_HEADER.fullmatch(data[start:end]) if end <= _NPY_HEADER_BYTES else None
    if header is None:
        raise PictureError(
            ".npy header is broken, or holds no depth map of numbers, (height, width)"
        )
    shape = tuple(int(side) for side in header["shape"].split(b",") if side.strip())
    dtype = np.dtype(header["dtype"].decode())
    check_size((shape[1], shape[0]), max_pixels)
    count = shape[0] * shape[1] * (shape[2] if len(shape) > 2 else 1)
    if len(data) - end != count * dtype.itemsize:
        raise PictureError(
            f".npy is truncated: {len(data) - end} bytes follow the header,"
            f" {count * dtype.itemsize} are needed"
        )
    order: Literal["F", "C"] = "F" if header["order"] == b"True" else "C"
    return np.frombuffer(data, dtype, count, end).reshape(shape, order=order)
