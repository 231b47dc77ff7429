# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reasoning steps: where each anchor is, then where the thing is, as RoboRefer writes them.

A step reads `[Position] [the teal bowl]: [(0.245, 0.147)]`, normalised with three decimals
(arXiv 2506.04308, reasoning of RFT).
"""

from __future__ import annotations

from collections.abc import Iterator

from roborefer_vlm.scenes.graph import Scene
from roborefer_vlm.scenes.grounding import Grounder, anchor_phrases
from roborefer_vlm.scenes.places import Anchor as Place
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.pointing import place_pixel
from roborefer_vlm.scenes.program import Part, Thing
from roborefer_vlm.scenes.wording import describe
from roborefer_vlm.types import PerceptionType, Pixel, ReasoningStep


def position_step(scene: Scene, target: str, pixel: Pixel) -> ReasoningStep:
    """Return the step that says where something is."""
    k = scene.camera.intrinsics
    x, y = pixel.normalised(k.width, k.height)
    text = f"[Position] [{target}]: [({x:.3f}, {y:.3f})]"
    return ReasoningStep(text, PerceptionType.POSITION, target, pixel)


def trace(grounder: Grounder, phrase: Thing, place: Place) -> Iterator[ReasoningStep]:
    """Yield the steps that lead to a thing: its anchors, their anchors first, then itself."""
    scene = grounder.scene
    for constraint in phrase.constraints:
        best = grounder.grounding_of(constraint, Places.of_objects([place]))
        for inner, anchor in zip(anchor_phrases(constraint, best), best.places, strict=True):
            yield from trace(grounder, inner, anchor)
    for order in phrase.orders:
        inner_phrase = order.anchor.of if isinstance(order.anchor, Part) else order.anchor
        if isinstance(inner_phrase, Thing):
            yield from trace(grounder, inner_phrase, grounder.options(inner_phrase)[0].place)
    pixel = place_pixel(scene, place)
    if pixel is not None:
        yield position_step(scene, describe(phrase), pixel)
