# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What things can be ordered by: the measures behind superlatives and ordinals."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.boxes import surface_distances
from roborefer_vlm.scenes.frames import Frame, axes_of
from roborefer_vlm.scenes.graph import Array, Scene
from roborefer_vlm.scenes.places import UP, Anchor, Places
from roborefer_vlm.scenes.relations import comparisons
from roborefer_vlm.scenes.relations.names import Key
from roborefer_vlm.scenes.relations.proximity import viewer_distances


def measure(
    key: Key,
    scene: Scene,
    places: Places,
    anchor: Anchor | None = None,
    *,
    frame: Frame = Frame.VIEWER,
) -> Array:
    """Return by how much each place is what the key says; the largest is the "-est" one.

    - LEFT, RIGHT: in the viewer's frame where it stands in the picture, as an angle from the
      line of sight, since people count from the left by what they see; in the other frames, and
      with an anchor, metres along the axis from the anchor or the scene's origin.
    - FRONT, BEHIND: metres along the frame's axis, "in front" is nearer to the viewer.
    - HIGH, LOW: z of the centre, metres.
    - NEAR, FAR: to the anchor's surface, or to the camera without an anchor, metres.
    - TALL, SHORT: vertical extent. BIG, SMALL: side of the cube of the same surface. WIDE,
      NARROW: longer side of the footprint. LONG: longest side. THICK, THIN: shortest side.

    Keys that ask for little (LOW, NEAR, SHORT, SMALL, NARROW, THIN) give the negative value, so
    that `-measure(Key.NEAR, ...)` are metres.

    Args:
        key: What to order by.
        scene: Who looks.
        places: The N candidates. An anchor among them is nearest to itself; leave it out.
        anchor: What nearness and position refer to.
        frame: Whose left and front; OBJECT needs an anchor that has a front.

    Returns:
        Shape (N,), finite.

    Raises:
        QueryError: The frame does not suit the key or the anchor.
    """
    opposite = {
        Key.RIGHT: Key.LEFT,
        Key.BEHIND: Key.FRONT,
        Key.LOW: Key.HIGH,
        Key.NEAR: Key.FAR,
        Key.SHORT: Key.TALL,
        Key.SMALL: Key.BIG,
        Key.NARROW: Key.WIDE,
        Key.THIN: Key.THICK,
    }
    if key in opposite:
        return -measure(opposite[key], scene, places, anchor, frame=frame)
    if key in (Key.LEFT, Key.FRONT):
        return _position(key, scene, places, anchor, frame)
    if key is Key.HIGH:
        return np.asarray(places.centers @ UP)
    if key is Key.FAR:
        if anchor is None:
            return viewer_distances(scene, places)
        return surface_distances(places, Places.of_objects([anchor]))
    return {
        Key.TALL: comparisons.heights,
        Key.BIG: comparisons.sizes,
        Key.WIDE: comparisons.widths,
        Key.LONG: comparisons.lengths,
        Key.THICK: comparisons.thicknesses,
    }[key](places)


def _position(
    key: Key, scene: Scene, places: Places, anchor: Anchor | None, frame: Frame
) -> Array:
    if key is Key.LEFT and anchor is None and frame in (Frame.VIEWER, Frame.IMAGE):
        optical = scene.camera.to_optical(places.centers)
        return np.asarray(-np.arctan2(optical[:, 0], optical[:, 2]))
    if frame is Frame.IMAGE and key is Key.FRONT:
        raise QueryError("the picture has no front; use frame viewer, world or object")
    axes = axes_of(Frame.VIEWER if frame is Frame.IMAGE else frame, scene, anchor)
    origin = Places.of_objects([anchor]).centers[0] if anchor is not None else np.zeros(3)
    return np.asarray((places.centers - origin) @ (axes.left if key is Key.LEFT else axes.front))
