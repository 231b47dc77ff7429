# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as numpy arrays, and back; numpy is enough but for mosaics and compressed images."""

from __future__ import annotations

import array
import re
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

_DEPTHS = dict(
    zip(
        ("8U", "8S", "16U", "16S", "32S", "32F", "64F"),
        ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64"),
        strict=True,
    )
)
_COLOR = re.compile(
    r"(mono|rgb|bgr|rgba|bgra)(8|16)|(bayer)_(rggb|bggr|gbrg|grbg)(8|16)|(yuv422)(?:_yuy2)?"
)
# OpenCV names a mosaic by the second row and column.
_MOSAICS = {"rggb": "BayerBG", "bggr": "BayerRG", "gbrg": "BayerGR", "grbg": "BayerGB"}


class CvBridgeError(TypeError):
    """An image cannot be converted."""


class CvBridge:
    """Converts between sensor_msgs images and arrays of shape (rows, columns[, channels])."""

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return the numpy type name and the number of channels of an encoding.

        Raises:
            CvBridgeError: There is no such encoding.
        """
        numeric = re.fullmatch(r"(8U|8S|16U|16S|32S|32F|64F)C(\d*)", encoding)
        if numeric:
            return _DEPTHS[numeric[1]], int(numeric[2] or 1)
        color = _COLOR.fullmatch(encoding)
        if color is None:
            raise CvBridgeError(f"Unrecognized image encoding [{encoding}]")
        family = color[1] or color[3] or color[6]
        channels = {"mono": 1, "bayer": 1, "yuv422": 2}.get(family, len(family))
        return f"uint{color[2] or color[5] or 8}", channels

    def dtype_with_channels_to_cvtype2(self, dtype: Any, n_channels: int) -> str:
        """Return the numeric encoding of an array, for example 8UC3."""
        name = np.dtype(dtype).name
        for depth, candidate in _DEPTHS.items():
            if candidate == name:
                return f"{depth}C{n_channels}"
        raise CvBridgeError(f"no image has pixels of type {name}; valid are {[*_DEPTHS.values()]}")

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> NDArray[Any]:
        """Return the pixels, in native byte order, without padding, as desired_encoding.

        With `passthrough` (or the encoding it has) the array shares memory with the message.

        Raises:
            CvBridgeError: The message contradicts itself, or the conversion makes no sense.
        """
        dtype, channels = self.encoding_to_dtype_with_channels(img_msg.encoding)
        kind = np.dtype(dtype).newbyteorder(">" if img_msg.is_bigendian else "<")
        pixel = kind.itemsize * channels
        height, width, step = img_msg.height, img_msg.width, img_msg.step
        wrong = "Image is wrongly formed:"
        if step < width * pixel:
            numbers = f"{step} != {width} * {kind.itemsize} * {channels}"
            raise CvBridgeError(f"{wrong} step < width * byte_depth * num_channels  or  {numbers}")
        if len(img_msg.data) < height * step:
            numbers = f"{height} * {step} != {len(img_msg.data)}"
            raise CvBridgeError(f"{wrong} height * step != size  or  {numbers}")
        shape: tuple[int, ...] = (height, width)
        strides: tuple[int, ...] = (step, pixel)
        if channels > 1:
            shape, strides = (*shape, channels), (*strides, kind.itemsize)
        image: NDArray[Any] = np.ndarray(shape, kind, img_msg.data, strides=strides)
        if not kind.isnative:
            image = image.astype(kind.newbyteorder("="))
        return self._convert(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(
        self, cvim: NDArray[Any], encoding: str = "passthrough", header: Any = None
    ) -> Image:
        """Return a message with the pixels; the encoding says what they mean, not what to do.

        Raises:
            TypeError: cvim is not an array.
            CvBridgeError: The array cannot have that encoding.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        actual = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding == "passthrough":
            encoding = actual
        named = self.dtype_with_channels_to_cvtype2(
            *self.encoding_to_dtype_with_channels(encoding)
        )
        if named != actual:
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {actual}"
            )
        message = Image(height=cvim.shape[0], width=cvim.shape[1], encoding=encoding)
        if header is not None:
            message.header = header
        message.is_bigendian = int(cvim.dtype.isnative == (sys.byteorder == "big"))
        message.step = cvim.shape[1] * cvim.itemsize * channels
        message.data = array.array("B", cvim.tobytes())
        return message

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> NDArray[Any]:
        """Return the decoded pixels (bgr8 for color), as desired_encoding.

        Raises:
            CvBridgeError: The data is no image, or the conversion makes no sense.
        """
        cv2 = _cv2("compressed images")
        data = np.frombuffer(cmprs_img_msg.data, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
        if image is None:
            form = cmprs_img_msg.format
            raise CvBridgeError(f"cannot decode {len(data)} bytes of format {form!r}")
        family = "mono" if image.ndim < 3 else {3: "bgr", 4: "bgra"}[image.shape[2]]
        return self._convert(image, f"{family}{8 * image.itemsize}", desired_encoding)

    def cv2_to_compressed_imgmsg(
        self, cvim: NDArray[Any], dst_format: str = "jpg"
    ) -> CompressedImage:
        """Return a message with the encoded pixels.

        Raises:
            TypeError: cvim is not an array.
            CvBridgeError: The format is unknown, or cannot hold such pixels.
        """
        cv2 = _cv2("compressed images")
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        try:
            _, data = cv2.imencode(f".{dst_format}", cvim)
        except cv2.error as error:
            raise CvBridgeError(f"cannot encode as {dst_format!r}: {error}") from error
        return CompressedImage(format=dst_format, data=array.array("B", data.tobytes()))

    def _convert(self, image: NDArray[Any], have: str, want: str) -> NDArray[Any]:
        if want in ("passthrough", have):
            return image
        _, have_channels = self.encoding_to_dtype_with_channels(have)
        dtype, want_channels = self.encoding_to_dtype_with_channels(want)
        if not (_COLOR.fullmatch(have) and _COLOR.fullmatch(want)):
            if have_channels != want_channels:
                raise CvBridgeError(
                    f"[{have}] with {have_channels} channels cannot become [{want}] with "
                    f"{want_channels}: one is not a color format. The conversion does not make "
                    "sense"
                )
            return _rescale(image, np.dtype(dtype), 1.0)
        if want.startswith(("bayer", "yuv")):
            raise CvBridgeError(f"Unsupported conversion from [{have}] to [{want}]")
        if have.startswith(("bayer", "yuv")):
            cv2 = _cv2(f"{have} images")
            yuv = "YUV2BGR_YUY2" if have.endswith("yuy2") else "YUV2BGR_UYVY"
            name = f"{_MOSAICS[have[6:10]]}2BGR" if have.startswith("bayer") else yuv
            image = cv2.cvtColor(np.ascontiguousarray(image), getattr(cv2, f"COLOR_{name}"))
            have = "bgr"
        order, wanted = have.rstrip("0168"), want.rstrip("0168")
        if order != wanted:
            image = _reorder(image, order, wanted)
        limit = np.iinfo(image.dtype).max
        return _rescale(image, np.dtype(dtype), np.iinfo(dtype).max / limit)


def _cv2(what: str) -> Any:
    try:
        import cv2
    except ImportError as error:
        raise CvBridgeError(f"{what} need OpenCV: pip install 'pocket-ros2[cv]'") from error
    return cv2


def _rescale(image: NDArray[Any], dtype: np.dtype[Any], factor: float) -> NDArray[Any]:
    if image.dtype == dtype:
        return image
    values = image.astype(np.float64) * factor
    if dtype.kind in "iu":
        values = np.clip(np.rint(values), np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)


def _reorder(image: NDArray[Any], order: str, wanted: str) -> NDArray[Any]:
    if wanted == "mono":
        red, green, blue = (image[..., order.index(c)].astype(np.uint32) for c in "rgb")
        gray = (red * 9798 + green * 19235 + blue * 3735 + 16384) >> 15
        return gray.astype(image.dtype)
    result = np.full((*image.shape[:2], len(wanted)), np.iinfo(image.dtype).max, image.dtype)
    for index, channel in enumerate(wanted):
        if order == "mono" and channel != "a":
            result[..., index] = image
        elif channel in order:
            result[..., index] = image[..., order.index(channel)]
    return result
