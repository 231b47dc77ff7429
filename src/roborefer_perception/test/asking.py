# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A fake server, clients of it, and a question."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from time import monotonic

import numpy as np
import pytest
from roborefer_perception.core.model_client import ModelClient, ModelSettings
from roborefer_perception.core.questions import Question
from roborefer_perception.exceptions import ReferFailure
from roborefer_perception.testing import FakeReferringServer, answer

SIZE = (32, 24)
RGB = np.zeros((24, 32, 3), np.uint8)
QUESTION = Question(RGB, "the mug", np.ones((24, 32), np.float32))
GOOD = answer(SIZE, [(3, 4)])


def serving():
    """Fixture: a fake server."""
    with FakeReferringServer() as server:
        yield server


def making(server):
    """Fixture: makes clients of the server that are closed at the end."""
    with ExitStack() as stack:

        def make(**changed):
            given = {"url": server.url, "first_pause_s": 0.01, **changed}
            return stack.enter_context(ModelClient(ModelSettings(**given), seed=0))

        yield make


def fails(client, deadline_s=5.0, **more):
    """Return the failure of a question."""
    with pytest.raises(ReferFailure) as caught:
        client.ask(QUESTION, deadline_s, **more)
    return caught.value


def hang(request):
    request.gone.wait(20)


def wait_for(done):
    """Look now and then until something is true."""
    due, never = monotonic() + 10, threading.Event()
    while not done():
        assert monotonic() < due
        never.wait(0.005)
