# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How a target that was seen once looks elsewhere: its near parts move more than its far ones.

A thing that is pushed aside by its own length, or that a moving camera passes, shows itself in
another perspective. Depth says how.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Array
from roborefer_perception.core.sheets import Plane, Print, slopes_of

# Which part of the print comes to lie on an element is found by so many corrections.
_CORRECTIONS = 2


def seen_at(target: Print, point: Array, rotation: Array, axis: Array) -> Print:
    """Draw a print as it looks at another place.

    Args:
        target: As it was seen.
        point: Where its point is now, in the optical frame, metres, shape (3,).
        rotation: Takes directions in the optical frame of then to that of now, shape (3, 3).
        axis: The target may turn about this direction, in the optical frame of now, shape (3,).

    Returns:
        A print of the same size and grain.
    """
    shape = target.weight.shape
    places = target.offsets.reshape(-1, 3) @ rotation.T.astype(np.float32)
    places = (places + point.astype(np.float32)).reshape(*shape, 3)
    depth = np.maximum(places[..., 2], np.float32(0.05))
    middle = (point[:2] / point[2]).astype(np.float32)
    # Elements are metres at the depth of the point.
    spread = np.float32(point[2] / target.grain_m)
    landed = (places[..., :2] / depth[..., None] - middle) * spread
    swing = np.cross(axis.astype(np.float32), places - point.astype(np.float32))
    flow = swing[..., :2] - places[..., :2] * (swing[..., 2:] / depth[..., None])
    flow *= spread / depth[..., None]
    left, top = target.sheet.middle
    columns, rows = np.meshgrid(
        np.arange(shape[1], dtype=np.float32) - left, np.arange(shape[0], dtype=np.float32) - top
    )
    here = np.dstack([columns, rows])
    away = np.ascontiguousarray(landed - here)
    source = here
    for _ in range(_CORRECTIONS):
        source = here - _pick(away, source, (left, top), cv2.INTER_LINEAR)
    sheet = target.sheet
    colour = _pick(sheet.colour, source, (left, top), cv2.INTER_LINEAR).astype(np.uint8)
    # Relief follows the surface: what the target's own change of depth adds to that of its point.
    relief = sheet.relief + (depth - np.float32(point[2]) - target.offsets[..., 2])
    surface = depth - np.float32(point[2])
    layers = np.dstack([relief, sheet.deep, sheet.inside, target.weight])
    found = _pick(layers, source, (left, top), cv2.INTER_NEAREST)
    both = np.dstack([surface, target.on.astype(np.float32)])
    behind = _pick(both, source, (left, top), cv2.INTER_NEAREST)
    deep = found[..., 1] > 0
    drawn = replace(
        sheet, colour=colour, relief=np.where(deep, found[..., 0], np.float32(0)), deep=deep,
        inside=found[..., 2] > 0,
    )  # fmt: skip
    return replace(
        target,
        sheet=drawn,
        weight=found[..., 3],
        on=behind[..., 1] > 0,
        slopes=slopes_of(drawn.colour),
        surface=behind[..., 0],
        flow=_pick(flow, source, (left, top), cv2.INTER_LINEAR),
    )


def _pick(
    picture: npt.NDArray[np.generic], source: Plane, middle: tuple[int, int], how: int
) -> npt.NDArray[np.float32]:
    picked: npt.NDArray[np.float32] = np.asarray(
        cv2.remap(
            np.ascontiguousarray(picture),
            np.ascontiguousarray(source[..., 0] + np.float32(middle[0])),
            np.ascontiguousarray(source[..., 1] + np.float32(middle[1])),
            how,
            borderMode=cv2.BORDER_CONSTANT if how == cv2.INTER_NEAREST else cv2.BORDER_REPLICATE,
        )
    )
    return picked
