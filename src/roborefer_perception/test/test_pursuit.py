# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Following in the target frame: velocity, late answers of the model, and moving cameras."""

import numpy as np
import pytest
from roborefer_perception.core.pursuit import Pursuit
from stage import Card, Stage

VELOCITY = np.array([0.15, 0.0, 0.05])


def drive(stage, card, pursuit, seconds, first=1):
    """Move the card at VELOCITY, ten pictures a second; return the last sighting."""
    start = np.array(card.middle) - VELOCITY * (first - 1) / 10
    for number in range(first, first + round(seconds * 10)):
        card.middle = tuple(start + VELOCITY * number / 10)
        sighting = pursuit.update(stage.frame(number / 10), stage.t_world_optical)
    return sighting


def begin(offset=(0.0, 0.0), turn=None):
    card = Card((-0.15, 0.0, 0.8))
    stage = Stage([card])
    if turn is not None:
        stage.t_world_optical[:3, :3] = turn
    frame = stage.frame()
    return stage, card, Pursuit(frame, stage.place(frame, card, offset), stage.t_world_optical)


def test_position_and_velocity_are_those_of_the_target_frame():
    cos, sin = np.cos(0.1), np.sin(0.1)
    stage, card, pursuit = begin(turn=[[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])

    sighting = drive(stage, card, pursuit, 1.5)

    assert not sighting.lost
    assert sighting.posed.position == pytest.approx(card.middle, abs=0.004)
    assert sighting.velocity == pytest.approx(VELOCITY, abs=0.05)


def test_a_lost_target_keeps_its_last_pose_and_has_no_velocity():
    stage, card, pursuit = begin()
    seen = drive(stage, card, pursuit, 0.5)
    stage.cards.clear()

    lost = drive(stage, card, pursuit, 0.2, first=6)

    assert lost.lost
    assert lost.posed is seen.posed
    assert not lost.velocity.any()
    assert lost.confidence == 0


def test_a_late_answer_moves_the_followed_point_without_a_jump_of_velocity():
    stage, card, pursuit = begin(offset=(0.02, 0.0))
    drive(stage, card, pursuit, 0.5)
    asked = stage.frame(0.5)
    answer = stage.place(asked, card, (-0.02, 0.0))
    drive(stage, card, pursuit, 0.5, first=6)

    pursuit.correct(asked, answer, stage.t_world_optical)
    sighting = drive(stage, card, pursuit, 0.1, first=11)

    assert not sighting.lost
    assert sighting.posed.position == pytest.approx(np.add(card.middle, (-0.02, 0, 0)), abs=0.005)
    assert sighting.velocity == pytest.approx(VELOCITY, abs=0.1)


def test_an_answer_brings_a_lost_target_back_from_far_away():
    stage, card, pursuit = begin()
    stage.cards.clear()
    assert drive(stage, card, pursuit, 0.3).lost
    card.middle = (0.2, 0.1, 0.9)
    stage.cards.append(card)
    asked = stage.frame(0.5)

    pursuit.correct(asked, stage.place(asked, card), stage.t_world_optical)
    sighting = pursuit.update(stage.frame(0.6), stage.t_world_optical)

    assert not sighting.lost
    assert sighting.posed.position == pytest.approx(card.middle, abs=0.004)


def test_a_clock_set_back_is_survived():
    stage, card, pursuit = begin()
    drive(stage, card, pursuit, 0.5)

    sighting = pursuit.update(stage.frame(-0.5), stage.t_world_optical)

    assert not sighting.lost
    assert sighting.posed.position == pytest.approx(card.middle, abs=0.004)
