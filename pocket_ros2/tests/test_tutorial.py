# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The tutorial of the README is copy-paste exact: its files and commands are run as printed."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
TUTORIAL = README.read_text(encoding="utf-8").partition("## Five minutes")[2].partition("\n## ")[0]
FILE = re.compile(r"^`(\S+\.py)`:\n\n```python\n(.*?)```", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PROGRAM = re.compile(r"`python (\w+\.py[^`]*)`")


def commands() -> list[tuple[str, list[str]]]:
    """Return every command of the tutorial with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for block in CONSOLE.findall(TUTORIAL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line:
                found[-1][1].append(line)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory, ros_env):
    """A folder with the tutorial's files, its programs running in an enabled environment."""
    path = tmp_path_factory.mktemp("tutorial")
    # Does for these processes what `pocket-ros2 enable` does for a virtual environment.
    hook = tmp_path_factory.mktemp("enabled")
    (hook / "sitecustomize.py").write_text("import pocket_ros2_hook\n", encoding="utf-8")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("PYTHONPATH", str(hook))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    for name, code in FILE.findall(TUTORIAL):
        (path / name).write_text(code, encoding="utf-8")
    programs = [
        subprocess.Popen(
            [sys.executable, *shlex.split(program)],
            cwd=path,
            stderr=(path / f"{number}.log").open("w"),
        )
        for number, program in enumerate(PROGRAM.findall(TUTORIAL))
    ]
    assert len(programs) == 5
    yield path
    for program in programs:
        program.send_signal(signal.SIGINT)
    assert [program.wait(15) for program in programs] == [0] * len(programs), [
        log.read_text() for log in path.glob("*.log")
    ]
    monkeypatch.undo()


def run(command: str, folder: Path) -> subprocess.Popen:
    program, *rest = shlex.split(command)
    assert program == "pocket-ros2"
    return subprocess.Popen(
        [sys.executable, "-m", "pocket_ros2.cli.main", *rest],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


ENDLESS = [command for command, _ in commands() if re.search(r"launch \S+ \S+:=", command)]
FINITE = [entry for entry in commands() if entry[0] not in ENDLESS]


@pytest.mark.parametrize(("command", "promised"), FINITE, ids=[c for c, _ in FINITE])
def test_command_prints_what_the_readme_shows(command, promised, folder):
    process = run(command, folder)

    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    lines = output.splitlines()
    assert [line for line in lines if line in promised] == promised or set(promised) <= set(lines)


@pytest.mark.parametrize("command", ENDLESS)
def test_launch_runs_until_interrupted(command, folder):
    process = run(command, folder)
    assert process.stdout is not None

    heard = any("heard: hello" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    assert heard
    assert process.returncode == 0, output
    assert "process has finished cleanly" in output


def test_remapped_talker_speaks_on_the_other_topic(folder):
    process = run("pocket-ros2 topic echo --once --timeout 20 /gossip", folder)

    output, _ = process.communicate(timeout=60)

    assert "data: hello" in output
