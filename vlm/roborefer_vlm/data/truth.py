# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is true in a view: three-valued, from boxes, for relations, superlatives and phrases.

Every kind of question asks here. What is not clearly true or clearly false is unclear (see
`roborefer_vlm.data.clarity`), and a question that would depend on it is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from roborefer_vlm.data.clarity import NO, UNCLEAR, YES, agreeing, apart, decided
from roborefer_vlm.data.matching import ExactMatcher
from roborefer_vlm.data.views import View
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, SceneObject, Surface
from roborefer_vlm.scenes.grounding import Grounder
from roborefer_vlm.scenes.places import Anchor as Place
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.pointing import inner_pixel
from roborefer_vlm.scenes.polygons import area, convex_hull
from roborefer_vlm.scenes.program import OrderKey, Thing
from roborefer_vlm.scenes.relations import (
    Key,
    Relation,
    direction_scores,
    measure,
    relation_scores,
    relation_values,
)
from roborefer_vlm.types import Pixel

DIRECTIONS = frozenset(
    relation
    for relation in Relation
    if relation.removeprefix("directly_") in ("left", "right", "front", "behind", "above", "below")
)


@dataclass(frozen=True)
class Visibility:
    """How much of a thing has to be seen, so that people would point at it.

    Attributes:
        least_pixels: Visible pixels.
        least_share: Of its silhouette, the hull of its projected box, whether or not that lies
            in the picture.
    """

    least_pixels: int = 60
    least_share: float = 0.3


class Truth:
    """The truth of one view; remembers what it was asked.

    Attributes:
        view: The view.
        ids: Ids of the things, in the order of every array here.
        scene: The scene without points and masks, so that hidden and visible things are
            measured alike, by their boxes.
        matcher: Compares words with things.
    """

    def __init__(self, view: View, visibility: Visibility | None = None) -> None:
        self.view = view
        things = view.scene.objects
        self.ids = tuple(thing.id for thing in things)
        self.scene = replace(
            view.scene,
            objects=tuple(replace(thing, points=None, mask=None) for thing in things),
            depth_m=None,
        )
        self.matcher = ExactMatcher(view)
        self._visibility = visibility or Visibility()
        self._rows = {number: row for row, number in enumerate(self.ids)}
        self._places: dict[int, Place] = {thing.id: thing for thing in self.scene.objects}
        self._places.update({surface.id: surface for surface in view.scene.surfaces})
        self._grades: dict[tuple[object, ...], Array] = {}
        self._states: dict[tuple[object, ...], Array] = {}
        self._values: dict[tuple[object, ...], Array] = {}
        self._points: dict[int, tuple[float, float] | None] = {}
        self._seen: dict[int, bool] = {}
        # What phrases mean; kept by `roborefer_vlm.data.meaning`.
        self.meanings: dict[Thing, Array] = {}
        self.looks: dict[tuple[object, ...], Array] = {}
        # Nouns that fit a thing; kept by `roborefer_vlm.data.phrases`.
        self.nouns: dict[tuple[int, bool], tuple[list[Thing], Array]] = {}
        # Places in rows; kept by `place_in_row`.
        self._row_places: dict[tuple[OrderKey, bytes], dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def grounder(self) -> Grounder:
        """Of this scene with exact words, for what the engine's own code is to decide."""
        return Grounder(self.view.scene, self.matcher)

    @cached_property
    def places(self) -> Places:
        """All things."""
        return Places.of_objects(self.scene.objects)

    @cached_property
    def usual_size(self) -> float:
        """The median diagonal of the things, in the scene's unit of length."""
        return float(np.median(self.places.diagonals)) if len(self) else 0.0

    @cached_property
    def _pixels(self) -> Array:
        """Column and row of each thing's middle in the picture, (N, 2); NaN behind the camera."""
        return self.scene.camera.project(self.places.centers)[0]

    def row(self, number: int) -> int:
        """Return which entry of the arrays belongs to a thing.

        Raises:
            QueryError: There is no such thing.
        """
        if number not in self._rows:
            raise QueryError(f"no thing {number} in view {self.view.key}; things: {self.ids}")
        return self._rows[number]

    def thing(self, number: int) -> SceneObject:
        """Return a thing with its mask.

        Raises:
            QueryError: There is no such thing.
        """
        return self.view.scene.objects[self.row(number)]

    def place(self, number: int) -> Place:
        """Return a thing or a surface.

        Raises:
            QueryError: There is neither.
        """
        if number not in self._places:
            raise QueryError(f"no thing or surface {number} in view {self.view.key}")
        return self._places[number]

    # ---- what is seen -----------------------------------------------------------------------

    def visible(self, number: int) -> bool:
        """Tell whether enough of a thing is seen to point at it."""
        if number not in self._seen:
            self._seen[number] = self._visible(number) and self.point(number) is not None
        return self._seen[number]

    @cached_property
    def all_visible(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Tell which things are visible, shape (N,)."""
        return np.array([self.visible(number) for number in self.ids], bool)

    def _visible(self, number: int) -> bool:
        thing = self.thing(number)
        count = 0 if thing.mask is None else int(np.count_nonzero(thing.mask))
        if count < self._visibility.least_pixels:
            return False
        corners, _ = self.scene.camera.project(thing.box.corners)
        if not np.isfinite(corners).all():
            return False
        return count >= self._visibility.least_share * area(convex_hull(corners))

    def point(self, number: int) -> tuple[float, float] | None:
        """Return where to point at a thing, x and y from 0 to 1 with three decimals.

        It is well inside the visible mask, also after rounding. None: nothing of it is seen, or
        only slivers that three decimals cannot hit.
        """
        if number not in self._points:
            self._points[number] = self._point(number)
        return self._points[number]

    def _point(self, number: int) -> tuple[float, float] | None:
        mask = self.thing(number).mask
        if mask is None or not mask.any():
            return None
        height, width = mask.shape
        pixel = inner_pixel(mask)
        x, y = (round(float(value), 3) for value in pixel.normalised(width, height))
        column, row = int(x * width), int(y * height)
        around = mask[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        return (x, y) if around.size == 9 and around.all() else None

    def pixel(self, number: int) -> Pixel | None:
        """Return the place of `point` as a pixel."""
        found = self.point(number)
        if found is None:
            return None
        k = self.scene.camera.intrinsics
        return Pixel.from_normalised(*found, k.width, k.height)

    # ---- relations --------------------------------------------------------------------------

    def grades(
        self,
        relation: Relation,
        anchors: tuple[int, ...] = (),
        frame: Frame = Frame.VIEWER,
        distance_m: float | None = None,
    ) -> Array:
        """Return how well every thing is in a relation to the anchors, (N,), 0 to 1.

        Directions are graded by angle alone, near or far alike.

        Raises:
            QueryError: An anchor does not exist, or the relation does not suit anchors or frame.
        """
        key = (relation, anchors, frame, distance_m)
        if key not in self._grades:
            places = [self.place(anchor) for anchor in anchors]
            if relation in DIRECTIONS and distance_m is None:
                found = direction_scores(relation, self.scene, self.places, places, frame=frame)
            else:
                found = relation_scores(
                    relation,
                    self.scene,
                    self.places,
                    places,
                    frame=frame,
                    distance_m=distance_m,
                )
            self._grades[key] = found
        return self._grades[key]

    def states(
        self,
        relation: Relation,
        anchors: tuple[int, ...] = (),
        frame: Frame = Frame.VIEWER,
        distance_m: float | None = None,
    ) -> Array:
        """Return the state of a relation for every thing, (N,): 1, 0, or 0.5 for unclear.

        Raises:
            QueryError: As for grades.
        """
        key = (relation, anchors, frame, distance_m)
        if key not in self._states:
            states = decided(relation, self.grades(relation, anchors, frame, distance_m))
            if len(anchors) == 1 and anchors[0] in self._rows:
                steps = self._pixels - self._pixels[self._rows[anchors[0]]]
                width = self.scene.camera.intrinsics.width
                states = agreeing(relation, frame, states, steps, width)
                if relation in (Relation.ON, Relation.UNDER):
                    states = self._apart_from_inside(relation, states, anchors[0])
            self._states[key] = states
        return self._states[key]

    def _apart_from_inside(self, relation: Relation, states: Array, anchor: int) -> Array:
        """Make "on" and "under" unclear for a container and what is in it; people say "in"."""
        other = self.thing(anchor)
        result = states.copy()
        for row, thing in enumerate(self.view.scene.objects):
            upper, lower = (thing, other) if relation is Relation.ON else (other, thing)
            if lower.hollow and upper.box.bottom < lower.box.top and states[row] == YES:
                result[row] = UNCLEAR
        return result

    def holds(
        self,
        relation: Relation,
        subject: int,
        anchors: tuple[int, ...] = (),
        frame: Frame = Frame.VIEWER,
        distance_m: float | None = None,
    ) -> bool | None:
        """Tell whether a thing is in a relation to the anchors; None: that is not clear.

        Raises:
            QueryError: As for grades, or the subject does not exist.
        """
        state = self.states(relation, anchors, frame, distance_m)[self.row(subject)]
        return None if state == UNCLEAR else bool(state == YES)

    def measured(
        self, relation: Relation, anchors: tuple[int, ...] = (), frame: Frame = Frame.VIEWER
    ) -> Array:
        """Return the metres or radians of every thing, (N,); an anchor's own mean nothing.

        Raises:
            QueryError: As for grades, or the relation measures nothing here.
        """
        key = ("measured", relation, anchors, frame)
        if key not in self._values:
            places = [self.place(anchor) for anchor in anchors]
            self._values[key] = relation_values(
                relation, self.scene, self.places, places, frame=frame
            )
        return self._values[key]

    # ---- orders -----------------------------------------------------------------------------

    def values(self, key: OrderKey, anchor: int | None = None) -> Array:
        """Return by how much every thing is what a superlative asks for, shape (N,)."""
        known = (key, anchor)
        if known not in self._values:
            plain = Key.LEFT if key is OrderKey.MIDDLE else Key(key.value)
            mark = None if anchor is None else self.place(anchor)
            self._values[known] = measure(plain, self.scene, self.places, mark)
        return self._values[known]

    def ranked(self, key: OrderKey, rank: int, states: Array, anchor: int | None = None) -> Array:
        """Return the state of "the rank-th by key" among things that fit so far.

        It is clear only if it is clear who belongs to the row, all of the row are visible, and
        the neighbours in the row are clearly apart.

        Args:
            key: What they are ordered by.
            rank: 1 is the one with the most of it; MIDDLE does not look at it.
            states: What fits so far, shape (N,).
            anchor: NEAR and FAR: from where; it is no part of the row.
        """
        states = np.array(states)
        if anchor in self._rows:
            states[self._rows[anchor]] = NO
        row = np.flatnonzero(states > NO)
        if (states[row] == UNCLEAR).any() or not self.all_visible[row].all():
            return np.minimum(states, UNCLEAR)
        if key is OrderKey.MIDDLE:
            rank = (len(row) + 1) // 2 if len(row) % 2 and len(row) > 1 else 0
        result = np.zeros(len(states))
        if not 1 <= rank <= len(row):
            return result
        values = self.values(key, anchor)
        ordered = row[np.argsort(-values[row], kind="stable")]
        result[ordered[rank - 1]] = YES
        for place in (rank - 1, rank):
            if 0 < place < len(ordered):
                pair = ordered[place - 1 : place + 1]
                more, less = (float(value) for value in values[pair])
                if not apart(key, more, less, self.usual_size, anchored=anchor is not None):
                    result[pair] = UNCLEAR
        return result

    def place_in_row(self, key: OrderKey, number: int, states: Array) -> int | None:
        """Return a thing's place in a row, 1 for the most of it; None: that is not clear.

        Args:
            key: What the row is ordered by; of MIDDLE the place is 1.
            number: Id of the thing.
            states: What else is in the row, shape (N,).
        """
        known = (key, states.tobytes())
        places = self._row_places.get(known)
        if places is None:
            self._row_places[known] = places = self._places_in_row(key, states)
        return places.get(self.row(number))

    def _places_in_row(self, key: OrderKey, states: Array) -> dict[int, int]:
        """Return the places of all whose place is clear, by row of the arrays; see `ranked`."""
        row = np.flatnonzero(states > NO)
        middle = len(row) // 2
        if key is OrderKey.MIDDLE and (len(row) < 2 or len(row) % 2 == 0):
            return {}
        if (states[row] == UNCLEAR).any() or not self.all_visible[row].all():
            return {}
        values = self.values(key)[row]
        order = np.argsort(-values, kind="stable")
        ordered, sorted_values = row[order].tolist(), values[order].tolist()
        size = self.usual_size
        gaps = [apart(key, *pair, size, anchored=False) for pair in pairwise(sorted_values)]
        sides = zip([True, *gaps], [*gaps, True], strict=True)
        places = {ordered[i]: i + 1 for i, clear in enumerate(sides) if ordered and all(clear)}
        if key is OrderKey.MIDDLE:
            return {ordered[middle]: 1} if ordered[middle] in places else {}
        return places

    def surface_named(self, noun: str) -> Surface | None:
        """Return the one support surface of a name."""
        found = [s for s in self.view.scene.surfaces if self.matcher.surface(noun, s)]
        return found[0] if len(found) == 1 else None


@lru_cache(maxsize=8)
def truth_of(view: View) -> Truth:
    """Return the truth of a view, so that all kinds of questions share what was computed."""
    return Truth(view)
