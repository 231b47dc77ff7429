# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipes, or the pseudo terminals, between a launch and one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

_DRAIN_S = 1.0
_CHUNK = 65536


class ProcessProtocol(asyncio.SubprocessProtocol):
    """Hands on what a process writes, and sets a future to its exit code.

    Args:
        exited: The future.
        on_start: Called with the process id before anything else.
        on_output: Called with the file descriptor, 1 or 2, and a piece of output.
    """

    def __init__(
        self,
        exited: asyncio.Future,
        on_start: Callable[[int], None],
        on_output: Callable[[int, bytes], None],
    ) -> None:
        self._exited = exited
        self._on_start = on_start
        self._on_output = on_output
        self._open = {1, 2}
        self._all_read = exited.get_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._on_start(self._transport.get_pid())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._on_output(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open and not self._all_read.done():
            self._all_read.set_result(None)

    def process_exited(self) -> None:
        self._exited.set_result(self._transport.get_returncode())

    async def drained(self) -> None:
        """Wait until all output is read; not for long, a grandchild may hold the pipes."""
        await asyncio.wait({self._all_read}, timeout=_DRAIN_S)


@contextlib.contextmanager
def pseudo_terminal(
    loop: asyncio.AbstractEventLoop, protocol: ProcessProtocol, wanted: bool
) -> Iterator[dict[str, Any]]:
    """Yield the stdout and stderr to start a process with: terminals if wanted, else pipes."""
    if not wanted:
        yield {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return
    ends = {fd: pty.openpty() for fd in (1, 2)}

    def read(fd: int, ours: int) -> None:
        try:
            data = os.read(ours, _CHUNK)
        except OSError:
            data = b""
        if data:
            protocol.pipe_data_received(fd, data)
        else:
            loop.remove_reader(ours)
            os.close(ours)
            protocol.pipe_connection_lost(fd, None)

    try:
        yield {"stdout": ends[1][1], "stderr": ends[2][1]}
    except BaseException:
        for ours, _ in ends.values():
            os.close(ours)
        raise
    else:
        for fd, (ours, _) in ends.items():
            loop.add_reader(ours, read, fd, ours)
    finally:
        for _, theirs in ends.values():
            os.close(theirs)
