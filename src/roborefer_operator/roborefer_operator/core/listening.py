# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tasks whose sentence is being recognised from sound."""

from __future__ import annotations

from roborefer_operator.core.codes import CODES
from roborefer_operator.core.ports import Outcome, Pending
from roborefer_operator.core.tasks import TaskRun

_NS = 1e9
# A recogniser that takes longer has failed.
_LONGEST_NS = int(30 * _NS)


class Listening:
    """Keeps them until their words are known."""

    def __init__(self) -> None:
        self._pending: list[tuple[TaskRun, Pending]] = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self._pending)

    def add(self, task: TaskRun, pending: Pending) -> None:
        """Begin to wait for the words of a task."""
        self._pending.append((task, pending))

    def done(self, now_ns: int) -> list[tuple[TaskRun, Outcome]]:
        """Hand over the tasks whose recogniser has ended; those that were canceled are dropped."""
        found, left = [], []
        for task, pending in self._pending:
            outcome = pending.outcome()
            late = now_ns > task.accepted_ns + _LONGEST_NS
            if task.state.ended or (outcome is None and late):
                pending.cancel()
                said = f"the recogniser did not answer within {_LONGEST_NS / _NS:g} s"
                outcome = Outcome(CODES["SPEECH_ENGINE_UNAVAILABLE"], said)
            if outcome is None:
                left.append((task, pending))
            elif not task.state.ended:
                found.append((task, outcome))
        self._pending = left
        return found
