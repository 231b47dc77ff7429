# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Following by looks and depth: on the target, or honestly lost."""

import numpy as np
import pytest
from roborefer_perception.core.following import Follower
from stage import CAMERA, Card, Stage


def error(stage, track, point):
    return float(np.linalg.norm(track.place.point - stage.seen(point)))


@pytest.mark.parametrize(
    ("rate", "velocity"),
    [(10, (0.2, 0, 0)), (30, (0.2, 0, 0)), (10, (0.0, -0.05, 0)), (10, (0.1, 0.05, 0.15))],
)
def test_a_moving_card_is_followed_within_millimetres(rate, velocity):
    card = Card((-0.1, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    offset = np.array([0.02, -0.01, 0.0])
    follower = Follower(first, stage.place(first, card, offset[:2]))
    start = np.array(card.middle)

    for number in range(1, 11):
        card.middle = tuple(start + np.array(velocity) * number / rate)
        track = follower.update(stage.frame(number / rate))

        assert not track.lost
        assert error(stage, track, card.middle + offset) < 0.004


def test_a_card_without_texture_is_followed_by_its_outline():
    card = Card((-0.08, 0.0, 0.8))
    card.texture[:] = (180, 40, 40)
    stage = Stage([card])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))

    for number in range(1, 16):
        card.middle = (-0.08 + 0.01 * number, 0.0, 0.8)
        track = follower.update(stage.frame(number / 15))

        assert not track.lost
        assert error(stage, track, card.middle) < 0.004


def test_a_turning_card_keeps_its_point_and_its_axes_turn_along():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    place = stage.place(first, card, (0.03, 0.0))
    follower = Follower(first, place)

    for number in range(1, 16):
        card.turn = 0.06 * number
        track = follower.update(stage.frame(number / 15))

    point = np.add(card.middle, (0.03 * np.cos(card.turn), 0.03 * np.sin(card.turn), 0))
    assert not track.lost
    assert error(stage, track, point) < 0.004
    x = track.place.rotation[:, 0]
    assert np.arctan2(x[1], x[0]) == pytest.approx(card.turn, abs=0.1)


def test_drift_widens_the_covariance_and_a_new_answer_takes_it_away():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))
    for number in range(1, 16):
        card.turn = 0.06 * number
        drifted = follower.update(frame := stage.frame(number / 15))

    follower.correct(frame, stage.place(frame, card))
    fresh = follower.update(stage.frame(1.1))

    assert drifted.place.covariance[0, 0] > fresh.place.covariance[0, 0]
    assert fresh.confidence > drifted.confidence


def test_the_region_goes_along():
    card = Card((-0.1, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))

    card.middle = (-0.06, 0.02, 0.8)
    frame = stage.frame(0.1)
    moved = follower.update(frame).place.region

    truth = stage.place(frame, card).region
    assert (moved & truth).sum() / (moved | truth).sum() > 0.9


def test_a_target_that_is_half_hidden_is_kept_and_one_that_is_hidden_is_lost_and_found_again():
    card, screen = Card((0.0, 0.0, 0.8)), Card((-0.4, 0.0, 0.6), colour=(60, 90, 180), seed=2)
    screen.side = 0.14
    stage = Stage([card, screen])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))

    lost = []
    for number in range(1, 31):
        screen.middle = (-0.4 + 0.8 * number / 30, 0.0, 0.6)
        track = follower.update(stage.frame(number / 10))
        lost.append(track.lost)
        if not track.lost:
            assert error(stage, track, card.middle) < 0.01

    hidden = lost.index(True)
    assert 0 < hidden < 15
    assert lost[14]
    assert lost.count(True) < 15
    assert not lost[-1]


def test_a_target_that_leaves_the_picture_is_lost_although_half_of_it_can_be_seen():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))

    for number in range(1, 21):
        card.middle = (0.5 * number / 20, 0.0, 0.8)
        track = follower.update(stage.frame(number / 10))
        u, _ = CAMERA.project(stage.seen(card.middle)[None])[0]
        if u > CAMERA.width:
            assert track.lost
        elif u < CAMERA.width - 30:
            assert not track.lost


def test_a_target_that_is_taken_away_is_lost():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))
    assert not follower.update(stage.frame(0.1)).lost

    stage.cards.clear()

    for number in range(2, 8):
        track = follower.update(stage.frame(number / 10))
        assert track.lost
        assert track.place is None
        assert track.confidence == 0


def test_another_thing_at_the_same_place_is_not_taken_for_the_target():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))

    stage.cards[:] = [Card((0.0, 0.0, 0.8), colour=(50, 60, 190), seed=4)]

    assert all(follower.update(stage.frame(number / 10)).lost for number in range(1, 10))


def test_of_two_twins_none_is_chosen_after_the_target_was_lost():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))
    stage.cards.clear()
    assert follower.update(stage.frame(0.5)).lost

    stage.cards[:] = [Card((-0.09, 0.0, 0.8)), Card((0.09, 0.0, 0.8))]

    assert all(follower.update(stage.frame(1 + number / 10)).lost for number in range(5))


def test_after_a_gap_a_target_must_be_told_from_its_twin():
    card = Card((-0.09, 0.0, 0.8))
    stage = Stage([card, Card((0.09, 0.0, 0.8))])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card))

    assert not follower.update(stage.frame(0.1)).lost
    assert follower.update(stage.frame(1.5)).lost


def test_a_camera_that_moves_and_turns_keeps_a_thing_that_stands():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card, Card((0.25, 0.1, 1.0), seed=7, colour=(40, 160, 70))])
    first = stage.frame()
    follower = Follower(first, stage.place(first, card), view=np.eye(3))

    for number in range(1, 16):
        angle = 0.024 * number
        cos, sin = np.cos(angle), np.sin(angle)
        stage.t_world_optical[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
        stage.t_world_optical[:3, 3] = (-0.016 * number, 0.0, 0.0)
        view = stage.t_world_optical[:3, :3]
        track = follower.update(stage.frame(number / 15), stage.seen(card.middle), view)

        assert not track.lost
        assert error(stage, track, card.middle) < 0.004
    normal = view @ track.place.rotation[:, 2]
    assert normal == pytest.approx([0, 0, -1], abs=0.05)


def test_pictures_without_depth_and_empty_regions_do_not_confuse():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame()
    place = stage.place(first, card)
    place.region[:] = False
    follower = Follower(first, place)

    blind = stage.frame(0.1)
    blind.depth_m[:] = 0

    follower.update(blind)
    card.middle = (0.01, 0.0, 0.8)
    track = follower.update(stage.frame(0.2))
    assert track.lost or error(stage, track, card.middle) < 0.01


def test_a_clock_that_was_set_back_is_no_hindrance():
    card = Card((0.0, 0.0, 0.8))
    stage = Stage([card])
    first = stage.frame(100.0)
    follower = Follower(first, stage.place(first, card))

    track = follower.update(stage.frame(0.0))

    assert not track.lost
    assert error(stage, track, card.middle) < 0.004
