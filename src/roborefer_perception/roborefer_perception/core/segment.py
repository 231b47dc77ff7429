# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells apart what lies around a pixel: readings that lie, the support, and the things on it.

Everything works in a window around the pixel, on the inverse depth q (see noise.py).

- *Flying* readings lie between a near and a far surface and belong to neither.
- The *support* is the plane that most of the surroundings lie on and nothing lies behind.
- *Things* rise above the support; where two things hide each other, a jump of depth parts them.
- Without a support, surfaces are parted by jumps alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.core.noise import DepthNoise
from roborefer_perception.core.surface import fit_plane
from roborefer_perception.core.types import Mask

Image = npt.NDArray[np.float32]

_GUESSES = 64
# So many of the best guesses are refined, from readings within so many tolerances.
_REFINED = 3
_LOOSE = 2.5
# Holes are filled where more than this share of the readings around is there.
_LEAST_SHARE = 0.07
# In depth, a support is looked for within so many times the reach of the window.
_SUPPORT_REACH = 1.5
# How far apart the slopes of a crease are compared, and what bend is more than noise.
_CREASE_PX = 4
_CREASE_SIGMAS = 4.0
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class SegmentSettings:
    """What counts as one surface.

    Attributes:
        reach_m: Half the width of the window that is looked at, metres at the pixel's depth.
        most_reach_px: And at most this many pixels.
        steepest: Tangent of the greatest angle between a surface's normal and the viewing ray; a
            larger step of depth from pixel to pixel is a jump.
        rise_m: What rises less than this above the support belongs to it.
        rise_sigmas: The same, in standard deviations of the noise; the larger one counts.
        support_share: Least share of the readings about as far away as the pixel that must lie on
            a plane for it to be a support; and half that share of the window.
        least_px: Smaller specks are no things.
    """

    reach_m: float = 0.15
    most_reach_px: int = 128
    steepest: float = 4.0
    rise_m: float = 0.004
    rise_sigmas: float = 2.0
    support_share: float = 0.12
    least_px: int = 12


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a depth picture, and what lies where in it.

    Attributes:
        left: First column of the window in the picture.
        top: First row of it.
        q: Inverse depth, 1/m, shape (rows, columns); 0 where nothing was measured.
        rays: x / z and y / z, shape (rows, columns, 2).
        sigma: Standard deviation of q, 1/m.
        good: Measured, and not flying.
        plane: m of the support m . X = 1, shape (3,); None: there is none.
        on_support: Pixels on the support; small holes belong to what surrounds them.
        things: Number of the thing at each pixel from 1; 0 where there is none.
    """

    left: int
    top: int
    q: Image
    rays: Image
    sigma: float
    good: Mask
    plane: Array | None
    on_support: Mask
    things: npt.NDArray[np.int32]

    @cached_property
    def height_m(self) -> Image:
        """Above the support, metres; 0 where nothing was measured or there is no support."""
        if self.plane is None:
            return np.zeros_like(self.q)
        return _heights(self.q, self.rays, self.plane)


def look_around(
    depth_m: npt.NDArray[np.float32],
    camera: Camera,
    pixel: tuple[float, float],
    z_m: float,
    noise: DepthNoise,
    settings: SegmentSettings,
) -> Window:
    """Sort the surroundings of a pixel.

    Args:
        depth_m: Metres, shape (height, width); 0 or NaN where nothing was measured.
        camera: Of this picture.
        pixel: u and v.
        z_m: About how far away what lies there is.
        noise: Of the depth camera.
        settings: What counts as one surface.
    """
    reach = int(np.clip(settings.reach_m * camera.fx / z_m, 24, settings.most_reach_px))
    middle_u, middle_v = (int(np.floor(value + 0.5)) for value in pixel)
    left, top = max(0, middle_u - reach), max(0, middle_v - reach)
    part = np.s_[top : middle_v + reach + 1, left : middle_u + reach + 1]
    z = depth_m[part]
    # Comparisons with NaN are false, so this keeps finite and positive readings only.
    valid = (z > 1e-3) & (z < 1e3)
    q = np.where(valid, 1 / np.where(valid, z, 1), 0).astype(np.float32)
    rays = camera.ray_image[part]
    sigma = noise.inverse_sigma(z_m, camera.fx)
    near, far = _extremes(q, valid)
    slant = settings.steepest / camera.fx
    # A reading far from both the nearest and the farthest around it lies on neither.
    edge = (near - far) > 4 * slant * near + 4 * sigma
    own = 1.5 * slant * q + 2 * sigma
    flying = edge & (near - q > own) & (q - far > own)
    good = valid & ~flying
    full, known = _filled(q, good, edge)
    # What lies much nearer or farther than the pixel does not hold up what is there.
    level_with = np.abs(z - z_m) < _SUPPORT_REACH * settings.reach_m
    plane = _support(q, rays, good & level_with, sigma, settings)
    on_support = np.zeros(q.shape, bool)
    rising = known
    if plane is not None:
        on_support, rising = _sort_by_height(full, rays, known, plane, z_m, sigma, settings)
    things = _pieces(full, rising, slant, sigma, settings.least_px)
    return Window(left, top, q, rays, sigma, good, plane, on_support, things)


def _extremes(q: Image, valid: Mask) -> tuple[Image, Image]:
    """Largest and smallest q of the 5 x 5 pixels around each."""
    square = np.ones((5, 5), np.uint8)
    near = cv2.dilate(q, square)
    far = cv2.erode(np.where(valid, q, np.float32(1e6)), square)
    return near.astype(np.float32), np.minimum(far, near).astype(np.float32)


def _filled(q: Image, good: Mask, edge: Mask) -> tuple[Image, Mask]:
    """Q, and the means of the readings around in small holes within one surface."""
    share = cv2.blur(good.astype(np.float32), (5, 5))
    mean = cv2.blur(np.where(good, q, np.float32(0)), (5, 5)) / np.maximum(share, 1e-3)
    filled = ~good & ~edge & (share > _LEAST_SHARE)
    return np.where(filled, mean, q), good | filled


def _heights(q: Image, rays: Image, plane: Array) -> Image:
    on_plane = rays @ plane[:2].astype(np.float32) + np.float32(plane[2])
    rise = 1 - on_plane / np.where(q > 0, q, 1)
    return np.where(q > 0, rise / np.float32(np.linalg.norm(plane)), 0).astype(np.float32)


def _support(
    q: Image, rays: Image, good: Mask, sigma: float, settings: SegmentSettings
) -> Array | None:
    """Find the plane that much of the window lies on and little lies closely behind."""
    step = max(1, int(np.sqrt(good.size / 700)))
    chosen = good[::step, ::step]
    points = np.c_[rays[::step, ::step][chosen], np.ones(int(chosen.sum()))].astype(np.float64)
    values = q[::step, ::step][chosen].astype(np.float64)
    if len(values) < 30:
        return None
    # The same picture must always give the same place.
    rng = np.random.default_rng(len(values))
    triples = rng.integers(len(values), size=(_GUESSES, 3))
    corners = points[triples]
    proper = np.abs(np.linalg.det(corners)) > 1e-5
    if not proper.any():
        return None
    planes = np.linalg.solve(corners[proper], values[triples[proper]][..., None])[..., 0]
    tolerance = max(2.5 * sigma, 0.75 * settings.rise_m * float(np.median(values)) ** 2)
    # Three readings make a poor plane, which many more make a good one.
    rough = _score(points, values, planes, _LOOSE * tolerance)
    best = np.argsort(rough)[-_REFINED:]
    refined = np.array(
        [
            fit_plane(points[:, :2], values, (_LOOSE * tolerance, tolerance), plane)
            for plane in planes[best]
        ]
    )
    plane: Array = refined[int(np.argmax(_score(points, values, refined, tolerance)))]
    on = np.count_nonzero(np.abs(values - points @ plane) < tolerance)
    # A plane through a lonely thing holds much of it, but little of the window.
    enough = settings.support_share * max(len(values), chosen.size / 2)
    return plane if on >= enough else None


def _score(points: Array, values: Array, planes: Array, tolerance: float) -> Array:
    """How well planes, shape (N, 3), hold what is seen, shape (N,)."""
    # Single precision is enough to count, and quicker.
    off = values.astype(np.float32) - planes.astype(np.float32) @ points.T.astype(np.float32)
    on = np.count_nonzero(np.abs(off) < tolerance, axis=1)
    # What lies behind a plane, but not far, shows that it is the side of a thing.
    far = (-0.3 * values).astype(np.float32)
    behind = np.count_nonzero((off < -2 * tolerance) & (off > far), axis=1)
    return np.asarray(on - 0.7 * behind)


def _sort_by_height(
    q: Image,
    rays: Image,
    good: Mask,
    plane: Array,
    z_m: float,
    sigma: float,
    settings: SegmentSettings,
) -> tuple[Mask, Mask]:
    """Readings on the support and readings that rise above it or lie behind it."""
    height = _heights(q, rays, plane)
    share = cv2.blur(good.astype(np.float32), (3, 3))
    smooth = cv2.blur(np.where(good, height, 0).astype(np.float32), (3, 3))
    height = np.where(good, smooth / np.maximum(share, 1e-3), 0)
    # Height is measured across the support, noise along the ray.
    across = 1 / max(z_m * float(np.linalg.norm(plane)), 1e-6)
    low = max(settings.rise_m, settings.rise_sigmas * sigma * z_m**2 * min(across, 1.0))
    on_support = good & (np.abs(height) <= low)
    return on_support, good & ~on_support


def _pieces(
    q: Image, inside: Mask, slant: float, sigma: float, least_px: int
) -> npt.NDArray[np.int32]:
    """Number connected readings; a jump of depth parts them."""
    near = cv2.dilate(np.where(inside, q, 0).astype(np.float32), _SQUARE)
    jump = near - q > 2 * slant * near + 3 * sigma
    crease = _creases(q, inside, sigma) & ~jump
    whole = (inside & ~jump & ~crease).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(whole, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < least_px
    small[0] = True
    keep = np.where(small, 0, np.arange(len(stats)))
    pieces = keep[labels].astype(np.int16)
    # The pixels of a crease go to the things beside it.
    for _ in range(_CREASE_PX):
        grown = cv2.dilate(pieces, _SQUARE)
        pieces = np.where((pieces == 0) & crease, grown, pieces)
    numbers: npt.NDArray[np.int32] = pieces.astype(np.int32)
    return numbers


def _creases(q: Image, inside: Mask, sigma: float) -> Mask:
    """Where two surfaces meet like table and wall, as things that touch do.

    The q of any convex body is a concave function over the rays, so a q that bends the other way
    by more than noise is where another body begins.
    """
    share = cv2.blur(inside.astype(np.float32), (5, 5))
    smooth = cv2.blur(np.where(inside, q, np.float32(0)), (5, 5)) / np.maximum(share, 1e-3)
    step, least = _CREASE_PX, _CREASE_SIGMAS * sigma
    found = np.zeros(q.shape, bool)
    for axis in (0, 1):
        ahead, middle, behind = (
            tuple(slice(low, high) if a == axis else slice(None) for a in (0, 1))
            for low, high in ((2 * step, None), (step, -step), (0, -2 * step))
        )
        bend = smooth[ahead] + smooth[behind] - 2 * smooth[middle]
        known = inside[ahead] & inside[behind] & inside[middle]
        found[middle] |= known & (bend > least)
    return found
