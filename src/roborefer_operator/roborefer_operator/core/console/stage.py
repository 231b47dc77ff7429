# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The 3D view: frames of the robot and what hangs on them, drawn by viser."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import viser

from roborefer_operator.core.console.cloud import Cloud
from roborefer_operator.core.console.shapes import Array, Form, Shape

_STILL = 1e-4
_POINT_M = 0.004


class _LocalServer(viser.ViserServer):
    """A server that never shows itself to the world."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Refuse: the view is for the people of this machine."""
        return None


class Stage:
    """A view that only shows: nothing in it can be pressed, so nothing need be guarded."""

    def __init__(self) -> None:
        # It prints its own address, which nobody should use: that of the gate is the way in.
        with contextlib.redirect_stdout(io.StringIO()):
            self._server = _LocalServer(host="127.0.0.1", port=0, verbose=False)
        self.port: int = self._server.get_port()
        scene = self._server.scene
        self._server.gui.configure_theme(show_logo=False, show_share_button=False)
        self._server.gui.main_panel.minimize()
        scene.set_up_direction("+z")
        self._server.initial_camera.position = (1.3, -1.0, 0.9)
        self._server.initial_camera.look_at = (0.4, 0.0, 0.1)
        scene.add_grid("/grid", width=3.0, height=3.0, cell_size=0.1, position=(0.0, 0.0, -0.005))
        self._frames: dict[str, Any] = {}
        self._groups: dict[str, list[Any]] = {}

    def close(self) -> None:
        """End the view."""
        self._server.stop()

    def move(self, poses: Mapping[str, tuple[Array, Array]]) -> None:
        """Bring frames where they are now.

        Args:
            poses: Frame to position, shape (3,), metres, and orientation xyzw, shape (4,).
        """
        with self._server.atomic():
            for name, (position, xyzw) in poses.items():
                wxyz = np.roll(xyzw, 1)
                frame = self._frames.get(name)
                if frame is None:
                    self._frames[name] = self._server.scene.add_frame(
                        _path(name), show_axes=False, position=position, wxyz=wxyz
                    )
                elif (
                    np.abs(frame.position - position).max() > _STILL
                    or np.abs(frame.wxyz - wxyz).max() > _STILL
                ):
                    frame.position, frame.wxyz = position, wxyz

    def knows(self, frame: str) -> bool:
        """Whether it was told where a frame is."""
        return frame in self._frames

    def show(self, group: str, shapes: Iterable[Shape]) -> None:
        """Show these shapes, and nothing else, under the name of a group."""
        with self._server.atomic():
            for handle in self._groups.pop(group, []):
                handle.remove()
            self._groups[group] = [
                self._add(f"{_path(shape.frame)}/{group}_{number}", shape)
                for number, shape in enumerate(shapes)
                if self.knows(shape.frame)
            ]

    def show_cloud(self, frame: str, cloud: Cloud) -> None:
        """Show a cloud in place of the one before."""
        for handle in self._groups.pop("cloud", []):
            handle.remove()
        if self.knows(frame):
            handle = self._server.scene.add_point_cloud(
                f"{_path(frame)}/cloud", cloud.points, cloud.colors, point_size=_POINT_M
            )
            self._groups["cloud"] = [handle]

    def _add(self, name: str, shape: Shape) -> Any:
        scene = self._server.scene
        red, green, blue = (round(255 * c) for c in shape.color)
        look: dict[str, Any] = {
            "color": (red, green, blue),
            "opacity": shape.opacity if shape.opacity < 1.0 else None,
        }
        pose: dict[str, Any] = {"position": shape.position, "wxyz": np.roll(shape.xyzw, 1)}
        match shape.form:
            case Form.BOX:
                return scene.add_box(name, dimensions=shape.size, **look, **pose)
            case Form.SPHERE:
                # Its three sizes may differ, as those of an uncertain place do.
                x, y, z = (max(length, 1e-4) / 2.0 for length in shape.size)
                return scene.add_icosphere(name, radius=1.0, scale=(x, y, z), **look, **pose)
            case Form.CYLINDER:
                return scene.add_cylinder(
                    name, radius=shape.size[0] / 2.0, height=shape.size[2], **look, **pose
                )
            case Form.LINES:
                return scene.add_line_segments(
                    name, shape.points.reshape(-1, 2, 3), look["color"],
                    thickness=max(shape.size[0], 0.001), **pose,
                )  # fmt: skip
            case Form.MESH:
                return scene.add_mesh_simple(
                    name, shape.points, shape.faces, flat_shading=True, **look, **pose
                )
            case Form.TEXT:
                return scene.add_label(name, shape.text, position=shape.position)


def bones(parents: Mapping[str, str], poses: Mapping[str, tuple[Array, Array]]) -> Sequence[Array]:
    """Return the ends of lines from each frame to its parent, each of shape (2, 3)."""
    return [
        np.stack([poses[parent][0], poses[child][0]])
        for child, parent in parents.items()
        if child in poses and parent in poses
    ]


def _path(frame: str) -> str:
    """Name of a frame in the view; all hang on the root, since poses are in one frame."""
    return "/frame_" + frame.strip("/").replace("/", "_")
