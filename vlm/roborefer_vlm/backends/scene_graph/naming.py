# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Nouns against names: synonyms, kinds, what things are sold in, and names that say little."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING

from roborefer_vlm.backends.scene_graph.lexicon import Lexicon, Noun
from roborefer_vlm.backends.scene_graph.words import bare, singular
from roborefer_vlm.scenes.graph import SceneObject

if TYPE_CHECKING:
    from roborefer_vlm.backends.scene_graph.looks import Looks

EXACT = 1.0
# Less than what makes a phrase ambiguous: a cup is rather called so than a mug is.
KIND = 0.88
MORE_GENERAL = 0.6
ALIKE = 0.4
# Too little to stand in one row with what the name fits: a cup beside a bowl is no dish.
LOOSELY = 0.42
SAME_BROAD_KIND = 0.08
UNRELATED = 0.03
# A name that tells nothing: looks decide, and less surely than a name.
NAMELESS = 0.5
# A modifier that the name neither holds nor contradicts.
OPEN = 0.55
OPPOSED = 0.12
# A modifier that the name holds in part, or in a more general word.
PARTIAL = 0.85


@lru_cache(maxsize=4096)
def split_name(name: str) -> tuple[str, ...]:
    """Return the words of a name as people and programs write it: "meat_can", "Red Mug #2"."""
    words = re.findall(r"[^\W_]+(?:['&-][^\W_]+)*", name.lower())
    return tuple(word for word in words if not word.isdecimal())


@dataclass(frozen=True)
class Concept:
    """A noun phrase or a name, taken apart.

    Attributes:
        head: Its main word.
        kinds: What the lexicon knows under the main word or words.
        modifiers: The other words, in runs that belong together.
    """

    head: str
    kinds: tuple[Noun, ...]
    modifiers: tuple[tuple[str, ...], ...]


class Naming:
    """Compares the noun of a phrase with the name of a thing."""

    def __init__(self, words: Lexicon, looks: Looks) -> None:
        self.words = words
        self.looks = looks

    def score(self, noun: str, thing: SceneObject) -> float:
        """Return how well a noun phrase such as "soup can" names a thing."""
        if noun.split()[-1] in self.words.anything and not self.words.noun(noun):
            rest = noun.split()[:-1]
            return self.score(" ".join(rest), thing) if rest else EXACT
        phrase, name = self.concept(split_name(noun)), self.concept(split_name(thing.name))
        if not phrase.head:
            return UNRELATED
        if not name.head or name.head in self.words.anything:
            return NAMELESS * self._by_looks(phrase, thing)
        score = self._head(phrase, name, thing)
        for run in phrase.modifiers:
            score *= self._modifier(run, name, thing)
        # Whoever says "mustard bottle" of a thing named "mustard" is surely right.
        content = [n for run in phrase.modifiers for n in self.words.noun(run)]
        named = {known.name for known in name.kinds}
        partly = bool(content) and all(noun.kinds & named for noun in content)
        if _shared(content, name.kinds) or partly:
            score = max(score, 0.7)
        # A "cookie box" may well be what somebody else called a tin.
        carriers = {name.head, phrase.head}
        if len(carriers) == 2 and carriers <= self.words.carriers:
            likely = any(name.head in noun.held_in for noun in content)
            score = max(score, 0.45) if likely and not name.modifiers else score
        return score

    def concept(self, words: Sequence[str]) -> Concept:
        """Take the words of a phrase or name apart."""
        plain = [w for w in words if w not in self.words.tags]
        if "of" in plain[1:-1]:
            # "Roll of tape" may be known as a whole; else its head stands first.
            if self.words.noun(tuple(plain)):
                return Concept(plain[0], tuple(self.words.noun(tuple(plain))), ())
            at = plain.index("of")
            plain = [*plain[at + 1 :], *plain[:at]]
        runs = self._runs(plain)
        if not runs:
            return Concept("", (), ())
        last = runs[-1]
        return Concept(last[-1], tuple(self.words.noun(last)), tuple(runs[:-1]))

    def _runs(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Split words into the longest known nouns, from the last word on."""
        runs: list[tuple[str, ...]] = []
        end = len(words)
        while end > 0:
            for begin in range(max(0, end - 4), end):
                if begin == end - 1 or self.words.noun(tuple(words[begin:end])):
                    runs.append(tuple(words[begin:end]))
                    end = begin
                    break
        return [
            run
            for i, run in enumerate(runs[::-1])
            if i == len(runs) - 1 or len(run) > 1 or run[0] not in self.words.colors
        ]

    def _head(self, phrase: Concept, name: Concept, thing: SceneObject) -> float:
        wanted, have = bare(singular(phrase.head)), bare(singular(name.head))
        if wanted == have or _shared(phrase.kinds, name.kinds):
            return EXACT
        best = self._by_kind(phrase.kinds, name.kinds)
        # The content of what is named: a "soup can" is food as well.
        for run in name.modifiers:
            nouns = self.words.noun(run)
            if bare(singular(run[-1])) == wanted or _shared(phrase.kinds, nouns):
                best = max(best, 0.8)
            best = max(best, 0.8 * self._by_kind(phrase.kinds, nouns))
        if not (phrase.kinds and name.kinds):
            ratio = SequenceMatcher(None, wanted, have).ratio()
            best = max(best, 0.8 if ratio > 0.82 else UNRELATED)
        shapes = {noun.shape for noun in phrase.kinds} & {"box", "ball"}
        if any(shape in thing.attributes for shape in shapes):
            best = max(best, 0.2)
        return max(best, UNRELATED)

    def _by_kind(self, wanted: Sequence[Noun], have: Sequence[Noun]) -> float:
        return max((self._pair(w, h) for w in wanted for h in have), default=0.0)

    def _pair(self, wanted: Noun, have: Noun) -> float:
        if wanted.name in have.kinds:
            return KIND
        best = LOOSELY if wanted.name in have.loosely else 0.0
        for rank, container in enumerate(have.held_in):
            kinds = {k for noun in self.words.noun(container) for k in noun.kinds}
            if wanted.name in kinds | {container}:
                best = max(best, 0.9 - 0.07 * rank)
        if have.name in wanted.kinds:
            best = max(best, MORE_GENERAL if have.name not in self.words.broad else 0.35)
        if any(have.name == container for container in wanted.held_in):
            best = max(best, 0.5)
        common = (wanted.kinds & have.kinds) - {wanted.name, have.name}
        if common - self.words.broad:
            best = max(best, ALIKE)
        elif common:
            best = max(best, SAME_BROAD_KIND)
        return best

    def _modifier(self, run: tuple[str, ...], name: Concept, thing: SceneObject) -> float:
        """Return how well one modifier of a phrase, such as "soup" in "soup can", fits."""
        spelled = {bare(singular(w)) for r in (*name.modifiers, (name.head,)) for w in r}
        if all(bare(singular(word)) in spelled for word in run):
            return 1.0
        if any(attribute in run for attribute in thing.attributes):
            return 1.0
        nouns = self.words.noun(run)
        contents = [n for r in name.modifiers for n in self.words.noun(r)] + list(name.kinds)
        if _shared(nouns, contents) or self._by_kind(nouns, contents) >= KIND:
            return 1.0
        # A name may be partial ("snacks") or more general than the phrase ("soda").
        general = any(c.held_in and c.name in n.kinds for n in nouns for c in contents)
        if general or any(bare(singular(word)) in spelled for word in run):
            return PARTIAL
        known = [n for n in contents if n.held_in or n.name not in self.words.carriers]
        usual = {color for noun in nouns for color in noun.colors}
        looks = max((self.looks.color(color, thing) for color in usual), default=None)
        if known and nouns and any(n.held_in for n in known) and any(n.held_in for n in nouns):
            return OPPOSED
        if looks is not None:
            return OPEN * (0.3 + 1.1 * looks)
        if nouns and name.modifiers:
            return OPEN * 0.6
        return OPEN

    def _by_looks(self, phrase: Concept, thing: SceneObject) -> float:
        """Return how well a thing without a name looks like what the phrase names."""
        kinds = list(phrase.kinds)
        for run in phrase.modifiers:
            kinds += self.words.noun(run)
        if not kinds:
            return 0.4
        scores = []
        for kind in kinds:
            known = kind.size or kind.shape or kind.colors
            members = [kind] if known else self._members(kind.name)
            best = max((self.looks.resemblance(m, thing) for m in members), default=0.4)
            scores.append(best if known else 0.9 * best)
        result = 1.0
        for score in scores[:3]:
            result *= score
        return max(0.1, float(result ** (1.5 / len(scores[:3]))))

    def _members(self, kind: str) -> list[Noun]:
        return [n for n in self.words.nouns.values() if kind in n.kinds and (n.size or n.shape)]


def _shared(first: Sequence[Noun], second: Sequence[Noun]) -> bool:
    return bool({noun.name for noun in first} & {noun.name for noun in second})
