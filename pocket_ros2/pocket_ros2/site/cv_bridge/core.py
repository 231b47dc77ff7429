# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as numpy arrays, and back."""

from __future__ import annotations

import array
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from pocket_ros2.subset import unsupported
from sensor_msgs.msg import CompressedImage, Image

from cv_bridge._color import CvBridgeError, convert, need_cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from std_msgs.msg import Header

_DEPTHS = {
    "8U": "uint8",
    "8S": "int8",
    "16U": "uint16",
    "16S": "int16",
    "32S": "int32",
    "32F": "float32",
    "64F": "float64",
}
_CHANNELS = {"mono": 1, "baye": 1, "yuv4": 2, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}


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
        color = re.fullmatch(
            r"(mono|rgba|bgra|rgb|bgr)(8|16)|(baye)r_(?:rggb|bggr|gbrg|grbg)(8|16)"
            r"|(yuv4)22(?:_yuy2)?",
            encoding,
        )
        if color is None:
            raise CvBridgeError(f"Unrecognized image encoding [{encoding}]")
        family = color[1] or color[3] or color[5]
        return f"uint{color[2] or color[4] or 8}", _CHANNELS[family]

    def dtype_with_channels_to_cvtype2(self, dtype: Any, n_channels: int) -> str:
        """Return the numeric encoding of an array, for example 8UC3."""
        name = np.dtype(dtype).name
        for depth, candidate in _DEPTHS.items():
            if candidate == name:
                return f"{depth}C{n_channels}"
        raise CvBridgeError(f"no image has pixels of type {name}; valid are {[*_DEPTHS.values()]}")

    def encoding_to_cvtype2(self, encoding: str) -> Any:
        raise unsupported("cv_bridge.CvBridge.encoding_to_cvtype2")

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
        if step < width * pixel:
            raise CvBridgeError(
                f"Image is wrongly formed: step < width * byte_depth * num_channels  or  "
                f"{step} != {width} * {kind.itemsize} * {channels}"
            )
        if len(img_msg.data) < height * step:
            raise CvBridgeError(
                f"Image is wrongly formed: height * step != size  or  "
                f"{height} * {step} != {len(img_msg.data)}"
            )
        shape, strides = (height, width), (step, pixel)
        if channels > 1:
            shape, strides = (*shape, channels), (*strides, kind.itemsize)
        image: NDArray[Any] = np.ndarray(shape, kind, img_msg.data, strides=strides)
        if not kind.isnative:
            image = image.astype(kind.newbyteorder("="))
        if desired_encoding in ("passthrough", img_msg.encoding):
            return image
        self.encoding_to_dtype_with_channels(desired_encoding)
        return self._converted(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(
        self, cvim: NDArray[Any], encoding: str = "passthrough", header: Header | None = None
    ) -> Image:
        """Return a message with the pixels; the encoding says what they mean, not what to do.

        Raises:
            TypeError: cvim is not an array.
            CvBridgeError: The array cannot have that encoding.
        """
        if not isinstance(cvim, np.ndarray | np.generic):
            raise TypeError("Your input type is not a numpy array")
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        actual = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding == "passthrough":
            encoding = actual
        elif self.dtype_with_channels_to_cvtype2(
            *self.encoding_to_dtype_with_channels(encoding)
        ) != (actual):
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {actual}"
            )
        message = Image(height=cvim.shape[0], width=cvim.shape[1], encoding=encoding)
        if header is not None:
            message.header = header
        message.is_bigendian = int(
            cvim.dtype.byteorder == ">" or (cvim.dtype.byteorder == "=" and sys.byteorder == "big")
        )
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
        cv2 = need_cv2("compressed images")
        data = np.frombuffer(cmprs_img_msg.data, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
        if image is None:
            raise CvBridgeError(
                f"cannot decode {len(data)} bytes of format {cmprs_img_msg.format!r}"
            )
        if desired_encoding == "passthrough":
            return image
        channels = 1 if image.ndim < 3 else image.shape[2]
        bits = 8 * image.itemsize
        encoding = {1: f"mono{bits}", 3: f"bgr{bits}", 4: f"bgra{bits}"}[channels]
        return self._converted(image, encoding, desired_encoding)

    def cv2_to_compressed_imgmsg(
        self, cvim: NDArray[Any], dst_format: str = "jpg"
    ) -> CompressedImage:
        """Return a message with the encoded pixels.

        Raises:
            TypeError: cvim is not an array.
            CvBridgeError: The format is unknown, or cannot hold such pixels.
        """
        cv2 = need_cv2("compressed images")
        if not isinstance(cvim, np.ndarray | np.generic):
            raise TypeError("Your input type is not a numpy array")
        try:
            done, data = cv2.imencode(f".{dst_format}", cvim)
        except cv2.error as error:
            raise CvBridgeError(f"cannot encode as {dst_format!r}: {error}") from error
        if not done:
            raise CvBridgeError(f"cannot encode an image of {cvim.dtype} as {dst_format!r}")
        return CompressedImage(format=dst_format, data=array.array("B", data.tobytes()))

    def _converted(self, image: NDArray[Any], source: str, target: str) -> NDArray[Any]:
        if source == target:
            return image
        _, have = self.encoding_to_dtype_with_channels(source)
        dtype, want = self.encoding_to_dtype_with_channels(target)
        return convert(image, (source, have), (target, want), np.dtype(dtype))
