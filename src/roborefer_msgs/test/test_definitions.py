# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The interface files: accepted by ROS 2's parser, documented, consistent with the docs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
CONVENTIONS = PACKAGE.parents[1] / "docs" / "conventions.md"
FILES = sorted(p for kind in ("msg", "srv", "action") for p in PACKAGE.glob(f"{kind}/*.{kind}"))
SERVERS = ["", "REFER_", "ARM_", "NAV_", "TASK_", "SPEECH_"]
CODE = re.compile(r"^# (?P<text>(?:[^\n]+))\n(?:uint16) (?P<name>\w+)=(?P<value>\d+)$", re.M)
SYSTEM_PYTHON = "/usr/bin/python3"
DEBIAN_PARSER = """
import pathlib, sys, tempfile
from rosidl_adapter import convert_to_idl
from rosidl_parser.definition import IdlLocator
from rosidl_parser.parser import parse_idl_file
package, out = pathlib.Path(sys.argv[1]), pathlib.Path(tempfile.mkdtemp())
for kind in ("msg", "srv", "action"):
    for file in sorted(package.glob(f"{kind}/*.{kind}")):
        idl = convert_to_idl(package, package.name, file.relative_to(package), out)
        parse_idl_file(IdlLocator(out, idl.relative_to(out)))
        print("parsed", file.name)
"""


def error_codes() -> dict[str, tuple[int, str]]:
    text = (PACKAGE / "msg" / "ErrorCode.msg").read_text()
    codes = {m["name"]: (int(m["value"]), m["text"]) for m in CODE.finditer(text)}
    for border in ("FIRST_ASK", "FIRST_ABORT", "SERVER_SPAN"):
        del codes[border]
    return codes


def decision(code: int) -> str:
    rest = code % 100
    return "done" if code == 0 else "retry" if rest < 40 else "ask" if rest < 70 else "abort"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_every_field_and_constant_has_a_comment_of_its_own(file):
    before = ""
    for line in file.read_text().splitlines():
        if line and not line.startswith("#") and line != "---":
            assert before.startswith("# "), f"{file.name}: no comment above {line!r}"
        before = line


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_file_says_in_its_head_what_it_is_for(file):
    head = file.read_text().split("\n\n")[0].splitlines()

    assert head[2] == "#"
    assert head[3].startswith("# ")
    assert not head[-1].startswith("---")


def test_cmake_lists_every_interface_file():
    listed = re.findall(r'"(\w+/\w+\.\w+)"', (PACKAGE / "CMakeLists.txt").read_text())

    assert listed == sorted(str(p.relative_to(PACKAGE)) for p in FILES)


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("action/*")), ids=lambda f: f.name)
def test_every_action_result_tells_code_message_and_phase(file):
    _, result, feedback = file.read_text().split("\n---\n")
    fields = [f for f in result.splitlines() if f and not f.startswith("#")]

    assert fields[:3] == ["uint16 error_code", "string error_msg", "uint8 phase"]
    assert "uint8 phase" in feedback.splitlines()


def test_error_codes_are_unique_and_in_the_hundred_of_their_server():
    codes = error_codes()
    values = [value for value, _ in codes.values()]

    assert len(set(values)) == len(values)
    assert values == sorted(values)
    for name, (value, _) in codes.items():
        prefix = next(p for p in reversed(SERVERS) if name.startswith(p))
        assert value // 100 == SERVERS.index(prefix), name


def test_conventions_list_the_error_codes_as_they_are():
    if not CONVENTIONS.is_file():
        pytest.skip("docs/conventions.md is not beside this package")
    rows = [
        f"| {value} | `{name}` | {decision(value)} | {text} |"
        for name, (value, text) in error_codes().items()
    ]

    listed = re.findall(r"^\| \d+ \| `\w+` \|.*$", CONVENTIONS.read_text(), re.M)

    assert listed == rows, "the table should read:\n" + "\n".join(rows)


def test_the_parser_of_ros_2_accepts_every_file():
    # The system's interpreter has ROS 2's own parser where Debian or a sourced ROS 2 put it.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("POCKET_ROS2")}
    probe = [SYSTEM_PYTHON, "-c", "import rosidl_adapter, rosidl_parser"]
    if subprocess.run(probe, capture_output=True, env=environment).returncode:
        pytest.skip("no rosidl parser on this machine (Debian: python3-rosidl)")

    run = subprocess.run(
        [SYSTEM_PYTHON, "-c", DEBIAN_PARSER, str(PACKAGE)],
        capture_output=True,
        text=True,
        env=environment,
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.count("parsed ") == len(FILES)
