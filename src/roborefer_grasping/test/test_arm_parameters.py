# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, and what is made from it."""

from pathlib import Path

import pytest
import yaml
from roborefer_common.core.parameters import readme_table
from roborefer_grasping.core import parameters
from roborefer_grasping.exceptions import GraspingError

PACKAGE = Path(__file__).parents[1]
DEFAULTS = {row.name: row.default for row in parameters.TABLE}


@pytest.mark.parametrize("name", parameters.FILES)
def test_the_files_of_config_are_those_of_the_table(name):
    text = (PACKAGE / "config" / f"{name}.yaml").read_text(encoding="utf-8")

    assert text == parameters.sample_file(name), (
        f"python3 -m roborefer_grasping.core.parameters {name} > config/{name}.yaml"
    )
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert set(values) == set(DEFAULTS)
    parameters.settings_of(values)


def test_the_readme_has_the_table():
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")

    assert readme_table(parameters.TABLE) in text, (
        "replace the table by: python3 -m roborefer_grasping.core.parameters table"
    )


def test_every_row_says_what_it_is_and_has_a_default_within_its_range():
    for row in parameters.TABLE:
        assert row.description.endswith("."), row.name
        if row.low is not None:
            assert row.low <= row.default <= row.high, row.name


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("robot.name", "ur7", "ur5 or ur5e"),
        ("planner.engine", "magic", "embedded or moveit"),
        ("robot.home", [0.0] * 5, "6 are needed"),
        ("robot.home", [9.0] * 6, "within the robot's limits"),
        ("workspace.low", [5.0, 0.0, 0.0], "is empty"),
        ("workspace.low", [float("nan"), 0.0, 0.0], "finite"),
        ("scene.vouched", [0.0] * 7, "six for each box"),
        ("scene.high", [0.0, 0.0, 0.0], "empty"),
        ("gripper.open_position", 0.0, "must differ"),
        ("gripper.palm_length", 0.3, "must lie beyond the palm"),
    ],
)
def test_values_that_cannot_be_are_named(name, value, said):
    with pytest.raises(GraspingError, match=said):
        parameters.settings_of({**DEFAULTS, name: value})


def test_a_request_can_only_lower_the_limits():
    settings = parameters.settings_of({**DEFAULTS, "speed.velocity": 0.4})
    most = settings.robot.limits

    own = settings.limits(0.0, 0.0)
    half = settings.limits(0.5, 1.0)

    assert own.velocity == pytest.approx(0.4 * most.velocity)
    assert half.velocity == pytest.approx(0.2 * most.velocity)
    for factor in (1.01, -0.1, float("nan"), float("inf")):
        with pytest.raises(GraspingError, match="velocity_scaling"):
            settings.limits(factor, 0.0)
