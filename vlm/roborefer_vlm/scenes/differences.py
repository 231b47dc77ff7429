# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""In which words several alike things differ, so that a person can choose one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roborefer_vlm.scenes.graph import Scene, SceneObject
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.relations import Key, measure

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def differences(scene: Scene, things: Sequence[SceneObject]) -> list[str]:
    """Return for each thing what tells it from the others, such as "the left one, red".

    Args:
        scene: Who looks.
        things: At least two.
    """
    colors = [max(t.colors, key=lambda c, t=t: t.colors[c]) if t.colors else "" for t in things]  # type: ignore[misc]
    places = _places(scene, things)
    return [
        f"{place}, {color}" if color and colors.count(color) < len(colors) else place
        for place, color in zip(places, colors, strict=True)
    ]


def _places(scene: Scene, things: Sequence[SceneObject]) -> list[str]:
    """Return the place of each in the row along which they are spread most."""
    located = Places.of_objects(things)
    pixels, _ = scene.camera.project(located.centers)
    across = measure(Key.LEFT, scene, located)
    depths = measure(Key.NEAR, scene, located)
    k = scene.camera.intrinsics
    spread = float(np.ptp(pixels[:, 0])) / k.width if np.isfinite(pixels).all() else 1.0
    if spread > 0.08 or float(np.ptp(depths)) < 0.05:
        return _ranks(across, "left", "right")
    return _ranks(depths, "near", "far")


def _ranks(values: np.ndarray, first: str, last: str) -> list[str]:
    order = np.argsort(-values, kind="stable")
    words = [""] * len(values)
    for rank, index in enumerate(order):
        if rank == 0:
            words[index] = f"the {first} one"
        elif rank == len(values) - 1:
            words[index] = f"the {last} one"
        elif len(values) == 3:
            words[index] = "the middle one"
        else:
            nth = _ORDINALS[rank] if rank < len(_ORDINALS) else f"{rank + 1}th"
            words[index] = f"the {nth} from the {first}"
    return words
