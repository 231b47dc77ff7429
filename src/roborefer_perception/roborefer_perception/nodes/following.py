# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps a referred place at camera rate, and has the model asked again when it is lost."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from geometry_msgs.msg import TwistWithCovariance, Vector3
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from roborefer_common.patience import Patience
from roborefer_common.qos import SENSOR_OUT
from roborefer_common.times import time_to_msg
from unique_identifier_msgs.msg import UUID

from roborefer_msgs.msg import Pixel, TrackedReference
from roborefer_perception.conversions import header_of, pose_to_msg
from roborefer_perception.core.arrivals import RawFrame
from roborefer_perception.core.camera import Array
from roborefer_perception.core.place import Calibration
from roborefer_perception.core.pursuit import FollowingSettings, Pursuit, Sighting
from roborefer_perception.core.types import Place, RgbdFrame
from roborefer_perception.exceptions import Reason, ReferFailure
from roborefer_perception.nodes.intake import Intake

_NS = 1e-9
# The same trouble is told this often.
_REPEAT_S = 5.0

Check = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Referred:
    """A place that a query gave.

    Attributes:
        frame: The picture that was looked at.
        place: In it.
        t_target_optical: Pose of the camera in the target frame when it was taken, shape (4, 4).
    """

    frame: RgbdFrame
    place: Place
    t_target_optical: Array


# Asks the model again. It calls the check now and then, whose ReferFailure ends it; it raises
# ReferFailure where there is no answer.
Requery = Callable[[Check], Referred]


class Following:
    """Follows one reference at a time and publishes `tracked_reference`.

    Pictures come from the intake; only the newest one is looked at, in a thread of its own, so
    that the camera's callbacks return at once. Usable from any thread.
    """

    def __init__(
        self,
        node: LifecycleNode,
        intake: Intake,
        settings: FollowingSettings,
        calibration: Calibration,
    ) -> None:
        """Create the publisher; nothing is followed before start().

        Args:
            node: Whose clock and topics are used.
            intake: Where pictures and transforms come from.
            settings: How to follow.
            calibration: How well the pose of the camera is known.
        """
        self._node, self._intake = node, intake
        self._settings, self._calibration = settings, calibration
        self._publisher = node.create_publisher(TrackedReference, "tracked_reference", SENSOR_OUT)
        self._lock = threading.Lock()
        self._chase: _Chase | None = None

    @property
    def active(self) -> bool:
        """Whether something is being followed."""
        with self._lock:
            return self._chase is not None and not self._chase.stopped

    def start(
        self, name: UUID, target_frame: str, referred: Referred, requery: Requery | None = None
    ) -> None:
        """Follow a reference; what was followed before is not any more.

        Args:
            name: Of the reference.
            target_frame: Frame of the published poses, that of t_target_optical.
            referred: Where it is.
            requery: Asks the model again, in a thread of its own; None: it is never asked.
        """
        pursuit = Pursuit(
            referred.frame, referred.place, referred.t_target_optical, self._settings,
            self._calibration,
        )  # fmt: skip
        last_ns = referred.frame.stamp_ns
        chase = _Chase(
            self._node, self._intake, self._settings, self._publisher, pursuit, name,
            target_frame, last_ns, requery,
        )  # fmt: skip
        with self._lock:
            before, self._chase = self._chase, chase
            if before is not None:
                before.stop()
            chase.start()

    def stop(self) -> bool:
        """Follow nothing any more; nothing is published afterwards.

        Returns:
            Whether anything was being followed.
        """
        with self._lock:
            chase, self._chase = self._chase, None
        if chase is not None:
            chase.stop()
        return chase is not None

    def close(self) -> None:
        """Stop, wait for the threads, and take the publisher away."""
        with self._lock:
            chase, self._chase = self._chase, None
        if chase is not None:
            chase.stop()
            chase.join()
        self._node.destroy_publisher(self._publisher)


class _Chase:
    """One reference that is followed, with the threads that do it.

    Attributes:
        stopped: Whether nothing is published any more.
    """

    def __init__(
        self,
        node: LifecycleNode,
        intake: Intake,
        settings: FollowingSettings,
        publisher: Publisher,
        pursuit: Pursuit,
        name: UUID,
        target_frame: str,
        last_query_ns: int,
        requery: Requery | None,
    ) -> None:
        self._node, self._intake, self._settings = node, intake, settings
        self._publisher, self._pursuit = publisher, pursuit
        self._name, self._target_frame, self._requery = name, target_frame, requery
        self._logger = node.get_logger().get_child("following")
        # Of the last picture that the model was asked about, and of the last answer.
        self._asked_ns = self._last_query_ns = last_query_ns
        self._changed = threading.Condition()
        self._newest: RawFrame | None = None
        self._answer: Referred | None = None
        self._wanted = self.stopped = self._lost = False
        self._remove: Callable[[], None] = lambda: None
        self._threads = [self._thread(self._follow, "following")]
        if requery is not None:
            self._threads.append(self._thread(self._ask, "asking again"))

    def _thread(self, work: Callable[[], None], name: str) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception:
                # A defect; it ends this chase and nothing else.
                self._logger.error(f"{name} failed; refer again\n{traceback.format_exc()}")
                self.stop()

        return threading.Thread(target=run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._remove = self._intake.add_listener(self._on_frame)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; the threads do so on their own. Calling it twice is allowed."""
        remove, self._remove = self._remove, lambda: None
        remove()
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the threads."""
        for thread in self._threads:
            thread.join()

    def _on_frame(self, frame: RawFrame) -> None:
        with self._changed:
            self._newest = frame
            self._changed.notify_all()

    def _check(self) -> None:
        if self.stopped:
            raise ReferFailure(Reason.CANCELED, "following was stopped")

    # --- following ----------------------------------------------------------------------------
    def _follow(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.stopped or self._newest is not None)
                if self.stopped:
                    return
                raw, self._newest = self._newest, None
                answer, self._answer = self._answer, None
            assert raw is not None
            if answer is not None:
                self._pursuit.correct(answer.frame, answer.place, answer.t_target_optical)
                self._last_query_ns = answer.frame.stamp_ns
            try:
                frame = raw.decoded()
                patience = Patience(self._node.get_clock(), self._settings.tf_timeout_s)
                pose = self._intake.transform(
                    self._target_frame, frame.frame_id, frame.stamp_ns, patience, self._check
                )
            except ReferFailure as failure:
                if failure.reason is not Reason.CANCELED:
                    self._logger.warning(
                        f"a picture cannot be used for following: {failure}",
                        throttle_duration_sec=_REPEAT_S,
                    )
                continue
            sighting = self._pursuit.update(frame, pose)
            self._tell(frame, sighting)
            self._consider(frame.stamp_ns, sighting.lost)

    def _tell(self, frame: RgbdFrame, sighting: Sighting) -> None:
        message = tracked_to_msg(
            sighting, frame, self._name, self._target_frame, self._last_query_ns
        )
        with self._changed:
            if self.stopped:
                return
            self._publisher.publish(message)
        if sighting.lost != self._lost:
            self._lost = sighting.lost
            if self._lost:
                self._logger.warning("the followed target is lost; bring it back into view")
            else:
                self._logger.info("the followed target is in sight again")

    def _consider(self, stamp_ns: int, lost: bool) -> None:
        """Have the model asked when it is time."""
        since_asked = abs(stamp_ns - self._asked_ns) * _NS
        since_answer = abs(stamp_ns - self._last_query_ns) * _NS
        due = lost or 0 < self._settings.period_s < since_answer
        if due and since_asked >= self._settings.pause_s:
            with self._changed:
                if not self._wanted:
                    self._wanted, self._asked_ns = True, stamp_ns
                    self._changed.notify_all()

    # --- asking again -------------------------------------------------------------------------
    def _ask(self) -> None:
        assert self._requery is not None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.stopped or self._wanted)
                if self.stopped:
                    return
            try:
                answer = self._requery(self._check)
            except ReferFailure as failure:
                answer = None
                if failure.reason is not Reason.CANCELED:
                    self._logger.warning(
                        f"the followed target was not found again by the model: {failure}",
                        throttle_duration_sec=_REPEAT_S,
                    )
            with self._changed:
                self._answer, self._wanted = answer, False


def tracked_to_msg(
    sighting: Sighting, frame: RgbdFrame, name: UUID, target_frame: str, last_query_ns: int
) -> TrackedReference:
    """Write a sighting.

    Args:
        sighting: What is known.
        frame: The picture.
        name: Of the reference.
        target_frame: Frame of the pose.
        last_query_ns: Stamp of the picture of the last answer.
    """
    velocity = TwistWithCovariance()
    velocity.twist.linear = Vector3(**dict(zip("xyz", map(float, sighting.velocity), strict=True)))
    covariance = velocity.covariance
    for row in range(3):
        for column in range(3):
            covariance[6 * row + column] = float(sighting.velocity_covariance[row, column])
    return TrackedReference(
        header=header_of(frame),
        id=name,
        pixel=Pixel(u=float(sighting.pixel[0]), v=float(sighting.pixel[1])),
        pose=pose_to_msg(sighting.posed, target_frame, frame.stamp_ns),
        velocity=velocity,
        confidence=float(sighting.confidence),
        lost=sighting.lost,
        last_query=time_to_msg(last_query_ns),
    )
