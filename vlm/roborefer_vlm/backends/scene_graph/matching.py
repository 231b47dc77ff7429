# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How well a thing of the scene fits the words for it, from 0 to 1.

Names of things come from people or detectors and are often partial ("meat_can", "near_cup",
"crackers"), generic ("box") or missing. So nouns are compared by what they mean, a name that says
nothing about a word leaves it open, a name that says something else speaks against it, and the
looks that perception measured decide where names do not.
"""

from __future__ import annotations

from roborefer_vlm.backends.scene_graph.lexicon import Lexicon, lexicon
from roborefer_vlm.backends.scene_graph.looks import NEUTRAL, Looks
from roborefer_vlm.backends.scene_graph.naming import Naming, split_name
from roborefer_vlm.scenes.graph import SceneObject, Surface
from roborefer_vlm.scenes.program import Feature, OrderKey, Thing

# Compared with the other things that fit (see scenes.grounding); no property of one thing.
RELATIVE = {
    word: OrderKey(word)
    for word in ("big", "small", "tall", "short", "long", "wide", "thin", "thick")
}
# Things that have these parts as a rule, and things like them that do not.
_HAS = {"handle": ({"mug", "pan", "pitcher", "kettle", "basket"}, {"cup", "glass", "bowl"})}


class Matcher:
    """Compares phrases with the things of one or many scenes."""

    def __init__(self, words: Lexicon | None = None) -> None:
        self.words = words or lexicon()
        self._looks = Looks(self.words)
        self._naming = Naming(self.words, self._looks)

    def noun(self, noun: str, thing: SceneObject) -> float:
        """Return how well the head words of a phrase name a thing."""
        return self._naming.score(noun, thing)

    def score(self, phrase: Thing, thing: SceneObject) -> float:
        """Return how well noun, attributes and features of a phrase fit, without relations."""
        total = self.noun(phrase.noun, thing)
        colors = sum(attribute in self.words.colors for attribute in phrase.attributes)
        for attribute in phrase.attributes:
            total *= self.attribute(attribute, thing, shared_by=max(1, colors))
        for attribute in phrase.excluded:
            total *= max(0.02, 1 - self.attribute(attribute, thing))
        for feature in phrase.features:
            total *= self._feature(feature, thing)
        return total

    def attribute(self, attribute: str, thing: SceneObject, shared_by: int = 1) -> float:
        """Return how true an attribute is of a thing.

        Args:
            attribute: A word of the lexicon, or any other; nobody measures those.
            thing: Of the scene.
            shared_by: How many colours the phrase names, which share the surface.
        """
        if attribute in split_name(thing.name):
            return 1.0
        if attribute in self.words.colors:
            return self._looks.color(attribute, thing, shared_by)
        quality = self.words.qualities.get(attribute, attribute)
        if quality in RELATIVE:
            return 1.0
        score = self._looks.quality(quality, thing)
        # A word that nobody here measures may still have come with the thing.
        known = score != NEUTRAL or attribute not in thing.attributes
        return score if known else 1.0

    def relative_key(self, attribute: str) -> OrderKey | None:
        """Return what an attribute such as "small" compares; None: it is no comparison."""
        return RELATIVE.get(self.words.qualities.get(attribute, attribute))

    def surface(self, noun: str, surface: Surface) -> float:
        """Return how well a noun names a support surface; "desk" will do for a table."""
        if not self.words.is_surface(noun):
            return 0.0
        names = {n.name for n in self.words.noun(noun) or self.words.noun(noun.split()[-1])}
        return 1.0 if names & {n.name for n in self.words.noun(surface.name)} else 0.4

    def _feature(self, feature: Feature, thing: SceneObject) -> float:
        score = self._has(feature.part, thing)
        if feature.negated:
            return 1 - score
        for attribute in feature.attributes:
            # A part covers a share of the whole only.
            score *= self.attribute(attribute, thing, shared_by=2)
        return score

    def _has(self, part: str, thing: SceneObject) -> float:
        words = split_name(thing.name)
        if part in words or part in thing.attributes:
            return 0.95
        if part == "lid":
            return 0.45 if thing.hollow else 0.75
        usual, unusual = _HAS.get(part, (set(), set()))
        kinds = {noun.name for word in words for noun in self.words.noun(word)}
        if kinds & usual:
            return 0.9
        return 0.2 if kinds & unusual else 0.5
