# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sentences through the whole graph: words, referring, place in 3D, grasp, plan, execution.

    python benchmarks/sentences.py --json benchmarks/results/sentences.json
    python benchmarks/sentences.py --quick

Each scene is a random cluttered table with a sentence that is true and unambiguous in it
(`_sentence_scenes.py` says how both are drawn). The sentence goes to the action
`execute_instruction` of a running `ur5_sim.launch.py`, with the simulated sensor's flaws and the
engine that is named in the conditions; nobody answers its questions, so a question is a failure.
The simulator's truth judges: the thing stands where the words say, nothing else moved by 3 cm or
tipped over. The full run uses wordings that were not used in development.

A failure is counted where it happened: `words` (not understood), `referring` (nothing, several or
another thing found, or a place for which the words do not hold), `place` (no depth, outside),
`grasp`, `plan`, `execution`, `effect` (all said to be done, but the truth differs).
`unsafe` counts contacts of the arm's links and palm with anything, and motion half a second after
the latched stop.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _sentence_graph import Graph
from _sentence_scenes import CATEGORIES, Task, axes_of, draw_task, judge
from _sentence_truth import Truth
from roborefer_bringup.client import Robot, RobotError
from roborefer_sim.core.clutter import Clutter, random_cell
from roborefer_sim.exceptions import SceneError
from tqdm import tqdm

FIRST_SEED, QUICK_SEED = 130_000, 5_000
STOPS = 5
DEADLINE_S = 240.0
DEFAULT_ENGINE = "scene_graph?namer=tabletop"
CLUTTER = Clutter(fewest=5, most=8)


@dataclass
class Scene:
    """One scene and what became of it."""

    seed: int
    task: Task
    done: bool = False
    stage: str = ""
    code: int = 0
    message: str = ""
    simulated_s: float = 0.0
    disturbed: tuple[str, ...] = ()
    wishes: tuple[bool, ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass
class Totals:
    """What all scenes come to."""

    scenes: list[Scene] = field(default_factory=list)
    touches: int = 0
    moved_after_stop: int = 0
    stops: int = 0


def scenes_of(count: int, first: int, held_out: bool) -> list[tuple[int, Any, Task]]:
    """Draw scenes with sentences, the categories in turn."""
    found, seed = [], first
    while len(found) < count:
        category = CATEGORIES[len(found) % len(CATEGORIES)]
        seed += 1
        try:
            cell = random_cell(seed, CLUTTER)
        except SceneError:
            continue
        task = draw_task(cell, category, seed, held_out)
        if task is not None:
            found.append((seed, cell, task))
    return found


def stage_of(code: int) -> str:
    """Name the stage in which a task failed, from its error code."""
    if 440 <= code <= 441 or 400 < code < 404:
        return "words"
    if code in (106, 107, 108, 140, 141, 142, 145, 471):
        return "referring"
    if 100 < code < 200 or code in (201, 202, 252):
        return "place"
    if code in (208, 209, 210, 240, 241, 248, 249, 244, 245):
        return "grasp"
    if code in (204, 205, 242, 243, 246, 270, 271, 272):
        return "plan"
    return "execution" if code else "effect"


def run_scene(robot: Robot, truth: Truth, seed: int, cell: Any, task: Task) -> Scene:
    """Set the table, say the sentence, and judge."""
    scene = Scene(seed, task)
    placed = {thing.name: thing for thing in cell.placed}
    truth.set_table(cell)
    before = truth.poses()
    begin = truth.now_s()
    code, status = 0, None
    try:
        done = robot.do(task.sentence, answer=lambda question: False, deadline_s=DEADLINE_S)
        code, scene.message, status = done.code, done.message, done.status
    except RobotError as error:
        code, scene.message = error.code, str(error)
    truth.wait_for_rest()
    scene.simulated_s = truth.now_s() - begin
    verdict = judge(task, placed, before, truth.poses(), axes_of(cell))
    scene.done, scene.wishes = verdict.done and code == 0, verdict.wishes
    scene.disturbed, scene.code = verdict.disturbed, code
    if status is not None:
        scene.phrases = tuple(step.phrase for step in status.steps)
    if not scene.done:
        scene.stage = _stage(scene, code, status, before, task)
    return scene


def _stage(scene: Scene, code: int, status: Any, before: Mapping[str, Any], task: Task) -> str:
    """The stage of a failure; a wrong thing is a failure of referring, whatever came after."""
    picks = [s for s in status.steps if s.verb == s.PICK and s.has_reference] if status else []
    for step, wish in zip(picks, task.wishes, strict=False):
        at = step.reference.pose.pose.pose.position
        distance = {n: float(np.hypot(at.x - p[0, 3], at.y - p[1, 3])) for n, p in before.items()}
        if min(distance, key=distance.__getitem__) != wish.target:
            return "referring"
    return stage_of(code)


def try_stop(robot: Robot, truth: Truth, sentence: str) -> bool:
    """Say a sentence, set the stop while the arm moves; return whether it moved afterwards."""
    robot.instruct(sentence)
    if not truth.wait_until_moving(60.0):
        robot.cancel()
        return False
    robot.stop()
    truth.sleep_s(0.5)
    moved = truth.motion_within_s(1.0)
    robot.release()
    truth.sleep_s(0.2)
    return moved


def figures(totals: Totals) -> dict[str, Any]:
    """Work out what is reported."""
    scenes = totals.scenes
    share = lambda some: 100.0 * np.mean([s.done for s in some]) if some else 0.0  # noqa: E731
    times = [s.simulated_s for s in scenes if s.done]
    found: dict[str, Any] = {
        "sentences_success_percent": round(float(share(scenes)), 1),
        "sentences_scenes": len(scenes),
    }
    for category in CATEGORIES:
        some = [s for s in scenes if s.task.category == category]
        found[f"sentences_{category}_percent"] = round(float(share(some)), 1)
    found["sentences_task_median_s"] = round(float(np.median(times)), 1) if times else 0.0
    found["sentences_task_p95_s"] = round(float(np.percentile(times, 95)), 1) if times else 0.0
    found["sentences_touches"] = totals.touches
    found["sentences_moved_after_stop"] = totals.moved_after_stop
    found["unsafe"] = totals.touches + totals.moved_after_stop
    found["stops_tried"] = totals.stops
    found["sentences_stages"] = dict(Counter(s.stage for s in scenes if not s.done))
    found["sentences_failures"] = [
        {
            "seed": s.seed, "sentence": s.task.sentence, "stage": s.stage, "code": s.code,
            "message": s.message[:160], "wishes": list(s.wishes), "disturbed": list(s.disturbed),
        }
        for s in scenes
        if not s.done
    ]  # fmt: skip
    return found


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 scenes of the development seeds")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--scenes", type=int, default=0, help="instead of 100, or 5 with --quick")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="spec of the engine")
    parser.add_argument("--factor", type=float, default=1.0, help="real-time factor, 0: fastest")
    args = parser.parse_args()
    count = args.scenes or (5 if args.quick else 100)
    load = os.getloadavg()[0]
    # A graph of its own, whatever else runs on this machine.
    os.environ["ROS_DOMAIN_ID"] = str(100 + os.getpid() % 100)
    scenes = scenes_of(count, QUICK_SEED if args.quick else FIRST_SEED, not args.quick)
    graph = Graph(args.engine, args.factor)
    totals = Totals()
    try:
        with Robot(timeout_s=60.0) as robot, Truth() as truth:
            truth.wait_until_up(120.0)
            touched = truth.touches()
            for seed, cell, task in tqdm(scenes, unit="task"):
                totals.scenes.append(run_scene(robot, truth, seed, cell, task))
                last = totals.scenes[-1]
                tqdm.write(
                    f"{seed} {task.category:9s} {'done' if last.done else last.stage:10s}"
                    f" {last.code:3d} {task.sentence} {'' if last.done else last.message[:150]}"
                )
            for _, cell, task in scenes[: 1 if args.quick else STOPS]:
                truth.set_table(cell)
                totals.stops += 1
                totals.moved_after_stop += try_stop(robot, truth, task.sentence)
            totals.touches = truth.touches() - touched
    finally:
        graph.close()
    found = figures(totals)
    found["conditions"] = {
        "quick": args.quick, "engine": args.engine, "real_time_factor": args.factor,
        "first_seed": QUICK_SEED if args.quick else FIRST_SEED, "cores": os.cpu_count(),
        "load_before": round(load, 2), "python": platform.python_version(),
        "machine": platform.machine(), "system": platform.system(),
    }  # fmt: skip
    for name, value in found.items():
        print(f"{name:32s} {value}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
