# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of the real RGB-D scenes, and how results are compared with it.

All of it is worked out here from the files, by the plain pinhole model, and shares no code with
what it judges.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

SPLITS = ("Location", "Placement", "Unseen")
# The borders of the annotation are good to this many pixels (README of the data).
BORDER_PX = 3
# A step of depth from pixel to pixel that parts surfaces: this, and this share of the depth.
STEP_M, STEP_SHARE = 0.01, 0.01
# Pieces of an instance with less than this share of its readings are stray ones.
PIECE_SHARE = 0.1

Mask = np.ndarray


@dataclass
class Click:
    """A pixel that is asked for, and the surface that is right.

    Attributes:
        group: centre, inside or border of a thing; placement; sentence.
        name: Of the thing, or the sentence.
        pixel: u and v.
        free_space: Whether a support is meant, else a thing.
        mask: What was annotated.
        words: To ask instead of clicking.
    """

    group: str
    name: str
    pixel: tuple[float, float]
    free_space: bool
    mask: Mask
    words: str = ""


@dataclass
class Result:
    """What came of a click; optical frame, metres."""

    click: Click
    refusal: str = ""
    pixel: tuple[float, float] = (0.0, 0.0)
    position: np.ndarray = field(default_factory=lambda: np.full(3, np.nan))
    normal: np.ndarray = field(default_factory=lambda: np.full(3, np.nan))
    distance_m: float = float("nan")
    angle_deg: float = float("nan")
    height_m: float = float("nan")


class Scene:
    """One scene with its annotation."""

    def __init__(self, data: Path, name: str) -> None:
        folder = data / "scenes" / name
        self.name, self._data = name, data
        self.camera: dict[str, Any] = json.loads((folder / "camera.json").read_text())
        self.rgb = cv2.imread(str(folder / "rgb.png"))[:, :, ::-1]
        depth = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED)
        self.depth_m = depth * float(self.camera["depth_scale_m"])
        self._ids = cv2.imread(str(folder / "instances.png"), cv2.IMREAD_GRAYSCALE)
        self._listed = json.loads((folder / "instances.json").read_text())
        plane = self.camera["main_plane_camera"]
        self.up, self.offset_m = np.array(plane["normal"]), float(plane["offset_m"])

    @cached_property
    def points(self) -> np.ndarray:
        """Measured points, shape (height, width, 3)."""
        c = self.camera
        v, u = np.mgrid[: c["height"], : c["width"]]
        rays = [(u - c["cx"]) / c["fx"], (v - c["cy"]) / c["fy"], np.ones(u.shape)]
        return np.stack(rays, axis=-1) * self.depth_m[:, :, None]

    def project(self, point: np.ndarray) -> tuple[int, int]:
        """Whole pixel of a point."""
        c = self.camera
        x, y, z = point
        return round(c["fx"] * x / z + c["cx"]), round(c["fy"] * y / z + c["cy"])

    def things(self) -> Iterator[tuple[str, Mask]]:
        """Yield name and mask of everything that was annotated."""
        for one in self._listed:
            yield one["name"], self._ids == one["id"]

    def clicks(self, seed: int, each: int) -> Iterator[Click]:
        """Yield the clicks: for every thing and every place its innermost pixel, and random ones.

        Args:
            seed: Of the random ones.
            each: How many random ones within a thing or place, and how many at its border.
        """
        rng = np.random.default_rng(seed)
        for name, mask in self.things():
            depth_px = _depth_in(mask)
            yield Click("centre", name, _innermost(depth_px), False, mask)
            for group, chosen in (
                ("inside", depth_px > BORDER_PX),
                ("border", mask & (depth_px <= BORDER_PX)),
            ):
                for pixel in _draw(chosen, each, rng):
                    yield Click(group, name, pixel, False, mask)
        for question, mask in self._questions():
            place = question["category"] == "placement"
            middle = _innermost(_depth_in(mask))
            yield Click(
                "sentence", question["object"], middle, place, mask, question["instruction"]
            )
            if place:
                for pixel in [middle, *_draw(mask, each, rng)]:
                    yield Click("placement", question["object"], pixel, True, mask)

    def judge(self, result: Result) -> None:
        """Compare a place with what was measured on the thing, and with the main plane."""
        result.distance_m = float(self._surface(result.click.mask).query(result.position)[0])
        if result.click.free_space:
            cosine = float(np.clip(result.normal @ self.up / np.linalg.norm(self.up), -1, 1))
            result.angle_deg = float(np.degrees(np.arccos(cosine)))
            result.height_m = float(result.position @ self.up + self.offset_m)

    def _questions(self) -> Iterator[tuple[dict[str, Any], Mask]]:
        for split in SPLITS:
            folder = self._data / split
            for one in json.loads((folder / "question.json").read_text(encoding="utf-8")):
                if one["scene"] == self.name:
                    path = str(folder / one["mask_path"])
                    yield one, cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0

    def _surface(self, mask: Mask) -> cKDTree:
        """Measured points of the inner part of a mask, without pieces that are stray.

        Near the border of a mask, readings may be of what lies behind.
        """
        inner = _depth_in(mask) > BORDER_PX
        if inner.sum() < 0.3 * mask.sum():
            inner = mask
        known = inner & (self.depth_m > 0)
        step_m = STEP_M + STEP_SHARE * float(np.median(self.depth_m[known]))
        low = ndimage.minimum_filter(np.where(known, self.depth_m, np.inf), 3)
        smooth = known & (self.depth_m - low < step_m)
        labels, _ = ndimage.label(smooth)
        counts = np.bincount(labels[smooth])
        kept = np.flatnonzero(counts >= PIECE_SHARE * smooth.sum())
        return cKDTree(self.points[smooth & np.isin(labels, kept)])


def scene_names(data: Path) -> list[str]:
    """Names of the scenes, as the player orders them."""
    return sorted(file.parent.name for file in (data / "scenes").glob("*/camera.json"))


def percent(values: Sequence[bool]) -> float:
    """Share of what is true."""
    return 100.0 * float(np.mean(values)) if len(values) else float("nan")


def _depth_in(mask: Mask) -> np.ndarray:
    """How many pixels each pixel lies within a mask; outside the image is outside the mask."""
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def _innermost(depth_px: np.ndarray) -> tuple[float, float]:
    v, u = np.unravel_index(int(depth_px.argmax()), depth_px.shape)
    return float(u), float(v)


def _draw(mask: Mask, count: int, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    pixels = np.argwhere(mask)
    for i in rng.choice(len(pixels), min(count, len(pixels)), replace=False) if count else ():
        yield float(pixels[i][1]), float(pixels[i][0])
