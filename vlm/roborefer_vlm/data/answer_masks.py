# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that is a right answer to a question for a place, as a mask of its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from scipy.spatial import cKDTree

from roborefer_vlm.data.examples import Example, Kind
from roborefer_vlm.data.free_space import FreeSpace
from roborefer_vlm.data.search_areas import NEARNESS, PARTS
from roborefer_vlm.data.table_parts import table_parts
from roborefer_vlm.data.views import View
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject
from roborefer_vlm.scenes.places import footprint
from roborefer_vlm.scenes.polygons import depth_inside
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.types import BoolArray, UInt8Array

# What a mask of free space asks for; answers that are taught keep more distance.
_CLEARANCE_M, _FOOTPRINT_M = 0.0, 0.02
# Inside a vessel: that share of its height below the rim.
_BELOW_RIM = 0.15
# How often places are drawn. Discs around one drawing fill half of the area, so that eight leave
# less than a hundredth.
_DRAWS = 8


def mask_of(view: View, example: Example, rng: np.random.Generator) -> BoolArray | None:
    """Return where right answers to a question lie, shape (height, width).

    Args:
        view: What the question is about.
        example: Of kind location or placement.
        rng: Draws the places that a mask of free space is filled from.

    Returns:
        All visible pixels of the thing, or all bare pixels of the platform at which the words
        hold; nearness and parts of a surface fade slowly, so there: where they hold beyond
        doubt. None if the words mean a single place ("the nearest one", "the middle").
    """
    facts = example.facts
    if example.kind is Kind.LOCATION:
        mask = view.scene.object(facts["target"]).mask
        return np.zeros(view.rgb.shape[:2], bool) if mask is None else mask
    if facts["nearest"] or facts["relation"] == Relation.MIDDLE:
        return None
    if facts["relation"] == Relation.INSIDE:
        return _inside(view.scene, view.scene.object(facts["anchors"][0]))
    return _free(view, facts, rng)


def _free(view: View, facts: Mapping[str, Any], rng: np.random.Generator) -> BoolArray:
    """Return all bare pixels at which the words hold, from places that are drawn densely."""
    scene = view.scene
    space = FreeSpace(scene, _CLEARANCE_M)
    mask = np.zeros(view.rgb.shape[:2], np.uint8)
    platform = None
    vague = any(Relation(one["relation"]) in (*NEARNESS, *PARTS) for one in facts["constraints"])
    for _ in range(_DRAWS):
        spots = space.spots(
            [(Relation(one["relation"]), tuple(one["anchors"])) for one in facts["constraints"]],
            rng,
            _FOOTPRINT_M,
            frame=Frame(facts["frame"]),
            distance_m=facts["distance_m"],
        )
        platform = spots.platform
        kept = spots.clear if vague else np.ones(len(spots), bool)
        for surface in scene.surfaces if facts["sides"] else ():
            for part in table_parts(scene, surface):
                if [side.value for side in part.sides] == facts["sides"]:
                    kept = kept & part.owns(spots.points)
        _draw(mask, spots.pixels[kept])
    for thing in scene.objects:
        if thing.mask is not None and thing.id != platform:
            mask[thing.mask] = 0
    return mask > 0


def _draw(mask: UInt8Array, pixels: Array) -> None:
    """Draw discs around places, as wide as half of them are from their next neighbour."""
    if len(pixels) < 2:
        return
    nearest, _ = cKDTree(pixels).query(pixels, k=2)
    radius = max(1, round(float(np.median(nearest[:, 1]))))
    for u, v in pixels:
        cv2.circle(mask, (round(float(u)), round(float(v))), radius, 1, -1)


def _inside(scene: Scene, vessel: SceneObject) -> BoolArray:
    """Return the visible pixels of a vessel's inside: within its outline and below its rim."""
    assert vessel.mask is not None
    assert scene.depth_m is not None
    mask = np.zeros_like(vessel.mask)
    v, u = np.nonzero(vessel.mask)
    k, depth = scene.camera.intrinsics, scene.depth_m[v, u]
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(len(u))], 1)
    points: Array = scene.camera.to_scene(rays * depth[:, None])
    height = vessel.box.top - vessel.box.bottom
    low = vessel.box.top - points[:, 2] >= _BELOW_RIM * height
    # Its outer wall is at the border of the outline.
    inside = depth_inside(points[:, :2], footprint(vessel)) >= 0.05 * vessel.box.size[:2].min()
    mask[v, u] = low & inside
    return mask
