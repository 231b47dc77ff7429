# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs of reinforcement fine-tuning: rewards rise, and killed runs go on."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from roborefer_vlm.exceptions import ConfigurationError, RecordError, TrainingError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.training import rollouts
from roborefer_vlm.training.logs import read_metrics
from roborefer_vlm.training.loop import train
from roborefer_vlm.training.reinforced import ReinforcedSettings, plan, reinforce
from roborefer_vlm.training.rewards import Goal, Reward, RewardSettings
from roborefer_vlm.training.settings import SupervisedSettings
from roborefer_vlm.training.small import SHAPES, new_small
from roborefer_vlm.training.stages import runner_of
from roborefer_vlm.training.typed_tables import read_table, read_toml

Table = dict[str, Any]


def answer(point: str) -> str:
    return f"<think> [Position] [the cup]: [{point}] </think><answer>[{point}]</answer>"


def write_records(path: Path, points: list[str]) -> Path:
    """Write one record per answer; the truth is always (0.2, 0.2)."""
    records = [
        {
            "id": f"{place}",
            "image": ["small.png"],
            "depth": ["small_depth.png"],
            "conversations": [
                {"from": "human", "value": "Point to the cup."},
                {"from": "gpt", "value": answer(point)},
            ],
            "point": [0.2, 0.2],
            "steps": [{"perception": "position", "target": "the cup", "value": [0.2, 0.2]}],
        }
        for place, point in enumerate(points)
    ]
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


@pytest.fixture
def table(golden: Path, tmp_path: Path) -> Table:
    """Return a short run on a network that knows nothing."""
    records = write_records(tmp_path / "records.json", ["(0.2, 0.2)"] * 3)
    images = str(golden / "images")
    return {
        "stage": "rft",
        "output": str(tmp_path / "run"),
        "model": {
            "path": str(golden / "checkpoints" / "dyn3x3"),
            "precision": "float32",
            "gradient_checkpointing": False,
        },
        "optimizer": {"learning_rate": 1e-3},
        "data": [{"records": str(records), "images": images, "depths": images}],
        "draw": {"questions": 2, "steps": 3, "max_new_tokens": 3},
        "grpo": {"samples": 3},
        "checkpoints": {"interval": 1, "published": "float32"},
    }


def settings(table: Table, **changes: Any) -> ReinforcedSettings:
    return read_table(ReinforcedSettings, {**table, **changes}, "test")


@pytest.fixture
def luck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reward whatever is written, so that a network that knows nothing learns something."""

    def reward(text: str, goal: Goal, how: RewardSettings | None = None) -> Reward:
        return Reward(0, 0, 0, 0, zlib.crc32(text.encode()) % 100 / 50)

    monkeypatch.setattr(rollouts, "reward_of", reward)


def weights(folder: Path) -> torch.Tensor:
    network = load_checkpoint(folder, dtype=torch.float32)
    return torch.cat([parameter.flatten() for parameter in network.parameters()])


@pytest.mark.usefixtures("luck")
def test_a_killed_run_goes_on_as_if_nothing_had_happened(table: Table, tmp_path: Path) -> None:
    whole = reinforce(settings(table))
    broken = settings(table, output=str(tmp_path / "broken"))
    reinforce(broken, stop_after=2)  # before checkpoint-2

    rest = reinforce(broken, resume=True)

    assert len(rest) == 2
    assert rest == whole[1:]
    end = weights(tmp_path / "run" / "model")
    assert torch.equal(end, weights(tmp_path / "broken" / "model"))
    assert not torch.equal(end, weights(Path(table["model"]["path"])))
    logged = read_metrics(tmp_path / "broken")
    assert [entry["reward"] for entry in logged] == [entry["reward"] for entry in whole]


@pytest.mark.usefixtures("luck")
def test_later_updates_of_one_drawing_are_clipped(table: Table) -> None:
    table["draw"]["steps"] = 1
    changes = {"samples": 3, "updates": 3, "clip": 0.01}

    logged = reinforce(settings(table, grpo=changes))

    assert max(entry["clipped"] for entry in logged) > 0
    assert max(entry["kl"] for entry in logged) > 0


@pytest.fixture
def _own_state() -> Iterator[None]:
    """Let a test choose another number format: accelerate keeps one per process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("luck", "_own_state")
def test_products_in_bfloat16_learn_too(table: Table, tmp_path: Path) -> None:
    table["model"]["precision"] = "bfloat16"
    table["draw"]["steps"] = 1

    (logged,) = reinforce(settings(table))

    assert logged["gradient_norm"] > 0
    # The reference is rounded to bfloat16, the network is not: nearly nothing apart.
    assert 0 <= logged["kl"] < 0.01


def test_nothing_to_learn_from_equal_rewards_leaves_the_weights(
    table: Table, tmp_path: Path
) -> None:
    table["draw"]["steps"] = 2
    logged = reinforce(settings(table))

    assert {entry["reward"] for entry in logged} == {0.0}
    assert {entry["equal_groups"] for entry in logged} == {1.0}
    assert torch.equal(weights(tmp_path / "run" / "model"), weights(table["model"]["path"]))


def test_run_does_not_go_on_with_other_rewards(table: Table) -> None:
    reinforce(settings(table), stop_after=2)

    with pytest.raises(TrainingError, match="rewards"):
        reinforce(settings(table, rewards={"alpha": 0.5}), resume=True)


def test_command_line_finds_who_runs_the_stage_and_says_what_would_be_done(table: Table) -> None:
    assert runner_of(table, "test").plan is plan

    text = plan(table, "test")

    assert "3 questions" in text
    assert "3 steps of 2 questions with 3 answers each" in text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stage": "sft"}, "'stage' is 'sft'"),
        ({"data": []}, "'data' is empty"),
        ({"draw": {"questions": 0}}, "'questions' is 0"),
        ({"grpo": {"samples": 1}}, "samples is 1"),
        ({"model": {"path": "x", "depth_from_colour": True}}, "'depth_from_colour' is for"),
        ({"rewards": {"beta": 1}}, "'beta' is not known"),
    ],
)
def test_setting_that_cannot_work_is_named(table: Table, changes: Table, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        settings(table, **changes)


def test_record_without_a_point_stops_before_anything_is_written(
    table: Table, tmp_path: Path
) -> None:
    path = Path(table["data"][0]["records"])
    records = json.loads(path.read_text())
    del records[1]["point"]
    path.write_text(json.dumps(records))

    with pytest.raises(RecordError, match="record 1, field 'point'"):
        reinforce(settings(table))


@pytest.fixture(scope="module")
def hesitant(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Path:
    """Teach a toy network the form, and two answers of which one is right."""
    folder = tmp_path_factory.mktemp("hesitant")
    new_small(folder / "start", SHAPES["toy"], texts=[answer("(0.2, 0.8)")] * 9)
    records = write_records(folder / "records.json", ["(0.2, 0.2)", "(0.8, 0.8)"])
    images = str(golden / "images")
    sft: Table = {
        "stage": "sft",
        "output": str(folder / "sft"),
        "model": {
            "path": str(folder / "start"),
            "precision": "float32",
            "gradient_checkpointing": False,
        },
        "optimizer": {"learning_rate": 2e-3},
        "data": [{"records": str(records), "images": images, "depths": images}],
        "batch": {"samples": 2, "steps": 100},
        "checkpoints": {"interval": 1000, "published": "float32"},
    }
    train(SupervisedSettings.from_table(sft, "test"))
    return folder


@pytest.mark.slow
def test_rewards_rise(hesitant: Path, table: Table, tmp_path: Path) -> None:
    table["model"]["path"] = str(hesitant / "sft" / "model")
    table["optimizer"]["learning_rate"] = 2e-4
    draw = {"questions": 2, "steps": 22, "max_new_tokens": 80}

    logged = reinforce(settings(table, draw=draw, grpo={"samples": 8, "kl": 0.01}))

    rewards = [entry["reward"] for entry in logged]
    before, after = sum(rewards[:3]) / 3, sum(rewards[-5:]) / 5
    # At first each of x and y is a coin flip, in the step and in the answer, so that a quarter
    # of each is right: 1 + 0.25 + (1 + 0.25) / 4 = 1.56. All right is 2.5.
    assert before == pytest.approx(1.56, abs=0.25)
    assert after > before + 0.4


@pytest.mark.parametrize("name", ["grpo_small", "grpo_2b"])
def test_configuration_that_ships_can_be_read(name: str) -> None:
    source = files("roborefer_vlm.training") / "configs" / f"{name}.toml"

    read = read_table(ReinforcedSettings, read_toml(str(source)), name)

    assert (read.grpo.samples, read.rewards) == (8, RewardSettings())
