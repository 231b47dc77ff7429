# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One task under way: its behaviour tree, and after its end its motion until that is at rest."""

from __future__ import annotations

from collections.abc import Callable

from py_trees.common import Status
from py_trees.composites import Sequence

from roborefer_operator.core.behaviours import Leaf, Policy, Words
from roborefer_operator.core.carrying_out import Act, Confirm, Find, LookAgain, Needs
from roborefer_operator.core.codes import CODES
from roborefer_operator.core.ports import Ended, Outcome, Pending, Ports
from roborefer_operator.core.tasks import StepRun, TaskRun
from roborefer_operator.core.understanding import understand
from roborefer_operator.exceptions import TaskFailure

_NS = 1e9
# Motion that was canceled must come to rest within this; then the task ends anyway.
_REST_NS = int(5 * _NS)


class Run:
    """Carries out one task; ticked until it has ended."""

    def __init__(
        self, task: TaskRun, ports: Ports, policy: Policy, before: Callable[[], list[TaskRun]]
    ) -> None:
        """Begin.

        Args:
            task: Whose sentence is read already, unless a language model shall do that.
            ports: The rest of the robot.
            policy: How patient.
            before: Returns the tasks before it, oldest first.
        """
        self.task = task
        self._ports, self._policy, self._before = ports, policy, before
        self._resting: list[Pending] = []
        self._rest_until_ns: int | None = None
        if task.amend is not None and (steps := task.amend()):
            # What went before has come to rest only now, perhaps with something in the hand.
            task.take(steps)
        self._steps = Sequence("steps", memory=True)
        words = Words(task, ports, policy, self._read_again, self._split, self._grow)
        self._tree = Sequence(task.id, memory=True, children=[words, self._steps])

    def tick(self) -> Status:
        """Go on; SUCCESS and FAILURE are the end."""
        self._tree.tick_once()
        return self._tree.status

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._rest_until_ns is not None

    def stop(self) -> None:
        """End it; what moves is told to come to rest."""
        if self.stopping:
            return
        leaves = [leaf for leaf in self._tree.iterate() if isinstance(leaf, Leaf)]
        self._resting = [leaf.pending for leaf in leaves if leaf.pending is not None]
        for pending in self._resting:
            pending.cancel()
        self._tree.stop(Status.INVALID)
        self._rest_until_ns = self._ports.now_ns() + _REST_NS

    def rests(self) -> bool:
        """Whether nothing moves any more, or it has been waited for long enough."""
        self._resting = [p for p in self._resting if p.outcome() is None]
        assert self._rest_until_ns is not None
        if self._resting and self._ports.now_ns() > self._rest_until_ns:
            self.task.error += "; its motion was told to stop, but did not say that it has"
            self._resting = []
        return not self._resting

    def _read_again(self, sentence: str) -> None:
        self.task.instruction = sentence
        try:
            understand(self.task, self._before(), self._ports)
        except TaskFailure:
            # Whoever is asked next says what is wrong with it.
            self.task.plan = None

    def _split(self) -> Pending:
        pending = self._ports.split(self.task.instruction, self.task.context)
        said = f"'{self.task.instruction}' is none of the known commands"
        return pending or Ended(Outcome(CODES["TASK_NOT_UNDERSTOOD"], said))

    def _grow(self) -> None:
        """Add the steps, once they are known."""
        self._steps.add_children([self._step_tree(step) for step in self.task.steps])

    def _step_tree(self, step: StepRun) -> Sequence:
        leaves: list[Leaf] = [
            kind(step, self.task, self._ports, self._policy)
            for kind in (Needs, Find, Confirm, Act, LookAgain)
        ]
        return Sequence(step.words, memory=True, children=leaves)
