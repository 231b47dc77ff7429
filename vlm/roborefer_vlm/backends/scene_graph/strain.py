# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How unnatural a reading is, so that of too many the natural ones are kept."""

from __future__ import annotations

from functools import lru_cache

from roborefer_vlm.backends.scene_graph.lexicon import lexicon
from roborefer_vlm.backends.scene_graph.modifiers import MeasuredFrom, Others, PendingRank
from roborefer_vlm.scenes.program import Constraint, Order, Part, Question, Request, Space, Thing


@lru_cache(maxsize=8192)
def strain(item: object) -> int:
    """Count what makes a reading unnatural: things said of a table, not of what is on it.

    There is one table in view as a rule, so that "the spot on the table left of the mug" says
    where the spot is, not which table is meant.

    Args:
        item: A program, a node of one, a modifier, or a tuple of such.
    """
    if isinstance(item, tuple):
        return sum(strain(part) for part in item)
    if isinstance(item, Request):
        return strain(item.targets) + strain(item.moved)
    if isinstance(item, Question):
        return strain(item.things) + strain(item.constraint)
    if isinstance(item, Thing):
        inner = strain(item.constraints) + strain(item.orders) + strain(item.others)
        said = sum(bool(c.anchors) for c in item.constraints) + len(item.orders)
        return inner + (said if lexicon().is_surface(item.noun) else 0)
    if isinstance(item, Part):
        return strain(item.of)
    if isinstance(item, Space):
        return strain(item.constraints) + strain(item.orders) + strain(item.surface)
    if isinstance(item, Constraint):
        return strain(item.anchors)
    if isinstance(item, Order | PendingRank | MeasuredFrom):
        return strain(item.anchor)
    return strain(item.thing) if isinstance(item, Others) else 0
