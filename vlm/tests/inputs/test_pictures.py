# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and depth maps of every kind are read as documented, broken ones are refused."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.model.pictures import (
    MOST_SIDE,
    decode_depth,
    decode_picture,
    load_depth,
    load_picture,
    picture_size,
)

RGB = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def npy(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """Return a valid PNG of a few bytes per thousand pixels, all black."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    row = b"\0" * (1 + width // 8)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(row * height, 9))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_the_pixels(kind):
    assert (decode_picture(encode(RGB, kind)) == RGB).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_formats_give_the_size_and_about_the_pixels(kind):
    smooth = np.asarray(Image.fromarray(RGB).resize((64, 48), Image.Resampling.BICUBIC))

    decoded = decode_picture(encode(smooth, kind))

    assert decoded.shape == smooth.shape
    assert np.abs(decoded.astype(int) - smooth).mean() < 20


def test_alpha_is_dropped_and_not_composited():
    alpha = np.dstack([RGB, np.zeros_like(GREY)])

    assert (decode_picture(encode(alpha)) == RGB).all()
    assert (load_picture(alpha) == RGB).all()
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (17, 12), 3)])
    assert (decode_picture(encode(grey_alpha)) == GREY[..., None]).all()


@pytest.mark.filterwarnings("error")
def test_palettes_are_expanded_and_their_transparency_dropped():
    palette = Image.fromarray(RGB).quantize(16)
    wanted = np.asarray(palette.convert("RGB"))

    assert (decode_picture(encode(palette)) == wanted).all()
    assert (decode_picture(encode(palette, transparency=b"\x00\x80\x00")) == wanted).all()


@pytest.mark.parametrize("wide", [np.uint16, np.int32])
def test_sixteen_bits_of_grey_give_the_high_byte(wide):
    values = np.array([[0, 255, 256, 65535]], wide)

    for source in (values, Image.fromarray(values.astype(np.uint16))):
        assert load_picture(source)[0, :, 0].tolist() == [0, 0, 1, 255]


def test_floats_from_0_to_1_give_0_to_255_and_others_are_refused():
    assert load_picture(np.array([[0.0, 0.5, 1.0]]))[0, :, 0].tolist() == [0, 128, 255]
    for bad in (-0.1, 1.1, np.nan):
        with pytest.raises(PictureError, match="0 to 1"):
            load_picture(np.array([[0.0, bad]]))


def test_bits_give_black_and_white():
    bits = Image.fromarray(GREY > 127)

    assert (decode_picture(encode(bits)) == np.where(GREY > 127, 255, 0)[..., None]).all()
    assert (load_picture(GREY > 127) == np.where(GREY > 127, 255, 0)[..., None]).all()


def test_cmyk_becomes_rgb():
    cmyk = Image.new("CMYK", (3, 2), (0, 255, 0, 0))

    assert decode_picture(encode(cmyk, "TIFF"))[0, 0].tolist() == [255, 0, 255]


def test_orientation_is_honoured_on_request_only():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise when shown
    data = encode(RGB, "PNG", exif=exif)

    assert (decode_picture(data) == RGB).all()
    assert (decode_picture(data, honour_orientation=True) == np.rot90(RGB, -1)).all()


def test_paths_bytes_images_and_arrays_are_taken(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(RGB))

    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), encode(RGB), RGB):
        assert (load_picture(source) == RGB).all()
    assert (load_picture(Image.fromarray(RGB)) == RGB).all()
    with pytest.raises(PictureError, match="missing"):
        load_picture(tmp_path / "missing.png")


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2, 2), np.uint8), np.zeros((0, 3), np.uint8), np.zeros((2, 2), np.complex64)],
    ids=["two channels", "no rows", "complex"],
)
def test_arrays_that_are_no_picture_are_refused(array):
    with pytest.raises(PictureError):
        load_picture(array)


@pytest.mark.filterwarnings("ignore:Image size")
def test_a_small_file_with_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    def must_not_decode(*_):
        raise AssertionError("pixels were decoded")

    data = png_bomb(16_000, 8_000)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", must_not_decode)

    assert len(data) < 50_000
    for decode in (decode_picture, decode_depth):
        with pytest.raises(PictureError, match="16000 x 8000"):
            decode(data)


def test_far_more_pixels_than_pillow_itself_allows_are_refused():
    with pytest.raises(PictureError, match=r"exceeds|pixels"):
        decode_picture(png_bomb(60_000, 10_000))


def test_long_thin_pictures_are_refused():
    with pytest.raises(PictureError, match=str(MOST_SIDE)):
        decode_picture(png_bomb(8, MOST_SIDE + 1))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_truncated_files_are_refused(kind, share):
    data = encode(RGB, kind)

    with pytest.raises(PictureError):
        decode_picture(data[: int(len(data) * share)])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_give_a_picture_or_a_typed_error_and_nothing_else():
    draw = random.Random(7)
    files = [encode(RGB, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM")]
    files += [encode(GREY.astype(np.float32), "TIFF"), npy(GREY), npy(GREY.astype(np.float64))]
    refused = 0
    for _ in range(600):
        data = bytearray(draw.choice(files))
        for _ in range(draw.choice((1, 3))):
            data[draw.randrange(min(len(data), draw.choice((70, 5000))))] = draw.randrange(256)
        for decode in (decode_picture, decode_depth):
            try:
                decode(bytes(data), 10_000)
            except PictureError:
                refused += 1
    assert refused > 100


def test_a_program_that_names_itself_a_picture_is_refused():
    with pytest.raises(PictureError, match="no picture"):
        decode_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run")


def test_depth_keeps_its_meaning_by_its_form():
    units = (GREY.astype(np.uint16) * 200).copy()
    metres = GREY.astype(np.float32) / 100

    assert decode_depth(encode(GREY)).dtype == np.uint8
    assert (decode_depth(encode(units)) == units).all()
    assert decode_depth(encode(units)).dtype == np.uint16
    assert (decode_depth(encode(metres, "TIFF")) == metres).all()


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_depth_is_read(dtype, version, order):
    array = np.asarray(GREY.astype(dtype), order=order)

    decoded = decode_depth(npy(array, version=version))

    assert decoded.dtype in (np.uint8, np.uint16, np.float32)
    assert (decoded == GREY).all()


def test_npy_is_neither_unpickled_nor_evaluated():
    objects = npy(np.array([[{}]], dtype=object), allow_pickle=True)
    header = b"{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (1, 1), }\n"
    code = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0"

    for data in (objects, code):
        with pytest.raises(PictureError, match="header"):
            decode_depth(data)


def test_npy_of_another_length_or_too_many_pixels_is_refused():
    with pytest.raises(PictureError, match="truncated"):
        decode_depth(npy(GREY)[:-1])
    huge = npy(np.zeros((1, 1), np.uint8)).replace(b"(1, 1), }      ", b"(9000, 9000), }", 1)
    with pytest.raises(PictureError, match="9000 x 9000"):
        decode_depth(huge)
    with pytest.raises(PictureError, match="at most 100"):
        decode_depth(npy(GREY), 100)


def test_grey_depth_in_three_channels_is_taken_and_a_colour_map_refused():
    three = GREY[..., None].repeat(3, axis=2)

    assert (decode_depth(encode(three)) == GREY).all()
    assert (load_depth(three) == GREY).all()
    with pytest.raises(PictureError, match="colour"):
        decode_depth(encode(RGB))


def test_infinite_and_undefined_metres_are_kept_as_no_measurement():
    metres = np.array([[1.5, np.nan, np.inf, 1e300]])

    loaded = load_depth(metres)

    assert loaded.dtype == np.float32
    assert np.isfinite(loaded).tolist() == [[True, False, False, False]]


def test_the_size_is_told_without_decoding():
    assert picture_size(encode(RGB, "JPEG")) == (17, 12)


def test_reading_and_rendering_need_neither_torch_nor_transformers():
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'fastapi'): sys.modules[name] = None\n"
        "import roborefer_vlm.model.pictures, roborefer_vlm.model.depth\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
