# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A place that is kept in sight: where it is in the target frame, how fast, or that it is lost.

The camera may move, too: where the target should be is worked out in the target frame, and looked
for in the picture from where that was taken.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from roborefer_perception.core.camera import Array
from roborefer_perception.core.following import Follower, FollowSettings
from roborefer_perception.core.place import Calibration, Posed, placed
from roborefer_perception.core.types import Place, RgbdFrame
from roborefer_perception.core.velocity import VelocityFilter, VelocitySettings

# Where the target was is remembered for so many pictures, to compare it with late answers.
_KEPT = 300
# An answer is compared with a picture whose stamp differs by this much at most.
_SAME_NS = 100_000_000


@dataclass(frozen=True)
class FollowingSettings:
    """Settings of following as a whole.

    Attributes:
        period_s: The model is asked again this long after its last answer; 0: only when lost.
        pause_s: Least time between two questions.
        tf_timeout_s: Longest wait for the transform of a picture.
        follow: Of the visual tracking.
        velocity: Of the filter.
    """

    period_s: float = 5.0
    pause_s: float = 1.0
    tf_timeout_s: float = 0.1
    follow: FollowSettings = field(default_factory=FollowSettings)
    velocity: VelocitySettings = field(default_factory=VelocitySettings)


@dataclass(frozen=True, eq=False)
class Sighting:
    """What is known of a target after a picture.

    Attributes:
        pixel: u and v; where it was seen last when it is lost.
        posed: In the target frame; as it was seen last when it is lost.
        velocity: m/s in the target frame, shape (3,); zero when it is lost.
        velocity_covariance: m²/s², shape (3, 3); zero when it is lost.
        confidence: 0 to 1; 0 when it is lost.
        lost: Whether it could not be found in this picture.
        place: In the optical frame; None when it is lost.
    """

    pixel: tuple[float, float]
    posed: Posed
    velocity: Array
    velocity_covariance: Array
    confidence: float
    lost: bool
    place: Place | None


class Pursuit:
    """Follows one target through pictures of a camera that may move. Not for several threads."""

    def __init__(
        self,
        frame: RgbdFrame,
        place: Place,
        t_target_optical: Array,
        settings: FollowingSettings | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """Begin with a place that was found in a picture.

        Args:
            frame: The picture.
            place: In it.
            t_target_optical: Pose of the camera when it was taken, shape (4, 4).
            settings: How to follow.
            calibration: How well the pose of the camera is known.
        """
        settings = settings or FollowingSettings()
        self._calibration = calibration or Calibration()
        self._follower = Follower(frame, place, settings.follow, t_target_optical[:3, :3])
        self._filter = VelocityFilter(settings.velocity)
        self._seen: deque[tuple[int, Array]] = deque(maxlen=_KEPT)
        self._posed = placed(place, t_target_optical, self._calibration)
        self._newest_ns, self._lost = frame.stamp_ns, False
        self._measure(frame.stamp_ns, self._posed.position, place.covariance[:3, :3])

    def update(self, frame: RgbdFrame, t_target_optical: Array) -> Sighting:
        """Look for the target in a picture.

        Args:
            frame: The picture.
            t_target_optical: Pose of the camera when it was taken, shape (4, 4).
        """
        if frame.stamp_ns < self._newest_ns:
            # Time was set back; what was seen "later" tells nothing any more.
            self._seen.clear()
        self._newest_ns = frame.stamp_ns
        turn, move = t_target_optical[:3, :3], t_target_optical[:3, 3]
        expected, _ = self._filter.predict(frame.stamp_ns)
        track = self._follower.update(frame, turn.T @ (expected - move), turn)
        if track.place is not None:
            posed = placed(track.place, t_target_optical, self._calibration)
            if self._measure(frame.stamp_ns, posed.position, turn @ track.jitter @ turn.T):
                self._posed, self._lost = posed, False
                return Sighting(
                    track.pixel, posed, self._filter.velocity, self._filter.velocity_covariance,
                    track.confidence, False, track.place,
                )  # fmt: skip
        self._lost = True
        return Sighting(track.pixel, self._posed, np.zeros(3), np.zeros((3, 3)), 0.0, True, None)

    def correct(self, frame: RgbdFrame, place: Place, t_target_optical: Array) -> None:
        """Take over a new answer of the model, which may be about an older picture.

        Args:
            frame: The picture that the model saw.
            place: What it meant in it.
            t_target_optical: Pose of the camera when that was taken, shape (4, 4).
        """
        self._follower.correct(frame, place, t_target_optical[:3, :3])
        there = placed(place, t_target_optical, self._calibration).position
        off_ns, before = min(
            ((abs(stamp_ns - frame.stamp_ns), at) for stamp_ns, at in self._seen),
            key=lambda each: each[0],
            default=(_SAME_NS + 1, there),
        )
        if not self._lost and off_ns <= _SAME_NS:
            # By how much it was off then, it is off now.
            self._filter.shift(there - before)
        else:
            self._filter.reset()
            self._measure(frame.stamp_ns, there, place.covariance[:3, :3])

    def _measure(self, stamp_ns: int, position: Array, covariance: Array) -> bool:
        fits = self._filter.update(stamp_ns, position, covariance)
        if fits:
            self._seen.append((stamp_ns, position))
        return fits
