# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The rest of the robot as the executive sees it: action clients and a few topics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from rclpy.action import ActionClient
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode
from roborefer_common.core.parameters import Value
from roborefer_common.qos import LATCHED, SENSOR_IN
from roborefer_common.times import duration_to_msg, nanoseconds, time_to_msg

from roborefer_msgs.action import GoTo, Pick, Place, Refer
from roborefer_msgs.msg import (
    ErrorCode,
    HeldObject,
    Phase,
    Pixel,
    SpatialReference,
    TrackedReference,
)
from roborefer_operator.conversions import code_of, reference_from_msg
from roborefer_operator.core.codes import CODES
from roborefer_operator.core.language.splitting import Splitter, SplitterSettings
from roborefer_operator.core.language.steps import Context, Verb
from roborefer_operator.core.ports import (
    KIND_FREE_SPACE,
    Ended,
    Heard,
    Outcome,
    Pending,
    Reference,
    Samples,
    Wish,
)
from roborefer_operator.exceptions import Reason, TaskFailure
from roborefer_operator.nodes.requests import ActionRequest
from roborefer_operator.nodes.stop_line import StopLine

Hear = Callable[[Samples], Heard]

# A topic comes no later than this behind a result, nanoseconds.
_LATE_NS = 5_000_000_000
# A followed target that is this far from where it was referred to has moved, metres.
_MOVED_M = 0.02


class RosPorts:
    """Implements `core.ports.Ports`; usable from any thread."""

    def __init__(
        self,
        node: LifecycleNode,
        values: Mapping[str, Value],
        stop_line: StopLine,
        hear: Hear | None = None,
    ) -> None:
        """Create clients and subscriptions.

        Args:
            node: Whose they are.
            values: Of its parameters.
            stop_line: Says stop and release.
            hear: Recognises speech; None where nothing can.

        Raises:
            TaskFailure: The address of the language model, or the file of its token, is wrong.
        """
        self._node, self._values = node, values
        self._splitter = _splitter(values)
        self._hear = hear
        # One for the language model, one for the recogniser.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="words")
        group = ReentrantCallbackGroup()
        self._clients = {
            name: ActionClient(node, kind, name, callback_group=group)
            for name, kind in (("refer", Refer), ("pick", Pick), ("place", Place), ("go_to", GoTo))
        }
        self._query: ActionRequest | None = None
        self._held = HeldObject()
        self._tracked: TrackedReference | None = None
        self._lock = threading.Lock()
        own = MutuallyExclusiveCallbackGroup()
        self._subscriptions = [
            node.create_subscription(
                HeldObject, "held_object", self._on_held, LATCHED, callback_group=own
            ),
            node.create_subscription(
                TrackedReference, "tracked_reference", self._on_tracked, SENSOR_IN,
                callback_group=own,
            ),
        ]  # fmt: skip
        self._stop_line = stop_line

    def close(self) -> None:
        """Let go of everything."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for client in self._clients.values():
            client.destroy()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._splitter is not None:
            self._splitter.close()

    def _on_held(self, message: HeldObject) -> None:
        """Take what the arm says it holds; the topic may come later than a newer result."""
        with self._lock:
            older_ns = nanoseconds(self._held.header.stamp) - nanoseconds(message.header.stamp)
            # Much older is a clock that was set back, and not a message that was late.
            if not 0 < older_ns < _LATE_NS:
                self._held = message

    def _on_tracked(self, message: TrackedReference) -> None:
        self._tracked = message

    # --- what is known ------------------------------------------------------------------------
    def now_ns(self) -> int:
        """Time of the node's clock."""
        return int(self._node.get_clock().now().nanoseconds)

    def ready(self) -> dict[str, bool]:
        """Which servers are there, by name of the action."""
        return {name: client.server_is_ready() for name, client in self._clients.items()}

    def looking(self) -> bool:
        """Whether the referrer has chosen its picture and not yet answered."""
        query = self._query
        return query is not None and not query.ended and query.phase >= int(Phase.ASKING_MODEL)

    def can(self, verb: Verb) -> bool:
        """Whether this robot is meant to have what a verb needs.

        A server of picking that is away for a moment is no reason to say that the robot cannot
        pick; a robot without legs never has a server for going.
        """
        if verb is Verb.GO_TO:
            return bool(self._clients["go_to"].server_is_ready())
        if verb is Verb.HAND_OVER:
            return bool(self._values["hand_over.enabled"])
        return True

    def holding(self) -> bool:
        """Whether the arm says that something is in the gripper."""
        return bool(self._held.held)

    def moved(self, reference: Reference) -> bool:
        """Whether this reference is followed and was lost or stands elsewhere."""
        tracked = self._tracked
        if tracked is None or bytes(tracked.id.uuid).hex() != reference.id:
            return False
        if tracked.lost or reference.position is None:
            return bool(tracked.lost)
        at = tracked.pose.pose.pose.position
        offsets = zip((at.x, at.y, at.z), reference.position, strict=True)
        return sum((a - b) ** 2 for a, b in offsets) > _MOVED_M**2

    # --- requests -----------------------------------------------------------------------------
    def hear(self, samples: Samples) -> Pending | None:
        """Recognise speech, in a thread of its own."""
        if self._hear is None:
            return None
        future = self._threads.submit(self._hear, samples)
        return _Thread(future, lambda heard: Outcome(heard=heard), "SPEECH_ENGINE_UNAVAILABLE")

    def split(self, sentence: str, context: Context) -> Pending | None:
        """Ask the language model, in a thread of its own."""
        if self._splitter is None:
            return None
        if not sentence:
            return Ended(Outcome())
        future = self._threads.submit(self._splitter.read, sentence, context)
        return _Thread(future, lambda plan: Outcome(plan=plan), "TASK_SPLITTER_UNAVAILABLE")

    def refer(self, wish: Wish) -> Pending:
        """Send a query to the referrer."""
        goal = Refer.Goal(
            instruction=wish.phrase,
            kind=wish.kind,
            image_policy=Refer.Goal.IMAGE_FRESH if wish.fresh else Refer.Goal.IMAGE_NEWEST,
            deadline=duration_to_msg(self._number("refer.deadline_s")),
            num_samples=int(self._number("refer.samples")),
            min_confidence=self._number("refer.min_confidence"),
        )
        if wish.pixel is not None:
            goal.use_pixel = True
            goal.pixel = Pixel(u=wish.pixel[0], v=wish.pixel[1])

        def convert(result: Any) -> Outcome:
            return Outcome(
                int(result.error_code), result.error_msg, int(result.phase),
                tuple(map(reference_from_msg, result.references)),
                tuple(map(reference_from_msg, result.candidates)),
            )  # fmt: skip

        self._query = self._request("refer", goal, convert, self._number("refer.deadline_s") + 2.0)
        return self._query

    def pick(self, target: Reference, place: Reference | None, plan_only: bool) -> Pending:
        """Send the arm to take something."""
        goal = Pick.Goal(reference=target.raw, plan_only=plan_only)
        if place is not None:
            goal.with_place, goal.place = True, place.raw
        return self._request("pick", goal, self._arm_outcome)

    def place(self, where: Reference, plan_only: bool) -> Pending:
        """Send the arm to put down what it holds."""
        return self._request(
            "place", Place.Goal(reference=where.raw, plan_only=plan_only), self._arm_outcome
        )

    def hand_over(self, plan_only: bool) -> Pending:
        """Put what is held where a person takes it: a place that was measured once."""
        x, y, z = (float(v) for v in self._values["hand_over.position"])  # type: ignore[union-attr]
        reference = SpatialReference(kind=KIND_FREE_SPACE, label="hand-over", confidence=1.0)
        now = time_to_msg(self.now_ns())
        for header in (reference.header, reference.pose.header):
            header.stamp, header.frame_id = now, str(self._values["hand_over.frame"])
        at = reference.pose.pose.pose
        at.position.x, at.position.y, at.position.z = x, y, z
        at.orientation.w = 1.0
        return self._request(
            "place", Place.Goal(reference=reference, plan_only=plan_only), self._arm_outcome
        )

    def go_to(self, target: Reference) -> Pending:
        """Send the base."""
        return self._request("go_to", GoTo.Goal(reference=target.raw), _outcome)

    def set_stop(self, stop: bool) -> None:
        """Publish the latched stop."""
        self._stop_line.say(stop)

    def _request(
        self, name: str, goal: Any, convert: Any, deadline_s: float = 0.0
    ) -> ActionRequest:
        return ActionRequest(
            self._clients[name], name, goal, convert, self._node.get_clock(),
            self._number("server.wait_s"), deadline_s or self._number("server.deadline_s"),
        )  # fmt: skip

    def _arm_outcome(self, result: Any) -> Outcome:
        """Read the result of pick or place, and what is in the hand since then."""
        if result.held_object.header.frame_id:
            self._on_held(result.held_object)
        measured = getattr(result, "measured_pose", None)
        seen = measured is not None and bool(measured.header.frame_id)
        return replace(_outcome(result), seen=seen)

    def _number(self, name: str) -> float:
        return float(self._values[name])  # type: ignore[arg-type]


def _outcome(result: Any) -> Outcome:
    return Outcome(int(result.error_code), result.error_msg, int(result.phase))


class _Thread:
    """Implements `Pending` with a function that runs in a thread."""

    def __init__(
        self, future: Future[Any], convert: Callable[[Any], Outcome], broken: str
    ) -> None:
        """Take over a function that was begun.

        Args:
            future: Of it.
            convert: Makes an outcome of what it returns.
            broken: Name of the code for errors that it does not name itself.
        """
        self._future, self._convert, self._broken = future, convert, broken
        self.phase = int(Phase.UNDERSTANDING)

    def outcome(self) -> Outcome | None:
        """How it ended; None while it is under way."""
        if not self._future.done():
            return None
        if self._future.cancelled():
            return Outcome(int(ErrorCode.CANCELED), "canceled before it began", self.phase)
        error = self._future.exception()
        if error is None:
            return self._convert(self._future.result())
        code = code_of(error.reason) if isinstance(error, TaskFailure) else CODES[self._broken]
        return Outcome(code, str(error) or type(error).__name__, self.phase)

    def cancel(self) -> None:
        """Forget about it; a request that was sent ends by its own deadline."""
        self._future.cancel()


def _splitter(values: Mapping[str, Value]) -> Splitter | None:
    if not values["splitter.url"]:
        return None
    token = ""
    if file := str(values["splitter.token_file"]):
        try:
            token = FilePath(file).expanduser().read_text(encoding="utf-8").strip()
        except OSError as error:
            raise TaskFailure(
                Reason.INVALID_GOAL, f"splitter.token_file cannot be read: {error}"
            ) from error
    return Splitter(
        SplitterSettings(
            str(values["splitter.url"]), str(values["splitter.model"]), token,
            float(values["splitter.timeout_s"]),  # type: ignore[arg-type]
        )
    )  # fmt: skip
