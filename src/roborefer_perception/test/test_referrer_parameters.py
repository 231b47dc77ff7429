# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The referrer's table of parameters, and what is made from it."""

from pathlib import Path

import pytest
import yaml
from roborefer_common.core.parameters import readme_table
from roborefer_common.exceptions import ParameterError
from roborefer_perception.core import parameters
from roborefer_perception.core.following import FollowSettings
from roborefer_perception.core.place import LocateSettings
from roborefer_perception.core.query import QuerySettings

PACKAGE = Path(__file__).parents[1]
DEFAULTS = {row.name: row.default for row in parameters.TABLE}


def test_the_file_of_config_is_that_of_the_table():
    text = (PACKAGE / "config" / "referrer.yaml").read_text(encoding="utf-8")

    assert text == parameters.sample_file(), (
        "python3 -m roborefer_perception.core.parameters > config/referrer.yaml"
    )
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert set(values) == set(DEFAULTS)
    parameters.settings_of(values)


def test_the_readme_has_the_table():
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")

    assert readme_table(parameters.TABLE) in text, (
        "replace the table by: python3 -m roborefer_perception.core.parameters table"
    )


def test_every_row_says_what_it_is_and_has_a_default_within_its_range():
    for row in parameters.TABLE:
        assert row.description.endswith("."), row.name
        if row.low is not None:
            assert row.low <= row.default <= row.high, row.name


def test_the_defaults_are_those_of_the_parts():
    settings = parameters.settings_of(DEFAULTS)

    assert settings.query == QuerySettings()
    assert settings.locate == LocateSettings()
    assert settings.following.follow == FollowSettings()


# What the node itself reads; the tests of the node and of the intake are about them.
OF_THE_NODE = (
    "camera.color_transport", "camera.depth_transport", "sync.max_skew_s", "sync.future_s",
    "sync.keep_frames", "sync.keep_s", "tf.cache_s", "tf.gravity_frame", "model.send_depth",
    "query.most_at_once", "diagnostics.period_s",
)  # fmt: skip


def another(row):
    """A value of a row that is not its default."""
    if row.choices:
        return next(choice for choice in row.choices if choice != row.default)
    if isinstance(row.default, str):
        return "https://other:1" if row.name == "model.url" else "other"
    if isinstance(row.default, list):
        return [value * 2 for value in row.default]
    middle = (row.low + row.high) / 2
    return type(row.default)(row.low if middle == row.default else middle)


@pytest.mark.parametrize(
    "row", [row for row in parameters.TABLE if row.name not in OF_THE_NODE], ids=lambda r: r.name
)
def test_no_parameter_is_without_effect(row, tmp_path):
    changed = {**DEFAULTS, "query.most_samples": 32, row.name: another(row)}
    if row.name == "model.token_file":
        changed[row.name] = str(tmp_path / "token")
        (tmp_path / "token").write_text("secret")

    before = parameters.settings_of({**DEFAULTS, "query.most_samples": 32})
    after = parameters.settings_of(changed)

    # The token is the one thing that must not be shown.
    assert (repr(before), before.model.token) != (repr(after), after.model.token)
    assert "secret" not in repr(after)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("locate.snap_px", 3.0, lambda s: s.locate.snap_px),
        ("locate.rise_m", 0.01, lambda s: s.locate.segment.rise_m),
        ("locate.noise_baseline_m", 0.1, lambda s: s.locate.noise.baseline_m),
        ("confidence.least", 0.5, lambda s: s.query.min_confidence),
        ("confidence.rival", 0.9, lambda s: s.agreement.rival),
        ("following.period_s", 9.0, lambda s: s.following.period_s),
        ("following.most_speed_m_s", 2.0, lambda s: s.following.follow.most_speed_m_s),
        ("model.picture", "png", lambda s: s.model.picture),
        ("camera.angle_sigma_rad", 0.01, lambda s: s.calibration.angle_rad),
    ],
)
def test_a_parameter_reaches_its_part(name, value, read):
    assert read(parameters.settings_of({**DEFAULTS, name: value})) == value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("camera.color_transport", "smoke", "raw or compressed"),
        ("workspace.low", [0.0, 0.0], "3 are needed"),
        ("workspace.low", [float("nan"), 0.0, 0.0], "finite"),
        ("workspace.low", [20.0, 0.0, 0.0], "must lie below"),
        ("query.target_frame", "", "target_frame is empty"),
        ("query.samples", 20, "must not be larger"),
        ("model.token_file", "/no/such/file", "cannot be read"),
    ],
)
def test_values_that_cannot_be_are_named(name, value, said):
    with pytest.raises(ParameterError, match=said):
        parameters.settings_of({**DEFAULTS, name: value})


def test_the_token_is_read_from_its_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("secret\n")

    settings = parameters.settings_of({**DEFAULTS, "model.token_file": str(file)})

    assert settings.model.token == "secret"


def test_a_token_file_without_a_token_is_refused(tmp_path):
    file = tmp_path / "token"
    file.write_text(" \n")

    with pytest.raises(ParameterError, match="is empty"):
        parameters.settings_of({**DEFAULTS, "model.token_file": str(file)})
