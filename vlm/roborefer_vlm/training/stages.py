# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which parts learn in which stage, and who runs it (arXiv 2506.04308, training)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Protocol, cast

from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.network import RoboReferModel

DEPTH_ALIGN, SFT, RFT = "depth_align", "sft", "rft"

# What learns unless the configuration says otherwise; parts that a network lacks are left out.
_EVERYTHING = (
    parts.LLM,
    parts.VISION_TOWER,
    parts.MM_PROJECTOR,
    parts.DEPTH_TOWER,
    parts.DEPTH_PROJECTOR,
)
_TRAINABLE = {
    DEPTH_ALIGN: (parts.DEPTH_PROJECTOR,),
    SFT: _EVERYTHING,
    RFT: _EVERYTHING,
}
# Modules with a `plan` and a `run`, see `Runner`; imported only when needed.
_RUNNERS = {
    DEPTH_ALIGN: "roborefer_vlm.training.supervised",
    SFT: "roborefer_vlm.training.supervised",
    RFT: "roborefer_vlm.training.reinforced",
}


class Runner(Protocol):
    """A module that trains one or more stages."""

    def plan(self, table: Mapping[str, Any], source: str) -> str:
        """Return in words what would be done: sizes, memory, steps.

        Raises:
            ConfigurationError: The configuration cannot work.
        """

    def run(self, table: Mapping[str, Any], source: str, *, resume: bool) -> None:
        """Train to the end.

        Args:
            table: The configuration as read from TOML; the runner checks every key.
            source: Where it was read from, for messages.
            resume: Go on from the newest checkpoint in the output folder.

        Raises:
            ConfigurationError: The configuration cannot work.
            TrainingError: Training cannot go on.
        """


def runner_of(table: Mapping[str, Any], source: str) -> Runner:
    """Return who runs the stage that a configuration names.

    Raises:
        ConfigurationError: It names none, or one that is not known.
    """
    stage = table.get("stage")
    if stage not in _RUNNERS:
        near = get_close_matches(str(stage), _RUNNERS, n=1, cutoff=0.0)
        raise ConfigurationError(
            f"{source}: 'stage' is {stage!r}; did you mean '{near[0]}'?"
            f" Known are {', '.join(_RUNNERS)}"
        )
    return cast(Runner, import_module(_RUNNERS[stage]))


def prepare_parts(model: RoboReferModel, stage: str, trainable: Sequence[str] = ()) -> list[str]:
    """Freeze what does not learn; frozen towers and projectors go to evaluation mode.

    Layers of a tower behind the state that is used are never computed. They are frozen as well,
    since processes that train together would wait for their gradients.

    Args:
        model: The network; its modes and gradients are changed.
        stage: depth_align, sft or rft.
        trainable: Parts that learn; empty takes those of the stage.

    Returns:
        The parts that learn.

    Raises:
        ConfigurationError: The network has no such part, or nothing would learn.
    """
    names = list(trainable or _TRAINABLE[stage])
    if not trainable:
        names = [name for name in names if getattr(model, name, None) is not None]
    if not names:
        raise ConfigurationError(f"stage {stage} trains depth, and this checkpoint has none")
    model.train_only(names)
    for tower in (model.vision_tower, model.depth_tower):
        if tower is not None:
            tower.vision_model.encoder.layers[tower.config.select_layer :].requires_grad_(False)
            tower.vision_model.post_layernorm.requires_grad_(False)
    return names


def copy_colour_to_depth(model: RoboReferModel) -> None:
    """Give tower and projector of depth the weights of those of colour.

    Raises:
        ConfigurationError: The network has no depth, or parts of other shapes.
    """
    pairs = [(model.vision_tower, model.depth_tower), (model.mm_projector, model.depth_projector)]
    if model.depth_projector is None:
        raise ConfigurationError("'depth_from_colour' is true, and this checkpoint has no depth")
    for source, target in pairs:
        if target is None:  # depth goes through the tower of colour
            continue
        try:
            target.load_state_dict(source.state_dict())
        except RuntimeError as error:
            raise ConfigurationError(
                f"'depth_from_colour' is true, but the parts differ: {error}"
            ) from error
