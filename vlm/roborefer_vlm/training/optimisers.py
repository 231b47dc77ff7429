# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The optimizer, and its learning rate as a function of the step alone."""

from __future__ import annotations

from math import ceil, cos, pi

import torch

from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.training.settings import OptimizerSettings


def make_optimizer(model: RoboReferModel, settings: OptimizerSettings) -> torch.optim.AdamW:
    """Return AdamW over everything that learns; each group notes its highest rate as `peak`.

    Args:
        model: Its parts must have been frozen already, see `stages.prepare_parts`.
        settings: Rates and the rest.

    Raises:
        ConfigurationError: A part with a rate of its own does not learn, or nothing learns.
    """
    groups: list[dict[str, object]] = []
    for part, module in model.named_children():
        learning = [one for one in module.parameters() if one.requires_grad]
        rate = settings.part_rates.get(part, settings.learning_rate)
        for decays in (True, False):
            members = [one for one in learning if (one.ndim > 1) == decays]
            if members:
                groups.append(
                    {
                        "params": members,
                        "name": part,
                        "peak": rate,
                        "lr": rate,
                        "weight_decay": settings.weight_decay if decays else 0.0,
                    }
                )
    learnt = {str(group["name"]) for group in groups}
    idle = set(settings.part_rates) - learnt
    if idle or not groups:
        raise ConfigurationError(
            f"'part_rates' names {', '.join(sorted(idle)) or 'nothing'};"
            f" what learns is {', '.join(sorted(learnt)) or 'nothing'}"
        )
    on_gpu = model.device.type == "cuda"
    return torch.optim.AdamW(
        groups, betas=settings.betas, eps=settings.epsilon, fused=True if on_gpu else None
    )


def rate_factor(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Return the share of the highest rate at a step: a line up, then half a cosine down.

    No step has the rate 0: the rise begins above it, and the cosine would reach it one step later.

    Args:
        step: From 0; the step that is about to be taken.
        steps: Of the whole run.
        settings: Warm-up and final share.
    """
    rising = ceil(settings.warmup * steps)
    if step < rising:
        return (step + 1) / rising
    falling = (step - rising) / max(1, steps - rising)
    return settings.final + (1 - settings.final) * (1 + cos(pi * min(1.0, falling))) / 2


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its share of its highest rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
