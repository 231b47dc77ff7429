# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The program `demo`: three sentences in the simulated cell.

Exit codes: 0, every sentence was carried out, by the ground truth of the simulator; 1, one was
not; 2, the demo could not be played.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from roborefer_bringup.demo.graph import Graph, domain, free_port, use_own_domain
from roborefer_bringup.demo.story import ACTS, THINGS

_NEEDED = {"cv2": "OpenCV", "mujoco": "MuJoCo", "py_trees": "py_trees", "httpx": "httpx"}
_NODES = ("referrer", "arm", "executive")
_START_S = 240.0
# As in ur5_sim.launch.py.
ENGINE = "scene_graph?namer=tabletop"
_WHY = "it needs no weights of a RoboRefer, none of which ship; --engine roborefer:DIR takes yours"


class Progress:
    """Plain lines with the time since the beginning."""

    def __init__(self) -> None:
        self._begin = monotonic()

    def tell(self, text: str) -> None:
        """Print a line."""
        sys.stdout.write(f"[{monotonic() - self._begin:5.0f} s] {text}\n")
        sys.stdout.flush()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return monotonic() - self._begin


def main() -> int:
    """Play the demo."""
    arguments = _arguments()
    progress = Progress()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    missing = _missing(arguments.server_python)
    if missing:
        progress.tell(f"{missing}; type 'make setup' in the root of the repository first")
        return 2
    use_own_domain()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for old in (*arguments.out.glob("sentence*_*.jpg"), *arguments.out.glob("demo.mp4")):
        old.unlink()
    log = arguments.out / "nodes.log"
    # Needs the ROS domain to be set.
    from roborefer_bringup.demo.table import DemoError

    try:
        with Graph(_launch_arguments(arguments), log) as graph:
            return _play(arguments, graph, progress)
    except KeyboardInterrupt:
        progress.tell("interrupted; everything that was started has ended")
        return 2
    except DemoError as error:
        progress.tell(f"cannot go on: {error}; the nodes say more in {log}")
        return 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the results")
    parser.add_argument(
        "--real-time-factor", type=float, default=1.0,
        help="simulated seconds per second; 0 is as fast as possible",
    )  # fmt: skip
    parser.add_argument("--engine", default=ENGINE, help="who understands referring phrases")
    parser.add_argument(
        "--only", type=int, choices=range(1, len(ACTS) + 1), help="play one sentence only"
    )
    parser.add_argument(
        "--server-python", default=sys.executable, help="Python that has roborefer-vlm"
    )
    parser.add_argument("--no-console", action="store_true", help="serve no web console")
    parser.add_argument(
        "--stay", action="store_true", help="keep robot and console running until Ctrl-C"
    )
    parser.add_argument("--no-film", action="store_true", help="write no video")
    # A launch file adds arguments of its own, which are not meant for this program.
    return parser.parse_args(_without_ros(sys.argv[1:]))


def _without_ros(arguments: list[str]) -> list[str]:
    until = arguments.index("--ros-args") if "--ros-args" in arguments else len(arguments)
    return arguments[:until]


def _missing(server_python: str) -> str:
    for module, name in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            return f"{name} (Python module {module}) is not installed"
    try:
        found = subprocess.run(
            [server_python, "-c", "import roborefer_vlm"], capture_output=True, check=False
        )
    except OSError as error:
        return f"--server-python {server_python} cannot be run ({error.strerror})"
    if found.returncode:
        return f"the referring server (roborefer-vlm) is not installed for {server_python}"
    return ""


def _launch_arguments(arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "port": str(free_port()),
        "real_time_factor": str(arguments.real_time_factor),
        "server_python": arguments.server_python,
        "speech": "true",
        "console": str(not arguments.no_console).lower(),
        "console_port": "0",
        "records": str((arguments.out / "records").resolve()),
        "engine": arguments.engine,
    }


def _play(arguments: argparse.Namespace, graph: Graph, progress: Progress) -> int:
    from roborefer_bringup.client import Robot
    from roborefer_bringup.demo.film import FilmError, write_film
    from roborefer_bringup.demo.report import write_report
    from roborefer_bringup.demo.stage import play
    from roborefer_bringup.demo.table import set_table

    with _witness() as witness:
        _wait_until_up(graph, witness, progress)
        if not arguments.no_console:
            progress.tell(graph.console() or "the console did not come up; the log says why")
        why = f"; {_WHY}" if arguments.engine == ENGINE else ""
        progress.tell(f"phrases are understood by the engine {arguments.engine}{why}")
        progress.tell("setting the table")
        set_table(witness, THINGS)
        began = progress.seconds
        acts = [ACTS[arguments.only - 1]] if arguments.only else list(ACTS)
        played = []
        with Robot(timeout_s=30.0) as robot:
            for number, act in enumerate(acts, 1):
                progress.tell(f"sentence {number} of {len(acts)}, {act.title}: '{act.sentence}'")
                played.append(play(act, robot, witness, graph, progress.tell))
                for check in played[-1].checks:
                    progress.tell(f"  {'ok ' if check.passed else 'BAD'} {check.text}")
                if played[-1].error:
                    progress.tell(f"  BAD {played[-1].error}")
        frames = witness.frames
        acting_s = progress.seconds - began
    if arguments.stay:
        progress.tell(f"the robot goes on in ROS domain {domain()} until Ctrl-C")
        graph.wait()
    graph.end()
    video: Path | None = arguments.out / "demo.mp4"
    if arguments.no_film:
        video = None
    else:
        progress.tell(f"writing the video, {len(frames)} frames")
        try:
            write_film(frames, video)
        except FilmError as error:
            progress.tell(str(error))
            video = None
    for number, each in enumerate(played, 1):
        for index, picture in enumerate(each.watched.pictures, 1):
            (arguments.out / f"sentence{number}_{index:02}.jpg").write_bytes(picture)
    facts = [
        ("who understood the phrases", arguments.engine),
        ("time from start to the first sentence", f"{began:.0f} s"),
        ("time of the sentences", f"{acting_s:.0f} s"),
        ("simulated seconds per second, at most", f"{arguments.real_time_factor or 'any'}"),
        ("machine", f"{os.cpu_count()} cores, Python {platform.python_version()}"),
    ]
    report = arguments.out / "report.html"
    write_report(report, played, facts, video)
    good = sum(p.succeeded for p in played)
    progress.tell(f"{good} of {len(played)} sentences carried out, by the simulator's truth")
    for file in (video, report):
        if file is not None:
            progress.tell(f"look at {file}")
    return 0 if good == len(played) else 1


@contextlib.contextmanager
def _witness() -> Iterator[Any]:
    """Run a witness in a thread while the block runs."""
    from rclpy.context import Context
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    from roborefer_bringup.demo.witness import Witness

    # Not the default context, which would take Ctrl-C for itself.
    context = Context()
    context.init()
    node = Witness(context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()
        context.shutdown()


def _wait_until_up(graph: Graph, witness: Any, progress: Progress) -> None:
    from roborefer_bringup.demo.table import DemoError
    from roborefer_bringup.demo.witness import is_active

    progress.tell(f"starting the cell, the referring server and the nodes; log: {graph.log}")
    waiting = dict.fromkeys(("camera", *_NODES))
    until = monotonic() + _START_S
    while waiting:
        if not graph.alive:
            raise DemoError(f"the launch ended too early:\n{graph.last_words()}\n")
        if monotonic() > until:
            raise DemoError(f"{', '.join(waiting)} did not come up within {_START_S:g} s")
        for name in list(waiting):
            up = (
                bool(witness.until(lambda: witness.sees, 1.0))
                if name == "camera"
                else is_active(witness.state_of(name))
            )
            if up:
                waiting.pop(name)
                progress.tell(f"  {name} is up")


if __name__ == "__main__":
    sys.exit(main())
