# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The leaves of a task's behaviour tree (py_trees): find, act, ask, look again.

A leaf is written as a generator that gives way while it waits, so that it reads from top to
bottom; the tree ticks it, and interrupts it wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count

from py_trees.behaviour import Behaviour
from py_trees.common import Status

from roborefer_operator.core.codes import CODES, Decision, decide
from roborefer_operator.core.language.replies import Reply, ReplyKind
from roborefer_operator.core.language.steps import Plan, Verb
from roborefer_operator.core.ports import (
    KIND_FREE_SPACE,
    KIND_UNKNOWN,
    Outcome,
    Pending,
    Ports,
    Reference,
    Wish,
)
from roborefer_operator.core.tasks import (
    Question,
    QuestionKind,
    StepRun,
    TaskRun,
    TaskState,
)

_NS = 1e9
_PAUSE_NS = int(0.3 * _NS)


@dataclass(frozen=True)
class Policy:
    """How patient the executive is.

    Attributes:
        most_tries: Of one request whose code asks for a retry.
        question_s: How long a question stays open; 0 for ever.
        reference_s: Older references are made anew before something moves.
        least_words_confidence: Spoken words below this are read back first.
        camera_fixed: Whether a pixel shows the same place in every image.
    """

    most_tries: int = 3
    question_s: float = 120.0
    reference_s: float = 8.0
    least_words_confidence: float = 0.6
    camera_fixed: bool = True


class StepError(Exception):
    """A step is given up.

    Attributes:
        code: Constant of ErrorCode.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


Script = Generator[None, None, None]
_question_numbers = count(1)


class Leaf(Behaviour):
    """Runs a script; fails when the script raises StepError."""

    def __init__(self, name: str, task: TaskRun, ports: Ports, policy: Policy) -> None:
        super().__init__(name)
        self.task, self.ports, self.policy = task, ports, policy
        self.pending: Pending | None = None
        self._script: Script | None = None

    def script(self) -> Script:
        """Do the work; every bare yield waits for the next tick."""
        raise NotImplementedError

    def failed(self, error: StepError) -> None:
        """Keep why the script ended early."""
        self.task.code, self.task.error = error.code, str(error)

    def initialise(self) -> None:
        """Begin anew."""
        self._script = self.script()

    def update(self) -> Status:
        """Go on to the next wait."""
        assert self._script is not None
        try:
            next(self._script)
        except StopIteration:
            return Status.SUCCESS
        except StepError as error:
            self.failed(error)
            return Status.FAILURE
        return Status.RUNNING

    def terminate(self, new_status: Status) -> None:
        """Give up what is under way when the tree is interrupted."""
        if new_status is Status.INVALID:
            if self.pending is not None:
                self.pending.cancel()
            if self._script is not None:
                self._script.close()

    # --- what scripts are made of -------------------------------------------------------------
    def wait(
        self, pending: Pending, step: StepRun | None = None
    ) -> Generator[None, None, Outcome]:
        """Wait for the end of a request; its phase is shown meanwhile."""
        self.pending = pending
        while (outcome := pending.outcome()) is None:
            if step is not None:
                step.phase = pending.phase
            yield
        self.pending = None
        if step is not None:
            step.phase = outcome.phase
            step.code, step.message = outcome.code, outcome.message
        return outcome

    def pause(self) -> Script:
        """Let things come to rest before the same is tried again."""
        until = self.ports.now_ns() + _PAUSE_NS
        while self.ports.now_ns() < until:
            yield

    def ask(
        self, kind: QuestionKind, text: str, candidates: tuple[Reference, ...] = ()
    ) -> Generator[None, None, Reply]:
        """Ask a person and wait for the answer.

        Raises:
            StepError: TASK_UNANSWERED.
        """
        now = self.ports.now_ns()
        wait_ns = int(self.policy.question_s * _NS)
        self.task.question = Question(
            kind, f"{self.task.id}-q{next(_question_numbers)}", text, candidates, now,
            now + wait_ns if wait_ns else 0,
        )  # fmt: skip
        before, self.task.state = (self.task.state, self.task.message), TaskState.ASKING
        self.task.reply, self.task.message = None, text
        try:
            while self.task.reply is None:
                if wait_ns and self.ports.now_ns() > now + wait_ns:
                    raise StepError(
                        CODES["TASK_UNANSWERED"],
                        f"nobody answered '{text}' within {self.policy.question_s:g} s",
                    )
                yield
            return self.task.reply
        finally:
            self.task.question = None
            self.task.state, self.task.message = before

    def find(self, step: StepRun, fresh: bool = False) -> Generator[None, None, Reference]:
        """Find what a step is about, with retries and questions.

        Raises:
            StepError: It was not found, or a person gave up.
        """
        tries = 0
        while True:
            tries += 1
            wish = Wish(step.phrase, step.pixel, step.place_kind, fresh or tries > 1)
            outcome = yield from self.wait(self.ports.refer(wish), step)
            if outcome.code == 0 and outcome.references:
                found = outcome.references[0]
                problem = _misfit(step, found)
                if not problem:
                    return found
                outcome = Outcome(CODES["REFER_WRONG_KIND"], problem)
                step.code, step.message = outcome.code, problem
            decision = decide(outcome.code)
            if decision is Decision.RETRY and tries < self.policy.most_tries:
                yield from self.pause()
            elif decision is Decision.ABORT:
                raise StepError(outcome.code, outcome.message)
            elif outcome.candidates:
                chosen = yield from self._which(step, outcome)
                if chosen is not None:
                    return chosen
                tries = 0
            else:
                yield from self.go_on(step, outcome)
                tries = 0

    def _which(self, step: StepRun, outcome: Outcome) -> Generator[None, None, Reference | None]:
        """Let a person choose; None when they said or clicked something else."""
        names = ", ".join(
            f"{number}: {c.label or 'this one'}" for number, c in enumerate(outcome.candidates, 1)
        )
        text = f"Which one is '{step.phrase}'? {names}. Say a number, a side, or other words."
        reply = yield from self.ask(QuestionKind.WHICH, text, outcome.candidates)
        number = 1 if reply.kind is ReplyKind.YES and len(outcome.candidates) == 1 else 0
        number = reply.candidate if reply.kind is ReplyKind.CANDIDATE else number
        if not 1 <= number <= len(outcome.candidates):
            self.take_reply(step, reply, outcome)
            return None
        chosen = outcome.candidates[number - 1]
        if self.policy.camera_fixed:
            # The words would be as ambiguous again when it has to be looked for once more.
            step.pixel = chosen.pixel
        if problem := _misfit(step, chosen):
            yield from self.go_on(step, Outcome(CODES["REFER_WRONG_KIND"], problem))
            return None
        return chosen

    def go_on(self, step: StepRun, outcome: Outcome) -> Script:
        """Tell a person what failed; return when it shall be tried again.

        Raises:
            StepError: They said no.
        """
        text = f"I could not {step.words}: {outcome.message or 'no reason given'}. Try again?"
        reply = yield from self.ask(QuestionKind.GO_ON, text)
        self.take_reply(step, reply, outcome)

    def take_reply(self, step: StepRun, reply: Reply, outcome: Outcome) -> None:
        """Change the step as a person said.

        Raises:
            StepError: They said no.
        """
        if reply.kind is ReplyKind.NO:
            raise StepError(outcome.code or CODES["TASK_DECLINED"], outcome.message)
        if reply.kind is ReplyKind.PIXEL:
            step.pixel = self.task.clicked
            step.place_kind = KIND_FREE_SPACE if step.verb is Verb.PLACE else KIND_UNKNOWN
        elif reply.kind is ReplyKind.WORDS:
            step.phrase, step.pixel, step.place_kind = reply.text, None, KIND_UNKNOWN


class Words(Leaf):
    """Find out what the sentence means: read it back if unsure, ask a language model if needed."""

    def __init__(
        self,
        task: TaskRun,
        ports: Ports,
        policy: Policy,
        read: Callable[[str], None],
        split: Callable[[], Pending],
        grow: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            task: Whose words.
            ports: The rest of the robot.
            policy: How patient.
            read: Reads other words instead.
            split: Asks the language model.
            grow: Called when the steps are known.
        """
        super().__init__("understand the words", task, ports, policy)
        self._read, self._split, self._grow = read, split, grow

    def script(self) -> Script:
        """Confirm, split, and choose between readings."""
        task = self.task
        task.state = TaskState.UNDERSTANDING
        if not task.words_confidence >= self.policy.least_words_confidence:
            text = f"Did you say '{task.instruction}'?"
            reply = yield from self.ask(QuestionKind.CONFIRM_WORDS, text)
            if reply.kind is ReplyKind.NO:
                raise StepError(
                    CODES["TASK_DECLINED"], "the words were heard wrongly; say it again"
                )
            if reply.kind is ReplyKind.WORDS:
                task.plan = None
                self._read(reply.text)
        if task.plan is None:
            outcome = yield from self.wait(self._split())
            if outcome.plan is None:
                raise StepError(outcome.code, outcome.message)
            task.plan = outcome.plan
        if not task.steps:
            yield from self._choose_reading(task.plan)
        task.state = TaskState.RUNNING
        self._grow()

    def _choose_reading(self, plan: Plan) -> Script:
        """Take the first reading whose thing is found for sure; the first one if none is."""
        chosen = plan.steps
        for steps in (plan.steps, *plan.others) if plan.others else ():
            outcome = yield from self.wait(self.ports.refer(Wish(steps[0].phrase)))
            if outcome.code == 0:
                chosen = steps
                break
        self.task.take([StepRun(step.verb, step.phrase) for step in chosen])


def _misfit(step: StepRun, found: Reference) -> str:
    """Say why what was found is not what the step needs; "" if it fits."""
    if step.verb is Verb.PICK and found.kind == KIND_FREE_SPACE:
        return f"'{step.phrase}' is a place and no thing that can be taken"
    if step.verb in (Verb.PICK, Verb.PLACE) and found.position is None:
        return f"'{step.phrase}' was found in the image, but not how far away it is"
    return ""
