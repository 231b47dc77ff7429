# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_perception.core.annotate import Mark, annotate
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.types import Kind, Place

W, H = 320, 240
CAMERA = Camera(W, H, 300.0, 300.0, (W - 1) / 2, (H - 1) / 2)


def picture():
    return np.full((H, W, 3), 90, np.uint8)


def place():
    region = np.zeros((H, W), bool)
    region[100:140, 140:180] = True
    return Place(
        np.array([0, 0, 0.8]), np.diag([1.0, -1, -1]), np.eye(6), np.ones(3), (159.5, 119.5), 0.0,
        region, Kind.OBJECT,
    )  # fmt: skip


def test_the_picture_keeps_its_size_and_the_original_its_pixels():
    rgb = picture()

    drawn = annotate(rgb, CAMERA, [Mark((159.5, 119.5), place())], "the block")

    assert drawn.shape == rgb.shape
    assert drawn.dtype == np.uint8
    assert (rgb == 90).all()
    assert (drawn != 90).any()


def test_the_dot_is_at_the_very_pixel_and_the_outline_around_the_region():
    drawn = annotate(picture(), CAMERA, [Mark((60.0, 70.0), place())], "").astype(int)

    red, green, _ = drawn[70, 60]
    assert red > 200 > green
    red, green, _ = drawn[100, 150]
    assert green > 180 > red
    assert (drawn[200:] == 90).all()


def test_candidates_look_unlike_the_one_that_is_meant():
    meant = annotate(picture(), CAMERA, [Mark((60, 70))], "")
    candidate = annotate(picture(), CAMERA, [Mark((60, 70), number=2)], "")

    assert not (meant == candidate).all()


def test_equal_input_gives_equal_pixels():
    first, second = (
        annotate(picture(), CAMERA, [Mark((60, 70), place(), 1, "mug")], "x", "y")
        for _ in range(2)
    )

    assert (first == second).all()


@pytest.mark.parametrize(
    "words",
    ["", "the mug", "die Tasse für Ömer", "\x00\x1b[31m\n", "红色的杯子", "long words " * 300],
)
def test_any_words_can_be_drawn(words):
    marks = [Mark((-0.5, -0.5), place(), 1, words), Mark((W - 0.6, H - 0.6), None, 2, words)]

    drawn = annotate(picture(), CAMERA, marks, words, words)

    assert drawn.shape == (H, W, 3)


def test_a_normal_towards_the_camera_or_out_of_the_picture_does_no_harm():
    near = place()
    near.point[:] = (0, 0, 0.03)

    annotate(picture(), CAMERA, [Mark((5, 5), near)], "")


def test_a_tiny_picture_can_be_drawn_on():
    camera = Camera(8, 6, 8.0, 8.0, 3.5, 2.5)

    drawn = annotate(np.zeros((6, 8, 3), np.uint8), camera, [Mark((3, 3))], "the mug", "no")

    assert drawn.shape == (6, 8, 3)
