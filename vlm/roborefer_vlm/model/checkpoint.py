# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Loading and saving checkpoints in the published layout.

Loading builds the network without memory and then gives it one tensor after the other, so that
it never needs more than the weights themselves and a small buffer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from roborefer_vlm.exceptions import CheckpointError, ConfigurationError
from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.tensor_files import (
    INDEX_FILE,
    SINGLE_FILE,
    StoredTensor,
    find_tensors,
    read_tensor,
    some_names,
    write_tensors,
)
from roborefer_vlm.model.vocabulary import Vocabulary

DTYPES = (torch.float32, torch.bfloat16, torch.float16)

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
# The pooling head of a tower is never used.
_UNUSED = "vision_model.head."
_LARGEST_FILE = 5_000_000_000


def load_checkpoint(
    path_or_hub_id: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    vocabulary: Vocabulary | None = None,
) -> RoboReferModel:
    """Load a network in evaluation mode.

    Args:
        path_or_hub_id: Directory, or a name of the hub; see `resolve_checkpoint`.
        device: Where the weights go.
        dtype: float32, bfloat16 or float16; None keeps that of the language model on disk.
        vocabulary: Meaning of the token ids; None reads the tokenizer of the checkpoint.

    Raises:
        CheckpointError: Something is missing, broken or contradictory.
        ConfigurationError: The number format is none of the three.
        UnavailableError: A hub was named and cannot be reached.
    """
    if dtype is not None and dtype not in DTYPES:
        raise ConfigurationError(f"dtype is {dtype}; {', '.join(map(str, DTYPES))} are possible")
    config = RoboReferConfig.from_directory(path_or_hub_id)
    assert config.directory is not None
    if vocabulary is None:
        vocabulary = Vocabulary.from_checkpoint(config)
    model = build_without_weights(config, vocabulary)
    stored = {part: find_tensors(config.directory / part) for part in config.parts}
    if dtype is None:
        dtype = _stored_dtype(stored[parts.LLM])
    target = torch.device(device)
    for part, tensors in stored.items():
        _load_part(model.get_submodule(part), tensors, config.directory / part, target, dtype)
    if config.language.tied:
        model.llm.lm_head.weight = model.llm.model.embed_tokens.weight
    model.fill_buffers(target)
    return model.eval()


def build_without_weights(config: RoboReferConfig, vocabulary: Vocabulary) -> RoboReferModel:
    """Build a network on the meta device, which takes no memory and cannot compute."""
    with torch.device("meta"):
        model = RoboReferModel(config, vocabulary)
    if config.language.tied:
        model.llm.lm_head.weight = model.llm.model.embed_tokens.weight
    return model


def random_model(
    config: RoboReferConfig,
    vocabulary: Vocabulary,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> RoboReferModel:
    """Build a network with random weights, for measurements and tests.

    Every matrix is drawn so that it keeps the size of what goes through it; norms are the
    identity.
    """
    target = torch.device(device)
    model = build_without_weights(config, vocabulary)
    generator = torch.Generator(target).manual_seed(seed)
    for name, parameter in list(model.named_parameters()):
        tensor = torch.zeros(parameter.shape, dtype=dtype, device=target)
        if tensor.ndim > 1:
            tensor.normal_(std=tensor[0].numel() ** -0.5, generator=generator)
        elif name.endswith("weight"):
            tensor.fill_(1)
        _assign(model, name, tensor)
    if config.language.tied:
        model.llm.lm_head.weight = model.llm.model.embed_tokens.weight
    model.fill_buffers(target)
    return model.eval()


def save_checkpoint(model: RoboReferModel, path: str | Path) -> None:
    """Write a network in the layout it was loaded from, tokenizer files included.

    Args:
        model: The network; weights are written in the number format they have.
        path: Directory; it is made if it is not there. Weights that lie in it are replaced.

    Raises:
        CheckpointError: The directory cannot be written.
    """
    directory = Path(path).expanduser()
    try:
        for part, values in model.config.files.items():
            (directory / part).mkdir(parents=True, exist_ok=True)
            content = json.dumps(_saved_config(model, part, values), indent=2) + "\n"
            (directory / part / "config.json").write_text(content, encoding="utf-8")
            if part:
                _copy_other_files(model.config.directory, directory, part)
                _save_part(model.get_submodule(part), directory / part)
    except OSError as error:
        raise CheckpointError(f"{directory} cannot be written: {error}") from error


def _load_part(
    module: nn.Module,
    stored: Mapping[str, StoredTensor],
    directory: Path,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Give a module its weights, tensor by tensor."""
    wanted = dict(module.named_parameters())
    # Tied heads appear once among the parameters; a stored copy of them is not needed.
    unexpected = {
        name
        for name in stored
        if name not in wanted and not name.startswith(_UNUSED) and name != _HEAD
    }
    missing = sorted(set(wanted) - set(stored))
    if missing or unexpected:
        found = "; ".join(
            f"{len(names)} {what}: {some_names(names)}"
            for what, names in (("missing", missing), ("unexpected", unexpected))
            if names
        )
        raise CheckpointError(f"{directory} does not hold the weights of its config.json: {found}")
    for name, parameter in wanted.items():
        source = stored[name]
        resizable = name in (_EMBEDDING, _HEAD)
        first = 1 if resizable else 0
        if tuple(parameter.shape[first:]) != source.shape[first:] or 0 in source.shape:
            raise CheckpointError(
                f"{directory}: '{name}' has shape {list(source.shape)};"
                f" {list(parameter.shape)} is needed"
            )
        tensor = torch.empty(parameter.shape, dtype=dtype, device=device)
        read_tensor(source, tensor)
        kept = source.shape[0] if source.shape else 0
        if resizable and kept < len(tensor):
            # New tokens start as the mean of all others, as transformers does at its core.
            tensor[kept:] = tensor[:kept].float().mean(0).to(dtype)
        _assign(module, name, tensor)


def _assign(module: nn.Module, name: str, tensor: torch.Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(owner), leaf, nn.Parameter(tensor))


def _stored_dtype(stored: Mapping[str, StoredTensor]) -> torch.dtype:
    dtype = stored[_EMBEDDING].dtype if _EMBEDDING in stored else torch.float32
    return dtype if dtype in DTYPES else torch.float32


def _saved_config(model: RoboReferModel, part: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part's configuration with what loading has changed."""
    dtype = str(model.dtype).removeprefix("torch.")
    saved = dict(values)
    if part:
        saved["torch_dtype"] = dtype
    else:
        saved["model_dtype"] = str(model.dtype)
    if part == parts.LLM:
        saved["vocab_size"] = model.vocabulary.size
    if "vision_use_head" in saved:
        saved["vision_use_head"] = False
    return saved


def _copy_other_files(source: Path | None, directory: Path, part: str) -> None:
    """Copy what is neither weights nor configuration: tokenizer, preprocessor, templates."""
    if source is None or (source / part).resolve() == (directory / part).resolve():
        return
    for path in sorted((source / part).iterdir()):
        weights = path.suffix in {".safetensors", ".bin", ".pt", ".pth"}
        if path.is_file() and not weights and path.name not in {"config.json", INDEX_FILE}:
            shutil.copyfile(path, directory / part / path.name)


def _save_part(module: nn.Module, directory: Path) -> None:
    tensors = dict(module.named_parameters())
    sizes = {name: tensor.numel() * tensor.itemsize for name, tensor in tensors.items()}
    groups = _distribute(sizes, _LARGEST_FILE)
    if len(groups) == 1:
        files = {SINGLE_FILE: groups[0]}
    else:
        files = {
            f"model-{number:05d}-of-{len(groups):05d}.safetensors": names
            for number, names in enumerate(groups, start=1)
        }
    for file_name, names in files.items():
        write_tensors(directory / file_name, {name: tensors[name] for name in names})
    # What an earlier checkpoint left behind would contradict the new files.
    for old in directory.glob("model*.safetensors"):
        if old.name not in files:
            old.unlink()
    (directory / INDEX_FILE).unlink(missing_ok=True)
    if len(files) > 1:
        index = {
            "metadata": {"total_size": sum(sizes.values())},
            "weight_map": {name: file for file, names in files.items() for name in names},
        }
        (directory / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _distribute(sizes: Mapping[str, int], largest: int) -> list[list[str]]:
    """Part names into files of at most `largest` bytes, in order; one tensor may exceed it."""
    files: list[list[str]] = []
    room = 0
    for name, size in sizes.items():
        if not files or size > room:
            files.append([])
            room = largest
        files[-1].append(name)
        room -= size
    return files
