# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Bringing together what a namer knows and what depth separates.

Geometry alone cuts a marker from its cap and a basket into its walls, and of a plate it may see
but a bit of rim. So pieces are joined on trial, with what lies between them, and stay joined where
the namer knows the whole better than the pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.namer import Guess, Namer
from roborefer_vlm.backends.scene_graph.segmentation import SMALLEST_SHARE, raised_pixels
from roborefer_vlm.backends.scene_graph.surfaces import main_level
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.types import BoolArray, GivenObject

# How far pieces of a thing may be from each other in the picture.
REACH_PX = 7
# The same where a floor lies between them, as between the walls of a basket.
OPEN_REACH_PX = 121
# Most segments of a thing, and most groups that are tried.
MOST_PIECES = 5
MOST_WALLS = 3
MOST_GROUPS = 60
# How sure a whole has to be, and how much surer than its surest piece.
LEAST_WHOLE = 0.8
SURER = 0.1
# A bit of rim is this close to the next one.
RIM_GAP_PX = 9


def named_segments(view: View, seen: Sequence[GivenObject], namer: Namer) -> list[GivenObject]:
    """Return the things with names and colours where the namer is sure.

    Things that have names already stay as they are.

    Args:
        view: The look at the scene.
        seen: Segments, with or without names.
        namer: Who knows names.
    """
    result = [thing for thing in seen if thing.name]
    nameless = [thing for thing in seen if not thing.name]
    guesses = namer.guesses(view, [thing.mask for thing in nameless])
    sure = [_sureness(guess) for guess in guesses]
    # No whole can be surer than a piece that is known on its own.
    pieces = [i for i, known in enumerate(sure) if known < 1 - SURER]
    masks = [nameless[i].mask for i in pieces]
    known = [thing.mask for thing in result]
    known += [nameless[i].mask for i in range(len(nameless)) if i not in pieces]
    rims = leftovers(view, [*known, *masks])
    # What is surely a thing of its own, be it an apple or a ball, is no wall of another.
    walls = {at for at, i in enumerate(pieces) if _thinghood(guesses[i]) < 1 - SURER}
    walls |= set(range(len(masks), len(masks) + len(rims)))
    groups, wholes = _wholes([*masks, *rims], known, walls)
    joined = namer.guesses(view, wholes)
    alone = [*(sure[i] for i in pieces), *(0.0 for _ in rims)]
    taken: set[int] = set()
    for at in _chosen(groups, [_sureness(guess) for guess in joined], alone):
        own = {pieces[i] for i in groups[at] if i < len(pieces)}
        taken |= own
        words = tuple(dict.fromkeys(w for i in sorted(own) for w in nameless[i].attributes))
        result.append(_named(GivenObject("", wholes[at], words), joined[at]))
    rest = [i for i in range(len(nameless)) if i not in taken]
    return [*result, *(_named(nameless[i], guesses[i]) for i in rest)]


def leftovers(view: View, masks: Sequence[BoolArray]) -> list[BoolArray]:
    """Return what rises above the table and is in no segment, such as the rim of a plate."""
    level = main_level(view, np.zeros(view.cloud.depth.shape, bool))
    if level is None:
        return []
    rises = raised_pixels(view, level).astype(np.uint8)
    for mask in masks:
        rises[cv2.dilate(view.worked(mask).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0] = 0
    closed = cv2.morphologyEx(rises, cv2.MORPH_CLOSE, np.ones((RIM_GAP_PX,) * 2, np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    least = SMALLEST_SHARE * labels.size
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= least]
    large.sort(key=lambda i: -int(stats[i, cv2.CC_STAT_AREA]))
    return [view.shown(labels == i) for i in large[:MOST_PIECES]]


def _wholes(
    pieces: Sequence[BoolArray], known: Sequence[BoolArray], walls: set[int]
) -> tuple[list[tuple[int, ...]], list[BoolArray]]:
    """Return groups of pieces and the wholes to try: their unions, then outlines around walls.

    An outline is convex and takes in what lies between the walls.
    """
    unions = [group for group in touching_groups(pieces) if len(group) > 1]
    outlined = touching_groups(pieces, OPEN_REACH_PX, MOST_WALLS)
    outlined = [group for group in outlined if walls.issuperset(group)]
    wholes = [np.logical_or.reduce([pieces[i] for i in group]) for group in unions]
    taken = np.logical_or.reduce(known) if known else None
    for group in outlined:
        union = np.logical_or.reduce([pieces[i] for i in group])
        rows, columns = np.nonzero(union)
        hull = cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32))
        filled = np.zeros(union.shape, np.uint8)
        cv2.fillConvexPoly(filled, hull, 1)
        wholes.append((filled > 0) if taken is None else (filled > 0) & ~taken)
    return [*unions, *outlined], wholes


def _named(thing: GivenObject, guess: Guess | None) -> GivenObject:
    """Return a thing with the name and colour of a guess, if it gives any."""
    if guess is None:
        return thing
    colors = (guess.color,) if guess.color else ()
    return GivenObject(guess.name, thing.mask, (*thing.attributes, *colors))


def _sureness(guess: Guess | None) -> float:
    """Return how probable a guess's name is; 0 where it gives none."""
    return guess.nouns[guess.name] if guess is not None and guess.name else 0.0


def _thinghood(guess: Guess | None) -> float:
    """Return how probable it is that a segment is a whole thing, whatever its name."""
    if guess is None:
        return 0.0
    return sum(share for noun, share in guess.nouns.items() if not noun.startswith("<"))


def touching_groups(
    masks: Sequence[BoolArray], reach_px: int = REACH_PX, most: int = MOST_PIECES
) -> list[tuple[int, ...]]:
    """Return every segment alone, then groups of segments that touch, smaller groups first."""
    reach = np.ones((reach_px, reach_px), np.uint8)
    grown = [cv2.dilate(mask.astype(np.uint8), reach) > 0 for mask in masks]
    beside = {
        i: {j for j in range(len(masks)) if j != i and bool((grown[i] & grown[j]).any())}
        for i in range(len(masks))
    }
    groups: list[tuple[int, ...]] = [(i,) for i in range(len(masks))]
    last = groups
    while last and len(last[0]) < most and len(groups) < MOST_GROUPS + len(masks):
        found = {
            tuple(sorted((*group, j)))
            for group in last
            for i in group
            for j in beside[i]
            if j not in group
        }
        last = sorted(found)
        groups = [*groups, *last]
    return groups[: MOST_GROUPS + len(masks)]


def _chosen(
    groups: Sequence[tuple[int, ...]], whole: Sequence[float], alone: Sequence[float]
) -> list[int]:
    """Return the numbers of the groups that are one thing, the surest first; none overlap."""
    likely = [
        at
        for at, group in enumerate(groups)
        if whole[at] > LEAST_WHOLE and whole[at] > max(alone[i] for i in group) + SURER
    ]
    taken: set[int] = set()
    result = []
    # Of groups that are known alike the larger one leaves less behind.
    for at in sorted(likely, key=lambda at: -whole[at] - 0.02 * len(groups[at])):
        if taken.isdisjoint(groups[at]):
            result.append(at)
            taken.update(groups[at])
    return result
