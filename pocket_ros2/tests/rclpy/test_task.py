# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Futures and tasks."""

from __future__ import annotations

import pytest
from rclpy.task import Future, Task


def test_future_holds_a_result_or_raises_its_exception():
    future = Future()
    assert (future.done(), future.result(), future.exception()) == (False, None, None)
    future.set_result(3)
    assert (future.done(), future.result()) == (True, 3)

    failed = Future()
    failed.set_exception(ValueError("bad"))
    assert failed.done()
    with pytest.raises(ValueError, match="bad"):
        failed.result()


def test_callbacks_come_once_in_order_also_when_added_late():
    future, log = Future(), []
    future.add_done_callback(lambda f: log.append(("early", f)))
    removed = log.append
    future.add_done_callback(removed)
    assert future.remove_done_callback(removed)
    future.set_result(1)
    future.add_done_callback(lambda f: log.append(("late", f)))

    assert log == [("early", future), ("late", future)]


def test_exception_in_a_callback_warns_and_does_not_reach_the_setter():
    future = Future()
    future.add_done_callback(lambda f: 1 / 0)
    with pytest.warns(UserWarning, match="division by zero"):
        future.set_result(1)


def test_cancelled_future_is_not_done_and_calls_back():
    future, log = Future(), []
    future.add_done_callback(log.append)
    future.cancel()
    future.cancel()

    assert future.cancelled()
    assert not future.done()
    assert log == [future]


def test_exception_nobody_asked_for_is_printed(capsys):
    future = Future()
    future.set_exception(ValueError("lost"))
    del future

    assert "never retrieved: lost" in capsys.readouterr().err


def test_task_runs_a_function_once():
    log = []
    task = Task(lambda x, y: log.append((x, y)), [1], {"y": 2})
    task()
    task()

    assert task.done()
    assert log == [(1, 2)]


def test_task_advances_a_coroutine_at_each_call():
    gate = Future()

    async def coroutine(x):
        return x + await gate

    task = Task(coroutine, [1])
    task()
    task()
    assert not task.done()
    assert not task.executing()
    gate.set_result(2)
    task()

    assert task.result() == 3


def test_task_that_cancels_itself_goes_on_to_its_next_wait_and_no_further():
    log = []

    async def coroutine():
        task.cancel()
        log.append("waits")
        await Future()
        log.append("never")

    task = Task(coroutine)
    task()
    task()

    assert task.cancelled()
    assert log == ["waits"]


def test_exception_becomes_the_task_s():
    task = Task(lambda: 1 / 0)
    task()

    assert isinstance(task.exception(), ZeroDivisionError)
