# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Group relative policy optimisation (DeepSeekMath, arXiv 2402.03300, section 4.1).

For each of the G answers to a question with advantage A, and each of its tokens t,

    loss(t) = -min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A) + kl * k3(t)
    ratio   = exp(new - old)            k3 = exp(ref - new) - (ref - new) - 1

with logarithms of the probability of the token under the network that learns, the one that drew
the answer, and the frozen reference. The loss of an answer is the mean over its tokens, and that
of an optimiser step the mean over all its answers, as in the paper and in R1-V, which RoboRefer's
reinforcement stage is built on (arXiv 2506.04308): a long answer weighs as much as a short one.

All here is a function of networks and answers; nothing is kept between steps. The trainer of
`trl` is not used: it builds its batches for networks of transformers with one processor, while
these inputs have two encoders and unequal numbers of tiles.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

import torch

from roborefer_vlm.exceptions import ConfigurationError, TrainingError
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.reading import Embedded, read
from roborefer_vlm.training.rollouts import Group


@dataclass(frozen=True)
class GrpoSettings:
    """How answers are drawn and learnt from.

    Attributes:
        samples: Answers per question (G; the paper's 8).
        temperature: Of the softmax that answers are drawn from; probabilities are those of this
            softmax everywhere.
        clip: How far a probability may move per drawing, as a share.
        kl: Weight of the distance to the reference (R1-V: 0.04).
        epsilon: Added to the standard deviation of the rewards (R1-V: 1e-4).
        updates: Optimiser steps per drawing; only the second and later ones are ever clipped.
    """

    samples: int = 8
    temperature: float = 1.0
    clip: float = 0.2
    kl: float = 0.04
    epsilon: float = 1e-4
    updates: int = 1

    def __post_init__(self) -> None:
        if not 2 <= self.samples <= 31:
            raise ConfigurationError(f"samples is {self.samples}; 2 to 31 are possible")
        if not (isfinite(self.temperature) and 0 < self.temperature <= 2):
            raise ConfigurationError(
                f"temperature is {self.temperature}; use more than 0 and up to 2"
            )
        if not 0 < self.clip < 1:
            raise ConfigurationError(f"clip is {self.clip}; use more than 0 and less than 1")
        if not (isfinite(self.kl) and self.kl >= 0):
            raise ConfigurationError(f"kl is {self.kl}; 0 or more is needed")
        if not (isfinite(self.epsilon) and self.epsilon > 0):
            raise ConfigurationError(f"epsilon is {self.epsilon}; use more than 0")
        if self.updates < 1:
            raise ConfigurationError(f"updates is {self.updates}; at least 1 is needed")


@dataclass(frozen=True)
class GrpoFigures:
    """What a step was about.

    Attributes:
        loss: Mean over the answers.
        kl: Mean k3 over the answers, each the mean over its tokens.
        clipped: The same of the tokens whose gradient was cut by clipping.
    """

    loss: float
    kl: float
    clipped: float


def frozen_copy(network: RoboReferModel) -> RoboReferModel:
    """Return a copy that never learns, to be the reference."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def advantages(rewards: Sequence[float], epsilon: float = 1e-4) -> torch.Tensor:
    """Return (r - mean) / (std + epsilon) of a group, float32, shape (G,).

    The standard deviation is that of a sample (divided by G - 1), as R1-V computes it. Equal
    rewards give zeros: such a group teaches nothing.
    """
    values = torch.tensor(rewards, dtype=torch.float64)
    return ((values - values.mean()) / (values.std() + epsilon)).float()


def answer_log_probs(
    network: RoboReferModel, group: Group, temperature: float = 1.0
) -> list[torch.Tensor]:
    """Return the log-probability of every token of every attempt, shapes (n,), float32 at least.

    The prompt is encoded once for all answers. Answers are never looked at for placeholders, so
    whatever tokens a network draws can be read back.
    """
    (prompt,), _ = network.embed_rows([group.task.inputs])
    ids = [attempt.ids.to(network.device) for attempt in group.attempts]
    # The last token is predicted and predicts nothing.
    words = [network.llm.model.embed_tokens(answer[:-1]) for answer in ids]
    embedded = Embedded.from_rows([torch.cat([prompt, answer]) for answer in words])
    hidden = read(network.llm, embedded)
    logged = []
    for states, answer in zip(hidden, ids, strict=True):
        start = len(prompt) - 1
        logits = network.llm.lm_head(states[start : start + len(answer)])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
        chosen = logits.gather(1, answer[:, None])[:, 0]
        logged.append(chosen - logits.logsumexp(1))
    return logged


def answer_loss(
    new: torch.Tensor,
    old: torch.Tensor,
    reference: torch.Tensor,
    advantage: torch.Tensor | float,
    settings: GrpoSettings,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return loss, k3 and share of clipped tokens of one answer, means over its tokens.

    Args:
        new: Log-probabilities under the network that learns, shape (n,).
        old: Under the one that drew the answer; a constant.
        reference: Under the reference; a constant.
        advantage: Of the answer.
        settings: Clipping and weight of the reference.
    """
    ratio = (new - old).exp()
    free = ratio * advantage
    held = ratio.clamp(1 - settings.clip, 1 + settings.clip) * advantage
    difference = reference - new
    k3 = difference.exp() - difference - 1
    loss = (settings.kl * k3 - torch.minimum(free, held)).mean()
    return loss, k3.mean().detach(), (held < free).to(loss.dtype).mean()


@torch.no_grad()
def constant_log_probs(
    network: RoboReferModel, groups: Sequence[Group], temperature: float = 1.0
) -> list[list[torch.Tensor]]:
    """Return the log-probabilities of every attempt of every group, without gradient."""
    return [answer_log_probs(network, group, temperature) for group in groups]


def accumulate_gradients(
    network: RoboReferModel,
    reference: RoboReferModel,
    groups: Sequence[Group],
    settings: GrpoSettings,
    *,
    old: Sequence[Sequence[torch.Tensor]] | None = None,
    answers: int | None = None,
    backward: Callable[[torch.Tensor], None] | None = None,
) -> GrpoFigures:
    """Add the gradient of the loss of some groups, one group after the other.

    Args:
        network: What learns; its gradients are added to.
        reference: What it shall stay near to.
        groups: Answers with their rewards.
        settings: How to learn.
        old: Log-probabilities under the network that drew the answers, by group and attempt;
            None: that is the network as it is.
        answers: Answers of the whole optimiser step, over all calls and processes; the sum of
            the losses is divided by it. None: those of this call.
        backward: What is called with each loss; None: its own `backward`.

    Raises:
        TrainingError: A loss is no number; the question is named.
    """
    count = sum(len(group.attempts) for group in groups) if answers is None else answers
    sums = torch.zeros(3, dtype=torch.float64)
    for place, group in enumerate(groups):
        advantage = advantages([one.reward.total for one in group.attempts], settings.epsilon)
        with torch.no_grad():
            towards = answer_log_probs(reference, group, settings.temperature)
        new = answer_log_probs(network, group, settings.temperature)
        before = [row.detach() for row in new] if old is None else old[place]
        terms = [
            answer_loss(row, past, fixed, float(weight), settings)
            for row, past, fixed, weight in zip(new, before, towards, advantage, strict=True)
        ]
        loss = torch.stack([term[0] for term in terms]).sum() / count
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss of question '{group.task.name}' is {loss.item()}; its answers earned"
                f" {[one.reward.total for one in group.attempts]}"
            )
        if backward is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            backward(loss)
        for index in range(3):
            sums[index] += sum(float(term[index].detach()) for term in terms)
    return GrpoFigures(*(sums / count).tolist())
