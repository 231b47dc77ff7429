# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The cell: table, arm, camera, light and things, as one MuJoCo model.

The frame `world` lies in the middle of the robot's base on the table top: z up, x over the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import cos, sin

import mujoco
import numpy as np
import numpy.typing as npt

from roborefer_sim.core.arm import (
    ARM_JOINTS,
    FINGER_JOINTS,
    GRIPPER_ACTUATOR,
    HOME,
    OPEN_M,
    ur5_spec,
)
from roborefer_sim.core.library import Make, Solid
from roborefer_sim.exceptions import SceneError

Array = npt.NDArray[np.float64]
TIME_STEP_S = 0.002
CAMERA = "camera"
TABLE = "table"
PATTERN_PX = 64

_GEOMS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
}
_BUILTINS = {
    "checker": mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
    "gradient": mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
}


@dataclass(frozen=True, eq=False)
class Placed:
    """A thing at its place.

    Attributes:
        name: Unique in the scene; also its frame.
        make: The thing.
        position: Of its origin (middle of its underside when upright) in world, metres.
        yaw: About z, radians.
    """

    name: str
    make: Make
    position: tuple[float, float, float]
    yaw: float = 0.0


@dataclass(frozen=True)
class CameraPlace:
    """Where the camera stands and what it is like; the picture has no distortion here.

    Attributes:
        position: Of the optical centre in world, metres.
        target: A point on the optical axis in world, metres.
        width: Columns.
        height: Rows.
        focal: fx and fy, pixels.
    """

    position: tuple[float, float, float] = (1.12, 0.0, 0.72)
    target: tuple[float, float, float] = (0.46, 0.0, 0.02)
    width: int = 640
    height: int = 480
    focal: float = 615.0

    @property
    def t_world_optical(self) -> Array:
        """Pose of the optical frame (REP 103: x right, y down, z ahead) in world, (4, 4)."""
        ahead = np.subtract(self.target, self.position)
        length = np.linalg.norm(ahead)
        if length < 1e-6:
            raise SceneError(f"the camera at {self.position} looks at itself")
        ahead = ahead / length
        right = np.cross(ahead, (0.0, 0.0, 1.0))
        if np.linalg.norm(right) < 1e-6:
            right = np.array([0.0, -1.0, 0.0])
        right = right / np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(ahead, right), ahead
        pose[:3, 3] = self.position
        return pose


class Pattern(StrEnum):
    """How a surface is painted with two colours."""

    FLAT = "flat"
    CHECKER = "checker"
    GRADIENT = "gradient"


@dataclass(frozen=True)
class Paint:
    """The second colour of a surface, and how it lies between the first.

    Attributes:
        pattern: FLAT shows the first colour only.
        second: Red, green and blue, 0 to 1.
        repeat: How often the pattern comes in a metre.
    """

    pattern: Pattern = Pattern.FLAT
    second: tuple[float, float, float] = (0.5, 0.5, 0.5)
    repeat: float = 4.0


@dataclass(frozen=True)
class Layout:
    """What stands around the things.

    Attributes:
        camera: The eye-to-hand camera.
        table_low: Lowest x and y of the table top, metres.
        table_high: Highest x and y of the table top, metres.
        with_arm: Without it the cell is only table and camera, for data generation.
        table_color: Red, green and blue, 0 to 1.
        table_paint: What is painted on that; the ray caster shows the first colour only.
        floor_color: Of the floor below, red, green and blue, 0 to 1.
        floor_paint: What is painted on that.
        ambient: Brightness of the light that comes from everywhere, 0 to 1.
        light: Brightness of the main light, 0 to 1.
        lamp_position: Where the main light is in world, metres.
        lamp_direction: Where it shines; any length but 0.
        shadows: Whether it throws shadows; they double the time of a picture.
    """

    camera: CameraPlace = field(default_factory=CameraPlace)
    table_low: tuple[float, float] = (-0.25, -0.65)
    table_high: tuple[float, float] = (0.85, 0.65)
    with_arm: bool = True
    table_color: tuple[float, float, float] = (0.62, 0.52, 0.41)
    table_paint: Paint = field(default_factory=Paint)
    floor_color: tuple[float, float, float] = (0.35, 0.36, 0.38)
    floor_paint: Paint = field(default_factory=Paint)
    ambient: float = 0.32
    light: float = 0.7
    lamp_position: tuple[float, float, float] = (0.5, -0.6, 1.8)
    lamp_direction: tuple[float, float, float] = (0.0, 0.3, -1.0)
    shadows: bool = True


class Cell:
    """A model with its state, and the names in it.

    Attributes:
        model: Compiled model.
        data: State of the physics.
        placed: The things, as they were placed.
    """

    def __init__(self, placed: Sequence[Placed] = (), layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        self.placed = tuple(placed)
        names = [thing.name for thing in self.placed]
        if len(set(names)) != len(names):
            raise SceneError(f"things must have different names, these have: {names}")
        self.spec = _spec(self.placed, self.layout)
        self.model = self.spec.compile()
        self.data = mujoco.MjData(self.model)
        self.reset()

    def reset(self) -> None:
        """Put everything back to where it was placed, the arm at home, the jaw open."""
        mujoco.mj_resetData(self.model, self.data)
        if self.layout.with_arm:
            for name, angle in zip(ARM_JOINTS, HOME, strict=True):
                self.data.joint(name).qpos[0] = angle
                self.data.actuator(name).ctrl[0] = angle
            for name in FINGER_JOINTS:
                self.data.joint(name).qpos[0] = OPEN_M
            self.data.actuator(GRIPPER_ACTUATOR).ctrl[0] = OPEN_M
        mujoco.mj_forward(self.model, self.data)

    def step(self, seconds: float) -> None:
        """Let the physics run for about this long, at least one time step."""
        for _ in range(max(1, round(seconds / TIME_STEP_S))):
            mujoco.mj_step(self.model, self.data)

    def add(self, thing: Placed) -> None:
        """Put one more thing into the scene; everything else goes on as it was.

        `model` and `data` are replaced by new ones.

        Raises:
            SceneError: The name is taken, by a thing or by a part of the robot.
        """
        if not thing.name or thing.name in {body.name for body in self.spec.bodies}:
            raise SceneError(f"the name '{thing.name}' is empty or taken; choose another one")
        add_thing(self.spec, thing)
        self._recompile()
        self.placed = (*self.placed, thing)

    def remove(self, name: str) -> None:
        """Take a thing out of the scene; everything else goes on as it was.

        `model` and `data` are replaced by new ones.

        Raises:
            SceneError: There is no such thing; the message lists those there are.
        """
        self._check(name)
        self.spec.delete(self.spec.body(name))
        self.placed = tuple(thing for thing in self.placed if thing.name != name)
        self._recompile()

    def _recompile(self) -> None:
        # The starting places of settled things are known to the model only.
        for thing in self.placed:
            start = int(self.model.joint(f"{thing.name}_free").qposadr[0])
            place = self.model.qpos0[start : start + 7]
            body = self.spec.body(thing.name)
            body.pos, body.quat = place[:3], place[3:]
        force = self.model.actuator_forcerange.copy()
        self.model, self.data = self.spec.recompile(self.model, self.data)
        self.model.actuator_forcerange[:] = force
        mujoco.mj_forward(self.model, self.data)

    def _check(self, name: str) -> None:
        if name not in {thing.name for thing in self.placed}:
            known = ", ".join(thing.name for thing in self.placed) or "none"
            raise SceneError(f"no thing '{name}' in the scene; there are: {known}")

    def pose_of(self, name: str) -> Array:
        """Pose of a thing in world, shape (4, 4).

        Raises:
            SceneError: There is no such thing; the message lists those there are.
        """
        self._check(name)
        pose = np.eye(4)
        pose[:3, :3] = self.data.body(name).xmat.reshape(3, 3)
        pose[:3, 3] = self.data.body(name).xpos
        return pose

    def tilt_of(self, name: str) -> float:
        """Angle between a thing's own z axis and up, radians; 0 is upright."""
        return float(np.arccos(np.clip(self.pose_of(name)[2, 2], -1.0, 1.0)))

    def body_ids(self) -> dict[int, str]:
        """Body number of each thing, for ground-truth masks."""
        return {int(self.model.body(t.name).id): t.name for t in self.placed}


def _spec(placed: Sequence[Placed], layout: Layout) -> mujoco.MjSpec:
    spec = ur5_spec() if layout.with_arm else mujoco.MjSpec()
    option = spec.option
    option.timestep = TIME_STEP_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # An elliptic cone with this ratio keeps a gripped thing from creeping out of the jaw.
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    spec.visual.quality.shadowsize = 1024
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20
    spec.stat.extent = 1.0
    spec.visual.global_.offwidth = max(layout.camera.width, 64)
    spec.visual.global_.offheight = max(layout.camera.height, 64)
    _add_surroundings(spec, layout)
    for thing in placed:
        add_thing(spec, thing)
    return spec


def _add_surroundings(spec: mujoco.MjSpec, layout: Layout) -> None:
    world = spec.worldbody
    low, high = np.array(layout.table_low), np.array(layout.table_high)
    if not (low < high).all():
        raise SceneError(f"the table goes from {low} to {high}; the second must be larger")
    center, half = (low + high) / 2, (high - low) / 2
    world.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(4, 4, 0.1), pos=(0, 0, -0.75),
        rgba=(*layout.floor_color, 1),
    )  # fmt: skip
    _paint(spec, "floor", layout.floor_color, layout.floor_paint)
    world.add_geom(
        name=TABLE, type=mujoco.mjtGeom.mjGEOM_BOX, size=(*half, 0.02), pos=(*center, -0.02),
        rgba=(*layout.table_color, 1), friction=(0.8, 0.02, 0.001),
    )  # fmt: skip
    _paint(spec, TABLE, layout.table_color, layout.table_paint)
    bright = layout.light
    world.add_light(
        name="lamp", pos=layout.lamp_position, dir=layout.lamp_direction, diffuse=(bright,) * 3,
        castshadow=layout.shadows,
    )  # fmt: skip
    world.add_light(
        name="room", pos=(0.0, 1.0, 2.0), dir=(0.2, -0.5, -1.0), diffuse=(0.35 * bright,) * 3,
        castshadow=False,
    )  # fmt: skip
    spec.visual.headlight.ambient = (layout.ambient,) * 3
    spec.visual.headlight.diffuse = (0.15, 0.15, 0.15)
    camera = layout.camera
    pose = camera.t_world_optical
    # MuJoCo's cameras look along -z with y up.
    right, up = pose[:3, 0], -pose[:3, 1]
    rotation = np.column_stack([right, up, -pose[:3, 2]])
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, rotation.flatten())
    fovy = 2 * np.degrees(np.arctan(camera.height / 2 / camera.focal))
    world.add_camera(name=CAMERA, pos=camera.position, quat=quaternion, fovy=fovy)


def _paint(
    spec: mujoco.MjSpec, name: str, color: tuple[float, float, float], paint: Paint
) -> None:
    if paint.pattern is Pattern.FLAT:
        return
    spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=_BUILTINS[paint.pattern],
        rgb1=color, rgb2=paint.second, width=PATTERN_PX, height=PATTERN_PX,
    )  # fmt: skip
    material = spec.add_material(name=name, texuniform=True, texrepeat=(paint.repeat,) * 2)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    geom = spec.geom(name)
    geom.material, geom.rgba = name, (1, 1, 1, 1)


def add_thing(spec: mujoco.MjSpec, thing: Placed) -> None:
    """Add a free body for a thing; it starts where it was placed."""
    half_yaw = thing.yaw / 2
    body = spec.worldbody.add_body(
        name=thing.name, pos=thing.position, quat=(cos(half_yaw), 0, 0, sin(half_yaw))
    )
    body.add_freejoint(name=f"{thing.name}_free")
    volumes = np.array([_volume(solid) for solid in thing.make.solids])
    masses = thing.make.mass * volumes / volumes.sum()
    rolling = 0.002 if thing.make.thing.rolls else 0.0001
    for solid, mass in zip(thing.make.solids, masses, strict=True):
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, solid.rotation.flatten())
        body.add_geom(
            type=_GEOMS[solid.shape], size=_size(solid), pos=solid.center, quat=quaternion,
            rgba=(*solid.color, 1), mass=mass, friction=(0.8, 0.02, rolling),
            condim=6 if thing.make.thing.rolls else 4,
        )  # fmt: skip


def _size(solid: Solid) -> tuple[float, float, float]:
    x, y, z = solid.half
    return (x, z, 0.0) if solid.shape in {"cylinder", "capsule"} else (x, y, z)


def _volume(solid: Solid) -> float:
    x, y, z = solid.half
    if solid.shape == "box":
        return float(8 * x * y * z)
    if solid.shape in {"sphere", "ellipsoid"}:
        return float(4 / 3 * np.pi * x * y * z)
    caps = 4 / 3 * np.pi * x**3 if solid.shape == "capsule" else 0.0
    return float(2 * np.pi * x * x * z + caps)
