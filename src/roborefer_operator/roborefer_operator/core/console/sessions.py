# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Talks to the pages: tells what changed at a limited rate, takes orders at a limited rate."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from roborefer_operator.core.console.board import Board
from roborefer_operator.core.console.orders import Order, Stop, read_order
from roborefer_operator.exceptions import ConsoleError

# What a picture is, in the byte before it.
LIVE, REFERRED = 0, 1
# A page may send so many orders at once, and so many a second.
_BURST, _ORDERS_PER_S = 60.0, 30.0
_MOST_UNDER_WAY = 16

# Gives the newest picture of a kind as JPEG with its number, or None when there is none.
Pictures = Callable[[int], tuple[int, bytes] | None]
# Carries out an order and returns a sentence about it; raises ConsoleError.
Carry = Callable[[Order], Awaitable[str]]


class Sessions:
    """The host of the gate's pages."""

    def __init__(self, board: Board, pictures: Pictures, carry: Carry, period_s: float) -> None:
        self._board, self._pictures, self._carry = board, pictures, carry
        self._period_s = period_s
        self.count = 0

    async def talk(self, connection: ServerConnection) -> None:
        """Serve a page until it is closed."""
        self.count += 1
        telling = asyncio.create_task(self._tell(connection))
        try:
            await self._listen(connection)
        finally:
            self.count -= 1
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell(self, connection: ServerConnection) -> None:
        revision, shown = 0, {LIVE: -1, REFERRED: -1}
        loop = asyncio.get_running_loop()
        while True:
            revision, changed = self._board.since(revision)
            if changed:
                await connection.send(json.dumps({"show": changed}))
            for kind in shown:
                picture = await loop.run_in_executor(None, self._pictures, kind)
                if picture is not None and picture[0] != shown[kind]:
                    shown[kind] = picture[0]
                    await connection.send(bytes([kind]) + picture[1])
            # A page that is slow in taking gets less, never something old.
            await asyncio.sleep(self._period_s)

    async def _listen(self, connection: ServerConnection) -> None:
        allowed, before = _BURST, time.monotonic()
        under_way: set[asyncio.Task[None]] = set()
        async for data in connection:
            now = time.monotonic()
            allowed = min(_BURST, allowed + (now - before) * _ORDERS_PER_S)
            before = now
            number = 0
            try:
                number, order = read_order(data)
                if not isinstance(order, Stop):
                    if allowed < 1.0 or len(under_way) >= _MOST_UNDER_WAY:
                        raise ConsoleError("too many orders at once; wait a moment")
                    allowed -= 1.0
            except ConsoleError as error:
                await _reply(connection, number, False, str(error))
                continue
            # An order that waits for a server must not hold up the next, which may be the stop.
            task = asyncio.create_task(self._carry_out(connection, number, order))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    async def _carry_out(self, connection: ServerConnection, number: int, order: Order) -> None:
        try:
            said, done = await self._carry(order), True
        except ConsoleError as error:
            said, done = str(error), False
        # The page may be gone by now; its order stays what it is.
        with contextlib.suppress(ConnectionClosed):
            await _reply(connection, number, done, said)


async def _reply(connection: ServerConnection, number: int, done: bool, said: str) -> None:
    if said:
        reply = {"to": number, "done": done, "said": said}
        await connection.send(json.dumps({"reply": reply}))
