# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulator source: random tables of roborefer_sim's library, whose truth is known exactly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from roborefer_vlm.data.sources.simulator_settings import SceneSplit, SimulatorSettings
from roborefer_vlm.data.views import Shot
from roborefer_vlm.exceptions import ConfigurationError, SourceError

if TYPE_CHECKING:
    from roborefer_vlm.data.sources.simulator_studio import SceneStudio

MOST_VIEWS = 8


class SimulatorSource:
    """Shots of random tables; a shot depends on seed, split, settings and index alone.

    It vouches for everything: lengths, boxes, fronts, free space, colours, and that every thing
    of a named kind is annotated. Things outside the vocabulary are there with the name "": they
    take up space and hide others, and nobody has a word for them.

    Pictures are drawn in the process and thread that asks; a graphics context is kept for the
    next shot. Worker processes must be spawned, or forked before the first shot.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        views: int = 1,
        settings: SimulatorSettings | None = None,
    ) -> None:
        """Prepare a source; nothing is loaded before the first shot.

        Args:
            seed: Of all scenes, from 0.
            count: How many shots there are.
            views: Of each scene.
            settings: What tables, cameras and lights are like; None: the defaults.

        Raises:
            ConfigurationError: A number is out of its range.
        """
        if seed < 0 or count < 0 or not 1 <= views <= MOST_VIEWS:
            raise ConfigurationError(
                f"seed {seed}, count {count}, views {views}: seed and count must be 0 or more,"
                f" views 1 to {MOST_VIEWS}"
            )
        self.seed, self.count, self.views = seed, count, views
        self.settings = settings or SimulatorSettings()
        self._studio: SceneStudio | None = None

    @property
    def name(self) -> str:
        """Short, safe as a file name."""
        return "sim" if self.settings.split is SceneSplit.TRAINING else "sim_held_out"

    def __len__(self) -> int:
        return self.count

    def __reduce__(self) -> tuple[Any, ...]:
        # A graphics context stays where it was made.
        return type(self), (self.seed, self.count, self.views, self.settings)

    def shot(self, index: int) -> Shot:
        """Take a shot.

        Raises:
            SourceError: The index is not one of 0 to count - 1, or no scene that was drawn for it
                shows enough things.
            ConfigurationError: roborefer_sim is not installed or cannot draw here, or this process
                was forked from one that had taken shots.
        """
        if not 0 <= index < self.count:
            raise SourceError(f"shot {index} of source '{self.name}': it has {self.count} shots")
        if self._studio is None or not self._studio.mine:
            self._studio = _open_studio(self.settings)
        views = self._studio.shoot(self.seed, index, self.views, f"{self.name}-{self.seed}")
        return Shot(views)

    def close(self) -> None:
        """Let go of the graphics context; the next shot makes a new one."""
        if self._studio is not None:
            self._studio.close()
        self._studio = None


def _open_studio(settings: SimulatorSettings) -> SceneStudio:
    try:
        drawing = importlib.import_module("roborefer_sim.core.gl")
        errors = importlib.import_module("roborefer_sim.exceptions")
    except ImportError as error:
        raise ConfigurationError(
            "the simulator source needs roborefer_sim; type: pip install ./src/roborefer_sim"
        ) from error
    try:
        # MuJoCo must be imported in the way that works here, before anything else imports it.
        drawing.load_mujoco()
    except errors.RenderingError as error:
        raise ConfigurationError(f"the simulator source cannot draw: {error}") from error
    from roborefer_vlm.data.sources.simulator_studio import SceneStudio

    return SceneStudio(settings)
