# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Stamps and durations come back from messages as they went in."""

import pytest
from roborefer_common.times import duration_to_msg, nanoseconds, time_to_msg


@pytest.mark.parametrize("seconds", [0.0, 0.1, 12.999999999, 5.0000000004])
def test_durations_and_stamps_come_back(seconds):
    message = duration_to_msg(seconds)

    assert nanoseconds(message) == round(seconds * 1e9)
    assert nanoseconds(time_to_msg(nanoseconds(message))) == nanoseconds(message)


def test_there_is_no_stamp_before_the_epoch():
    assert nanoseconds(time_to_msg(-5)) == 0
