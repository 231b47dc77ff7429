# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes pictures of a cell: colour, metric depth and ground-truth masks, without any flaw.

Pixel (0, 0) is the centre of the top left pixel (docs/conventions.md), so the principal point of
MuJoCo's pictures is ((width - 1) / 2, (height - 1) / 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
import numpy.typing as npt

from roborefer_sim.core.cell import CAMERA, CameraPlace, Layout
from roborefer_sim.core.drawing import Drawing
from roborefer_sim.core.gl import RAY_CASTER, choose_gl

SKY = (38, 41, 46)


@dataclass(frozen=True, eq=False)
class View:
    """One look at the cell.

    Attributes:
        rgb: uint8, shape (height, width, 3).
        depth_m: Along the optical axis, float32 metres, shape (height, width); 0 where nothing is.
        bodies: MuJoCo's body number behind each pixel, int32, shape (height, width); -1 where
            nothing is.
        normals: Outward surface normal in the optical frame, float32, shape (height, width, 3).
    """

    rgb: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]
    bodies: npt.NDArray[np.int32]
    normals: npt.NDArray[np.float32]


@dataclass(frozen=True)
class PinholeParameters:
    """fx, fy, cx, cy in pixels, for the size width x height."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


def pinhole_of(place: CameraPlace) -> PinholeParameters:
    """Intrinsics of the pictures that a camera at this place takes."""
    return PinholeParameters(
        place.width,
        place.height,
        place.focal,
        place.focal,
        (place.width - 1) / 2,
        (place.height - 1) / 2,
    )


class Sight(Protocol):
    """What pictures are taken of: a Cell, or a Snapshot of one."""

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model."""

    @property
    def data(self) -> mujoco.MjData:
        """Its state, with the places of all bodies worked out."""

    @property
    def layout(self) -> Layout:
        """Where the camera stands."""


class Photographer(Protocol):
    """Takes views of one model."""

    def take(self, masks: bool = True) -> View:
        """Look at the present state.

        Args:
            masks: Whether `bodies` is needed; without it, it may be -1 everywhere.
        """

    def turn_to(self, cell: Sight) -> None:
        """Take pictures of another cell from now on, with its camera."""

    def close(self) -> None:
        """Let go of the graphics context; calling it twice is allowed."""


def photographer(cell: Sight) -> Photographer:
    """Return the best way to take pictures of this cell on this machine."""
    if choose_gl() == RAY_CASTER:
        return RayCaster(cell)
    return GlPhotographer(cell)


class GlPhotographer:
    """Draws with OpenGL; must be used in the thread that made it."""

    def __init__(self, cell: Sight) -> None:
        place = cell.layout.camera
        self._cell, self._place = cell, place
        self._drawing = Drawing(cell.model, CAMERA, place.width, place.height)
        self._body_of_geom = np.append(cell.model.geom_bodyid, -1).astype(np.int32)

    def turn_to(self, cell: Sight) -> None:
        """Take pictures of another cell from now on; much quicker than a new photographer."""
        place = cell.layout.camera
        self._cell, self._place = cell, place
        self._drawing.change(cell.model, CAMERA, place.width, place.height)
        self._body_of_geom = np.append(cell.model.geom_bodyid, -1).astype(np.int32)

    def take(self, masks: bool = True) -> View:
        """Look at the present state; without masks it takes a third less time."""
        self._drawing.look(self._cell.data)
        rgb, depth = self._drawing.color_and_depth()
        bodies = (
            self._body_of_geom[self._drawing.geoms()]
            if masks
            else np.full(depth.shape, -1, np.int32)
        )
        return View(rgb, depth, bodies, normals_from_depth(depth, self._place))

    def close(self) -> None:
        """Let go of the graphics context; calling it twice is allowed."""
        self._drawing.close()


class RayCaster:
    """Draws by casting one ray per pixel: exact depth and masks, plain colours, no OpenGL."""

    def __init__(self, cell: Sight) -> None:
        self.turn_to(cell)

    def turn_to(self, cell: Sight) -> None:
        """Take pictures of another cell from now on."""
        place = cell.layout.camera
        self._cell, self._place = cell, place
        rays = optical_rays(place)
        self._lengths = np.linalg.norm(rays, axis=-1)
        pose = place.t_world_optical
        self._rotation = pose[:3, :3]
        self._rays = (rays / self._lengths[..., None]) @ self._rotation.T
        self._body_of_geom = np.append(cell.model.geom_bodyid, -1).astype(np.int32)
        self._colors = np.vstack([cell.model.geom_rgba[:, :3], np.array(SKY) / 255])

    def take(self, masks: bool = True) -> View:
        """Look at the present state; masks cost nothing here."""
        model, data, place = self._cell.model, self._cell.data, self._place
        count = place.width * place.height
        geoms, distances = np.full(count, -1, np.int32), np.zeros(count)
        normals = np.zeros((count, 3))
        mujoco.mj_multiRay(
            model, data, np.array(place.position), self._rays.reshape(-1), None, 1, -1, geoms,
            distances, normals.reshape(-1), count, 20.0,
        )  # fmt: skip
        size = (place.height, place.width)
        seen = geoms.reshape(size)
        outward = normals.reshape(*size, 3)
        depth = np.where(seen >= 0, distances.reshape(size) / self._lengths, 0.0)
        lit = 0.45 + 0.55 * np.abs((outward * self._rays).sum(-1))
        rgb = self._colors[seen] * np.where(seen >= 0, lit, 1.0)[..., None] * 255
        return View(
            rgb.astype(np.uint8),
            depth.astype(np.float32),
            self._body_of_geom[seen],
            (outward @ self._rotation).astype(np.float32),
        )

    def close(self) -> None:
        """Nothing to let go of."""


def optical_rays(place: CameraPlace) -> npt.NDArray[np.float64]:
    """Viewing rays through all pixel centres in the optical frame with z = 1, (rows, cols, 3)."""
    k = pinhole_of(place)
    u, v = np.meshgrid(np.arange(k.width), np.arange(k.height))
    return np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(u.shape)], axis=-1)


def normals_from_depth(
    depth_m: npt.NDArray[np.float32], place: CameraPlace
) -> npt.NDArray[np.float32]:
    """Surface normals by differences of neighbouring points, in the optical frame.

    Returns:
        Unit vectors towards the viewer, float32, shape (height, width, 3); 0 where depth is 0.
    """
    k = pinhole_of(place)
    depth = depth_m.astype(np.float32)
    across = np.gradient(depth, axis=1)
    down = np.gradient(depth, axis=0)
    u = np.arange(k.width, dtype=np.float32) - np.float32(k.cx)
    v = np.arange(k.height, dtype=np.float32)[:, None] - np.float32(k.cy)
    # The cross product of the two differences of points, divided by depth / (fx fy).
    normals = np.empty((*depth.shape, 3), np.float32)
    normals[..., 0] = np.float32(k.fx) * across
    normals[..., 1] = np.float32(k.fy) * down
    normals[..., 2] = -(depth + u * across + v * down)
    length = np.sqrt(np.einsum("ijk,ijk->ij", normals, normals))
    # Facing away from the viewer means that a depth edge was differentiated; turn it round.
    facing = normals[..., 0] * u / k.fx + normals[..., 1] * v / k.fy + normals[..., 2]
    scale = np.where(depth > 0, -np.sign(facing) / np.maximum(length, 1e-12), 0.0)
    return normals * scale[..., None].astype(np.float32)
