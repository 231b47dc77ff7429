# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lines of sight: which points of a scene the camera sees."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from roborefer_vlm.scenes.graph import Array, OrientedBox, Scene
from roborefer_vlm.scenes.relations.thresholds import value


def visible(
    scene: Scene, points: Array, ignored: Collection[int] = ()
) -> tuple[npt.NDArray[np.bool_], Array]:
    """Tell which points are in the image with nothing nearer in front of them.

    By the measured depth where there is one at the pixel (within 2.5 cm, RefSpatial, arXiv
    2506.04308), else by the boxes that the line of sight passes through.

    Args:
        scene: Where all of it is.
        points: Shape (N, 3), the scene's frame, metres.
        ignored: Ids of things whose boxes hide nothing.

    Returns:
        Whether each is seen, shape (N,), and its pixel (u, v), shape (N, 2), NaN where it is not
        in front of the camera.
    """
    pixels, depths = scene.camera.project(points)
    k = scene.camera.intrinsics
    seen = (depths > 0) & (pixels >= -0.5).all(axis=1)
    seen &= (pixels[:, 0] < k.width - 0.5) & (pixels[:, 1] < k.height - 0.5)
    measured = np.zeros(len(points))
    if scene.depth_m is not None:
        columns, rows = np.rint(pixels[seen]).astype(int).T
        at_pixel = scene.depth_m[rows, columns].astype(float)
        measured[seen] = np.nan_to_num(at_pixel, posinf=0, neginf=0)
    known = measured > 0
    seen &= ~known | (np.abs(measured - depths) <= value("visibility"))
    guessed = np.flatnonzero(seen & ~known)
    if len(guessed):
        for thing in scene.objects:
            if thing.id not in ignored:
                hidden = sight_crosses(scene.camera.position, points[guessed], thing.box)
                seen[guessed[hidden]] = False
    return seen, pixels


def sight_crosses(eye: Array, points: Array, box: OrientedBox) -> npt.NDArray[np.bool_]:
    """Tell which lines from the eye to points, shape (N, 3), pass through a box (slab test).

    A box that is entered less than 2.5 cm before the point does not count: a surface that
    carries the point, measured a little too high, hides nothing of it.
    """
    start = (eye - box.center) @ box.rotation
    step = (points - eye) @ box.rotation
    step = np.where(np.abs(step) < 1e-12, 1e-12, step)
    near, far = (-box.size / 2 - start) / step, (box.size / 2 - start) / step
    enter, leave = np.minimum(near, far).max(axis=1), np.maximum(near, far).min(axis=1)
    before = (1 - enter) * np.linalg.norm(points - eye, axis=1) > value("visibility")
    return np.asarray((enter < leave) & (leave > 0) & before)
