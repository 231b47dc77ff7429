# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The noun phrases of a program, for a detector that looks for what it is told."""

from __future__ import annotations

from collections.abc import Iterator

from roborefer_vlm.scenes.program import (
    Constraint,
    Part,
    Program,
    Question,
    Space,
    Thing,
    Viewer,
)

Node = Program | Thing | Part | Space | Viewer | None


def mentioned(node: Node) -> Iterator[str]:
    """Yield every thing that a program speaks of, such as "red mug", anchors included."""
    if node is None or isinstance(node, Viewer):
        return
    if isinstance(node, Thing):
        yield " ".join((*node.attributes, node.noun))
        yield from _anchors(node.constraints)
        for order in node.orders:
            yield from mentioned(order.anchor)
        for other in node.others:
            yield from mentioned(other)
    elif isinstance(node, Part):
        yield from mentioned(node.of)
    elif isinstance(node, Space):
        yield from _anchors(node.constraints)
        yield from mentioned(node.surface)
    elif isinstance(node, Question):
        for thing in node.things:
            yield from mentioned(thing)
        yield from _anchors((node.constraint,) if node.constraint else ())
    else:
        for target in node.targets:
            yield from mentioned(target)
        yield from mentioned(node.moved)


def _anchors(constraints: tuple[Constraint, ...]) -> Iterator[str]:
    for constraint in constraints:
        for anchor in constraint.anchors:
            yield from mentioned(anchor)
