# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_common.core.pictures import RawPicture
from roborefer_perception.core.pictures import decode_color, decode_depth
from roborefer_perception.exceptions import Reason, ReferFailure

W, H = 14, 10
RGB = np.random.default_rng(5).integers(0, 256, (H, W, 3), dtype=np.uint8)
GRAY = np.repeat(RGB[:, :, :1], 3, axis=2)


def picture(values, encoding, padding=0, big_endian=False):
    """A message's picture of some values, with bytes of nonsense behind each row."""
    values = np.ascontiguousarray(values)
    if big_endian:
        values = values.astype(values.dtype.newbyteorder(">"))
    rows = values.reshape(values.shape[0], -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xA5)
    height, width = values.shape[:2]
    return RawPicture(width, height, encoding, rows.shape[1], big_endian, rows.tobytes())


def rgba(alpha=7):
    return np.dstack([RGB, np.full((H, W), alpha, np.uint8)])


COLORS = {
    "rgb8": (RGB, RGB),
    "bgr8": (RGB[:, :, ::-1], RGB),
    "rgba8": (rgba(), RGB),
    "bgra8": (rgba()[:, :, [2, 1, 0, 3]], RGB),
    "mono8": (RGB[:, :, 0], GRAY),
    "rgb16": (RGB.astype(np.uint16) * 257, RGB),
    "bgr16": (RGB[:, :, ::-1].astype(np.uint16) * 257, RGB),
    "mono16": (RGB[:, :, 0].astype(np.uint16) * 257, GRAY),
}


@pytest.mark.parametrize("padding", [0, 2, 6])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", COLORS)
def test_color_of_all_encodings_becomes_the_same_rgb(encoding, big_endian, padding):
    sent, wanted = COLORS[encoding]

    rgb = decode_color(picture(sent, encoding, padding, big_endian))

    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert (rgb == wanted).all()


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv_is_brightness_with_colour_for_pairs_of_pixels(encoding):
    # By BT.601 with the swing of video: y 81, u 90, v 240 is red.
    pair = (90, 81, 240, 81) if encoding in ("yuv422", "uyvy") else (81, 90, 81, 240)
    pixels = np.tile(np.array(pair, np.uint8), (H, W // 2)).reshape(H, W, 2)

    rgb = decode_color(picture(pixels, encoding, padding=4))

    assert np.abs(rgb.astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_mosaic_is_filled_in(pattern):
    color = {"r": 200, "g": 120, "b": 40}
    tile = np.array([color[c] for c in pattern], np.uint8).reshape(2, 2)

    rgb = decode_color(picture(np.tile(tile, (H // 2, W // 2)), f"bayer_{pattern}8"))

    assert (rgb[2:-2, 2:-2] == (200, 120, 40)).all()


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "bayer_grbg8"])
def test_color_agrees_with_cv_bridge(encoding):
    bridge = pytest.importorskip("cv_bridge").CvBridge()
    from sensor_msgs.msg import Image

    channels = {"mono8": 1, "bayer_grbg8": 1}.get(encoding, len(encoding) - 1)
    data = np.random.default_rng(2).integers(0, 256, (H, W, channels), dtype=np.uint8)
    message = Image(width=W, height=H, encoding=encoding, step=W * channels, data=data.tobytes())

    truth = bridge.imgmsg_to_cv2(message, desired_encoding="rgb8")

    assert (decode_color(picture(data, encoding)) == truth).all()


@pytest.mark.parametrize("padding", [0, 4, 6])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_millimetres_become_metres(encoding, big_endian, padding):
    values = np.random.default_rng(3).integers(0, 65536, (H, W), dtype=np.uint16)
    values[0, :3] = 0, 1, 65535

    depth_m = decode_depth(picture(values, encoding, padding, big_endian))

    assert depth_m.dtype == np.float32
    np.testing.assert_allclose(depth_m, values / 1000.0, rtol=1e-6)
    assert depth_m[0, 0] == 0


@pytest.mark.parametrize("padding", [0, 3, 8])
@pytest.mark.parametrize("big_endian", [False, True])
def test_what_is_no_distance_becomes_zero(big_endian, padding):
    values = np.full((H, W), 1.25, np.float32)
    values[0, :6] = np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0

    depth_m = decode_depth(picture(values, "32FC1", padding, big_endian))

    assert (depth_m[0, :6] == 0).all()
    assert not np.signbit(depth_m).any()
    assert (depth_m.ravel()[6:] == np.float32(1.25)).all()


def test_plain_rgb_is_not_copied_and_cannot_be_written_to():
    sent = picture(RGB, "rgb8")

    rgb = decode_color(sent)

    assert np.shares_memory(rgb, np.frombuffer(sent.data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        rgb[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        decode_depth(picture(np.ones((H, W), np.uint16), "16UC1"))[0, 0] = 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"width": 0}, "0 x 10"),
        ({"height": 0}, "14 x 0"),
        ({"width": 0, "height": 0, "step": 0, "data": b""}, "0 x 0"),
        ({"step": 41}, "42"),
        ({"step": 0}, "42"),
        ({"data": b""}, "420 are needed"),
        ({"data": bytes(419)}, "419 bytes"),
        ({"data": bytes(421)}, "421 bytes"),
        ({"width": 2**32 - 1, "height": 2**32 - 1, "step": 2**32 - 1}, "4294967295"),
        ({"height": 2**32 - 1}, "4294967295"),
        ({"encoding": "8UC3"}, "rgb8"),
        ({"encoding": ""}, "''"),
        ({"encoding": "rgba8"}, "56"),
        ({"encoding": "16UC1"}, "'16UC1'"),
    ],
)
def test_color_that_contradicts_itself_is_refused(change, says):
    with pytest.raises(ReferFailure, match=says) as caught:
        decode_color(replace(picture(RGB, "rgb8"), **change))

    assert caught.value.reason is Reason.UNSUPPORTED_IMAGE


@pytest.mark.parametrize("encoding", ["rgb8", "mono8", "64FC1", "32FC3", "16SC1", "32FC"])
def test_depth_of_an_unknown_unit_is_refused(encoding):
    with pytest.raises(ReferFailure, match=r"16UC1.*32FC1") as caught:
        decode_depth(replace(picture(np.ones((H, W), np.uint16), "16UC1"), encoding=encoding))

    assert caught.value.reason is Reason.UNSUPPORTED_IMAGE


def test_yuv_of_odd_width_is_refused():
    with pytest.raises(ReferFailure, match="must be even"):
        decode_color(picture(np.zeros((4, 5, 2), np.uint8), "yuv422"))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 80),
    st.sampled_from([*COLORS, "yuv422", "bayer_rggb8", "16UC1", "32FC1", "nv12"]),
    st.booleans(),
    st.binary(max_size=200),
)
def test_any_header_with_any_data_is_decoded_or_refused(w, h, step, encoding, big, data):
    raw = RawPicture(w, h, encoding, step, big, data)
    for decode, shape in ((decode_color, (h, w, 3)), (decode_depth, (h, w))):
        try:
            assert decode(raw).shape == shape
        except ReferFailure as failure:
            assert failure.reason is Reason.UNSUPPORTED_IMAGE  # noqa: PT017


def test_decoding_at_720p_is_cheap_enough_for_a_camera():
    color = picture(np.zeros((720, 1280, 3), np.uint8), "bgr8")
    depth = picture(np.ones((720, 1280), np.float32), "32FC1")

    begin = process_time()
    for _ in range(5):
        decode_color(color)
        decode_depth(depth)
    each_s = (process_time() - begin) / 5

    # About 5 ms on a free core; the bound is for a machine with much else to do.
    assert each_s < 0.1
