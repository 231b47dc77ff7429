# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tasks from sentence to end, in a world of words."""

import pytest
from roborefer_operator.core.codes import CODES
from roborefer_operator.core.executive import Limits
from roborefer_operator.core.language.replies import Reply, ReplyKind
from roborefer_operator.core.language.steps import Plan, Step, Verb
from roborefer_operator.core.ports import Ended, Outcome
from roborefer_operator.core.tasks import QuestionKind, Source, StepState, TaskState
from roborefer_operator.exceptions import Reason, TaskFailure
from words_bench import Bench


@pytest.fixture
def bench():
    return Bench()


def test_a_sentence_is_carried_out_step_by_step(bench):
    task = bench.run("put the red mug left of the plate")

    assert task.state is TaskState.SUCCEEDED
    assert [step.state for step in task.steps] == [StepState.SUCCEEDED] * 2
    assert bench.world.things["red mug"] == (150.0, 205.0)
    states = [state for _, state in bench.told]
    assert states[0] is TaskState.QUEUED
    assert states[-1] is TaskState.SUCCEEDED
    assert len(states) == len(bench.told) < 20


def test_the_place_is_found_before_anything_moves(bench):
    bench.world.fail = lambda what, number: (
        Outcome(CODES["REFER_NOTHING_FOUND"], "nothing fits")
        if (what, number) == ("refer", 2)
        else None
    )

    task = bench.run("put the red mug left of the plate")
    task = bench.answer(task, ReplyKind.NO)

    assert task.state is TaskState.FAILED
    assert "nothing was moved" in task.error
    assert not bench.asked("pick")


def test_several_steps_follow_each_other(bench):
    task = bench.run("pick the red mug and put it left of the plate, then hand me the blue mug")

    assert task.state is TaskState.SUCCEEDED
    assert bench.asked("hand_over") == ["blue mug"]
    assert task.steps_done == 4


@pytest.mark.parametrize("code", [207, 208, 210, 5])
def test_what_asks_for_a_retry_is_tried_again_with_a_fresh_reference(bench, code):
    bench.world.fail = lambda what, number: (
        Outcome(code, "not yet") if what == "pick" and number < 3 else None
    )

    task = bench.run("pick the red mug")

    assert task.state is TaskState.SUCCEEDED
    assert task.steps[0].attempts == 3
    assert len(bench.asked("refer")) == 3


def test_after_all_tries_a_person_is_asked_and_may_give_up(bench):
    bench.world.fail = lambda what, number: Outcome(208, "it slipped") if what == "pick" else None

    task = bench.run("pick the red mug")

    assert task.question.kind is QuestionKind.GO_ON
    assert "it slipped" in task.question.text
    task = bench.answer(task, ReplyKind.NO)
    assert (task.state, task.code) == (TaskState.FAILED, 208)


def test_what_asks_to_abort_ends_the_task_at_once(bench):
    bench.world.fail = lambda what, number: Outcome(272, "unsafe") if what == "pick" else None

    task = bench.run("put the red mug left of the plate")

    assert (task.state, task.code, task.error) == (TaskState.FAILED, 272, "unsafe")
    assert [step.state for step in task.steps] == [StepState.FAILED, StepState.SKIPPED]


def test_partial_success_is_told(bench):
    bench.world.fail = lambda what, number: (
        Outcome(272, "unsafe") if (what, number) == ("pick", 2) else None
    )

    task = bench.run("put the red mug left of the plate and pick the blue mug")

    assert task.state is TaskState.PARTLY_DONE
    assert task.message == "2 of 3 steps done; unsafe"


@pytest.mark.parametrize(
    ("reply", "taken"),
    [
        ({"kind": ReplyKind.CANDIDATE, "candidate": 2}, "red mug"),
        ({"kind": ReplyKind.WORDS, "text": "the blue mug"}, "blue mug"),
        ({"kind": ReplyKind.PIXEL, "pixel": (300.0, 100.0)}, "blue mug"),
    ],
)
def test_an_ambiguous_thing_is_asked_about(bench, reply, taken):
    task = bench.run("pick the mug")

    assert task.question.kind is QuestionKind.WHICH
    assert [c.label for c in task.question.candidates] == ["blue mug", "red mug"]
    task = bench.answer(task, **reply)
    bench.until(task, lambda t: t.state.ended)
    assert bench.world.held == taken


def test_an_answer_may_come_as_a_sentence(bench):
    task = bench.run("pick the mug")

    same = bench.executive.instruct("the left one")
    bench.until(task, lambda t: t.state.ended)

    assert same is task
    assert bench.world.held == "red mug"


def test_a_command_during_a_question_takes_over(bench):
    first = bench.run("pick the mug")

    second = bench.run("pick the plate")

    assert (first.state, first.code) == (TaskState.CANCELED, CODES["PREEMPTED"])
    assert second.state is TaskState.SUCCEEDED
    assert bench.world.held == "plate"


def test_a_question_that_nobody_answers_ends_the_task():
    bench = Bench(question_s=1.0)

    task = bench.run("pick the mug")
    bench.until(task, lambda t: t.state.ended)

    assert task.code == CODES["TASK_UNANSWERED"]


def test_an_answer_to_another_question_is_refused(bench):
    task = bench.run("pick the mug")

    with pytest.raises(TaskFailure) as late:
        bench.executive.answer(task.id, "q-old", Reply(ReplyKind.YES))
    with pytest.raises(TaskFailure) as none:
        bench.executive.answer("nobody", "q", Reply(ReplyKind.YES))
    with pytest.raises(TaskFailure, match="choose 1 to 2"):
        bench.executive.answer(task.id, task.question.id, Reply(ReplyKind.CANDIDATE, 3))

    assert late.value.reason is Reason.NOT_ASKED
    assert none.value.reason is Reason.UNKNOWN_ID


def test_a_new_sentence_stops_the_motion_before_it_begins(bench):
    bench.world.looks = 1000
    first = bench.executive.instruct("pick the red mug")
    bench.until(first, lambda t: bench.asked("pick"))
    bench.tick(3)

    second = bench.executive.instruct("pick the plate")

    assert (first.state, first.code) == (TaskState.CANCELED, CODES["PREEMPTED"])
    bench.world.looks = 2
    bench.until(second, lambda t: t.state is TaskState.SUCCEEDED)


def test_a_task_that_may_wait_waits(bench):
    first = bench.executive.instruct("pick the red mug and put it left of the plate")
    second = bench.executive.instruct("pick the plate", wait_for_others=True)

    bench.until(second, lambda t: t.state.ended)

    assert first.state is TaskState.SUCCEEDED
    assert second.state is TaskState.SUCCEEDED


def test_the_queue_has_an_end():
    bench = Bench(limits=Limits(most_waiting=2))
    for _ in range(2):
        bench.executive.instruct("pick the red mug", wait_for_others=True)

    with pytest.raises(TaskFailure) as full:
        bench.executive.instruct("pick the plate", wait_for_others=True)

    assert full.value.reason is Reason.QUEUE_FULL


def test_stop_by_words_ends_everything_until_it_is_released(bench):
    bench.world.looks = 1000
    task = bench.executive.instruct("pick the red mug")
    bench.until(task, lambda t: bench.asked("pick"))

    stop = bench.executive.instruct("oh no, stop!")
    bench.tick(2)

    assert bench.world.stop
    assert (task.state, task.code) == (TaskState.CANCELED, CODES["STOPPED"])
    assert stop.state is TaskState.SUCCEEDED
    with pytest.raises(TaskFailure, match="continue"):
        bench.executive.instruct("pick the plate")
    bench.executive.instruct("continue")
    assert not bench.world.stop
    bench.world.looks = 2
    assert bench.run("pick the plate").state is TaskState.SUCCEEDED


def test_a_cancel_waits_until_the_motion_is_at_rest(bench):
    bench.world.looks = 1000
    task = bench.executive.instruct("pick the red mug")
    bench.until(task, lambda t: bench.asked("pick"))

    assert bench.executive.cancel() == [task.id]
    bench.until(task, lambda t: t.state is TaskState.CANCELED)

    assert bench.executive.idle
    assert bench.executive.cancel() == []


def test_undo_puts_things_back_where_they_were(bench):
    first = bench.run("put the red mug left of the plate")

    undo = bench.run("undo that")

    assert undo.state is TaskState.SUCCEEDED
    assert bench.world.things["red mug"] == (100.0, 100.0)
    assert {step.state for step in first.steps} == {StepState.UNDONE}


def test_what_is_in_the_hand_already_is_not_picked_again(bench):
    bench.run("pick the red mug")
    bench.run("find the plate")

    task = bench.run("put the red mug on the plate")

    assert task.state is TaskState.SUCCEEDED
    assert [step.verb for step in task.steps] == [Verb.PLACE]


def test_again_does_the_same_steps(bench):
    bench.run("find the plate")

    again = bench.run("do it again")

    assert [step.phrase for step in again.steps] == ["the plate"]
    with pytest.raises(TaskFailure, match="nothing to repeat"):
        Bench().executive.instruct("again")


def test_a_correction_puts_the_wrong_thing_back_and_takes_the_right_one(bench):
    bench.run("pick the red mug")

    task = bench.run("no, the blue mug")

    assert task.state is TaskState.SUCCEEDED
    assert bench.world.held == "blue mug"
    assert bench.world.things["red mug"] == (100.0, 100.0)


def test_a_corrected_place_needs_no_second_grasp(bench):
    bench.world.looks = 5
    task = bench.executive.instruct("put the red mug left of the plate")
    bench.until(task, lambda t: t.steps and t.steps[1].state is StepState.RUNNING)

    corrected = bench.run("no, behind the plate")

    assert corrected.state is TaskState.SUCCEEDED
    assert [step.verb for step in corrected.steps] == [Verb.PLACE]
    assert len(bench.asked("pick")) == 1


def test_a_correction_keeps_what_was_done_right_before(bench):
    bench.world.things["red mug"] = (100.0, 100.0)
    bench.run("put the plate left of the blue mug, then pick the red mug")
    plate = bench.world.things["plate"]

    task = bench.run("no, the blue mug")

    assert task.state is TaskState.SUCCEEDED
    assert bench.world.held == "blue mug"
    assert bench.world.things["plate"] == plate
    assert [step.phrase for step in task.steps] == ["where it was", "the blue mug"]


def test_a_thing_that_was_moved_meanwhile_is_looked_for_again(bench):
    bench.world.moved_names = {"red mug"}

    task = bench.run("pick the red mug")

    assert task.state is TaskState.SUCCEEDED
    assert bench.asked("refer").count("the red mug") == 2


def test_the_reading_that_the_scene_supports_is_taken(bench):
    bench.world.things = {"mug": (1.0, 1.0), "mug next to the plate": (2.0, 2.0)}

    task = bench.run("put the mug next to the plate on the tray")

    assert [step.phrase for step in task.steps] == ["the mug next to the plate", "on the tray"]


def test_who_has_chosen_is_not_asked_again_after_a_while(bench):
    task = bench.run("pick the mug")
    bench.world.time_ns += 60_000_000_000

    task = bench.answer(task, ReplyKind.CANDIDATE, candidate=1)
    bench.until(task, lambda t: t.state.ended or t.question is not None)

    assert task.state is TaskState.SUCCEEDED
    assert bench.world.held == "blue mug"


def test_confirmation_is_asked_before_every_motion_and_no_means_no(bench):
    task = bench.run("pick the red mug", confirm=True)

    assert task.question.kind is QuestionKind.CONFIRM_PLAN
    assert not bench.asked("pick")
    task = bench.answer(task, ReplyKind.NO)
    assert task.code == CODES["TASK_DECLINED"]
    task = bench.run("pick the red mug", confirm=True)
    bench.answer(task, ReplyKind.YES)
    assert bench.until(task, lambda t: t.state.ended).state is TaskState.SUCCEEDED


def test_words_that_were_heard_badly_are_read_back(bench):
    task = bench.run("pick the red mug", source=Source.SPOKEN, words_confidence=0.3)

    assert task.question.kind is QuestionKind.CONFIRM_WORDS
    assert not bench.world.log
    task = bench.answer(task, ReplyKind.WORDS, text="pick the plate")
    bench.until(task, lambda t: t.state.ended)
    assert bench.world.held == "plate"


def test_plan_only_moves_nothing(bench):
    task = bench.run("put the red mug left of the plate", plan_only=True)

    assert task.state is TaskState.SUCCEEDED
    assert bench.world.held == ""
    assert "red mug" in bench.world.things


def test_a_full_gripper_is_asked_about(bench):
    bench.run("pick the red mug")

    task = bench.run("pick the plate")

    assert "holds something already" in task.question.text
    task = bench.answer(task, ReplyKind.NO)
    assert task.code == CODES["TASK_PRECONDITION_FAILED"]


def test_what_the_robot_cannot_do_is_refused(bench):
    bench.world.verbs = frozenset({Verb.REFER, Verb.PICK, Verb.PLACE})

    task = bench.run("go to the plate")

    assert task.code == CODES["TASK_NOT_SUPPORTED"]


def test_a_lost_effect_is_noticed(bench):
    place = bench.world.place

    def drop(where, plan_only):
        bench.world.held = ""
        bench.world.log.append(("place", where.label))
        return Ended(Outcome())

    bench.world.place = drop
    task = bench.run("put the red mug left of the plate")

    assert place is not drop
    assert task.code == CODES["TASK_EFFECT_MISSING"]
    assert task.state is TaskState.PARTLY_DONE


def test_what_the_arm_has_measured_is_not_doubted(bench):
    def into_the_far_corner(where, plan_only):
        bench.world.things["red mug"], bench.world.held = (1.0, 1.0), ""
        return Ended(Outcome(seen=True))

    bench.world.place = into_the_far_corner

    task = bench.run("put the red mug left of the plate")

    assert task.state is TaskState.SUCCEEDED


def test_unknown_words_go_to_the_language_model_if_there_is_one(bench):
    with pytest.raises(TaskFailure):
        bench.executive.instruct("I long for the plate")
    bench.world.splitter = lambda sentence, context: Ended(
        Outcome(plan=Plan((Step(Verb.PICK, "the plate"),)))
    )

    task = bench.run("I long for the plate")

    assert task.state is TaskState.SUCCEEDED
    assert bench.world.held == "plate"


def test_a_deadline_ends_a_task(bench):
    bench.world.looks = 10_000

    task = bench.executive.instruct("pick the red mug", deadline_s=1.0)
    bench.until(task, lambda t: t.state.ended)

    assert task.code == CODES["TIMEOUT"]


def test_the_history_is_bounded_and_newest_first():
    bench = Bench(limits=Limits(most_kept=3))
    tasks = [bench.run("find the plate") for _ in range(5)]

    kept = bench.executive.history()

    assert [task.id for task in kept] == [task.id for task in reversed(tasks[2:])]
