# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs go on where they were killed, reach the original's losses, and end in what is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import PIL
import pytest
import torch
from roborefer_vlm.exceptions import TrainingError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.pictures import load_depth, load_picture
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.training.collate import Collate
from roborefer_vlm.training.labels import Supervision
from roborefer_vlm.training.logs import read_metrics
from roborefer_vlm.training.loop import train
from roborefer_vlm.training.loss_network import LossNetwork
from roborefer_vlm.training.optimisers import make_optimizer
from roborefer_vlm.training.samples import SpatialDataset
from roborefer_vlm.training.settings import OptimizerSettings, SupervisedSettings
from roborefer_vlm.training.stages import prepare_parts


@pytest.fixture
def settings(golden, tmp_path):
    """Make the settings of a short run; `changes` replaces values of its tables."""

    def make(output="run", stage="sft", **changes):
        records, images = str(golden / "train" / "records.json"), str(golden / "images")
        table = {
            "stage": stage,
            "output": str(tmp_path / output),
            "model": {
                "path": str(golden / "checkpoints" / "dyn3x3"),
                "precision": "float32",
                "gradient_checkpointing": False,
            },
            "data": [
                {"records": records, "images": images, "depths": images, "also_without": True},
            ],
            "optimizer": {"learning_rate": 1e-3},
            "batch": {"samples": 1, "accumulation": 2, "steps": 6},
            "checkpoints": {"interval": 2, "keep": 2, "published": "float32"},
        }
        for name, values in changes.items():
            table[name] = {**table.get(name, {}), **values} if isinstance(values, dict) else values
        return SupervisedSettings.from_table(table, "test")

    return make


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(path, dtype=torch.float32).named_parameters())


def test_a_killed_run_goes_on_as_if_nothing_had_happened(settings):
    whole = train(settings("whole"))
    train(settings("broken"), stop_after=3)  # in the middle of an epoch, behind checkpoint-2
    rest = train(settings("broken"), resume=True)

    assert len(rest.losses) == 4
    assert rest.losses == whole.losses[2:]
    once, twice = weights(whole.model), weights(rest.model)
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[name], twice[name]) for name in once)
    logged = [entry["loss"] for entry in read_metrics(rest.model.parent)]
    assert logged == whole.losses


@pytest.mark.skipif(
    int(PIL.__version__.split(".")[0]) >= 13, reason="losses of Pillow 12 are compared here"
)
@pytest.mark.parametrize(("stage", "recorded"), [("depth_align", "align"), ("sft", "sft")])
def test_steps_of_both_stages_equal_those_of_the_original(
    stage, recorded, golden, processor, load_reference
):
    images, records = golden / "images", golden / "train" / "records.json"
    with_depth = SpatialDataset(records, processor, images, images, Supervision.ORIGINAL)
    without = SpatialDataset(records, processor, images, None, Supervision.ORIGINAL)
    batch = Collate(processor.tokenizer)([with_depth[0], without[1], with_depth[2], without[3]])
    wanted = load_reference("dyn3x3")["steps"][recorded]
    model = load_checkpoint(golden / "checkpoints" / "dyn3x3", dtype=torch.float32)
    prepare_parts(model, stage)
    optimizer = make_optimizer(model, OptimizerSettings(learning_rate=wanted["lr"]))
    network = LossNetwork(model, packing=True, dummies=False)

    for loss_wanted in wanted["losses"]:
        optimizer.zero_grad()
        loss, _ = network(batch, batch.num_items)
        loss.backward()
        optimizer.step()

        assert loss.item() == pytest.approx(loss_wanted, rel=1e-4)


def test_accumulated_steps_equal_one_large_batch(settings):
    apart = train(settings("apart", batch={"samples": 1, "accumulation": 4, "steps": 3}))
    together = train(settings("together", batch={"samples": 4, "accumulation": 1, "steps": 3}))

    # The loss is divided by the tokens of the whole step; only the order of sums differs.
    assert apart.losses == pytest.approx(together.losses, rel=1e-5)


def test_depth_alignment_changes_the_depth_projector_alone(settings, golden):
    result = train(settings(stage="depth_align"))

    before = weights(golden / "checkpoints" / "dyn3x3")
    changed = {
        name.partition(".")[0]
        for name, tensor in weights(result.model).items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"depth_projector"}


def test_depth_can_begin_as_a_copy_of_colour(settings):
    run = settings(stage="depth_align", batch={"steps": 1}, model={"depth_from_colour": True})

    found = weights(train(run).model)

    tower = {n.partition(".")[2]: t for n, t in found.items() if n.startswith("vision_tower.")}
    assert all(torch.equal(found[f"depth_tower.{name}"], one) for name, one in tower.items())
    assert not torch.equal(
        found["depth_projector.layers.2.weight"], found["mm_projector.layers.2.weight"]
    )


def test_a_saved_model_answers_as_the_one_that_was_trained(settings, golden):
    result = train(settings(batch={"steps": 1}, optimizer={"learning_rate": 1e-30}))

    answers = []
    for path in (golden / "checkpoints" / "dyn3x3", result.model, result.model.parent):
        model = load_checkpoint(path, dtype=torch.float32)
        processor = Processor.from_checkpoint(path)
        images = [load_picture(golden / "images" / "table.png")]
        depths = [load_depth(golden / "images" / "table_depth.png")]
        prompt = processor.prepare(images, depths, "Point to the apple.")
        answers.append(model.generate([prompt], max_new_tokens=12)[0].ids)
    assert answers[0] == answers[1] == answers[2]


def test_old_checkpoints_go_and_unfinished_ones_are_not_found(settings):
    run = settings()
    train(run, stop_after=5)
    (run.output / ".checkpoint-6.part").mkdir()

    assert {one.name for one in run.output.glob("checkpoint-*")} == {
        "checkpoint-2",
        "checkpoint-4",
    }
    assert len(train(run, resume=True).losses) == 2


def test_a_finished_run_is_left_alone(settings):
    run = settings()
    train(run)
    before = (run.output / "model" / "llm" / "model.safetensors").stat().st_mtime_ns

    assert train(run, resume=True).losses == []
    assert (run.output / "model" / "llm" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(TrainingError, match="holds a run already"):
        train(run)


def test_a_run_does_not_go_on_with_other_settings(settings):
    train(settings(), stop_after=3)

    with pytest.raises(TrainingError, match="was trained with seed = 42, now it is 7"):
        train(settings(seed=7), resume=True)


def test_records_that_cannot_be_used_are_counted_and_named(settings, golden, tmp_path):
    records = json.loads((golden / "train" / "records.json").read_text())
    records[1]["image"] = "nowhere.png"
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records))
    data = [{"records": str(path), "images": str(golden / "images")}]
    batch = {"samples": 1, "accumulation": 1, "steps": 4}

    result = train(settings(data=data, batch=batch, guards={"records": "skip"}))

    assert (result.rejected, result.skipped) == (1, 1)
    lines = (result.model.parent / "bad_batches.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["records"] == [[str(path), "1"]]
    assert "nowhere.png" in first["reason"]
    with pytest.raises(TrainingError, match=r"nowhere\.png"):
        train(settings("strict", data=data, batch=batch))


def test_a_loss_that_is_no_number_stops_or_is_skipped_with_its_records(settings, golden, tmp_path):
    model = load_checkpoint(golden / "checkpoints" / "dyn3x3", dtype=torch.float32)
    model.mm_projector.layers[1].weight.data[0] = float("nan")
    from roborefer_vlm.model.checkpoint import save_checkpoint

    save_checkpoint(model, tmp_path / "broken")
    broken = {"path": str(tmp_path / "broken")}

    with pytest.raises(TrainingError, match=r"step 1: the loss is nan; the 2 records are in"):
        train(settings("stop", model=broken))

    guards = {"non_finite": "skip", "most_skipped": 10}
    result = train(settings("skip", model=broken, guards=guards))
    assert result.skipped == 6
    entry = json.loads((result.model.parent / "bad_batches.jsonl").read_text().splitlines()[0])
    assert len(entry["records"]) == 2
    before, after = weights(tmp_path / "broken"), weights(result.model)
    assert all(torch.equal(before[n], after[n]) for n in before if not before[n].isnan().any())


@pytest.mark.slow
@pytest.mark.timeout(300)  # two starts of everything
def test_two_processes_learn_what_one_does(golden, tmp_path):
    records, images = golden / "train" / "records.json", golden / "images"
    config = tmp_path / "run.toml"
    config.write_text(
        f"""
stage = "sft"
output = "overwritten"
model = {{path = "{golden / "checkpoints" / "dyn3x3"}", precision = "float32"}}
optimizer = {{learning_rate = 1e-3}}
batch = {{samples = 1, steps = 4}}
checkpoints = {{interval = 2, published = "float32"}}
data = [{{records = "{records}", images = "{images}", depths = "{images}", also_without = true}}]
"""
    )
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    losses = []
    for processes in (1, 2):
        run = tmp_path / str(processes)
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        command = ["-m", "roborefer_vlm.cli.main", "train", str(config)]
        changes = [f"output={run}", f"batch.accumulation={4 // processes}"]
        subprocess.run(
            [sys.executable, *launch, *command, *(f"--set={change}" for change in changes)],
            env=environment,
            check=True,
            timeout=110,
        )
        losses.append([entry["loss"] for entry in read_metrics(run)])

    # Some batches of a process have no depth picture; the gradient is the same all the same.
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(400)  # three starts of everything
def test_a_command_killed_from_outside_ends_with_the_same_weights(golden, tmp_path):
    records, images = golden / "train" / "records.json", golden / "images"
    config = tmp_path / "run.toml"
    config.write_text(
        f"""
stage = "sft"
output = "overwritten"
model = {{path = "{golden / "checkpoints" / "dyn3x3"}", precision = "float32"}}
optimizer = {{learning_rate = 1e-3}}
batch = {{samples = 1, steps = 25}}
checkpoints = {{interval = 1, published = "float32"}}
data = [{{records = "{records}", images = "{images}", depths = "{images}", also_without = true}}]
"""
    )

    def start(run: Path, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "roborefer_vlm.cli.main", "train", str(config)]
        return subprocess.Popen(
            [*command, f"--set=output={run}", *options],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert start(whole).wait(120) == 0
    running = start(cut)
    while not any(cut.glob("checkpoint-*")):
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.02)
    running.kill()  # as a time limit does
    running.wait()
    assert not (cut / "model").exists()

    assert start(cut, "--resume").wait(120) == 0

    before, after = weights(whole / "model"), weights(cut / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(read_metrics(cut)) == 25


def test_bfloat16_products_learn_as_float32_ones(settings):
    losses = [
        train(settings(precision, batch={"steps": 3}, model={"precision": precision})).losses
        for precision in ("float32", "bfloat16")
    ]

    # Products have 8 bits; the loss is some tokens' mean of numbers of the size 10.
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
