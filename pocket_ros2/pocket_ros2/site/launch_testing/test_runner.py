# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts what a test file describes and runs its tests, before and after the shutdown."""

from __future__ import annotations

import functools
import inspect
import threading
import unittest
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.event_handlers import OnProcessExit, OnProcessIO, OnProcessStart
from launch.launch_description_sources import LaunchDescriptionSource

from launch_testing.actions import ReadyToTest
from launch_testing.io_handler import ActiveIoHandler, ActiveProcInfoHandler

_HOOKS = ("setUp", "tearDown", "setUpClass", "tearDownClass")


class TestRun:
    """One set of parameters of one test file."""

    __test__ = False

    def __init__(self, module: ModuleType, parameters: dict[str, Any]) -> None:
        self._module = module
        self._function = module.generate_test_description
        self._parameters = parameters
        self.timeout_s = getattr(self._function, "__ready_to_test_action_timeout__", 15.0)
        self.keep_alive = getattr(self._function, "__keep_alive__", False)
        values = ", ".join(map(str, parameters.values()))
        self.name = f"{module.__name__}[{values}]" if parameters else module.__name__

    def describe(self) -> tuple[LaunchDescription, ReadyToTest, dict[str, Any]]:
        """Return the description, its ready action, and what tests may ask for by name."""
        result = self._function(**self._parameters)
        description, context = result if isinstance(result, tuple) else (result, {})
        ready = next(_ready_actions(description.entities), None)
        if ready is None:
            raise RuntimeError(
                "generate_test_description functions must return a LaunchDescription "
                "containing a ReadyToTest action"
            )
        return description, ready, {**context, **self._parameters}

    def suite(self, after_shutdown: bool, values: dict[str, Any]) -> unittest.TestSuite:
        """Return the tests, bound to the values that they name as arguments."""
        suite = unittest.TestSuite()
        for case in vars(self._module).values():
            if not (isinstance(case, type) and issubclass(case, unittest.TestCase)):
                continue
            if getattr(case, "__post_shutdown_test__", False) == after_shutdown:
                bound = _bound(case, values)
                suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(bound))
        return suite


def test_runs(module: ModuleType) -> list[TestRun]:
    """Return the runs of a test file, one per set of parameters."""
    sets = getattr(module.generate_test_description, "__parametrized__", [{}])
    return [TestRun(module, parameters) for parameters in sets]


test_runs.__test__ = False


class LaunchTestRunner:
    """Runs launch tests in the main thread; the tests themselves have a thread beside it."""

    def __init__(
        self,
        test_runs: Iterable[TestRun],
        launch_file_arguments: Iterable[tuple[str, str]] = (),
        debug: bool = False,
    ) -> None:
        self._runs = list(test_runs)
        self._arguments = list(launch_file_arguments)
        self._debug = debug

    def run(self) -> dict[TestRun, unittest.TestResult]:
        """Return the result of each run, of both parts together."""
        return {run: self._run(run) for run in self._runs}

    def _run(self, run: TestRun) -> unittest.TestResult:
        result = unittest.TestResult()
        description, ready, values = run.describe()
        service = LaunchService(debug=self._debug, noninteractive=True)
        info, output = ActiveProcInfoHandler(), ActiveIoHandler()
        arguments = dict(self._arguments)
        values.update(
            proc_info=info, proc_output=output, test_args=arguments, launch_service=service
        )
        finished = False

        def test() -> None:
            nonlocal finished
            try:
                if ready._visited.wait(run.timeout_s):
                    run.suite(False, values).run(result)
                    finished = True
            finally:
                service.shutdown()

        for handler in (
            OnProcessStart(on_start=lambda event, _: info.append(event)),
            OnProcessExit(on_exit=lambda event, _: info.append(event)),
            OnProcessIO(on_stdout=output.append, on_stderr=output.append),
        ):
            service.context.register_event_handler(handler)
        source = LaunchDescriptionSource(description)
        include = IncludeLaunchDescription(source, launch_arguments=arguments)
        service.include_launch_description(LaunchDescription([include]))
        thread = threading.Thread(target=test, name="launch_test", daemon=True)
        thread.start()
        code = service.run(shutdown_when_idle=not run.keep_alive)
        if not finished:
            text = "the launch failed" if code else "processes under test stopped"
            if not ready._visited.is_set():
                text = f"not ready to test after {run.timeout_s:g} s" if not code else text
            _fail(result, run, f"{text} before tests completed:\n{_report(info, output)}")
            return result
        thread.join()
        run.suite(True, values).run(result)
        if code:
            _fail(result, run, "the launch ended with an error, see its messages")
        return result


def _ready_actions(entities: Iterable[Any]) -> Any:
    for entity in entities:
        if isinstance(entity, ReadyToTest):
            yield entity
        yield from _ready_actions(entity.describe_sub_entities())
        for _, inner in entity.describe_conditional_sub_entities():
            yield from _ready_actions(inner)


def _bound(case: type[unittest.TestCase], values: dict[str, Any]) -> type[unittest.TestCase]:
    """Return a subclass whose tests and hooks get the values that they name."""
    attributes = ("proc_info", "proc_output", "test_args", "launch_service")
    members: dict[str, Any] = {name: values[name] for name in attributes}
    for name in dir(case):
        if name in _HOOKS or name.startswith("test"):
            function = inspect.getattr_static(case, name)
            plain = getattr(function, "__func__", function)
            asked = set(inspect.signature(plain).parameters) & set(values)
            if callable(plain) and asked:
                wrapped = _calling(plain, {argument: values[argument] for argument in asked})
                members[name] = classmethod(wrapped) if plain is not function else wrapped
    return type(case.__name__, (case,), {**members, "__module__": case.__module__})


def _calling(function: Any, given: dict[str, Any]) -> Any:
    return functools.wraps(function)(lambda owner: function(owner, **given))


def _fail(result: unittest.TestResult, run: TestRun, text: str) -> None:
    def fail() -> None:
        raise AssertionError(text)

    unittest.FunctionTestCase(fail, description=run.name).run(result)


def _report(info: ActiveProcInfoHandler, output: ActiveIoHandler) -> str:
    """Return how the processes that failed ended, with all they wrote."""
    lines = []
    for action in info.processes():
        code = getattr(info[action], "returncode", None)
        text = b"".join(io.text for io in output if io.action is action).decode(errors="replace")
        lines.append(f"process {action.final_name} exited with {code}, output:\n{text}")
    return "\n".join(lines)
