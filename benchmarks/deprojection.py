# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures how well a noisy pixel becomes a place, beside reading one depth pixel.

    python benchmarks/deprojection.py [--quick] [--json FILE] [--seed SEED]

Random simulated cells are seen by a camera of 640 x 480 with all flaws of the sensor model.
Targets are true pixels: four of five on a random thing that is seen well enough (kind OBJECT), the
others on the table, clear of things (kind FREE_SPACE). The pixel that is handed over is the true
one plus normal noise of 2 px in u and in v. Both ways get the same noisy pixel and the same depth.

The *error* of an answer is the distance between the answered point and the true surface of the
body that was meant:

- Does the ray of the answered pixel meet that body, then to the point where it does. So moving
  along the surface by the noise of the pixel costs nothing (no geometry could undo it), being off
  in depth costs in full.
- Does it miss, then to the body's visible point that is nearest in the picture. So landing on the
  background or on another thing costs the distance between the two.

Refusals are counted, and have no error. *Near-edge* are true pixels of things within 4 px of a
jump of true depth by more than 1 cm. The *baseline* is what is commonly done: the depth reading at
the rounded pixel. Normals are compared at the true pixel, away from edges, where it has one.

The covariance is checked against the point under the true pixel, which it claims to be about:
`nees90_share` is the share of answers whose normalised error squared lies within the 90 % band of
three dimensions; an honest covariance gives 0.9.

The `locate...ms` figures are processor time of one place, in pictures of 640 x 480 and of 1280 x
720, which other programs on the machine lengthen less than time on the wall.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from roborefer_sim.core.gl import choose_gl

# Chosen before MuJoCo is imported, which the modules below do.
DRAWING = choose_gl()

import numpy as np  # noqa: E402
from roborefer_perception.core.camera import Camera  # noqa: E402
from roborefer_perception.core.place import locate  # noqa: E402
from roborefer_perception.core.types import Kind, Place  # noqa: E402
from roborefer_perception.exceptions import ReferFailure  # noqa: E402
from roborefer_sim.core.camera import View, photographer, pinhole_of  # noqa: E402
from roborefer_sim.core.cell import CameraPlace, Layout  # noqa: E402
from roborefer_sim.core.clutter import random_cell  # noqa: E402
from roborefer_sim.core.sensor import SensorModel, measure  # noqa: E402
from scipy import ndimage, stats  # noqa: E402
from tqdm import tqdm  # noqa: E402

SCENES, TARGETS = 60, 50
FIRST_SEED = 70000
PIXEL_SIGMA = 2.0
FREE_SHARE = 0.2
LEAST_SEEN_PX = 60
CLEAR_PX = 12
EDGE_PX = 4
JUMP_M = 0.01
WIDE = CameraPlace(width=1280, height=720, focal=920.0)


@dataclass
class Tally:
    """Errors and time of one run; millimetres, seconds and degrees."""

    ours: list[float] = field(default_factory=list)
    free: list[float] = field(default_factory=list)
    edge: list[float] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    baseline_edge: list[float] = field(default_factory=list)
    aimed: list[float] = field(default_factory=list)
    nees: list[float] = field(default_factory=list)
    normals: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    targets: int = 0
    edge_targets: int = 0
    refusals: int = 0
    baseline_refusals: int = 0
    strays: int = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """A look at a cell: the truth, what was measured, and where the things are."""

    truth: View
    measured: View
    camera: Camera
    things: tuple[int, ...]
    edges: Any


def take_scene(seed: int, place: CameraPlace | None = None) -> Scene:
    """Look at a random cell."""
    cell = random_cell(seed, layout=Layout(camera=place or CameraPlace()))
    eye = photographer(cell)
    truth = eye.take()
    eye.close()
    k = pinhole_of(cell.layout.camera)
    measured = measure(truth, k.fx, SensorModel(), np.random.default_rng(seed))
    camera = Camera(k.width, k.height, k.fx, k.fy, k.cx, k.cy)
    return Scene(truth, measured, camera, tuple(cell.body_ids()), jumps(truth.depth_m))


def jumps(depth: Any) -> Any:
    """Pixels on both sides of a jump of depth, shape (height, width)."""
    edge = np.zeros(depth.shape, bool)
    down = np.abs(np.diff(depth, axis=0)) > JUMP_M
    right = np.abs(np.diff(depth, axis=1)) > JUMP_M
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge


def draw_targets(
    scene: Scene, count: int, rng: np.random.Generator
) -> list[tuple[int, int, Kind]]:
    """True pixels (u, v) and what is meant there."""
    bodies = scene.truth.bodies
    seen = [np.argwhere(bodies == body) for body in scene.things]
    seen = [pixels for pixels in seen if len(pixels) >= LEAST_SEEN_PX]
    table = int(np.bincount(bodies[bodies >= 0]).argmax())
    free = np.argwhere(ndimage.distance_transform_edt(bodies == table) > CLEAR_PX)
    targets = []
    for _ in range(count):
        vacant = rng.random() < FREE_SHARE
        pixels = free if vacant else seen[int(rng.integers(len(seen)))]
        v, u = pixels[int(rng.integers(len(pixels)))]
        targets.append((int(u), int(v), Kind.FREE_SPACE if vacant else Kind.OBJECT))
    return targets


def true_error(
    scene: Scene, body: int, point: Any, pixel: tuple[float, float]
) -> tuple[float, bool]:
    """Distance to the true surface of a body, metres, and whether the pixel is on it."""
    depth, bodies = scene.truth.depth_m, scene.truth.bodies
    u, v = pixel
    on = bodies == body
    row, column = round(v), round(u)
    inside = 0 <= row < on.shape[0] and 0 <= column < on.shape[1] and bool(on[row, column])
    if not inside:
        rows, columns = np.nonzero(on)
        best = int(np.hypot(columns - u, rows - v).argmin())
        row, column = int(rows[best]), int(columns[best])
        u, v = float(column), float(row)
    low_v, low_u = int(np.floor(v)), int(np.floor(u))
    total = z = 0.0
    for r, c in ((low_v, low_u), (low_v, low_u + 1), (low_v + 1, low_u), (low_v + 1, low_u + 1)):
        weight = (1 - abs(v - r)) * (1 - abs(u - c))
        ahead = 0 <= r < on.shape[0] and 0 <= c < on.shape[1] and on[r, c]
        # A neighbour beyond a jump within the body is no part of the surface here.
        if weight > 0 and ahead and abs(depth[r, c] - depth[row, column]) < JUMP_M:
            total, z = total + weight, z + weight * float(depth[r, c])
    true_point = np.append(scene.camera.rays([(u, v)])[0], 1.0) * z / total
    return float(np.linalg.norm(point - true_point)), inside


def run_target(
    scene: Scene, target: tuple[int, int, Kind], rng: np.random.Generator, tally: Tally
) -> None:
    """Answer one target in both ways."""
    u, v, kind = target
    body = int(scene.truth.bodies[v, u])
    pixel = tuple(np.array([u, v]) + rng.normal(0.0, PIXEL_SIGMA, 2))
    while not scene.camera.contains(*pixel):
        pixel = tuple(np.array([u, v]) + rng.normal(0.0, PIXEL_SIGMA, 2))
    near = scene.edges[
        max(0, v - EDGE_PX) : v + EDGE_PX + 1, max(0, u - EDGE_PX) : u + EDGE_PX + 1
    ]
    at_edge = kind == Kind.OBJECT and bool(near.any())
    tally.targets += 1
    tally.edge_targets += at_edge
    column, row = round(pixel[0]), round(pixel[1])
    reading = float(scene.measured.depth_m[row, column])
    if reading > 0:
        rounded = (float(column), float(row))
        point = np.append(scene.camera.rays([rounded])[0], 1.0) * reading
        error = 1000 * true_error(scene, body, point, rounded)[0]
        tally.baseline.append(error)
        if at_edge:
            tally.baseline_edge.append(error)
    else:
        tally.baseline_refusals += 1
    start = time.process_time()
    try:
        place = locate(scene.measured.depth_m, scene.camera, pixel, kind, pixel_sigma=PIXEL_SIGMA)
    except ReferFailure:
        tally.refusals += 1
        return
    tally.seconds.append(time.process_time() - start)
    enter(scene, target, body, place, at_edge, tally)


def enter(
    scene: Scene,
    target: tuple[int, int, Kind],
    body: int,
    place: Place,
    at_edge: bool,
    tally: Tally,
) -> None:
    """Score an answer."""
    u, v, kind = target
    error, inside = true_error(scene, body, place.point, place.pixel)
    tally.ours.append(1000 * error)
    tally.strays += not inside
    if at_edge:
        tally.edge.append(1000 * error)
    if kind == Kind.FREE_SPACE:
        tally.free.append(1000 * error)
    meant = np.append(scene.camera.rays([(u, v)])[0], 1.0) * float(scene.truth.depth_m[v, u])
    off = place.point - meant
    tally.aimed.append(1000 * float(np.linalg.norm(off)))
    tally.nees.append(float(off @ np.linalg.solve(place.covariance[:3, :3], off)))
    if at_edge:
        return
    cosine = float(place.rotation[:, 2] @ scene.truth.normals[v, u])
    tally.normals.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))


def time_wide(seed: int, count: int) -> list[float]:
    """Processor seconds of places in pictures of 1280 x 720."""
    scene = take_scene(seed, WIDE)
    scene.camera.ray_image  # noqa: B018 - it is made once per camera, not once per place
    tally, rng = Tally(), np.random.default_rng(seed)
    for target in draw_targets(scene, count, rng):
        run_target(scene, target, rng, tally)
    return tally.seconds


def summarise(tally: Tally, seconds720: list[float]) -> dict[str, Any]:
    """The figures."""
    band = float(stats.chi2.ppf(0.9, 3))

    def at(values: list[float], percent: float) -> float:
        return float(np.percentile(values, percent))

    return {
        "median_mm": at(tally.ours, 50),
        "p95_mm": at(tally.ours, 95),
        "edge_p90_mm": at(tally.edge, 90),
        "free_p95_mm": at(tally.free, 95),
        "baseline_median_mm": at(tally.baseline, 50),
        "baseline_p95_mm": at(tally.baseline, 95),
        "baseline_edge_p90_mm": at(tally.baseline_edge, 90),
        "aimed_median_mm": at(tally.aimed, 50),
        "nees90_share": float(np.mean(np.array(tally.nees) <= band)),
        "normal_median_deg": at(tally.normals, 50),
        "deprojection_targets": tally.targets,
        "deprojection_edge_targets": tally.edge_targets,
        "deprojection_refusals": tally.refusals,
        "baseline_refusals": tally.baseline_refusals,
        "strayed_off_share": tally.strays / max(1, len(tally.ours)),
        "locate640_p50_ms": 1000 * at(tally.seconds, 50),
        "locate640_p95_ms": 1000 * at(tally.seconds, 95),
        "locate720_p50_ms": 1000 * at(seconds720, 50),
        "locate720_p95_ms": 1000 * at(seconds720, 95),
    }


def main() -> None:
    """Run everything, print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first scene")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    scenes = 6 if args.quick else SCENES
    tally = Tally()
    for seed in tqdm(range(args.seed, args.seed + scenes), unit="scene"):
        scene = take_scene(seed)
        scene.camera.ray_image  # noqa: B018 - it is made once per camera, not once per place
        rng = np.random.default_rng(seed)
        for target in draw_targets(scene, TARGETS, rng):
            run_target(scene, target, rng, tally)
    results = summarise(tally, time_wide(args.seed, TARGETS))
    results = {name: round(value, 4) for name, value in results.items()}
    results["conditions"] = {
        "quick": args.quick,
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "scenes": scenes,
        "first_seed": args.seed,
        "pixel_sigma": PIXEL_SIGMA,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "opencv": metadata.version("opencv-python-headless"),
        "mujoco": metadata.version("mujoco-core"),
        "drawing": DRAWING,
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:28} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
