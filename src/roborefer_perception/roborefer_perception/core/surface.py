# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Fits surfaces to inverse depth q = 1 / z over the rays (x, y, 1).

A plane with m . X = 1 is q = m . (x, y, 1), so its outward normal, which faces the camera, is
-m / |m|. Curved surfaces add second-order terms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Array

# Readings further from the fit than this many standard deviations count less and less, then not.
_TUKEY = 4.0
_ROUNDS = 4
# Standard deviation of the slope of q before anything was measured, in units of q: surfaces that
# are seen at more than about 80 degrees give no depth.
_SLOPE = 4.0


@dataclass(frozen=True, eq=False)
class Surface:
    """A smooth surface around one ray.

    Attributes:
        ray: x and y at the middle, shape (2,).
        terms: q and its derivatives q_x, q_y, q_xx, q_xy, q_yy at the ray, shape (6,).
        covariance: Of the terms, shape (6, 6).
        residual: Standard deviation of the readings about the fit, 1/m.
        share: Of the readings, how many count.
    """

    ray: Array
    terms: Array
    covariance: Array
    residual: float
    share: float

    @property
    def plane(self) -> Array:
        """Of the tangent plane m . X = 1: m, shape (3,)."""
        q, across, down = self.terms[:3]
        return np.array([across, down, q - across * self.ray[0] - down * self.ray[1]])

    def tilted_as(self, other: Surface) -> Surface:
        """This surface with the slopes and curvatures of another one around the same ray."""
        terms, covariance = other.terms.copy(), other.covariance.copy()
        terms[0] = self.terms[0]
        covariance[0], covariance[:, 0] = 0.0, 0.0
        covariance[0, 0] = self.covariance[0, 0]
        return replace(self, terms=terms, covariance=covariance)

    def inverse_depth(self, rays: Array) -> Array:
        """Q at rays, shape (N, 2), near the middle; shape (N,)."""
        return _design(rays - self.ray) @ self.terms


def fit_surface(
    rays: Array,
    q: Array,
    weights: Array,
    ray: Array,
    sigma: float,
    alike: float,
    curvature_1_m: float,
) -> Surface:
    """Fit a surface to readings, of which some may be of something else.

    Args:
        rays: x / z and y / z of the readings, shape (N, 2).
        q: Their inverse depths, shape (N,).
        weights: How much each counts, 0 to 1, shape (N,).
        ray: Where the surface is wanted, shape (2,).
        sigma: Standard deviation of one reading, 1/m.
        alike: How many neighbouring readings tell as much as one.
        curvature_1_m: Standard deviation of curvatures that surfaces have, 1/m.

    Returns:
        The surface. What the readings do not determine keeps the wide uncertainty it had before.
    """
    design = _design(rays - ray)
    # Work on terms in units of what they may be, so that the equations are well conditioned.
    middle = float(np.median(q))
    scale = np.array([middle, *2 * (_SLOPE * middle,), *3 * (curvature_1_m,)])
    scaled = design * scale
    spread, kept = sigma, weights
    terms = np.zeros(6)
    terms[0] = middle
    for round_ in range(_ROUNDS):
        precision = scaled.T @ (scaled * (kept / (spread**2 * alike))[:, None])
        precision += np.eye(6)
        right = scaled.T @ (q * kept) / (spread**2 * alike)
        terms = np.linalg.solve(precision, right) * scale
        error = q - design @ terms
        # The first fits see the outliers; a robust spread does not.
        robust = 1.4826 * float(np.median(np.abs(error)))
        spread = max(sigma, robust)
        if round_ < _ROUNDS - 1:
            share = np.clip(1 - (error / (_TUKEY * spread)) ** 2, 0.0, None)
            kept = weights * share**2
    covariance = np.linalg.inv(precision) * np.outer(scale, scale)
    total = float(kept.sum())
    residual = float(np.sqrt((kept * error**2).sum() / max(total, 1e-9)))
    return Surface(
        ray, terms, covariance, residual, float((kept > 0.1).sum() / max((weights > 0.1).sum(), 1))
    )


def fit_plane(rays: Array, q: Array, tolerances: tuple[float, ...], start: Array) -> Array:
    """Refine a plane on the readings that lie on it.

    Args:
        rays: Shape (N, 2).
        q: Shape (N,).
        tolerances: Readings within these belong to it, 1/m, one refinement each.
        start: m of the first guess, shape (3,).

    Returns:
        m, shape (3,); the first guess when fewer than three readings lie on it.
    """
    design = np.c_[rays, np.ones(len(rays))]
    plane = start
    for tolerance in tolerances:
        on = np.abs(q - design @ plane) < tolerance
        if on.sum() < 3:
            return plane
        chosen = design[on]
        gram = chosen.T @ chosen + 1e-12 * np.eye(3)
        plane = np.linalg.solve(gram, chosen.T @ q[on])
    return plane


def _design(offsets: Array) -> npt.NDArray[np.float64]:
    x, y = offsets[:, 0], offsets[:, 1]
    return np.stack([np.ones(len(x)), x, y, x * x / 2, x * y, y * y / 2], axis=1)
