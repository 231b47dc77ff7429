# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a checked request to a query: pictures, depth and masks become arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.model.depth import to_metres
from roborefer_vlm.model.pictures import (
    MOST_SIDE,
    NPY_MAGIC,
    decode_depth,
    decode_picture,
    picture_size,
)
from roborefer_vlm.server.errors import ApiError, ErrorCode, blame
from roborefer_vlm.server.limits import Reservation
from roborefer_vlm.server.schema import DepthIn, InstancesIn, ObjectIn, ReferIn, RunLengthsIn
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.types import (
    BoolArray,
    FloatArray,
    GivenObject,
    Intrinsics,
    Query,
    Sampling,
    UInt8Array,
)

# What Pillow and the copy of its pixels take together, in bytes per pixel.
PICTURE_BYTES = 7
_DEPTH_BYTES = 12
_MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")


def decode_query(request: ReferIn, settings: ServerSettings, memory: Reservation) -> Query:
    """Return the query that a request means.

    Args:
        request: Checked form.
        settings: Limits on pixels and objects.
        memory: Grows before anything is decoded.

    Raises:
        ApiError: INVALID_PICTURE, INVALID_QUERY, TOO_LARGE or BUSY; names the field.
    """
    with blame("image"):
        image = decode_image(request.image, settings, memory)
    size = (image.shape[0], image.shape[1])
    depth_m, relative = None, None
    if request.depth is not None:
        with blame("depth"):
            depth_m, relative = _decode_depth(request.depth, settings, memory)
            if depth_m is not None and depth_m.shape != size:
                raise PictureError(
                    f"depth has {depth_m.shape[1]} x {depth_m.shape[0]} pixels, the image"
                    f" {size[1]} x {size[0]}"
                )
    intrinsics = None
    if request.intrinsics is not None:
        with blame("intrinsics"):
            intrinsics = Intrinsics(**request.intrinsics.model_dump())
    objects = tuple(_objects(request, size, settings, memory))
    up = None if request.up is None else (request.up[0], request.up[1], request.up[2])
    # What is left to check says in its message which field it means.
    return Query(
        image=image,
        text=request.text,
        depth_m=depth_m,
        relative_depth=relative,
        intrinsics=intrinsics,
        up=up,
        objects=objects,
        kind=request.kind,
        sampling=Sampling(request.samples, request.temperature, request.seed),
        max_new_tokens=request.max_new_tokens,
    )


def decode_image(data: bytes, settings: ServerSettings, memory: Reservation) -> UInt8Array:
    """Decode a PNG, JPEG or WebP picture to RGB, (height, width, 3).

    Raises:
        ApiError: TOO_LARGE or BUSY.
        PictureError: It is no such picture, or is broken.
    """
    if not data.startswith(_MAGICS):
        raise PictureError(f"the {len(data)} bytes are no PNG, JPEG or WebP picture")
    reserve_pixels(data, settings, memory)
    return decode_picture(data, settings.max_pixels)


def reserve_pixels(
    data: bytes,
    settings: ServerSettings,
    memory: Reservation,
    bytes_per_pixel: int = PICTURE_BYTES,
) -> None:
    """Reserve what an encoded picture takes when it is decoded; looks at its header only.

    Raises:
        ApiError: TOO_LARGE or BUSY.
        PictureError: It is no picture.
    """
    allowed = f"{settings.max_pixels} in all and {MOST_SIDE} to a side are allowed"
    try:
        width, height = picture_size(data)
    except PictureError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise ApiError(ErrorCode.TOO_LARGE, f"far too many pixels; {allowed}") from error
        raise
    if width * height > settings.max_pixels or max(width, height) > MOST_SIDE:
        raise ApiError(
            ErrorCode.TOO_LARGE, f"the picture has {width} x {height} pixels; {allowed}"
        )
    memory.grow(width * height * bytes_per_pixel)


def _decode_depth(
    request: DepthIn, settings: ServerSettings, memory: Reservation
) -> tuple[FloatArray | None, UInt8Array | None]:
    """Return metric depth, or relative depth, and None for the other."""
    if request.data.startswith(NPY_MAGIC):
        # Up to eight bytes per value come in; four are kept, and its header is still unread.
        memory.grow(2 * len(request.data))
    else:
        reserve_pixels(request.data, settings, memory, _DEPTH_BYTES)
    depth = decode_depth(request.data, settings.max_pixels)
    if request.kind == "relative":
        if depth.dtype != np.uint8:
            raise PictureError(f"depth of kind 'relative' is 8-bit grey, not {depth.dtype}")
        return None, depth.astype(np.uint8, copy=False)
    if depth.dtype == np.uint8:
        raise PictureError(
            "depth of kind 'metric' is a 16-bit grey PNG, a float32 TIFF or .npy, not 8-bit;"
            ' say "kind": "relative" if bright means near'
        )
    metres = to_metres(depth, request.scale_m)
    if not np.isfinite(metres).any():
        raise PictureError("depth has no measured pixel: all are 0, negative, NaN or infinite")
    return metres, None


def _objects(
    request: ReferIn, size: tuple[int, int], settings: ServerSettings, memory: Reservation
) -> Iterator[GivenObject]:
    count = len(request.objects) + (len(request.instances.names) if request.instances else 0)
    if count > settings.max_objects:
        raise ApiError(
            ErrorCode.TOO_LARGE,
            f"{count} objects are given; {settings.max_objects} are allowed",
            field="objects",
        )
    with blame("objects"):
        memory.grow(count * size[0] * size[1])
    for index, given in enumerate(request.objects):
        with blame(f"objects.{index}"):
            mask = _mask(given, size, settings, memory)
            yield GivenObject(given.name, mask, tuple(given.attributes))
    if request.instances is not None:
        with blame("instances"):
            yield from _instances(request.instances, size, settings, memory)


def _mask(
    given: ObjectIn, size: tuple[int, int], settings: ServerSettings, memory: Reservation
) -> BoolArray:
    if given.mask is not None:
        mask = _labels(given.mask, size, settings, memory) > 0
    elif given.box is not None:
        mask = _box_mask(given.box, size)
    else:
        assert given.rle is not None
        mask = _run_length_mask(given.rle, size)
    if not mask.any():
        raise PictureError(f"'{given.name}' has no pixel in the image")
    return mask


def _labels(
    data: bytes, size: tuple[int, int], settings: ServerSettings, memory: Reservation
) -> npt.NDArray[Any]:
    """Decode a grey or 1-bit picture of the image's size; the memory is given back at once."""
    if not data.startswith(_MAGICS[0]):
        raise PictureError(f"the {len(data)} bytes are no PNG")
    width, height = picture_size(data)
    if (height, width) != size:
        raise PictureError(
            f"the mask has {width} x {height} pixels, the image {size[1]} x {size[0]}"
        )
    memory.grow(width * height * PICTURE_BYTES)
    try:
        # A mask is a picture of one channel, as a depth map is; colours are refused.
        return decode_depth(data, settings.max_pixels)
    finally:
        memory.shrink(width * height * PICTURE_BYTES)


def _box_mask(box: Sequence[float], size: tuple[int, int]) -> BoolArray:
    u_min, v_min, u_max, v_max = box
    if u_max < u_min or v_max < v_min:
        raise PictureError(f"box {list(box)} is turned inside out; u_min, v_min, u_max, v_max")
    rows, columns = np.arange(size[0]), np.arange(size[1])
    inside_v = (rows >= v_min) & (rows <= v_max)
    inside_u = (columns >= u_min) & (columns <= u_max)
    return np.asarray(inside_v[:, None] & inside_u[None, :])


def _run_length_mask(rle: RunLengthsIn, size: tuple[int, int]) -> BoolArray:
    total = sum(rle.counts)
    if total != size[0] * size[1]:
        raise PictureError(
            f"the run lengths cover {total} pixels, the image has {size[0] * size[1]}"
        )
    belongs = np.arange(len(rle.counts)) % 2 == 1
    flat = np.repeat(belongs, rle.counts)
    return np.ascontiguousarray(flat.reshape(size, order="F"))


def _instances(
    request: InstancesIn, size: tuple[int, int], settings: ServerSettings, memory: Reservation
) -> Iterator[GivenObject]:
    labels = _labels(request.data, size, settings, memory)
    if labels.max() > len(request.names):
        raise PictureError(
            f"the picture has label {labels.max()}, but only {len(request.names)} names are given"
        )
    for label, name in enumerate(request.names, start=1):
        mask = labels == label
        if not mask.any():
            raise PictureError(f"label {label}, '{name}', has no pixel")
        yield GivenObject(name, mask)
