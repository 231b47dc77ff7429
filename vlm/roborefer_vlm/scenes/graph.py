# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Scene graphs: things with oriented boxes, the surfaces they stand on, and who looks at them.

The scene's frame is gravity-aligned: z up, metres. Where nobody gives the camera's pose, its
origin lies on the main support surface below the camera, x points away from the viewer and y to
the viewer's left (REP 103).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from roborefer_vlm.types import BoolArray, FloatArray, Intrinsics

Array = npt.NDArray[np.float64]

_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box anywhere in the scene.

    Attributes:
        center: Shape (3,), metres.
        rotation: Shape (3, 3), right-handed; columns are the box's axes in the scene's frame.
            The third axis is the one closest to up.
        size: Shape (3,), full lengths along those axes, metres.
    """

    center: Array
    rotation: Array
    size: Array

    @property
    def corners(self) -> Array:
        """The eight corners, shape (8, 3)."""
        return np.asarray(self.center + (_SIGNS * self.size / 2) @ self.rotation.T)

    @cached_property
    def bottom(self) -> float:
        """Lowest z of the box, metres."""
        return float(self.corners[:, 2].min())

    @cached_property
    def top(self) -> float:
        """Highest z of the box, metres."""
        return float(self.corners[:, 2].max())


@dataclass(frozen=True, eq=False)
class SceneObject:
    """A thing in the scene.

    Attributes:
        id: Unique in its scene, from 1.
        name: Noun phrase, such as "soup can", or "" when only its looks are known.
        box: Its measured extent.
        colors: Share of its visible surface per basic colour name; sums to at most 1.
        attributes: Further words that are true of it: shape ("round", "flat"), pose ("lying"),
            state ("open"), material.
        front: Unit vector of its semantic front in the scene's frame; None: it has no face.
        points: Visible surface, shape (N, 3), or None.
        mask: Visible pixels, shape (height, width), or None.
        support: Id of the surface or thing it stands on or in; None: not known.
        hollow: Whether things can be inside it.
    """

    id: int
    name: str
    box: OrientedBox
    colors: Mapping[str, float] = field(default_factory=dict)
    attributes: frozenset[str] = frozenset()
    front: Array | None = None
    points: FloatArray | None = None
    mask: BoolArray | None = None
    support: int | None = None
    hollow: bool = False


@dataclass(frozen=True, eq=False)
class Surface:
    """A horizontal surface that things stand on.

    Attributes:
        id: Unique among things and surfaces of the scene.
        name: What people call it, such as "table".
        height: z, metres.
        outline: Convex outline, shape (N, 2), x and y in metres, counter-clockwise.
        mask: Its visible bare pixels, shape (height, width), or None.
    """

    id: int
    name: str
    height: float
    outline: Array
    mask: BoolArray | None = None


@dataclass(frozen=True, eq=False)
class Camera:
    """Who looks at the scene.

    Attributes:
        intrinsics: Of the image.
        t_scene_optical: Pose of the optical frame in the scene's frame, shape (4, 4).
    """

    intrinsics: Intrinsics
    t_scene_optical: Array

    @property
    def position(self) -> Array:
        """Where the viewer is, shape (3,), metres."""
        return np.asarray(self.t_scene_optical[:3, 3])

    def to_optical(self, points: npt.ArrayLike) -> Array:
        """Take points of the scene, shape (N, 3), to the optical frame."""
        rotation, origin = self.t_scene_optical[:3, :3], self.t_scene_optical[:3, 3]
        return np.asarray((np.asarray(points, float) - origin) @ rotation)

    def to_scene(self, points: npt.ArrayLike) -> Array:
        """Take points of the optical frame, shape (N, 3), to the scene's frame."""
        rotation, origin = self.t_scene_optical[:3, :3], self.t_scene_optical[:3, 3]
        return np.asarray(np.asarray(points, float) @ rotation.T + origin)

    def project(self, points: npt.ArrayLike) -> tuple[Array, Array]:
        """Return pixels (u, v), shape (N, 2), and depths along the optical axis, shape (N,).

        A point that is not in front of the camera gets NaN as its pixel.
        """
        optical = self.to_optical(points)
        depth = optical[:, 2]
        ahead = np.where(depth > 1e-6, depth, np.nan)[:, None]
        k = self.intrinsics
        return optical[:, :2] / ahead * (k.fx, k.fy) + (k.cx, k.cy), depth


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that a sentence may talk about.

    Attributes:
        camera: The viewer.
        objects: Things, in no special order.
        surfaces: Support surfaces; the first one is the main one.
        depth_m: Metric depth of the view, shape (height, width), 0 where nothing was measured;
            None for scenes that were not seen by a depth camera.
    """

    camera: Camera
    objects: Sequence[SceneObject]
    surfaces: Sequence[Surface] = ()
    depth_m: FloatArray | None = None

    def object(self, wanted: int) -> SceneObject:
        """Return the thing of this id.

        Raises:
            KeyError: There is none; the message lists the ids that exist.
        """
        for thing in self.objects:
            if thing.id == wanted:
                return thing
        raise KeyError(f"no object {wanted}; there are {[o.id for o in self.objects]}")
