# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a query to the scene that its sentence may talk about."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.boxes import upright_box
from roborefer_vlm.backends.scene_graph.cloud import Cloud, noise_m
from roborefer_vlm.backends.scene_graph.support import find_ground
from roborefer_vlm.scenes.graph import Camera, Scene, SceneObject, Surface
from roborefer_vlm.types import BoolArray, GivenObject, Query


def build_scene(
    query: Query,
    *,
    segmenter: object | None = None,
    detector: object | None = None,
    phrases: Sequence[str] = (),
) -> Scene:
    """Return the scene of a view: things with their looks, and what they stand on.

    Args:
        query: With metric depth and intrinsics; its `objects` are used where it has any.
        segmenter: Finds things where none are given.
        detector: Open-vocabulary detector that finds and names them.
        phrases: What the detector shall look for, such as "red mug".

    Raises:
        QueryError: Depth or intrinsics are missing, or next to nothing was measured.
    """
    cloud = Cloud.from_query(query)
    things = query.objects
    covered = np.zeros(cloud.depth.shape, bool)
    for given in things:
        covered |= given.mask
    ground = find_ground(cloud, query.up, covered)
    pose = ground.t_scene_optical
    points = cloud.points @ pose[:3, :3].T.astype(np.float32) + pose[:3, 3].astype(np.float32)
    camera = Camera(cloud.intrinsics, pose)
    objects = [
        made
        for i, given in enumerate(things, 1)
        if (made := _object(i, given, points, cloud)) is not None
    ]
    surfaces = []
    if ground.plane is not None:
        bare = cloud.valid & ~covered & (np.abs(points[..., 2]) < 3 * noise_m(cloud.depth))
        outline = cv2.convexHull(np.ascontiguousarray(points[bare][:, :2]))[:, 0].astype(float)
        surfaces.append(Surface(len(things) + 1, "table", 0.0, outline, bare))
    return Scene(camera, objects, surfaces, cloud.depth)


def _object(
    number: int, given: GivenObject, points: np.ndarray, cloud: Cloud
) -> SceneObject | None:
    inside: BoolArray = given.mask & cloud.valid & ~cloud.edges
    if not inside.any():
        return None
    seen = points[inside]
    return SceneObject(
        number,
        given.name,
        upright_box(seen),
        attributes=frozenset(given.attributes),
        points=seen,
        mask=given.mask,
    )
