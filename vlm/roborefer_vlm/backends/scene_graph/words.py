# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sentences to tokens, and the forms that one word takes."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# A word may hold hyphens ("red-lidded") and an apostrophe, except the one of a possessive, which
# is a token of its own; a number leaves its unit ("20cm"). All else are tokens of one character.
TOKEN = re.compile(
    r"'s\b|(?<=s)'(?=\s)|\d+[.,]\d+|\d+(?=[^\W\d_]{1,2}\b)|"
    r"[^\W_]+(?:[-&][^\W_]+|'(?!s\b)[^\W_]+)*|\S"
)
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": ","})
_IRREGULAR = {
    "knives": "knife",
    "shelves": "shelf",
    "loaves": "loaf",
    "leaves": "leaf",
    "mice": "mouse",
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "berries": "berry",
    "dice": "die",
    "feet": "foot",
}
# These end in s and mean one thing.
_SINGULAR_S = ("ss", "us", "is", "'s", "as")


def tokenise(text: str) -> tuple[str, ...]:
    """Split a sentence into lower-case tokens: words, numbers, marks and possessive endings.

    Control characters count as spaces; full-width and other compatibility forms as plain ones.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES).lower()
    spaced = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in plain)
    return tuple("'s" if token == "'" else token for token in TOKEN.findall(spaced))


def is_word(token: str) -> bool:
    """Tell whether a token is a word or a number rather than a mark."""
    return token[0].isalnum()


@lru_cache(maxsize=4096)
def singular(word: str) -> str:
    """Return the singular of an English noun; a word that looks singular stays as it is."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(_SINGULAR_S):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes", "toes")):
        return word[:-2]
    return word[:-1]


def plural(word: str) -> str:
    """Return the plural of an English noun, the inverse of `singular`."""
    for many, one in _IRREGULAR.items():
        if one == word:
            return many
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("ch", "sh", "x", "ss", "z", "to")):
        return word + "es"
    return word + "s"


@lru_cache(maxsize=4096)
def bare(word: str) -> str:
    """Return what two spellings of a word share: "r2-d2" and "R2D2", "jell-o" and "jello"."""
    return "".join(c for c in word.casefold() if c.isalnum())
