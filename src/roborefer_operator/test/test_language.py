# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What sentences are read as, and what is refused."""

import pytest
from roborefer_operator.core.language.grammar import is_stop, read
from roborefer_operator.core.language.steps import Context, Control, Correction, Plan, Verb
from roborefer_operator.exceptions import Reason, TaskFailure

SHORT = {
    "pick": Verb.PICK,
    "place": Verb.PLACE,
    "hand": Verb.HAND_OVER,
    "go": Verb.GO_TO,
    "refer": Verb.REFER,
}


def steps_of(text):
    """Write "pick the mug | place on the tray" as steps."""
    parts = [part.strip().partition(" ") for part in text.split("|")]
    return [(SHORT[verb], phrase) for verb, _, phrase in parts]


def plain(steps):
    return [(step.verb, step.phrase) for step in steps]


@pytest.mark.parametrize(
    ("sentence", "steps"),
    [
        ("Pick up the red mug.", "pick the red mug"),
        ("pick the red mug up", "pick the red mug"),
        ("could you please grab the can left of the plate?", "pick the can left of the plate"),
        (
            "put the red mug into the free space between the plate and the bottle",
            "pick the red mug | place the free space between the plate and the bottle",
        ),
        ("put the mug down on the tray", "pick the mug | place on the tray"),
        ("set the mug down", "pick the mug | place an empty area on the table"),
        (
            "move the blue block to the right of the green can",
            "pick the blue block | place to the right of the green can",
        ),
        ("move the can to the basket", "pick the can | place the basket"),
        ("take the mug to the tray", "pick the mug | place the tray"),
        ("take the mug on the tray", "pick the mug on the tray"),
        (
            "put the apple 10 cm to the left of the plate",
            "pick the apple | place 10 cm to the left of the plate",
        ),
        (
            "move the mug a bit to the left",
            "pick the mug | place a bit to the left of the mug",
        ),
        (
            "put the mug right behind the plate",
            "pick the mug | place right behind the plate",
        ),
        (
            "grab the mug, then put it directly in front of the plate",
            "pick the mug | place directly in front of the plate",
        ),
        (
            "put the cup on the right behind the bowl",
            "pick the cup | place on the right behind the bowl",
        ),
        (
            "put the mug that is next to the plate to the left of the bowl",
            "pick the mug that is next to the plate | place to the left of the bowl",
        ),
        (
            "put the third cup from the left in front of the bowl",
            "pick the third cup from the left | place in front of the bowl",
        ),
        (
            "pick up the apple, then place it next to the bowl and then bring me the banana",
            "pick the apple | place next to the bowl | pick the banana | hand",
        ),
        (
            "put the mug between the plate and the bottle and hand me the can",
            "pick the mug | place between the plate and the bottle | pick the can | hand",
        ),
        (
            "put the mug and the bowl into the basket",
            "pick the mug | place into the basket | pick the bowl | place into the basket",
        ),
        ("stack the red block on the blue one", "pick the red block | place on the blue one"),
        ("stack the cup and the bowl", "pick the bowl | place on the cup"),
        ("give the banana to me", "pick the banana | hand"),
        ("bring the cup to me", "pick the cup | hand"),
        ("walk over to the chair next to the window", "go the chair next to the window"),
        (
            "find the smallest red object to the left of the tallest blue bottle",
            "refer the smallest red object to the left of the tallest blue bottle",
        ),
        ("Where is the mug?", "refer the mug"),
        (
            "pick the red block. put the green block next to it",
            "pick the red block | pick the green block | place next to the red block",
        ),
        (
            "Put The Coca-Cola Can ON the Tray, thanks!",
            "pick The Coca-Cola Can | place ON the Tray",
        ),
    ],
)
def test_a_command_becomes_steps_with_the_words_that_were_said(sentence, steps):
    plan = read(sentence)

    assert isinstance(plan, Plan)
    assert plain(plan.steps) == steps_of(steps)


def test_a_phrase_that_fits_two_nouns_has_two_readings():
    plan = read("put the mug next to the plate on the tray")

    assert plain(plan.steps) == steps_of("pick the mug | place next to the plate on the tray")
    assert [plain(other) for other in plan.others] == [
        steps_of("pick the mug next to the plate | place on the tray")
    ]


@pytest.mark.parametrize(
    ("sentence", "context", "steps"),
    [
        ("put it on the tray", Context(holding=True, target="the mug"), "place on the tray"),
        (
            "put it on the tray",
            Context(target="the red mug"),
            "pick the red mug | place on the tray",
        ),
        (
            "put the can there",
            Context(target="the mug", place="left of the bowl"),
            "pick the can | place left of the bowl",
        ),
        (
            "put the can next to it",
            Context(target="the mug"),
            "pick the can | place next to the mug",
        ),
        (
            "put the Red Mug on the tray",
            Context(holding=True, target="the plate", held="the red mug"),
            "place on the tray",
        ),
        (
            "put the plate on the tray",
            Context(holding=True, target="the plate", held="the red mug"),
            "pick the plate | place on the tray",
        ),
        ("hand it to me", Context(holding=True, target="the mug"), "hand"),
        ("pick it up", Context(target="the mug"), "pick the mug"),
    ],
)
def test_words_that_point_back_stand_for_what_came_before(sentence, context, steps):
    assert plain(read(sentence, context).steps) == steps_of(steps)


@pytest.mark.parametrize(
    ("sentence", "control"),
    [
        ("stop", Control.STOP),
        ("Please stop now!", Control.STOP),
        ("undo that", Control.UNDO),
        ("put it back", Control.UNDO),
        ("do it again, please", Control.AGAIN),
        ("go on", Control.CONTINUE),
    ],
)
def test_words_about_the_task_are_no_commands(sentence, control):
    assert read(sentence, Context(holding=True, target="the mug")) is control


@pytest.mark.parametrize(
    ("sentence", "correction"),
    [
        ("no, the red mug", Correction(target="the red mug")),
        ("no, the left one", Correction(target="the left mug")),
        ("not that one, the one behind the plate", Correction(target="the one behind the plate")),
        ("I meant the bottle", Correction(target="the bottle")),
        ("no, on the plate", Correction(place="on the plate")),
        ("no", Correction()),
    ],
)
def test_a_correction_says_what_it_corrects(sentence, correction):
    assert read(sentence, Context(target="the red mug next to the can")) == correction


def test_a_correction_may_be_a_whole_command():
    correction = read("no, put the can on the tray")

    assert plain(correction.plan.steps) == steps_of("pick the can | place on the tray")


@pytest.mark.parametrize(
    ("sentence", "reason", "said"),
    [
        ("", Reason.NOT_UNDERSTOOD, "no words"),
        ("?!", Reason.NOT_UNDERSTOOD, "no words"),
        ("dance", Reason.NOT_UNDERSTOOD, "'dance' begins with no known verb"),
        ("the red mug", Reason.NOT_UNDERSTOOD, "begins with no known verb"),
        ("pick", Reason.NOT_UNDERSTOOD, "what to take is not said"),
        ("put the mug", Reason.NOT_UNDERSTOOD, "where to put 'the mug' is not said"),
        ("pick the mug then explode", Reason.NOT_UNDERSTOOD, "'explode'"),
        ("put it on the tray", Reason.NO_ANTECEDENT, "'it'"),
        ("put the mug there", Reason.NO_ANTECEDENT, "'there'"),
        ("x" * 2000, Reason.NOT_UNDERSTOOD, "2000 characters"),
    ],
)
def test_what_is_no_command_is_refused_with_the_words(sentence, reason, said):
    with pytest.raises(TaskFailure, match=said) as refused:
        read(sentence)

    assert refused.value.reason is reason


def test_put_it_next_to_it_is_refused_because_one_of_them_is_not_known():
    with pytest.raises(TaskFailure) as refused:
        read("put it next to it", Context(holding=True, target="the mug"))

    assert refused.value.reason is Reason.NO_ANTECEDENT


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("stop", True),
        ("oh stop", True),
        ("robot, stop the arm right now", True),
        ("put it down no stop", True),
        ("pick the bus stop sign up", False),
        ("pick the mug", False),
    ],
)
def test_stop_is_heard_within_other_words(sentence, expected):
    assert is_stop(sentence) is expected


@pytest.mark.parametrize(
    "noise", ["__import__('os')", "{0} %s ${HOME}", "<|im_end|>", "\u202e\x00", "'\"`$(x)"]
)
def test_phrases_are_slices_of_the_sentence_whatever_is_in_them(noise):
    sentence = f"pick the mug {noise} on the tray"

    plan = read(sentence)

    assert [step.verb for step in plan.steps] == [Verb.PICK]
    assert plan.steps[0].phrase in sentence
