# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether words fit a thing of a known scene: by what its source says, and nothing else."""

from __future__ import annotations

from roborefer_vlm.data.clarity import NO, UNCLEAR, YES
from roborefer_vlm.data.views import Fact, View
from roborefer_vlm.scenes.graph import SceneObject, Surface
from roborefer_vlm.scenes.program import OrderKey, Thing

ANYTHING = "object"
COLORS = frozenset(
    [
        "red",
        "orange",
        "yellow",
        "green",
        "blue",
        "purple",
        "pink",
        "brown",
        "black",
        "gray",
        "white",
        "teal",
        "beige",
    ]
)
# A thing is called after a colour that covers this share of it, and not after one below the
# other share.
COLOR_FROM = 0.5
NO_COLOR_TO = 0.15


class ExactMatcher:
    """Compares phrases with things by their annotated names, colours and attributes."""

    def __init__(self, view: View) -> None:
        self._colors_known = Fact.COLORS in view.trusts
        self._nouns: dict[int, frozenset[str]] = {}
        self._heads: dict[int, frozenset[str]] = {}
        for thing in view.scene.objects:
            own = tuple(view.nouns.get(thing.id, ())) or (thing.name,)
            named = frozenset((*own, *view.kinds.get(thing.id, ()), ANYTHING))
            self._nouns[thing.id] = named
            self._heads[thing.id] = frozenset(noun.split()[-1] for noun in named if noun)

    def noun(self, noun: str, thing: SceneObject) -> float:
        """Return the state of a noun; of what is called "long block", "block" is unclear."""
        if noun in self._nouns[thing.id]:
            return YES
        return UNCLEAR if noun in self._heads[thing.id] else NO

    def attribute(self, attribute: str, thing: SceneObject) -> float:
        """Return the state of a colour or of another attribute."""
        if attribute not in COLORS:
            return YES if attribute in thing.attributes else NO
        if not self._colors_known:
            return UNCLEAR
        share = thing.colors.get(attribute, 0.0)
        return YES if share >= COLOR_FROM else NO if share <= NO_COLOR_TO else UNCLEAR

    def state(self, phrase: Thing, thing: SceneObject) -> float:
        """Return the state of noun and attributes of a phrase, without relations.

        Features, such as a lid, are not annotated, so they are unclear.
        """
        states = [self.noun(phrase.noun, thing)]
        states += [self.attribute(word, thing) for word in phrase.attributes]
        states += [1 - self.attribute(word, thing) for word in phrase.excluded]
        states += [UNCLEAR for _ in phrase.features]
        return min(states)

    def score(self, phrase: Thing, thing: SceneObject) -> float:
        """Return 0.0 for what clearly does not fit, else 1.0."""
        return 1.0 if self.state(phrase, thing) > NO else 0.0

    def surface(self, noun: str, surface: Surface) -> float:
        """Return 1.0 if a noun is the name of a support surface, else 0.0."""
        return 1.0 if noun == surface.name else 0.0

    def relative_key(self, attribute: str) -> OrderKey | None:
        """Return None: "small" is said as a superlative in data, never as an attribute."""
        return None
