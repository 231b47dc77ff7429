#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A small RoboRefer trained from nothing through all stages, and what it scores on our benchmark.

    python benchmarks/small_model.py [--quick] [--json FILE] [--work DIR] [--minutes N]

Pieces, each in a folder of --work, so that a run goes on where it was stopped:

    data        simulated tables of the training split, with questions and chains
    start       a network with random weights and its tokenizer
    colour      SFT on pictures alone, the stand-in for a language model that knows pictures
    align       depth projector only, RGB-D
    sft         everything, RGB and RGB-D
    rft         GRPO on the chains
    bench       RoboRefer-Sim-Bench, and the answers of every engine

With --minutes N no piece of training runs longer than that; it keeps its last checkpoint, the
program ends with code 75, and the same command goes on. A shell loop trains to the end:

    until python benchmarks/small_model.py --minutes 9 --json small_model.json
    do [ $? = 75 ] || break; done

--quick is a toy, some minutes on two cores: a network of 0.8 million weights and a few hundred
questions, which shows that everything runs and is no measure of what can be learnt.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from roborefer_vlm.backends.base import Engine
from roborefer_vlm.backends.registry import create_engine
from roborefer_vlm.data.examples import Kind, Wish
from roborefer_vlm.data.processes import Processes
from roborefer_vlm.data.questions.chain import ChainForm, ChainMaker
from roborefer_vlm.data.questions.location import LocationMaker
from roborefer_vlm.data.questions.placement import PlacementMaker
from roborefer_vlm.data.runner import run
from roborefer_vlm.data.sim_bench import Sizes, write_sim_bench
from roborefer_vlm.data.sources.simulator import SimulatorSource
from roborefer_vlm.data.work import Work
from roborefer_vlm.evaluation.benchmarks import load_benchmark
from roborefer_vlm.evaluation.prompts import Wording
from roborefer_vlm.evaluation.records import Benchmark
from roborefer_vlm.evaluation.results import ResultLog
from roborefer_vlm.evaluation.runner import RunSettings, run_benchmark, run_config
from roborefer_vlm.evaluation.scoring.score import score_run
from roborefer_vlm.evaluation.summary import summarise
from roborefer_vlm.training.small import SHAPES, new_small, texts_of
from roborefer_vlm.types import Answer, Query
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
# As in sysexits.h: try again.
AGAIN = 75
SEED = 11
# The wording that chains are asked with in training.
REASON = " Reason step by step."
PARTS = ("location", "placement", "unseen")
FILES = ("reasoning_template_qa", "vacant_qa", "chain_qa")


@dataclass(frozen=True)
class Plan:
    """How much is made and learnt."""

    shape: str
    scenes: int
    colour: int
    align: int
    sft: int
    rft: int
    samples: int
    answers: int
    tokens: int
    sizes: Sizes
    timed: int


FULL = Plan("small", 60_000, 20_000, 2_000, 60_000, 2_000, 32, 8, 200, Sizes(), 50)
QUICK = Plan("toy", 60, 60, 15, 60, 4, 8, 3, 48, Sizes(6, 6, 6), 5)


def main() -> int:
    """Run what is missing, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a toy, some minutes on two cores")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--work", type=Path, help="folder of all pieces")
    parser.add_argument("--minutes", type=float, help="longest piece of training")
    parser.add_argument("--checkpoint", type=Path, help="score this one as SFT, train nothing")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    work = arguments.work or ROOT / "out" / (
        "small_model_quick" if arguments.quick else "small_model"
    )
    work.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    if arguments.checkpoint:
        stages = {"sft": arguments.checkpoint}
    else:
        make_data(work, plan)
        if not train(work, plan, arguments.minutes):
            print(f"not finished; the same command goes on in {work}", file=sys.stderr)
            return AGAIN
        stages = {"sft": work / "sft" / "model", "rft": work / "rft" / "model"}
    figures = score(work, plan, stages)
    for name, value in figures.items():
        print(f"{name:32} {value:8.2f}")
    if arguments.json:
        report = {**figures, "conditions": conditions(arguments.quick, plan, load)}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def conditions(quick: bool, plan: Plan, load: float) -> dict[str, Any]:
    """Return what the figures depend on."""
    gpu = torch.cuda.is_available()
    return {
        "quick": quick,
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "shape": plan.shape,
        "scenes": plan.scenes,
        "steps": {name: getattr(plan, name) for name in ("colour", "align", "sft", "rft")},
        "samples_per_step": plan.samples,
        "questions": vars(plan.sizes),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def make_data(work: Path, plan: Plan) -> None:
    """Make training data; nothing is done where it is finished."""
    makers = (LocationMaker(), PlacementMaker(), ChainMaker(ChainForm.RFT))
    wishes = {Kind.LOCATION: Wish(4), Kind.PLACEMENT: Wish(3), Kind.CHAIN: Wish(3)}
    source = SimulatorSource(SEED, plan.scenes)
    # One question per record, so that each can be drawn on its own.
    job = Work(source, makers, SEED, wishes, most_turns=1)
    run(job, work / "data", spread=Processes(1 if plan is QUICK else os.cpu_count() or 1))


def train(work: Path, plan: Plan, minutes: float | None) -> bool:
    """Do all stages that are not finished; tell whether all are."""
    records = [work / "data" / f"{name}.json" for name in FILES]
    start = work / "start"
    if not start.exists():
        texts = [text for path in records for text in texts_of(path)]
        new_small(start, SHAPES[plan.shape], texts=texts, seed=SEED)
    on_gpu = torch.cuda.is_available()
    model = {"precision": "bfloat16" if on_gpu else "float32", "gradient_checkpointing": False}
    images, depths = str(work / "data" / "image"), str(work / "data" / "depth")
    colour = [{"records": str(path), "images": images} for path in records]
    both = [{**one, "depths": depths} for one in colour]
    mixed = [{**one, "also_without": True} for one in both]
    batch = {"samples": plan.samples, "packing": False, "workers": 8 if on_gpu else 0}
    optimizer = {"learning_rate": 1e-3, "weight_decay": 0.01, "clip": 1.0}
    every = {"interval": 200, "keep": 1}
    common: dict[str, Any] = {"seed": SEED, "checkpoints": every}
    stages = {
        "colour": {
            "stage": "sft",
            "model": {**model, "path": str(start)},
            "data": colour,
            "optimizer": optimizer,
            "batch": {**batch, "steps": plan.colour},
        },
        "align": {
            "stage": "depth_align",
            "model": {
                **model,
                "path": str(work / "colour" / "model"),
                "depth_from_colour": True,
            },
            "data": both,
            "optimizer": optimizer,
            "batch": {**batch, "steps": plan.align},
        },
        "sft": {
            "stage": "sft",
            "model": {**model, "path": str(work / "align" / "model")},
            "data": mixed,
            "optimizer": {**optimizer, "learning_rate": 5e-4},
            "batch": {**batch, "steps": plan.sft},
        },
        "rft": {
            "stage": "rft",
            "model": {**model, "path": str(work / "sft" / "model")},
            "data": mixed[-1:],
            "optimizer": {"learning_rate": 2e-5, "clip": 1.0},
            "draw": {
                "questions": max(1, plan.samples // 4),
                "steps": plan.rft,
                "max_new_tokens": plan.tokens,
            },
            "grpo": {"samples": plan.answers},
        },
    }
    for name, stage in stages.items():
        if not _train_one(work / name, {**common, **stage, "output": str(work / name)}, minutes):
            return False
    return True


def _train_one(folder: Path, table: dict[str, Any], minutes: float | None) -> bool:
    """Train one stage in a process of its own; tell whether it came to its end."""
    if (folder / "model").is_dir():
        return True
    config = folder.with_suffix(".toml")
    config.write_text(_toml(table), encoding="utf-8")
    command = [sys.executable, "-m", "roborefer_vlm", "train", str(config)]
    if folder.is_dir():
        command.append("--resume")
    print(f"{folder.name}: {' '.join(command)}", flush=True)
    try:
        subprocess.run(command, check=True, timeout=None if minutes is None else 60 * minutes)
    except subprocess.TimeoutExpired:
        return False
    return True


def _toml(table: dict[str, Any]) -> str:
    """Write a table of plain values, tables and one list of tables."""
    lines = []
    nested = []
    for key, value in table.items():
        if isinstance(value, dict):
            nested += [f"[{key}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())]
        elif isinstance(value, list):
            for one in value:
                nested += [f"[[{key}]]", *(f"{k} = {json.dumps(v)}" for k, v in one.items())]
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join([*lines, *nested]) + "\n"


class Asked:
    """Asks an engine in this process, adding words to each sentence."""

    def __init__(self, engine: Engine, words: str) -> None:
        self.engine, self.words = engine, words

    def refer(self, query: Query, *, deadline_s: float) -> Answer:
        """Answer a query."""
        return self.engine.refer(replace(query, text=query.text + self.words))


def score(work: Path, plan: Plan, stages: dict[str, Path]) -> dict[str, float]:
    """Return all figures: scores in per cent, strict, of every stage and of scene_graph."""
    place = work / "bench" / "RoboRefer-Sim-Bench"
    if not place.exists():
        write_sim_bench(place, plan.sizes)
    benchmark = load_benchmark("sim", place)
    figures: dict[str, float] = {}
    for stage, path in stages.items():
        # Both have learnt direct answers and chains; rewards have seen chains only.
        words, wording = (REASON, Wording.PLAIN) if stage == "rft" else ("", Wording.SUFFIX)
        engine = create_engine(f"roborefer:{path}", append_suffix=stage != "rft")
        for depth in (False, True):
            name = f"small_{stage}_{'rgbd' if depth else 'rgb'}"
            settings = RunSettings(wording, use_depth=depth, max_new_tokens=plan.tokens)
            figures |= _scores(work, name, benchmark, Asked(engine, words), settings)
        if stage == "sft":
            figures["small_query_s"] = _query_time(benchmark, engine, plan)
        engine.close()
    figures["small_weights_mb"] = (
        sum(file.stat().st_size for file in list(stages.values())[-1].rglob("*.safetensors")) / 1e6
    )
    engine = create_engine("scene_graph")
    settings = RunSettings(Wording.PLAIN)
    figures |= _scores(work, "scene_graph_sim", benchmark, Asked(engine, ""), settings)
    engine.close()
    return figures


def _scores(
    work: Path, name: str, benchmark: Benchmark, asked: Asked, settings: RunSettings
) -> dict[str, float]:
    settings = replace(settings, concurrency=1, deadline_s=600.0)
    config = run_config(benchmark, asked.engine.info, settings) | {"words": asked.words}
    with (
        ResultLog(work / "bench" / name / "answers.jsonl", config, resume=True) as log,
        tqdm(total=len(benchmark.questions), desc=name, unit="question") as bar,
    ):
        bar.update(len(log.results))
        results = run_benchmark(
            benchmark, asked, log, settings, config["wording"], lambda _: bar.update() and None
        )
    table = summarise(score_run(benchmark, results), benchmark.protocol, len(benchmark.questions))
    return {f"{name}_{part}": 100 * table["by_category"][part]["strict"]["mean"] for part in PARTS}


def _query_time(benchmark: Benchmark, engine: Engine, plan: Plan) -> float:
    """Return the median time of an RGB-D query, pictures read beforehand, seconds."""
    queries = [
        question.query(f"{question.prompt} {question.suffix}", max_new_tokens=plan.tokens)
        for question in benchmark.questions[: plan.timed]
    ]
    engine.refer(queries[0])
    times = []
    for query in tqdm(queries, desc="small_query_s", unit="query"):
        begin = time.perf_counter()
        engine.refer(query)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
