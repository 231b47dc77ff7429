# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A task and its steps as they stand: what people see and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from roborefer_operator.core.language.replies import Reply
from roborefer_operator.core.language.steps import Context, Plan, Step, Utterance, Verb
from roborefer_operator.core.ports import Reference


class TaskState(IntEnum):
    """The constants of roborefer_msgs/TaskStatus."""

    QUEUED = 0
    UNDERSTANDING = 1
    RUNNING = 2
    ASKING = 3
    STOPPING = 4
    SUCCEEDED = 5
    PARTLY_DONE = 6
    FAILED = 7
    CANCELED = 8

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self >= TaskState.SUCCEEDED


class Source(IntEnum):
    """Where the words came from: the constants of roborefer_msgs/TaskStatus."""

    TYPED = 0
    SPOKEN = 1
    PROGRAM = 2


class StepState(IntEnum):
    """The constants of roborefer_msgs/TaskStep."""

    PENDING = 0
    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3
    SKIPPED = 4
    UNDONE = 5


class QuestionKind(IntEnum):
    """The constants of roborefer_msgs/Question."""

    NONE = 0
    WHICH = 1
    CONFIRM_WORDS = 2
    CONFIRM_PLAN = 3
    GO_ON = 4


@dataclass(eq=False)
class StepRun:
    """A step and what became of it; fields as in roborefer_msgs/TaskStep.

    Attributes:
        back: It puts back what was moved before, and stands in no sentence.
        pixel: Where in the image it is, when that was clicked or is known from before; the words
            are not looked for then.
        place_kind: Kind of what the pixel shows.
        seen: Whether whoever acted has measured the effect.
    """

    verb: Verb
    phrase: str
    pixel: tuple[float, float] | None = None
    place_kind: int = 0
    back: bool = False
    state: StepState = StepState.PENDING
    phase: int = 0
    attempts: int = 0
    code: int = 0
    message: str = ""
    reference: Reference | None = None
    started_ns: int = 0
    ended_ns: int = 0
    seen: bool = False

    @property
    def words(self) -> str:
        """The step in words, for people."""
        what = {
            Verb.REFER: "find", Verb.PICK: "pick", Verb.PLACE: "put it", Verb.GO_TO: "go to",
            Verb.HAND_OVER: "hand it over",
        }[self.verb]  # fmt: skip
        return f"{what} {self.phrase}".strip()


@dataclass(frozen=True)
class Question:
    """An open question; fields as in roborefer_msgs/Question."""

    kind: QuestionKind
    id: str
    text: str
    candidates: tuple[Reference, ...] = ()
    asked_ns: int = 0
    expires_ns: int = 0


@dataclass(frozen=True)
class Answer:
    """What a person answered.

    Attributes:
        question: To which question.
        reply: How.
        pixel: Of a click; else None.
    """

    question: Question
    reply: Reply
    pixel: tuple[float, float] | None = None


@dataclass(eq=False)
class TaskRun:
    """A task; fields as in roborefer_msgs/TaskStatus.

    Attributes:
        waits: Begin only when the tasks before it have ended.
        confirm: Show the plan of each step and wait for a yes before moving.
        plan_only: Move nothing.
        expires_ns: When it is given up; 0 for never.
        plan: What the sentence means; None until that is known.
        reading: What the grammar read; None where it read nothing.
        context: What the grammar knew when it read.
        amend: Makes the steps of a task that undoes or corrects another one, as things stand now.
        undoes: The task whose effects this one takes back.
        corrects: The task that was misunderstood.
        reply: The answer to the open question, until it is taken.
        clicked: Pixel of that answer.
        answers: All answers, oldest first.
    """

    id: str
    instruction: str
    source: Source = Source.TYPED
    words_confidence: float = 1.0
    confirm: bool = False
    plan_only: bool = False
    waits: bool = False
    expires_ns: int = 0
    state: TaskState = TaskState.QUEUED
    steps: list[StepRun] = field(default_factory=list)
    current: int = 0
    question: Question | None = None
    code: int = 0
    error: str = ""
    message: str = ""
    accepted_ns: int = 0
    updated_ns: int = 0
    plan: Plan | None = None
    reading: Utterance | None = None
    context: Context = field(default_factory=Context)
    amend: Callable[[], list[StepRun]] | None = None
    undoes: TaskRun | None = None
    corrects: TaskRun | None = None
    reply: Reply | None = None
    clicked: tuple[float, float] | None = None
    answers: list[Answer] = field(default_factory=list)

    @property
    def steps_done(self) -> int:
        """How many steps were done and seen to be done."""
        return sum(step.state is StepState.SUCCEEDED for step in self.steps)

    def take(self, steps: list[StepRun]) -> None:
        """Begin with these steps; nothing has to be understood any more."""
        self.steps = steps
        self.plan = Plan(tuple(Step(step.verb, step.phrase) for step in steps))
