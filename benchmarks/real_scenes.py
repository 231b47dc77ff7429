# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Real RGB-D scenes through `rgbd_player` and `referrer`: do the places lie where they should?

    python benchmarks/real_scenes.py [--quick] [--json FILE] [--data FOLDER]

Both nodes run as processes of their own and meet on their topics, as on a robot. On every
annotated thing its innermost pixel is clicked, random ones within it, and random ones on its
border, where the annotation itself is only good to some pixels. Free space is clicked in the same
way. Then every question of the data is asked as a command in words: the real server answers with
the scene_graph engine, which is given the annotated things and their names, because segmenting and
naming is not what is measured here; all the rest of the way is the real one.

A place is right when it lies within 1 cm of a measured point of the thing, and a normal when it
is within 3 degrees of the main plane of the scene, which whoever annotated it fitted.
`out/real_scenes` gets pictures; look at them. The data lie outside the repository; without them
there is nothing to measure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _real_truth import Click, Result, Scene, percent, scene_names
from pocket_ros2.testing import isolated_ros
from roborefer_vlm.backends.scene_graph.engine import SceneGraphEngine
from roborefer_vlm.server.run import background_server
from roborefer_vlm.types import Answer, GivenObject, Query
from scipy.spatial.transform import Rotation
from tqdm import tqdm

import pocket_ros2

pocket_ros2.activate()

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "real_rgbd"
OUT = ROOT / "out" / "real_scenes"
SEED, EACH = 0, 8
WORLD, OPTICAL = "world", "camera_color_optical_frame"
START_S, ANSWER_S = 60.0, 30.0
NEAR_M, LEVEL_DEG = 0.01, 3.0
NODES = "import sys; from roborefer_perception.nodes.{0} import main; sys.exit(main())"


class AnnotatedEngine(SceneGraphEngine):
    """The scene_graph engine that knows the annotated things of the scene that is shown."""

    objects: tuple[GivenObject, ...] = ()

    def refer(self, query: Query, **options: Any) -> Answer:
        """Answer one query."""
        return super().refer(replace(query, objects=self.objects), **options)


class Graph:
    """Talks to the running nodes."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.action import ActionClient
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        from tf2_ros import Buffer, TransformListener

        from roborefer_msgs.action import Refer

        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("real_scenes", context=self._context)
        self._changed, self._shown = threading.Condition(), ""
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(String, "rgbd_player/shown", self._on_shown, latched)
        self._refer = ActionClient(self._node, Refer, "refer")
        self._frames = Buffer()
        self._listener = TransformListener(self._frames, self._node)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def close(self) -> None:
        """End."""
        import rclpy

        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def activate(self) -> None:
        """Configure and activate the referrer."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            transition = Transition(id=number)
            if not self._call(ChangeState, "referrer/change_state", transition=transition).success:
                raise RuntimeError(f"the referrer refused the transition {number}")

    def show(self, name: str) -> None:
        """Let the player go on until it shows this scene."""
        from std_srvs.srv import Trigger

        with self._changed:
            if not self._changed.wait_for(lambda: self._shown, START_S):
                raise RuntimeError("the player shows nothing")
        while self._shown != name:
            before = self._shown
            self._call(Trigger, "rgbd_player/next")
            with self._changed:
                if not self._changed.wait_for(lambda was=before: self._shown != was, ANSWER_S):
                    raise RuntimeError(f"the player stays at {before}, {name} is wanted")

    def ask(self, click: Click) -> Result:
        """Send one goal and take what comes of it to the optical frame."""
        from roborefer_msgs.action import Refer
        from roborefer_msgs.msg import ErrorCode, Pixel, SpatialReference

        kinds = SpatialReference
        goal = Refer.Goal(image_policy=Refer.Goal.IMAGE_FRESH, target_frame=WORLD)
        if click.words:
            goal.instruction = click.words
        else:
            goal.kind = kinds.KIND_FREE_SPACE if click.free_space else kinds.KIND_OBJECT
            goal.use_pixel, goal.pixel = True, Pixel(u=click.pixel[0], v=click.pixel[1])
        if not self._refer.wait_for_server(START_S):
            raise RuntimeError("no action server refer")
        handle = self._wait(self._refer.send_goal_async(goal))
        found = self._wait(handle.get_result_async()).result
        if found.error_code:
            names = {getattr(ErrorCode, n): n for n in dir(ErrorCode) if n.isupper()}
            return Result(click, names.get(found.error_code, str(found.error_code)))
        reference = found.references[0]
        pose = reference.pose.pose.pose
        back = np.linalg.inv(self._t_world_optical(reference.header.stamp))
        at, turn = pose.position, pose.orientation
        up = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()[:, 2]
        return Result(
            click,
            pixel=(reference.pixel.u, reference.pixel.v),
            position=back[:3, :3] @ [at.x, at.y, at.z] + back[:3, 3],
            normal=back[:3, :3] @ up,
        )

    def _t_world_optical(self, stamp: Any) -> np.ndarray:
        from rclpy.time import Time

        known = threading.Event()
        time = Time.from_msg(stamp)
        future = self._frames.wait_for_transform_async(WORLD, OPTICAL, time)
        future.add_done_callback(lambda _: known.set())
        if not known.wait(ANSWER_S):
            raise RuntimeError(f"no transform from {OPTICAL} to {WORLD}")
        found = self._frames.lookup_transform(WORLD, OPTICAL, time).transform
        move, turn = found.translation, found.rotation
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
        pose[:3, 3] = move.x, move.y, move.z
        return pose

    def _call(self, kind: Any, name: str, **fields: Any) -> Any:
        client = self._node.create_client(kind, name)
        try:
            if not client.wait_for_service(START_S):
                raise RuntimeError(f"no service {name}")
            return self._wait(client.call_async(kind.Request(**fields)))
        finally:
            self._node.destroy_client(client)

    def _wait(self, future: Any) -> Any:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(ANSWER_S):
            raise RuntimeError(f"no answer within {ANSWER_S} s")
        return future.result()

    def _on_shown(self, message: Any) -> None:
        with self._changed:
            self._shown = message.data
            self._changed.notify_all()


@contextlib.contextmanager
def node(name: str, **values: Any) -> Iterator[None]:
    """Run a node in a process of its own."""
    assignments = [part for key, value in values.items() for part in ("-p", f"{key}:={value}")]
    arguments = ["--ros-args", *assignments, "--log-level", "error"]
    with subprocess.Popen([sys.executable, "-c", NODES.format(name), *arguments]) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(20)
    if code != 0:
        raise RuntimeError(f"{name} ended with exit code {code}")


def run(data: Path, names: Sequence[str], each: int) -> dict[str, tuple[Scene, list[Result]]]:
    """Ask everything about these scenes and judge the answers."""
    found: dict[str, tuple[Scene, list[Result]]] = {}
    scenes = [Scene(data, name) for name in names]
    clicks = {scene.name: list(scene.clicks(SEED, each)) for scene in scenes}
    player = {"path": data / "scenes", "world": "plane", "rate": 20.0}
    # The scenes are still and only pictures taken after a goal count, so they may come late.
    referrer = {
        "query.target_frame": WORLD,
        "tf.gravity_frame": WORLD,
        "query.max_image_age_s": 5.0,
    }
    engine = AnnotatedEngine()
    with (
        isolated_ros(),
        background_server(engine) as url,
        node("rgbd_player", **player),
        node("referrer", **referrer, **{"model.url": url}),
        contextlib.closing(Graph()) as graph,
        tqdm(total=sum(map(len, clicks.values())), unit="click") as bar,
    ):
        graph.activate()
        for scene in scenes:
            graph.show(scene.name)
            engine.objects = tuple(GivenObject(*thing) for thing in scene.things())
            results = []
            for click in clicks[scene.name]:
                result = graph.ask(click)
                if not result.refusal:
                    scene.judge(result)
                results.append(result)
                bar.update()
            found[scene.name] = scene, results
    return found


def figures(results: Sequence[Result]) -> dict[str, float]:
    """Return all figures; what was refused counts as wrong in every per cent."""
    things = [r for r in results if r.click.group in ("centre", "inside")]
    border = [r for r in results if r.click.group == "border"]
    level = [r for r in results if r.click.group == "placement"]
    words = [r for r in results if r.click.group == "sentence"]
    level_words = [r for r in words if r.click.free_space]
    return {
        **position_figures("real_position", things),
        **position_figures("real_border_position", border),
        **position_figures("real_sentence_position", words),
        **normal_figures("real_normal", level),
        **normal_figures("real_sentence_normal", level_words),
        "real_support_height_p95_mm": high([1e3 * abs(r.height_m) for r in level]),
    }


def position_figures(name: str, results: Sequence[Result]) -> dict[str, float]:
    """Distances from the measured surface."""
    return {
        f"{name}_clicks": len(results),
        f"{name}_refused": sum(bool(r.refusal) for r in results),
        f"{name}_p95_mm": high([1e3 * r.distance_m for r in results]),
        f"{name}_within_1cm_percent": percent([r.distance_m <= NEAR_M for r in results]),
    }


def normal_figures(name: str, results: Sequence[Result]) -> dict[str, float]:
    """Angles to the main plane."""
    return {
        f"{name}_clicks": len(results),
        f"{name}_refused": sum(bool(r.refusal) for r in results),
        f"{name}_p95_deg": high([r.angle_deg for r in results]),
        f"{name}_within_3deg_percent": percent([r.angle_deg <= LEVEL_DEG for r in results]),
    }


def high(values: Sequence[float]) -> float:
    """95th percentile of what was not refused."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.percentile(known, 95)) if known else float("nan")


def is_right(result: Result) -> bool:
    """Whether place and, on a support, normal are within their bounds."""
    level = not result.click.free_space or result.angle_deg <= LEVEL_DEG
    return result.distance_m <= NEAR_M and level


def draw(scene: Scene, results: Sequence[Result], title: str) -> np.ndarray:
    """Return the picture: outlines of what is meant, places with their normals, what was missed.

    Green: right. Magenta: wrong. Yellow cross: refused. The line of a place is 4 cm of its normal.
    """
    image = scene.rgb[:, :, ::-1].copy()
    size = image.shape[1] / 640
    for result in results:
        lines, _ = cv2.findContours(
            result.click.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(image, lines, -1, (255, 255, 255), 1)
    for result in results:
        u, v = result.pixel if result.click.words and not result.refusal else result.click.pixel
        asked = (round(u), round(v))
        if result.refusal:
            cv2.drawMarker(
                image, asked, (0, 255, 255), cv2.MARKER_TILTED_CROSS, round(9 * size), 2
            )
            continue
        color = (80, 230, 60) if is_right(result) else (255, 0, 255)
        at, tip = (
            scene.project(point)
            for point in (result.position, result.position + 0.04 * result.normal)
        )
        cv2.line(image, asked, at, (255, 255, 0), 1)
        cv2.line(image, at, tip, color, round(1.5 * size), cv2.LINE_AA)
        cv2.circle(image, at, round(2.5 * size), color, -1, cv2.LINE_AA)
    good = sum(map(is_right, results))
    text = f"{scene.name}: {title}, {good} of {len(results)} right"
    for color, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        place = (round(8 * size), round(20 * size))
        cv2.putText(image, text, place, 0, 0.5 * size, color, round(width * size), cv2.LINE_AA)
    return image


def contact_sheet(found: dict[str, tuple[Scene, list[Result]]], out: Path) -> Path:
    """Write one picture of each scene and kind of question, and one of all."""
    out.mkdir(parents=True, exist_ok=True)
    cells = []
    for name, (scene, results) in found.items():
        for title, groups in (
            ("things", ("centre", "inside", "border")),
            ("free space", ("placement",)),
            ("sentences", ("sentence",)),
        ):
            chosen = [r for r in results if r.click.group in groups]
            image = draw(scene, chosen, title)
            cv2.imwrite(str(out / f"{name}_{title.replace(' ', '_')}.png"), image)
            small = cv2.resize(image, (640, round(640 * image.shape[0] / image.shape[1])))
            cells.append(cv2.copyMakeBorder(small, 0, 480 - len(small), 0, 0, 0))
    columns = 6 if len(found) > 1 else 3
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    path = out / "contact_sheet.png"
    cv2.imwrite(str(path), np.vstack(rows))
    return path


def main() -> None:
    """Run, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="two scenes and few clicks")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder real_rgbd")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    args = parser.parse_args()
    names = scene_names(args.data)
    if not names:
        print(f"real_scenes: skipped, there are no scenes in {args.data}; name them by --data")
        return
    names = names[:2] if args.quick else names
    load_before = os.getloadavg()[0]
    found = run(args.data, names, 2 if args.quick else EACH)
    every = [(scene, result) for scene, results in found.values() for result in results]
    for scene, result in every:
        if not is_right(result):
            u, v = result.click.pixel
            said = result.refusal or (
                f"{1e3 * result.distance_m:.1f} mm, {result.angle_deg:.1f} degrees"
            )
            print(f"MISS {scene.name} {result.click.group} {result.click.name[:50]!r}"
                  f" ({u:.0f}, {v:.0f}): {said}")  # fmt: skip
    results: dict[str, Any] = {
        name: round(value, 3) for name, value in figures([r for _, r in every]).items()
    }
    refusals = Counter(f"{r.click.group}: {r.refusal}" for _, r in every if r.refusal)
    results["conditions"] = {
        "quick": args.quick,
        "scenes": names,
        "seed": SEED,
        "refusals": dict(sorted(refusals.items())),
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "opencv": metadata.version("opencv-python-headless"),
        "numpy": metadata.version("numpy"),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:42} {value}")
    print(f"pictures: {contact_sheet(found, args.out)}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
