# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a pixel to a place that can be trusted.

One depth reading may be a hole, noise, or fly between two surfaces. So the pixel is resolved on
the surface that it belongs to: `locate` sorts the surroundings (segment.py), decides what is
meant (target.py), fits the surface around the ray (surface.py) and says how sure that is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.core.doubt import differentiate, pixel_covariance
from roborefer_perception.core.segment import Window, look_around
from roborefer_perception.core.surface import Surface, fit_surface
from roborefer_perception.core.target import (
    LocateSettings,
    Target,
    choose_free_space,
    choose_thing,
    within,
)
from roborefer_perception.core.types import Kind, Mask, Place
from roborefer_perception.exceptions import Reason, ReferFailure

__all__ = ["Calibration", "LocateSettings", "Posed", "locate", "placed"]

# Free space is a plane; curvatures of it are next to nothing, 1/m.
_LEVEL_CURVATURE = 0.1
# The extent of a region leaves out this share at each end: stray readings sit there.
_EXTENT_SHARE = 0.01
# The wide fit counts when it says the same within so many standard deviations, its readings
# scatter little more than their noise, and most of them count.
_SAME_SIGMAS = 1.5
_AS_WELL = 1.1
_MOST = 0.9
# So many readings are enough for a fit.
_ENOUGH = 150
# And so many to measure a size.
_ENOUGH_FOR_SIZE = 1500
# Errors of depth cameras come in waves some centimetres long. A support is level beyond them, so
# its normal is taken from this much around the place, metres.
_SUPPORT_M = 0.1
_MOSTLY = 0.5


def locate(
    depth_m: npt.NDArray[np.float32],
    camera: Camera,
    pixel: tuple[float, float],
    kind: Kind = Kind.UNKNOWN,
    settings: LocateSettings | None = None,
    pixel_sigma: float = 2.0,
) -> Place:
    """Resolve a pixel on the surface that it belongs to.

    A thing (OBJECT, PART) that the pixel misses by little is snapped to. FREE_SPACE lies on the
    plane around it. UNKNOWN becomes what lies there: FREE_SPACE on a support, else OBJECT; it
    stays UNKNOWN where no support is seen. Only from closely beside a thing is it snapped to.

    Args:
        depth_m: Along the optical axis, metres, shape (height, width) as the camera has it; 0 or
            NaN where nothing was measured.
        camera: Intrinsics of this very picture.
        pixel: u and v; (0, 0) is the centre of the top left pixel.
        kind: What is meant.
        settings: How; the defaults when None.
        pixel_sigma: Standard deviation of u and of v, pixels.

    Returns:
        The place in the optical frame.

    Raises:
        ReferFailure: INVALID_GOAL, the pixel is not in the picture; UNSUPPORTED_IMAGE, depth and
            camera differ in size; NO_VALID_DEPTH, depth cannot support a place; WRONG_KIND, free
            space was meant but a thing stands there.
    """
    settings = settings or LocateSettings()
    _check(depth_m, camera, pixel)
    z = _rough_depth(depth_m, pixel, settings)
    window = look_around(depth_m, camera, pixel, z, settings.noise, settings.segment)
    at = (pixel[0] - window.left, pixel[1] - window.top)
    # Far away the plane that is needed is smaller than a pixel.
    level_px = max(1.0, settings.level_m * camera.fx / z)
    if kind == Kind.FREE_SPACE:
        target = choose_free_space(window, at, level_px, settings)
    else:
        target = choose_thing(window, at, kind, settings)
    pixel = (target.at[0] + window.left, target.at[1] + window.top)
    surface = _fit(window, target, camera.rays([pixel])[0], camera.fx, z, settings)
    sigma_m = float(np.sqrt(surface.covariance[0, 0])) / surface.terms[0] ** 2
    if not 0 < sigma_m <= settings.worst_sigma_m:
        raise ReferFailure(
            Reason.NO_VALID_DEPTH,
            f"the depth at the pixel is only known to {1000 * sigma_m:.0f} mm (allowed:"
            f" {1000 * settings.worst_sigma_m:.0f} mm); come nearer or look from elsewhere",
        )
    jacobian, point, rotation = differentiate(surface)
    covariance = jacobian @ surface.covariance[:3, :3] @ jacobian.T
    covariance += pixel_covariance(window, target, surface, jacobian, at, pixel_sigma)
    region = np.zeros(depth_m.shape, bool)
    rows, columns = target.region.shape
    region[window.top : window.top + rows, window.left : window.left + columns] = target.region
    extent = np.zeros(3) if target.level else _extent(window, target.region, point, rotation)
    return Place(
        point, rotation, covariance, extent, pixel, target.snapped_px, region, target.kind
    )


@dataclass(frozen=True)
class Calibration:
    """How well the camera's pose is known.

    Attributes:
        position_m: Standard deviation of its position along each axis, metres.
        angle_rad: Standard deviation of its rotation about each axis, radians.
    """

    position_m: float = 0.0
    angle_rad: float = 0.0


@dataclass(frozen=True, eq=False)
class Posed:
    """A place in a target frame.

    Attributes:
        position: Metres, shape (3,).
        quaternion: x, y, z, w, shape (4,); z of it is the outward normal.
        covariance: Of x, y, z and rotations about the axes of the target frame, m² and rad²,
            shape (6, 6).
    """

    position: Array
    quaternion: Array
    covariance: Array


def placed(
    place: Place,
    t_target_optical: Array,
    calibration: Calibration = Calibration(),
    spread: Array | None = None,
) -> Posed:
    """Take a place to another frame.

    Args:
        place: In the optical frame.
        t_target_optical: Pose of the optical frame in the target frame, shape (4, 4).
        calibration: How well that pose is known.
        spread: Covariance of the positions of several samples in the optical frame, m², shape
            (3, 3); None for one sample.
    """
    turn = t_target_optical[:3, :3]
    covariance = place.covariance.copy()
    if spread is not None:
        covariance[:3, :3] += spread
    both = np.kron(np.eye(2), turn)
    covariance = both @ covariance @ both.T
    # A small turn w of the camera moves the place by w x lever.
    lever = turn @ place.point
    turning = np.vstack([-_cross(lever), np.eye(3)])
    covariance += calibration.angle_rad**2 * turning @ turning.T
    covariance[:3, :3] += calibration.position_m**2 * np.eye(3)
    return Posed(
        lever + t_target_optical[:3, 3],
        Rotation.from_matrix(turn @ place.rotation).as_quat(),
        (covariance + covariance.T) / 2,
    )


def _check(depth_m: npt.NDArray[np.float32], camera: Camera, pixel: tuple[float, float]) -> None:
    if depth_m.shape != (camera.height, camera.width):
        raise ReferFailure(
            Reason.UNSUPPORTED_IMAGE,
            f"the depth picture has the shape {depth_m.shape}, but the camera takes"
            f" {camera.width} x {camera.height} pixels",
        )
    if not (np.isfinite(pixel).all() and camera.contains(*pixel)):
        raise ReferFailure(
            Reason.INVALID_GOAL,
            f"the pixel ({pixel[0]:.1f}, {pixel[1]:.1f}) is not in the picture of"
            f" {camera.width} x {camera.height}",
        )


def _rough_depth(
    depth_m: npt.NDArray[np.float32], pixel: tuple[float, float], settings: LocateSettings
) -> float:
    """Median depth of the nearest surroundings that have any."""
    u, v = (int(np.floor(value + 0.5)) for value in pixel)
    for radius in (2, settings.bridge_px, 3 * settings.bridge_px):
        part = depth_m[max(0, v - radius) : v + radius + 1, max(0, u - radius) : u + radius + 1]
        known = part[(part > 1e-3) & (part < 1e3)]
        if len(known) >= settings.least_readings:
            return float(np.median(known))
    raise ReferFailure(
        Reason.NO_VALID_DEPTH,
        f"only {len(known)} of {part.size} pixels within {radius} px of ({u}, {v}) have depth, at"
        f" least {settings.least_readings} are needed; choose another point, or look again",
    )


def _fit(
    window: Window,
    target: Target,
    ray: Array,
    focal_px: float,
    z_m: float,
    settings: LocateSettings,
) -> Surface:
    """Fit the surface to the readings of the region around the place.

    A small fit follows the surface best and gives the depth. A wide one gives the better normal,
    where it explains its readings as well and says the same about the place. On the support the
    wide one is wider still, because all of it is known to be one plane.
    """
    metre_px = focal_px / z_m
    if target.level:
        surface = _fit_within(window, target, ray, settings.level_m * metre_px, settings)
        if np.mean(window.on_support[target.region]) < _MOSTLY:
            return surface
        return surface.tilted_as(_fit_within(window, target, ray, _SUPPORT_M * metre_px, settings))
    small_px = max(settings.least_fit_px, settings.fit_m * metre_px)
    surface = _fit_within(window, target, ray, small_px, settings)
    wide_px = settings.wide_m * metre_px
    if wide_px <= small_px:
        return surface
    wide = _fit_within(window, target, ray, wide_px, settings)
    apart = abs(wide.terms[0] - surface.terms[0])
    agrees = apart < _SAME_SIGMAS * surface.covariance[0, 0] ** 0.5
    explains = wide.residual < _AS_WELL * window.sigma and wide.share > _MOST
    return surface.tilted_as(wide) if agrees and explains else surface


def _fit_within(
    window: Window, target: Target, ray: Array, radius: float, settings: LocateSettings
) -> Surface:
    readings = target.region & window.good
    for reach in (radius, radius + settings.bridge_px):
        near = within(readings, target.at, reach)
        count = len(near[0])
        if count >= settings.least_readings:
            break
    else:
        raise ReferFailure(
            Reason.NO_VALID_DEPTH,
            f"only {count} depth readings of the surface within {reach:.0f} px of the pixel, at"
            f" least {settings.least_readings} are needed; choose another point",
        )
    # Readings whose noise is alike tell nothing new, so some of many are enough.
    step = max(1, int((count / _ENOUGH) ** 0.5))
    thin = (near[0] % step == 0) & (near[1] % step == 0)
    if thin.sum() < settings.least_readings:
        step, thin = 1, np.ones(count, bool)
    near = near[0][thin], near[1][thin]
    rays, q = window.rays[near].astype(float), window.q[near].astype(float)
    alike = max(1.0, settings.noise.alike / step**2)
    weights = np.ones(len(q))
    curvature = _LEVEL_CURVATURE
    if not target.level:
        curvature = settings.curvature_1_m
        away = np.linalg.norm(rays - ray, axis=1)
        weights = _connected(q, away, target.kind, window.sigma, settings)
    return fit_surface(rays, q, weights, ray, window.sigma, alike, curvature)


def _connected(q: Array, away: Array, kind: Kind, sigma: float, settings: LocateSettings) -> Array:
    """Weights that leave out readings that no surface through the place could reach."""
    reach = settings.segment.steepest
    nearest = (
        away
        <= np.partition(away, min(len(away) - 1, settings.least_readings))[
            min(len(away) - 1, settings.least_readings)
        ]
    )
    # In a lost edge the nearest readings are of two surfaces; the edge is that of the front one.
    share = 0.5
    if np.ptp(q[nearest]) > reach * float(q[nearest].max() * away[nearest].max()) + 6 * sigma:
        share = 0.15 if kind == Kind.INSIDE else 0.85
    start = float(np.quantile(q[nearest], share))
    weights: Array = (np.abs(q - start) < reach * start * away + 4 * sigma).astype(float)
    return weights


def _extent(window: Window, region: Mask, point: Array, rotation: Array) -> Array:
    """Size of the measured part of a region along the axes of the place, metres, shape (3,)."""
    v, u = np.nonzero(region & window.good)
    some = np.s_[:: max(1, len(v) // _ENOUGH_FOR_SIZE)]
    rays, q = window.rays[v[some], u[some]], window.q[v[some], u[some]].astype(float)
    points = np.c_[rays, np.ones(len(rays))] / q[:, None]
    along = (points - point) @ rotation
    low, high = np.quantile(along, [_EXTENT_SHARE, 1 - _EXTENT_SHARE], axis=0)
    size: Array = high - low
    return size


def _cross(vector: Array) -> Array:
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
