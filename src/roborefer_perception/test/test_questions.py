# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A question becomes bytes without loss."""

from __future__ import annotations

import json
from io import BytesIO

import cv2
import numpy as np
import pytest
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.questions import GivenThing, PictureFormat, Question, encode
from roborefer_perception.core.types import Kind
from roborefer_perception.exceptions import Reason, ReferFailure
from roborefer_perception.testing import picture_size

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
DEPTH = RNG.uniform(0.3, 2, (12, 20)).astype(np.float32)


def decoded(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("size", [(12, 20), (1, 1), (480, 640), (3, 70_000)])
def test_png_holds_the_very_pixels(size):
    rgb = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)

    data = encode(Question(rgb, "mug"), PictureFormat.PNG).picture

    assert np.array_equal(decoded(data), rgb)


def test_pictures_that_are_views_of_others_are_taken():
    rgb = RGB[::2, ::-1]

    data = encode(Question(rgb, "mug"), PictureFormat.PNG).picture

    assert np.array_equal(decoded(data), rgb)


def test_jpeg_is_near_to_the_pixels_and_small():
    smooth = cv2.resize(RGB, (640, 480), interpolation=cv2.INTER_LINEAR)

    data = encode(Question(smooth, "mug"), PictureFormat.JPEG).picture

    assert picture_size(data) == (640, 480)
    assert np.abs(decoded(data).astype(int) - smooth).mean() < 3
    assert len(data) < smooth.nbytes / 5


@pytest.mark.parametrize("depth", [DEPTH, DEPTH[::-1, ::-1], DEPTH.copy(order="F")], ids=str)
def test_depth_travels_bit_by_bit(depth):
    data = encode(Question(RGB, "mug", depth)).depth

    assert np.array_equal(np.load(BytesIO(data)), depth)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -1.0])
def test_depth_without_any_measurement_is_left_out(value):
    assert encode(Question(RGB, "mug", np.full_like(DEPTH, value))).depth is None


def test_the_other_fields_are_those_of_the_protocol():
    camera = Camera(20, 12, 30.5, 31.5, 9.25, 5.75)
    mask = np.zeros((12, 20), bool)
    mask[3:5, 4:9] = True
    question = Question(
        RGB, "mug", DEPTH, camera, (0.0, -1.0, 0.0), (GivenThing("mug", mask),),
        Kind.FREE_SPACE, samples=4, seed=7,
    )  # fmt: skip

    request = encode(question).request

    assert request["intrinsics"] == {
        **{"width": 20, "height": 12, "fx": 30.5, "fy": 31.5, "cx": 9.25, "cy": 5.75},
    }
    assert request["up"] == [0.0, -1.0, 0.0]
    assert (request["kind"], request["samples"], request["seed"]) == ("free_space", 4, 7)
    assert request["objects"][0]["name"] == "mug"
    json.dumps(request)


@pytest.mark.parametrize(("left", "sent"), [(0.001, 0.1), (3.5, 3.5), (1e6, 600.0)])
def test_the_deadline_is_one_that_servers_take(left, sent):
    _, body = encode(Question(RGB, "mug")).body(left, False)

    assert json.loads(body.split(b"\r\n\r\n", 2)[1].split(b"\r\n")[0])["deadline_s"] == sent


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"text": ""}, Reason.INVALID_GOAL),
        ({"text": " \n"}, Reason.INVALID_GOAL),
        ({"text": "x" * 4001}, Reason.INVALID_GOAL),
        ({"samples": 0}, Reason.INVALID_GOAL),
        ({"samples": 33}, Reason.INVALID_GOAL),
        ({"temperature": float("nan")}, Reason.INVALID_GOAL),
        ({"up": (0.0, 0.0, 0.0)}, Reason.INTERNAL_ERROR),
        ({"up": (float("nan"), 0.0, 1.0)}, Reason.INTERNAL_ERROR),
        ({"rgb": RGB.astype(np.float32)}, Reason.UNSUPPORTED_IMAGE),
        ({"rgb": RGB[..., 0]}, Reason.UNSUPPORTED_IMAGE),
        ({"rgb": RGB[:0]}, Reason.UNSUPPORTED_IMAGE),
        ({"depth_m": DEPTH[:5]}, Reason.UNSUPPORTED_IMAGE),
        ({"camera": Camera(21, 12, 1, 1, 1, 1)}, Reason.UNSUPPORTED_IMAGE),
        ({"things": (GivenThing("a", np.ones((2, 2), bool)),)}, Reason.UNSUPPORTED_IMAGE),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_asked_is_refused_here(changed, reason):
    with pytest.raises(ReferFailure) as caught:
        Question(**{"rgb": RGB, "text": "mug", **changed})

    assert caught.value.reason is reason


def test_halves_of_surrogate_pairs_are_refused():
    with pytest.raises(ReferFailure) as caught:
        encode(Question(RGB, "mug \ud800"))

    assert caught.value.reason is Reason.INVALID_GOAL
