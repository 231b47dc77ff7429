# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The flat top of a thing: the one part that box and true depth tell exactly."""

from __future__ import annotations

import cv2
import numpy as np

from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.scenes.pointing import inner_pixel

# A pixel shows the top if it lies within that much of the highest one, metres or share of height.
_LEAST_DEPTH_M = 0.002
_DEPTH_SHARE = 0.04
# Share of the visible pixels that a flat top has at least; round things have less.
_LEAST_SHARE = 0.15
# Height over longest side: of what lies flat nobody says which end is its top.
_LEAST_STANDING = 0.4
_LEAST_PIXELS = 60


def top_point(truth: Truth, number: int) -> tuple[float, float] | None:
    """Return a point on the flat top of a thing, x and y from 0 to 1 with three decimals.

    None: it has no such top, or it cannot be seen, or the source knows no true metres. The rim
    of a hollow thing is no top to point at.
    """
    view, thing = truth.view, truth.thing(number)
    depth = view.scene.depth_m
    known = {Fact.METRIC, Fact.BOXES} <= view.trusts
    if not known or depth is None or thing.mask is None or thing.hollow:
        return None
    height_m = thing.box.top - thing.box.bottom
    if height_m < _LEAST_STANDING * float(thing.box.size.max()):
        return None
    v, u = np.nonzero(thing.mask & (depth > 0))
    if len(v) < _LEAST_PIXELS:
        return None
    k, z = view.scene.camera.intrinsics, depth[v, u].astype(float)
    optical = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z], axis=1)
    heights = view.scene.camera.to_scene(optical)[:, 2]
    slack = max(_LEAST_DEPTH_M, _DEPTH_SHARE * height_m)
    is_top = np.abs(heights - thing.box.top) <= slack
    if is_top.sum() < max(_LEAST_PIXELS, _LEAST_SHARE * len(v)):
        return None
    region = np.zeros(depth.shape, np.uint8)
    region[v[is_top], u[is_top]] = 1
    inside = cv2.erode(region, np.ones((5, 5), np.uint8))
    if not inside.any():
        return None
    width, height = k.width, k.height
    x, y = inner_pixel(inside > 0).normalised(width, height)
    x, y = round(x, 3), round(y, 3)
    return (x, y) if region[int(y * height), int(x * width)] else None
