# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Photographs as a source: found things, estimated depth and camera, one scene graph each.

RefSpatial's recipe for web images (arXiv 2506.04308, appendix): detected and segmented things,
metric depth and intrinsics give a cloud and a box per thing; things of one kind are counted along
the axis on which they are spread most, and photographs where that is not clear are left out.
Who finds and who estimates is up to the caller, see `web_estimates`; `web_recorded` reads what
was estimated before, `web_models` runs checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.data.sources.web_estimates import (
    Captioner,
    Finder,
    Geometry,
    GeometryEstimator,
    Look,
    Photo,
)
from roborefer_vlm.data.sources.web_filters import FilterSettings, filter_detections
from roborefer_vlm.data.sources.web_ordinals import ordinal_captions
from roborefer_vlm.data.views import Fact, Shot, View
from roborefer_vlm.exceptions import ConfigurationError, PictureError, QueryError, SourceError
from roborefer_vlm.picture_files import Source as PictureSource
from roborefer_vlm.picture_files import read_rgb
from roborefer_vlm.scenes.graph import Scene
from roborefer_vlm.scenes.wording import describe
from roborefer_vlm.types import FloatArray, GivenObject, Query

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
# A photograph is taken by somebody upright; a plane that would need the camera to look down more
# steeply than this may as well be a wall in front of it.
_STEEPEST_DEG = 65.0
# Share of a thing that has to measure as a colour for the word to be confirmed.
_CONFIRMED_SHARE = 0.3


@dataclass(frozen=True)
class WebSettings:
    """How scenes are made of photographs.

    Attributes:
        filters: Which detections count.
        fewest_things: A photograph with fewer is left out.
        most_things: One with more is a crowd, which no detector gets right.
        pitch_deg: How far all cameras look up, negative: down; None: gravity is taken from the
            estimator, or else from the largest level plane.
        least_depth_share: Share of the photograph that has to have depth.
    """

    filters: FilterSettings = field(default_factory=FilterSettings)
    fewest_things: int = 2
    most_things: int = 25
    pitch_deg: float | None = None
    least_depth_share: float = 0.3

    def __post_init__(self) -> None:
        if not 1 <= self.fewest_things <= self.most_things:
            raise ConfigurationError(
                f"fewest_things {self.fewest_things} and most_things {self.most_things} must rise"
                " from 1"
            )
        if self.pitch_deg is not None and not -90 <= self.pitch_deg <= 90:
            raise ConfigurationError(f"pitch_deg is {self.pitch_deg}; use -90 to 90")
        if not 0 < self.least_depth_share <= 1:
            raise ConfigurationError(
                f"least_depth_share is {self.least_depth_share}; use more than 0 and up to 1"
            )


class WebSource:
    """Photographs of a folder; nothing is read before its shot is taken.

    The message of a SourceError begins with a few fixed words, up to the colon, and names files
    only where they cannot be read, so that a report can count them.
    """

    def __init__(
        self,
        folder: Path,
        finder: Finder,
        geometry: GeometryEstimator,
        captioner: Captioner | None = None,
        *,
        settings: WebSettings | None = None,
    ) -> None:
        """List a folder; `files` are the names of its photographs, relative to it, by index.

        Args:
            folder: Photographs lie in it or in folders of it.
            finder: Finds the things.
            geometry: Estimates depth and camera.
            captioner: Tells colours; None: no view trusts its colours.
            settings: How scenes are made.

        Raises:
            ConfigurationError: The folder does not exist or holds no photograph.
        """
        self._folder = Path(folder)
        self._finder, self._geometry, self._captioner = finder, geometry, captioner
        self._settings = settings or WebSettings()
        found = self._folder.rglob("*") if self._folder.is_dir() else ()
        self.files = sorted(
            path.relative_to(self._folder).as_posix()
            for path in found
            if path.suffix.lower() in ENDINGS
        )
        if not self.files:
            raise ConfigurationError(
                f"{folder} holds no photograph ({', '.join(ENDINGS)}); give a folder that does"
            )

    @property
    def name(self) -> str:
        """Short name."""
        return "web"

    def __len__(self) -> int:
        """How many photographs there are."""
        return len(self.files)

    def shot(self, index: int) -> Shot:
        """Return the scene of one photograph, a single view.

        Raises:
            SourceError: It cannot be read, a filter leaves it out, or an estimator has nothing
                to say of it.
        """
        if not 0 <= index < len(self):
            raise SourceError(f"no such photograph: {index}; there are 0 to {len(self) - 1}")
        name = self.files[index]
        photo = _read(self._folder / name)
        settings = self._settings
        found = self._finder.find(photo)
        filtered = filter_detections(found.detections, photo.rgb.shape[:2], settings.filters)
        _check_count(len(filtered.things), settings)
        geometry = self._geometry.estimate(photo)
        found_things = (*filtered.things, *filtered.nameless)
        looks: list[Look] | None = None
        if self._captioner is not None:
            looks = list(self._captioner.looks(photo, found_things))
        depth = _depth(geometry, photo, settings.least_depth_share)
        given = tuple(
            GivenObject(
                thing.label if i < len(filtered.things) else "",
                thing.mask,
                () if looks is None else looks[i].words,
            )
            for i, thing in enumerate(found_things)
            if thing.mask is not None
        )
        scene, level = _scene(photo, geometry, depth, given, settings.pitch_deg)
        named = [thing for thing in scene.objects if thing.name]
        if len(named) < len(filtered.things):
            raise SourceError(f"things without depth: {len(filtered.things) - len(named)}")
        captions = ordinal_captions(scene, level=level)
        if captions is None:
            raise SourceError("too close to count: things of one kind")
        trusts = set()
        if geometry.metric:
            trusts.add(Fact.METRIC)
        if level:
            trusts.add(Fact.BOXES)
        if found.complete and not filtered.lost and len(scene.objects) == len(given):
            trusts.add(Fact.COMPLETE)
        if looks is not None and _confirmed(scene, looks):
            trusts.add(Fact.COLORS)
        view = View(
            key=f"web-{index:07d}",
            rgb=photo.rgb,
            scene=scene,
            depth_m=depth,
            trusts=frozenset(trusts),
            nouns={thing.id: (thing.name,) for thing in named},
            meta={
                "file": name,
                "dropped": dict(filtered.dropped),
                "scores": {str(i): round(d.score, 4) for i, d in enumerate(found_things, 1)},
                "captions": {str(i): describe(thing) for i, thing in captions.items()},
            },
        )
        return Shot((view,))


def _read(path: Path) -> Photo:
    try:
        return Photo(path, read_rgb(PictureSource.of(path), upright=True))
    except PictureError as error:
        raise SourceError(f"no picture: {error}") from error


def _check_count(count: int, settings: WebSettings) -> None:
    if count < settings.fewest_things:
        raise SourceError(f"too few things: {count}, at least {settings.fewest_things} needed")
    if count > settings.most_things:
        raise SourceError(f"too many things: {count}, at most {settings.most_things} allowed")


def _depth(geometry: Geometry, photo: Photo, least_share: float) -> FloatArray:
    """Return depth with 0 where there is none; without a unit its median becomes 1 m."""
    depth, size = geometry.depth_m, photo.rgb.shape[:2]
    if depth.shape != size or depth.dtype != np.float32:
        raise SourceError(
            f"bad estimate: depth is {depth.dtype} {depth.shape};"
            f" float32 {size}, as the photograph, is needed"
        )
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > 0)
    share = float(known.mean())
    if share < least_share:
        raise SourceError(
            f"too little depth: {share:.2f} of the pixels, at least {least_share:g} needed"
        )
    depth = np.where(known, depth, np.float32(0))
    return depth if geometry.metric else depth / np.median(depth[known])


def _scene(
    photo: Photo,
    geometry: Geometry,
    depth: FloatArray,
    given: tuple[GivenObject, ...],
    pitch_deg: float | None,
) -> tuple[Scene, bool]:
    """Return the scene, and whether its up is against gravity."""

    def built(up: tuple[float, float, float] | None) -> Scene:
        return build_scene(
            Query(
                photo.rgb,
                "?",
                depth_m=depth,
                intrinsics=geometry.intrinsics,
                up=up,
                objects=given,
            )
        )

    up = geometry.up if pitch_deg is None else _up(pitch_deg)
    try:
        scene = built(up)
        if up is not None or _level(scene):
            return scene, True
        # As if the camera were held level; left, right and nearness are right all the same.
        return built(_up(0.0)), False
    except QueryError as error:
        raise SourceError(f"no scene: {error}") from error


def _up(pitch_deg: float) -> tuple[float, float, float]:
    """Return up in the optical frame of a camera that looks up by this angle."""
    pitch = math.radians(pitch_deg)
    return (0.0, -math.cos(pitch), math.sin(pitch))


def _level(scene: Scene) -> bool:
    """Tell whether the plane that was found is level for somebody who holds a camera upright."""
    up = scene.camera.t_scene_optical[2, :3]
    return bool(scene.surfaces) and float(-up[1]) >= math.cos(math.radians(_STEEPEST_DEG))


def _confirmed(scene: Scene, looks: list[Look]) -> bool:
    """Tell whether every thing has a caption with its colours, and measures so."""
    # Ids count what was given, from 1; what has no depth is not in the scene.
    told = [(thing, looks[thing.id - 1].colors) for thing in scene.objects]
    return all(
        colors and all(thing.colors.get(color, 0.0) >= _CONFIRMED_SHARE for color in colors)
        for thing, colors in told
    )
