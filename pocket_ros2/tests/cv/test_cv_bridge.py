# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Images to arrays and back."""

from __future__ import annotations

import sys
from array import array

import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import Image
from std_msgs.msg import Header

cv2 = pytest.importorskip("cv2")
BRIDGE = CvBridge()
DRAW = np.random.default_rng(7)


def message(pixels, encoding, *, padding=0, big=False):
    rows = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<"))
    raw = rows.reshape(len(rows), -1).view(np.uint8).reshape(len(rows), -1)
    raw = np.pad(raw, ((0, 0), (0, padding)), constant_values=99)
    return Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        step=raw.shape[1],
        is_bigendian=int(big),
        data=array("B", raw.tobytes()),
    )


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 24])
@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("rgb8", np.uint8, 3),
        ("bgra8", np.uint8, 4),
        ("mono8", np.uint8, 1),
        ("mono16", np.uint16, 1),
        ("rgb16", np.uint16, 3),
        ("8UC1", np.uint8, 1),
        ("8SC2", np.int8, 2),
        ("16UC1", np.uint16, 1),
        ("16SC3", np.int16, 3),
        ("32SC1", np.int32, 1),
        ("32FC1", np.float32, 1),
        ("32FC4", np.float32, 4),
        ("64FC2", np.float64, 2),
        ("bayer_rggb8", np.uint8, 1),
    ],
)
def test_pixels_survive_padding_and_byte_order(encoding, dtype, channels, padding, big):
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    pixels = DRAW.integers(0, 100, shape).astype(dtype)

    seen = BRIDGE.imgmsg_to_cv2(message(pixels, encoding, padding=padding, big=big))

    assert seen.dtype == dtype
    assert seen.dtype.isnative
    np.testing.assert_array_equal(seen, pixels)


@pytest.mark.parametrize("encoding", ["rgb8", "16UC1", "32FC1", "8UC4", "64FC1"])
def test_a_message_read_back_is_the_same_array(encoding):
    dtype, channels = BRIDGE.encoding_to_dtype_with_channels(encoding)
    pixels = DRAW.integers(0, 200, (4, 6, channels)).astype(dtype).squeeze()
    header = Header(frame_id="camera")

    sent = BRIDGE.cv2_to_imgmsg(pixels, encoding, header)

    assert (sent.height, sent.width, sent.encoding) == (4, 6, encoding)
    assert sent.step == 6 * channels * np.dtype(dtype).itemsize
    assert sent.header.frame_id == "camera"
    assert sent.is_bigendian == (sys.byteorder == "big")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(sent), pixels)


def test_passthrough_names_the_numeric_encoding():
    assert BRIDGE.cv2_to_imgmsg(np.zeros((2, 3, 3), np.uint8)).encoding == "8UC3"
    assert BRIDGE.cv2_to_imgmsg(np.zeros((2, 3), np.float32)).encoding == "32FC1"


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        ("rgb8", "bgr8", cv2.COLOR_RGB2BGR),
        ("bgr8", "rgba8", cv2.COLOR_BGR2RGBA),
        ("bgra8", "rgb8", cv2.COLOR_BGRA2RGB),
        ("rgb8", "mono8", cv2.COLOR_RGB2GRAY),
        ("bgra8", "mono8", cv2.COLOR_BGRA2GRAY),
        ("mono8", "bgr8", cv2.COLOR_GRAY2BGR),
        ("mono8", "rgba8", cv2.COLOR_GRAY2RGBA),
        ("rgb16", "bgr16", cv2.COLOR_RGB2BGR),
        ("bayer_rggb8", "bgr8", cv2.COLOR_BayerBG2BGR),
        ("bayer_grbg8", "rgb8", cv2.COLOR_BayerGB2RGB),
        ("yuv422", "bgr8", cv2.COLOR_YUV2BGR_UYVY),
    ],
)
def test_colors_are_converted_as_opencv_does(source, target, code):
    dtype, channels = BRIDGE.encoding_to_dtype_with_channels(source)
    shape = (6, 8) if channels == 1 else (6, 8, channels)
    pixels = DRAW.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)

    seen = BRIDGE.imgmsg_to_cv2(message(pixels, source), target)

    np.testing.assert_array_equal(seen, cv2.cvtColor(pixels, code))


def test_a_bayer_mosaic_of_pure_red_becomes_red():
    pixels = np.zeros((6, 6), np.uint8)
    pixels[::2, ::2] = 255

    seen = BRIDGE.imgmsg_to_cv2(message(pixels, "bayer_rggb8"), "rgb8")

    assert seen[2, 2].tolist() == [255, 0, 0]


def test_depth_between_color_formats_is_scaled():
    pixels = np.array([[0, 257, 65535]], np.uint16)

    assert BRIDGE.imgmsg_to_cv2(message(pixels, "mono16"), "mono8").tolist() == [[0, 1, 255]]


def test_depth_between_number_formats_is_not_scaled():
    pixels = np.array([[0, 1500, 65535]], np.uint16)

    seen = BRIDGE.imgmsg_to_cv2(message(pixels, "16UC1"), "32FC1")

    assert seen.dtype == np.float32
    assert seen.tolist() == [[0.0, 1500.0, 65535.0]]


@pytest.mark.parametrize(
    ("encoding", "desired", "text"),
    [
        ("16UC1", "bgr8", r"\[16UC1\] with 1 channels cannot become \[bgr8\] with 3"),
        ("bgr8", "32FC1", r"\[bgr8\] with 3 channels cannot become \[32FC1\] with 1"),
        ("mono8", "hsv8", r"Unrecognized image encoding \[hsv8\]"),
        ("8UC2", "8UC3", r"\[8UC2\] with 2 channels"),
        ("mono8", "bayer_rggb8", "Unsupported conversion"),
    ],
)
def test_senseless_conversions_are_refused_by_name(encoding, desired, text):
    dtype, channels = BRIDGE.encoding_to_dtype_with_channels(encoding)
    image = message(np.zeros((2, 2, channels), dtype), encoding)

    with pytest.raises(CvBridgeError, match=text):
        BRIDGE.imgmsg_to_cv2(image, desired)


def test_sizes_that_contradict_the_data_are_refused_with_the_numbers():
    image = message(np.zeros((4, 4, 3), np.uint8), "rgb8")
    image.height = 5
    with pytest.raises(CvBridgeError, match=r"5 \* 12 != 48"):
        BRIDGE.imgmsg_to_cv2(image)

    image.width = 9
    with pytest.raises(CvBridgeError, match=r"12 != 9 \* 1 \* 3"):
        BRIDGE.imgmsg_to_cv2(image)


def test_an_encoding_that_the_array_cannot_have_is_refused():
    with pytest.raises(CvBridgeError, match="rgb8, but image has incompatible type 8UC1"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.uint8), "rgb8")
    with pytest.raises(CvBridgeError, match="int64"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.int64))
    with pytest.raises(TypeError):
        BRIDGE.cv2_to_imgmsg([[0]])


def test_png_is_lossless_and_jpeg_is_close():
    pixels = cv2.blur(DRAW.integers(0, 255, (32, 32, 3), np.uint8), (9, 9))

    png = BRIDGE.cv2_to_compressed_imgmsg(pixels, "png")
    jpg = BRIDGE.cv2_to_compressed_imgmsg(pixels)

    assert (png.format, jpg.format) == ("png", "jpg")
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(png), pixels)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(png, "rgb8"), pixels[..., ::-1])
    error = BRIDGE.compressed_imgmsg_to_cv2(jpg).astype(int) - pixels
    assert np.abs(error).mean() < 6


def test_broken_compressed_data_is_refused():
    image = BRIDGE.cv2_to_compressed_imgmsg(np.zeros((4, 4), np.uint8), "png")
    image.data = image.data[:20]

    with pytest.raises(CvBridgeError, match="cannot decode 20 bytes of format 'png'"):
        BRIDGE.compressed_imgmsg_to_cv2(image)
    with pytest.raises(CvBridgeError, match="nonsense"):
        BRIDGE.cv2_to_compressed_imgmsg(np.zeros((4, 4), np.uint8), "nonsense")


def test_plain_conversions_work_without_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    image = message(np.zeros((2, 2, 3), np.uint8), "rgb8")

    assert BRIDGE.imgmsg_to_cv2(image, "mono8").shape == (2, 2)
    with pytest.raises(CvBridgeError, match=r"pip install 'pocket-ros2\[cv\]'"):
        BRIDGE.cv2_to_compressed_imgmsg(np.zeros((2, 2), np.uint8))
