# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How far a depth reading may be off.

Stereo and structured-light cameras measure a disparity d = f b / z with about the same error
everywhere. So the error of the *inverse* depth q = 1 / z is the same at all distances, while that
of the depth grows with its square. All fitting is therefore done on q; on it planes are linear in
the ray coordinates x / z and y / z as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi


@dataclass(frozen=True)
class DepthNoise:
    """The noise of a depth camera; the defaults suit a small stereo camera such as a D435.

    Attributes:
        baseline_m: Distance of the two imagers.
        disparity_px: Standard deviation of the disparity, in pixels of the pictures used.
        step_px: Step in which disparity is measured, pixels.
        unit_m: Step in which depth is written, metres; 0.001 for 16UC1.
        width_px: The noise of pixels nearer than this is alike, because matching uses windows.
    """

    baseline_m: float = 0.050
    disparity_px: float = 0.06
    step_px: float = 1 / 32
    unit_m: float = 0.001
    width_px: float = 1.5

    def __post_init__(self) -> None:
        if not (self.baseline_m > 0 and self.disparity_px > 0):
            raise ValueError(
                f"baseline_m is {self.baseline_m} and disparity_px {self.disparity_px}; both must"
                " be positive"
            )

    def inverse_sigma(self, z_m: float, focal_px: float) -> float:
        """Standard deviation of 1 / z of one reading at this depth, 1/m."""
        disparity = (self.disparity_px**2 + self.step_px**2 / 12) / (
            focal_px * self.baseline_m
        ) ** 2
        writing = self.unit_m**2 / 12 / z_m**4
        return float((disparity + writing) ** 0.5)

    def sigma_m(self, z_m: float, focal_px: float) -> float:
        """Standard deviation of one depth reading at this depth, metres."""
        return z_m**2 * self.inverse_sigma(z_m, focal_px)

    @property
    def alike(self) -> float:
        """How many neighbouring readings tell as much as one, because their noise is alike."""
        return max(1.0, 4 * pi * self.width_px**2)
