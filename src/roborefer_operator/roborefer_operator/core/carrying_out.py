# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The leaves of a step: can it begin, what is it about, do it, and look again at the effect."""

from __future__ import annotations

from collections.abc import Generator

from roborefer_operator.core.behaviours import Leaf, Policy, Script, StepError
from roborefer_operator.core.codes import CODES, Decision, decide
from roborefer_operator.core.language.replies import ReplyKind
from roborefer_operator.core.language.steps import Verb
from roborefer_operator.core.ports import Outcome, Pending, Ports, Reference, Wish
from roborefer_operator.core.tasks import QuestionKind, StepRun, StepState, TaskRun

_NS = 1e9


class StepLeaf(Leaf):
    """A leaf of one step."""

    def __init__(
        self, name: str, step: StepRun, task: TaskRun, ports: Ports, policy: Policy
    ) -> None:
        super().__init__(f"{name} {step.words}", task, ports, policy)
        self.step = step

    def failed(self, error: StepError) -> None:
        """Keep it with the step too."""
        super().failed(error)
        self.step.code, self.step.message = error.code, str(error)

    def too_old(self, reference: Reference | None) -> bool:
        """Whether a reference has to be made anew before something moves."""
        if reference is None or self.ports.moved(reference):
            return True
        return self.ports.now_ns() - reference.stamp_ns > self.policy.reference_s * _NS

    @property
    def following(self) -> StepRun | None:
        """The step that puts down what this one takes."""
        index = self.task.steps.index(self.step)
        rest = self.task.steps[index + 1 : index + 2]
        return rest[0] if rest and rest[0].verb is Verb.PLACE else None


class Needs(StepLeaf):
    """Check that a step can begin."""

    def __init__(self, step: StepRun, task: TaskRun, ports: Ports, policy: Policy) -> None:
        super().__init__("can", step, task, ports, policy)

    def script(self) -> Script:
        """Look at the robot; a full or empty gripper is asked about."""
        step = self.step
        step.state, step.started_ns = StepState.RUNNING, self.ports.now_ns()
        self.task.current = self.task.steps.index(step)
        self.task.message = step.words
        if not self.ports.can(step.verb):
            raise StepError(
                CODES["TASK_NOT_SUPPORTED"],
                f"this robot cannot {step.words}; no server for it runs",
            )
        while problem := self._problem():
            outcome = Outcome(CODES["TASK_PRECONDITION_FAILED"], problem)
            step.code, step.message = outcome.code, problem
            reply = yield from self.ask(QuestionKind.GO_ON, f"{problem}. Shall I look again?")
            if reply.kind is not ReplyKind.YES:
                raise StepError(outcome.code, problem)
        step.code, step.message = 0, ""

    def _problem(self) -> str:
        if self.task.plan_only:
            return ""
        holding = self.ports.holding()
        if self.step.verb is Verb.PICK and holding:
            return (
                f"cannot {self.step.words} because the gripper holds something already; say where"
                " to put it"
            )
        if self.step.verb in (Verb.PLACE, Verb.HAND_OVER) and not holding:
            return f"cannot {self.step.words} because the gripper is empty"
        return ""


class Find(StepLeaf):
    """Find what the step is about, and for a pick where it will go: nothing moves before both."""

    def __init__(self, step: StepRun, task: TaskRun, ports: Ports, policy: Policy) -> None:
        super().__init__("find for", step, task, ports, policy)

    def script(self) -> Script:
        """Refer; what was found is kept with the steps."""
        step = self.step
        if step.verb is Verb.HAND_OVER:
            return
        if step.verb is not Verb.PLACE or self.too_old(step.reference):
            step.reference = yield from self.find(step)
        if step.verb is Verb.PICK and (goal := self.following) is not None:
            try:
                goal.reference = yield from self.find(goal)
            except StepError as error:
                raise StepError(
                    error.code, f"nothing was moved, because no place for it was found: {error}"
                ) from error


class Confirm(StepLeaf):
    """Show what will be done and wait for a yes."""

    def __init__(self, step: StepRun, task: TaskRun, ports: Ports, policy: Policy) -> None:
        super().__init__("confirm", step, task, ports, policy)

    def script(self) -> Script:
        """Ask until it is a yes or a no; other words change what is meant."""
        if not self.task.confirm or self.step.verb is Verb.REFER:
            return
        while True:
            references = tuple(
                step.reference
                for step in (self.step, self.following)
                if step is not None and step.reference is not None
            )
            text = f"Shall I {self.step.words}?"
            reply = yield from self.ask(QuestionKind.CONFIRM_PLAN, text, references)
            if reply.kind is ReplyKind.YES:
                return
            if reply.kind is ReplyKind.NO:
                raise StepError(CODES["TASK_DECLINED"], f"the operator said no to: {text}")
            meant = self.following if reply.is_place and self.following else self.step
            self.take_reply(meant, reply, Outcome())
            meant.reference = yield from self.find(meant, fresh=True)


class Act(StepLeaf):
    """Do it; what failed and can be tried again is looked for again first."""

    def __init__(self, step: StepRun, task: TaskRun, ports: Ports, policy: Policy) -> None:
        super().__init__("do", step, task, ports, policy)

    def script(self) -> Script:
        """Act until it worked, a person gave up, or the code says to abort."""
        step, tries = self.step, 0
        while True:
            if step.verb not in (Verb.HAND_OVER, Verb.REFER) and self.too_old(step.reference):
                step.reference = yield from self.find(step, fresh=True)
            step.attempts += 1
            tries += 1
            outcome = yield from self._do()
            decision = decide(outcome.code)
            if decision is Decision.DONE:
                step.seen = outcome.seen
                return
            if decision is Decision.ABORT:
                raise StepError(outcome.code, outcome.message)
            if decision is Decision.ASK or tries >= self.policy.most_tries:
                yield from self.go_on(step, outcome)
                tries = 0
            else:
                yield from self.pause()
            # What failed once is looked at again; the place for it may be as it was.
            step.reference = None

    def _do(self) -> Generator[None, None, Outcome]:
        step, plan_only = self.step, self.task.plan_only
        reference = step.reference
        pending: Pending
        if step.verb is Verb.REFER:
            return Outcome()
        if step.verb is Verb.HAND_OVER:
            pending = self.ports.hand_over(plan_only)
        else:
            assert reference is not None
            if step.verb is Verb.PICK:
                goal = self.following
                pending = self.ports.pick(reference, goal.reference if goal else None, plan_only)
            elif plan_only:
                # Without the thing in the hand there is nothing to plan for.
                return Outcome()
            elif step.verb is Verb.PLACE:
                pending = self.ports.place(reference, plan_only)
            else:
                pending = self.ports.go_to(reference)
        return (yield from self.wait(pending, step))


class LookAgain(StepLeaf):
    """See whether the effect is there: the hand is full or empty, and something stands there."""

    def __init__(self, step: StepRun, task: TaskRun, ports: Ports, policy: Policy) -> None:
        super().__init__("look again after", step, task, ports, policy)

    def script(self) -> Script:
        """Check hand and place; what is missing is an error of its own."""
        step = self.step
        if not self.task.plan_only:
            if step.verb is Verb.PICK and not self.ports.holding():
                raise StepError(
                    CODES["TASK_EFFECT_MISSING"], f"'{step.phrase}' is not in the gripper"
                )
            if step.verb is Verb.PLACE:
                yield from self._stands(step)
        step.state, step.ended_ns = StepState.SUCCEEDED, self.ports.now_ns()
        step.code, step.message = 0, ""

    def _stands(self, step: StepRun) -> Script:
        """Compare the surface at the place with what was there before."""
        before = step.reference
        known = before is not None and before.position is not None and self.policy.camera_fixed
        if step.seen or not known:
            return
        assert before is not None
        assert before.position is not None
        wish = Wish(step.phrase, before.pixel, fresh=True)
        outcome = yield from self.wait(self.ports.refer(wish))
        # A hole in the depth image or a hidden place proves nothing; the arm has looked, too.
        if outcome.code or not outcome.references or outcome.references[0].position is None:
            return
        after = outcome.references[0].position
        if max(abs(a - b) for a, b in zip(after, before.position, strict=True)) < _SAME_SURFACE_M:
            raise StepError(
                CODES["TASK_EFFECT_MISSING"],
                f"nothing stands where it was to be put, {step.phrase}",
            )


# A surface within this of the one before is the same one, metres: flat things are higher.
_SAME_SURFACE_M = 0.004
