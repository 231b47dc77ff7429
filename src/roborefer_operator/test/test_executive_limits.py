# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What must hold when sentences come at bad moments, badly heard, or when something breaks."""

import numpy as np
import pytest
from roborefer_operator.core import executive
from roborefer_operator.core.codes import CODES
from roborefer_operator.core.executive import Limits
from roborefer_operator.core.language.replies import Reply, ReplyKind
from roborefer_operator.core.language.steps import Verb
from roborefer_operator.core.ports import Ended, Heard, Outcome
from roborefer_operator.core.tasks import Source, StepState, TaskState
from roborefer_operator.exceptions import Reason, TaskFailure
from roborefer_operator.testing import Running
from words_bench import Bench

SOUND = np.zeros(16000, np.int16)


@pytest.fixture
def bench():
    return Bench()


def says(bench, text, confidence=1.0, looks=2):
    """Let the recogniser hear this."""
    outcome = Outcome(heard=Heard(text, confidence))
    bench.world.hearing = lambda samples: Running(looks, lambda: outcome)


def spoken(bench, text, confidence=1.0):
    says(bench, text, confidence)
    task = bench.executive.listen(SOUND)
    return bench.until(task, lambda t: t.state.ended or t.question is not None)


# --- states ------------------------------------------------------------------------------------
def test_a_sentence_that_is_refused_changes_no_task(bench):
    first = bench.run("put the red mug left of the plate")
    bench.executive.set_stopped(True)

    with pytest.raises(TaskFailure) as refused:
        bench.executive.instruct("undo")

    assert refused.value.reason is Reason.STOPPED
    assert {step.state for step in first.steps} == {StepState.SUCCEEDED}


def test_steps_count_as_undone_only_when_they_are(bench):
    first = bench.run("put the red mug left of the plate")
    bench.world.fail = lambda what, number: Outcome(272, "unsafe") if what == "pick" else None

    undo = bench.run("undo")

    assert undo.state is TaskState.FAILED
    assert {step.state for step in first.steps} == {StepState.SUCCEEDED}


def test_undo_after_undo_does_it_again(bench):
    bench.run("put the red mug left of the plate")
    bench.run("undo")

    bench.run("undo")

    assert bench.world.things["red mug"] == (150.0, 205.0)


def test_undoing_a_place_takes_the_thing_into_the_hand_again(bench):
    bench.run("pick the red mug")
    bench.run("put it left of the plate")

    undo = bench.run("undo")

    assert undo.state is TaskState.SUCCEEDED
    assert bench.world.held == "red mug"
    assert undo.steps[0].phrase == "the red mug"


def test_after_an_answer_the_task_says_what_it_does_again(bench):
    bench.world.looks = 1000
    task = bench.run("pick the mug")

    bench.answer(task, ReplyKind.CANDIDATE, candidate=1)
    bench.tick(3)

    assert task.message == "pick the mug"


def test_again_after_undo_repeats_the_sentence_and_not_the_putting_back(bench):
    bench.run("put the red mug left of the plate")
    bench.run("undo")

    again = bench.run("again")

    assert [step.phrase for step in again.steps] == ["the red mug", "left of the plate"]


def test_two_corrections_in_a_row_put_back_only_the_last_wrong_thing(bench):
    bench.run("pick the red mug")
    bench.run("no, the blue mug")

    task = bench.run("no, the plate")

    assert [(s.verb, s.phrase) for s in task.steps] == [
        (Verb.PLACE, "where it was"),
        (Verb.PICK, "the plate"),
    ]
    assert bench.world.held == "plate"
    assert bench.world.things["blue mug"] == (300.0, 100.0)


def test_a_correction_while_the_wrong_thing_is_lifted_puts_it_back(bench):
    bench.world.looks = 1000
    bench.executive.instruct("pick the red mug")
    bench.until(bench.executive.history()[0], lambda t: bench.asked("pick"))
    # The fingers have closed, the arm has not yet come to rest.
    bench.world.held = "red mug"
    del bench.world.things["red mug"]
    bench.world.looks = 2

    task = bench.run("no, the blue mug")

    assert task.state is TaskState.SUCCEEDED
    assert bench.world.held == "blue mug"
    assert bench.world.things["red mug"] == (100.0, 100.0)


def test_what_was_only_planned_cannot_be_undone(bench):
    bench.run("put the red mug left of the plate", plan_only=True)

    with pytest.raises(TaskFailure, match="moved nothing"):
        bench.executive.instruct("undo")


def test_a_full_queue_does_not_hold_up_a_sentence_that_takes_over():
    bench = Bench(limits=Limits(most_waiting=1))
    waiting = bench.executive.instruct("pick the red mug", wait_for_others=True)

    task = bench.run("pick the plate")

    assert waiting.code == CODES["PREEMPTED"]
    assert task.state is TaskState.SUCCEEDED


def test_a_task_that_waits_has_its_deadline_too(bench):
    bench.run("pick the mug")
    waiting = bench.executive.instruct("pick the plate", wait_for_others=True, deadline_s=1.0)

    bench.until(waiting, lambda t: t.state.ended)

    assert waiting.code == CODES["TIMEOUT"]


def test_a_motion_that_never_rests_is_told(bench):
    bench.world.looks = 10_000
    task = bench.executive.instruct("pick the red mug")
    bench.until(task, lambda t: bench.asked("pick"))
    Running.cancel, kept = lambda self: None, Running.cancel
    try:
        bench.executive.cancel()
        bench.until(task, lambda t: t.state.ended)
    finally:
        Running.cancel = kept

    assert "did not say that it has" in task.error


def test_a_defect_ends_the_task_and_the_next_one_works(bench):
    def broken(wish):
        raise ZeroDivisionError("surprise")

    whole, bench.world.refer = bench.world.refer, broken
    task = bench.run("pick the red mug")
    bench.world.refer = whole
    after = bench.run("pick the plate")

    assert task.code == CODES["INTERNAL_ERROR"]
    assert "surprise" in task.error
    assert len(bench.defects) == 1
    assert after.state is TaskState.SUCCEEDED


def test_a_defect_before_the_first_step_ends_its_task_too(bench, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("surprise")

    says(bench, "pick the red mug")
    monkeypatch.setattr(executive, "understand", broken)
    heard = bench.executive.listen(SOUND)
    bench.until(heard, lambda t: t.state.ended)
    monkeypatch.undo()
    monkeypatch.setattr(executive, "Run", broken)
    typed = bench.run("pick the red mug")
    monkeypatch.undo()

    assert (heard.code, typed.code) == (CODES["INTERNAL_ERROR"],) * 2
    assert bench.run("pick the plate").state is TaskState.SUCCEEDED


# --- answers -----------------------------------------------------------------------------------
def test_stop_as_an_answer_stops(bench):
    task = bench.run("pick the mug")

    bench.executive.answer(task.id, task.question.id, Reply(ReplyKind.WORDS, text="stop!"))

    assert bench.world.stop
    assert task.code == CODES["STOPPED"]


@pytest.mark.parametrize("said", ["no, the left one", "the left one please", "left"])
def test_a_side_is_an_answer_whether_typed_into_the_question_or_said(bench, said):
    task = bench.run("pick the mug")

    bench.executive.answer(task.id, task.question.id, Reply(ReplyKind.WORDS, text=said))
    bench.until(task, lambda t: t.state.ended)

    assert bench.world.held == "red mug"


def test_right_means_yes_where_nothing_is_to_be_chosen(bench):
    task = bench.run("pick the red mug", confirm=True)

    bench.executive.instruct("right")
    bench.until(task, lambda t: t.state.ended)

    assert bench.world.held == "red mug"


def test_a_corrected_plan_changes_the_thing_or_the_place_that_was_meant(bench):
    task = bench.run("put the red mug left of the plate", confirm=True)
    bench.executive.instruct("no, the blue one")
    bench.tick(2)
    phrases = [step.phrase for step in task.steps]
    bench.executive.instruct("no, behind the plate")
    bench.tick(2)

    assert phrases == ["the blue mug", "left of the plate"]
    assert [step.phrase for step in task.steps] == ["the blue mug", "behind the plate"]


def test_words_read_back_and_said_anew_replace_an_undo(bench):
    bench.run("put the red mug left of the plate")
    task = bench.run("undo", source=Source.SPOKEN, words_confidence=0.2)

    bench.executive.answer(
        task.id, task.question.id, Reply(ReplyKind.WORDS, text="find the plate")
    )
    bench.until(task, lambda t: t.state.ended)

    assert [step.phrase for step in task.steps] == ["the plate"]
    assert len(bench.asked("pick")) == 1


def test_a_chosen_candidate_without_a_place_is_not_grasped(bench):
    found = bench.world._look_for

    def flat(wish):
        import dataclasses

        outcome = found(wish)
        bare = tuple(dataclasses.replace(c, position=None) for c in outcome.candidates)
        return dataclasses.replace(outcome, candidates=bare)

    bench.world._look_for = flat
    task = bench.run("pick the mug")

    task = bench.answer(task, ReplyKind.CANDIDATE, candidate=1)

    assert "how far away" in task.question.text
    assert not bench.asked("pick")


@pytest.mark.parametrize("pixel", [None, (float("nan"), 1.0)])
def test_a_click_without_a_place_is_refused(bench, pixel):
    task = bench.run("pick the mug")

    with pytest.raises(TaskFailure) as refused:
        bench.executive.answer(task.id, task.question.id, Reply(ReplyKind.PIXEL), pixel)

    assert refused.value.reason is Reason.INVALID_GOAL


@pytest.mark.parametrize("confidence", [float("nan"), -0.1, 1.1])
def test_a_confidence_that_is_none_is_refused(bench, confidence):
    with pytest.raises(TaskFailure) as refused:
        bench.executive.instruct("pick the plate", Source.SPOKEN, confidence)

    assert refused.value.reason is Reason.INVALID_GOAL


def test_a_chain_of_corrections_keeps_no_old_task_alive(bench):
    for number in range(6):
        bench.run("no, the plate" if number % 2 else "find the red mug")

    for task in bench.executive.history():
        assert task.corrects is None
        assert task.amend is None


# --- speech ------------------------------------------------------------------------------------
def test_sound_becomes_a_task_that_is_known_before_its_words(bench):
    says(bench, "pick the plate")

    task = bench.executive.listen(SOUND)

    assert (task.state, task.instruction) == (TaskState.UNDERSTANDING, "")
    bench.until(task, lambda t: t.state.ended)
    assert (task.state, task.instruction) == (TaskState.SUCCEEDED, "pick the plate")
    assert bench.world.held == "plate"


def test_a_spoken_stop_stops(bench):
    bench.world.looks = 1000
    task = bench.executive.instruct("pick the red mug")
    bench.until(task, lambda t: bench.asked("pick"))

    heard = spoken(bench, "stop", confidence=0.1)
    bench.tick(2)

    assert heard.state is TaskState.SUCCEEDED
    assert bench.world.stop
    assert task.code == CODES["STOPPED"]


def test_a_spoken_answer_goes_on_with_the_task_that_asked(bench):
    task = bench.run("pick the mug")

    heard = spoken(bench, "the left one")
    bench.until(task, lambda t: t.state.ended)

    assert heard.state is TaskState.SUCCEEDED
    assert task.id in heard.message
    assert bench.world.held == "red mug"


def test_a_spoken_correction_works_like_a_typed_one(bench):
    bench.run("pick the red mug")

    task = spoken(bench, "no, the blue mug")

    assert task.state is TaskState.SUCCEEDED
    assert bench.world.held == "blue mug"


@pytest.mark.parametrize("reply", ["yes", "the left one", "one"])
def test_an_answer_heard_badly_moves_nothing(bench, reply):
    task = bench.run("pick the mug")

    heard = spoken(bench, reply, confidence=0.2)
    bench.tick(5)

    assert heard.code == CODES["SPEECH_UNSURE"]
    assert f"'{reply}' was heard" in heard.error
    assert task.question is not None
    assert not bench.asked("pick")


def test_a_stop_is_not_released_by_words_heard_badly(bench):
    bench.executive.instruct("stop")

    heard = spoken(bench, "continue", confidence=0.2)

    assert heard.code == CODES["SPEECH_UNSURE"]
    assert bench.world.stop


def test_a_command_heard_badly_is_read_back(bench):
    task = spoken(bench, "pick the plate", confidence=0.2)

    assert "pick the plate" in task.question.text
    assert not bench.world.log


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(heard=Heard("", 1.0)), "SPEECH_NOT_UNDERSTOOD"),
        (Outcome(heard=Heard("la la la", 1.0)), "TASK_NOT_UNDERSTOOD"),
        (Outcome(CODES["SPEECH_NO_AUDIO"], "silence"), "SPEECH_NO_AUDIO"),
    ],
)
def test_sound_without_a_command_ends_its_task_and_no_other(bench, outcome, code):
    bench.world.looks = 1000
    running = bench.executive.instruct("pick the red mug")
    bench.until(running, lambda t: bench.asked("pick"))
    bench.world.hearing = lambda samples: Ended(outcome)

    task = bench.executive.listen(SOUND)
    bench.tick(2)

    assert task.code == CODES[code]
    assert running.state is TaskState.RUNNING


def test_without_recogniser_sound_is_refused_and_a_slow_one_is_given_up(bench):
    with pytest.raises(TaskFailure) as none:
        bench.executive.listen(SOUND)
    says(bench, "pick the plate", looks=100_000)
    task = bench.executive.listen(SOUND)
    bench.until(task, lambda t: t.state.ended, most=1000)

    assert none.value.reason is Reason.ENGINE_UNAVAILABLE
    assert task.code == CODES["SPEECH_ENGINE_UNAVAILABLE"]
    assert bench.executive.idle


def test_a_canceled_task_that_is_being_heard_begins_nothing(bench):
    says(bench, "pick the plate", looks=20)
    task = bench.executive.listen(SOUND)

    bench.executive.cancel(task.id)
    bench.tick(40)

    assert task.code == CODES["CANCELED"]
    assert not bench.world.log
