# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws a model with OpenGL: colour and depth in one pass, which mujoco.Renderer does in two."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from roborefer_sim.exceptions import RenderingError

MOST_GEOMS = 10_000


class Drawing:
    """A picture of a fixed size; must be used in the thread that made it."""

    def __init__(self, model: mujoco.MjModel, camera: str, width: int, height: int) -> None:
        """Prepare to draw.

        Args:
            model: To be drawn; its off-screen buffer must be at least as large as the picture.
            camera: Name of a camera of the model.
            width: Columns.
            height: Rows.

        Raises:
            RenderingError: OpenGL does not work here; the message says what to do.
        """
        self._scene = mujoco.MjvScene(model, MOST_GEOMS)
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        # Neither has a type of its own that can be named.
        self._gl: Any = None
        self._context: Any = None
        self.change(model, camera, width, height)

    def change(self, model: mujoco.MjModel, camera: str, width: int, height: int) -> None:
        """Draw another model from now on; this takes a tenth of the time of a new drawing.

        Args:
            model: As for a new drawing.
            camera: Name of a camera of the model.
            width: Columns.
            height: Rows.

        Raises:
            RenderingError: OpenGL does not work here; the message says what to do.
        """
        self._model, self._size = model, (height, width)
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._camera.fixedcamid = model.camera(camera).id
        try:
            if self._gl is None:
                self._gl = mujoco.GLContext(width, height)
            self._gl.make_current()
            if self._context is not None:
                self._context.free()
            self._context = mujoco.MjrContext(model, int(mujoco.mjtFontScale.mjFONTSCALE_100))
        except (mujoco.FatalError, AttributeError, RuntimeError) as error:
            self.close()
            raise RenderingError(
                f"OpenGL does not work here ({error}); set MUJOCO_GL=disable for the ray caster"
            ) from error
        mujoco.mjr_setBuffer(int(mujoco.mjtFramebuffer.mjFB_OFFSCREEN), self._context)
        # Near is 1 and infinitely far 0, which keeps depth exact at a distance.
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR

    def look(self, data: mujoco.MjData) -> None:
        """Take over a state, whose places of bodies have been worked out."""
        everything = int(mujoco.mjtCatBit.mjCAT_ALL)
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._camera, everything, self._scene
        )

    def color_and_depth(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """Draw what was looked at.

        Returns:
            Colour, uint8, shape (height, width, 3), and depth along the optical axis, float32
            metres, shape (height, width); 0 where nothing is.
        """
        rgb = np.empty((*self._size, 3), np.uint8)
        closeness = np.empty(self._size, np.float32)
        self._draw(rgb, closeness)
        near = self._model.vis.map.znear * self._model.stat.extent
        far = self._model.vis.map.zfar * self._model.stat.extent
        depth = near * far / (closeness.astype(np.float64) * (far - near) + near)
        depth[closeness <= 0] = 0
        return rgb[::-1], depth[::-1].astype(np.float32)

    def geoms(self) -> npt.NDArray[np.int32]:
        """Draw the number of the geom behind each pixel, int32, (height, width); -1 is nothing."""
        flags = self._scene.flags
        before = flags.copy()
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        rgb = np.empty((*self._size, 3), np.uint8)
        self._draw(rgb, None)
        flags[:] = before
        drawn = rgb[..., 0].astype(np.int32) | (rgb[..., 1].astype(np.int32) << 8)
        drawn |= rgb[..., 2].astype(np.int32) << 16
        numbers = np.full(self._scene.ngeom + 1, -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                numbers[geom.segid + 1] = geom.objid
        return np.asarray(numbers[drawn[::-1]])

    def _draw(self, rgb: npt.NDArray[np.uint8], closeness: npt.NDArray[np.float32] | None) -> None:
        if self._gl is None or self._context is None:
            raise RenderingError("this camera was closed")
        self._gl.make_current()
        mujoco.mjr_render(self._rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(rgb, closeness, self._rectangle, self._context)

    def close(self) -> None:
        """Let go of the graphics context; calling it twice is allowed."""
        gl, context = self._gl, self._context
        self._gl = self._context = None
        if gl is not None:
            if context is not None:
                gl.make_current()
                context.free()
            gl.free()
