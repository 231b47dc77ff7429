# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures how well the hand-eye helper recovers the simulated camera's pose.

    python benchmarks/hand_eye.py [--quick] [--json FILE]

A UR5 with a ChArUco board: on the tool before a fixed camera, and on the table before a camera on
the tool. For each seed the mounting of camera and board and 16 poses of the arm are random. The
pictures are drawn at twice the size and reduced, bent by a lens and made noisy; the arm tells its
pose from joint angles with noise. Intrinsics and the arm's dimensions are the true ones. Pictures
of what was found go to out/hand_eye.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from roborefer_sim.core.gl import RAY_CASTER, choose_gl, load_mujoco
from scipy.spatial.transform import Rotation
from tqdm import tqdm

import pocket_ros2

pocket_ros2.activate()
load_mujoco()

import mujoco  # noqa: E402
from roborefer_perception.core.board import Board, Sight, find_board, marked  # noqa: E402
from roborefer_perception.core.camera import Camera  # noqa: E402
from roborefer_perception.core.hand_eye import (  # noqa: E402
    Calibration,
    Mount,
    Sample,
    angle_deg,
    calibrate,
)
from roborefer_perception.exceptions import CalibrationError  # noqa: E402
from roborefer_sim.core.arm import ARM_JOINTS, HOME  # noqa: E402
from roborefer_sim.core.camera import View, photographer  # noqa: E402
from roborefer_sim.core.cell import CAMERA, CameraPlace, Cell, Layout  # noqa: E402
from roborefer_sim.core.lens import Lens  # noqa: E402
from roborefer_sim.core.sensor import SensorModel, measure  # noqa: E402

Array = npt.NDArray[np.float64]
OUT = Path("out/hand_eye")
POSES = 16
# Seeds below 100 are for development.
FIRST_SEED, SEEDS = 100, 6
JOINT_NOISE_RAD = 2e-4
DISTORTION = (0.06, -0.12, 0.0008, -0.0006, 0.03)
# Distance of the board from the flange; the jaw ends a little before it.
BOARD_AT_M = 0.17
SHEET_M = 0.002
MOST_DRAWS = 4000


def pose_of(turn: Rotation, position: Any) -> Array:
    """Return a pose of shape (4, 4)."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.as_matrix(), position
    return pose


def wobble(rng: np.random.Generator, most_deg: float) -> Rotation:
    """Return a small random turn."""
    return Rotation.from_euler("xyz", rng.uniform(-most_deg, most_deg, 3), degrees=True)


def add_board(spec: Any, parent: Any, board: Board, pose: Array) -> None:
    """Fix a printed board to a body: a textured sheet with a white back."""
    width, height = board.size_m
    picture = board.picture(160)
    texture = spec.add_texture(
        name="board", type=mujoco.mjtTexture.mjTEXTURE_2D, nchannel=3, width=picture.shape[1],
        height=picture.shape[0],
    )  # fmt: skip
    texture.data = np.repeat(picture[..., None], 3, axis=2).tobytes()
    paper = spec.add_material(name="board", rgba=(0.8, 0.8, 0.8, 1), specular=0.05)
    paper.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "board"
    mesh = spec.add_mesh(name="board", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    mesh.uservert = [0, 0, 0, width, 0, 0, width, height, 0, 0, height, 0]
    mesh.usertexcoord = [0, 0, 1, 0, 1, 1, 0, 1]
    mesh.userface = mesh.userfacetexcoord = [0, 2, 1, 0, 3, 2]
    quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()[[3, 0, 1, 2]]
    body = parent.add_body(name="board", pos=pose[:3, 3], quat=quaternion, gravcomp=1.0)
    # Else what touches nothing is dropped, as the robot's description asks for.
    spec.compiler.discardvisual = False
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH, meshname="board", material="board", contype=0,
        conaffinity=0, mass=0.01,
    )  # fmt: skip
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=(width / 2 + 0.01, height / 2 + 0.01, SHEET_M / 2),
        pos=(width / 2, height / 2, SHEET_M), rgba=(0.75, 0.75, 0.75, 1), mass=0.01,
    )  # fmt: skip


class Scene:
    """A cell with a board, in which arm and camera can be put anywhere."""

    def __init__(self, mount: Mount, rng: np.random.Generator) -> None:
        self.mount, self.rng, self.board = mount, rng, Board()
        place = CameraPlace()
        if mount is Mount.EYE_TO_HAND:
            place = replace(place, position=tuple(place.position + rng.uniform(-0.05, 0.05, 3)))
        self.place, self.lens = place, Lens(place, DISTORTION)
        self.camera = Camera(
            place.width, place.height, place.focal, place.focal, (place.width - 1) / 2,
            (place.height - 1) / 2, "plumb_bob", DISTORTION,
        )  # fmt: skip
        wide = self.lens.drawn
        fine = replace(wide, width=2 * wide.width, height=2 * wide.height, focal=2 * wide.focal)
        self.cell = Cell(layout=Layout(camera=fine, shadows=False))
        self._add_board()
        self.data = self.cell.data
        base = self.data.body("base_link")
        self.t_world_base = pose_of(Rotation.from_matrix(base.xmat.reshape(3, 3)), base.xpos)
        if mount is Mount.EYE_TO_HAND:
            self.t_holder_camera = np.linalg.inv(self.t_world_base) @ place.t_world_optical
        else:
            at = np.array([0.02, -0.09, 0.03]) + rng.uniform(-0.02, 0.02, 3)
            self.t_holder_camera = pose_of(wobble(rng, 12), at)
        self.photographer = photographer(self.cell)
        self._told = mujoco.MjData(self.cell.model)
        self.refused = 0

    def _add_board(self) -> None:
        cell, rng = self.cell, self.rng
        # The board's z axis points into the paper, so that its face looks along -z.
        turn = Rotation.from_euler("x", 180, degrees=True) * wobble(rng, 8)
        parent, middle = cell.spec.body("tool0"), np.array([0.0, 0.0, BOARD_AT_M])
        if self.mount is Mount.EYE_IN_HAND:
            parent, middle = cell.spec.worldbody, np.array([0.5, 0.0, 0.04])
        middle += rng.uniform(-0.02, 0.02, 3) * (1.0, 1.0, 0.25)
        half = np.array([*self.board.size_m, 0.0]) / 2
        self.t_other_board = pose_of(turn, middle - turn.apply(half))
        add_board(cell.spec, parent, self.board, self.t_other_board)
        cell.model, cell.data = cell.spec.recompile(cell.model, cell.data)
        cell.reset()

    def close(self) -> None:
        """Let go of the graphics."""
        self.photographer.close()

    # --- the arm ------------------------------------------------------------------------------
    def tool(self, data: Any) -> Array:
        """Pose of the tool in the base."""
        body = data.body("tool0")
        t_world_tool = pose_of(Rotation.from_matrix(body.xmat.reshape(3, 3)), body.xpos)
        return np.asarray(np.linalg.inv(self.t_world_base) @ t_world_tool)

    def reach(self, t_base_tool: Array) -> bool:
        """Put the arm where its tool has a pose; False when it cannot be or collides."""
        model, data = self.cell.model, self.data
        columns = [int(model.joint(name).dofadr[0]) for name in ARM_JOINTS]
        places = [int(model.joint(name).qposadr[0]) for name in ARM_JOINTS]
        limits = np.array([model.joint(name).range for name in ARM_JOINTS])
        body, jacobian = int(model.body("tool0").id), np.zeros((6, model.nv))
        data.qpos[places] = np.array(HOME) + self.rng.uniform(-0.6, 0.6, 6)
        for _ in range(80):
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            off = np.linalg.inv(self.tool(data)) @ t_base_tool
            turned = data.body("tool0").xmat.reshape(3, 3)
            error = np.r_[
                turned @ off[:3, 3], turned @ Rotation.from_matrix(off[:3, :3]).as_rotvec()
            ]
            if np.abs(error).max() < 1e-7:
                break
            mujoco.mj_jacBody(model, data, jacobian[:3], jacobian[3:], body)
            j = jacobian[:, columns]
            step = j.T @ np.linalg.solve(j @ j.T + 1e-4 * np.eye(6), error)
            data.qpos[places] += np.clip(step, -0.3, 0.3)
        else:
            return False
        inside = (data.qpos[places] > limits[:, 0]) & (data.qpos[places] < limits[:, 1])
        mujoco.mj_forward(model, data)
        return bool(inside.all() and data.ncon == 0)

    def told_tool(self) -> Array:
        """Pose of the tool as the arm tells it, from joint angles with noise."""
        self._told.qpos[:] = self.data.qpos
        for name in ARM_JOINTS:
            self._told.joint(name).qpos[0] += self.rng.normal(0, JOINT_NOISE_RAD)
        mujoco.mj_kinematics(self.cell.model, self._told)
        return self.tool(self._told)

    # --- the camera ---------------------------------------------------------------------------
    def draw_look(self) -> Array:
        """Return a random pose of the board before the camera, all of it in view."""
        half = np.array([*self.board.size_m, 0.0]) / 2
        while True:
            tilt = self.rng.uniform(0, 40)
            way = self.rng.uniform(0, 2 * np.pi)
            tilted = Rotation.from_rotvec(
                [tilt * np.cos(way), tilt * np.sin(way), 0], degrees=True
            )
            turn = tilted * Rotation.from_rotvec([0, 0, self.rng.uniform(-60, 60)], degrees=True)
            middle = self.rng.uniform((-0.12, -0.1, 0.38), (0.12, 0.1, 0.65))
            look = pose_of(turn, middle - turn.apply(half))
            corners = self.board.points(np.arange(self.board.corners)) * 1.2
            pixels = self.camera.project(corners @ look[:3, :3].T + look[:3, 3])
            if (pixels > 5).all() and (
                pixels < (self.camera.width - 5, self.camera.height - 5)
            ).all():
                return look

    def picture(self) -> npt.NDArray[np.uint8]:
        """Take a picture of the present state, with all flaws."""
        model = self.cell.model
        if self.mount is Mount.EYE_IN_HAND:
            t_world_camera = self.t_world_base @ self.tool(self.data) @ self.t_holder_camera
            number = model.camera(CAMERA).id
            model.cam_pos[number] = t_world_camera[:3, 3]
            # MuJoCo's cameras look along -z with y up, and have w first.
            turn = Rotation.from_matrix(t_world_camera[:3, :3] @ np.diag([1.0, -1.0, -1.0]))
            model.cam_quat[number] = turn.as_quat()[[3, 0, 1, 2]]
            mujoco.mj_forward(model, self.data)
        fine = self.photographer.take(masks=False)
        height, width = fine.depth_m.shape
        rgb = cv2.resize(fine.rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        wide = View(
            np.asarray(rgb, np.uint8), fine.depth_m[::2, ::2], fine.bodies[::2, ::2],
            fine.normals[::2, ::2],
        )  # fmt: skip
        view = self.lens.refract(wide)
        return measure(view, self.place.focal, SensorModel(), self.rng).rgb

    def take(self) -> tuple[Sample, npt.NDArray[np.uint8]]:
        """Move the arm to a new random pose and return the sample with its picture."""
        for _ in range(MOST_DRAWS):
            look = self.draw_look()
            if self.mount is Mount.EYE_TO_HAND:
                t_tool = self.t_holder_camera @ look @ np.linalg.inv(self.t_other_board)
            else:
                t_base_board = np.linalg.inv(self.t_world_base) @ self.t_other_board
                t_tool = t_base_board @ np.linalg.inv(self.t_holder_camera @ look)
            if not self.reach(t_tool):
                continue
            rgb = self.picture()
            try:
                sight = find_board(self.board, rgb, self.camera)
            except CalibrationError:
                self.refused += 1
                continue
            return Sample(self.told_tool(), sight), rgb
        raise RuntimeError("the arm reaches no look at the board; move camera or board")

    def true_look(self) -> Array:
        """Pose of the board in the optical frame as physics has it."""
        body = self.data.body("board")
        t_world_board = pose_of(Rotation.from_matrix(body.xmat.reshape(3, 3)), body.xpos)
        holder = self.tool(self.data) if self.mount is Mount.EYE_IN_HAND else np.eye(4)
        t_world_camera = self.t_world_base @ holder @ self.t_holder_camera
        return np.asarray(np.linalg.inv(t_world_camera) @ t_world_board)


def off_by(pose: Array, truth: Array) -> tuple[float, float]:
    """Distance in millimetres and angle in degrees."""
    return 1e3 * float(np.linalg.norm(pose[:3, 3] - truth[:3, 3])), angle_deg(pose, truth)


def keep_picture(name: str, rgb: npt.NDArray[np.uint8], sight: Sight) -> None:
    """Write a picture with what was found in it."""
    OUT.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(OUT / f"{name}.png"), cv2.cvtColor(marked(rgb, sight), cv2.COLOR_RGB2BGR))


def run(mount: Mount, seed: int) -> dict[str, Any]:
    """Calibrate one random scene and return the errors against the truth."""
    scene = Scene(mount, np.random.default_rng([seed, mount is Mount.EYE_IN_HAND]))
    try:
        samples, looks = [], []
        for number in range(POSES):
            sample, rgb = scene.take()
            samples.append(sample)
            looks.append(off_by(sample.sight.t_camera_board, scene.true_look()))
            if number == 0:
                keep_picture(f"{mount}_{seed}", rgb, sample.sight)
    finally:
        scene.close()
    start = time.perf_counter()
    found: Calibration = calibrate(samples, mount)
    position, rotation = off_by(found.t_holder_camera, scene.t_holder_camera)
    return {
        "mount": str(mount),
        "seed": seed,
        "position_mm": position,
        "rotation_deg": rotation,
        "uncertainty_mm": found.uncertainty_mm,
        "closed_mm": {n: off_by(p, scene.t_holder_camera)[0] for n, p in found.methods.items()},
        "look_mm": float(np.median([mm for mm, _ in looks])),
        "corner_px": float(np.median([r.error_px for r in found.residuals])),
        "outliers": sum(not residual.used for residual in found.residuals),
        "refused": scene.refused,
        "seconds": time.perf_counter() - start,
    }


def figures(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Sum up all runs: the worst and the median over seeds and mounts."""
    position = [run["position_mm"] for run in runs]
    rotation = [run["rotation_deg"] for run in runs]
    result = {
        "hand_eye_position_mm": max(position),
        "hand_eye_rotation_deg": max(rotation),
        "hand_eye_position_median_mm": float(np.median(position)),
        "hand_eye_rotation_median_deg": float(np.median(rotation)),
    }
    for mount in Mount:
        mine = [run["position_mm"] for run in runs if run["mount"] == mount]
        name = str(mount).replace("eye_", "")
        result[f"hand_eye_{name}_position_mm"] = max(mine)
    for method in ("Tsai", "Park", "Horaud", "Daniilidis"):
        errors = [run["closed_mm"].get(method, np.inf) for run in runs]
        result[f"hand_eye_{method.lower()}_median_mm"] = float(np.median(errors))
    ratios = [run["position_mm"] / run["uncertainty_mm"] for run in runs]
    result["hand_eye_error_per_uncertainty_median"] = float(np.median(ratios))
    result["hand_eye_calibrate_s"] = float(np.median([run["seconds"] for run in runs]))
    return result


def main() -> None:
    """Run all scenes, print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="two seeds, to see that it works")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the scenes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    if choose_gl() == RAY_CASTER:
        raise SystemExit("the board is a texture, which needs OpenGL; install EGL or OSMesa")
    load_before = os.getloadavg()[0]
    seeds = range(args.first_seed, args.first_seed + (2 if args.quick else SEEDS))
    runs = []
    for seed in tqdm(seeds, unit="seed"):
        for mount in Mount:
            runs.append(run(mount, seed))
            tqdm.write(
                "{mount:12} seed {seed}: {position_mm:.2f} mm {rotation_deg:.3f} deg, uncertainty"
                " {uncertainty_mm:.2f} mm, one look {look_mm:.2f} mm, corners {corner_px:.2f} px,"
                " {outliers} outliers, {refused} looks refused".format(**runs[-1])
            )
    results: dict[str, Any] = {name: round(v, 4) for name, v in figures(runs).items()}
    results["conditions"] = {
        "quick": args.quick,
        "seeds": [seeds[0], seeds[-1]],
        "runs": len(runs),
        "poses": POSES,
        "joint_noise_rad": JOINT_NOISE_RAD,
        "color_noise_grey_levels": SensorModel().color_noise,
        "picture": "640 x 480, focal length 615 px, plumb_bob distortion",
        "outliers": sum(run["outliers"] for run in runs),
        "looks_refused": sum(run["refused"] for run in runs),
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "mujoco": metadata.version("mujoco-core"),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:40} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
