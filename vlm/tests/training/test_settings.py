# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Configurations are read strictly, and what is shipped can be read."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.training.settings import Precision, SupervisedSettings
from roborefer_vlm.training.stages import runner_of
from roborefer_vlm.training.typed_tables import read_toml

CONFIGS = files("roborefer_vlm.training") / "configs"
MINIMAL = """
stage = "sft"
output = "runs/x"
model = {path = "somewhere"}
optimizer = {learning_rate = 1e-3}
data = [{records = "a.json", images = "pictures"}]
"""


def read(tmp_path, text="", changes=()):
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL + text)
    return SupervisedSettings.from_table(read_toml(path, changes), "run.toml")


SHIPPED = [f"{stage}_{size}" for stage in ("depth_align", "sft") for size in ("small", "2b", "8b")]


@pytest.mark.parametrize("name", ["colour_small", *SHIPPED])
def test_shipped_configurations_can_be_read(name):
    settings = SupervisedSettings.from_table(read_toml(str(CONFIGS / f"{name}.toml")), name)

    assert settings.stage == ("depth_align" if name.startswith("depth_align") else "sft")


@pytest.mark.parametrize(
    ("name", "per_step"),
    [("depth_align_2b", 448), ("depth_align_8b", 256), ("sft_2b", 384), ("sft_8b", 256)],
)
def test_large_configurations_have_the_batches_of_the_paper_on_64_gpus(name, per_step):
    table = read_toml(str(CONFIGS / f"{name}.toml"))
    batch = SupervisedSettings.from_table(table, name).batch

    assert batch.samples * batch.accumulation * 64 == per_step


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sede = 1", "'sede' is not known; did you mean 'seed'?"),
        ("[batch]\nsample = 1", "'sample' is not known; did you mean 'samples'?"),
        ("seed = true", "'seed' is True; a whole number is needed"),
        ('seed = "7"', "'seed' is '7'; a whole number is needed"),
        ("seed = -1", "'seed' is -1; at least 0 is needed"),
        ("[batch]\nsamples = 0", "'samples' is 0; at least 1 is needed"),
        ("[batch]\nepochs = nan", "'epochs' is nan; more than 0 is needed"),
        ("[guards]\nspike = 'ignore'", "'ignore'; one of stop, skip, report is needed"),
        ("[guards]\nrecords = 'report'", "'records' is report; stop or skip is needed"),
        ("[checkpoints]\nkeep = 0", "'keep' is 0; at least 1 is needed"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        read(tmp_path, text)


def test_what_is_missing_is_named(tmp_path):
    table = read_toml_text(tmp_path, 'stage = "sft"\noutput = "x"')

    with pytest.raises(ConfigurationError, match="'model' is missing"):
        SupervisedSettings.from_table(table, "run.toml")


def test_changes_replace_values_of_nested_tables(tmp_path):
    changes = ["batch.samples=3", "model.precision=float32", "data.repeat=2", "output=runs/b c"]

    settings = read(tmp_path, changes=changes)

    assert settings.batch.samples == 3
    assert settings.model.precision is Precision.FLOAT32
    assert settings.data[0].repeat == 2
    assert str(settings.output) == "runs/b c"


@pytest.mark.parametrize("change", ["batch.samples", "=3", "stage.kind=3"])
def test_changes_that_name_nothing_are_refused(tmp_path, change):
    with pytest.raises(ConfigurationError):
        read(tmp_path, changes=[change])


def test_an_unknown_stage_is_answered_with_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'depth_align'"):
        runner_of({"stage": "depth_aline"}, "run.toml")


def read_toml_text(tmp_path, text):
    path = tmp_path / "other.toml"
    path.write_text(text)
    return read_toml(path)
