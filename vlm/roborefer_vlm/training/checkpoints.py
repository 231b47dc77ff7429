# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: `checkpoint-N` while it goes on, `model` at its end.

A checkpoint has the published layout, so it can be served as it is, and beside the parts:

    trainer.json           the step, the settings that must stay, what the guard has seen
    optimizer.safetensors  running means of the gradients, by parameter
    shards/                these, where weights are spread over processes (FSDP, DeepSpeed)

Folders appear under their name when they are complete. Nothing in a step draws random numbers,
so there is no generator to keep.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from roborefer_vlm.exceptions import CheckpointError, TrainingError
from roborefer_vlm.model.checkpoint import build_without_weights, save_checkpoint
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.tensor_files import read_header, read_tensor, some_names, write_tensors

FINISHED, SHARDS = "model", "shards"
_STATE, _OPTIMIZER = "trainer.json", "optimizer.safetensors"
_NAME = re.compile(r"checkpoint-(\d+)")


class RunFolder:
    """The folder of one run.

    Attributes:
        path: Where it is.
        keep: How many of the newest checkpoints are kept.
    """

    def __init__(self, path: Path, keep: int = 1) -> None:
        self.path = path
        self.keep = keep

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / FINISHED).is_dir()

    def begin(self, *, resume: bool) -> Path | None:
        """Return the newest checkpoint to go on from, or None for a fresh start.

        Raises:
            TrainingError: A fresh run would overwrite another, or there is no place to write.
        """
        newest = self.newest()
        if not resume and (newest is not None or self.finished):
            raise TrainingError(
                f"{self.path} holds a run already; go on with --resume or give another 'output'"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"'output' {self.path} cannot be made: {error}") from error
        return newest

    def newest(self) -> Path | None:
        """Return the checkpoint with the highest number, if any."""
        found = self._all()
        return found[-1] if found else None

    def _all(self) -> list[Path]:
        if not self.path.is_dir():
            return []
        numbered = [(_NAME.fullmatch(one.name), one) for one in self.path.iterdir()]
        return [one for _, one in sorted((int(match[1]), one) for match, one in numbered if match)]

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a folder to fill; it gets its name afterwards, and old checkpoints go.

        Raises:
            CheckpointError: It cannot be written.
        """
        unfinished = self.unfinished(name)
        try:
            if unfinished.exists():
                shutil.rmtree(unfinished)
            unfinished.mkdir(parents=True)
            yield unfinished
            target = self.path / name
            if target.exists():
                shutil.rmtree(target)
            unfinished.rename(target)
            for old in self._all()[: -self.keep]:
                shutil.rmtree(old)
        except OSError as error:
            raise CheckpointError(f"{self.path / name} cannot be written: {error}") from error

    def unfinished(self, name: str) -> Path:
        """Return where a checkpoint is while it is being written."""
        return self.path / f".{name}.part"


def checkpoint_name(step: int) -> str:
    """Return the name of the checkpoint after this many steps."""
    return f"checkpoint-{step}"


def save_weights(
    model: RoboReferModel,
    weights: Mapping[str, torch.Tensor],
    dtype: torch.dtype,
    folder: Path,
) -> None:
    """Write weights that need not lie in the network itself, in the published layout.

    Args:
        model: Shapes, configuration and tokenizer files.
        weights: All weights by name; where weights are spread over processes, gathered ones.
        dtype: Number format to write.
        folder: Where to; it is filled.

    Raises:
        CheckpointError: It cannot be written, or weights are missing.
    """
    copy = build_without_weights(model.config, model.vocabulary)
    wanted = dict(copy.named_parameters())
    missing = set(wanted) - set(weights)
    if missing:
        raise CheckpointError(f"there are no weights for {some_names(missing)}")
    for name in wanted:
        owner, _, leaf = name.rpartition(".")
        tensor = torch.nn.Parameter(weights[name].detach().to(dtype), requires_grad=False)
        setattr(copy.get_submodule(owner), leaf, tensor)
    if model.config.language.tied:
        copy.llm.lm_head.weight = copy.llm.model.embed_tokens.weight
    save_checkpoint(copy, folder)


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write what a run must know to go on; JSON values only."""
    text = json.dumps(state, indent=1) + "\n"
    (folder / _STATE).write_text(text, encoding="utf-8")


def read_state(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run must know to go on.

    Args:
        folder: The checkpoint.
        settings: Those that must be as they were; JSON values only.

    Raises:
        CheckpointError: The file is missing or broken.
        TrainingError: A setting was another one.
    """
    path = folder / _STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        before = dict(state["settings"])
        int(state["step"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no state of a run: {error!r:.120}") from error
    for name, value in settings.items():
        if before.get(name) != value:
            raise TrainingError(
                f"{folder} was trained with {name} = {before.get(name)}, now it is {value};"
                " a run goes on with what it began with, or start one in another 'output'"
            )
    return dict(state)


def save_optimizer(folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write the state of an optimizer by the names of the parameters."""
    tensors = {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    write_tensors(folder / _OPTIMIZER, tensors)


def load_optimizer(folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Read what `save_optimizer` wrote.

    Raises:
        CheckpointError: The file is missing or broken, or is of another network.
    """
    path = folder / _OPTIMIZER
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; a run cannot go on without it")
    learnt = {id(one) for group in optimizer.param_groups for one in group["params"]}
    parameters = {name: one for name, one in model.named_parameters() if id(one) in learnt}
    for entry, stored in read_header(path).items():
        name, _, key = entry.rpartition("/")
        if name not in parameters:
            raise CheckpointError(f"{path} holds '{entry}', and no such parameter learns")
        # The number of steps lies on the CPU, unless the optimizer works in one kernel.
        fused = bool(optimizer.defaults.get("fused"))
        device = parameters[name].device if stored.shape or fused else torch.device("cpu")
        tensor = torch.empty(stored.shape, dtype=stored.dtype, device=device)
        read_tensor(stored, tensor)
        optimizer.state[parameters[name]][key] = tensor
