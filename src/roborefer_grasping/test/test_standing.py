# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a thing that was put down is seen to stand, and what the arm says about it."""

from dataclasses import replace

import numpy as np
import pytest
from roborefer_grasping.core.motion import Phase, Reason, TaskFailure
from roborefer_grasping.core.motion_pick import PickTask, PickWish
from roborefer_grasping.core.motion_place import PlaceTask, PlaceWish
from roborefer_grasping.core.motion_reference import Reference
from roborefer_grasping.core.motion_scene import understand
from roborefer_grasping.core.motion_settings import Settings
from roborefer_grasping.core.motion_task import Hand
from roborefer_grasping.core.placing import footprint_of
from roborefer_grasping.core.segment import segment_at
from roborefer_grasping.core.standing import measure_standing

FROM, TO = np.array([0.42, 0.12]), np.array([0.52, -0.12])


@pytest.fixture
def moved(make_body, make_task):
    """Scenes before and after a thing went from one place to another, and its footprint."""

    def move(key, seed=1, scale=1.0):
        body = make_body((key, *FROM, 0.4, scale), noise=True)
        body._rng = np.random.default_rng(seed)
        settings: Settings = make_task(PickTask, body).settings
        before = understand(body.look(), settings, None)
        view = before.look.view
        (pixel,), _ = view.project(np.array([[*FROM, 0.02]]))
        mask = segment_at(view, *pixel, before.support, before.robot)
        footprint = footprint_of(view, mask, before.support)
        stood = body.cell.data.joint(f"{key}_0_free").qpos
        stood[:2] += TO - FROM
        body.cell.step(0.3)
        now = understand(body.look(), settings, None)
        return before, now, footprint

    return move


PLACE = np.array([*TO, 0.0])


@pytest.mark.parametrize("key", ["block", "bowl", "carton", "banana"])
def test_a_noisy_sensor_finds_the_thing_within_the_uncertainty_that_is_told(moved, key):
    before, now, footprint = moved(key)

    seen = measure_standing(before, now, PLACE, footprint, 0.0)

    error = np.hypot(*(seen.middle - TO))
    assert error < seen.uncertainty + 0.006
    assert seen.uncertainty < 0.015
    assert seen.height == pytest.approx(footprint.height, abs=0.006)


def test_specks_of_the_sensor_are_not_the_thing(moved):
    before, now, footprint = moved("block")
    view = now.look.view
    depth = view.depth_m.copy()
    rng = np.random.default_rng(3)
    around = np.linalg.norm(view.points[..., :2] - TO, axis=-1) < 0.13
    # Four pixels each, so that each has enough neighbours to look like a surface.
    for row, column in rng.permutation(np.argwhere(around))[:60]:
        depth[row : row + 2, column : column + 2] -= 0.05
    speckled = replace(now, look=replace(now.look, view=replace(view, depth_m=depth)))

    seen = measure_standing(before, speckled, PLACE, footprint, 0.0)

    assert np.hypot(*(seen.middle - TO)) < 0.01


def test_a_top_without_depth_makes_the_place_less_certain(moved):
    before, now, footprint = moved("soup_can")
    view = now.look.view
    depth = view.depth_m.copy()
    with np.errstate(invalid="ignore"):
        top = (view.points[..., 2] > 0.085) & (
            np.linalg.norm(view.points[..., :2] - TO, axis=-1) < 0.06
        )
    depth[top] = 0.0
    dark = replace(now, look=replace(now.look, view=replace(view, depth_m=depth)))

    clear = measure_standing(before, now, PLACE, footprint, 0.0)
    seen = measure_standing(before, dark, PLACE, footprint, 0.0)

    error = np.hypot(*(seen.middle - TO))
    assert seen.uncertainty > clear.uncertainty
    assert error < 2 * seen.uncertainty


def test_nothing_is_measured_where_nothing_came(moved):
    before, _, footprint = moved("block")

    assert measure_standing(before, before, PLACE, footprint, 0.0) is None


def placed(body, make_task, at_verifying):
    """Pick the can and place it; something happens to it right before the last look."""
    hand = Hand()
    pose = body.cell.pose_of("soda_can_0")
    top = Reference(pose[:3, 3] + [0, 0, 0.122], (0.0, 0.0), (640, 480), 1)
    make_task(PickTask, body, hand).run(PickWish(top))
    task = make_task(PlaceTask, body, hand)

    def happen(progress):
        if progress.phase is Phase.VERIFYING:
            at_verifying(body.cell.data.joint("soda_can_0_free").qpos)
            body.cell.step(0.5)

    body.at_phase = happen
    place = Reference(np.array([0.5, -0.15, 0.0]), (0.0, 0.0), (640, 480), 1)
    try:
        task.run(PlaceWish(place))
    except TaskFailure as failure:
        return task.record, failure
    return task.record, None


def tip_over(qpos):
    qpos[2:7] = [0.034, np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0]


def push(qpos):
    qpos[1] += 0.07


def take_away(qpos):
    qpos[:2] += [0.0, 0.45]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (tip_over, "fallen over"),
        (take_away, "nothing new"),
        pytest.param(push, "from its place", marks=pytest.mark.slow),
    ],
)
def test_what_does_not_stand_at_its_place_is_said_to_be_missed(make_body, make_task, fault, said):
    body = make_body(("soda_can", *FROM, 0.0, 1.0), noise=True)

    record, failure = placed(body, make_task, fault)

    assert failure is not None
    assert failure.reason is Reason.PLACE_MISSED
    assert said in str(failure)
    if fault is push:
        assert record.position_error == pytest.approx(0.07, abs=0.02)


def test_what_cannot_be_measured_is_no_failure_and_has_no_error(make_body, make_task):
    body = make_body(("soda_can", *FROM, 0.0, 1.0))
    whole = body.look

    def dark_around_the_place(after_ns=0):
        look = whole(after_ns)
        if Phase.VERIFYING in body.phases[-1:]:
            near = np.linalg.norm(look.view.points[..., :2] - [0.5, -0.15], axis=-1) < 0.12
            look.view.depth_m[near] = 0.0
            look = replace(look, view=replace(look.view))
        return look

    body.look = dark_around_the_place

    record, failure = placed(body, make_task, lambda qpos: None)

    assert failure is None
    assert record.position_error < 0
    assert record.measured_pose is None


def test_an_arm_that_springs_off_its_plan_when_it_lets_go_rises_instead(make_body, make_task):
    body = make_body(("soda_can", *FROM, 0.0, 1.0))
    joints = body.joints
    aside = np.array([0.0, 0.03, 0.0, 0.0, 0.0, 0.0])

    def spring(opening):
        if Phase.RELEASING in body.phases[-1:]:
            still = len(body.followed)
            body.joints = lambda: joints() + (aside if len(body.followed) == still else 0)

    body.at_grip = spring

    record, failure = placed(body, make_task, lambda qpos: None)

    assert failure is None
    assert record.position_error < 0.02
