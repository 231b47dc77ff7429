# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Small pieces of pictures at a fixed scale in metres, in which a target looks alike near and far.

A *sheet* is what a camera saw around an expected place, so many millimetres per element; a *print*
is the target itself on such a sheet. Finding the target is laying the print onto a sheet.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Array
from roborefer_perception.core.types import Mask, RgbdFrame

Plane = npt.NDArray[np.float32]

# One element of a sheet is at least a pixel; a print is at most this large from its middle.
_MOST_HALF = 22
_LEAST_HALF = 6
# The border of the target shows where it ends; it also shows what lies behind, so it counts less.
_RING = 2
_RING_WEIGHT = np.float32(0.3)


@dataclass(frozen=True, eq=False)
class Sheet:
    """What was seen around a place; all arrays have the shape (rows, columns).

    Attributes:
        colour: uint8, with a third axis of 3.
        relief: Depth minus that of the place, metres; 0 where nothing was measured.
        deep: Whether depth was measured.
        inside: Whether the picture reaches there.
        pixel: Column and row in the picture of the middle element.
        zoom: Pixels per element.
    """

    colour: npt.NDArray[np.uint8]
    relief: Plane
    deep: Mask
    inside: Mask
    pixel: tuple[float, float]
    zoom: float

    @property
    def middle(self) -> tuple[int, int]:
        """Column and row of the middle element."""
        rows, columns = self.relief.shape
        return columns // 2, rows // 2

    def pixel_of(self, x: float, y: float) -> tuple[float, float]:
        """Pixel of the picture at a column and row of this sheet."""
        left, top = self.middle
        return (
            self.pixel[0] + (x - left) * self.zoom,
            self.pixel[1] + (y - top) * self.zoom,
        )


@dataclass(frozen=True, eq=False)
class Print:
    """How a target looks; arrays of the shape (rows, columns), the target in the middle.

    Attributes:
        sheet: What was seen there.
        weight: 1 on the target, less just around it, else 0; float32.
        on: The target itself.
        grain_m: Metres per element.
        depth_m: Of the target's point when the print was taken.
        slopes: Change of red, green and blue per element across and down, float32,
            shape (2, rows, columns, 3).
        offsets: Place of every element minus that of the target's point, in the optical frame of
            the picture, metres, float32, shape (rows, columns, 3).
        surface: Relief of the target, also in the holes of what was measured and around it.
        flow: Columns and rows by which elements move per radian when the target turns about the
            axis that it may turn about, float32, shape (rows, columns, 2).
    """

    sheet: Sheet
    weight: Plane
    on: Mask
    grain_m: float
    depth_m: float
    slopes: Plane
    offsets: Plane
    surface: Plane
    flow: Plane


def lay_out(
    frame: RgbdFrame,
    pixel: tuple[float, float],
    depth_m: float,
    zoom: float,
    half: tuple[int, int],
) -> Sheet:
    """Cut a sheet out of a picture.

    Args:
        frame: The picture.
        pixel: Column and row of its middle; it may lie outside the picture.
        depth_m: Of the place, metres.
        zoom: Pixels per element.
        half: Columns and rows to either side of the middle.
    """
    size = (2 * half[0] + 1, 2 * half[1] + 1)
    picture, depth, left, top = _crop(frame, pixel, zoom, half)
    shift = (pixel[0] - left - half[0] * zoom, pixel[1] - top - half[1] * zoom)
    way = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    blurred = cv2.blur(picture, (round(zoom),) * 2) if zoom >= 2 and picture.size else picture
    colour = _sample(blurred, way, size, cv2.INTER_LINEAR)
    metres = _sample(depth, way, size, cv2.INTER_NEAREST, -1.0)
    deep = metres > 0
    relief = np.where(deep, metres - np.float32(depth_m), np.float32(0)).astype(np.float32)
    return Sheet(colour.astype(np.uint8), relief, deep, metres >= 0, pixel, zoom)


def take_print(
    frame: RgbdFrame, region: Mask, pixel: tuple[float, float], depth_m: float, most_px: float
) -> Print:
    """Remember how a target looks.

    Args:
        frame: The picture.
        region: The target's pixels, shape of the picture.
        pixel: Column and row of its point.
        depth_m: Of that point, metres.
        most_px: Pixels farther from the point than this are left out.
    """
    rows, columns = np.nonzero(_near(region, pixel, most_px))
    left, top = _near_corner(pixel, most_px)
    across = float(np.abs(columns + left - pixel[0]).max(initial=0.0))
    down = float(np.abs(rows + top - pixel[1]).max(initial=0.0))
    zoom = max(1.0, max(across, down) / _MOST_HALF)
    half = (
        max(_LEAST_HALF, int(np.ceil(across / zoom))) + _RING + 1,
        max(_LEAST_HALF, int(np.ceil(down / zoom))) + _RING + 1,
    )
    sheet = lay_out(frame, pixel, depth_m, zoom, half)
    size = (2 * half[0] + 1, 2 * half[1] + 1)
    way = np.array(
        [[zoom, 0, pixel[0] - half[0] * zoom], [0, zoom, pixel[1] - half[1] * zoom]], float
    )
    on = _sample(region.astype(np.uint8), way, size, cv2.INTER_NEAREST) > 0
    if not on.any():
        # A point whose surroundings are not known is followed by a small patch around it.
        on[half[1] - 2 : half[1] + 3, half[0] - 2 : half[0] + 3] = True
    wide = cv2.dilate(on.astype(np.uint8), np.ones((2 * _RING + 1,) * 2, np.uint8)) > 0
    weight = np.where(on, np.float32(1), np.where(wide, _RING_WEIGHT, np.float32(0)))
    weight = (weight * sheet.inside).astype(np.float32)
    grain = zoom * depth_m / frame.camera.fx
    surface = _filled(sheet.relief, on & sheet.deep)
    return Print(
        sheet, weight, on & sheet.inside, grain, depth_m, slopes_of(sheet.colour),
        _offsets(frame, sheet, surface, pixel, depth_m), surface,
        np.zeros((*on.shape, 2), np.float32),
    )  # fmt: skip


def slopes_of(colour: npt.NDArray[np.uint8]) -> Plane:
    """Change of each colour per element across and down, shape (2, rows, columns, 3)."""
    smooth = cv2.GaussianBlur(colour, (3, 3), 0).astype(np.float32)
    return np.stack(
        [cv2.Sobel(smooth, cv2.CV_32F, *way, ksize=1, scale=0.5) for way in ((1, 0), (0, 1))]
    ).astype(np.float32)


def _filled(relief: Plane, known: Mask) -> Plane:
    """Put the mean of the nearest that is known where nothing is."""
    share = known.astype(np.float32)
    relief = relief * share
    for size in (3, 7, 15, 31):
        count = cv2.blur(share, (size, size))
        mean = cv2.blur(relief, (size, size)) / np.maximum(count, 1e-6)
        hole = (share == 0) & (count > 1e-6)
        relief = np.where(hole, mean, relief).astype(np.float32)
        share = np.where(hole, np.float32(1), share)
    return relief


def _offsets(
    frame: RgbdFrame, sheet: Sheet, surface: Plane, pixel: tuple[float, float], depth_m: float
) -> Plane:
    shape = surface.shape
    columns, rows = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    left, top = sheet.middle
    u, v = pixel[0] + (columns - left) * sheet.zoom, pixel[1] + (rows - top) * sheet.zoom
    rays = frame.camera.rays(np.stack([u.ravel(), v.ravel()], axis=-1)).reshape(*shape, 2)
    points = np.concatenate([rays, np.ones((*shape, 1))], axis=-1)
    points *= (depth_m + surface)[..., None]
    offsets: Plane = (points - depth_m * np.append(frame.camera.rays([pixel])[0], 1.0)).astype(
        np.float32
    )
    return offsets


def match(
    target: Print, sheet: Sheet, colour_sigma: float, relief_sigma_m: float, most_relief_m: float
) -> Plane:
    """Lay a print onto every place of a sheet.

    What is much nearer than the target hides it: such elements count neither for nor against.

    Args:
        target: The print; not larger than the sheet.
        sheet: Of the same grain.
        colour_sigma: Levels of red, green and blue that are one step of difference.
        relief_sigma_m: Depth that is one step of difference.
        most_relief_m: Depths that differ by more from the place are taken for this different.

    Returns:
        Mean squared difference in steps, shape (rows of sheet - rows of print + 1, columns alike);
        infinite where less than a quarter of the print can be seen.
    """
    known = target.sheet
    front = float(target.surface[target.on].min(initial=0.0)) - most_relief_m
    seen = sheet.inside & ~(sheet.deep & (sheet.relief < front))
    mean = known.colour[target.on].mean(axis=0) if target.on.any() else np.zeros(3)
    there = _features(sheet, mean, colour_sigma, relief_sigma_m, most_relief_m)
    here = _features(known, mean, colour_sigma, relief_sigma_m, most_relief_m)
    total = np.zeros(0, np.float32)
    count = _correlate(seen.astype(np.float32), target.weight)
    for part, both in ((slice(0, 3), None), (slice(3, 4), (sheet.deep, known.deep))):
        mask = (seen if both is None else seen & both[0]).astype(np.float32)
        weight = target.weight if both is None else target.weight * both[1]
        a, b = there[..., part], here[..., part]
        squared = _correlate((a * a).sum(axis=-1) * mask, weight)
        squared += _correlate(mask, (b * b).sum(axis=-1) * weight)
        squared -= 2 * _correlate(a * mask[..., None], b * weight[..., None])
        total = squared if both is None else total + squared
    enough = count > 0.25 * target.weight.sum()
    mean_square = np.maximum(total, 0) / np.maximum(count, 1e-6)
    return np.where(enough, mean_square, np.inf).astype(np.float32)


def halved(sheet: Sheet) -> Sheet:
    """Return every second element; the middle stays in the middle."""
    left, top = sheet.middle
    pick = np.ix_(
        np.arange(top % 2, sheet.relief.shape[0], 2), np.arange(left % 2, sheet.relief.shape[1], 2)
    )
    colour = np.asarray(cv2.blur(sheet.colour, (2, 2)), np.uint8)[pick]
    return Sheet(
        colour, sheet.relief[pick], sheet.deep[pick], sheet.inside[pick], sheet.pixel,
        2 * sheet.zoom,
    )  # fmt: skip


def _features(
    sheet: Sheet, mean: Array, colour_sigma: float, relief_sigma_m: float, most_relief_m: float
) -> Plane:
    features = np.empty((*sheet.relief.shape, 4), np.float32)
    # Numbers near zero keep the differences of large sums exact.
    features[..., :3] = (sheet.colour - mean.astype(np.float32)) / np.float32(colour_sigma)
    features[..., 3] = np.clip(sheet.relief, -most_relief_m, most_relief_m) / relief_sigma_m
    return features


def _correlate(picture: Plane, kernel: Plane) -> Plane:
    found: Plane = cv2.matchTemplate(
        np.ascontiguousarray(picture, np.float32),
        np.ascontiguousarray(kernel, np.float32),
        cv2.TM_CCORR,
    ).astype(np.float32, copy=False)
    return found


def _crop(
    frame: RgbdFrame, pixel: tuple[float, float], zoom: float, half: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], Plane, int, int]:
    """Cut out what is needed, so that the cost does not depend on the size of the picture."""
    height, width = frame.depth_m.shape
    margin = 2 * zoom + 2
    left = int(np.clip(pixel[0] - half[0] * zoom - margin, 0, width - 1))
    right = int(np.clip(pixel[0] + half[0] * zoom + margin + 1, left + 1, width))
    top = int(np.clip(pixel[1] - half[1] * zoom - margin, 0, height - 1))
    bottom = int(np.clip(pixel[1] + half[1] * zoom + margin + 1, top + 1, height))
    window = np.s_[top:bottom, left:right]
    return frame.rgb[window], frame.depth_m[window], left, top


def _sample(
    picture: npt.NDArray[np.generic],
    way: Array,
    size: tuple[int, int],
    how: int,
    beyond: float = 0,
) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = np.asarray(
        cv2.warpAffine(
            np.ascontiguousarray(picture), way, size, flags=how | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(beyond,) * 3,
        )
    )  # fmt: skip
    return found


def _near_corner(pixel: tuple[float, float], most_px: float) -> tuple[int, int]:
    return max(0, int(pixel[0] - most_px)), max(0, int(pixel[1] - most_px))


def _near(region: Mask, pixel: tuple[float, float], most_px: float) -> Mask:
    left, top = _near_corner(pixel, most_px)
    return region[top : int(pixel[1] + most_px) + 1, left : int(pixel[0] + most_px) + 1]
