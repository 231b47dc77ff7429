# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The fake server answers like a real one, and says that it is a fake."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import roborefer_perception.testing as fake
from roborefer_perception.core.answers import Outcome
from roborefer_perception.core.model_client import ModelClient, ModelSettings
from roborefer_perception.core.questions import PictureFormat, Question
from roborefer_perception.core.types import Kind

RGB = np.zeros((24, 33, 3), np.uint8)


@pytest.mark.parametrize("picture", list(PictureFormat))
@pytest.mark.parametrize("streamed", [False, True])
def test_without_a_script_the_middle_of_the_picture_is_meant(picture, streamed):
    with (
        fake.FakeReferringServer() as server,
        ModelClient(ModelSettings(server.url, picture=picture)) as client,
    ):
        question = Question(RGB, "mug", kind=Kind.FREE_SPACE, samples=3)
        got = client.ask(question, 5.0, (lambda text: None) if streamed else None)

    assert (got.points[0].u, got.points[0].v) == (16, 11.5)
    assert got.kind is Kind.FREE_SPACE
    assert len(got.samples) == 3
    assert "fake" in got.engine
    assert "fake" in got.text


def test_it_is_alive_and_ready_for_those_who_look():
    with fake.FakeReferringServer() as server:
        for path, state in (("healthz", {"status": "ok"}), ("readyz", {"state": "ready"})):
            with urlopen(f"{server.url}/{path}", timeout=5) as reply:
                assert json.load(reply) == state


def test_it_returns_to_the_port_that_it_had():
    with fake.FakeReferringServer() as server:
        before = server.url
        server.die()
        server.start()

        assert server.url == before


def test_as_a_program_it_serves_and_says_what_it_is():
    command = [sys.executable, "-u", fake.__file__, "--port", "0", "--at", "5", "6"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline()
            url = next(word for word in words.split() if word.startswith("http")).strip(";")
            with ModelClient(ModelSettings(url)) as client:
                got = client.ask(Question(RGB, "mug"), 5.0)
        finally:
            process.kill()

    assert "FAKE" in words
    assert got.outcome is Outcome.OK
    assert (got.points[0].u, got.points[0].v) == (5, 6)


def test_it_needs_the_standard_library_only():
    tree = ast.parse(Path(fake.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names])
    }  # fmt: skip

    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\x89PNG", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00"]
)
def test_what_is_no_picture_has_no_size(data):
    with pytest.raises(ValueError, match="no PNG or JPEG"):
        fake.picture_size(data)
