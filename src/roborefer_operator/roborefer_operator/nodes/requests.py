# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A goal of an action as something that can be looked at, and never blocks."""

from __future__ import annotations

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
# After its deadline a goal is canceled, and given so long to say so, seconds.
_GRACE_S = 5.0


class ActionRequest:
    """Implements `core.ports.Pending` with one goal of an action."""

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
        self._begin = clock.now().nanoseconds
        self._phase = int(Phase.WAITING)
        self._sent: Any = None
        self._handle: Any = None
        self._result: Any = None
        self._outcome: Outcome | None = None
        self._canceled = self._cancel_sent = False
        self._gone_since: int | None = None

    @property
    def phase(self) -> int:
        """Constant of Phase, from the feedback."""
        return self._phase

    def cancel(self) -> None:
        """Ask the server to end the goal."""
        self._canceled = True
        self._send_cancel()

    def outcome(self) -> Outcome | None:
        """How it ended; None while it is under way."""
        if self._outcome is None:
            self._outcome = self._look()
        return self._outcome

    def _look(self) -> Outcome | None:
        passed = (self._clock.now().nanoseconds - self._begin) / _NS
        if self._sent is None:
            return self._try_to_send(passed)
        if self._handle is None:
            if not self._sent.done():
                return self._late(passed)
            try:
                self._handle = self._sent.result()
            except (ConnectionError, RuntimeError) as error:
                return self._unavailable(f"its server was lost: {error}")
            if not self._handle.accepted:
                return self._failure(ErrorCode.BUSY, "its server refused the goal")
            self._result = self._handle.get_result_async()
        self._send_cancel()
        if not self._result.done():
            return self._missing() or self._late(passed)
        try:
            answer = self._result.result()
        except (ConnectionError, RuntimeError) as error:
            return self._unavailable(f"its server was lost: {error}")
        outcome = self._convert(answer.result)
        if outcome.code == 0 and answer.status != GoalStatus.STATUS_SUCCEEDED:
            was = ErrorCode.CANCELED if self._canceled else ErrorCode.INTERNAL_ERROR
            return self._failure(was, f"it ended with status {answer.status} and no error code")
        return outcome

    def _try_to_send(self, passed: float) -> Outcome | None:
        if self._canceled:
            return self._failure(ErrorCode.CANCELED, "canceled before it began")
        if self._client.server_is_ready():
            self._begin = self._clock.now().nanoseconds
            self._sent = self._client.send_goal_async(self._goal, self._on_feedback)
            return None
        if passed > self._wait_s:
            return self._unavailable("no server for it runs; start it, or look at its log")
        return None

    def _on_feedback(self, message: Any) -> None:
        self._phase = int(message.feedback.phase)

    def _send_cancel(self) -> None:
        if self._canceled and self._handle is not None and not self._cancel_sent:
            self._cancel_sent = True
            self._handle.cancel_goal_async()

    def _missing(self) -> Outcome | None:
        """Notice a server that died with the goal."""
        now = self._clock.now().nanoseconds
        if self._client.server_is_ready():
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        elif now - self._gone_since > _GONE_S * _NS:
            return self._unavailable("its server went away on the way")
        return None

    def _late(self, passed: float) -> Outcome | None:
        if passed <= self._deadline_s:
            return None
        self.cancel()
        if passed <= self._deadline_s + _GRACE_S:
            return None
        return self._failure(ErrorCode.TIMEOUT, f"it did not end within {self._deadline_s:g} s")

    def _unavailable(self, why: str) -> Outcome:
        return self._failure(ErrorCode.SERVER_UNAVAILABLE, why)

    def _failure(self, code: int, why: str) -> Outcome:
        return Outcome(int(code), f"action '{self._name}': {why}", self._phase)
