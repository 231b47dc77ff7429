# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pick and place without ROS, in the physics of the cell: what works, and how each fault ends."""

import numpy as np
import pytest
from roborefer_grasping.core.motion import Phase, Reason, TaskFailure
from roborefer_grasping.core.motion_pick import PickTask, PickWish
from roborefer_grasping.core.motion_place import PlaceTask, PlaceWish
from roborefer_grasping.core.motion_reference import Reference
from roborefer_grasping.core.motion_task import Hand

BLOCK = ("block", 0.45, 0.05, 0.3, 1.0)


def at(x, y, z, label="thing"):
    return Reference(np.array([x, y, z]), (0.0, 0.0), (640, 480), 1, label=label)


def top_of(body, name):
    pose = body.cell.pose_of(name)
    make = next(t.make for t in body.cell.placed if t.name == name)
    return at(*pose[:2, 3], pose[2, 3] + make.bounds[1][2])


def refused(task, wish):
    with pytest.raises(TaskFailure) as caught:
        task.run(wish)
    return caught.value


def test_a_block_is_taken_and_put_elsewhere(make_body, make_task):
    body, hand = make_body(BLOCK), Hand()

    pick = make_task(PickTask, body, hand)
    pick.run(PickWish(top_of(body, "block_0")))

    assert hand.held is not None
    assert hand.held.width == pytest.approx(0.045, abs=0.004)
    assert body.cell.pose_of("block_0")[2, 3] > 0.08
    assert body.phases[-1] is Phase.RETREATING
    assert pick.record.attempts == 1
    place = make_task(PlaceTask, body, hand)
    place.run(PlaceWish(at(0.5, -0.15, 0.0)))
    assert hand.held is None
    assert np.hypot(*(body.cell.pose_of("block_0")[:2, 3] - [0.5, -0.15])) < 0.02
    assert body.cell.tilt_of("block_0") < 0.05
    assert 0 <= place.record.position_error < 0.02
    assert place.record.measured_pose[2, 3] == pytest.approx(0.0225, abs=0.01)


def test_a_wanted_heading_is_kept(make_body, make_task):
    body, hand = make_body(("brick", 0.45, 0.05, 0.4, 1.0)), Hand()
    make_task(PickTask, body, hand).run(PickWish(top_of(body, "brick_0")))
    side = hand.held.grasp.pose @ hand.held.solids.parts[0].pose
    longer = hand.held.solids.parts[0].size
    stood = np.arctan2(side[1, 0], side[0, 0]) + (0 if longer[0] > longer[1] else np.pi / 2)
    assert abs(np.sin(stood - 0.4)) < 0.15

    wish = PlaceWish(at(0.5, -0.15, 0.0), yaw=1.2, yaw_tolerance=0.1)
    place = make_task(PlaceTask, body, hand)
    place.run(wish)

    pose = body.cell.pose_of("brick_0")
    turned = np.arctan2(pose[1, 0], pose[0, 0]) - 0.4 + np.arctan2(side[1, 0], side[0, 0])
    assert abs(np.angle(np.exp(1j * (turned - 1.2)))) < 0.2


def test_plan_only_moves_nothing(make_body, make_task):
    body = make_body(BLOCK)
    before = body.joints()
    task = make_task(PickTask, body)

    task.run(PickWish(top_of(body, "block_0"), plan_only=True))

    assert task.record.planned.duration > 1.0
    assert task.record.grasp is not None
    assert body.followed == []
    np.testing.assert_allclose(body.joints(), before, atol=1e-3)


def test_with_place_takes_a_grasp_that_can_be_put_there(make_body, make_task):
    body = make_body(BLOCK)
    task = make_task(PickTask, body)

    task.run(PickWish(top_of(body, "block_0"), at(0.5, -0.2, 0.0), plan_only=True))

    assert task.record.grasp is not None


@pytest.mark.parametrize(
    ("wish", "reason", "named"),
    [
        (at(0.45, 0.05, 1.9), Reason.OUTSIDE_WORKSPACE, "0.700 m outside"),
        (at(0.45, -0.2, 0.0), Reason.NOTHING_THERE, "stands at pixel"),
        (at(0.62, 0.05, 0.1), Reason.NOTHING_THERE, "behind the referred place"),
        (at(0.60, 0.60, 0.0), Reason.NOTHING_THERE, ""),
    ],
)
def test_references_to_nothing_are_refused_and_the_arm_stays(
    make_body, make_task, wish, reason, named
):
    body = make_body(BLOCK)

    failure = refused(make_task(PickTask, body), PickWish(wish))

    assert failure.reason is reason
    assert named in str(failure)
    assert body.followed == []


def test_a_reference_on_the_arm_is_refused(make_body, make_task):
    body = make_body(BLOCK)
    task = make_task(PickTask, body)
    look = body.look()
    from roborefer_grasping.core.self_filter import robot_mask

    mask = robot_mask(look.view, task.settings.robot, task.settings.gripper, look.joints, look.jaw)
    rows, columns = np.nonzero(mask & look.view.valid)
    middle = len(rows) // 2
    wish = PickWish(at(*look.view.points[rows[middle], columns[middle]]))

    failure = refused(task, wish)

    assert failure.reason is Reason.REFERENCE_ON_ROBOT
    assert body.followed == []


def test_the_robot_mask_is_the_robot_as_rendered(make_body, make_task):
    body = make_body(BLOCK)
    task = make_task(PickTask, body)
    look = body.look()
    from roborefer_grasping.core.self_filter import robot_mask

    mask = robot_mask(look.view, task.settings.robot, task.settings.gripper, look.joints, look.jaw)

    bodies = body.camera.take().bodies
    names = {body.cell.model.body(i).name for i in np.unique(bodies[bodies > 0])}
    robot = np.isin(bodies, [body.cell.model.body(n).id for n in names - {"block_0"}])
    assert robot.sum() > 1000
    assert (mask & robot & look.view.measured).sum() > 0.98 * (robot & look.view.measured).sum()
    # Nothing of the table or the block far from the arm counts as the arm.
    block = bodies == body.cell.model.body("block_0").id
    assert not (mask & block).any()


def test_a_thing_wider_than_the_jaw_is_refused(make_body, make_task):
    body = make_body(("soup_can", 0.5, 0.0, 0.0, 1.0))
    task = make_task(PickTask, body)
    from dataclasses import replace

    gripper = replace(task.settings.gripper, opening=0.014)
    task = make_task(PickTask, body, gripper=gripper)

    failure = refused(task, PickWish(top_of(body, "soup_can_0")))

    assert failure.reason is Reason.TOO_WIDE
    assert "0.006 m" in str(failure)


def test_a_full_gripper_is_not_asked_to_pick_and_an_empty_one_not_to_place(make_body, make_task):
    body, hand = make_body(BLOCK), Hand()
    empty = refused(make_task(PlaceTask, body, hand), PlaceWish(at(0.5, -0.15, 0.0)))
    make_task(PickTask, body, hand).run(PickWish(top_of(body, "block_0")))
    moved = len(body.followed)

    full = refused(make_task(PickTask, body, hand), PickWish(at(0.5, 0.0, 0.0)))
    other = refused(
        make_task(PlaceTask, body, hand), PlaceWish(at(0.5, -0.15, 0.0), name="held_9")
    )

    assert empty.reason is Reason.GRIPPER_EMPTY
    assert full.reason is Reason.GRIPPER_FULL
    assert "thing" in str(full)
    assert other.reason is Reason.INVALID_GOAL
    assert len(body.followed) == moved
    assert hand.held is not None


def test_an_image_of_holes_is_no_scene(make_body, make_task):
    body = make_body(BLOCK)
    whole = body.look

    def holes(after_ns=0):
        look = whole(after_ns)
        look.view.depth_m[:] = 0
        return look

    body.look = holes

    failure = refused(make_task(PickTask, body), PickWish(at(0.45, 0.05, 0.045)))

    assert failure.reason is Reason.NO_DEPTH
    assert "0.0%" in str(failure)


def test_a_lost_camera_ends_the_task_with_what_is_held_in_the_gripper(make_body, make_task):
    body, hand = make_body(BLOCK), Hand()
    body.at_phase = lambda p: setattr(body, "blind", p.phase is Phase.VERIFYING)

    failure = refused(make_task(PickTask, body, hand), PickWish(top_of(body, "block_0")))

    assert failure.reason is Reason.NO_DEPTH
    assert hand.held is not None
    assert body.cell.pose_of("block_0")[2, 3] > 0.03


def test_a_thing_that_moves_away_on_the_way_is_not_grasped_at(make_body, make_task):
    body = make_body(BLOCK)

    def away(progress):
        if progress.phase is Phase.MOVING and progress.attempt:
            body.cell.data.joint("block_0_free").qpos[0] += 0.2

    body.at_phase = away

    failure = refused(make_task(PickTask, body), PickWish(at(0.45, 0.05, 0.045)))

    assert failure.reason is Reason.TARGET_MOVED
    assert Phase.APPROACHING not in body.phases


def test_a_missed_grasp_is_tried_again_elsewhere_and_then_works(make_body, make_task):
    body, hand = make_body(BLOCK), Hand()
    closings = []

    def snatch(opening):
        """Take the block away before the first closing and put it back after it."""
        home = body.cell.data.joint("block_0_free").qpos[:3]
        if opening == 0.0:
            closings.append(home.copy())
            if len(closings) == 1:
                home[2] = 0.6
        elif len(closings) == 1:
            home[:] = [0.45, 0.05, 0.001]
            body.cell.data.joint("block_0_free").qvel[:] = 0

    body.at_grip = snatch
    task = make_task(PickTask, body, hand)

    task.run(PickWish(at(0.45, 0.05, 0.045)))

    assert task.record.attempts == 2
    assert hand.held is not None


def test_what_slips_while_lifting_is_a_lost_grasp(make_body, make_task):
    body, hand = make_body(BLOCK), Hand()

    def slip(passed_s):
        if body.phases[-1] is Phase.LIFTING and passed_s > 0.3:
            body.cell.data.joint("block_0_free").qpos[0] += 0.25

    body.while_following = slip
    task = make_task(PickTask, body, hand, max_attempts=1)

    failure = refused(task, PickWish(top_of(body, "block_0")))

    assert failure.reason is Reason.GRASP_LOST
    assert hand.held is None


def test_what_is_dropped_on_the_way_to_its_place_is_lost(make_body, make_task):
    body, hand = make_body(BLOCK), Hand()
    make_task(PickTask, body, hand).run(PickWish(top_of(body, "block_0")))

    def drop(passed_s):
        if body.phases[-1] is Phase.MOVING and passed_s > 0.5:
            body.cell.data.joint("block_0_free").qpos[2] = 0.01

    body.while_following = drop

    failure = refused(make_task(PlaceTask, body, hand), PlaceWish(at(0.5, -0.15, 0.0)))

    assert failure.reason is Reason.OBJECT_LOST
    assert hand.held is None
    assert Phase.RELEASING not in body.phases


@pytest.mark.parametrize(
    "share", [pytest.param(share, marks=pytest.mark.slow) for share in (0.04, 0.5, 0.95)]
)
def test_a_place_that_was_stopped_half_way_down_can_be_asked_for_again(
    make_body, make_task, share
):
    body, hand = make_body(BLOCK), Hand()
    make_task(PickTask, body, hand).run(PickWish(top_of(body, "block_0")))

    def stop(passed_s):
        if body.phases[-1] is Phase.APPROACHING and passed_s > share * body.followed[-1].duration:
            raise TaskFailure(Reason.STOPPED, "the latched stop is set")

    body.while_following = stop
    stopped = refused(make_task(PlaceTask, body, hand), PlaceWish(at(0.5, -0.15, 0.0)))
    body.while_following = lambda passed_s: None

    make_task(PlaceTask, body, hand).run(PlaceWish(at(0.5, -0.15, 0.0)))

    assert stopped.reason is Reason.STOPPED
    assert np.hypot(*(body.cell.pose_of("block_0")[:2, 3] - [0.5, -0.15])) < 0.025


def test_an_occupied_place_and_one_without_support_are_told_apart(make_body, make_task):
    body, hand = make_body(BLOCK, ("soup_can", 0.5, -0.15, 0.0, 1.0)), Hand()
    make_task(PickTask, body, hand).run(PickWish(top_of(body, "block_0")))

    beside = at(0.5, -0.12, 0.0)
    occupied = refused(make_task(PlaceTask, body, hand, tolerance=0.01), PlaceWish(beside))

    assert occupied.reason is Reason.PLACE_OCCUPIED
    assert hand.held is not None


@pytest.mark.parametrize(
    ("phase", "holds"),
    [
        pytest.param(Phase.CHOOSING, False, marks=pytest.mark.slow),
        pytest.param(Phase.PLANNING, False, marks=pytest.mark.slow),
        pytest.param(Phase.MOVING, False, marks=pytest.mark.slow),
        (Phase.APPROACHING, False),
        pytest.param(Phase.GRASPING, False, marks=pytest.mark.slow),
        (Phase.LIFTING, True),
        pytest.param(Phase.VERIFYING, True, marks=pytest.mark.slow),
        (Phase.RETREATING, True),
    ],
)
def test_a_cancel_in_any_phase_of_a_pick_leaves_the_hand_as_it_is(
    make_body, make_task, phase, holds
):
    body, hand = make_body(BLOCK), Hand()
    seen = []

    def check():
        if phase in seen:
            raise TaskFailure(Reason.CANCELED, "canceled on request")

    body.at_phase = lambda progress: seen.append(progress.phase)
    body.check = check
    task = make_task(PickTask, body, hand)

    failure = refused(task, PickWish(top_of(body, "block_0")))

    assert failure.reason is Reason.CANCELED
    assert task.record.phase is phase
    assert (hand.held is not None) is holds


def test_a_motion_that_does_not_pass_the_last_check_is_not_sent(make_body, make_task):
    body = make_body(BLOCK)
    task = make_task(PickTask, body)
    joints = body.joints
    away = np.array([0.05, 0, 0, 0, 0, 0])
    # From the moment of moving on, the arm stands elsewhere than the plan assumed.
    body.joints = lambda: joints() + (away if Phase.MOVING in body.phases else 0)

    failure = refused(task, PickWish(top_of(body, "block_0")))

    assert failure.reason is Reason.UNSAFE_TRAJECTORY
    assert "starts 0.05" in str(failure)
    assert body.followed == []
