# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A second opinion: what programs mean, by centres, sampled surfaces and pixels alone.

It shares no code with the relations of the package. `fits` is lenient about what is meant;
`clearly` is strict about rivals, so what lies between the two proves nothing either way.
"""

from __future__ import annotations

import numpy as np

NEAR_CONE, RIVAL_CONE = np.deg2rad(62), np.deg2rad(25)


class Plain:
    """Judges programs, as JSON, in one view."""

    def __init__(self, view):
        self.view = view
        self.things = {thing.id: thing for thing in view.scene.objects}
        self.camera = view.scene.camera
        self.clouds = {number: _surface(thing.box) for number, thing in self.things.items()}

    # ---- measures ---------------------------------------------------------------------------

    def center(self, number):
        return self.things[number].box.center

    def optical(self, number):
        pose = self.camera.t_scene_optical
        return pose[:3, :3].T @ (self.center(number) - pose[:3, 3])

    def gap(self, first, second):
        a, b = self.clouds[first], self.clouds[second]
        return float(np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).min())

    def extent(self, number, key):
        size, cloud = self.things[number].box.size, self.clouds[number]
        if key == "tall":
            return np.ptp(cloud[:, 2])
        a, b, c = size
        return {
            "wide": max(a, b),
            "long": max(a, b, c),
            "big": np.sqrt((a * b + b * c + c * a) / 3),
        }[key]

    def order_value(self, number, key, anchor=None):
        x, _, z = self.optical(number)
        sign = -1 if key in ("right", "low", "near", "short", "small", "narrow") else 1
        if key in ("left", "right", "middle"):
            return sign * -x / z
        if key in ("high", "low"):
            return sign * self.center(number)[2]
        if key in ("near", "far"):
            far = np.linalg.norm(self.optical(number)) if anchor is None else None
            return sign * (self.gap(number, anchor) if far is None else far)
        plain = {"short": "tall", "small": "big", "narrow": "wide"}.get(key, key)
        return sign * self.extent(number, plain)

    # ---- words ------------------------------------------------------------------------------

    def names(self, phrase, number):
        thing = self.things[number]
        known = {"object", *self.view.nouns.get(number, ()), *self.view.kinds.get(number, ())}
        colors = {color for color, share in thing.colors.items() if share > 0.4}
        return (
            phrase["noun"] in known
            and set(phrase.get("attributes", ())) <= colors
            and not set(phrase.get("excluded", ())) & colors
        )

    def meant(self, phrase):
        """The things that a phrase means, leniently; superlatives pick one."""
        fitting = [n for n in self.things if self.names(phrase, n)]
        for told in phrase.get("constraints", ()):
            fitting = [n for n in fitting if self.told(told, n, strict=False)]
        return self._ordered(phrase, fitting)

    def clearly_meant(self, phrase):
        """The things that a phrase means beyond doubt; with a superlative the same as `meant`."""
        if phrase.get("orders"):
            return self.meant(phrase)
        fitting = [n for n in self.things if self.names(phrase, n)]
        for told in phrase.get("constraints", ()):
            fitting = [n for n in fitting if self.told(told, n, strict=True)]
        return fitting

    def anchor(self, phrase):
        """The one thing that an anchor means."""
        found = self.meant(phrase)
        found = found if len(found) == 1 else self.clearly_meant(phrase)
        assert len(found) == 1, (phrase, found)
        return found[0]

    def _ordered(self, phrase, fitting):
        for order in phrase.get("orders", ()):
            anchor = None
            if order.get("anchor"):
                anchor = self.anchor(order["anchor"])
                fitting = [n for n in fitting if n != anchor]
            ranked = sorted(fitting, key=lambda n: -self.order_value(n, order["key"], anchor))
            place = len(ranked) // 2 if order["key"] == "middle" else order.get("rank", 1) - 1
            fitting = ranked[place : place + 1]
        return fitting

    def told(self, constraint, number, *, strict):
        ids = [self.anchor(anchor) for anchor in constraint["anchors"]]
        if number in ids:
            return False
        if constraint.get("negated"):
            return not self._holds(constraint, number, ids, strict=not strict)
        if constraint.get("inverse"):
            return self._holds(constraint, ids[0], [number], strict=strict)
        return self._holds(constraint, number, ids, strict=strict)

    # ---- relations --------------------------------------------------------------------------

    def _holds(self, constraint, number, ids, *, strict):
        relation, metres = constraint["relation"], constraint.get("distance_m")
        if relation == "between":
            return self._between(number, ids, strict)
        anchor = ids[0]
        if relation == "distance":
            return abs(self.gap(number, anchor) - metres) < (0.012 if strict else 0.03)
        word = relation.removeprefix("directly_")
        if word in ("left", "right", "front", "behind"):
            cone = RIVAL_CONE if strict else NEAR_CONE
            toward = self._toward(constraint.get("frame", "viewer"), word, anchor)
            if metres is not None and not self._apart(toward, number, anchor, metres, strict):
                return False
            step = (self.center(number) - self.center(anchor))[:2]
            return np.arccos(step @ toward / np.linalg.norm(step)) < cone
        if relation in ("above", "below"):
            return self._vertical(constraint, relation, number, anchor)
        if relation in ("near", "far", "beside", "touch", "far_from"):
            return self._nearness(relation, number, anchor, strict)
        if relation in ("face", "back"):
            return self._faces(relation, number, anchor, strict)
        if relation in ("on", "under", "inside", "outside"):
            return self._carried(relation, number, anchor)
        key = {"short": "tall", "small": "big", "thin": "wide"}.get(relation, relation)
        ratio = self.extent(number, key) / self.extent(anchor, key)
        ratio = ratio if key == relation else 1 / ratio
        return ratio > (1.5 if strict else 1.1)

    def _apart(self, toward, number, anchor, metres, strict):
        """Whether the shadows on a direction are that far apart."""
        begin = (self.clouds[number][:, :2] @ toward).min()
        end = (self.clouds[anchor][:, :2] @ toward).max()
        return abs(begin - end - metres) < (0.012 if strict else 0.03)

    def _toward(self, frame, word, anchor):
        if frame == "viewer":
            pose = self.camera.t_scene_optical
            ahead = pose[:2, 2] / np.linalg.norm(pose[:2, 2])
            front = -ahead
            left = np.array([-ahead[1], ahead[0]])
        elif frame == "world":
            front, left = np.array([-1.0, 0]), np.array([0, 1.0])
        else:
            face = self.things[anchor].front[:2]
            front = face / np.linalg.norm(face)
            left = np.array([-front[1], front[0]])
        return {"left": left, "right": -left, "front": front, "behind": -front}[word]

    def _vertical(self, constraint, relation, number, anchor):
        if constraint.get("frame") == "image":
            rows = [self.optical(n)[1] / self.optical(n)[2] for n in (number, anchor)]
            return (rows[0] < rows[1]) == (relation == "above")
        step = self.center(number)[2] - self.center(anchor)[2]
        return (step > 0.01) if relation == "above" else (step < -0.01)

    def _nearness(self, relation, number, anchor, strict):
        gap = self.gap(number, anchor)
        size = max(np.linalg.norm(self.things[n].box.size) for n in (number, anchor))
        if relation in ("touch", "far_from"):
            close = gap < (0.004 if strict == (relation == "touch") else 0.02)
            return close == (relation == "touch")
        if relation == "far":
            return gap > (2.5 if strict else 0.8) * min(size, 0.2)
        return gap < (0.25 if strict else 1.0) * size

    def _faces(self, relation, number, anchor, strict):
        front = self.things[number].front
        if front is None:
            return False
        step = (self.center(anchor) - self.center(number))[:2]
        sign = 1 if relation == "face" else -1
        cosine = sign * front[:2] @ step / np.linalg.norm(front[:2]) / np.linalg.norm(step)
        return np.arccos(cosine) < (np.deg2rad(15) if strict else np.deg2rad(30))

    def _carried(self, relation, number, anchor):
        carried = self.things[number].support == anchor
        carrier = self.things[anchor].support == number
        held = {"on": carried, "under": carrier, "inside": carried, "outside": not carried}
        return held[relation]

    def _between(self, number, ids, strict):
        first, second = (self.center(i)[:2] for i in ids)
        line = second - first
        step = self.center(number)[:2] - first
        share = step @ line / (line @ line)
        away = np.linalg.norm(step - share * line)
        widths = max(np.linalg.norm(self.things[i].box.size[:2]) for i in ids) / 2
        room = (0.3 if strict else 1.0) * (widths + 0.1 * np.linalg.norm(line))
        low = 0.4 if strict else 0.1
        return bool(low < share < 1 - low and away < room)


def _surface(box):
    """Points on the six faces of a box, about 200."""
    ticks = np.linspace(-0.5, 0.5, 7)
    a, b = (grid.ravel() for grid in np.meshgrid(ticks, ticks))
    faces = []
    for axis in range(3):
        for side in (-0.5, 0.5):
            face = np.empty((len(a), 3))
            face[:, axis] = side
            face[:, (axis + 1) % 3], face[:, (axis + 2) % 3] = a, b
            faces.append(face)
    return box.center + (np.unique(np.concatenate(faces), axis=0) * box.size) @ box.rotation.T
