# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The judge of the demo: what the sentences say is told from what they do not say."""

import pytest
from roborefer_bringup.demo.story import ACTS, THINGS, Pose, between, in_front_of, left_of

TABLE = {thing.name: Pose(thing.x, thing.y) for thing in THINGS}


def passed(judge, **after):
    moved = {name.replace("_", " "): pose for name, pose in after.items()}
    return all(check.passed for check in judge(TABLE, TABLE | moved))


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.title)
def test_nothing_is_true_before_it_is_done(act):
    assert not all(check.passed for check in act.judge(TABLE, TABLE))


def test_left_is_left_in_the_picture_and_near():
    judge, bowl = left_of("can", "bowl"), TABLE["bowl"]

    assert passed(judge, can=Pose(bowl.x, bowl.y - 0.12))
    assert not passed(judge, can=Pose(bowl.x, bowl.y + 0.12))
    assert not passed(judge, can=Pose(bowl.x + 0.2, bowl.y - 0.12))
    assert not passed(judge, can=Pose(bowl.x, bowl.y - 0.4))


def test_between_is_on_the_line_and_not_at_its_ends():
    judge, mug, box = between("can", "mug", "box"), TABLE["mug"], TABLE["box"]
    middle = Pose((mug.x + box.x) / 2, (mug.y + box.y) / 2)

    assert passed(judge, can=middle)
    assert not passed(judge, can=Pose(middle.x + 0.1, middle.y))
    assert not passed(judge, can=Pose(box.x, box.y))


def test_front_is_towards_the_viewer():
    judge, mug = in_front_of("left block", "mug"), TABLE["mug"]

    assert passed(judge, left_block=Pose(mug.x + 0.1, mug.y))
    assert not passed(judge, left_block=Pose(mug.x - 0.1, mug.y))


def test_whatever_else_moves_or_falls_spoils_it():
    judge, bowl = left_of("can", "bowl"), TABLE["bowl"]
    can, mug = Pose(bowl.x, bowl.y - 0.12), TABLE["mug"]

    assert not passed(judge, can=can, mug=Pose(mug.x + 0.05, mug.y))
    assert not passed(judge, can=can, mug=Pose(mug.x, mug.y, tilt=1.5))
    assert not passed(judge, can=Pose(can.x, can.y, tilt=1.5))
