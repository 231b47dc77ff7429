# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a sentence means after the tasks that went before it; nothing begins here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roborefer_operator.core.amending import corrected, undoing
from roborefer_operator.core.language.grammar import read
from roborefer_operator.core.language.replies import Reply, ReplyKind, read_reply
from roborefer_operator.core.language.steps import Context, Control, Correction, Plan, Verb
from roborefer_operator.core.ports import Ports
from roborefer_operator.core.tasks import Question, QuestionKind, StepRun, StepState, TaskRun
from roborefer_operator.exceptions import Reason, TaskFailure


def context_of(tasks: Sequence[TaskRun], holding: bool) -> Context:
    """Return what "it" and "there" stand for after these tasks, oldest first."""
    target = place = held = ""
    for task in tasks:
        for step in task.steps:
            if step.state is StepState.SUCCEEDED and step.verb is Verb.PICK:
                held = step.phrase
            if step.state in (StepState.PENDING, StepState.SKIPPED) and step.reference is None:
                continue
            if step.back:
                continue
            if step.verb is Verb.PLACE:
                place = step.phrase
            elif step.phrase:
                target = step.phrase
    return Context(holding, target, place, held if holding else "")


def understand(task: TaskRun, before: Sequence[TaskRun], ports: Ports) -> None:
    """Find out what the sentence of a task means, and write it into the task.

    A task that comes out without plan is for the language model, or says "continue".

    Args:
        task: With its sentence; its plan and steps are made anew.
        before: The tasks before it, oldest first.
        ports: The rest of the robot.

    Raises:
        TaskFailure: As `read`, or there is nothing to correct, undo or repeat.
    """
    task.plan = task.reading = task.amend = task.undoes = task.corrects = None
    task.steps = []
    task.context = context_of(before, ports.holding())
    try:
        found = task.reading = read(task.instruction, task.context)
    except TaskFailure as error:
        is_strange = error.reason is Reason.NOT_UNDERSTOOD and task.instruction.strip()
        if not is_strange or ports.split("", Context()) is None:
            raise
        return
    if isinstance(found, Plan):
        task.plan = found
    elif isinstance(found, Correction):
        _correct(task, found, before, ports)
    elif found is Control.AGAIN:
        last = _last(before, "repeat")
        task.take([StepRun(s.verb, s.phrase) for s in last.steps if not s.back])
    elif found is Control.UNDO:
        _undo(task, before, ports)


def _last(before: Sequence[TaskRun], what: str, undoing_too: bool = False) -> TaskRun:
    for task in reversed(before):
        if any(undoing_too or not step.back for step in task.steps):
            return task
    raise TaskFailure(Reason.NO_ANTECEDENT, f"there is nothing to {what}; say what to do")


def _correct(task: TaskRun, said: Correction, before: Sequence[TaskRun], ports: Ports) -> None:
    """Turn "no, the left one" into what is to be done now."""
    if said.plan is not None:
        task.plan = said.plan
        return
    if not said.target and not said.place:
        raise TaskFailure(
            Reason.NOT_UNDERSTOOD,
            "what was meant instead is not said; say such as 'no, the left one' or 'stop'",
        )
    last = task.corrects = _last(before, "correct")
    _amend(task, lambda: corrected(last, said, ports.holding()))


def _undo(task: TaskRun, before: Sequence[TaskRun], ports: Ports) -> None:
    last = task.undoes = _last(before, "undo", undoing_too=True)
    _amend(task, lambda: undoing(last, ports.holding()))
    if not task.steps:
        raise TaskFailure(
            Reason.NO_ANTECEDENT, f"'{last.instruction}' moved nothing that could be put back"
        )


def _amend(task: TaskRun, steps: Callable[[], list[StepRun]]) -> None:
    """Take steps that depend on what another task has moved; made again when this one begins."""
    task.amend = steps
    task.take(steps())


def reply_of(question: Question, text: str, phrase: str = "") -> Reply:
    """Read the words with which a person answers a question.

    Args:
        question: The open one.
        text: What was typed or said: "yes", "the left one", "no, the blue mug".
        phrase: What the question is about, to complete "the left one".
    """
    which = question.kind is QuestionKind.WHICH
    columns = [c.pixel[0] for c in question.candidates] if which else []
    reply = read_reply(text, columns)
    if reply.kind is not ReplyKind.WORDS:
        return reply
    # "No, the left one" may name a side of what is asked about; else it needs its noun.
    said = _correction(text, "")
    if said is None:
        return reply
    side = read_reply(said.target, columns)
    if side.kind is ReplyKind.CANDIDATE:
        return side
    said = _correction(text, phrase) or said
    return Reply(ReplyKind.WORDS, text=said.place or said.target, is_place=bool(said.place))


def _correction(text: str, target: str) -> Correction | None:
    """Read a correction that names a thing or a place; None if it is none."""
    try:
        said = read(text, Context(True, target, "there"))
    except TaskFailure:
        return None
    named = isinstance(said, Correction) and said.plan is None and (said.target or said.place)
    return said if isinstance(said, Correction) and named else None


def is_command(sentence: str) -> bool:
    """Whether a sentence is more than the answer to a question."""
    try:
        return not isinstance(read(sentence, Context(True, "it", "there")), Correction)
    except TaskFailure:
        return False
