# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures how well a place is followed while the thing that it lies on moves.

    python benchmarks/tracking.py [--quick] [--json FILE] [--video FOLDER]

Things are drawn along curves on the table of the simulated cell, past other things, at 5 and at
20 cm/s, and looked at by the simulated camera with all its flaws, 10 and 30 times a second. A
place on each is located in the first picture and followed from there, without any help of the
model. Every picture is compared with the true position of the very same point of the surface.
Besides, things turn, pass behind others, and leave the picture and come back, all at 15 cm/s and
10 pictures a second.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import cos, hypot, pi, sin
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.place import locate
from roborefer_perception.core.pursuit import Pursuit, Sighting
from roborefer_perception.core.types import Kind, RgbdFrame
from roborefer_perception.exceptions import ReferFailure
from roborefer_sim.core.gl import choose_gl
from tqdm import tqdm

# MuJoCo reads the choice while it is imported.
choose_gl()

import mujoco  # noqa: E402
from roborefer_sim.core.camera import View, photographer, pinhole_of  # noqa: E402
from roborefer_sim.core.cell import Cell, Layout, Placed  # noqa: E402
from roborefer_sim.core.clutter import Clutter, random_cell  # noqa: E402
from roborefer_sim.core.library import standard_library  # noqa: E402
from roborefer_sim.core.sensor import SensorModel, measure  # noqa: E402

SEED = 50_000
WRONG_M = 0.05
# The velocity is compared once the filter has had this long to learn it.
LEARN_S = 1.0
# The things that turn do so by 20 degrees per second.
SPIN = pi / 9
CORNERED = ("block", "brick", "basket", "carton", "cereal_box", "sponge")
RATES = (10.0, 30.0)
SPEEDS = {"5": 0.05, "20": 0.20}

Path2 = Callable[[float], tuple[float, float]]


@dataclass
class Tally:
    """What one or several runs gave; errors are of the pictures in which it was not lost."""

    errors: list[float] = field(default_factory=list)
    velocities: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    seen: int = 0
    lost_though_seen: int = 0
    hidden: int = 0
    told_hidden: int = 0
    pictures: int = 0
    came_back: int = 0
    found_again: int = 0

    def add(self, other: Tally) -> None:
        """Take over another one."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def wrong(self) -> int:
        """Pictures in which it claimed a place that is far off."""
        return sum(error > WRONG_M for error in self.errors)


def arc(start: Sequence[float], heading: float, radius: float, speed: float) -> Path2:
    """A circle through a point; the heading is that of the motion there, radians."""
    middle = (start[0] - radius * sin(heading), start[1] + radius * cos(heading))

    def place(seconds: float) -> tuple[float, float]:
        angle = heading - pi / 2 + speed * seconds / radius
        return middle[0] + radius * cos(angle), middle[1] + radius * sin(angle)

    return place


def there_and_back(start: Sequence[float], end: Sequence[float], speed: float) -> Path2:
    """A straight way to a point and back, coming to rest smoothly at both ends."""
    length = hypot(end[0] - start[0], end[1] - start[1])

    def place(seconds: float) -> tuple[float, float]:
        share = (1 - cos(pi * speed * seconds / length)) / 2
        return (
            start[0] + share * (end[0] - start[0]),
            start[1] + share * (end[1] - start[1]),
        )

    return place


class Scene:
    """A cell in which one thing is drawn along a path."""

    def __init__(self, cell: Cell, name: str, path: Path2, seed: int, spin: float = 0.0) -> None:
        self.cell, self._name, self._path = cell, name, path
        self._pose = cell.pose_of(name)
        self._spin = spin
        self._rng = np.random.default_rng(seed)
        self._sensor = SensorModel()
        pinhole = pinhole_of(cell.layout.camera)
        self.camera = Camera(
            pinhole.width, pinhole.height, pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy
        )
        self.t_world_optical = cell.layout.camera.t_world_optical
        self._eye = photographer(cell)
        self.body = int(cell.model.body(name).id)

    def close(self) -> None:
        """Let go of the graphics context."""
        self._eye.close()

    def look(self, seconds: float) -> tuple[RgbdFrame, View, np.ndarray]:
        """Return what the camera gives, the truth, and the pose of the thing in world."""
        x, y = self._path(seconds)
        pose = self._pose.copy()
        pose[:2, 3] = x, y
        wide, high = cos(self._spin * seconds), sin(self._spin * seconds)
        pose[:3, :3] = np.array([[wide, -high, 0], [high, wide, 0], [0, 0, 1]]) @ pose[:3, :3]
        joint = self.cell.data.joint(f"{self._name}_free")
        joint.qpos[:3] = pose[:3, 3]
        mujoco.mju_mat2Quat(joint.qpos[3:], pose[:3, :3].flatten())
        mujoco.mj_forward(self.cell.model, self.cell.data)
        truth = self._eye.take()
        view = measure(truth, self.camera.fx, self._sensor, self._rng)
        stamp_ns = 1_000_000_000 + round(seconds * 1e9)
        return RgbdFrame(stamp_ns, "camera", view.rgb, view.depth_m, self.camera), truth, pose


def follow(
    scene: Scene, rate: float, seconds: float, rng: np.random.Generator, film: Film | None = None
) -> Tally | None:
    """Follow a random point of the thing; None when it cannot be located at first."""
    frame, truth, pose = scene.look(0.0)
    mask = cv2.erode((truth.bodies == scene.body).astype(np.uint8), np.ones((5, 5))) > 0
    if mask.sum() < 60:
        return None
    v, u = np.argwhere(mask)[rng.integers(int(mask.sum()))]
    try:
        place = locate(frame.depth_m, frame.camera, (float(u), float(v)), Kind.OBJECT)
    except ReferFailure:
        return None
    there = scene.t_world_optical
    back = np.linalg.inv(there)
    ray = np.append(frame.camera.rays([place.pixel])[0], 1.0)
    column, row = (round(value) for value in place.pixel)
    if truth.bodies[row, column] != scene.body:
        return None
    # The point of the true surface that was referred to, in the frame of the thing.
    point = np.linalg.inv(pose) @ there @ np.append(truth.depth_m[row, column] * ray, 1.0)
    area = int((truth.bodies == scene.body).sum())
    pursuit = Pursuit(frame, place, there)
    tally, before, was_hidden = Tally(), (pose @ point)[:3], False
    for number in range(1, int(seconds * rate) + 1):
        frame, truth, pose = scene.look(number / rate)
        begin = process_time()
        sighting = pursuit.update(frame, there)
        tally.milliseconds.append((process_time() - begin) * 1e3)
        actual = (pose @ point)[:3]
        shown = int((truth.bodies == scene.body).sum()) / area
        tally.pictures += 1
        hidden = shown < 0.1
        u, v = scene.camera.project(_carry(back, actual)[None])[0]
        in_picture = 0 <= u < scene.camera.width and 0 <= v < scene.camera.height
        tally.hidden += hidden
        tally.told_hidden += hidden and sighting.lost
        if shown > 0.6 and in_picture:
            tally.seen += 1
            tally.lost_though_seen += sighting.lost
        was_hidden |= hidden
        if not sighting.lost:
            error = sighting.posed.position - actual
            tally.errors.append(float(np.linalg.norm(error)))
            spread = sighting.posed.covariance[:3, :3]
            tally.squares.append(float(error @ np.linalg.solve(spread, error)))
            if number / rate > LEARN_S:
                wanted = (actual - before) * rate
                tally.velocities.append(float(np.linalg.norm(sighting.velocity - wanted)))
        before = actual
        if film is not None:
            film.add(frame, sighting, _carry(back, actual))
    if was_hidden:
        tally.came_back, tally.found_again = (
            int(shown > 0.9),
            int(not sighting.lost and shown > 0.9),
        )
    return tally


def _carry(pose: np.ndarray, point: np.ndarray) -> np.ndarray:
    return np.asarray(pose[:3, :3] @ point + pose[:3, 3])


class Film:
    """Pictures with what was found (green, red when lost) and the truth (a white cross)."""

    def __init__(self, path: Path, rate: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None
        self.pictures: list[np.ndarray] = []

    def add(self, frame: RgbdFrame, sighting: Sighting, truth: np.ndarray) -> None:
        """Draw one more picture."""
        picture = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)
        if sighting.place is not None:
            edge, _ = cv2.findContours(
                sighting.place.region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(picture, edge, -1, (0, 255, 0), 1)
        at = tuple(round(value) for value in sighting.pixel)
        cv2.circle(picture, at, 7, (0, 0, 255) if sighting.lost else (0, 255, 0), 2)
        u, v = frame.camera.project(truth[None])[0]
        if np.isfinite([u, v]).all():
            cv2.drawMarker(picture, (round(u), round(v)), (255, 255, 255), cv2.MARKER_CROSS, 9)
        text = "lost" if sighting.lost else f"{sighting.confidence:.2f}"
        cv2.putText(picture, text, (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
        self.pictures.append(picture)
        if self._writer is None:
            size = (picture.shape[1], picture.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate, size)
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the video, and put eight of its pictures on a sheet beside it."""
        if self._writer is not None:
            self._writer.release()
        if self.pictures:
            chosen = [
                self.pictures[i]
                for i in np.linspace(0, len(self.pictures) - 1, 8).round().astype(int)
            ]
            small = [cv2.resize(p, (480, 360), interpolation=cv2.INTER_AREA) for p in chosen]
            cv2.imwrite(
                str(self._path.with_suffix(".png")),
                np.vstack([np.hstack(small[:4]), np.hstack(small[4:])]),
            )


def open_scene(seed: int, speed: float, spin: float = 0.0) -> Scene:
    """A thing among others on a curve; what stands in its way is taken out."""
    rng = np.random.default_rng([seed, 1])
    cell = random_cell(seed, Clutter(fewest=5, most=8, keys=CORNERED if spin else ()))
    moving = cell.placed[int(rng.integers(len(cell.placed)))]
    start = cell.pose_of(moving.name)[:2, 3]
    radius = float(rng.uniform(0.08, 0.16))
    to_middle = np.arctan2(-start[1], 0.48 - start[0])
    path = arc(start, float(to_middle - pi / 2 + rng.uniform(-0.5, 0.5)), radius, speed)
    _clear(cell, moving, [path(second) for second in np.linspace(0, 2 * pi * radius / speed, 60)])
    return Scene(cell, moving.name, path, seed, spin)


def turning_scene(seed: int, speed: float) -> Scene:
    """As open_scene, with a thing that turns about the vertical meanwhile.

    All have corners: nobody can see how far a plain round plate has turned.
    """
    return open_scene(seed, speed, SPIN)


def hiding_scene(seed: int, speed: float) -> Scene:
    """A thing that passes behind a tall one which stands nearer to the camera."""
    rng = np.random.default_rng([seed, 2])
    library = standard_library()
    cell = random_cell(seed, Clutter(fewest=5, most=7))
    moving = cell.placed[int(rng.integers(len(cell.placed)))]
    x, side = float(rng.uniform(0.36, 0.46)), float(rng.choice([-1, 1]))
    start, end = (x, -0.17 * side), (x, 0.17 * side)
    _clear(cell, moving, [start, (x, 0), end, (x + 0.1, 0), (x + 0.2, 0)])
    tall = max(library.makes(), key=lambda m: library.make(*m).bounds[1][2])
    cell.add(Placed("screen", library.make(*tall), (x + 0.13, 0.0, 0.0)))
    return Scene(cell, moving.name, there_and_back(start, end, speed), seed)


def leaving_scene(seed: int, speed: float) -> Scene:
    """A thing that leaves the picture at the side and comes back."""
    rng = np.random.default_rng([seed, 3])
    cell = random_cell(seed, Clutter(fewest=4, most=6))
    moving = cell.placed[int(rng.integers(len(cell.placed)))]
    side = float(rng.choice([-1, 1]))
    start, end = (0.5, 0.25 * side), (0.5, 0.58 * side)
    _clear(cell, moving, [(0.5, y * side) for y in np.linspace(0.25, 0.58, 12)])
    return Scene(cell, moving.name, there_and_back(start, end, speed), seed)


def _clear(cell: Cell, moving: Placed, ways: Sequence[Sequence[float]]) -> None:
    own = moving.make.footprint_radius
    for other in cell.placed:
        at = cell.pose_of(other.name)[:2, 3]
        room = own + other.make.footprint_radius + 0.01
        if other is not moving and any(hypot(*(at - way)) < room for way in ways):
            cell.remove(other.name)


def runs(count: int, first: int) -> Iterator[tuple[str, int, float, float, str]]:
    """Kind, seed, speed in m/s, rate in Hz and the name of the speed."""
    for (name, speed), rate, number in itertools.product(SPEEDS.items(), RATES, range(count)):
        yield "open", first + number, speed, rate, name
    for kind, number in itertools.product(HARDER, range(count)):
        yield kind, first + 1000 + number, 0.15, 10.0, kind


MAKERS = {
    "open": open_scene,
    "turning": turning_scene,
    "hiding": hiding_scene,
    "leaving": leaving_scene,
}
HARDER = ("turning", "hiding", "leaving")


def main() -> None:
    """Run everything, print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--video", type=Path, help="write videos of the first runs to this folder")
    parser.add_argument("--seed", type=int, default=SEED, help="of the first scene")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    load_before = os.getloadavg()[0]
    tallies = {name: Tally() for name in (*SPEEDS, *HARDER)}
    used = 0
    planned = list(runs(2 if args.quick else 8, args.seed))
    for kind, seed, speed, rate, name in tqdm(planned, unit="run"):
        scene = MAKERS[kind](seed, speed)
        film = None
        if args.video and seed % 1000 == args.seed % 1000 and rate == RATES[0]:
            film = Film(args.video / f"{kind}_{name}.mp4", rate)
        try:
            tally = follow(scene, rate, 4.0, np.random.default_rng([seed, 9]), film)
        finally:
            scene.close()
            if film is not None:
                film.close()
        if tally is not None:
            used += 1
            tallies[name].add(tally)
    results: dict[str, Any] = {}
    everything = Tally()
    for name, tally in tallies.items():
        everything.add(tally)
        key = f"track{name}" if name in SPEEDS else f"track_{name}"
        results[f"{key}_mean_mm"] = 1e3 * float(np.mean(tally.errors))
        results[f"{key}_p95_mm"] = 1e3 * float(np.percentile(tally.errors, 95))
        results[f"{key}_lost_percent"] = 100 * tally.lost_though_seen / max(tally.seen, 1)
    fast = tallies["20"].velocities
    results |= {
        "track_normalised_square": float(np.mean(everything.squares)),
        "track_velocity_error_percent": 100 * float(np.mean(fast)) / SPEEDS["20"],
        "track_ms_per_frame": float(np.mean(everything.milliseconds)),
        "track_p99_ms_per_frame": float(np.percentile(everything.milliseconds, 99)),
        "track_hidden_told_percent": 100 * everything.told_hidden / max(everything.hidden, 1),
        "track_found_again_percent": 100 * everything.found_again / max(everything.came_back, 1),
        "wrong_percent": 100 * everything.wrong / max(everything.pictures, 1),
    }
    results = {name: round(value, 4) for name, value in results.items()}
    results["conditions"] = {
        "quick": args.quick,
        "runs": used,
        "not_located": len(planned) - used,
        "pictures": everything.pictures,
        "hidden_pictures": everything.hidden,
        "width": Layout().camera.width,
        "height": Layout().camera.height,
        "first_seed": args.seed,
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:30} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
