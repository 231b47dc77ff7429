# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours get the names that people give them, in several lights."""

from __future__ import annotations

import numpy as np
import pytest
from roborefer_vlm.backends.scene_graph.colors import (
    NAMES,
    balanced,
    color_indices,
    color_shares,
)

SWATCHES = {
    "red": [(200, 25, 30), (150, 20, 25)],
    "orange": [(240, 120, 20), (230, 110, 10)],
    "yellow": [(250, 220, 40), (225, 190, 30)],
    "green": [(40, 150, 60), (20, 90, 40), (120, 190, 60)],
    "teal": [(30, 160, 160), (80, 200, 190)],
    "blue": [(30, 80, 190), (20, 40, 110), (70, 140, 230)],
    "purple": [(120, 40, 150), (150, 80, 180)],
    "pink": [(250, 150, 180), (255, 120, 160)],
    "brown": [(110, 65, 35), (90, 55, 40)],
    "beige": [(225, 205, 170), (210, 190, 150)],
    "white": [(245, 245, 245), (235, 235, 230)],
    "gray": [(128, 128, 128), (100, 102, 104)],
    "black": [(15, 15, 15), (30, 28, 32)],
}


def _chart() -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Return a chart of all swatches on grey, and the mask of each with its name."""
    image = np.full((240, 320, 3), 140, np.uint8)
    image[:20] = 250
    masks = []
    cells = [(name, rgb) for name, colors in SWATCHES.items() for rgb in colors]
    for i, (name, rgb) in enumerate(cells):
        row, column = divmod(i, 8)
        mask = np.zeros((240, 320), bool)
        mask[30 + row * 50 : 70 + row * 50, 2 + column * 40 : 34 + column * 40] = True
        image[mask] = rgb
        masks.append((name, mask))
    return image, masks


def _named_right(image: np.ndarray, masks: list[tuple[str, np.ndarray]]) -> float:
    indices = color_indices(balanced(image))
    shares = [(name, color_shares(indices, mask)) for name, mask in masks]
    return float(np.mean([next(iter(share)) == name for name, share in shares]))


def test_every_swatch_gets_its_name():
    image, masks = _chart()

    assert _named_right(image, masks) == 1.0


@pytest.mark.parametrize(
    "light",
    [
        pytest.param((1.0, 0.93, 0.82), id="warm"),
        pytest.param((0.9, 0.97, 1.0), id="cool"),
        pytest.param((0.75, 0.75, 0.75), id="dim"),
    ],
)
def test_most_swatches_keep_their_name_in_another_light(light):
    image, masks = _chart()
    linear = (image / 255.0) ** 2.2 * light
    lit = np.clip(255 * linear ** (1 / 2.2), 0, 255).astype(np.uint8)

    assert _named_right(lit, masks) >= 0.85


@pytest.mark.parametrize("light", [(1.0, 0.9, 0.75), (0.85, 0.95, 1.0)])
def test_white_stays_white_or_beige_in_warm_and_cool_light(light):
    image = np.full((60, 80, 3), 120, np.uint8)
    image[20:40, 20:60] = 240
    lit = np.clip(image * np.array(light) ** (1 / 2.2), 0, 255).astype(np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 20:60] = True

    name = next(iter(color_shares(color_indices(balanced(lit)), mask)))

    assert name in ("white", "beige")


def test_shares_of_a_striped_thing_are_those_of_its_stripes():
    image = np.full((60, 90, 3), 140, np.uint8)
    image[:, :60] = (200, 25, 30)
    image[:, 60:] = (30, 80, 190)

    shares = color_shares(color_indices(image), np.ones((60, 90), bool))

    assert shares["red"] == pytest.approx(2 / 3, abs=0.05)
    assert shares["blue"] == pytest.approx(1 / 3, abs=0.05)
    assert list(shares) == ["red", "blue"]


def test_noise_of_a_dark_picture_brings_up_no_colors():
    random = np.random.default_rng(0)
    image = np.clip(random.normal(20, 6, (120, 160, 3)), 0, 255).astype(np.uint8)

    shares = color_shares(color_indices(image), np.ones((120, 160), bool))

    assert shares["black"] > 0.9


def test_an_empty_mask_has_no_colors():
    assert color_shares(np.zeros((5, 5), np.uint8), np.zeros((5, 5), bool)) == {}


def test_black_and_saturated_pictures_are_finite():
    for value in (0, 255):
        picture = balanced(np.full((20, 20, 3), value, np.uint8))

        assert NAMES[color_indices(picture)[0, 0]] == ("white" if value else "black")
