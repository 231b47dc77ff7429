# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Options that say whom to ask: an engine in this process, or a server."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from roborefer_vlm.exceptions import ConfigurationError

if TYPE_CHECKING:
    from roborefer_vlm.server.client import Client

DEFAULT_ENGINE = "scene_graph"
TOKEN_VARIABLE = "ROBOREFER_TOKEN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --engine, --url and --token-file."""
    group = parser.add_argument_group("whom to ask")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--engine",
        metavar="SPEC",
        help="engine in this process: scene_graph (default; rules, needs no weights, but metric"
        " depth and intrinsics), roborefer:DIRECTORY, or openai:URL#MODEL",
    )
    either.add_argument("--url", help="server to ask instead, such as http://127.0.0.1:25547")
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"file with the server's bearer token (else ${TOKEN_VARIABLE}, if it is set)",
    )


@contextmanager
def server_client(url: str, token_file: Path | None) -> Iterator[Client]:
    """Yield a client of a server, closed afterwards.

    Raises:
        ConfigurationError: The address or the token cannot be used.
    """
    from roborefer_vlm.server.client import Client

    client = Client(url, token=token_of(token_file))
    try:
        yield client
    finally:
        client.close()


def token_of(token_file: Path | None) -> str | None:
    """Return the bearer token of a file, else of the environment, else None.

    Raises:
        ConfigurationError: The file cannot be used, see `read_token`.
    """
    from roborefer_vlm.server.settings import read_token

    return read_token(token_file) if token_file else os.environ.get(TOKEN_VARIABLE) or None


def check_token_use(args: argparse.Namespace) -> None:
    """Refuse a token that nobody would be shown.

    Raises:
        ConfigurationError: --token-file stands without --url.
    """
    if args.token_file is not None and args.url is None:
        raise ConfigurationError("--token-file has no meaning without --url")
