# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Server-sent events, however the bytes are cut."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from roborefer_perception.core.events import Event, EventReader

STREAM = (
    b'event: text\ndata: {"text": "a"}\n\n: waiting\n\ndata: one\ndata:two\n\n'
    b"id: 3\nretry\n\nevent: answer\r\ndata: {}\r\n\r\nevent: cut\ndata: off\n"
)
EVENTS = [Event("text", b'{"text": "a"}'), Event("message", b"one\ntwo"), Event("answer", b"{}")]


@pytest.mark.parametrize("seed", range(20))
def test_events_are_the_same_however_the_bytes_are_cut(seed):
    rng = random.Random(seed)
    cuts = sorted({0, len(STREAM), *(rng.randrange(len(STREAM)) for _ in range(seed))})
    reader = EventReader()

    found = [event for begin, end in pairwise(cuts) for event in reader.feed(STREAM[begin:end])]

    assert found == EVENTS


def test_bytes_one_by_one_give_the_events():
    reader = EventReader()

    assert [e for at in range(len(STREAM)) for e in reader.feed(STREAM[at : at + 1])] == EVENTS
