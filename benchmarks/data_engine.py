#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How fast the data engine makes questions of the simulator source, and how many are true.

    python benchmarks/data_engine.py [--quick] [--json FILE]

Questions of all kinds about random tables, two views of each. `qa_per_s_per_core` counts all that
is done after rendering: questions, records, encoded pictures and depth. Random samples are judged
by `_data_truth`, which shares no geometry with the engine; how much that check would notice is
measured by breaking samples on purpose (`broken_caught_percent`). The sheet of 60 samples is for
people to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]

from _data_truth import Judge  # noqa: E402
from roborefer_vlm.data.examples import Example, Kind, Wish  # noqa: E402
from roborefer_vlm.data.processes import Processes, Spread  # noqa: E402
from roborefer_vlm.data.questions import makers_of  # noqa: E402
from roborefer_vlm.data.reading import stored  # noqa: E402
from roborefer_vlm.data.runner import run  # noqa: E402
from roborefer_vlm.data.sheet import choose, sheet  # noqa: E402
from roborefer_vlm.data.sources.simulator import SimulatorSource  # noqa: E402
from roborefer_vlm.data.sources.simulator_timing import rendering_rate  # noqa: E402
from roborefer_vlm.data.tally import Tally  # noqa: E402
from roborefer_vlm.data.work import Work  # noqa: E402
from roborefer_vlm.drawing import encode_png  # noqa: E402

SEED = 70_000
VIEWS = 2
# Shots of the check; each gives a few questions of every kind.
SHOTS, QUICK_SHOTS = 150, 12
SAMPLES, QUICK_SAMPLES = 1100, 250
SHEET = 60


def made(shots: int, most: int) -> Iterator[tuple[Judge, list[Example], float]]:
    """Yield per shot its judge, its questions, and the seconds that they took."""
    source = SimulatorSource(SEED, shots, VIEWS)
    wishes = {kind: Wish(most) for kind in Kind}
    work = Work(source, makers_of(), SEED, wishes)
    for index in tqdm(range(shots), unit="shot"):
        shot = source.shot(index)
        begin, tally = time.process_time(), Tally()
        examples = list(work.examples(shot, index, tally))
        work.packed(shot, examples, tally)
        yield Judge(shot.views), examples, time.process_time() - begin
    source.close()


def broken(example: Example, rng: np.random.Generator) -> Example | None:
    """Return an example with a wrong answer, or None where none is easily made."""
    if example.point is not None:
        x, y = (float(v) for v in rng.uniform(0.05, 0.95, 2))
        text = f"[({x:.3f}, {y:.3f})]"
        old = f"[({example.point[0]:.3f}, {example.point[1]:.3f})]"
        return replace(example, point=(x, y), answer=example.answer.replace(old, text))
    swapped = {"yes": "no", "no": "yes", "(A)": "(B)", "(B)": "(A)", "left": "right",
               "right": "left"}  # fmt: skip
    if example.answer in swapped:
        return replace(example, answer=swapped[example.answer])
    if example.kind is Kind.QUANTITY:
        first, *rest = example.answer.split()
        number = f"{float(first) * 1.4 + 1:.2f}" if rest else str(int(first) + 1)
        return replace(example, answer=" ".join((number, *rest)))
    return None


def checked(shots: int, samples: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of speed and truth, and what was found wrong."""
    rng = np.random.default_rng(SEED)
    asked: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    faults: list[str] = []
    caught, tried, seconds, total = 0, 0, 0.0, 0
    most = max(1, -(-samples // (shots * len(Kind))))
    share = 1.0
    for judge, examples, spent in made(shots, max(4, most)):
        seconds, total = seconds + spent, total + len(examples)
        # The shots to come give about as many as this one.
        share = min(1.0, samples / (shots * max(len(examples), 1)))
        for example in examples:
            if rng.random() > share:
                continue
            kind = example.kind.value
            asked[kind] += 1
            if fault := judge.fault(example):
                wrong[kind] += 1
                faults.append(f"{example.id}: {fault}: {example.question} {example.answer}")
            worse = broken(example, rng)
            if worse is not None:
                tried += 1
                caught += bool(judge.fault(worse))
    count = sum(asked.values())
    figures: dict[str, Any] = {
        "qa_per_s_per_core": round(total / seconds, 1),
        "true_percent": round(100 * (1 - sum(wrong.values()) / max(count, 1)), 2),
        "broken_caught_percent": round(100 * caught / max(tried, 1), 1),
    }
    for kind in sorted(asked):
        figures[f"true_percent_{kind}"] = round(100 * (1 - wrong[kind] / asked[kind]), 2)
    return figures, {"samples": count, "samples_by_kind": dict(asked), "faults": faults}


def rate(spread: Spread, shots: int) -> float:
    """Return shots per second from the first one that is done to the last."""
    work = Work(SimulatorSource(SEED + 1, shots, VIEWS), makers_of(), SEED)
    times = [time.monotonic() for _ in spread(work, range(shots))]
    return (len(times) - 1) / (times[-1] - times[0])


def draw(path: Path, shots: int) -> dict[str, int]:
    """Make a small data set, write its sheet, and return its counts of questions."""
    with TemporaryDirectory() as folder:
        work = Work(SimulatorSource(SEED + 2, shots, VIEWS), makers_of(), SEED)
        tally = run(work, Path(folder) / "sheet")
        picture = sheet(choose(stored(Path(folder) / "sheet"), SHEET, SEED))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture))
    return dict(tally.counts["examples"])


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few scenes")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--sheet", type=Path, default=ROOT / "out" / "data_engine" / "sheet.png")
    arguments = parser.parse_args()
    quick = arguments.quick
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    views = rendering_rate(views=10 if quick else 100, seed=SEED)
    figures, details = checked(
        QUICK_SHOTS if quick else SHOTS, QUICK_SAMPLES if quick else SAMPLES
    )
    figures["views_rendered_per_s_per_core"] = round(views.views_per_s_per_core, 2)
    shots = 16 if quick else 80
    figures["data_scaling_two_workers"] = round(
        rate(Processes(2), shots) / rate(Processes(1), shots // 2), 2
    )
    details["sheet_questions"] = draw(arguments.sheet, 12 if quick else 40)
    for name, value in figures.items():
        print(f"{name:36} {value}")
    for fault in details["faults"]:
        print("  ", fault)
    print(arguments.sheet)
    if arguments.json:
        figures["conditions"] = {
            "quick": quick,
            **details,
            "views_of_a_scene": VIEWS,
            "cores": os.cpu_count(),
            "load_before": round(load, 2),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": platform.machine(),
            "system": platform.system(),
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
