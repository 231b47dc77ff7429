# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What "it" means after a sentence that only names a thing.

"There is a red mug. Point to the free space to its left." asks for the space to the left of the
red mug. The words of the thing take the place of the pronoun, so that one sentence is left.
"""

from __future__ import annotations

from roborefer_vlm.backends.scene_graph.lexicon import Lexicon, Tokens

_SIDES = ("left", "right")


def named_in(sentence: Tokens, words: Lexicon) -> Tokens:
    """Return the words of the thing that a sentence only introduces; () for any other sentence."""
    end = words.wrappers["introduction"].end(sentence, 0)
    named = sentence[end:]
    known = end > 0 and bool(named) and bool(words.determiners.at(named, 0))
    return named if known and sentence[end - 1] in ("is", "are") else ()


def resolved(sentence: Tokens, named: Tokens, words: Lexicon) -> Tokens:
    """Return a sentence with the thing's words in place of the pronouns that stand for it.

    "It" stays where something is put, as the one in "put it": what is held is meant.
    """
    if not named:
        return sentence
    found: list[str] = []
    at = 0
    while at < len(sentence):
        before, token = sentence[:at], sentence[at]
        if token == "its" and sentence[at + 1 : at + 2] and sentence[at + 1] in _SIDES:
            behind = at + 2
            behind += sentence[behind : behind + 1] == ("side",)
            found += ("the", sentence[at + 1], "of", *named)
            at = behind
            continue
        found += named if token in ("it", "them") and _is_sought(before, words) else (token,)
        at += 1
    return tuple(found)


def _is_sought(before: Tokens, words: Lexicon) -> bool:
    """Tell whether what comes next is an anchor, or is pointed to."""
    tables = (words.relations, words.compared, words.wrappers["point"])
    puts = any(words.wrappers["put"].end(before, i) == len(before) for i in range(len(before)))
    return not puts and any(
        end == len(before)
        for table in tables
        for start in range(max(0, len(before) - 8), len(before))
        for _, end in table.at(before, start)
    )
