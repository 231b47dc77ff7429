# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Entities that follow the state of their lifecycle node."""

from __future__ import annotations

import functools
from enum import Enum
from typing import TYPE_CHECKING

from lifecycle_msgs.msg import Transition

if TYPE_CHECKING:
    from .node import LifecycleState


class TransitionCallbackReturn(Enum):
    """Outcome of a transition callback."""

    SUCCESS = Transition.TRANSITION_CALLBACK_SUCCESS
    FAILURE = Transition.TRANSITION_CALLBACK_FAILURE
    ERROR = Transition.TRANSITION_CALLBACK_ERROR

    def to_label(self) -> str:
        return f"transition_{self.name.lower()}"


class ManagedEntity:
    """Receives every transition of its node; the state given is the one before it."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return TransitionCallbackReturn.SUCCESS

    on_cleanup = on_shutdown = on_activate = on_deactivate = on_error = on_configure


class SimpleManagedEntity(ManagedEntity):
    """Is enabled while its node is active."""

    def __init__(self):
        self._enabled = False

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._enabled = True
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._enabled = False
        return TransitionCallbackReturn.SUCCESS

    @property
    def is_activated(self) -> bool:
        return self._enabled

    @staticmethod
    def when_enabled(wrapped=None, *, when_not_enabled=None):
        """Decorate a method to run only while enabled, else `when_not_enabled` if given."""

        def decorate(method):
            @functools.wraps(method)
            def guarded(self, *args, **kwargs):
                if self._enabled:
                    return method(self, *args, **kwargs)
                return when_not_enabled() if when_not_enabled else None

            return guarded

        return decorate if wrapped is None else decorate(wrapped)
