# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Words about looks against what perception measured: colours, shapes, poses, sizes."""

from __future__ import annotations

from roborefer_vlm.backends.scene_graph.lexicon import Lexicon, Noun
from roborefer_vlm.backends.scene_graph.naming import split_name
from roborefer_vlm.scenes.graph import SceneObject

# Share of the visible surface from which a thing is called by a colour.
ENOUGH = 0.4
# What a word for a thing of another look is worth; not nothing, for colours are measured badly.
CONTRADICTED = 0.08
NEUTRAL = 0.6
# How much a colour counts for one that is mixed up with it: a thing all of such a colour is meant
# where nothing fits better, and does not stand in one row with those that have the colour.
MIXED_UP = 0.16

# Per quality the measured words that confirm it, and those that speak against it.
_QUALITIES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(yes.split()), frozenset(no.split()))
    for name, yes, no in (
        ("lying", "lying", "upright standing"),
        ("upright", "upright standing", "lying flat"),
        ("round", "round ball spherical cylinder cylindrical", "box rectangular boxy long"),
        ("square", "box rectangular boxy", "round ball cylinder long"),
        ("box-shaped", "box rectangular boxy", "round ball cylinder cylindrical"),
        ("cylindrical", "cylinder cylindrical", "box rectangular boxy ball flat"),
        ("flat", "flat", "tall upright ball"),
        ("elongated", "long elongated", "ball round"),
        ("hollow", "hollow open", ""),
        ("opened", "open hollow", ""),
        ("closed", "", "open hollow"),
        ("full", "", ""),
    )
}
# Shapes of the lexicon in words that perception measures.
_SHAPES = {
    "box": frozenset({"box", "rectangular", "boxy"}),
    "cylinder": frozenset({"cylinder", "cylindrical", "round"}),
    "ball": frozenset({"ball", "spherical", "round"}),
    "flat": frozenset({"flat", "thin"}),
    "long": frozenset({"long", "elongated"}),
    "bowl": frozenset({"hollow", "open", "round"}),
}
# A thing of any shape may have these; only measuring tells.
POSES = frozenset({"lying", "upright", "opened", "closed", "full", "hollow"})
_BODIES = frozenset({"box", "cylinder", "ball", "flat", "long"})


class Looks:
    """Compares words with measured looks."""

    def __init__(self, words: Lexicon) -> None:
        self.words = words

    def color(self, color: str, thing: SceneObject, shared_by: int = 1) -> float:
        """Return how true it is that a thing has a colour.

        A colour in the thing's own name, or given with it, counts more than the measured one.
        Colours that people and cameras mix up count in part.
        """
        wanted = self.words.colors[color]
        named = {
            basic
            for word in (*split_name(thing.name), *thing.attributes)
            for basic in self.words.colors.get(word, frozenset())
        }
        if named & wanted:
            return 1.0
        if not thing.colors:
            return 0.2 if named else NEUTRAL
        near = {n for basic in wanted for n in self.words.color_neighbours[basic]} - wanted
        share = sum(thing.colors.get(basic, 0.0) for basic in wanted)
        share += MIXED_UP * sum(thing.colors.get(basic, 0.0) for basic in near)
        score = CONTRADICTED + (1 - CONTRADICTED) * min(1.0, share * shared_by / ENOUGH)
        return score * 0.5 if named else score

    def quality(self, quality: str, thing: SceneObject) -> float:
        """Return how true a word for shape, pose or state is; neutral where nothing tells.

        What things of that name usually look like counts twice as much as the measured shape:
        from one side a banana measures as a cylinder.
        """
        confirm, contradict = _QUALITIES.get(quality, (frozenset(), frozenset()))
        measured = 0.4 if confirm else NEUTRAL
        if confirm & thing.attributes:
            measured = 1.0
        elif contradict & thing.attributes:
            measured = 0.15
        nouns = self.words.noun(split_name(thing.name)[-1:]) if thing.name else []
        usual = {word for noun in nouns for word in noun.looks}
        bodies = {word for noun in nouns if noun.shape for word in _SHAPES[noun.shape]}
        if quality in usual:
            return (2.0 + measured) / 3
        if quality in POSES or not bodies or not confirm:
            return measured
        if bodies & confirm:
            return (2.0 + measured) / 3
        return (0.3 + measured) / 3 if bodies & contradict else measured

    def resemblance(self, noun: Noun, thing: SceneObject) -> float:
        """Return how much a thing looks like things of a kind usually do, 0 to 1."""
        score = 1.0
        if noun.size is not None:
            longest = float(max(thing.box.size))
            low, high = noun.size[0] * 0.8, noun.size[1] * 1.2
            score *= _within(longest, low, high)
        if noun.tall is not None:
            low, high = noun.tall[0] * 0.85, noun.tall[1] * 1.15
            score *= max(_within(ratio, low, high) for ratio in _slenderness(thing))
        if noun.hollow != thing.hollow:
            score *= 0.4 if noun.hollow else 0.55
        if noun.shape:
            seen = {body for body in _BODIES if _SHAPES[body] & thing.attributes}
            if _SHAPES[noun.shape] & thing.attributes:
                score *= 1.0
            else:
                score *= 0.35 if seen else 0.7
        if noun.colors:
            score *= max(self.color(color, thing) for color in noun.colors)
        return score


def _within(value: float, low: float, high: float) -> float:
    """Return 1 for a value within limits, and less the further off it is, by ratio."""
    ratio = max(low / max(value, 1e-3), value / high, 1.0)
    return float(max(0.05, 1.0 / ratio**3))


def _slenderness(thing: SceneObject) -> tuple[float, ...]:
    """Return height over width, and for a lying thing also its length over its width."""
    length, width, _ = sorted((float(x) for x in thing.box.size), reverse=True)
    standing = float(thing.box.size[2]) / max(float(max(thing.box.size[:2])), 1e-3)
    return (standing, length / max(width, 1e-3)) if "lying" in thing.attributes else (standing,)
