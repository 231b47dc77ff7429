# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The page about the API tells the truth."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pocket_ros2 import subset

TOOL = Path(__file__).parents[2] / "tools" / "api_table.py"


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("api_table", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_as_the_code_is(table):
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run `make docs`"


def test_every_name_on_the_page_that_is_here_can_be_used(table):
    for owner, here, refused in table.rows():
        assert not set(here) & set(refused)
        names = subset.upstream().modules.get(owner)
        for name in here if names is not None else ():
            exec(f"from {owner} import {name}", {})


def test_the_upstream_list_has_no_name_twice():
    for names in subset.upstream().modules.values():
        assert len(names) == len(set(names)), names
