# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Scanned rooms as a source: posed pictures with oriented boxes, with or without depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from roborefer_vlm.data.sources.scan_ca1m import Ca1mFormat
from roborefer_vlm.data.sources.scan_frames import FrameName, Layout, ScanFormat, facing_away
from roborefer_vlm.data.sources.scan_robospatial import RoboSpatialFormat
from roborefer_vlm.data.sources.scan_scannet import ScanNetFormat
from roborefer_vlm.data.sources.scan_view import Reading, view_of
from roborefer_vlm.data.sources.scan_words import STRUCTURE, noun_of
from roborefer_vlm.data.views import Shot, View
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.graph import Camera

FORMATS: Mapping[str, ScanFormat] = {
    scan.name: scan for scan in (RoboSpatialFormat(), Ca1mFormat(), ScanNetFormat())
}
# Two views belong together if they have this share of their things in common, at least two, ...
LEAST_COMMON = 0.3
FEWEST_COMMON = 2
# ... and differ by this much.
LEAST_STEP_M = 0.3
LEAST_TURN_RAD = np.deg2rad(15)


@dataclass(frozen=True)
class Boxes3dSource:
    """Frames of a data set of scanned rooms.

    Attributes:
        folder: Of the data set; the module of each format says what has to be in it.
        format: "robospatial", "ca1m" or "scannet".
        every: Of each room every so many frames are used; neighbours look alike (RefSpatial
            takes every 20th).
        views: 1, or 2: each frame with the frame of the same room that differs most from it
            among those that show the same things.
        exhaustive: Whether everything that stands in a room has a box; None: what is known of
            the format.
        faces: Nouns of things whose front is the first axis of their box.

    Raises:
        ConfigurationError: A setting has another value; the folder is looked at later.
    """

    folder: Path
    format: str = "robospatial"
    every: int = 20
    views: int = 1
    exhaustive: bool | None = None
    faces: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigurationError(f"format is '{self.format}'; use {', '.join(FORMATS)}")
        if self.every < 1:
            raise ConfigurationError(f"every is {self.every}; use 1 or more")
        if self.views not in (1, 2):
            raise ConfigurationError(f"views is {self.views}; use 1 or 2")

    @property
    def name(self) -> str:
        """The format's name."""
        return self.format

    def __len__(self) -> int:
        return len(self._frames)

    def shot(self, index: int) -> Shot:
        """Read one frame, or two of the same room.

        Raises:
            SourceError: A file of the frame is missing or holds something wrong, or there is no
                second view that shows the same things.
        """
        first = self._frames[index]
        if self.views == 1:
            return Shot((self._view(first, first),))
        views = (self._view(first, first), self._view(self._partner(first), first))
        common = set.intersection(
            *({t.id for t in v.scene.objects if _seen(t.mask)} for v in views)
        )
        if len(common) < FEWEST_COMMON:
            raise SourceError(
                f"{first.path}: {len(common)} things are visible in frames {views[0].key} and"
                f" {views[1].key}; {FEWEST_COMMON} are needed"
            )
        return Shot(views)

    @property
    def _scan(self) -> ScanFormat:
        return FORMATS[self.format]

    @cached_property
    def _rooms(self) -> dict[str, list[FrameName]]:
        rooms: dict[str, list[FrameName]] = {}
        for name in self._scan.frames(self.folder):
            rooms.setdefault(name.scene, []).append(name)
        return {room: names[:: self.every] for room, names in rooms.items()}

    @cached_property
    def _frames(self) -> list[FrameName]:
        return [name for names in self._rooms.values() for name in names]

    def _view(self, name: FrameName, first: FrameName) -> View:
        """Read a frame; the scene's x points away from the viewer of the first one."""
        layout = self._scan.layout(name)
        viewer = layout.camera if name == first else self._scan.layout(first).camera
        pictures = self._scan.pictures(name, layout.camera)
        layout = facing_away(layout, viewer)
        known = self._scan.exhaustive if self.exhaustive is None else self.exhaustive
        key = f"{self.format}-{name.scene}-{name.frame}"
        reading = Reading(known, self._scan.generic_is_a_class, self.faces)
        view = view_of(key, layout, pictures, reading)
        meta = {"format": self.format, "scene": name.scene, "frame": name.frame}
        return replace(view, meta=meta)

    def _partner(self, name: FrameName) -> FrameName:
        """Return the frame of the same room that shares things with this one and differs most."""
        here = self._scan.layout(name)
        own = _in_view(here)
        best: tuple[float, FrameName] | None = None
        for other in self._rooms[name.scene]:
            if other == name:
                continue
            try:
                there = self._scan.layout(other)
            except SourceError:
                # It is reported when it is its own turn.
                continue
            theirs = _in_view(there)
            common = own & theirs
            least = LEAST_COMMON * min(len(own), len(theirs))
            step, turn = _difference(here.camera, there.camera)
            if len(common) < max(FEWEST_COMMON, least) or not _same_boxes(here, there):
                continue
            if step < LEAST_STEP_M and turn < LEAST_TURN_RAD:
                continue
            score = len(common) * (min(step, 1.0) + turn)
            if best is None or score > best[0]:
                best = score, other
        if best is None:
            raise SourceError(f"{name.path}: no other frame of {name.scene} shows the same things")
        return best[1]


def _seen(mask: object) -> bool:
    return isinstance(mask, np.ndarray) and bool(mask.any())


def _in_view(layout: Layout) -> set[str]:
    """Return the keys of the named things whose middle is in the picture."""
    named = [b for b in layout.boxes if noun_of(b.label) and noun_of(b.label) not in STRUCTURE]
    if not named:
        return set()
    pixels, depths = layout.camera.project(np.array([b.box.center for b in named]))
    k = layout.camera.intrinsics
    inside = (depths > 0) & (pixels >= 0).all(axis=1) & (pixels < (k.width, k.height)).all(axis=1)
    keys = {b.key for b, within in zip(named, inside, strict=True) if within}
    return keys if layout.seen is None else keys & layout.seen


def _same_boxes(first: Layout, second: Layout) -> bool:
    """Tell whether ids mean the same things in two frames."""
    if first.boxes is second.boxes:
        return True
    return len(first.boxes) == len(second.boxes) and all(
        a.key == b.key and a.label == b.label and np.allclose(a.box.center, b.box.center)
        for a, b in zip(first.boxes, second.boxes, strict=True)
    )


def _difference(first: Camera, second: Camera) -> tuple[float, float]:
    """Return how far two cameras are apart, metres, and the angle of their lines of sight."""
    step = float(np.linalg.norm(first.position - second.position))
    sights = first.t_scene_optical[:3, 2] @ second.t_scene_optical[:3, 2]
    return step, float(np.arccos(np.clip(sights, -1, 1)))
