# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes: output, exit, signals, escalation, respawn, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from launch import LaunchDescription, LaunchService
from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    RegisterEventHandler,
    SetLaunchConfiguration,
    Shutdown,
)
from launch.event_handlers import OnProcessExit, OnProcessIO, OnProcessStart
from launch.events import matches_action
from launch.events.process import ShutdownProcess, SignalProcess

IGNORE_SIGNALS = (
    "import signal\n"
    "signal.signal(signal.SIGINT, lambda *_: None)\n"
    "signal.signal(signal.SIGTERM, lambda *_: None)\n"
    "print('deaf', flush=True)\n"
    "while True: signal.pause()\n"
)


@pytest.fixture(autouse=True)
def log_folder(monkeypatch, tmp_path):
    from launch.logging import launch_config

    monkeypatch.setattr(launch_config, "_log_dir", tmp_path)
    return tmp_path


def python(code, **kwargs):
    return ExecuteProcess(cmd=[sys.executable, "-uc", code], **kwargs)


def run(*entities):
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription(entities))
    return service.run()


def on_output(target, *entities):
    """Visit entities when the target has written something."""
    return RegisterEventHandler(
        OnProcessIO(target_action=target, on_stdout=lambda e: entities, handle_once=True)
    )


def test_output_goes_where_it_is_asked_for(capfd, log_folder):
    code = "import sys; print('to out'); print('to err', file=sys.stderr)"

    assert run(python(code, name="shown", output="screen"), python(code, name="hidden")) == 0

    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("[shown-") and line.endswith("] to out") for line in lines)
    assert any(line.startswith("[hidden-") and line.endswith("] to err") for line in lines)
    assert not any(line.startswith("[hidden-") and line.endswith("] to out") for line in lines)
    assert "] to out" in (log_folder / "launch.log").read_text()
    assert any("process has finished cleanly [pid " in line for line in lines)


def test_own_log_and_dictionary_outputs(log_folder, capfd):
    run(
        python("print('mine')", name="own", output="own_log"),
        python("print('dict')", name="d", output={"stdout": {"screen"}}),
    )

    assert "mine" in next(log_folder.glob("own-*-stdout.log")).read_text()
    assert "] dict" in capfd.readouterr().out
    assert run(python("", output="everywhere")) == 1


def test_a_line_in_pieces_is_shown_once_and_the_last_without_newline(capfd):
    code = "import sys,time; [(sys.stdout.write(c), sys.stdout.flush()) for c in 'ab\\ncd']"

    run(python(code, name="p", output="screen"))

    shown = [
        line.split("] ", 1)[1] for line in capfd.readouterr().out.splitlines() if "[p-" in line
    ]
    assert [line for line in shown if line in ("ab", "cd")] == ["ab", "cd"]


def test_crash_is_reported_with_exit_code_and_does_not_change_the_return_code(capfd):
    assert run(python("raise SystemExit(7)")) == 0

    assert "exit code 7, cmd '" in capfd.readouterr().out


def test_program_that_does_not_exist_is_reported_and_the_rest_goes_on(capfd):
    assert run(ExecuteProcess(cmd=["/no/such/program"]), LogInfo(msg="goes on")) == 0

    out = capfd.readouterr().out
    assert "exception occurred while executing process" in out
    assert "goes on" in out


def test_exit_handlers_see_code_and_may_return_entities():
    seen = []
    first = python("raise SystemExit(3)")

    run(
        RegisterEventHandler(
            OnProcessStart(target_action=first, on_start=lambda e, c: seen.append(e.pid > 0))
        ),
        RegisterEventHandler(
            OnProcessExit(
                target_action=first,
                on_exit=lambda e, c: [
                    python("", on_exit=lambda e, c: seen.append(e.returncode)),
                    seen.append(e.returncode) or LogInfo(msg="x"),
                ],
            )
        ),
        first,
    )

    assert seen == [True, 3, 0]


def test_required_process_ends_the_launch(capfd):
    assert run(python("", on_exit=Shutdown()), ExecuteProcess(cmd=["sleep", "60"])) == 0

    assert "was required: shutting down launched system" in capfd.readouterr().out


def test_deaf_process_is_escalated_to_sigterm_and_sigkill(capfd):
    exits = []
    process = python(
        IGNORE_SIGNALS,
        sigterm_timeout="0.2",
        sigkill_timeout="0.2",
        on_exit=lambda e, c: exits.append(e.returncode),
    )

    run(on_output(process, Shutdown()), process)

    out = capfd.readouterr().out
    assert exits == [-signal.SIGKILL]
    assert (
        "failed to terminate '0.2' seconds after receiving 'SIGINT', escalating to 'SIGTERM'"
        in out
    )
    assert "failed to terminate '0.4' seconds after receiving 'SIGTERM', escalating to" in out


def test_timeouts_come_from_launch_configurations():
    process = python(IGNORE_SIGNALS)
    began = time.monotonic()

    run(
        SetLaunchConfiguration("sigterm_timeout", "0.1"),
        SetLaunchConfiguration("sigkill_timeout", "0.1"),
        on_output(process, Shutdown()),
        process,
    )

    assert time.monotonic() - began < 4.0


def test_shutdown_of_one_process_and_signals_reach_only_their_target():
    ends = {}
    stay = "import signal; signal.signal(2, signal.SIG_DFL); print(1); signal.pause()"
    first = python(stay, on_exit=lambda e, c: ends.update(first=e.returncode))
    second = python(stay, on_exit=lambda e, c: ends.update(second=e.returncode))

    run(
        on_output(first, EmitEvent(event=ShutdownProcess(process_matcher=matches_action(first)))),
        on_output(
            second,
            EmitEvent(
                event=SignalProcess(
                    signal_number="SIGTERM", process_matcher=matches_action(second)
                )
            ),
        ),
        first,
        second,
    )

    assert ends == {
        "first": 1 if ends["first"] == 1 else -signal.SIGINT,
        "second": -signal.SIGTERM,
    }


def test_respawn_counts_and_stops_at_shutdown():
    pids = []
    limited = python(
        "", respawn=True, respawn_max_retries=2, on_exit=lambda e, c: pids.append(e.pid)
    )

    run(limited)

    assert len(set(pids)) == 3


def test_respawn_waits_its_delay_and_gives_up_when_the_launch_ends():
    starts = []
    forever = python("", respawn=True, respawn_delay=60.0)

    run(
        RegisterEventHandler(
            OnProcessStart(target_action=forever, on_start=lambda e, c: starts.append(e.pid))
        ),
        RegisterEventHandler(OnProcessExit(target_action=forever, on_exit=[Shutdown()])),
        forever,
    )

    assert len(starts) == 1


def test_environment_folder_shell_prefix_and_terminal(tmp_path, capfd):
    show = "import os,sys; print(os.environ.get('A'), os.environ.get('B'), sys.stdout.isatty())"

    run(
        python(show, additional_env={"A": "1"}, output="screen", name="add"),
        python(show, env={"B": "2"}, output="screen", emulate_tty=True, name="only"),
        ExecuteProcess(
            cmd=["pwd && echo $((1+1))"], shell=True, cwd=str(tmp_path), output="screen"
        ),
        ExecuteProcess(cmd=["prefixed"], prefix="echo -n", output="screen"),
    )

    out = capfd.readouterr().out
    assert "] 1 None False" in out
    assert "] None 2 True" in out
    assert f"] {tmp_path}" in out
    assert "] 2\n" in out
    assert "] prefixed" in out


class Breaks(ExecuteProcess):
    def execute(self, context):
        super().execute(context)
        raise RuntimeError("after the start")


def test_error_right_after_a_start_does_not_leave_the_process_behind():
    process = Breaks(cmd=["sleep", "60"])

    assert run(process) == 1

    assert process.return_code == -signal.SIGINT
    assert not psutil.pid_exists(process.process_details["pid"])


LAUNCHER = """
import sys
import pocket_ros2; pocket_ros2.activate()
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess
child = "import os, signal\\n"
child += "signal.signal(2, lambda *_: (print('got sigint', flush=True), exit(0)))\\n"
child += "print('up', os.getpid(), flush=True)\\nwhile 1: signal.pause()"
service = LaunchService(noninteractive="-n" in sys.argv)
service.include_launch_description(LaunchDescription([
    ExecuteProcess(cmd=[sys.executable, "-c", child], output="screen", name=f"child{i}")
    for i in range(2)
]))
sys.exit(service.run())
"""


@pytest.fixture
def launcher(tmp_path):
    """Start a launch in a process group of its own; yield (process, child pids)."""
    processes = []

    def start(*args):
        process = subprocess.Popen(
            [sys.executable, "-uc", LAUNCHER, *args],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
            start_new_session=True,
        )
        processes.append(process)
        pids = []
        while len(pids) < 2:
            line = process.stdout.readline()
            assert line, "the launch ended too early"
            if "] up " in line:
                pids.append(int(line.split()[-1]))
        return process, pids

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def gone(pids, timeout_s=5.0):
    known = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return not psutil.wait_procs(known, timeout=timeout_s)[1]


def test_ctrl_c_of_a_terminal_reaches_each_child_exactly_once(launcher):
    process, pids = launcher()

    os.killpg(process.pid, signal.SIGINT)

    out = process.communicate(timeout=10)[0]
    assert process.returncode == 0
    assert out.count("got sigint") == 2
    assert "sending signal" not in out
    assert gone(pids)


def test_sigint_without_a_terminal_is_handed_to_the_children(launcher):
    process, pids = launcher("-n")

    process.send_signal(signal.SIGINT)

    out = process.communicate(timeout=10)[0]
    assert process.returncode == 0
    assert out.count("got sigint") == 2
    assert gone(pids)


def test_sigterm_to_the_launch_stops_the_children_and_is_an_error(launcher):
    process, pids = launcher()

    process.send_signal(signal.SIGTERM)

    out = process.communicate(timeout=10)[0]
    assert process.returncode == 1
    assert out.count("got sigint") == 2
    assert gone(pids)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent death signal of Linux")
def test_children_do_not_outlive_a_launch_that_was_killed(launcher):
    process, pids = launcher()

    process.kill()

    assert gone(pids)


def test_killed_child_is_reported_and_the_launch_goes_on_with_the_other(launcher):
    process, pids = launcher("-n")

    os.kill(pids[0], signal.SIGKILL)
    while "exit code -9" not in process.stdout.readline():
        pass
    assert process.poll() is None
    process.send_signal(signal.SIGINT)

    process.communicate(timeout=10)
    assert process.returncode == 0
    assert gone(pids)
