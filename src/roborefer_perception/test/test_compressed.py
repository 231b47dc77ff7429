# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_perception.core.compressed import PackedPicture, unpack_color, unpack_depth
from roborefer_perception.core.rvl import decode_rvl
from roborefer_perception.exceptions import Reason, ReferFailure

W, H = 30, 20
U, V = np.meshgrid(np.arange(W), np.arange(H))
RGB = np.dstack([U * 8, V * 12, U * 4 + V * 6]).astype(np.uint8)
MILLIMETRES = (400 + 30 * U + 7 * V).astype(np.uint16)
MILLIMETRES[3:6, 4:9] = 0
MILLIMETRES[0, 0], MILLIMETRES[-1, -1] = 65535, 0


def packed(pixels, ending):
    return cv2.imencode(ending, pixels)[1].tobytes()


def write_rvl(values):
    """An encoder made after the description of the code, one group at a time."""
    nibbles = []

    def write(number):
        while True:
            rest = number >> 3
            nibbles.append((number & 7) | (8 if rest else 0))
            number = rest
            if not rest:
                return

    flat, at, before = values.ravel().astype(int).tolist(), 0, 0
    while at < len(flat):
        zeros = at
        while zeros < len(flat) and flat[zeros] == 0:
            zeros += 1
        others = zeros
        while others < len(flat) and flat[others] != 0:
            others += 1
        write(zeros - at)
        write(others - zeros)
        for value in flat[zeros:others]:
            # As 16-bit numbers have it, which wrap.
            delta = (value - before + 32768) % 65536 - 32768
            write((delta << 1) ^ (delta >> 31))
            before = value
        at = others
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        sum(n << (28 - 4 * i) for i, n in enumerate(nibbles[j : j + 8]))
        for j in range(0, len(nibbles), 8)
    ]
    return struct.pack(f"<{len(words)}I", *words)


def depth_message(encoding, codec, values, near=0.0, far=0.0):
    head = struct.pack("<iff", 0, near, far)
    size = struct.pack("<II", values.shape[1], values.shape[0])
    body = size + write_rvl(values) if codec == "rvl" else packed(values, ".png")
    return PackedPicture(f"{encoding}; compressedDepth {codec}".rstrip(), head + body)


@pytest.mark.parametrize("form", ["rgb8; png compressed bgr8", "bgr8; png compressed bgr8", "png"])
def test_png_brings_the_very_colours(form):
    rgb = unpack_color(PackedPicture(form, packed(RGB[:, :, ::-1], ".png")))

    assert (rgb == RGB).all()
    assert not rgb.flags.writeable


def test_png_whose_channels_were_not_swapped_says_so():
    rgb = unpack_color(PackedPicture("rgb8; png compressed rgb8", packed(RGB, ".png")))

    assert (rgb == RGB).all()


def test_jpeg_brings_nearly_the_colours():
    message = PackedPicture("rgb8; jpeg compressed bgr8", packed(RGB[:, :, ::-1], ".jpg"))

    rgb = unpack_color(message)

    assert np.abs(rgb.astype(int) - RGB).mean() < 4


def test_gray_jpeg_becomes_three_equal_channels():
    rgb = unpack_color(PackedPicture("mono8; jpeg compressed mono8", packed(RGB[:, :, 0], ".jpg")))

    assert rgb.shape == (H, W, 3)
    assert (rgb[:, :, 0] == rgb[:, :, 2]).all()


def test_orientation_of_a_photograph_does_not_turn_the_picture():
    jpeg = packed(RGB[:, :, ::-1], ".jpg")
    # Orientation 6: to be turned by 90 degrees.
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]

    assert unpack_color(PackedPicture("jpeg", turned)).shape == (H, W, 3)


@pytest.mark.parametrize("codec", ["png", "rvl", ""])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_packed_millimetres_are_exact(encoding, codec):
    depth_m = unpack_depth(depth_message(encoding, codec, MILLIMETRES))

    np.testing.assert_allclose(depth_m, MILLIMETRES / 1000.0, rtol=1e-6)


def test_depth_of_an_old_publisher_is_png():
    message = depth_message("16UC1", "png", MILLIMETRES)

    depth_m = unpack_depth(PackedPicture("16UC1", message.data))

    np.testing.assert_allclose(depth_m, MILLIMETRES / 1000.0, rtol=1e-6)


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_quantised_metres_come_back_as_well_as_the_quantisation_allows(codec):
    depth = np.random.default_rng(1).uniform(0.3, 9.0, (H, W)).astype(np.float32)
    # As compressed_depth_image_transport makes them of its depth_quantization and depth_max.
    near = 100.0 * (100.0 + 1.0)
    far = 1.0 - near / 10.0
    inverse = (near / depth + far).astype(np.uint16)
    inverse[2, 2] = 0

    depth_m = unpack_depth(depth_message("32FC1", codec, inverse, near, far))

    assert depth_m[2, 2] == 0
    step = depth**2 / near
    error = np.abs(depth_m - depth)
    error[2, 2] = 0
    assert (error <= 1.1 * step).all()


@pytest.mark.parametrize("seed", range(4))
def test_rvl_gives_back_what_was_written(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 65536, (17, 23), dtype=np.uint16)
    values[rng.random(values.shape) < 0.25 * seed] = 0

    assert (decode_rvl(write_rvl(values), values.size) == values.ravel()).all()


@pytest.mark.parametrize("value", [0, 900])
@pytest.mark.parametrize("count", [1, 16, 1 << 16])
def test_rvl_of_one_run_only(value, count):
    values = np.full(count, value, np.uint16)

    assert (decode_rvl(write_rvl(values), count) == value).all()


def test_rvl_written_by_the_published_codec_is_read():
    # 0, 0, 1000, 1001, 999, 0, 65535, 1 as compressed_depth_image_transport writes them.
    data = bytes.fromhex("23f38a23f38c8e1200f3ffbf")

    values = decode_rvl(data, 8)

    assert values.tolist() == [0, 0, 1000, 1001, 999, 0, 65535, 1]


def png_head(width, height):
    """A PNG file that only says how large it is."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc + end


def jpeg_head(width, height):
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


JPEG = packed(RGB, ".jpg")
PNG = packed(RGB, ".png")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (b"\x89PNG\r\n\x1a\n", "JPEG or PNG"),
        (b"BM" + bytes(100), "JPEG or PNG"),
        (b"\xff\xd8\xff", "JPEG or PNG"),
        (b"\xff\xd8" + b"\xff" * 500, "JPEG or PNG"),
        (b"\xff\xd8\xff\xe0\x00\x00" + bytes(20), "JPEG or PNG"),
        (png_head(0, 0), "0 x 0"),
        (png_head(2**31 - 1, 2**31 - 1), "2147483647 x 2147483647"),
        (png_head(60_000, 60_000), "60000 x 60000"),
        (jpeg_head(65_535, 65_535), "65535 x 65535"),
        (jpeg_head(0, 0), "0 x 0"),
        (png_head(20, 20), "damaged"),
        (JPEG[: len(JPEG) // 2], "damaged"),
        (PNG[: len(PNG) // 2], "damaged"),
        (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], "damaged"),
    ],
)
def test_file_that_cannot_be_unpacked_is_refused(data, says):
    with pytest.raises(ReferFailure, match=says) as caught:
        unpack_color(PackedPicture("rgb8; jpeg compressed bgr8", data))

    assert caught.value.reason is Reason.UNSUPPORTED_IMAGE


GOOD = depth_message("16UC1", "rvl", MILLIMETRES).data


@pytest.mark.parametrize(
    ("form", "data", "says"),
    [
        ("16UC1; compressedDepth png", b"", "0 bytes"),
        ("16UC1; compressedDepth png", bytes(12), "12 bytes"),
        ("16UC1; compressedDepth png", bytes(12) + packed(RGB, ".png"), "16 bits"),
        ("16UC1; compressedDepth png", bytes(12) + packed(RGB, ".jpg"), "16 bits"),
        ("16UC1; compressedDepth rvl", bytes(15), "3 bytes"),
        ("16UC1; compressedDepth rvl", bytes(12) + struct.pack("<II", 0, 5) + GOOD[20:], "0 x 5"),
        (
            "16UC1; compressedDepth rvl",
            bytes(12) + struct.pack("<II", 2**32 - 1, 2**32 - 1) + GOOD[20:],
            "4294967295",
        ),
        ("16UC1; compressedDepth rvl", GOOD[: len(GOOD) // 2], "by rvl"),
        ("16UC1; compressedDepth rvl", GOOD[:20] + b"\xff" * 40, "by rvl"),
        ("16UC1; compressedDepth rvl", GOOD[:20], "by rvl"),
        ("16UC1; compressedDepth rvl", GOOD[:20] + bytes(4000), "run is empty"),
        ("16UC1; compressedDepth zip", GOOD, "'zip'"),
        ("rgb8; jpeg compressed bgr8", GOOD, "compressedDepth png"),
        ("", GOOD, "compressedDepth png"),
        ("64FC1; compressedDepth png", GOOD, "64FC1"),
    ],
)
def test_depth_that_cannot_be_unpacked_is_refused(form, data, says):
    with pytest.raises(ReferFailure, match=says) as caught:
        unpack_depth(PackedPicture(form, data))

    assert caught.value.reason is Reason.UNSUPPORTED_IMAGE


@pytest.mark.parametrize(("near", "far"), [(np.nan, 1.0), (1.0, np.inf), (0.0, 1.0), (-5.0, 0.0)])
def test_quantisation_that_means_nothing_is_refused(near, far):
    with pytest.raises(ReferFailure, match="quantised"):
        unpack_depth(depth_message("32FC1", "png", MILLIMETRES, near, far))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from([JPEG, PNG, GOOD]), st.integers(0, 10**6), st.binary(max_size=12))
def test_damage_anywhere_is_survived(data, at, nonsense):
    at %= len(data)
    damaged = data[:at] + nonsense + data[at + len(nonsense) :]
    for unpack, form in (
        (unpack_color, "rgb8; jpeg compressed bgr8"),
        (unpack_depth, "16UC1; compressedDepth rvl"),
        (unpack_depth, "32FC1; compressedDepth png"),
    ):
        try:
            assert unpack(PackedPicture(form, damaged)).size
        except ReferFailure as failure:
            assert failure.reason is Reason.UNSUPPORTED_IMAGE  # noqa: PT017
