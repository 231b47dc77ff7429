# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""launch_testing: what passes, what fails, and what tests are given."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

HEADER = """
import os, sys, unittest
import pytest
import launch, launch.actions, launch_testing, launch_testing.actions
from launch_testing.asserts import *

def python(code):
    return launch.actions.ExecuteProcess(cmd=[sys.executable, "-uc", code])

STAY = "print('hello'); print('a log', file=__import__('sys').stderr); import signal; "
STAY += "signal.signal(2, lambda *_: exit(0)); signal.pause()"
"""

GOOD = """
@pytest.mark.launch_test
@launch_testing.parametrize("word", ["one", "two"])
def generate_test_description(word):
    process = python(STAY + f" # {word}")
    return launch.LaunchDescription([
        launch.actions.DeclareLaunchArgument("given", default_value="default"),
        process, launch_testing.actions.ReadyToTest(),
    ]), {"process": process}

class TestRunning(unittest.TestCase):
    @classmethod
    def setUpClass(cls, process, word):
        cls.context = (process, word)

    def setUp(self, proc_info):
        proc_info.assertWaitForStartup("python")

    def test_output(self, proc_output, process, word, launch_service, test_args):
        proc_output.assertWaitFor("hello", process=process, stream="stdout", timeout=10)
        proc_output.assertWaitFor("a log", timeout=10)
        self.assertFalse(proc_output.waitFor("never", timeout=0.05))
        self.assertEqual(self.context, (process, word))
        self.assertIs(self.proc_output, proc_output)
        self.assertIn(test_args.get("given"), (None, "1"))
        self.assertNotEqual(os.environ["ROS_DOMAIN_ID"], "")

@launch_testing.post_shutdown_test()
class TestAfter(unittest.TestCase):
    def test_exit_code(self, proc_info, proc_output, process):
        assertExitCodes(proc_info, process=process)
        assertInStdout(proc_output, "hello", process)
"""

SIMPLE = """
@pytest.mark.launch_test
def generate_test_description():
    return launch.LaunchDescription([python({code!r}), {ready}])

class TestRunning(unittest.TestCase):
    def test_it(self, proc_output, proc_info):
        {body}
"""


def simple(code="STAY", body="pass", ready="launch_testing.actions.ReadyToTest()"):
    text = SIMPLE.format(code=code, body=body, ready=ready)
    return text.replace("python('STAY')", "python(STAY)")


@pytest.fixture
def launch_test(tmp_path):
    def run(body, *argv, command=("-m", "pytest", "-q")):
        file = tmp_path / "test_it.launch.py"
        file.write_text(HEADER + textwrap.dedent(body))
        return subprocess.run(
            [sys.executable, *command, str(file), *argv],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env={**os.environ, "ROS_LOG_DIR": str(tmp_path / "log")},
        )

    return run


COMMAND = (
    "-c",
    "import pocket_ros2; pocket_ros2.activate(); "
    "from launch_testing.launch_test import main; raise SystemExit(main())",
)


def test_pytest_collects_and_passes_a_marked_file(launch_test):
    done = launch_test(GOOD)

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_command_passes_arguments_and_counts_each_parameter_set(launch_test):
    done = launch_test(GOOD, "given:=1", command=COMMAND)

    assert done.returncode == 0, done.stderr
    assert "[one]: 2 tests, OK" in done.stderr
    assert "[two]: 2 tests, OK" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (simple(body="self.assertEqual(1, 2)"), "1 != 2"),
        (simple(body="proc_output.assertWaitFor('x', timeout=0.1)"), "timed out"),
        (
            simple("print('last words'); raise SystemExit(3)", "import time; time.sleep(5)"),
            "last words",
        ),
        (simple(ready="launch.actions.LogInfo(msg='x')"), "containing a ReadyToTest"),
        (simple(ready="launch.actions.DeclareLaunchArgument('a')"), "ReadyToTest"),
    ],
)
def test_failure_says_why(launch_test, text, reason):
    done = launch_test(text)

    assert done.returncode == 1, done.stdout
    assert reason in done.stdout


def test_launch_that_is_never_ready_fails_after_its_timeout(launch_test):
    text = simple(
        ready="launch.actions.TimerAction(period=60.0, "
        "actions=[launch_testing.actions.ReadyToTest()])"
    )
    text = text.replace("def gen", "@launch_testing.ready_to_test_action_timeout(0.3)\ndef gen")

    done = launch_test(text)

    assert done.returncode == 1
    assert "not ready to test after 0.3 s" in done.stdout


def test_keep_alive_lets_tests_run_without_processes(launch_test):
    text = simple("pass", "proc_info.assertWaitForShutdown('python'); import time; time.sleep(.2)")
    text = text.replace("def generate", "@launch_testing.markers.keep_alive\ndef generate")

    done = launch_test(text)

    assert done.returncode == 0, done.stdout


def test_error_in_the_launch_fails_the_test(launch_test):
    ready = (
        "launch_testing.actions.ReadyToTest(), "
        "launch.actions.TimerAction(period=0.1, actions=[launch.actions.OpaqueFunction("
        "function=lambda c: 1 / 0)])"
    )
    done = launch_test(simple(ready=ready, body="import time; time.sleep(1)"))

    assert done.returncode == 1
    assert "launch" in done.stdout


def test_file_that_is_no_launch_test_is_refused(launch_test):
    done = launch_test("", command=COMMAND)

    assert done.returncode == 2
    assert "does not define generate_test_description()" in done.stderr
