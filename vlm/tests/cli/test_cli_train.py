# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line plans and trains, and explains what it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest
from roborefer_vlm.cli.main import main

GOLDEN = Path(__file__).parents[1] / "golden" / "roborefer_tiny"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        f"""
stage = "sft"
output = "{tmp_path / "run"}"
model = {{path = "{GOLDEN / "checkpoints" / "dyn3x3"}", precision = "float32"}}
optimizer = {{learning_rate = 1e-3}}
batch = {{samples = 2, epochs = 0.5}}
data = [{{records = "{GOLDEN / "train" / "records.json"}", images = "{GOLDEN / "images"}"}}]
"""
    )
    return path


def test_a_dry_run_tells_sizes_and_steps_and_writes_nothing(config, capsys):
    assert main(["train", str(config), "--dry-run", "--set", "stage=depth_align"]) == 0

    told = capsys.readouterr().out
    assert "depth_projector           38,880        38,880" in told
    assert "llm                      116,288             0" in told
    assert "1 steps of 2 samples" in told
    assert not (config.parent / "run").exists()


def test_training_writes_a_model_and_says_so_once_more(config, capsys):
    assert main(["train", str(config)]) == 0
    assert "1 steps, last loss" in capsys.readouterr().out
    assert (config.parent / "run" / "model" / "config.json").is_file()

    assert main(["train", str(config), "--resume"]) == 0
    assert "finished before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stage=stf", "did you mean 'sft'"),
        ("batch.sample=1", "did you mean 'samples'"),
        ("model.path=nowhere", "nowhere is no directory"),
        ("optimizer.part_rates.lm=1e-3", "'part_rates' names lm"),
        ('model.trainable=["llmm"]', "no part is called llmm"),
    ],
)
def test_what_cannot_be_used_is_explained(config, capsys, change, message):
    assert main(["train", str(config), "--set", change]) == 2

    assert message in capsys.readouterr().err
