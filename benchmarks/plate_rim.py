# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tries to lift the library's plate by its rim with every lean of the hand, without any planner.

    python benchmarks/plate_rim.py [--quick] [--json FILE]

The arm is put with its open jaw around the rim of a plate that stands on the table: from straight
above to along the slope of the rim, 6 to 12 mm deep, from four sides, for each size of the
library. Then it closes with 40 N, rises by 10 cm in 2.4 s and waits for 2 s. A try is possible
when the outer finger stays above the table, and counts as a success when it is possible and the
plate hangs at least 8 cm high and leans by less than 0.3 rad. Perception, reach of the whole hand
and choice of grasps play no part: what fails here cannot be planned either.

Why it fails can be told with a pencil: the plate of 0.35 kg turns about the pads with
0.35 kg x 9.81 m/s2 x 0.08 m = 0.27 N m, while 40 N on 10 mm of rim hold at most
40 N x 0.005 m = 0.20 N m against it; and a finger of 16 mm has no room under a rim that rises to
15 mm, so that the hand cannot lean to meet its slope of 40 degrees squarely.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from roborefer_sim.core.gl import choose_gl

choose_gl()

import mujoco  # noqa: E402
import numpy as np  # noqa: E402
from roborefer_grasping.core.gripper import Gripper  # noqa: E402
from roborefer_grasping.core.kinematics import inverse  # noqa: E402
from roborefer_grasping.core.robot import Array, robot_named  # noqa: E402
from roborefer_sim.core.arm import ARM_JOINTS, FINGER_JOINTS, GRIPPER_ACTUATOR  # noqa: E402
from roborefer_sim.core.cell import Cell, Placed  # noqa: E402
from roborefer_sim.core.clutter import settle  # noqa: E402
from roborefer_sim.core.library import standard_library  # noqa: E402
from tqdm import tqdm  # noqa: E402

ROBOT, GRIPPER = robot_named("ur5"), Gripper()
LEANS_RAD, DEPTHS_M = (0.0, 0.35, 0.6, 0.87), (0.006, 0.009, 0.012)
SIDES_RAD = (np.pi, np.pi / 2, 0.0, -np.pi / 2)
RISE_M, LEAST_M, MOST_RAD, WAIT_S = 0.10, 0.08, 0.3, 2.0


@dataclass(frozen=True)
class Try:
    """How it went: room of the outer finger above the table, height and lean of the plate."""

    room_m: float
    height_m: float
    lean_rad: float

    @property
    def possible(self) -> bool:
        """Whether the finger stays above the table."""
        return self.room_m > 0

    @property
    def good(self) -> bool:
        """Whether the plate can be carried like that."""
        return self.possible and self.height_m > LEAST_M and self.lean_rad < MOST_RAD


def rim_of(scale: float) -> tuple[float, float, float, float, float]:
    """Radius, height along its slope, thickness, height of its middle, and flare of the rim."""
    (wall,) = (p for p in standard_library().thing("plate").parts if p.shape == "wall")
    radius, height, thickness = (wall.lengths[n][0] for n in ("radius", "height", "thickness"))
    lengths = (scale * v for v in (radius, height, thickness, wall.at[2]))
    return (*lengths, float(np.radians(wall.flare)))  # type: ignore[return-value]


def hand_at(rim: tuple[float, ...], plate: Array, side: float, lean: float, depth: float) -> Array:
    """Pose of the TCP with the tips `depth` below the edge of the rim, shape (4, 4)."""
    radius, height, thickness, middle, flare = rim
    out, up = np.array([np.cos(side), np.sin(side), 0.0]), np.array([0.0, 0.0, 1.0])
    edge = plate + out * (radius - thickness / 2) + up * middle
    edge = edge + (np.sin(flare) * out + np.cos(flare) * up) * height / 2
    ahead = -np.sin(lean) * out - np.cos(lean) * up
    closing = np.cos(lean) * out - np.sin(lean) * up
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = np.cross(closing, ahead), closing, ahead
    pose[:3, 3] = edge + ahead * (depth - GRIPPER.finger_reach)
    return pose


def configurations(pose: Array) -> Array:
    """All that reach a pose of the TCP, shape (N, 6)."""
    (found,) = inverse(ROBOT, pose[None] @ np.linalg.inv(GRIPPER.t_tool_tcp))
    return np.asarray(found[np.isfinite(found).all(axis=1)])


def attempt(scale: float, side: float, lean: float, depth: float) -> Try | None:
    """One try; None when the arm does not reach."""
    cell = Cell([Placed("plate", standard_library().make("plate", None, scale), (0.5, 0, 0), 0)])
    settle(cell)
    rim = rim_of(scale)
    pose = hand_at(rim, cell.pose_of("plate")[:3, 3], side, lean, depth)
    opening = rim[2] + 4 * GRIPPER.clearance
    reach = GRIPPER.finger_reach * pose[:3, 2]
    outer = pose[:3, 3] + reach + pose[:3, 1] * (opening / 2 + GRIPPER.finger_thickness)
    ready = np.array([0.0, -1.6, 1.6, -1.5, -1.57, 0.0])
    choices = [
        (np.abs(np.angle(np.exp(1j * (q - ready))))[1:3].max(), q, turned)
        for turned in (pose, pose @ np.diag([-1.0, -1.0, 1.0, 1.0]))
        for q in configurations(turned)
    ]
    if not choices:
        return None
    _, joints, pose = min(choices, key=lambda choice: choice[0])
    model, data = cell.model, cell.data
    servos = [data.actuator(name).id for name in ARM_JOINTS]
    grip = data.actuator(GRIPPER_ACTUATOR).id
    data.qpos[[model.joint(name).qposadr[0] for name in ARM_JOINTS]] = joints
    data.qpos[[model.joint(name).qposadr[0] for name in FINGER_JOINTS]] = opening / 2
    data.ctrl[servos], data.ctrl[grip], data.qvel[:] = joints, opening / 2, 0
    mujoco.mj_forward(model, data)
    cell.step(0.2)
    data.ctrl[grip] = -0.01
    cell.step(0.8)
    start = float(cell.pose_of("plate")[2, 3])
    for step in range(100):
        above = pose.copy()
        above[2, 3] += RISE_M * (step + 1) / 100
        every = configurations(above)
        every = every + 2 * np.pi * np.round((joints - every) / (2 * np.pi))
        joints = every[np.abs(every - joints).max(axis=1).argmin()]
        data.ctrl[servos] = joints
        cell.step(0.024)
    cell.step(WAIT_S)
    height = float(cell.pose_of("plate")[2, 3]) - start
    return Try(float(outer[2]), height, cell.tilt_of("plate"))


def main() -> None:
    """Do all tries, print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="from one side only")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    scales = standard_library().thing("plate").scales
    todo = [
        (scale, side, lean, depth)
        for scale in scales
        for side in (SIDES_RAD[:1] if args.quick else SIDES_RAD)
        for lean in LEANS_RAD
        for depth in DEPTHS_M
    ]
    tries = [done for one in tqdm(todo) if (done := attempt(*one)) is not None]
    possible = [t for t in tries if t.possible]
    results: dict[str, Any] = {
        "plates_success_percent": 100 * sum(t.good for t in tries) / len(tries),
        "plates_tries": len(tries),
        "plates_possible": len(possible),
        "plates_lean_median_rad": round(statistics.median(t.lean_rad for t in possible), 3),
        "plates_least_lean_rad": round(min(t.lean_rad for t in possible), 3),
        "plates_height_median_m": round(statistics.median(t.height_m for t in possible), 3),
        "conditions": {
            "quick": args.quick,
            "python": platform.python_version(),
            "mujoco-core": metadata.version("mujoco-core"),
            "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 2),
            "machine": platform.machine(),
            "system": platform.system(),
        },
    }
    for name, value in results.items():
        print(f"{name:28} {value}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
