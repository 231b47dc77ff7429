# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The `launch_test` command."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from launch.launch_description_sources import load_python_launch_file_as_module
from pocket_ros2.testing import isolated_ros

from launch_testing.test_runner import LaunchTestRunner, test_runs


def main(argv: list[str] | None = None) -> int:
    """Run one launch test file.

    Returns:
        0 when all tests passed, 1 when one failed, 2 when the file is no launch test.
    """
    parser = argparse.ArgumentParser(prog="launch_test", description="Run a launch test file")
    parser.add_argument("test_file")
    parser.add_argument("launch_arguments", nargs="*", metavar="name:=value")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--disable-isolation", action="store_true", help="use the present domain")
    args = parser.parse_args(argv)
    if not Path(args.test_file).is_file():
        parser.error(f"test file {args.test_file!r} does not exist")
    module = load_python_launch_file_as_module(args.test_file)
    if not hasattr(module, "generate_test_description"):
        parser.error(f"{args.test_file!r} does not define generate_test_description()")
    pairs = [tuple(text.split(":=", 1)) for text in args.launch_arguments if ":=" in text]
    if len(pairs) != len(args.launch_arguments):
        parser.error("launch arguments have the form <name>:=<value>")
    isolation = contextlib.nullcontext() if args.disable_isolation else isolated_ros()
    with isolation:
        results = LaunchTestRunner(test_runs(module), pairs, args.verbose).run()
    for run, result in results.items():
        for case, text in (*result.errors, *result.failures):
            print(f"FAIL: {case}\n{text}", file=sys.stderr)
        verdict = "OK" if result.wasSuccessful() else "FAILED"
        print(f"{run.name}: {result.testsRun} tests, {verdict}", file=sys.stderr)
    return int(not all(result.wasSuccessful() for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
