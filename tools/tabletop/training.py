# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the namer's network in torch and writes it for numpy."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from roborefer_vlm.backends.scene_graph.namer import FORMAT, STRIDES
from roborefer_vlm.backends.scene_graph.portraits import CHANNELS, MEASURES
from torch import nn
from torch.nn import functional

from tabletop.harvest import COLORS, LABELS

WIDTHS = (16, 32, 64, 128)
KERNELS = (5, 3, 3, 3)
SIZES, HIDDEN = 48, 128
COLOR_LABELS = (*COLORS, "<none>")
FIRST_COLOR_MEASURE = 14


class Network(nn.Module):
    """The namer, with batch normalisation that is folded into its kernels when written."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (CHANNELS, *WIDTHS[:-1])
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, k, stride=s, padding=k // 2, bias=False)
            for i, o, k, s in zip(inputs, WIDTHS, KERNELS, STRIDES, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.measures = nn.Linear(MEASURES, SIZES)
        self.hidden = nn.Linear(2 * WIDTHS[-1] + SIZES, HIDDEN)
        self.dropout = nn.Dropout(0.2)
        self.nouns = nn.Linear(HIDDEN, len(LABELS))
        self.colors = nn.Linear(HIDDEN, len(COLOR_LABELS))

    def forward(self, x: torch.Tensor, measures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the logits of names and colours of pictures (N, channels, side, side)."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.relu(norm(conv(x)))
        sizes = functional.relu(self.measures(measures))
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3)), sizes], 1)
        x = self.dropout(functional.relu(self.hidden(x)))
        return self.nouns(x), self.colors(x)

    @torch.no_grad()
    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights as namer.TabletopNamer wants them."""
        result = {}
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            kernel = conv.weight * gain[:, None, None, None]
            result[f"conv{i}.weight"] = kernel.permute(2, 3, 1, 0).numpy()
            result[f"conv{i}.bias"] = (norm.bias - norm.running_mean * gain).numpy()
        for name in ("measures", "hidden", "nouns", "colors"):
            layer = getattr(self, name)
            result[f"{name}.weight"] = layer.weight.T.numpy()
            result[f"{name}.bias"] = layer.bias.numpy()
        return {name: np.ascontiguousarray(a, np.float16) for name, a in result.items()}


def varied(
    pictures: torch.Tensor, measures: torch.Tensor, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch in other lights, mirrored, with holes and errors in its measures."""
    count = len(pictures)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=random)

    pictures, measures = pictures.clone(), measures.clone()
    gain = 0.75 + 0.5 * draw(count, 1, 1, 1)
    cast = 0.94 + 0.12 * draw(count, 3, 1, 1)
    pictures[:, :3] = (pictures[:, :3] * gain * cast).clamp(0, 1)
    pictures[:, :3] += 0.012 * torch.randn(pictures[:, :3].shape, generator=random)
    down, right = (int(shift) for shift in torch.randint(-2, 3, (2,), generator=random))
    pictures = torch.roll(pictures, (down, right), (2, 3))
    flipped = draw(count) < 0.5
    pictures[flipped] = pictures[flipped].flip(3)
    holes = functional.interpolate((draw(count, 1, 12, 12) < 0.05).float(), scale_factor=4.0)
    pictures[:, 4:6] *= 1 - holes
    measures *= 1 + 0.03 * torch.randn(measures.shape, generator=random)
    # Colours that were named in another light: the picture has to tell as well.
    measures[draw(count) < 0.3, FIRST_COLOR_MEASURE:] = 0
    return pictures, measures


def train(files: Sequence[Path], *, epochs: int, seed: int, held_out: int = 1) -> Network:
    """Train on .npz files of `harvest`; the last ones are held out, and scored at the end."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    learnt, tested = _read(files[:-held_out]), _read(files[-held_out:])
    counts = torch.bincount(learnt["labels"], minlength=len(LABELS)).float()
    weight = (counts.mean() / counts.clamp(min=20)).sqrt().clamp(0.5, 2)
    network = Network().to(memory_format=torch.channels_last)
    batch = 64
    steps = epochs * (len(learnt["labels"]) // batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    begin = time.monotonic()
    for epoch in range(epochs):
        network.train()
        losses = []
        order = torch.randperm(len(learnt["labels"]), generator=random)
        for first in range(0, len(order) - batch + 1, batch):
            chosen = order[first : first + batch]
            x = learnt["pictures"][chosen].permute(0, 3, 1, 2).float() / 255
            nouns, colors = network(*varied(x, learnt["measures"][chosen], random))
            loss = functional.cross_entropy(
                nouns, learnt["labels"][chosen], weight, label_smoothing=0.03
            ) + 0.5 * functional.cross_entropy(colors, learnt["colors"][chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        scores = f", {score(network, tested)}" if epoch + 1 in (epochs // 2, epochs) else ""
        spent = time.monotonic() - begin
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}{scores}, {spent:.0f} s", flush=True)
    return network


@torch.no_grad()
def score(network: Network, tested: dict[str, torch.Tensor]) -> str:
    """Return how often names and colours of held-out segments are right."""
    network.eval()
    right, shades = [], []
    for first in range(0, len(tested["labels"]), 512):
        part = slice(first, first + 512)
        x = tested["pictures"][part].permute(0, 3, 1, 2).float() / 255
        nouns, colors = network(x, tested["measures"][part])
        right.append(nouns.argmax(1) == tested["labels"][part])
        shades.append(colors.argmax(1) == tested["colors"][part])
    own = tested["own"]
    hits, tones = torch.cat(right).float(), torch.cat(shades).float()
    return (f"names {100 * hits.mean():.1f} % (own segments {100 * hits[own].mean():.1f} %),"
            f" colours {100 * tones.mean():.1f} %")  # fmt: skip


def write(network: Network, file: Path) -> None:
    """Write the network as the checkpoint that the engine loads."""
    head = {
        "format": FORMAT,
        "nouns": [label.replace("_", " ").strip() for label in LABELS],
        "colors": list(COLOR_LABELS),
    }
    head["nouns"] = ["robot" if noun == "<robot>" else noun for noun in head["nouns"]]
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, head=np.asarray(json.dumps(head)), **network.arrays())


def _read(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    parts: dict[str, list[np.ndarray]] = {}
    for file in files:
        with np.load(file) as held:
            for name in held.files:
                parts.setdefault(name, []).append(held[name])
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    for name in ("labels", "colors"):
        joined[name] = joined[name].astype(np.int64)
    joined["measures"] = joined["measures"].astype(np.float32)
    return {name: torch.from_numpy(values) for name, values in joined.items()}
