# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes sentences, answers and cancels, and carries tasks out one after the other."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from py_trees.common import Status
from py_trees.composites import Sequence

from roborefer_operator.core.amending import corrected, undoing
from roborefer_operator.core.behaviours import Leaf, Needs, Policy, Words
from roborefer_operator.core.carrying_out import Act, Confirm, Find, LookAgain
from roborefer_operator.core.codes import CODES
from roborefer_operator.core.language.grammar import is_stop, read
from roborefer_operator.core.language.replies import Reply, ReplyKind, read_reply
from roborefer_operator.core.language.steps import Context, Control, Correction, Plan, Verb
from roborefer_operator.core.ports import Ended, Outcome, Pending, Ports
from roborefer_operator.core.tasks import (
    Question,
    Source,
    StepRun,
    StepState,
    TaskRun,
    TaskState,
)
from roborefer_operator.exceptions import Reason, TaskFailure

_NS = 1e9
# Motion that was canceled must come to rest within this; then the task ends anyway.
_REST_NS = int(5 * _NS)


@dataclass(frozen=True)
class Limits:
    """How much is kept.

    Attributes:
        most_waiting: Tasks that wait their turn.
        most_kept: Ended tasks in the history.
    """

    most_waiting: int = 10
    most_kept: int = 100


class Executive:
    """Owns all tasks; may be called from any thread, and ticked by one."""

    def __init__(
        self,
        ports: Ports,
        policy: Policy | None = None,
        limits: Limits | None = None,
        changed: Callable[[TaskRun], None] = lambda task: None,
    ) -> None:
        """Begin without tasks.

        Args:
            ports: The rest of the robot.
            policy: How patient it is.
            limits: How much is kept.
            changed: Called with a task whenever something about it is new.
        """
        self._ports, self._policy = ports, policy or Policy()
        self._limits, self._changed = limits or Limits(), changed
        self._lock = threading.RLock()
        self._tasks: OrderedDict[str, TaskRun] = OrderedDict()
        self._waiting: deque[TaskRun] = deque()
        self._running: TaskRun | None = None
        self._tree: Sequence | None = None
        self._resting: list[Pending] = []
        self._rest_until_ns = 0
        self._stopped = False
        self._seen: dict[str, str] = {}

    # --- from people --------------------------------------------------------------------------
    def instruct(
        self,
        sentence: str,
        source: Source = Source.TYPED,
        words_confidence: float = 1.0,
        *,
        confirm: bool = False,
        wait_for_others: bool = False,
        plan_only: bool = False,
        deadline_s: float = 0.0,
    ) -> TaskRun:
        """Take a sentence: a command, a correction, an answer, or a word such as "stop".

        Returns:
            The task that it began, changed or answered.

        Raises:
            TaskFailure: It is no sentence for this robot now; nothing changed.
        """
        with self._lock:
            if is_stop(sentence):
                return self._stop_by_words(sentence, source)
            asking = self._running
            if asking is not None and asking.question is not None:
                columns = [c.pixel[0] for c in asking.question.candidates]
                reply = read_reply(sentence, columns)
                if reply.kind is not ReplyKind.WORDS or not _is_command(sentence):
                    asking.reply = reply
                    return asking
            task = self._understand(sentence)
            if self._stopped:
                raise TaskFailure(
                    Reason.STOPPED,
                    "the stop is set; say 'continue' or publish false on the topic stop first",
                )
            if len(self._waiting) >= self._limits.most_waiting:
                raise TaskFailure(
                    Reason.QUEUE_FULL,
                    f"{len(self._waiting)} tasks are waiting already; cancel one or wait",
                )
            task.source, task.words_confidence = source, words_confidence
            task.confirm, task.plan_only = confirm, plan_only
            now = self._ports.now_ns()
            task.accepted_ns, task.expires_ns = (
                now,
                now + int(deadline_s * _NS) if deadline_s else 0,
            )
            if not wait_for_others:
                self._preempt()
            self._keep(task)
            if not task.state.ended:
                self._waiting.append(task)
            self._tell(task)
            return task

    def answer(
        self,
        task_id: str,
        question_id: str,
        reply: Reply,
        pixel: tuple[float, float] | None = None,
    ) -> None:
        """Take the answer to the open question of a task.

        Raises:
            TaskFailure: UNKNOWN_ID, NOT_ASKED.
        """
        with self._lock:
            task = self.task(task_id)
            question = task.question
            if question is None or question.id != question_id:
                raise TaskFailure(
                    Reason.NOT_ASKED,
                    f"the task {task_id} has no open question '{question_id}'"
                    + (f"; '{question.id}' is open" if question else ""),
                )
            if reply.kind is ReplyKind.CANDIDATE and not (
                1 <= reply.candidate <= len(question.candidates)
            ):
                raise TaskFailure(
                    Reason.INVALID_GOAL,
                    f"there is no candidate {reply.candidate}; choose 1 to"
                    f" {len(question.candidates)}",
                )
            if reply.kind is ReplyKind.PIXEL and pixel is None:
                raise TaskFailure(Reason.INVALID_GOAL, "an answer by click needs a pixel")
            task.reply, task.clicked = reply, pixel

    def cancel(self, task_id: str = "") -> list[str]:
        """End a task, or all of them; what was done stays done.

        Returns:
            The tasks that are ending.

        Raises:
            TaskFailure: UNKNOWN_ID.
        """
        with self._lock:
            tasks = [self.task(task_id)] if task_id else list(self._tasks.values())
            ending = [task for task in tasks if not task.state.ended]
            for task in ending:
                self._end(task, CODES["CANCELED"], "canceled on request")
            return [task.id for task in ending]

    def set_stopped(self, stopped: bool) -> None:
        """Take over the latched stop; while it is set, nothing begins."""
        with self._lock:
            self._stopped = stopped
            if stopped:
                for task in list(self._tasks.values()):
                    if not task.state.ended:
                        self._end(task, CODES["STOPPED"], "the stop was set")

    # --- what is known ------------------------------------------------------------------------
    def task(self, task_id: str) -> TaskRun:
        """Return a task by its name.

        Raises:
            TaskFailure: UNKNOWN_ID.
        """
        found = self._tasks.get(task_id)
        if found is None:
            raise TaskFailure(Reason.UNKNOWN_ID, f"there is no task '{task_id}'")
        return found

    def history(self) -> list[TaskRun]:
        """Return all tasks that are kept, newest first."""
        with self._lock:
            return list(reversed(self._tasks.values()))

    @property
    def idle(self) -> bool:
        """Whether nothing runs, waits, or comes to rest."""
        with self._lock:
            return self._running is None and not self._waiting and not self._resting

    def context(self) -> Context:
        """What "it" and "there" stand for now."""
        target = place = ""
        for task in self._tasks.values():
            for step in task.steps:
                if step.state in (StepState.PENDING, StepState.SKIPPED) and step.reference is None:
                    continue
                if step.verb is Verb.PLACE:
                    place = step.phrase
                elif step.phrase:
                    target = step.phrase
        return Context(self._ports.holding(), target, place)

    # --- carrying out -------------------------------------------------------------------------
    def tick(self) -> None:
        """Go on with the current task; call it many times a second."""
        with self._lock:
            if self._come_to_rest():
                return
            if self._running is None and self._waiting:
                self._begin(self._waiting.popleft())
            task, tree = self._running, self._tree
            if task is None or tree is None:
                return
            if task.expires_ns and self._ports.now_ns() > task.expires_ns:
                self._end(task, CODES["TIMEOUT"], "the deadline of the task passed")
                return
            tree.tick_once()
            if tree.status is Status.SUCCESS:
                self._finish(task, 0, "")
            elif tree.status is Status.FAILURE:
                self._finish(task, task.code, task.error)
            self._tell(task)

    def _begin(self, task: TaskRun) -> None:
        self._running = task

        def read_again(sentence: str) -> None:
            try:
                task.instruction = sentence
                found = read(sentence, self.context())
                task.plan = found if isinstance(found, Plan) else None
            except TaskFailure:
                # Whoever is asked next says what is wrong with it.
                task.plan = None

        steps = Sequence("steps", memory=True)

        def grow() -> None:
            steps.add_children([self._step_tree(step, task) for step in task.steps])

        words = Words(task, self._ports, self._policy, read_again, lambda: self._split(task), grow)
        self._tree = Sequence(task.id, memory=True, children=[words, steps])

    def _split(self, task: TaskRun) -> Pending:
        pending = self._ports.split(task.instruction, self.context())
        said = f"'{task.instruction}' is none of the known commands"
        return pending or Ended(Outcome(CODES["TASK_NOT_UNDERSTOOD"], said))

    def _step_tree(self, step: StepRun, task: TaskRun) -> Sequence:
        leaves: list[Leaf] = [
            kind(step, task, self._ports, self._policy)
            for kind in (Needs, Find, Confirm, Act, LookAgain)
        ]
        return Sequence(step.words, memory=True, children=leaves)

    # --- endings ------------------------------------------------------------------------------
    def _finish(self, task: TaskRun, code: int, message: str) -> None:
        """Give a task its end."""
        now = self._ports.now_ns()
        for step in task.steps:
            if step.state is StepState.RUNNING:
                step.state, step.ended_ns = StepState.FAILED, now
            elif step.state is StepState.PENDING:
                step.state = StepState.SKIPPED
        canceled = code in (CODES["CANCELED"], CODES["PREEMPTED"], CODES["STOPPED"])
        if not code:
            task.state, task.current = TaskState.SUCCEEDED, len(task.steps)
        elif canceled:
            task.state = TaskState.CANCELED
        else:
            task.state = TaskState.PARTLY_DONE if task.steps_done else TaskState.FAILED
        task.code, task.error, task.question = code, message, None
        done = f"{task.steps_done} of {len(task.steps)} steps done"
        task.message = "done" if not code else f"{done}; {message}"
        if self._running is task:
            self._running = self._tree = None
        self._tell(task)

    def _end(self, task: TaskRun, code: int, message: str) -> None:
        """End a task from outside; its motion comes to rest before it is over."""
        task.code, task.error = code, message
        if task is not self._running:
            if task in self._waiting:
                self._waiting.remove(task)
            self._finish(task, code, message)
            return
        assert self._tree is not None
        if task.state is not TaskState.STOPPING:
            tip = self._tree.tip()
            pending = tip.pending if isinstance(tip, Leaf) else None
            self._tree.stop(Status.INVALID)
            self._resting = [pending] if pending is not None else []
            self._rest_until_ns = self._ports.now_ns() + _REST_NS
            task.state, task.question = TaskState.STOPPING, None
            task.message = "coming to rest"
        self._tell(task)
        self._come_to_rest()

    def _come_to_rest(self) -> bool:
        """Whether the motion of a task that was ended still goes on."""
        task = self._running
        if task is None or task.state is not TaskState.STOPPING:
            return False
        late = self._ports.now_ns() > self._rest_until_ns
        self._resting = [p for p in self._resting if p.outcome() is None]
        if self._resting and not late:
            return True
        self._resting = []
        self._finish(task, task.code, task.error)
        return False

    def _preempt(self) -> None:
        for task in [*self._waiting, *([self._running] if self._running else [])]:
            self._end(task, CODES["PREEMPTED"], "a newer sentence took over")

    def _stop_by_words(self, sentence: str, source: Source) -> TaskRun:
        self._ports.set_stop(True)
        self.set_stopped(True)
        task = self._new(sentence)
        task.source, task.message = source, "stopped; say 'continue' to release the stop"
        task.state = TaskState.SUCCEEDED
        self._keep(task)
        self._tell(task)
        return task

    # --- sentences ----------------------------------------------------------------------------
    def _new(self, sentence: str) -> TaskRun:
        now = self._ports.now_ns()
        return TaskRun(uuid.uuid4().hex[:12], sentence, accepted_ns=now, updated_ns=now)

    def _understand(self, sentence: str) -> TaskRun:
        """Make a task of a sentence.

        Raises:
            TaskFailure: As `read`, or there is nothing to correct, undo or repeat.
        """
        task = self._new(sentence)
        try:
            found = read(sentence, self.context())
        except TaskFailure as error:
            is_strange = error.reason is Reason.NOT_UNDERSTOOD and sentence.strip()
            if not is_strange or self._ports.split("", Context()) is None:
                raise
            return task
        if isinstance(found, Plan):
            task.plan = found
        elif isinstance(found, Correction):
            self._correct(task, found)
        elif found is Control.AGAIN:
            task.take([StepRun(s.verb, s.phrase) for s in self._last("repeat").steps])
        elif found is Control.UNDO:
            self._undo(task, self._last("undo"))
        elif found is Control.CONTINUE:
            if not self._stopped:
                raise TaskFailure(Reason.NOT_UNDERSTOOD, "nothing is stopped; say what to do")
            self._ports.set_stop(False)
            self._stopped = False
            task.state, task.message = TaskState.SUCCEEDED, "the stop is released"
        return task

    def _last(self, what: str) -> TaskRun:
        for task in reversed(self._tasks.values()):
            if task.steps:
                return task
        raise TaskFailure(Reason.NO_ANTECEDENT, f"there is nothing to {what}; say what to do")

    def _correct(self, task: TaskRun, said: Correction) -> None:
        """Turn "no, the left one" into what is to be done now."""
        if said.plan is not None:
            task.plan = said.plan
            return
        if not said.target and not said.place:
            raise TaskFailure(
                Reason.NOT_UNDERSTOOD,
                "what was meant instead is not said; say such as 'no, the left one' or 'stop'",
            )
        task.take(corrected(self._last("correct"), said, self._ports.holding()))

    def _undo(self, task: TaskRun, last: TaskRun) -> None:
        steps = undoing(last, self._ports.holding())
        if not steps:
            raise TaskFailure(
                Reason.NO_ANTECEDENT, f"'{last.instruction}' moved nothing that could be put back"
            )
        task.take(steps)
        for step in last.steps:
            if step.state is StepState.SUCCEEDED:
                step.state = StepState.UNDONE

    # --- telling ------------------------------------------------------------------------------
    def _keep(self, task: TaskRun) -> None:
        self._tasks[task.id] = task
        ended = [t for t in self._tasks.values() if t.state.ended]
        for old in ended[: max(0, len(self._tasks) - self._limits.most_kept)]:
            del self._tasks[old.id]
            self._seen.pop(old.id, None)

    def _tell(self, task: TaskRun) -> None:
        """Report a task, once per change."""
        steps = [(s.state, s.phase, s.attempts, s.code, s.phrase, s.reference) for s in task.steps]
        question: Question | None = task.question
        shown = repr((task.state, task.current, task.code, task.message, question, steps))
        if self._seen.get(task.id) != shown:
            self._seen[task.id] = shown
            task.updated_ns = self._ports.now_ns()
            self._changed(task)


def _is_command(sentence: str) -> bool:
    """Whether a sentence is more than the answer to a question."""
    try:
        return not isinstance(read(sentence, Context(True, "it", "there")), Correction)
    except TaskFailure:
        return False
