# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetching a benchmark from the Hugging Face hub, only ever because the user wrote "hub:"."""

from __future__ import annotations

from pathlib import Path

from roborefer_vlm.exceptions import ConfigurationError, UnavailableError


def fetch(place: str | Path) -> Path:
    """Return the local directory of "hub:<owner>/<data set>", fetched if it is not cached.

    Raises:
        ConfigurationError: The name is none, or huggingface_hub is not installed.
        UnavailableError: The hub cannot be reached, or does not have it.
    """
    name = str(place).removeprefix("hub:")
    if name.count("/") != 1 or not all(name.split("/")):
        raise ConfigurationError(f"'{place}' names no data set; write hub:<owner>/<data set>")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ConfigurationError(
            f"'{place}' needs huggingface_hub; install roborefer-vlm[model], or name a directory"
        ) from error
    try:
        return Path(snapshot_download(name, repo_type="dataset"))
    # The errors of the hub are HTTP errors, which are OSErrors, or ValueErrors about the name.
    except (OSError, ValueError) as error:
        raise UnavailableError(f"'{place}' cannot be fetched: {error}") from error
