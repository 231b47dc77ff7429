# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The page docs/semantics.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "semantics.md"


def _tests_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {f"{path.name}::{item.name}" for item in tree.body if isinstance(item, ast.FunctionDef)}


def test_every_row_names_tests_that_exist():
    known = set().union(*(_tests_in(path) for path in TESTS.rglob("test_*.py")))
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| Rule")
    ]
    named = [re.findall(r"`(test_\w+\.py::\w+)`", row) for row in rows]

    assert [row for row, tests in zip(rows, named, strict=True) if not tests] == []
    assert {test for tests in named for test in tests} - known == set()


def test_every_test_of_this_folder_is_named():
    page = PAGE.read_text(encoding="utf-8")
    ours = set().union(*(_tests_in(path) for path in Path(__file__).parent.glob("*_semantics.py")))

    assert {test for test in ours if "::test_" in test and test not in page} == set()
