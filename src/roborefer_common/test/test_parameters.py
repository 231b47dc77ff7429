# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, and what is made from it."""

import pytest
import yaml
from roborefer_common.core.parameters import Row, check, readme_table, sample_yaml
from roborefer_common.exceptions import ParameterError

TABLE = (
    Row("depth.far", 3.0, "Farthest, metres.", 0.1, 20.0),
    Row("mode", "a", "Which.", choices=("a", "b")),
    Row("corner", [0.0, 0.0], "Of a box.", length=2),
    Row("count", 3, "How many.", 0, 9, fixed=True),
)
DEFAULTS = {row.name: row.default for row in TABLE}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mode", "c", "'c'; it must be a or b"),
        ("corner", [1.0], "has 1 numbers; 2"),
        ("corner", [1.0, float("inf")], "finite"),
        ("depth.far", float("nan"), "depth.far is nan"),
    ],
)
def test_values_that_cannot_be_are_named(name, value, said):
    with pytest.raises(ParameterError, match=said):
        check(TABLE, {**DEFAULTS, name: value})


def test_the_sample_file_holds_every_parameter_and_the_changes():
    text = sample_yaml(TABLE, {"mode": "b"}, "A test.", "this")

    assert yaml.safe_load(text)["/**"]["ros__parameters"] == {**DEFAULTS, "mode": "b"}
    with pytest.raises(ParameterError, match="speed"):
        sample_yaml(TABLE, {"speed": 1.0}, "A test.", "this")


def test_the_table_of_a_readme_tells_ranges_and_what_is_fixed():
    rows = readme_table(TABLE).splitlines()[2:]

    assert rows[0] == "| `depth.far` | `3.0` | 0.1 to 20 | Farthest, metres. |"
    assert rows[3].startswith("| `count` * |")
