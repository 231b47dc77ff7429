# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`roborefer serve`: an engine behind HTTP, on this machine unless a token is set."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from roborefer_vlm.cli import asking
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.server.settings import ServerSettings

if TYPE_CHECKING:
    from roborefer_vlm.backends.base import Engine

_DEFAULTS = {field.name: field.default for field in fields(ServerSettings)}
# Option, type, and what it means; the defaults stand in ServerSettings.
_NUMBERS: tuple[tuple[str, type, str], ...] = (
    ("port", int, "port; 0 lets the system choose"),
    ("max_body_bytes", int, "longest body of a request"),
    ("max_pixels", int, "largest picture, in pixels"),
    ("max_objects", int, "most objects given with a query"),
    ("max_in_flight_bytes", int, "memory that all requests together may take"),
    ("max_new_tokens", int, "longest answer for clients of the original protocol"),
    ("queue_size", int, "most queries that wait"),
    ("max_batch", int, "most queries in one batch (default: the engine's)"),
    ("batch_wait_s", float, "how long a query waits for others to share its batch"),
    ("deadline_s", float, "time for an answer when a request names none"),
    ("max_deadline_s", float, "longest time that a request may name"),
    ("drain_s", float, "how long SIGTERM waits for answers under way"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `roborefer serve` takes."""
    parser.add_argument(
        "--engine",
        default=asking.DEFAULT_ENGINE,
        help="scene_graph, roborefer:CHECKPOINT or openai:URL#MODEL (default: %(default)s)",
    )
    parser.add_argument(
        "--host",
        default=_DEFAULTS["host"],
        help="address to bind; any but loopback needs a token (default: %(default)s)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        help=f"file that holds the bearer token; else {asking.TOKEN_VARIABLE} of the environment",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name that requests may use for this server; may be repeated",
    )
    for name, kind, meaning in _NUMBERS:
        default = _DEFAULTS[name]
        note = "" if default is None else " (default: %(default)s)"
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=default, help=meaning + note)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; return 0 after an orderly end.

    Raises:
        ConfigurationError: An argument cannot work, or the address needs a token or is in use.
        ReferringError: The engine cannot be made.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    settings = settings_from(args)
    try:
        from roborefer_vlm.server.run import serve
    except ImportError as error:
        raise ConfigurationError(
            f"serving needs more packages ({error}); install roborefer-vlm[server]"
        ) from error
    from roborefer_vlm.backends.registry import create_engine

    def make_engine() -> Engine:
        return create_engine(args.engine)

    serve(make_engine, settings)
    return 0


def settings_from(args: argparse.Namespace) -> ServerSettings:
    """Return the settings that a command line asks for.

    Raises:
        ConfigurationError: A value cannot work, or a token is needed and there is none.
    """
    return ServerSettings(
        host=args.host,
        token=asking.token_of(args.token_file),
        allowed_hosts=tuple(name.lower() for name in args.allowed_host),
        **{name: getattr(args, name) for name, _, _ in _NUMBERS},
    )
