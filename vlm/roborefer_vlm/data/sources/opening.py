# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sources by name, as the command line takes them: "sim", "ca1m:DIR", "web:DIR"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from roborefer_vlm.data.sources.boxes3d import FORMATS, Boxes3dSource
from roborefer_vlm.data.sources.simulator import SimulatorSource
from roborefer_vlm.data.sources.simulator_settings import SceneSplit, SimulatorSettings
from roborefer_vlm.data.sources.web import WebSource
from roborefer_vlm.data.sources.web_models import ModelCaptioner, ModelFinder, ModelGeometry
from roborefer_vlm.data.sources.web_recorded import (
    RecordedCaptioner,
    RecordedFinder,
    RecordedGeometry,
)
from roborefer_vlm.data.views import Shot, Source
from roborefer_vlm.exceptions import ConfigurationError

SIMULATOR, PHOTOGRAPHS = "sim", "web"
NAMES = (SIMULATOR, *(f"{name}:DIR" for name in FORMATS), f"{PHOTOGRAPHS}:DIR")


@dataclass(frozen=True)
class PhotographModels:
    """Models that look at photographs, by directory or hub id.

    Attributes:
        detector: A zero-shot detector; None: estimates lie in files beside the photographs.
        masks: A SAM model; needed with a detector.
        depth: A metric depth model; needed with a detector.
        caption: A model that compares crops with colours; None: colours are not asked about.
        labels: What the detector looks for.
        device: Such as "cpu" or "cuda:0".
    """

    detector: str | None = None
    masks: str | None = None
    depth: str | None = None
    caption: str | None = None
    labels: tuple[str, ...] = ()
    device: str = "cpu"

    def open(self, folder: Path) -> WebSource:
        """Return the source for a folder of photographs.

        Raises:
            ConfigurationError: A model is missing, or the folder holds no photograph.
        """
        if self.detector is None:
            if self.masks or self.depth or self.caption or self.labels:
                raise ConfigurationError("models for photographs need a detector as well")
            return WebSource(folder, RecordedFinder(), RecordedGeometry(), RecordedCaptioner())
        if self.masks is None or self.depth is None:
            raise ConfigurationError(
                "a detector needs a model for masks and one for depth as well"
            )
        finder = ModelFinder(self.detector, self.masks, self.labels, device=self.device)
        captioner = (
            None if self.caption is None else ModelCaptioner(self.caption, device=self.device)
        )
        return WebSource(folder, finder, ModelGeometry(self.depth, device=self.device), captioner)


@dataclass(frozen=True)
class FirstShots:
    """The first shots of another source.

    Attributes:
        source: The other one.
        count: How many, at most as many as it has.
    """

    source: Source
    count: int

    @property
    def name(self) -> str:
        """Name of the other one."""
        return self.source.name

    def __len__(self) -> int:
        return min(self.count, len(self.source))

    def shot(self, index: int) -> Shot:
        """See `Source.shot`."""
        return self.source.shot(index)


def open_source(
    spec: str,
    *,
    count: int | None = None,
    seed: int = 0,
    views: int = 1,
    every: int = 20,
    held_out: bool = False,
    models: PhotographModels | None = None,
) -> tuple[Source, Mapping[str, Any]]:
    """Return a source by its name, and what its shots depend on, as JSON values.

    Args:
        spec: One of NAMES.
        count: How many shots; the simulator needs it, None takes all of the others.
        seed: Of the simulator.
        views: Of a scene.
        every: Of scans: every so many frames of a room are used.
        held_out: Scenes that training never shows; the simulator alone has them.
        models: For photographs.

    Raises:
        ConfigurationError: The source is unknown, or a setting does not suit it.
    """
    name, _, folder = spec.partition(":")
    models = models or PhotographModels()
    if name != PHOTOGRAPHS and replace(models, device="") != PhotographModels(device=""):
        raise ConfigurationError(
            f"source '{spec}' needs no models and no labels; they are for {PHOTOGRAPHS}:DIR"
        )
    if count is not None and count < 1:
        raise ConfigurationError(f"{count} scenes are asked for; 1 or more is right")
    if name == SIMULATOR and not folder:
        if count is None:
            raise ConfigurationError("source 'sim' has no end: say how many scenes")
        split = SceneSplit.HELD_OUT if held_out else SceneSplit.TRAINING
        settings = SimulatorSettings(split=split)
        return SimulatorSource(seed, count, views, settings), {"views": views, **asdict(settings)}
    if name not in (*FORMATS, PHOTOGRAPHS) or not folder:
        raise ConfigurationError(f"source '{spec}' is unknown; there are {', '.join(NAMES)}")
    if held_out:
        raise ConfigurationError(f"source '{name}' holds no scenes out; 'sim' does")
    told: dict[str, Any] = {"folder": folder, "views": views}
    source: Source
    if name == PHOTOGRAPHS:
        if views != 1:
            raise ConfigurationError(f"a photograph is 1 view, not {views}")
        source = models.open(Path(folder))
        told |= {**asdict(models), "labels": list(models.labels)}
    else:
        if not Path(folder).is_dir():
            raise ConfigurationError(f"{folder} is no folder")
        source = Boxes3dSource(Path(folder), name, every, views)
        told["every"] = every
    return (source if count is None else FirstShots(source, count)), told
