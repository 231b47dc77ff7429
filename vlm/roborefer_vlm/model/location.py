# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From what a person writes to the directory of a checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

from roborefer_vlm.exceptions import CheckpointError, UnavailableError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Weights, configurations and tokenizer; no pickled files, no optimizer states.
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja"]


def resolve_checkpoint(path_or_hub_id: str | Path) -> Path:
    """Return the directory that holds the parts of a checkpoint.

    `~` is expanded, and a sub-directory `model`, which training writes, is entered. A string of
    the form `owner/name` that names nothing on this machine is fetched from the Hugging Face hub;
    that is the only case in which the network is used.

    Raises:
        CheckpointError: There is no such directory, and the name is none of the hub.
        UnavailableError: The hub cannot be reached or does not have it.
    """
    path = Path(path_or_hub_id).expanduser()
    if not path.is_dir():
        # `owner` being a folder here means that a path was meant, and mistyped.
        if not isinstance(path_or_hub_id, str) or not _HUB_ID.fullmatch(path_or_hub_id):
            raise CheckpointError(f"{path} is no directory; give the folder of a checkpoint")
        if path.parent.is_dir() or path.exists():
            raise CheckpointError(f"{path} is no directory, though {path.parent} is one")
        path = _download(path_or_hub_id)
    inner = path / "model"
    return inner if inner.is_dir() else path


def _download(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise UnavailableError(
            f"'{hub_id}' is no directory here, and huggingface_hub, which would fetch it,"
            " is not installed"
        ) from error
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UnavailableError(
            f"'{hub_id}' is no directory here and the hub did not give it: {error}"
        ) from error
