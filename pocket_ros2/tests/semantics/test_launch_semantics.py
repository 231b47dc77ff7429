# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How long a launch is patient by default, in which order it acts, and how it numbers."""

from __future__ import annotations

import asyncio
import re
import signal
import sys

import pytest
from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, ExecuteProcess, OpaqueFunction, RegisterEventHandler
from launch.actions import Shutdown as ShutdownAction
from launch.event_handlers import OnProcessIO, OnShutdown
from launch.events import Shutdown

DEAF = (
    "import signal; [signal.signal(s, lambda *_: None) for s in (2, 15)]\n"
    "print('deaf', flush=True)\nwhile True: signal.pause()"
)


@pytest.fixture(autouse=True)
def _log_folder(monkeypatch, tmp_path):
    from launch.logging import launch_config

    monkeypatch.setattr(launch_config, "_log_dir", tmp_path)


def python(code, **options):
    return ExecuteProcess(cmd=[sys.executable, "-uc", code], **options)


def run(*entities):
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription(entities))
    return service.run()


def test_a_deaf_process_has_five_seconds_and_five_more_by_default(monkeypatch, capfd):
    waits, exits = [], []
    call_later = asyncio.BaseEventLoop.call_later

    def hurry(loop, delay, *args, **options):
        waits.append(delay)
        return call_later(loop, min(delay, 0.1), *args, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", hurry)
    process = python(DEAF, on_exit=lambda event, context: exits.append(event.returncode))
    stop = OnProcessIO(target_action=process, on_stdout=lambda e: ShutdownAction())
    run(RegisterEventHandler(stop), process)

    assert exits == [-signal.SIGKILL]
    assert [wait for wait in waits if wait > 1] == [5.0, 5.0]
    out = capfd.readouterr().out
    assert re.search(r"terminate '5(\.0)?' seconds after receiving 'SIGINT', escalating", out)
    assert re.search(r"terminate '10(\.0)?' seconds after receiving 'SIGTERM', escalating", out)


def test_events_are_handled_after_the_actions_that_are_being_visited():
    order = []

    def note(word):
        return OpaqueFunction(function=lambda context: order.append(word))

    run(
        RegisterEventHandler(OnShutdown(on_shutdown=lambda event, context: order.append("event"))),
        note("before"),
        EmitEvent(event=Shutdown()),
        note("after"),
    )

    assert order == ["before", "after", "event"]


def test_processes_of_one_name_are_told_apart_by_their_number(capfd):
    run(*(python("print('here')", name="walker", output="screen") for _ in range(2)))

    labels = set(re.findall(r"^\[(walker-\d+)\] here$", capfd.readouterr().out, re.MULTILINE))
    assert len(labels) == 2
