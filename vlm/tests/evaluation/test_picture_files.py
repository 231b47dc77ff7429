# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.model.pictures import decode_picture
from roborefer_vlm.picture_files import (
    Source,
    picture_size,
    read_depth,
    read_gray,
    read_instances,
    read_rgb,
)


def encoded(image: Image.Image, form: str = "PNG", **options) -> Source:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return Source("given", data=buffer.getvalue())


def npy(array: np.ndarray) -> Source:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return Source("given.npy", data=buffer.getvalue())


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claimed(width: int, height: int) -> bytes:
    """A PNG that says how large it is and has almost no data."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_picture_means_the_same_as_over_http():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 7, 0, 255))
    source = encoded(image)

    assert read_rgb(source).tolist() == [[[255, 0, 0], [0, 7, 0]]]
    assert np.array_equal(read_rgb(source), decode_picture(source.data))


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1"])
def test_other_colour_modes_become_rgb(mode):
    form = "TIFF" if mode == "CMYK" else "PNG"
    picture = read_rgb(encoded(Image.new("RGB", (5, 4), "white").convert(mode), form))

    assert (picture.shape, picture.dtype) == ((4, 5, 3), np.uint8)
    assert (picture > 250).all()


def test_orientation_of_a_camera_is_followed_only_when_asked():
    exif = Image.Exif()
    exif[0x0112] = 6
    source = encoded(Image.new("RGB", (6, 4)), "JPEG", exif=exif)

    assert read_rgb(source).shape == (4, 6, 3)
    assert read_rgb(source, upright=True).shape == (6, 4, 3)


def test_depth_picture_is_no_colour_picture():
    with pytest.raises(PictureError, match="holds depth or ids"):
        read_rgb(encoded(Image.fromarray(np.ones((3, 3), np.uint16))))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_mask_is_the_first_channel_above_zero(mode):
    area = np.zeros((4, 6), np.uint8)
    area[1:3, 2:5] = 255
    if mode == "I;16":
        image = Image.fromarray(area.astype(np.uint16))
    else:
        image = Image.fromarray(area).convert(mode)

    assert np.array_equal(read_gray(encoded(image)) > 0, area > 0)


def test_gray_values_of_a_soft_mask_are_kept():
    area = np.arange(12, dtype=np.uint8).reshape(3, 4)

    assert np.array_equal(read_gray(encoded(Image.fromarray(area))), area)


def test_depth_scales_integers_and_keeps_metres():
    units = np.array([[0, 1000], [2500, 65535]], np.uint16)
    metres = np.array([[0.5, np.nan], [np.inf, -1.0]], np.float32)

    assert np.allclose(read_depth(encoded(Image.fromarray(units)), 0.001), [[0, 1], [2.5, 65.535]])
    assert read_depth(npy(metres), None).tolist() == [[0.5, 0], [0, 0]]
    assert read_depth(npy(units), 0.001)[0, 1] == pytest.approx(1.0)


def test_unit_of_integers_is_not_laid_on_metres():
    """A camera file states the unit of its 16 bit pictures; a float map beside them has none."""
    metres = np.array([[0.5, 2.0], [1e300, 0.0]])

    assert read_depth(npy(metres), 0.001).tolist() == [[0.5, 2.0], [0.0, 0.0]]


def test_integer_depth_without_a_unit_is_refused():
    with pytest.raises(PictureError, match=r"no unit; give the metres per step"):
        read_depth(encoded(Image.fromarray(np.ones((3, 3), np.uint16))), None)


@pytest.mark.parametrize(
    "source",
    [
        encoded(Image.new("RGB", (3, 3))),
        encoded(Image.new("L", (3, 3))),
        npy(np.zeros((3, 3, 3), np.float32)),
        npy(np.zeros((3, 3), bool)),
        npy(np.zeros((3, 3), complex)),
    ],
)
def test_what_is_no_metric_depth_is_refused(source):
    with pytest.raises(PictureError, match=r"^given.*: .*(is no metric depth|no depth map)"):
        read_depth(source, 0.001)


def test_pickled_array_is_not_unpickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)

    with pytest.raises(PictureError):
        read_depth(Source("given.npy", data=buffer.getvalue()), None)


def test_ids_of_eight_and_sixteen_bits_are_read_and_colours_are_not():
    ids = np.array([[0, 1], [2, 300]], np.uint16)

    assert read_instances(encoded(Image.fromarray(ids))).tolist() == ids.tolist()
    assert read_instances(encoded(Image.fromarray(ids.astype(np.uint8)))).max() == 44
    with pytest.raises(PictureError, match="no map of ids"):
        read_instances(encoded(Image.new("RGB", (3, 3))))


@pytest.mark.parametrize(
    "header",
    [b"(99999999999,)", b"((((((((((", b"{'descr': '<f4', 'fortran_order': False, 'shape': (9"],
)
def test_npy_with_a_broken_header_is_refused_by_name(header):
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)

    with pytest.raises(PictureError, match=r"^given\.npy: \.npy header is broken"):
        read_depth(Source("given.npy", data=data), None)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("read", [read_rgb, read_gray, read_instances, picture_size])
@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"GIF89a", b"<svg/>", claimed(60_000, 60_000), claimed(10_000, 9_000)),
        # Pillow would hand it to an outside program.
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    ],
)
def test_what_is_no_picture_or_too_large_is_refused_by_name(read, data):
    with pytest.raises(PictureError, match=r"^upload:"):
        read(Source("upload", data=data))


def test_truncated_picture_is_refused():
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise)).data
    assert data is not None

    with pytest.raises(PictureError, match=r"^cut: PNG picture is broken or truncated"):
        read_rgb(Source("cut", data=data[: len(data) // 2]))


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(PictureError, match=r"none\.png: No such file"):
        read_rgb(Source.of(tmp_path / "none.png"))
