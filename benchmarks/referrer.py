# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures what the referrer adds to the time of the model, and whether it stays as it is.

    python benchmarks/referrer.py [--quick] [--real-time] [--json FILE]

Camera, referring server and referrer are processes of their own, this process sends the goals.
The camera shows a simulated cell, with all flaws of its sensor, at 30 Hz, as raw rgb8 and 16UC1.
The server is a fake that points at things of the cell at once and says how long that took it.

Overhead is the time from accepting a goal to the answer, less the server's own time: waiting for a
picture, its transform, decoding, encoding, HTTP in both directions, parsing, geometry, feedback.
The figures with `client` in their name count all from sending the goal to having its result, so
the way of goal and result, too. Then the referrer lives through 30 minutes of simulated time, at
ten times the pace of the wall, with a query each second of it and half of the references followed;
memory and CPU of its last five minutes are compared with those of its second five.

On a machine that others use, too, --real-time schedules the four processes of the first part
before all others (SCHED_RR), so that their times are those of a machine that is free.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pocket_ros2.testing import isolated_ros
from tqdm import tqdm

import pocket_ros2

pocket_ros2.activate()

ROLES = Path(__file__).with_name("_referrer_roles.py")
NODE = "from roborefer_perception.nodes.referrer import main; main()"
START_TIMEOUT_S = 90.0
SEED = 11
# Different noise in each of so many pictures that are shown in turn.
PICTURES = 8
PIXELS = 200
PACE = 10.0
MEGABYTE = 1e6


def draw(file: Path, width: int, height: int) -> None:
    """Take pictures of a simulated cell, and choose pixels on its things."""
    from roborefer_sim.core.camera import photographer
    from roborefer_sim.core.cell import CameraPlace, Layout
    from roborefer_sim.core.clutter import random_cell
    from roborefer_sim.core.sensor import SensorModel, measure
    from scipy.spatial.transform import Rotation

    place = CameraPlace(width=width, height=height, focal=615.0 * height / 480)
    cell = random_cell(SEED, layout=Layout(camera=place, with_arm=False))
    camera = photographer(cell)
    view = camera.take()
    camera.close()
    rng = np.random.default_rng(SEED)
    seen = [measure(view, place.focal, SensorModel(), rng) for _ in range(PICTURES)]
    things = [int(cell.model.body(thing.name).id) for thing in cell.placed]
    rows, columns = np.nonzero(np.isin(view.bodies, things))
    chosen = rng.integers(len(rows), size=PIXELS)
    pose = place.t_world_optical
    np.savez(
        file,
        rgb=np.stack([each.rgb for each in seen]),
        depth=np.stack([np.round(1000 * each.depth_m).astype(np.uint16) for each in seen]),
        pixels=np.c_[columns[chosen], rows[chosen]].astype(float),
        focal=place.focal,
        pose=np.r_[Rotation.from_matrix(pose[:3, :3]).as_quat(), pose[:3, 3]],
    )


@contextlib.contextmanager
def first_in_line(wanted: bool) -> Iterator[None]:
    """Schedule this process, and those that it starts, before all others."""
    before = os.sched_getscheduler(0)
    if wanted:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        if wanted:
            os.sched_setscheduler(0, before, os.sched_param(0))


@contextlib.contextmanager
def role(name: str, file: Path, number: float) -> Iterator[str]:
    """Run a camera or a server; gives the first line that it writes."""
    command = [sys.executable, str(ROLES), name, str(file), str(number)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(20)


@contextlib.contextmanager
def referrer(url: str, sim_time: bool) -> Iterator[psutil.Process]:
    """Run the referrer, not configured yet."""
    values = {"model.url": url, "use_sim_time": str(sim_time).lower()}
    parameters = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-c", NODE, "--ros-args", *parameters, "--log-level", "error"]
    with subprocess.Popen(command) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
    if code != 0:
        raise RuntimeError(f"the referrer ended with exit code {code}")


class Client:
    """Sends goals."""

    def __init__(self, sim_time: bool = False) -> None:
        import rclpy
        from rclpy.action import ActionClient
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.parameter import Parameter

        from roborefer_msgs.action import Refer

        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(
            "client",
            context=self._context,
            parameter_overrides=[Parameter("use_sim_time", value=sim_time)],
        )
        self._refer = ActionClient(self.node, Refer, "refer")
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def close(self) -> None:
        """End."""
        import rclpy

        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def wait(self, future: Any) -> Any:
        """Wait for a future."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(START_TIMEOUT_S):
            raise RuntimeError("no answer in time")
        return future.result()

    def activate(self) -> None:
        """Bring the referrer up, and wait until it answers."""
        from lifecycle_msgs.srv import ChangeState

        client = self.node.create_client(ChangeState, "referrer/change_state")
        if not client.wait_for_service(START_TIMEOUT_S):
            raise RuntimeError("no referrer")
        for label in ("configure", "activate"):
            request = ChangeState.Request()
            request.transition.label = label
            if not self.wait(client.call_async(request)).success:
                raise RuntimeError(f"the referrer cannot {label}")
        limit = time.monotonic() + START_TIMEOUT_S
        while (result := self.refer()[0]).error_code:
            if time.monotonic() > limit:
                raise RuntimeError(result.error_msg)

    def refer(self, **fields: Any) -> tuple[Any, float]:
        """Send a goal; return the result and the seconds until it was there."""
        from roborefer_msgs.action import Refer

        goal = Refer.Goal(instruction="a thing on the table", **fields)
        # As people do who show the reasoning while it comes.
        feedback = lambda message: None  # noqa: E731
        begin = time.perf_counter()
        sent = self._refer.send_goal_async(goal, feedback_callback=feedback)
        result = self.wait(self.wait(sent).get_result_async()).result
        return result, time.perf_counter() - begin


def overhead(folder: Path, size: tuple[int, int], count: int) -> dict[str, float]:
    """Measure queries beside a camera of 30 Hz."""
    file = folder / f"{size[1]}.npz"
    draw(file, *size)
    taken: list[dict[str, float]] = []
    chance = random.Random(SEED)
    refused = 0
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(role("server", file, 0))
        stack.enter_context(role("camera", file, 0))
        process = stack.enter_context(referrer(url, False))
        client = stack.enter_context(contextlib.closing(Client()))
        client.activate()
        idle, wall = sum(process.cpu_times()[:2]), time.monotonic()
        time.sleep(2.0)
        idle = (sum(process.cpu_times()[:2]) - idle) / (time.monotonic() - wall)
        for number in tqdm(range(count + 10), unit="query", desc=f"{size[1]} rows"):
            # At any time between two pictures.
            time.sleep(chance.uniform(0.05, 0.12))
            result, total_s = client.refer()
            if result.error_code:
                refused += 1
            elif number >= 10:
                split = result.references[0].latency
                names = ("wait_s", "transport_s", "geometry_s")
                taken.append(
                    {name: 1000 * getattr(split, name) for name in names}
                    | {
                        "node": 1000 * (split.total_s - split.model_s - split.queue_s),
                        "client": 1000 * (total_s - split.model_s - split.queue_s),
                    }
                )
    median = {name: float(np.median([each[name] for each in taken])) for name in taken[0]}
    worst = float(np.percentile([each["node"] for each in taken], 95))
    key = "640" if size[0] == 640 else "720"
    return {
        f"overhead{key}_p50_ms": median["node"],
        f"overhead{key}_p95_ms": worst,
        f"overhead{key}_wait_p50_ms": median["wait_s"],
        f"overhead{key}_transport_p50_ms": median["transport_s"],
        f"overhead{key}_geometry_p50_ms": median["geometry_s"],
        f"overhead{key}_client_p50_ms": median["client"],
        f"referrer{key}_listening_cpu_percent": 100 * idle,
        f"overhead{key}_refused": refused,
    }


def endure(folder: Path, minutes: float) -> dict[str, float]:
    """Live through simulated time; compare the memory and the processor's time of its parts."""
    file = folder / "small.npz"
    draw(file, 320, 240)
    seconds = 60 * minutes
    rows: list[tuple[float, float, float]] = []
    queries = failed = 0
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(role("server", file, 0))
        stack.enter_context(role("camera", file, PACE))
        process = stack.enter_context(referrer(url, True))
        bar = stack.enter_context(tqdm(total=round(seconds), unit="s"))
        client = stack.enter_context(contextlib.closing(Client(sim_time=True)))
        client.activate()
        clock = client.node.get_clock()
        begin = now = clock.now().nanoseconds * 1e-9
        while now - begin < seconds:
            result, _ = client.refer(follow=queries % 2 == 0)
            queries += 1
            failed += result.error_code != 0
            rows.append(
                (
                    now - begin,
                    process.memory_info().rss / MEGABYTE,
                    sum(process.cpu_times()[:2]),
                )
            )
            while clock.now().nanoseconds * 1e-9 - now < 1.0:
                time.sleep(0.01)
            before, now = now, clock.now().nanoseconds * 1e-9
            bar.update(round(now - begin) - round(before - begin))
    times, memory, cpu = np.array(rows).T
    # What is loaded and filled once is there after a sixth.
    early = (times > seconds / 6) & (times < seconds / 3)
    late = times > seconds * 5 / 6

    def load(part: Any) -> float:
        return float(np.ptp(cpu[part]) / np.ptp(times[part]))

    return {
        "rss_growth_mb": float(np.median(memory[late]) - np.median(memory[early])),
        "referrer_rss_mb": float(np.median(memory[late])),
        "endured_cpu_ratio": load(late) / load(early),
        "endured_minutes": float(times[-1] / 60),
        "endured_queries": queries,
        "endured_refused": failed,
    }


def main() -> None:
    """Run all measurements, print them, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--real-time", action="store_true", help="before all other programs")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    from roborefer_sim.core.gl import choose_gl

    choose_gl()
    load_before = os.getloadavg()[0]
    count = 20 if args.quick else 300
    results: dict[str, Any] = {}
    with isolated_ros(), tempfile.TemporaryDirectory() as folder:
        for size in ((640, 480), (1280, 720)):
            with first_in_line(args.real_time):
                results |= overhead(Path(folder), size, count)
        results |= endure(Path(folder), 1.0 if args.quick else 30.0)
    results = {name: round(value, 3) for name, value in results.items()}
    results["conditions"] = {
        "quick": args.quick,
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "real_time": args.real_time,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("httpx", "numpy")},
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:34} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
