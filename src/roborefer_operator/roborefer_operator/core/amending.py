# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What follows from a task that went before: putting back what it moved, doing it otherwise."""

from __future__ import annotations

from roborefer_operator.core.language.steps import Correction, Verb
from roborefer_operator.core.ports import KIND_FREE_SPACE, Reference
from roborefer_operator.core.tasks import StepRun, StepState, TaskRun

_FINDING = (Verb.PICK, Verb.REFER, Verb.GO_TO)


def undoing(last: TaskRun, holding: bool, first: int = 0) -> list[StepRun]:
    """Return the steps that put back what a task has moved, the last one first.

    Args:
        last: The task.
        holding: Whether the gripper holds something, which is what was picked last.
        first: Steps before this one stay done.
    """
    steps: list[StepRun] = []
    done = [s for s in _done(last, holding, first) if s.reference and not last.plan_only]
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


def _done(last: TaskRun, holding: bool, first: int) -> list[StepRun]:
    """Return the steps that had an effect, from this one on."""
    # What it put back belongs to an undo that is undone, but not to a correction that is.
    own = ([s for s in last.steps if not s.back] or last.steps)[first:]
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
    steps = [step for step in last.steps if not step.back]
    verbs = _FINDING if said.target else (Verb.PLACE,)
    index = _corrected_step(steps, verbs)
    if index is None:
        return undoing(last, holding) + [StepRun(step.verb, step.phrase) for step in steps]
    begin = index
    if not said.target and not holding and index and steps[index - 1].verb is Verb.PICK:
        # What was put at the wrong place is taken again.
        begin = index - 1
    again = [StepRun(step.verb, step.phrase) for step in steps[begin:]]
    again[index - begin].phrase = said.target or said.place
    if not said.target and holding:
        # The right thing is in the hand already; it only goes elsewhere.
        return again
    return undoing(last, holding, begin) + again


def _corrected_step(steps: list[StepRun], verbs: tuple[Verb, ...]) -> int | None:
    """Return the step that a correction is about: the last one of its kind that was begun."""
    kind = [number for number, step in enumerate(steps) if step.verb in verbs]
    begun = [n for n in kind if steps[n].attempts or steps[n].reference]
    return begun[-1] if begun else kind[0] if kind else None
