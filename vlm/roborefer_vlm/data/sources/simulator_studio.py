# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws random tables from random cameras and says what is in the pictures."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any

import numpy as np
from roborefer_sim.core.camera import Photographer, photographer
from roborefer_sim.core.camera import View as Picture
from roborefer_sim.core.cell import Cell
from roborefer_sim.core.sensor import PERFECT, SensorModel, measure, scaled
from roborefer_sim.exceptions import RenderingError, SceneError

from roborefer_vlm.data.sources.simulator_camera import Look, draw_looks, looks_like
from roborefer_vlm.data.sources.simulator_graph import scene_of
from roborefer_vlm.data.sources.simulator_scene import Color, Table, draw_table, library_of, named
from roborefer_vlm.data.sources.simulator_settings import UNSEEN, SceneSplit, SimulatorSettings
from roborefer_vlm.data.views import Fact, View
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.graph import Scene

# How many scenes are drawn for an index before it is given up.
TRIES = 12
# A thing is clearly visible from this share of the picture on.
LEAST_SHARE = 0.0005
# Keeps the random numbers of the splits apart.
_SPLITS = {SceneSplit.TRAINING: 0, SceneSplit.HELD_OUT: 1}
# Processes that have drawn: this one, and those it was forked from. OpenGL's threads do not live
# on in a fork, which would wait for them for ever.
_DREW: set[int] = set()


class SceneStudio:
    """Takes pictures with one graphics context, for one process and thread."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._library = library_of(settings.split)
        self._camera: Photographer | None = None
        self._owner = (os.getpid(), threading.get_ident())
        if _DREW - {os.getpid()}:
            raise ConfigurationError(
                "this process was forked from one that had drawn pictures already; start worker"
                " processes by 'spawn' or 'forkserver', or before the first shot"
            )

    @property
    def mine(self) -> bool:
        """Whether the caller's process and thread may use it."""
        return self._owner == (os.getpid(), threading.get_ident())

    def close(self) -> None:
        """Let go of the graphics context."""
        if self._camera is not None and self.mine:
            self._camera.close()
        self._camera = None

    def shoot(self, seed: int, index: int, count: int, key: str) -> tuple[View, ...]:
        """Take pictures of the scene of a seed and index.

        Args:
            seed: Of the source.
            index: Of the shot.
            count: How many views.
            key: What the keys of views begin with.

        Raises:
            SourceError: No scene that was drawn shows enough things.
            ConfigurationError: Pictures cannot be drawn here.
        """
        split = _SPLITS[self._settings.split]
        reason = ""
        for attempt in range(TRIES):
            rng = np.random.default_rng([seed, index, split, attempt])
            looks = draw_looks(rng, self._settings, count)
            try:
                table = draw_table(rng, self._settings, self._library, looks[0])
            except SceneError as error:
                reason = str(error)
                continue
            views = [
                self._view(table, look, rng, f"{key}-{index:06d}-{number}")
                for number, look in enumerate(looks)
            ]
            least = min(clearly_visible(view.scene) for view in views)
            if least >= self._settings.least_visible:
                meta = {"seed": seed, "index": index, "attempt": attempt, **self._told(table)}
                return tuple(replace(view, meta={**view.meta, **meta}) for view in views)
            reason = f"a view shows {least} things clearly"
        raise SourceError(f"shot {index}: no scene will do after {TRIES} tries; {reason}")

    def _view(self, table: Table, look: Look, rng: np.random.Generator, key: str) -> View:
        cell = Cell(table.placed, replace(table.layout, camera=look.place))
        try:
            if self._camera is None:
                _DREW.add(os.getpid())
                self._camera = photographer(cell)
            else:
                self._camera.turn_to(cell)
            picture = _before(table.backdrop, self._camera.take())
        except RenderingError as error:
            raise ConfigurationError(f"the simulator source cannot draw: {error}") from error
        model, strength = PERFECT, 0.0
        if rng.random() >= self._settings.perfect_sensor:
            strength = float(rng.uniform(*self._settings.sensor))
            model = scaled(SensorModel(), strength)
        measured = measure(picture, look.focal, model, rng)
        makes = [thing.make for thing in table.placed]
        known = {i: make.thing for i, make in enumerate(makes, start=1) if named(make)}
        return View(
            key=key,
            rgb=np.ascontiguousarray(measured.rgb),
            scene=scene_of(table, cell, picture, self._library),
            depth_m=np.ascontiguousarray(measured.depth_m),
            trusts=frozenset(Fact),
            nouns={i: (thing.noun, *thing.also) for i, thing in known.items()},
            kinds={i: thing.kinds for i, thing in known.items()},
            meta={"camera": looks_like(look), "sensor": round(strength, 3)},
        )

    def _told(self, table: Table) -> dict[str, Any]:
        makes = [thing.make for thing in table.placed]
        return {
            "split": str(self._settings.split),
            "things": {str(i): thing.name for i, thing in enumerate(table.placed, start=1)},
            "fronts": {
                str(i): make.thing.front_name
                for i, make in enumerate(makes, start=1)
                if make.thing.front is not None
            },
            "strange": [i for i, make in enumerate(makes, start=1) if not named(make)],
            "unseen": [
                i
                for i, make in enumerate(makes, start=1)
                if (make.thing.key, make.color) in UNSEEN
            ],
            "light": round(table.layout.light, 3),
        }


def _before(backdrop: tuple[Color, Color], picture: Picture) -> Picture:
    """Paint what lies beyond the floor; it has no depth."""
    down = np.linspace(0, 1, len(picture.rgb))[:, None, None]
    wall = (255 * ((1 - down) * backdrop[0] + down * backdrop[1])).astype(np.uint8)
    return replace(picture, rgb=np.where(picture.bodies[..., None] < 0, wall, picture.rgb))


def clearly_visible(scene: Scene) -> int:
    """Count the named things of which a fair part is in the picture."""
    k = scene.camera.intrinsics
    least = LEAST_SHARE * k.width * k.height
    return sum(
        bool(thing.name) and thing.mask is not None and thing.mask.sum() >= least
        for thing in scene.objects
    )
