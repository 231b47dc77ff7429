# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Every figure that a README quotes by name is the one that its benchmark measured last."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Tables that say so have figures, and in a README rows of a name and a number alone, too; other
# tables with names and numbers are those of parameters and fields.
TABLE = re.compile(r"^\| figure\b.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| `([a-z]\w*)` \| (-?[\d.]+)\b", re.MULTILINE)
BARE_ROW = re.compile(r"^\| `([a-z]\w*)` \| (-?[\d.]+)[^|\n]*\|$", re.MULTILINE)
READMES = [
    path
    for pattern in ("README.md", "*/README.md", "src/*/README.md", "docs/*.md", "*/docs/*.md")
    for path in sorted(ROOT.glob(pattern))
]


def figures_of(path: Path) -> list[tuple[str, str]]:
    page = path.read_text(encoding="utf-8")
    rows = [row for table in TABLE.findall(page) for row in ROW.findall(table)]
    bare = BARE_ROW.findall(page) if path.name == "README.md" else []
    return list(dict.fromkeys([*rows, *bare]))


QUOTED = [
    (readme.relative_to(ROOT).as_posix(), name, text)
    for readme in READMES
    for name, text in figures_of(readme)
]


@pytest.fixture(scope="module")
def measured():
    found: dict[str, float] = {}
    for file in ROOT.glob("benchmarks/results/*.json"):
        results = json.loads(file.read_text(encoding="utf-8"))
        assert results["conditions"]["quick"] is False, f"{file.name} is of a quick run"
        found.update(results)
    return found


def test_readmes_quote_figures():
    assert QUOTED


@pytest.mark.parametrize(("readme", "name", "text"), QUOTED)
def test_quoted_figure_is_the_measured_one(readme, name, text, measured):
    digits = len(text.partition(".")[2])

    assert f"{measured[name]:.{digits}f}" == text
