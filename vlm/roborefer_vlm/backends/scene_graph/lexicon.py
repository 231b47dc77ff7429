# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The words that grammar and matching know, read from lexicon.toml and phrases.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from roborefer_vlm.backends.scene_graph.words import bare, singular, tokenise

Tokens = tuple[str, ...]


@dataclass(frozen=True)
class Noun:
    """What is generally known about a kind of thing.

    Attributes:
        name: Canonical name.
        kinds: Everything it is, itself included, to the most general.
        loosely: What else it is called where nothing fits that name better.
        held_in: Containers that it is sold or kept in, the most usual one first.
        shape: How it usually looks: box, cylinder, ball, flat, long, bowl; or "".
        size: Shortest and longest usual length of its longest side, metres.
        tall: Least and most usual height over width when it stands.
        colors: Basic colours that nearly all of them have.
        hollow: Things can be inside.
        surface: Things stand on it.
        faced: It has a front.
        looks: Other qualities that nearly all of them have.
    """

    name: str
    kinds: frozenset[str]
    held_in: tuple[str, ...] = ()
    shape: str = ""
    size: tuple[float, float] | None = None
    tall: tuple[float, float] | None = None
    colors: frozenset[str] = frozenset()
    hollow: bool = False
    surface: bool = False
    faced: bool = False
    looks: frozenset[str] = frozenset()
    loosely: frozenset[str] = frozenset()


class Phrases:
    """Fixed phrases with a meaning each; finds the ones that begin at a token."""

    def __init__(self, entries: Iterable[tuple[str, Any]]) -> None:
        self._by_first: dict[str, list[tuple[Tokens, Any]]] = {}
        for text, meaning in entries:
            tokens = tokenise(text)
            self._by_first.setdefault(tokens[0], []).append((tokens, meaning))
        for found in self._by_first.values():
            found.sort(key=lambda entry: -len(entry[0]))

    @property
    def meanings(self) -> set[Any]:
        """Everything that a phrase can mean."""
        return {meaning for found in self._by_first.values() for _, meaning in found}

    def at(self, tokens: Tokens, start: int) -> list[tuple[Any, int]]:
        """Return (meaning, end) of every phrase that begins here, the longest one first."""
        if start >= len(tokens):
            return []
        return [
            (meaning, start + len(phrase))
            for phrase, meaning in self._by_first.get(tokens[start], ())
            if tokens[start : start + len(phrase)] == phrase
        ]

    def end(self, tokens: Tokens, start: int) -> int:
        """Return where the longest phrase ends that begins here; start itself for none."""
        found = self.at(tokens, start)
        return found[0][1] if found else start


def _grouped(table: Mapping[str, Iterable[str]]) -> Phrases:
    return Phrases((text, key) for key, texts in table.items() for text in texts)


def _flat(texts: Iterable[str]) -> Phrases:
    return Phrases((text, text) for text in texts)


class Lexicon:
    """All tables, made ready for look-up."""

    def __init__(self, things: dict[str, Any], phrases: dict[str, Any]) -> None:
        self._read_nouns(things["things"])
        generic = things["generic"]
        self.anything = frozenset(generic["anything"])
        self.places = frozenset(generic["places"])
        self.free = frozenset(generic["free"])
        self.viewer = _flat(generic["viewer"])
        self.picture = frozenset(generic["picture"])
        self.broad = frozenset(generic["broad"])
        self.carriers = frozenset(generic["carriers"])
        self.tags = frozenset(generic["tags"])
        self._read_attributes(things)
        self.units = {
            word: float(unit["metres"])
            for name, unit in things["units"].items()
            for word in (name, *unit["also"])
        }
        self._read_phrases(phrases)

    def _read_nouns(self, table: dict[str, Any]) -> None:
        parents = {name: tuple(entry.get("is", ())) for name, entry in table.items()}

        def kinds(name: str, seen: frozenset[str]) -> frozenset[str]:
            found = seen | {name}
            for parent in parents.get(name, ()):
                if parent not in found:
                    found |= kinds(parent, found)
            return found

        self.nouns: dict[str, Noun] = {}
        self._by_words: dict[Tokens, list[str]] = {}
        for name, entry in table.items():
            self.nouns[name] = Noun(
                name,
                kinds(name, frozenset()),
                tuple(entry.get("in", ())),
                entry.get("shape", ""),
                _range(entry.get("size")),
                _range(entry.get("tall")),
                frozenset(entry.get("colors", ())),
                entry.get("hollow", False),
                entry.get("surface", False),
                entry.get("faced", False),
                frozenset(entry.get("looks", ())),
                frozenset(entry.get("loosely", ())),
            )
            for text in (name, *entry.get("also", ())):
                self._by_words.setdefault(_key(text), []).append(name)
        self._exact = {tokenise(text) for text in self._texts(table)}
        self._longest_noun = max(map(len, self._by_words))

    @staticmethod
    def _texts(table: dict[str, Any]) -> list[str]:
        return [text for name, entry in table.items() for text in (name, *entry.get("also", ()))]

    def _read_attributes(self, table: dict[str, Any]) -> None:
        self.color_neighbours: dict[str, frozenset[str]] = {}
        entries: list[tuple[str, str]] = []
        self.colors: dict[str, frozenset[str]] = {}
        for name, entry in table["colors"].items():
            self.color_neighbours[name] = frozenset(entry["near"])
            for text in (name, *entry["also"]):
                self.colors[text] = frozenset({name})
                entries.append((text, text))
        shades = dict(table["shades"])
        words = shades.pop("words")
        for shade in words:
            for color, meaning in list(self.colors.items()):
                text = f"{shade} {color}"
                if " " in color:
                    continue
                self.colors[text] = frozenset(shades.get(text, meaning))
                entries += [(text, text), (f"{shade}-{color}", text)]
        # A shade alone is an attribute that nothing measures.
        entries += [(word, word) for word in words]
        self.qualities: dict[str, str] = {}
        for name, others in table["qualities"].items():
            for text in (name, *others):
                self.qualities[text] = name
                entries.append((text, name))
                if " " in text:
                    entries.append((text.replace(" ", "-"), name))
        self.attributes = Phrases(entries)

    def _read_phrases(self, table: dict[str, Any]) -> None:
        self.relations = _grouped(table["relations"])
        self.inverse = _grouped(table["inverse"])
        self.adverbs = _grouped(table["adverbs"])
        self.relative = _flat(table["relative"]["words"])
        self.orders = _grouped(table["orders"])
        self.counted = _grouped(table["counted"])
        self.placed = _grouped(table["placed"])
        self.compared = _grouped(table["compared"])
        self.parts = _grouped(table["parts"])
        self.sides = _grouped(table["sides"])
        closed = table["closed"]
        self.determiners = Phrases(
            (text, kind)
            for kind, key in (("one", "determiners"), ("any", "any"), ("all", "all"))
            for text in closed[key]
        )
        self.closed = frozenset(closed["words"])
        self.wrappers = {key: _flat(texts) for key, texts in table["wrappers"].items()}
        self.frames = {key: _flat(texts) for key, texts in table["frames"].items()}
        features = table["features"]
        self.having = _flat(features["with"])
        self.lacking = _flat(features["without"])
        self.in_it = _grouped(features["in_it"])
        self.others = _flat(table["others"]["words"])
        self.numbers: dict[str, float] = dict(table["numbers"])
        self.ordinals: dict[str, int] = dict(table["ordinals"])

    def noun(self, words: str | Tokens) -> list[Noun]:
        """Return every known kind of thing that these words name, singular or plural."""
        names = dict.fromkeys(self._by_words.get(_key(words), ()))
        return [self.nouns[name] for name in names]

    def is_exact(self, words: str) -> bool:
        """Tell whether a phrase ends in a known noun as it is written, such as "scissors"."""
        tokens = tokenise(words)
        return any(tokens[i:] in self._exact for i in range(len(tokens)))

    def noun_end(self, tokens: Tokens, start: int) -> int:
        """Return where the longest known noun of two or more words ends; start for none."""
        for length in range(self._longest_noun, 1, -1):
            end = start + length
            if end <= len(tokens) and _key(tokens[start:end]) in self._by_words:
                return end
        return start

    def is_surface(self, words: str) -> bool:
        """Tell whether these words name something that carries the scene, such as a table.

        A plate carries things too, but is a thing itself.
        """
        last = words.split()[-1:]
        nouns = self.noun(words) or self.noun(" ".join(last))
        return any(n.surface and n.kinds & {"furniture", "floor"} for n in nouns)


def _range(limits: list[float] | None) -> tuple[float, float] | None:
    return None if limits is None else (float(limits[0]), float(limits[1]))


def _key(words: str | Tokens) -> Tokens:
    tokens = tokenise(words) if isinstance(words, str) else words
    return tuple(bare(t if i < len(tokens) - 1 else singular(t)) for i, t in enumerate(tokens))


@cache
def lexicon() -> Lexicon:
    """Return the lexicon that comes with the package."""
    here = files("roborefer_vlm.backends.scene_graph")
    things, phrases = (
        tomllib.loads(here.joinpath(name).read_text(encoding="utf-8"))
        for name in ("lexicon.toml", "phrases.toml")
    )
    return Lexicon(things, phrases)
