# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which looks at the board become samples of a hand-eye calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_perception.core.board import Sight, transformed
from roborefer_perception.core.camera import Array
from roborefer_perception.core.hand_eye import Sample, angle_deg
from roborefer_perception.exceptions import CalibrationError


@dataclass(frozen=True)
class SessionSettings:
    """What makes a look a sample.

    Attributes:
        still_s: The board must have stood still for this long, seconds.
        still_px: It stands still while its corners move by less from look to look, pixels.
        turn_deg: A new sample has the tool turned by this much against every other one, degrees,
        move_m: or moved by this much, metres.
        most_error_px: Largest root mean square error of the board's pose in a picture, pixels.
    """

    still_s: float = 0.6
    still_px: float = 1.0
    turn_deg: float = 8.0
    move_m: float = 0.05
    most_error_px: float = 1.0


class Session:
    """Looks at the board, and the samples taken of them.

    Attributes:
        samples: In the order in which they were taken.
        sight: The present look; None while the board is not seen.
        stamp_ns: Of the newest look.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.settings = settings
        self.samples: list[Sample] = []
        self.sight: Sight | None = None
        self.stamp_ns = 0
        self._still_since_ns = 0

    @property
    def still_for_s(self) -> float:
        """How long the board has stood still, seconds."""
        return (self.stamp_ns - self._still_since_ns) * 1e-9 if self.sight else 0.0

    def see(self, stamp_ns: int, sight: Sight | None) -> None:
        """Note what the newest picture shows; None when it does not show the board."""
        before, self.sight = self.sight, sight
        backwards = stamp_ns <= self.stamp_ns
        self.stamp_ns = stamp_ns
        if (
            before is None
            or sight is None
            or backwards
            or self._shift_px(before, sight) > (self.settings.still_px)
        ):
            self._still_since_ns = stamp_ns

    @staticmethod
    def _shift_px(before: Sight, now: Sight) -> float:
        # By the poses, because not every look shows the same corners.
        places = [
            now.camera.project(transformed(sight.t_camera_board, now.points))
            for sight in (before, now)
        ]
        return float(np.linalg.norm(places[1] - places[0], axis=1).mean())

    def steady(self) -> Sight:
        """Return the present look if it may become a sample.

        Raises:
            CalibrationError: The board is not seen, moves, or is not seen sharply.
        """
        if self.sight is None:
            raise CalibrationError("the board is not seen; bring it into view")
        if self.still_for_s < self.settings.still_s:
            raise CalibrationError(
                f"the board has stood still for {self.still_for_s:.1f} s,"
                f" {self.settings.still_s:g} s are needed; wait"
            )
        if self.sight.error_px > self.settings.most_error_px:
            raise CalibrationError(
                f"the corners miss the board's pose by {self.sight.error_px:.2f} px,"
                f" {self.settings.most_error_px:g} are allowed; bring the board nearer, into"
                " better light, or calibrate the intrinsics"
            )
        return self.sight

    def check_new(self, t_base_tool: Array) -> None:
        """Check that a pose of the tool, shape (4, 4), adds something.

        Raises:
            CalibrationError: It is too near that of another sample.
        """
        for number, sample in enumerate(self.samples, 1):
            shift = float(np.linalg.norm(t_base_tool[:3, 3] - sample.t_base_tool[:3, 3]))
            angle = angle_deg(t_base_tool, sample.t_base_tool)
            if shift < self.settings.move_m and angle < self.settings.turn_deg:
                raise CalibrationError(
                    f"the tool is {1e3 * shift:.0f} mm and {angle:.0f} degrees from where sample"
                    f" {number} was taken; turn it by {self.settings.turn_deg:g} degrees"
                )
