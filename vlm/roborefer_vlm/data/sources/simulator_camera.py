# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Random cameras around a place on the table, and the part of the table that they see."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, cos, degrees, radians, sin, tan

import numpy as np
from roborefer_sim.core.cell import CameraPlace

from roborefer_vlm.data.sources.simulator_settings import SimulatorSettings

# Nothing is put farther behind the nearest visible place, or farther aside, than this, metres:
# it would be a few pixels in the picture.
DEEPEST_M = 0.65
WIDEST_M = 0.42
# Of the visible strip at each end, so that few things are cut off.
MARGIN = 0.08
# Directions of cameras that look at one table, radians; at most eight of them fit.
_LEAST_APART = radians(25.0)


@dataclass(frozen=True)
class Look:
    """A camera that looks at the origin of the table's frame, which lies on the table.

    Attributes:
        around: From where it looks: direction of its view, radians from the x axis.
        pitch: Of the optical axis below the horizon, radians.
        height: Of the optical centre above the table, metres.
        width: Columns.
        rows: Rows.
        focal: fx and fy, pixels.
    """

    around: float
    pitch: float
    height: float
    width: int
    rows: int
    focal: float

    @property
    def place(self) -> CameraPlace:
        """Where roborefer_sim puts it."""
        reach = self.height / tan(self.pitch)
        at = (-reach * cos(self.around), -reach * sin(self.around), self.height)
        return CameraPlace(at, (0.0, 0.0, 0.0), self.width, self.rows, self.focal)

    @property
    def region(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lowest and highest x and y of the part of the table that it sees well, metres.

        x points away from the camera along the table, y to its left; the origin is the table's.
        """
        half = atan(self.rows / 2 / self.focal)
        reach = self.height / tan(self.pitch)
        near = self.height / tan(min(self.pitch + half, radians(89))) - reach
        far = self.height / tan(max(self.pitch - half, radians(8))) - reach
        far = min(far, near + DEEPEST_M)
        low, high = near + MARGIN * (far - near), far - MARGIN * (far - near)
        # The picture is wider at the back; what stands at the front corners may be cut off.
        ahead = low + 0.4 * (high - low) + reach
        depth = ahead * cos(self.pitch) + self.height * sin(self.pitch)
        side = min((1 - MARGIN) * depth * self.width / 2 / self.focal, WIDEST_M)
        return (low, -side), (high, side)


def draw_look(rng: np.random.Generator, settings: SimulatorSettings, around: float) -> Look:
    """Draw pitch, height and focal length of a camera that looks in this direction."""
    field = radians(rng.uniform(*settings.field_deg))
    return Look(
        around=around,
        pitch=-radians(rng.uniform(*settings.pitch_deg)),
        height=float(rng.uniform(*settings.height_m)),
        width=settings.width,
        rows=settings.height,
        focal=settings.width / 2 / tan(field / 2),
    )


def draw_looks(rng: np.random.Generator, settings: SimulatorSettings, count: int) -> list[Look]:
    """Draw cameras that look at the same table from directions at least 25 degrees apart.

    Two cameras may be neighbours as well as stand on opposite sides: a step to the left is told
    from pictures that are alike, and "the leftmost mug" becomes another one from the other side.
    """
    first = float(rng.uniform(-np.pi, np.pi))
    looks = [draw_look(rng, settings, first)]
    if count == 1:
        return looks
    spare = 2 * np.pi - count * _LEAST_APART
    gaps = _LEAST_APART + spare * rng.dirichlet(np.ones(count))
    return looks + [draw_look(rng, settings, first + float(turn)) for turn in np.cumsum(gaps)[:-1]]


def looks_like(look: Look) -> dict[str, float]:
    """Return what is worth telling of a camera, for a view's meta."""
    return {
        "pitch_deg": -round(degrees(look.pitch), 2),
        "height_m": round(look.height, 4),
        "around_deg": round(degrees(look.around), 2),
        "focal_px": round(look.focal, 2),
    }
