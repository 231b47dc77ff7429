#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A small RoboRefer trained from nothing through all stages, and what it scores on our benchmark.

    python benchmarks/small_model.py [--scale full|cpu] [--quick] [--json FILE] [--work DIR]
        [--set NAME=NUMBER ...] [--minutes N]

Pieces, each in a folder of --work, so that a run goes on where it was stopped:

    data        simulated tables of the training split, with questions for things and places
    chains      other tables, with questions answered step by step
    start       a network with random weights and its tokenizer
    colour      SFT on pictures alone, the stand-in for a language model that knows pictures
    align       depth projector only, RGB-D
    sft         everything, RGB and RGB-D
    rft         GRPO on the chains
    bench       RoboRefer-Sim-Bench, and the answers of every engine

With --minutes N no piece of data or training runs longer than that; what is made is kept, as is
the last checkpoint, the program ends with code 75, and the same command goes on. A shell loop
trains to the end:

    until python benchmarks/small_model.py --minutes 9 --json small_model.json
    do [ $? = 75 ] || break; done

Scales: `full` is for a GPU and what is meant by the small model. `cpu`, taken where torch sees no
GPU, is what about half an hour of a processor allows: a narrow network, small pictures, short
phrases; on a busy machine do less of it, such as --set colour=650. --quick is a toy, some minutes
on two cores: a few hundred questions, which show that everything runs and are no measure of what
can be learnt.

Both SFT and RFT are asked alike: for the point alone, and step by step (`..._steps_...`, with
depth), which is what the rewards were for; at the scale of a CPU for the point alone.
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
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _small_plans import SCALES, Plainly, Plan, changed
from roborefer_vlm.backends.base import Engine
from roborefer_vlm.backends.registry import create_engine
from roborefer_vlm.data.examples import Kind, Maker, Wish
from roborefer_vlm.data.processes import Processes
from roborefer_vlm.data.questions.chain import ChainForm, ChainMaker
from roborefer_vlm.data.questions.location import LocationMaker
from roborefer_vlm.data.questions.placement import PlacementMaker
from roborefer_vlm.data.runner import run
from roborefer_vlm.data.sim_bench import write_sim_bench
from roborefer_vlm.data.sources.simulator import SimulatorSource
from roborefer_vlm.data.sources.simulator_settings import SimulatorSettings
from roborefer_vlm.data.work import Work
from roborefer_vlm.evaluation.benchmarks import load_benchmark
from roborefer_vlm.evaluation.prompts import Wording
from roborefer_vlm.evaluation.records import Area, Benchmark
from roborefer_vlm.evaluation.results import ResultLog
from roborefer_vlm.evaluation.runner import RunSettings, run_benchmark, run_config
from roborefer_vlm.evaluation.scoring.score import score_run
from roborefer_vlm.evaluation.scoring.truth import DecodedArea
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
# What rules make of the same questions, with colours alone and with names of things.
RULES = {"scene_graph_sim": "scene_graph", "scene_graph_namer_sim": "scene_graph?namer=tabletop"}
PARTS = ("location", "placement", "unseen")
FILES = ("reasoning_template_qa", "vacant_qa", "chain_qa")


def main() -> int:
    """Run what is missing, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scale", choices=("full", "cpu"), help="default: full with a GPU")
    parser.add_argument("--quick", action="store_true", help="a toy, some minutes on two cores")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--work", type=Path, help="folder of all pieces")
    parser.add_argument("--minutes", type=float, help="longest piece of training")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", help="other than the scale's"
    )
    parser.add_argument("--checkpoint", type=Path, help="score this one as SFT, train nothing")
    arguments = parser.parse_args()
    scale = "quick" if arguments.quick else arguments.scale
    if scale is None:
        scale = "full" if torch.cuda.is_available() else "cpu"
        print(f"--scale {scale}, for torch sees {'a' if scale == 'full' else 'no'} GPU")
    plan = changed(SCALES[scale], arguments.set)
    work = arguments.work or ROOT / "out" / f"small_model_{scale}"
    work.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    if arguments.checkpoint:
        stages = {"sft": arguments.checkpoint}
    else:
        minutes = arguments.minutes
        if not (make_data_within(work, plan, minutes) and train(work, plan, minutes)):
            print(f"not finished; the same command goes on in {work}", file=sys.stderr)
            return AGAIN
        stages = {"sft": work / "sft" / "model", "rft": work / "rft" / "model"}
    figures = score(work, plan, stages)
    for name, value in figures.items():
        print(f"{name:32} {value:8.2f}")
    if arguments.json:
        report = {**figures, "conditions": conditions(scale, plan, load)}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def conditions(scale: str, plan: Plan, load: float) -> dict[str, Any]:
    """Return what the figures depend on."""
    gpu = torch.cuda.is_available()
    return {
        "quick": scale == "quick",
        "scale": scale,
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "shape": plan.shape,
        "scenes": plan.scenes,
        "chain_scenes": plan.chain_scenes,
        "steps": {name: getattr(plan, name) for name in ("colour", "align", "sft", "rft")},
        "records_per_step": plan.samples,
        "answers_per_step_of_rft": plan.questions * plan.answers,
        "questions": vars(plan.sizes),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def make_data(work: Path, plan: Plan) -> None:
    """Make training data; nothing is done where it is finished."""
    columns, rows = plan.picture
    settings = SimulatorSettings(width=columns, height=rows)
    # More processes on few cores would only take turns.
    spread = Processes(max(1, (os.cpu_count() or 1) // 2))
    things: Maker = LocationMaker(plan.location_steps)
    places: Maker = PlacementMaker()
    if not plan.suffix:
        things, places = Plainly(things), Plainly(places)
    wishes = {
        Kind.LOCATION: Wish(plan.location),
        Kind.PLACEMENT: Wish(plan.placement),
        Kind.CHAIN: Wish(3),
    }
    source = SimulatorSource(SEED, plan.scenes, settings=settings)
    job = Work(source, (things, places), SEED, wishes, most_turns=plan.turns)
    run(job, work / "data", spread=spread)
    # Rewards are for one answer, so each chain is a record of its own.
    source = SimulatorSource(SEED + 1, plan.chain_scenes, settings=settings)
    chains = (ChainMaker(ChainForm.RFT, plan.chain_steps),)
    run(Work(source, chains, SEED, wishes, most_turns=1), work / "chains", spread=spread)


def make_data_within(work: Path, plan: Plan, minutes: float | None) -> bool:
    """Make training data for some minutes at most; tell whether they are finished."""
    if minutes is None:
        make_data(work, plan)
        return True
    maker = get_context("spawn").Process(target=make_data, args=(work, plan))
    maker.start()
    maker.join(60 * minutes)
    if maker.is_alive():
        maker.terminate()
        maker.join()
        return False
    if maker.exitcode:
        raise SystemExit(f"making data ended with {maker.exitcode}")
    return True


def train(work: Path, plan: Plan, minutes: float | None) -> bool:
    """Do all stages that are not finished; tell whether all are."""
    folders = [work / "data", work / "data", work / "chains"]
    records = [folder / f"{name}.json" for folder, name in zip(folders, FILES, strict=True)]
    start = work / "start"
    if not start.exists():
        texts = [text for path in records for text in texts_of(path)]
        new_small(start, SHAPES[plan.shape], texts=texts, seed=SEED)
    on_gpu = torch.cuda.is_available()
    model = {"precision": "bfloat16" if on_gpu else "float32", "gradient_checkpointing": False}
    colour = [
        {"records": str(path), "images": str(folder / "image")}
        for folder, path in zip(folders, records, strict=True)
    ]
    both = [
        {**one, "depths": str(folder / "depth")}
        for one, folder in zip(colour, folders, strict=True)
    ]
    mixed = [{**one, "also_without": True} for one in both]
    batch = {
        "samples": plan.samples,
        "packing": not on_gpu,
        "workers": 8 if on_gpu else 0,
    }
    optimizer = {"learning_rate": plan.rate, "weight_decay": 0.01, "clip": 1.0}
    every = {"interval": plan.interval, "keep": 1}
    common: dict[str, Any] = {"seed": SEED, "checkpoints": every, "log_interval": 10}
    stages = {
        "colour": {
            "stage": "sft",
            "model": {**model, "path": str(start)},
            "data": colour[: plan.colour_files],
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
            "optimizer": {**optimizer, "learning_rate": plan.sft_rate},
            "batch": {**batch, "steps": plan.sft},
        },
        "rft": {
            "stage": "rft",
            "model": {**model, "path": str(work / "sft" / "model")},
            "data": mixed[-1:],
            "optimizer": {"learning_rate": plan.rft_rate, "clip": 1.0},
            "draw": {
                "questions": plan.questions,
                "steps": plan.rft,
                "max_new_tokens": plan.tokens,
            },
            "grpo": {"samples": plan.answers},
        },
    }
    for name, stage in stages.items():
        table = {**common, **stage, "output": str(work / name)}
        if not _train_one(work / name, table, minutes):
            return False
    return True


def _train_one(folder: Path, table: dict[str, Any], minutes: float | None) -> bool:
    """Train one stage in processes of its own; tell whether it came to its end."""
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
    figures = _unseen_pictures(work, benchmark) if (work / "data").exists() else {}
    for stage, path in stages.items():
        engine = create_engine(f"roborefer:{path}", append_suffix=plan.suffix)
        wording = Wording.SUFFIX if plan.suffix else Wording.PLAIN
        for depth in (False, True):
            name = f"small_{stage}_{'rgbd' if depth else 'rgb'}"
            settings = RunSettings(wording, use_depth=depth, max_new_tokens=plan.tokens)
            figures |= _scores(work, name, benchmark, Asked(engine, ""), settings)
        if stage == "sft":
            figures["small_query_s"] = _query_time(benchmark, engine, plan)
        engine.close()
        if not plan.ask_steps:
            continue
        engine = create_engine(f"roborefer:{path}", append_suffix=False)
        settings = RunSettings(Wording.PLAIN, max_new_tokens=plan.tokens)
        figures |= _scores(
            work, f"small_{stage}_steps_rgbd", benchmark, Asked(engine, REASON), settings
        )
        engine.close()
    figures["small_weights_mb"] = (
        sum(file.stat().st_size for file in list(stages.values())[-1].rglob("*.safetensors")) / 1e6
    )
    for name, spec in RULES.items():
        engine = create_engine(spec)
        settings = RunSettings(Wording.PLAIN)
        figures |= _scores(work, name, benchmark, Asked(engine, ""), settings)
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


def _unseen_pictures(work: Path, benchmark: Benchmark) -> dict[str, float]:
    """Return what answers of the training data score here: chance, with the picture unseen."""
    answers = {}
    for file in FILES[:2]:
        records = json.loads((work / "data" / f"{file}.json").read_text(encoding="utf-8"))
        turns = [turn for record in records for turn in record.get("turns", [record])]
        answers[file] = np.array([turn["point"] for turn in turns])
    shares: dict[str, list[float]] = {part: [] for part in PARTS}
    for question in benchmark.questions:
        assert isinstance(question.truth, Area)
        mask = DecodedArea.read(question.truth, 1, 1).pixels()
        points = answers[FILES[question.category == "placement"]]
        columns, rows = (points * mask.shape[::-1]).astype(int).T
        shares[question.category].append(float(mask[rows, columns].mean()))
    return {f"chance_sim_{part}": 100 * float(np.mean(some)) for part, some in shares.items()}


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
