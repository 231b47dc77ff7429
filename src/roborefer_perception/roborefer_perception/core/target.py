# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Decides what a pixel means: a thing, the support, or the nearest thing that it just missed."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Array
from roborefer_perception.core.noise import DepthNoise
from roborefer_perception.core.segment import SegmentSettings, Window
from roborefer_perception.core.surface import fit_plane
from roborefer_perception.core.types import Kind, Mask
from roborefer_perception.exceptions import Reason, ReferFailure

Pixels = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]

_THINGS = (Kind.OBJECT, Kind.PART)


@dataclass(frozen=True)
class LocateSettings:
    """How a pixel is resolved.

    Attributes:
        noise: Of the depth camera.
        segment: What counts as one surface.
        snap_px: How far a pixel may be moved onto the thing that it just missed, pixels.
        unasked_snap_px: The same for a measured pixel of the support when no kind was asked.
        bridge_px: How far away the readings may be that stand for a hole, pixels.
        fit_m: Radius of the surface that is fitted, metres.
        wide_m: The same where the surface is smooth enough, metres.
        least_fit_px: But at least this many pixels.
        least_readings: Fewer readings cannot support a place.
        worst_sigma_m: A place whose depth is less sure than this is refused, metres.
        curvature_1_m: Standard deviation of curvatures that surfaces have, 1/m.
        level_m: Free space needs so much of the plane around it, metres.
        level_share: And this share of the readings there must lie on the plane.
        level_rad: Greatest angle between free space on a thing and the support of the thing.
    """

    noise: DepthNoise = field(default_factory=DepthNoise)
    segment: SegmentSettings = field(default_factory=SegmentSettings)
    snap_px: float = 8.0
    unasked_snap_px: float = 3.0
    bridge_px: int = 8
    fit_m: float = 0.008
    wide_m: float = 0.018
    least_fit_px: int = 4
    least_readings: int = 8
    worst_sigma_m: float = 0.05
    curvature_1_m: float = 25.0
    level_m: float = 0.03
    level_share: float = 0.75
    level_rad: float = 0.26


@dataclass(frozen=True, eq=False)
class Target:
    """What is meant; pixels count in the window.

    Attributes:
        region: The pixels of the same surface or thing, bridged holes included.
        at: u and v of the place.
        snapped_px: How far that is from where it was asked.
        kind: What lies there.
        level: Whether the surface is a plane, as that of free space is.
    """

    region: Mask
    at: tuple[float, float]
    snapped_px: float
    kind: Kind
    level: bool = False


def choose_thing(
    window: Window, at: tuple[float, float], kind: Kind, settings: LocateSettings
) -> Target:
    """Find the surface that a pixel is on, or the thing that it just missed.

    Raises:
        ReferFailure: NO_VALID_DEPTH, there is none near enough.
    """
    row, column = nearest_index(at, window.q.shape)
    label = int(window.things[row, column])
    standing = window.plane is not None
    found = kind if kind != Kind.UNKNOWN or not standing else Kind.OBJECT
    if label:
        return Target(_bridged(window, window.things == label, settings), at, 0.0, found)
    on_support = bool(window.on_support[row, column])
    spot, distance = _missed(window, at, kind, on_support, settings)
    if spot is not None and on_support and not _is_measured(window, spot, settings):
        spot = None
    if spot is not None:
        region = _bridged(window, window.things == window.things[spot], settings)
        if region[row, column]:
            return Target(region, at, 0.0, found)
        return Target(region, (float(spot[1]), float(spot[0])), distance, found)
    if not on_support and _nearest(window.on_support, at, settings.snap_px)[0] is None:
        _, away = _nearest(window.on_support | (window.things > 0), at, np.inf)
        raise ReferFailure(
            Reason.NO_VALID_DEPTH,
            f"no depth was measured at the pixel, and the nearest surface is {away:.0f} px"
            f" away (allowed: {settings.snap_px:.0f}); choose another point, or look again",
        )
    found = Kind.FREE_SPACE if kind == Kind.UNKNOWN else kind
    return Target(_bridged(window, window.on_support, settings), at, 0.0, found, level=True)


def _is_measured(window: Window, spot: tuple[int, int], settings: LocateSettings) -> bool:
    """Whether a thing has readings at a place; the rim of a hole may look like a thing."""
    readings = window.good & (window.things == window.things[spot])
    near = within(readings, (float(spot[1]), float(spot[0])), settings.bridge_px)
    return len(near[0]) >= settings.least_readings


def choose_free_space(
    window: Window, at: tuple[float, float], level_px: float, settings: LocateSettings
) -> Target:
    """Find the level surface around a pixel.

    Args:
        window: The surroundings.
        at: u and v in the window.
        level_px: Radius of the plane that is needed, pixels.
        settings: How.

    Raises:
        ReferFailure: WRONG_KIND, something stands there that has no level top; NO_VALID_DEPTH, no
            surface was measured there.
    """
    row, column = nearest_index(at, window.q.shape)
    label = int(window.things[row, column])
    if not label and not window.on_support[row, column]:
        # In a hole: what most of the surroundings are.
        counts = np.bincount(window.things[within(window.things > 0, at, level_px)], minlength=1)
        counts[0] = len(within(window.on_support, at, level_px)[0])
        label = int(counts.argmax())
        if counts[label] < settings.least_readings:
            raise ReferFailure(
                Reason.NO_VALID_DEPTH,
                f"only {counts[label]} depth readings within {level_px:.0f} px of the pixel, free"
                f" space needs {settings.least_readings}; choose another point",
            )
    region = window.things == label if label else window.on_support
    if label:
        _check_level(window, within(region, at, level_px), settings)
    hole = within(~window.good, at, level_px)
    vacant = region.copy()
    vacant[hole] = True
    return Target(vacant, at, 0.0, Kind.FREE_SPACE, True)


def _check_level(window: Window, top: Pixels, settings: LocateSettings) -> None:
    """Refuse free space on a thing that has no level top there."""
    rays, q = window.rays[top].astype(float), window.q[top].astype(float)
    design = np.c_[rays, np.ones(len(rays))]
    start: Array = np.linalg.lstsq(design, q, rcond=None)[0]
    tolerance = 2.5 * window.sigma
    plane = fit_plane(rays, q, (tolerance, tolerance), start)
    share = float((np.abs(q - design @ plane) < tolerance).mean())
    tilt = 0.0
    if window.plane is not None:
        cosine = plane @ window.plane / np.linalg.norm(plane) / np.linalg.norm(window.plane)
        tilt = float(np.arccos(np.clip(cosine, -1, 1)))
    if share >= settings.level_share and tilt <= settings.level_rad:
        return
    height = float(np.median(window.height_m[top]))
    raise ReferFailure(
        Reason.WRONG_KIND,
        f"free space was meant, but something stands there: {1000 * height:.0f} mm above its"
        f" surroundings, tilted by {np.degrees(tilt):.0f} degrees, {100 * share:.0f} % of it flat",
    )


def nearest_index(at: tuple[float, float], shape: tuple[int, ...]) -> tuple[int, int]:
    """Row and column of the pixel around a place that is in the picture."""
    row, column = (int(np.floor(value + 0.5)) for value in (at[1], at[0]))
    return min(max(row, 0), shape[0] - 1), min(max(column, 0), shape[1] - 1)


def within(mask: Mask, at: tuple[float, float], radius: float) -> Pixels:
    """Rows and columns of the pixels of a mask within a radius of a place."""
    left, top = (max(0, int(np.ceil(value - radius))) for value in at)
    part = mask[top : int(at[1] + radius) + 1, left : int(at[0] + radius) + 1]
    v, u = np.nonzero(part)
    v, u = v + top, u + left
    inside = (u - at[0]) ** 2 + (v - at[1]) ** 2 <= radius**2
    return v[inside], u[inside]


def _bridged(window: Window, region: Mask, settings: LocateSettings) -> Mask:
    """The region with its small holes, where the region lies on opposite sides of them."""
    kernel = np.ones((2 * settings.bridge_px + 1,) * 2, np.uint8)
    closed = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    bridged: npt.NDArray[np.bool_] = region | (closed & ~window.good)
    return bridged


def _missed(
    window: Window,
    at: tuple[float, float],
    kind: Kind,
    on_support: bool,
    settings: LocateSettings,
) -> tuple[tuple[int, int] | None, float]:
    """Row and column of the thing that a pixel beside it means, and its distance; None: none."""
    things = window.things > 0
    if on_support:
        # A thing that was asked for is near; otherwise only its very edge is more likely meant.
        reach = {Kind.UNKNOWN: settings.unasked_snap_px, Kind.INSIDE: 0.0}
        return _nearest(things, at, reach.get(kind, settings.snap_px))
    nearest = things if kind in _THINGS else things | window.on_support
    spot, distance = _nearest(nearest, at, settings.snap_px)
    if spot is None or not things[spot]:
        return None, distance
    return _foremost(window, at, settings.snap_px)


def _foremost(
    window: Window, at: tuple[float, float], most_px: float
) -> tuple[tuple[int, int] | None, float]:
    """The nearest pixel of the thing in front: a hole at an edge is where its edge was lost."""
    around = within(window.things > 0, at, most_px)
    front = window.things[around][window.q[around].argmax()]
    return _nearest(window.things == front, at, most_px)


def _nearest(
    mask: Mask, at: tuple[float, float], most_px: float
) -> tuple[tuple[int, int] | None, float]:
    """Row and column of the nearest pixel of a mask, and its distance, if that is allowed."""
    if np.isfinite(most_px):
        low_v, low_u = (max(0, int(value - most_px - 1)) for value in (at[1], at[0]))
        part = mask[low_v : int(at[1] + most_px + 2), low_u : int(at[0] + most_px + 2)]
    else:
        low_v = low_u = 0
        part = mask
    v, u = np.nonzero(part)
    if not len(v):
        return None, float("inf")
    distances = np.hypot(u + low_u - at[0], v + low_v - at[1])
    best = int(distances.argmin())
    distance = float(distances[best])
    if distance > most_px:
        return None, distance
    return (int(v[best]) + low_v, int(u[best]) + low_u), distance
