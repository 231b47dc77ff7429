# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What follows from a task that went before: putting back what it moved, doing it otherwise."""

from __future__ import annotations

from roborefer_operator.core.language.steps import Correction, Verb
from roborefer_operator.core.ports import KIND_FREE_SPACE, Reference
from roborefer_operator.core.tasks import StepRun, StepState, TaskRun


def undoing(last: TaskRun, holding: bool) -> list[StepRun]:
    """Return the steps that put back what a task has moved, the last one first.

    Args:
        last: The task.
        holding: Whether the gripper holds something, which is what was picked last.
    """
    steps: list[StepRun] = []
    done = [s for s in _done(last, holding) if s.reference and not last.plan_only]
    for number, step in reversed(list(enumerate(done))):
        before = done[number - 1] if number else None
        if step.reference is None:
            continue
        if step.verb is Verb.PLACE:
            # What was in the hand before this task goes back there.
            moved = before if before is not None and before.verb is Verb.PICK else None
            words = moved.phrase if moved is not None else last.context.target
            steps.append(StepRun(Verb.PICK, words, step.reference.pixel, back=True))
        elif step.verb is Verb.PICK:
            after = done[number + 1] if number + 1 < len(done) else None
            if holding or (after is not None and after.verb is Verb.PLACE):
                steps.append(_put_back(step.reference))
    return steps


def _put_back(to: Reference) -> StepRun:
    return StepRun(Verb.PLACE, "where it was", to.pixel, KIND_FREE_SPACE, back=True)


def _done(last: TaskRun, holding: bool) -> list[StepRun]:
    """Return the steps that had an effect."""
    # What it put back belongs to an undo that is undone, but not to a correction that is.
    own = [s for s in last.steps if not s.back] or last.steps
    begun = [s for s in own if s.attempts or s.state is StepState.SUCCEEDED]
    done = [s for s in begun if s.state is StepState.SUCCEEDED]
    if holding and begun and begun[-1] not in done and begun[-1].verb is Verb.PICK:
        # It was interrupted with the thing in the hand.
        done.append(begun[-1])
    return done


def corrected(last: TaskRun, said: Correction, holding: bool) -> list[StepRun]:
    """Return the steps that make up for a misunderstanding: put back, then do what was meant.

    Args:
        last: The task that was misunderstood.
        said: What was meant instead.
        holding: Whether the gripper holds something.
    """
    steps = []
    for step in last.steps:
        if step.back:
            continue
        phrase = step.phrase
        if said.place and step.verb is Verb.PLACE:
            phrase = said.place
        elif said.target and step.verb in (Verb.PICK, Verb.REFER, Verb.GO_TO):
            phrase = said.target
        steps.append(StepRun(step.verb, phrase))
    if said.place and not said.target and holding:
        # The right thing is in the hand already; it only goes elsewhere.
        while steps and steps[0].verb is not Verb.PLACE:
            steps.pop(0)
        return steps
    return undoing(last, holding) + steps
