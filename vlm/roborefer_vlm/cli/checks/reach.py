# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines and servers: whether they answer."""

from __future__ import annotations

from pathlib import Path

from roborefer_vlm.cli import asking
from roborefer_vlm.cli.checks.check import Check, State
from roborefer_vlm.exceptions import ReferringError, UnavailableError


def check_server(url: str, token_file: Path | None) -> Check:
    """Return whether a server answers and its engine is ready."""
    try:
        with asking.server_client(url, token_file) as client:
            info = client.info()
            if not client.ready():
                return Check("server", State.BAD, f"{url} is up, its engine is not ready", "wait")
    except UnavailableError as error:
        step = "start it with roborefer serve, correct --url, or wait while it loads its engine"
        return Check("server", State.BAD, f"{url}: {error}", step)
    except ReferringError as error:
        return Check("server", State.BAD, f"{url}: {error}", "correct --url or --token-file")
    return Check("server", State.GOOD, f"{url}: {info.name}, {info.model}, {info.device}")


def check_scene_graph() -> Check:
    """Return whether the engine that needs no weights can be made."""
    from roborefer_vlm.backends.registry import create_engine

    try:
        create_engine("scene_graph").close()
    except (ReferringError, ImportError) as error:
        return Check("engine scene_graph", State.BAD, str(error), "install the package again")
    return Check("engine scene_graph", State.GOOD, "ready; needs metric depth and intrinsics")
