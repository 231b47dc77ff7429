# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import subprocess
import sys

import pytest
from roborefer_vlm.cli.checks.check import Check, State
from roborefer_vlm.cli.main import main

HEAVY = ("torch", "transformers", "fastapi", "numpy", "cv2", "scipy", "PIL", "httpx", "pydantic")


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["point", "only-one"]])
def test_help_and_mistakes_are_answered_without_heavy_imports(arguments):
    script = (
        "import sys\nfrom roborefer_vlm.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('\\nLOADED ' + ' '.join(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )

    loaded = set(done.stderr.rpartition("LOADED ")[2].split())
    assert "roborefer_vlm.cli.bench" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("command", ["point", "serve", "bench", "doctor"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])

    assert caught.value.code == 0
    assert f"usage: roborefer {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["point", "x.png"],
        ["bench", "own"],
        ["bench", "own", "dir"],
        ["point", "x.png", "mug", "--engine", "scene_graph", "--url", "http://127.0.0.1:1"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert "usage: roborefer" in capsys.readouterr().err


def test_interrupt_exits_with_130(monkeypatch, capsys):
    from roborefer_vlm.cli import doctor

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupt)

    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "roborefer doctor: interrupted\n"


def test_terminal_without_unicode_shows_signs_in_ascii(monkeypatch):
    from roborefer_vlm.cli import doctor

    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, "ascii"))
    monkeypatch.setattr(doctor, "_checks", lambda _: [Check("x", State.GOOD, "café")])

    assert main(["doctor"]) == 0
    sys.stdout.flush()
    assert screen.getvalue().startswith(rb"\u2713 x  caf\xe9")
