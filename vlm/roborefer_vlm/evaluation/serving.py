# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The server path in one process, so that a benchmark asks as a robot does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from roborefer_vlm.exceptions import ConfigurationError


@contextmanager
def local_server(spec: str, concurrency: int, deadline_s: float) -> Iterator[str]:
    """Serve an engine on a free port of 127.0.0.1 while the context lasts; yield the address.

    Args:
        spec: The engine, see backends.registry.
        concurrency: How many queries will be asked at a time; none of them is turned away.
        deadline_s: Longest time that a query will name.

    Raises:
        ConfigurationError: The engine cannot work, or the packages of the server are missing.
        CheckpointError: Its checkpoint cannot be loaded.
    """
    try:
        from roborefer_vlm.server.run import background_server
        from roborefer_vlm.server.settings import ServerSettings
    except ImportError as error:
        raise ConfigurationError(
            f"--engine starts a server, which needs more packages ({error}); install"
            " roborefer-vlm[server], or ask a running server with --url"
        ) from error
    from roborefer_vlm.backends.registry import create_engine

    settings = ServerSettings(
        port=0,
        queue_size=max(256, 2 * concurrency),
        max_deadline_s=max(ServerSettings.max_deadline_s, deadline_s),
        drain_s=1.0,
    )
    # The engine is made first: what is wrong with it is said here, and not by a server.
    with background_server(create_engine(spec), settings) as url:
        yield url
