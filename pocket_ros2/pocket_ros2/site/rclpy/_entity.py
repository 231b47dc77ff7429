# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What nodes create: things to destroy, and among them those that call back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from rclpy._rclpy_pybind11 import InvalidHandle

if TYPE_CHECKING:
    from typing import Self

    from rclpy.callback_groups import CallbackGroup


async def await_or_execute(callback: Callable[..., Any], *args: Any) -> Any:
    """Call a function or a coroutine function."""
    result = callback(*args)
    return await result if hasattr(result, "__await__") else result


class Destroyable:
    """Can be used until it is destroyed, which the end of a with block does."""

    _destroyed = False

    def _check(self) -> None:
        if self._destroyed:
            raise InvalidHandle("cannot use Destroyable because destruction was requested")

    @property
    def handle(self) -> AbstractContextManager[Any]:
        """What can be entered until this is destroyed."""
        self._check()
        return nullcontext(self)

    def destroy(self) -> None:
        self._destroyed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.destroy()


class Entity(Destroyable):
    """A source of callbacks; `kind` is its place in the order of a wait pass."""

    WAITABLE, TIMER, SUBSCRIPTION, GUARD, CLIENT, SERVICE = range(6)
    kind: ClassVar[int]

    def __init__(self, callback_group: CallbackGroup | None) -> None:
        self.callback_group = callback_group
        self._wake: Callable[[], None] | None = None
        self._scheduled = False

    def ready(self) -> bool:
        """Tell whether there is something to take."""
        raise NotImplementedError

    def take(self) -> Any:
        """Return what `execute` needs, or None when nothing is left."""
        raise NotImplementedError

    async def execute(self, taken: Any) -> None:
        """Run the user's callback."""
        raise NotImplementedError

    def notify(self) -> None:
        """Wake the executor that spins the owning node; callable from any thread."""
        wake = self._wake
        if wake is not None:
            wake()
