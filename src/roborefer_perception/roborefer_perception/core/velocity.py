# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a followed place is and how fast it moves: a Kalman filter of constant velocity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_perception.core.camera import Array

_NS = 1e-9


@dataclass(frozen=True)
class VelocitySettings:
    """Settings of a VelocityFilter.

    Attributes:
        acceleration_m_s2: Standard deviation of the change of velocity within a second.
        first_speed_m_s: Standard deviation of the velocity before anything is known of it.
        gate: A measurement that is off by more standard deviations is an outlier.
        most_outliers: So many in a row are no outliers but the truth: the filter begins anew.
        longest_gap_s: After a longer time without measurement the filter begins anew.
    """

    acceleration_m_s2: float = 0.6
    first_speed_m_s: float = 0.3
    gate: float = 5.0
    most_outliers: int = 3
    longest_gap_s: float = 2.0


class VelocityFilter:
    """Position and velocity in a fixed frame, metres and metres per second.

    Attributes:
        stamp_ns: Of the last measurement that was taken over; None before the first.
    """

    def __init__(self, settings: VelocitySettings | None = None) -> None:
        self._settings = settings or VelocitySettings()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.stamp_ns: int | None = None
        self._state = np.zeros(6)
        self._covariance = np.eye(6)
        self._outliers = 0

    @property
    def position(self) -> Array:
        """At stamp_ns, shape (3,)."""
        return self._state[:3].copy()

    @property
    def velocity(self) -> Array:
        """At stamp_ns, shape (3,)."""
        return self._state[3:].copy()

    @property
    def velocity_covariance(self) -> Array:
        """m²/s², shape (3, 3)."""
        return self._covariance[3:, 3:].copy()

    def predict(self, stamp_ns: int) -> tuple[Array, Array]:
        """Return position (3,) and its covariance (3, 3) at a time; nothing is changed.

        Before stamp_ns, and long after it, the place is taken to be at rest where it was.
        """
        elapsed = self._elapsed(stamp_ns)
        if not 0 <= elapsed <= self._settings.longest_gap_s:
            return self.position, self._covariance[:3, :3].copy()
        state, covariance = self._predicted(elapsed)
        return state[:3], covariance[:3, :3]

    def update(self, stamp_ns: int, position: Array, covariance: Array) -> bool:
        """Take over a measurement.

        Args:
            stamp_ns: When; earlier than the one before means that the clock jumped.
            position: Metres, shape (3,).
            covariance: m², shape (3, 3).

        Returns:
            Whether it fits what was known; False is an outlier, which changes nothing.
        """
        elapsed = self._elapsed(stamp_ns)
        if self.stamp_ns is None or not 0 <= elapsed <= self._settings.longest_gap_s:
            self._begin(stamp_ns, position, covariance)
            return True
        if elapsed == 0:
            return True
        state, spread = self._predicted(elapsed)
        error = position - state[:3]
        innovation = spread[:3, :3] + covariance
        gain = np.linalg.solve(innovation, spread[:3]).T
        if float(error @ np.linalg.solve(innovation, error)) > self._settings.gate**2:
            self._outliers += 1
            if self._outliers < self._settings.most_outliers:
                return False
            self._begin(stamp_ns, position, covariance)
            return True
        self._outliers = 0
        self.stamp_ns = stamp_ns
        self._state = state + gain @ error
        # Joseph's form stays symmetric and positive with any gain.
        rest = np.eye(6)
        rest[:, :3] -= gain
        self._covariance = rest @ spread @ rest.T + gain @ covariance @ gain.T
        return True

    def shift(self, by: Array) -> None:
        """Move the position, shape (3,), when a better answer says that it was off all along."""
        self._state[:3] += by

    def _elapsed(self, stamp_ns: int) -> float:
        return 0.0 if self.stamp_ns is None else (stamp_ns - self.stamp_ns) * _NS

    def _predicted(self, elapsed: float) -> tuple[Array, Array]:
        step = np.eye(6)
        step[:3, 3:] = elapsed * np.eye(3)
        # White noise of acceleration over the time that has passed.
        third, half = elapsed**3 / 3, elapsed**2 / 2
        grown = np.kron([[third, half], [half, elapsed]], np.eye(3))
        noise = self._settings.acceleration_m_s2**2 * grown
        return step @ self._state, step @ self._covariance @ step.T + noise

    def _begin(self, stamp_ns: int, position: Array, covariance: Array) -> None:
        self.stamp_ns, self._outliers = stamp_ns, 0
        self._state = np.append(position, np.zeros(3))
        self._covariance = np.zeros((6, 6))
        self._covariance[:3, :3] = covariance
        self._covariance[3:, 3:] = self._settings.first_speed_m_s**2 * np.eye(3)
