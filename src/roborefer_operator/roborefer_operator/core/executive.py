# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes sentences, answers and cancels, and carries tasks out one after the other."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from py_trees.common import Status

from roborefer_operator.core.behaviours import Policy
from roborefer_operator.core.codes import CODES
from roborefer_operator.core.language.grammar import is_stop
from roborefer_operator.core.language.replies import Reply, ReplyKind
from roborefer_operator.core.language.steps import Context, Control
from roborefer_operator.core.listening import Listening
from roborefer_operator.core.ports import Outcome, Ports, Samples
from roborefer_operator.core.running import Run
from roborefer_operator.core.tasks import Answer, Source, StepState, TaskRun, TaskState
from roborefer_operator.core.understanding import context_of, is_command, reply_of, understand
from roborefer_operator.exceptions import Reason, TaskFailure

_NS = 1e9
_T = TypeVar("_T")


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
        defect: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        """Begin without tasks.

        Args:
            ports: The rest of the robot.
            policy: How patient it is.
            limits: How much is kept.
            changed: Called with a task whenever something about it is new.
            defect: Called with what no code has foreseen.
        """
        self._ports, self._policy = ports, policy or Policy()
        self._limits, self._changed, self._defect = limits or Limits(), changed, defect
        self._lock = threading.RLock()
        self._tasks: OrderedDict[str, TaskRun] = OrderedDict()
        self._waiting: deque[TaskRun] = deque()
        self._run: Run | None = None
        self._listening = Listening()
        self._stopped = False
        self._seen: dict[str, object] = {}

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
        if not 0.0 <= words_confidence <= 1.0:
            raise TaskFailure(
                Reason.INVALID_GOAL, f"words_confidence is {words_confidence}; 0 to 1 is right"
            )
        with self._lock:
            task = self._new(sentence, source, confirm=confirm, waits=wait_for_others)
            task.words_confidence, task.plan_only = words_confidence, plan_only
            if deadline_s:
                task.expires_ns = task.accepted_ns + int(deadline_s * _NS)
            return self._take(task)

    def listen(
        self, samples: Samples, *, confirm: bool = False, wait_for_others: bool = False
    ) -> TaskRun:
        """Take a sentence as sound; what it says counts from when it is recognised.

        Args:
            samples: 16000 per second, shape (n,).
            confirm: As for `instruct`.
            wait_for_others: As for `instruct`.

        Returns:
            A task that is being understood.

        Raises:
            TaskFailure: ENGINE_UNAVAILABLE, QUEUE_FULL.
        """
        with self._lock:
            if len(self._listening) >= self._limits.most_waiting:
                raise TaskFailure(
                    Reason.QUEUE_FULL,
                    f"{len(self._listening)} sentences are being recognised already; wait",
                )
            pending = self._ports.hear(samples)
            if pending is None:
                raise TaskFailure(
                    Reason.ENGINE_UNAVAILABLE, "no recogniser of speech is here; type the sentence"
                )
            task = self._new("", Source.SPOKEN, confirm=confirm, waits=wait_for_others)
            task.state, task.message = TaskState.UNDERSTANDING, "listening to what was said"
            self._listening.add(task, pending)
            self._keep(task)
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
            if reply.kind is ReplyKind.PIXEL and not (pixel and all(map(isfinite, pixel))):
                raise TaskFailure(Reason.INVALID_GOAL, f"a click needs a pixel, not {pixel}")
            if reply.kind is ReplyKind.WORDS:
                if is_stop(reply.text):
                    self._stop_by_words(self._new(reply.text))
                    return
                reply = reply_of(question, reply.text, _phrase(task))
            self._reply(task, reply, pixel)

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

    def look(self, task: TaskRun, convert: Callable[[TaskRun], _T]) -> _T:
        """Return what a function makes of a task, which does not change meanwhile."""
        with self._lock:
            return convert(task)

    @property
    def idle(self) -> bool:
        """Whether nothing runs, waits, is being recognised, or comes to rest."""
        with self._lock:
            return not (self._run or self._waiting or len(self._listening))

    def context(self) -> Context:
        """What "it" and "there" stand for now."""
        with self._lock:
            return context_of(list(self._tasks.values()), self._ports.holding())

    # --- carrying out -------------------------------------------------------------------------
    def tick(self) -> None:
        """Go on with the current task; call it many times a second."""
        with self._lock:
            for heard in self._listening.done(self._ports.now_ns()):
                self._take_heard(*heard)
            self._expire()
            self._come_to_rest()
            if self._run is None and self._waiting:
                self._begin(self._waiting.popleft())
            if self._run is not None and not self._run.stopping:
                self._go_on(self._run)

    def _begin(self, task: TaskRun) -> None:
        try:
            self._run = Run(task, self._ports, self._policy, lambda: self._before(task))
        except Exception as error:
            self._break(task, error)

    def _break(self, task: TaskRun, error: Exception) -> None:
        """End a task by a defect, which must not end the program that can stop the robot."""
        self._defect(error)
        self._end(task, CODES["INTERNAL_ERROR"], f"a defect of the executive: {error!r}")

    def _go_on(self, run: Run) -> None:
        task = run.task
        try:
            status = run.tick()
        except Exception as error:
            self._break(task, error)
            return
        if status is Status.SUCCESS:
            self._finish(task, 0, "")
        elif status is Status.FAILURE:
            self._finish(task, task.code, task.error)
        self._tell(task)

    @property
    def _running(self) -> TaskRun | None:
        return self._run.task if self._run is not None else None

    def _take_heard(self, task: TaskRun, outcome: Outcome) -> None:
        heard = outcome.heard
        if heard is None:
            self._finish(task, outcome.code or CODES["INTERNAL_ERROR"], outcome.message)
            return
        task.instruction, task.words_confidence = heard.text, heard.confidence
        try:
            if not heard.text.strip():
                raise TaskFailure(
                    Reason.SPEECH_NOT_UNDERSTOOD, "sound was heard, but no words in it"
                )
            taken = self._take(task)
        except TaskFailure as error:
            self._finish(task, CODES[error.reason.value], str(error))
            return
        except Exception as error:
            self._break(task, error)
            return
        if taken is not task:
            self._finish(task, 0, "", f"answered the question of task {taken.id}")

    def _expire(self) -> None:
        """End what has passed its deadline, also while it waits."""
        now = self._ports.now_ns()
        for task in self._begun():
            if task.expires_ns and now > task.expires_ns and task.state is not TaskState.STOPPING:
                self._end(task, CODES["TIMEOUT"], "the deadline of the task passed")

    def _begun(self) -> list[TaskRun]:
        """Return what waits and what runs."""
        return [*self._waiting, *([self._run.task] if self._run is not None else [])]

    # --- endings ------------------------------------------------------------------------------
    def _finish(self, task: TaskRun, code: int, message: str, said: str = "done") -> None:
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
            for step in task.undoes.steps if task.undoes else ():
                if step.state is StepState.SUCCEEDED:
                    step.state = StepState.UNDONE
        elif canceled:
            task.state = TaskState.CANCELED
        else:
            task.state = TaskState.PARTLY_DONE if task.steps_done else TaskState.FAILED
        task.code, task.error, task.question = code, message, None
        done = f"{task.steps_done} of {len(task.steps)} steps done"
        task.message = said if not code else f"{done}; {message}"
        if self._running is task:
            self._run = None
        if task.undoes is not None:
            self._tell(task.undoes)
        self._tell(task)
        # A task must not keep those before it alive for ever.
        task.undoes = task.corrects = task.amend = None

    def _end(self, task: TaskRun, code: int, message: str) -> None:
        """End a task from outside; its motion comes to rest before it is over."""
        task.code, task.error = code, message
        run = self._run
        if run is None or task is not run.task:
            if task in self._waiting:
                self._waiting.remove(task)
            self._finish(task, code, message)
            return
        if not run.stopping:
            run.stop()
            task.state, task.question, task.message = TaskState.STOPPING, None, "coming to rest"
        self._tell(task)
        self._come_to_rest()

    def _come_to_rest(self) -> None:
        """Finish a task that was ended, once nothing moves any more."""
        run = self._run
        if run is not None and run.stopping and run.rests():
            self._finish(run.task, run.task.code, run.task.error)

    def _preempt(self) -> None:
        for task in self._begun():
            self._end(task, CODES["PREEMPTED"], "a newer sentence took over")

    # --- sentences ----------------------------------------------------------------------------
    def _new(
        self,
        sentence: str,
        source: Source = Source.TYPED,
        confirm: bool = False,
        waits: bool = False,
    ) -> TaskRun:
        now = self._ports.now_ns()
        return TaskRun(
            uuid.uuid4().hex[:12], sentence, source, confirm=confirm, waits=waits,
            accepted_ns=now, updated_ns=now,
        )  # fmt: skip

    def _take(self, task: TaskRun) -> TaskRun:
        """Take the sentence of a new task.

        Returns:
            That task, or the one whose question it answers.

        Raises:
            TaskFailure: As `instruct`.
        """
        sentence = task.instruction
        if is_stop(sentence):
            return self._stop_by_words(task)
        asking = self._running
        if asking is not None and asking.question is not None:
            reply = reply_of(asking.question, sentence, _phrase(asking))
            if reply.kind is not ReplyKind.WORDS or not is_command(sentence):
                # A no that was misheard costs a repetition, anything else may move the robot.
                if reply.kind is not ReplyKind.NO:
                    self._need_sure(task)
                self._reply(asking, reply)
                return asking
        understand(task, self._before(task), self._ports)
        if task.reading is Control.CONTINUE:
            return self._continue(task)
        if self._stopped:
            raise TaskFailure(
                Reason.STOPPED,
                "the stop is set; say 'continue' or publish false on the topic stop first",
            )
        if task.waits and len(self._waiting) >= self._limits.most_waiting:
            raise TaskFailure(
                Reason.QUEUE_FULL,
                f"{len(self._waiting)} tasks are waiting already; cancel one or wait",
            )
        if not task.waits:
            self._preempt()
        task.state, task.message = TaskState.QUEUED, "waits for its turn"
        self._waiting.append(task)
        self._keep(task)
        self._tell(task)
        return task

    def _stop_by_words(self, task: TaskRun) -> TaskRun:
        self._ports.set_stop(True)
        task.state, task.message = TaskState.SUCCEEDED, "stopped; say 'continue' to release it"
        self.set_stopped(True)
        self._keep(task)
        self._tell(task)
        return task

    def _continue(self, task: TaskRun) -> TaskRun:
        if not self._stopped:
            raise TaskFailure(Reason.NOT_UNDERSTOOD, "nothing is stopped; say what to do")
        self._need_sure(task)
        self._ports.set_stop(False)
        self._stopped = False
        task.state, task.message = TaskState.SUCCEEDED, "the stop is released"
        self._keep(task)
        self._tell(task)
        return task

    def _need_sure(self, task: TaskRun) -> None:
        """Refuse words that were heard badly where they would count at once.

        Raises:
            TaskFailure: SPEECH_UNSURE.
        """
        if not task.words_confidence >= self._policy.least_words_confidence:
            raise TaskFailure(
                Reason.SPEECH_UNSURE,
                f"'{task.instruction}' was heard, but not surely enough; say it again or type it",
            )

    def _reply(
        self, task: TaskRun, reply: Reply, pixel: tuple[float, float] | None = None
    ) -> None:
        assert task.question is not None
        task.reply, task.clicked = reply, pixel
        task.answers.append(Answer(task.question, reply, pixel))
        self._tell(task)

    def _before(self, task: TaskRun) -> list[TaskRun]:
        """Return the other tasks, oldest first."""
        return [other for other in self._tasks.values() if other is not task]

    # --- telling ------------------------------------------------------------------------------
    def _keep(self, task: TaskRun) -> None:
        self._tasks[task.id] = task
        self._tasks.move_to_end(task.id)
        ended = [t for t in self._tasks.values() if t.state.ended]
        for old in ended[: max(0, len(self._tasks) - self._limits.most_kept)]:
            del self._tasks[old.id]
            self._seen.pop(old.id, None)

    def _tell(self, task: TaskRun) -> None:
        """Report a task, once per change."""
        shown = (
            task.state, task.instruction, task.current, task.code, task.message, task.question,
            len(task.answers),
            tuple(
                (s.state, s.phase, s.attempts, s.code, s.phrase, s.reference) for s in task.steps
            ),
        )  # fmt: skip
        if self._seen.get(task.id) != shown:
            self._seen[task.id] = shown
            task.updated_ns = self._ports.now_ns()
            self._changed(task)


def _phrase(task: TaskRun) -> str:
    """Return the words of the step in work."""
    return task.steps[task.current].phrase if task.current < len(task.steps) else ""
