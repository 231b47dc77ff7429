# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One look at the scene, with everything that is worked out once per pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.cloud import Cloud, noise_m
from roborefer_vlm.backends.scene_graph.colors import balanced, color_indices
from roborefer_vlm.backends.scene_graph.support import Ground, find_ground
from roborefer_vlm.scenes.graph import Camera
from roborefer_vlm.types import BoolArray, FloatArray, Query, UInt8Array

# More pixels than this tell nothing more about a scene, but take longer.
MOST_PIXELS = 400_000


@dataclass(frozen=True, eq=False)
class View:
    """A query's picture and cloud; the arrays are at a working resolution.

    Attributes:
        image: RGB as given, shape (height, width, 3).
        full: The cloud as given.
        step: Every step-th row and column is worked on.
        cloud: The cloud at the working resolution, shape (rows, columns).
        ground: What is level, and where the scene's frame lies.
    """

    image: UInt8Array
    full: Cloud
    step: int
    cloud: Cloud
    ground: Ground

    @classmethod
    def of(cls, query: Query) -> View:
        """Look at a query, and find the ground between the things that it gives.

        Raises:
            QueryError: Depth or intrinsics are missing, or next to nothing was measured.
        """
        full = Cloud.from_query(query)
        step = int(np.ceil(np.sqrt(full.depth.size / MOST_PIXELS)))
        cloud = full.reduced(step)
        things = np.zeros(full.depth.shape, np.uint8)
        for given in query.objects:
            things |= given.mask
        # The margin is for depth that is not quite registered to the picture.
        margin = cv2.dilate(things[::step, ::step], np.ones((5, 5), np.uint8)) > 0
        return cls(query.image, full, step, cloud, find_ground(cloud, query.up, margin))

    @cached_property
    def camera(self) -> Camera:
        """The viewer, for pictures at full resolution."""
        return Camera(self.full.intrinsics, self.ground.t_scene_optical)

    @cached_property
    def points(self) -> FloatArray:
        """Points of the scene's frame, shape (rows, columns, 3); nonsense where not measured."""
        pose = self.ground.t_scene_optical.astype(np.float32)
        return np.asarray(self.cloud.points @ pose[:3, :3].T + pose[:3, 3])

    @cached_property
    def upness(self) -> FloatArray:
        """Cosine between the surface normal and up, 0 where not known, shape (rows, columns)."""
        up = self.ground.t_scene_optical[2, :3].astype(np.float32)
        return np.asarray(self.cloud.normals @ up)

    @cached_property
    def tolerance(self) -> FloatArray:
        """How far from a level surface a point of it may be measured, metres."""
        return np.asarray(0.004 + 2 * noise_m(self.cloud.depth), np.float32)

    @cached_property
    def picture(self) -> UInt8Array:
        """The picture in neutral light, RGB, shape (height, width, 3)."""
        return balanced(self.image)

    @cached_property
    def colors(self) -> UInt8Array:
        """Index of the colour name of each pixel, shape (height, width)."""
        return color_indices(self.picture)

    def worked(self, mask: BoolArray) -> BoolArray:
        """Take a mask of the picture to the working resolution."""
        return mask[:: self.step, :: self.step]

    def shown(self, mask: BoolArray) -> BoolArray:
        """Take a mask of the working resolution to the picture."""
        if self.step == 1:
            return mask
        height, width = self.full.depth.shape
        large = np.repeat(np.repeat(mask, self.step, axis=0), self.step, axis=1)
        return np.ascontiguousarray(large[:height, :width])


def window(mask: BoolArray, margin: int = 2) -> tuple[slice, slice]:
    """Return the rows and columns around what a mask holds, which is cheaper to work on."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + 1 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 1 + margin),
    )
