# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the labels of scanned rooms say: a noun, structure of the room, or nothing."""

from __future__ import annotations

# Parts of the room are no things; the floor becomes a surface.
FLOOR = "floor"
STRUCTURE = frozenset({FLOOR, "wall", "ceiling", "door frame", "window frame"})
# Labels that name nothing in particular: such things fill space, but nobody can refer to them.
_GENERIC = frozenset(
    {"", "object", "unknown", "other", "others", "misc", "bbox", "otherprop", "otherfurniture"}
)
# The last word of what is there for its level top, and becomes a surface.
_FLAT_TOPS = frozenset({"table", "desk", "counter", "countertop", "workbench", "shelf", "shelves"})
# The last word of what is open on top; pots and bins may have a lid.
_HOLLOW = frozenset({"bowl", "basket", "sink", "bathtub", "mug", "cup", "glass", "vase"})


def noun_of(label: str) -> str:
    """Return the noun of a label: "Cup_2" style marks, clauses and the full stop are left out.

    "Orange juice carton with orange and white colors." becomes "orange juice carton" and
    "night_stand" becomes "night stand"; labels that name nothing become "".
    """
    words = label.replace("_", " ").strip().rstrip(".").lower()
    for clause in (",", " with ", " that ", "("):
        words = words.split(clause)[0]
    parts = words.split()
    while parts and parts[-1].isdigit():
        parts.pop()
    noun = " ".join(parts)
    return "" if noun in _GENERIC else noun


def has_flat_top(noun: str) -> bool:
    """Tell whether what has this name is there for things to stand on."""
    return noun.split(" ")[-1] in _FLAT_TOPS


def is_hollow(noun: str) -> bool:
    """Tell whether things can be inside of what has this name."""
    return noun.split(" ")[-1] in _HOLLOW
