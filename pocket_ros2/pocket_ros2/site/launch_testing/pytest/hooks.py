# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets pytest collect files whose generate_test_description is marked `launch_test`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launch.launch_description_sources import load_python_launch_file_as_module
from pocket_ros2.testing import isolated_ros

from launch_testing.test_runner import LaunchTestRunner, test_runs


class _LaunchTestFailed(Exception):
    """Some tests of a launch test failed; the text is the report."""


class LaunchTestItem(pytest.Item):
    def runtest(self) -> None:
        arguments = [tuple(a.split(":=", 1)) for a in self.config.getoption("--launch-args")]
        module = load_python_launch_file_as_module(str(self.path))
        with isolated_ros():
            results = LaunchTestRunner(test_runs(module), arguments).run()
        reports = [
            f"FAIL: {case}\n{text}"
            for result in results.values()
            for case, text in (*result.errors, *result.failures)
        ]
        if reports:
            raise _LaunchTestFailed("\n".join(reports))
        if all(result.testsRun == len(result.skipped) > 0 for result in results.values()):
            pytest.skip("; ".join(r for result in results.values() for _, r in result.skipped))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, _LaunchTestFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"launch tests: {self.name}"


class LaunchTestModule(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        yield LaunchTestItem.from_parent(self, name=self.path.name.removesuffix(".py"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--launch-args", nargs="*", default=[], help="arguments, name:=value")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "launch_test: generate_test_description of a launch test")


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.File | None:
    if b"generate_test_description" not in module_path.read_bytes():
        return None
    module = load_python_launch_file_as_module(str(module_path))
    entry = getattr(module, "generate_test_description", None)
    if any(mark.name == "launch_test" for mark in getattr(entry, "pytestmark", ())):
        return LaunchTestModule.from_parent(parent, path=module_path)
    return None
