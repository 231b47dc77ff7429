# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From answers to places, without ROS: what is refused, what is a candidate, what is a place."""

from dataclasses import replace

import numpy as np
import pytest
from roborefer_perception.core import query
from roborefer_perception.core.agreement import AgreementSettings
from roborefer_perception.core.answers import Answer, AnsweredPoint, Outcome, Perception
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.frames import ImageWish
from roborefer_perception.core.place import Calibration, LocateSettings
from roborefer_perception.core.query import Look, Undecided, Wish, Workspace, answered, clicked
from roborefer_perception.core.types import Kind, RgbdFrame
from roborefer_perception.exceptions import Reason, ReferFailure

W, H, FOCAL, HEIGHT_M, BLOCK_M = 160, 120, 150.0, 0.8, 0.06
MIDDLE = ((W - 1) / 2, (H - 1) / 2)
TABLE = (30.0, 30.0)
HOLE = (130.0, 95.0)
T_BASE_OPTICAL = np.array(
    [[1, 0, 0, 0.5], [0, -1, 0, 0], [0, 0, -1, HEIGHT_M], [0, 0, 0, 1]], float
)


@pytest.fixture
def look():
    """A camera that looks down on a block on a table, with a hole in the depth."""
    depth = np.full((H, W), HEIGHT_M, np.float32)
    depth[50:70, 70:90] = HEIGHT_M - BLOCK_M
    depth[80:110, 115:145] = 0
    camera = Camera(W, H, FOCAL, FOCAL, *MIDDLE)
    frame = RgbdFrame(7, "optical", np.zeros((H, W, 3), np.uint8), depth, camera)
    box = Workspace(np.array([0.0, -1, -0.1]), np.array([1.0, 1, 1]))
    return Look(
        frame, T_BASE_OPTICAL, "base_link", T_BASE_OPTICAL, box, LocateSettings(), 1.0,
        Calibration(), AgreementSettings(), lambda: None,
    )  # fmt: skip


def wish(kind=Kind.UNKNOWN, pixel=None, least=0.2):
    return Wish("the block", kind, ImageWish(), 1.0, 1.0, 1, least, "base_link", pixel)


def at(pixel, confidence=1.0, label=""):
    return AnsweredPoint(*pixel, confidence=confidence, label=label)


def ok(*points, confidence=1.0, kind=Kind.UNKNOWN, samples=()):
    return Answer(Outcome.OK, points, kind, confidence, samples=samples)


def refusal(look, made, wanted=None):
    with pytest.raises(ReferFailure) as caught:
        answered(look, wanted or wish(), made)
    assert str(caught.value)
    return caught.value


def test_a_point_becomes_a_place_in_the_target_frame(look):
    (found,) = answered(look, wish(), ok(at(MIDDLE, label="red block"), confidence=0.7))

    np.testing.assert_allclose(found.posed.position, [0.5, 0, BLOCK_M], atol=1e-3)
    assert (found.kind, found.label, found.number) == (Kind.OBJECT, "red block", 0)
    assert found.confidence == 0.7
    assert (found.samples, found.agreeing) == (1, 1)


def test_a_click_is_sure_and_of_no_sample(look):
    (found,) = clicked(look, wish(pixel=TABLE))

    assert found.kind is Kind.FREE_SPACE
    assert found.confidence == 1
    assert (found.samples, found.agreeing) == (0, 0)


@pytest.mark.parametrize(
    ("pixel", "kind", "reason"),
    [
        ((W + 3.0, 0.0), Kind.UNKNOWN, Reason.INVALID_GOAL),
        (HOLE, Kind.UNKNOWN, Reason.NO_VALID_DEPTH),
    ],
)
def test_a_click_that_leads_nowhere_is_refused(look, pixel, kind, reason):
    with pytest.raises(ReferFailure) as caught:
        clicked(look, wish(kind, pixel))

    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.NOTHING_FOUND, Reason.NOTHING_FOUND),
        (Outcome.NOT_UNDERSTOOD, Reason.NOTHING_FOUND),
        (Outcome.TEXT, Reason.NOTHING_FOUND),
        (Outcome.INVALID_ANSWER, Reason.ANSWER_INVALID),
    ],
)
def test_an_answer_without_points_is_a_refusal_that_says_what_was_said(look, outcome, reason):
    failure = refusal(look, Answer(outcome, text="two\x07 mugs"))

    assert failure.reason is reason
    assert "two  mugs" in str(failure)


def test_an_answer_of_another_kind_is_refused(look):
    made = ok(at(MIDDLE), kind=Kind.OBJECT)

    assert refusal(look, made, wish(Kind.FREE_SPACE)).reason is Reason.WRONG_KIND


def test_a_place_outside_the_workspace_is_refused_with_axis_and_limits(look):
    far = Workspace(np.array([0.6, -1, -1]), np.array([1.0, 1, 1]))
    failure = refusal(replace(look, workspace=far), ok(at(MIDDLE)))

    assert failure.reason is Reason.OUTSIDE_WORKSPACE
    assert "x = 0.500 m" in str(failure)
    assert "0.6 to 1 m" in str(failure)


def test_low_confidence_gives_the_place_as_a_candidate(look):
    failure = refusal(look, ok(at(MIDDLE), confidence=0.1))

    assert failure.reason is Reason.LOW_CONFIDENCE
    assert [candidate.number for candidate in failure.candidates] == [1]
    assert failure.candidates[0].posed is not None


def test_ambiguous_candidates_are_numbered_and_keep_their_pixel_without_depth(look):
    made = Answer(Outcome.AMBIGUOUS, candidates=(at(MIDDLE), at(HOLE), at(TABLE)))

    failure = refusal(look, made)

    assert isinstance(failure, Undecided)
    assert [candidate.number for candidate in failure.candidates] == [1, 2, 3]
    assert [candidate.posed is None for candidate in failure.candidates] == [False, True, False]
    assert failure.candidates[1].pixel == HOLE


@pytest.mark.parametrize(
    "made",
    [
        Answer(Outcome.AMBIGUOUS, candidates=(at(MIDDLE), at(TABLE))),
        ok(at(MIDDLE), samples=((at(MIDDLE),), (at(TABLE),))),
        ok(at(MIDDLE), at(TABLE), confidence=0.1),
    ],
)
def test_candidates_outside_the_workspace_have_no_pose_that_could_be_acted_on(look, made):
    narrow = Workspace(np.array([0.4, -1, -1]), np.array([1.0, 1, 1]))

    failure = refusal(replace(look, workspace=narrow), made)

    posed = {one.pixel == MIDDLE: one.posed is not None for one in failure.candidates}
    assert posed == {True: True, False: False}


def test_depth_that_supports_no_place_is_refused(look):
    assert refusal(look, ok(at(HOLE))).reason is Reason.NO_VALID_DEPTH


def test_further_points_of_a_plural_may_keep_only_their_pixel(look):
    narrow = Workspace(np.array([0.4, -1, -1]), np.array([1.0, 1, 1]))

    found = answered(replace(look, workspace=narrow), wish(), ok(at(MIDDLE), at(HOLE), at(TABLE)))

    assert [one.posed is None for one in found] == [False, True, True]


def test_samples_on_one_place_agree_and_one_that_fails_costs_confidence(look):
    near = (MIDDLE[0] + 2, MIDDLE[1])
    votes = ((at(MIDDLE),), (at(near),), (at(MIDDLE),), ())

    (found,) = answered(look, wish(), ok(at(MIDDLE), samples=votes))

    assert (found.samples, found.agreeing) == (4, 3)
    assert 0 < found.spread_m < 0.02
    assert 0.5 < found.confidence < 0.75


def test_the_spread_of_samples_widens_the_covariance(look):
    near = (MIDDLE[0] + 4, MIDDLE[1])
    alone = answered(look, wish(), ok(at(MIDDLE)))[0]

    torn = answered(
        look, wish(), ok(at(MIDDLE), samples=((at(MIDDLE),), (at(near),), (at(MIDDLE),)))
    )[0]

    assert torn.posed.covariance[0, 0] > alone.posed.covariance[0, 0]


def test_candidates_are_named_with_what_sets_them_apart(look):
    first, second = (
        replace(at(MIDDLE), label="mug", reason="the left one"),
        replace(at(TABLE), label="mug"),
    )

    failure = refusal(look, Answer(Outcome.AMBIGUOUS, candidates=(first, second)))

    assert [one.label for one in failure.candidates] == ["mug (the left one)", "mug"]


def test_two_places_with_as_many_votes_are_ambiguous(look):
    votes = ((at(MIDDLE),), (at(TABLE),))

    failure = refusal(look, ok(at(MIDDLE), samples=votes))

    assert failure.reason is Reason.AMBIGUOUS
    assert [candidate.agreeing for candidate in failure.candidates] == [1, 1]


def test_samples_of_which_none_has_depth_are_refused(look):
    votes = ((at(HOLE),), (at(HOLE),))

    assert refusal(look, ok(at(HOLE), samples=votes)).reason is Reason.NO_VALID_DEPTH


def test_a_plural_counts_for_each_point_the_samples_that_touch_it(look):
    both, one = (at(MIDDLE), at(TABLE)), (at(MIDDLE),)

    found = answered(look, wish(), ok(*both, samples=(both, one, both, one)))

    assert found[0].agreeing == 4
    assert found[0].confidence == 1
    assert found[1].confidence < 1


def test_locating_can_be_ended_between_points(look):
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 2:
            raise ReferFailure(Reason.CANCELED, "enough")

    failure = refusal(replace(look, check=check), ok(*[at(MIDDLE)] * 50))

    assert failure.reason is Reason.CANCELED
    assert len(calls) == 3


def test_reasoning_in_the_making_is_read_line_by_line_without_values():
    steps = query.live_steps("1. [Size Perception] [the mug]: 0.1 m\n\nso the\x1b[31m lef")

    assert [step.perception for step in steps] == [Perception.SIZE, Perception.OTHER]
    assert steps[0].target == "the mug"
    assert steps[0].size_m is None
    assert "\x1b" not in steps[1].text
