# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A goal of an action as something that can be looked at, and never blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.clock import Clock

from roborefer_msgs.msg import ErrorCode, Phase
from roborefer_operator.core.ports import Outcome

_NS = 1e9
# A server that is gone for so long does not come back to this goal, seconds.
_GONE_S = 3.0
# A server that tells nothing for so long is asked whether it still knows the goal, seconds.
_SILENT_S = 5.0
# After its deadline a goal is canceled, and given so long to say so, seconds.
_GRACE_S = 5.0


class ActionRequest:
    """Implements `core.ports.Pending` with one goal of an action.

    A goal that was given up is canceled too, whenever its server takes it. A server that was
    started anew does not know the goal; it says so when it is asked for the result once more.
    """

    def __init__(
        self,
        client: ActionClient,
        name: str,
        goal: Any,
        convert: Callable[[Any], Outcome],
        clock: Clock,
        wait_s: float,
        deadline_s: float,
    ) -> None:
        """Send the goal as soon as the server is there.

        Args:
            client: Of the action.
            name: Of the action, for people.
            goal: The message.
            convert: Makes an outcome of the action's result.
            clock: Of the node.
            wait_s: Longest wait for the server.
            deadline_s: Longest goal.
        """
        self._client, self._name, self._goal = client, name, goal
        self._convert, self._clock = convert, clock
        self._wait_s, self._deadline_s = wait_s, deadline_s
        self._lock = threading.RLock()
        self._begin = self._sign = clock.now().nanoseconds
        self._phase = int(Phase.WAITING)
        self._sent: Any = None
        self._handle: Any = None
        self._results: list[Any] = []
        self._outcome: Outcome | None = None
        self._canceled = self._cancel_sent = False
        self._gone_since: int | None = None

    @property
    def phase(self) -> int:
        """Constant of Phase, from the feedback."""
        return self._phase

    @property
    def ended(self) -> bool:
        """Whether its outcome is known."""
        return self._outcome is not None

    def cancel(self) -> None:
        """Ask the server to end the goal."""
        with self._lock:
            self._canceled = True
            self._send_cancel()

    def outcome(self) -> Outcome | None:
        """How it ended; None while it is under way."""
        with self._lock:
            if self._outcome is None:
                self._outcome = self._look()
            return self._outcome

    def _look(self) -> Outcome | None:
        now = self._clock.now().nanoseconds
        passed = (now - self._begin) / _NS
        if self._sent is None:
            return self._try_to_send(now, passed)
        if self._sent.done() and (error := self._sent.exception()) is not None:
            return self._unavailable(f"its server was lost: {error}")
        if self._handle is None:
            return self._missing(now) or self._late(passed)
        if not self._handle.accepted:
            return self._failure(ErrorCode.BUSY, "its server refused the goal")
        ended = [result for result in self._results if result.done()]
        if not ended:
            return self._missing(now) or self._late(passed)
        if (error := ended[-1].exception()) is not None:
            return self._unavailable(f"its server was lost: {error}")
        answer = ended[-1].result()
        if answer.status == GoalStatus.STATUS_UNKNOWN:
            return self._unavailable("its server was started anew and does not know the goal")
        outcome = self._convert(answer.result)
        if outcome.code == 0 and answer.status != GoalStatus.STATUS_SUCCEEDED:
            was = ErrorCode.CANCELED if self._canceled else ErrorCode.INTERNAL_ERROR
            return self._failure(was, f"it ended with status {answer.status} and no error code")
        return outcome

    def _try_to_send(self, now: int, passed: float) -> Outcome | None:
        if self._canceled:
            return self._failure(ErrorCode.CANCELED, "canceled before it began")
        if self._client.server_is_ready():
            self._begin = self._sign = now
            self._sent = self._client.send_goal_async(self._goal, self._on_feedback)
            self._sent.add_done_callback(self._on_decided)
            return None
        if passed > self._wait_s:
            return self._unavailable("no server for it runs; start it, or look at its log")
        return None

    def _on_decided(self, sent: Any) -> None:
        """Take the goal's handle, and cancel it at once if nobody wants it any more."""
        if sent.cancelled() or sent.exception() is not None:
            return
        with self._lock:
            self._handle = sent.result()
            if self._handle.accepted:
                self._results.append(self._handle.get_result_async())
                self._send_cancel()

    def _on_feedback(self, message: Any) -> None:
        self._phase = int(message.feedback.phase)
        self._sign = self._clock.now().nanoseconds

    def _send_cancel(self) -> None:
        handle = self._handle
        if self._canceled and handle is not None and handle.accepted and not self._cancel_sent:
            self._cancel_sent = True
            handle.cancel_goal_async()

    def _missing(self, now: int) -> Outcome | None:
        """Notice a server that died with the goal, or came back without it."""
        if not self._client.server_is_ready():
            if self._gone_since is None:
                self._gone_since = now
            elif now - self._gone_since > _GONE_S * _NS:
                return self._unavailable("its server went away on the way")
            return None
        is_back, self._gone_since = self._gone_since is not None, None
        if self._handle is not None and (is_back or now - self._sign > _SILENT_S * _NS):
            self._sign = now
            self._results.append(self._handle.get_result_async())
        return None

    def _late(self, passed: float) -> Outcome | None:
        if passed <= self._deadline_s:
            return None
        self.cancel()
        if passed <= self._deadline_s + _GRACE_S:
            return None
        return self._failure(ErrorCode.TIMEOUT, f"it did not end within {self._deadline_s:g} s")

    def _unavailable(self, why: str) -> Outcome:
        # It may be the network that was lost, and the goal may still run.
        self.cancel()
        return self._failure(ErrorCode.SERVER_UNAVAILABLE, why)

    def _failure(self, code: int, why: str) -> Outcome:
        return Outcome(int(code), f"action '{self._name}': {why}", self._phase)
