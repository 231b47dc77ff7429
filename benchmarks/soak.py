# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Many tasks in one run of the whole graph, some of them with a fault in the middle.

    python benchmarks/soak.py --json benchmarks/results/soak.json
    python benchmarks/soak.py --quick

A block goes to and fro beside a can, task after task. In every tenth task something breaks while
the robot is at it: the referring server is killed, the camera repeats its last picture or is
silent, the arm's controller gives up, the gripper loses its force, the console or a node dies and
is started again. The task has to end with a code of its own within its deadline, and the next
one, after the fault, has to succeed. Meanwhile
the memory of every process of the graph is watched, and at the end no process may be left.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from _sentence_graph import Graph
from _sentence_truth import Truth
from roborefer_bringup.client import Robot, RobotError
from roborefer_sim.core.cell import Cell, Placed
from roborefer_sim.core.library import standard_library
from tqdm import tqdm

FAULTS = (
    "server", "frozen", "lost", "abort", "limp", "console", "referrer", "arm", "executive"
)  # fmt: skip
EVERY = 10
DEADLINE_S = 120.0
SENTENCES = ("put the red block left of the green can", "put the red block right of the green can")


def table() -> Cell:
    """A block, and a can that tells where it shall go."""
    library = standard_library()
    return Cell(
        [
            Placed("red_block_1", library.make("block", "red"), (0.45, 0.12, 0.001)),
            Placed("green_soup_can_1", library.make("soup_can", "green"), (0.47, -0.02, 0.001)),
        ]
    )


def break_something(fault: str, truth: Truth, graph: Graph) -> Callable[[], None]:
    """Break it, and return what mends it."""
    if fault == "server":
        graph.kill("roborefer_vlm")
        return lambda: truth.sleep_s(15.0)
    if fault in ("console", "referrer", "arm", "executive"):
        return graph.kill_node(fault)
    name, broken, whole = {
        "frozen": ("fault.camera", "frozen", "none"),
        "lost": ("fault.camera", "lost", "none"),
        "abort": ("fault.controller_abort", True, False),
        "limp": ("fault.gripper_limp", True, False),
    }[fault]
    truth.set_parameter(name, broken)
    return lambda: truth.set_parameter(name, whole)


def run_task(robot: Robot, sentence: str, at_work: Callable[[], None]) -> tuple[int, str]:
    """Say a sentence; call something once the first step is under way."""
    begun: list[threading.Thread] = []

    def told(status: Any) -> None:
        if not begun and status.steps and status.steps[0].phase >= 20:
            begun.append(threading.Thread(target=at_work))
            begun[0].start()

    try:
        done = robot.do(sentence, answer=lambda question: False, told=told, deadline_s=DEADLINE_S)
        code, message = done.code, done.message
    except RobotError as error:
        code, message = error.code, str(error)
    for thread in begun:
        thread.join()
    return code, message


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="6 tasks, one with a fault")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--tasks", type=int, default=0, help="instead of 200, or 6 with --quick")
    parser.add_argument(
        "--engine", default="scene_graph?namer=tabletop", help="spec of the engine"
    )
    parser.add_argument("--every", type=int, default=0, help="a fault in one of so many tasks")
    parser.add_argument("--factor", type=float, default=0.0, help="real-time factor, 0: fastest")
    args = parser.parse_args()
    count = args.tasks or (6 if args.quick else 200)
    every = args.every or (3 if args.quick else EVERY)
    load = os.getloadavg()[0]
    os.environ["ROS_DOMAIN_ID"] = str(100 + os.getpid() % 100)
    codes: Counter[int] = Counter()
    broken: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    plain_done = plain = after_done = 0
    memory: dict[str, list[float]] = {}
    graph = Graph(args.engine, args.factor, console=True)
    try:
        with Robot(timeout_s=60.0) as robot, Truth() as truth:
            truth.wait_until_up(120.0)
            truth.set_table(table())
            was_broken = False
            for number in tqdm(range(count), unit="task"):
                faulty = number % every == every - 1 and number + 1 < count
                fault = FAULTS[(number // every) % len(FAULTS)] if faulty else ""
                mends: list[Callable[[], None]] = []

                def spoil(fault: str = fault, mends: list[Any] = mends) -> None:
                    if fault:
                        mends.append(break_something(fault, truth, graph))

                code, message = run_task(robot, SENTENCES[number % 2], spoil)
                for mend in mends:
                    mend()
                if fault:
                    told = {"fault": fault, "broke": bool(mends), "code": code}
                    broken.append(told | {"message": message[:120]})
                    # What the fault left behind is no part of the next task.
                    truth.set_table(table())
                else:
                    codes[code] += 1
                    plain += 1
                    plain_done += code == 0
                    after_done += was_broken and code == 0
                    if code:
                        failed.append({"task": number, "code": code, "message": message[:120]})
                        # As somebody at the robot would: empty hand, and the things in reach.
                        truth.set_table(table())
                was_broken = bool(fault)
                for name, used in graph.memory_mb().items():
                    memory.setdefault(name, []).append(used)
    finally:
        graph.close()
    faults = len(broken)
    growth = {n: float(np.mean(m[-3:]) - np.mean(m[2:5])) for n, m in memory.items() if len(m) > 5}
    found: dict[str, Any] = {
        "soak_tasks": count,
        "soak_success_percent": round(100.0 * plain_done / max(plain, 1), 1),
        "soak_faults": faults,
        "soak_untyped_outcomes": sum(b["code"] in (1, 99) for b in broken),
        "soak_after_fault_percent": round(100.0 * after_done / max(faults, 1), 1),
        "soak_memory_growth_mb": round(max(growth.values(), default=0.0), 1),
        "soak_processes_left": graph.left_over(),
        "soak_codes": {str(code): n for code, n in codes.items()},
        "soak_memory_growth_by_process_mb": {n: round(g, 1) for n, g in growth.items()},
        "soak_memory_mb": {n: [round(v) for v in m[:: max(len(m) // 10, 1)]]
                           for n, m in memory.items()},
        "soak_broken": broken,
        "soak_failed": failed,
        "conditions": {
            "quick": args.quick, "engine": args.engine, "a_fault_every": every,
            "real_time_factor": args.factor,
            "cores": os.cpu_count(), "load_before": round(load, 2),
            "python": platform.python_version(), "psutil": psutil.__version__,
            "machine": platform.machine(), "system": platform.system(),
        },
    }  # fmt: skip
    for name, value in found.items():
        print(f"{name:34s} {value}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
