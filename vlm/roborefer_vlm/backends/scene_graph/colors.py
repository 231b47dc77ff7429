# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of colours as people give them, from pixels of uncalibrated cameras.

A picture is first brought to a common light: half of the cast that shades-of-grey sees is taken
out (Finlayson and Trezzi, CIC 2004, p = 6), and a dark exposure is brightened. Half, as a table
that fills the view would else be taken for the light. Then a colour gets its name from lightness,
chroma and hue in CIELAB, by borders on the 11 basic terms of Berlin and Kay, with teal and beige.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from roborefer_vlm.types import BoolArray, UInt8Array

NAMES = (
    "black",
    "gray",
    "white",
    "red",
    "orange",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
    "brown",
    "beige",
)
# A smaller share of a surface is a letter, a glint or a border.
SMALLEST_SHARE = 0.03
# Levels per channel of the table from colours to names.
LEVELS = 32

# Where hues end, in degrees of CIELAB, and the name of a strong colour below that border.
_HUES = (
    (37.0, "red"),
    (67.0, "orange"),
    (103.0, "yellow"),
    (178.0, "green"),
    (222.0, "teal"),
    (307.0, "blue"),
    (341.0, "purple"),
    (351.0, "pink"),
    (360.0, "red"),
)


def balanced(image: UInt8Array) -> UInt8Array:
    """Return the picture, RGB, as it would look in neutral light and at a common exposure."""
    sample = image.reshape(-1, 3)[:: max(1, image.shape[0] * image.shape[1] // 20_000)]
    linear = _linear(np.arange(256) / 255)
    light = linear[sample[(sample < 250).all(1)]] if (sample < 250).all(1).any() else None
    gains = np.ones(3)
    if light is not None:
        cast = np.mean(light**6, axis=0) ** (1 / 6) + 1e-4
        gains = np.clip(np.sqrt(cast.mean() / cast), 0.85, 1.2)
    brightest = float(np.quantile(linear[sample] @ (0.2126, 0.7152, 0.0722), 0.98))
    gains = gains * np.clip(0.6 / max(brightest, 1e-3), 1.0, 1.6)
    curves = np.clip(255 * _encoded(np.clip(linear[:, None] * gains, 0, 1)), 0, 255)
    table = np.round(curves).astype(np.uint8)[:, None, :]
    return np.asarray(cv2.LUT(image, table), np.uint8)


def color_indices(balanced_image: UInt8Array) -> UInt8Array:
    """Return for each pixel the index of its name in NAMES, shape (height, width)."""
    # The noise of a camera in bad light is coloured.
    small = (cv2.medianBlur(balanced_image, 3) // (256 // LEVELS)).astype(np.int32)
    keys = (small[..., 0] * LEVELS + small[..., 1]) * LEVELS + small[..., 2]
    return np.asarray(_table()[keys], np.uint8)


def color_shares(indices: UInt8Array, mask: BoolArray) -> dict[str, float]:
    """Return the share of each colour name among the pixels of a mask, largest first."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    seen = indices[inner] if np.count_nonzero(inner) >= 20 else indices[mask]
    if not len(seen):
        return {}
    counts = np.bincount(seen, minlength=len(NAMES)) / len(seen)
    order = np.argsort(-counts, kind="stable")
    return {NAMES[i]: float(counts[i]) for i in order if counts[i] >= SMALLEST_SHARE}


@lru_cache(maxsize=1)
def _table() -> UInt8Array:
    """Return the index of the name of every coarse RGB colour, shape (LEVELS ** 3,)."""
    steps = (np.arange(LEVELS, dtype=np.float32) + 0.5) / LEVELS
    rgb = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    lab = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2LAB).reshape(-1, 3)
    table = [NAMES.index(_name(float(x), float(a), float(b))) for x, a, b in lab]
    return np.array(table, np.uint8)


def _name(lightness: float, a: float, b: float) -> str:
    """Return the name of a colour in CIELAB."""
    chroma = float(np.hypot(a, b))
    hue = float(np.rad2deg(np.arctan2(b, a)) % 360)
    if lightness < 18 and chroma < 24:
        return "black"
    if chroma < _least_chroma(lightness, hue):
        return "black" if lightness < 29 else "gray" if lightness < 66 else "white"
    name = next(name for border, name in _HUES if hue < border)
    if name == "red":
        pale = lightness > 62 and chroma < 58
        muddy = 15 < hue < 37 and lightness < 42 and chroma < 32
        return "pink" if pale else "brown" if muddy else "red"
    if name == "orange":
        if lightness > 62 and chroma < 32:
            return "beige"
        return "brown" if lightness < 50 or chroma < 38 else "orange"
    if name == "yellow":
        if chroma < 27:
            return "beige" if lightness > 57 else "brown"
        return "brown" if lightness < 42 else "yellow"
    if name == "green" and hue < 125:
        if lightness > 58 and chroma < 23:
            return "beige"
        if hue < 112 and lightness > 78 and chroma > 45:
            return "yellow"
    if name == "purple" and lightness > 72 and hue > 325:
        return "pink"
    return name


def _least_chroma(lightness: float, hue: float) -> float:
    """Return the chroma below which a colour looks neutral to people.

    Bright surfaces in shade or skylight measure bluish and are still called white.
    """
    least = 6.5 + 0.055 * lightness
    if 195 < hue < 315:
        least += 2 + 0.075 * lightness
    return least


def _linear(encoded: np.ndarray) -> np.ndarray:
    """Undo the transfer curve of sRGB (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _encoded(linear: np.ndarray) -> np.ndarray:
    """Apply the transfer curve of sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
