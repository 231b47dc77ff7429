# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The buffer that nodes use."""

from __future__ import annotations

import threading
import time as _time
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.task import Future
from rclpy.time import Time
from tf2_msgs.srv import FrameGraph
from tf2_py import BufferCore

from tf2_ros.buffer_interface import BufferInterface


class Buffer(BufferCore, BufferInterface):
    """Keeps transforms for a while (10 s by default) and looks them up.

    A timeout blocks the calling thread and is measured on the wall clock. New data arrives
    through an executor: a callback that waits in the only thread of the executor that feeds this
    buffer sees nothing new and times out, as on any ROS 2. Use the `_async` methods there, or
    `TransformListener(spin_thread=True)`.
    """

    def __init__(self, cache_time: Duration | None = None, node: Any = None) -> None:
        BufferCore.__init__(self, cache_time)
        BufferInterface.__init__(self)
        self._news = threading.Condition()
        self._watchers: list[Callable[[], None]] = []
        self.clock = Clock() if node is None else node.get_clock()
        if node is not None:
            self.srv = node.create_service(FrameGraph, "tf2_frames", self._answer_frames)
            threshold = JumpThreshold(
                min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True
            )
            self.jump_handle = self.clock.create_jump_callback(
                threshold, post_callback=self.time_jump_callback
            )

    def _answer_frames(self, request: Any, response: Any) -> Any:
        response.frame_yaml = self.all_frames_as_yaml()
        return response

    def time_jump_callback(self, time_jump: Any) -> None:
        get_logger("tf2_buffer").warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        super().set_transform(transform, authority)
        self._tell()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        super().set_transform_static(transform, authority)
        self._tell()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = Duration()
    ) -> TransformStamped:
        """Return the pose of source_frame in target_frame, waiting for it up to the timeout.

        Raises:
            TransformException: The kind that says why it is not known, after the timeout too.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_full(
        self, target_frame, target_time, source_frame, source_time, fixed_frame, timeout=Duration()
    ) -> TransformStamped:
        """Return source_frame at source_time in target_frame at target_time."""
        query = (target_frame, target_time, source_frame, source_time, fixed_frame)
        self.can_transform_full(*query, timeout)
        return self.lookup_transform_full_core(*query)

    def can_transform(
        self, target_frame, source_frame, time, timeout=Duration(), return_debug_tuple=False
    ) -> Any:
        """Return whether the lookup would succeed within the timeout."""
        query = (target_frame, source_frame, time)
        found = self._wait(self.can_transform_core, query, timeout)
        return found if return_debug_tuple else found[0]

    def can_transform_full(
        self,
        target_frame,
        target_time,
        source_frame,
        source_time,
        fixed_frame,
        timeout=Duration(),
        return_debug_tuple=False,
    ) -> Any:
        """Return whether the full lookup would succeed within the timeout."""
        query = (target_frame, target_time, source_frame, source_time, fixed_frame)
        found = self._wait(self.can_transform_full_core, query, timeout)
        return found if return_debug_tuple else found[0]

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """Return a future that is done, with the transform, as soon as it is known."""
        query = (target_frame, source_frame, time)
        return self._watch(self.can_transform_core, self.lookup_transform_core, query)

    def wait_for_transform_full_async(
        self, target_frame, target_time, source_frame, source_time, fixed_frame
    ) -> Future:
        """Return a future that is done, with the transform, as soon as it is known."""
        query = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return self._watch(self.can_transform_full_core, self.lookup_transform_full_core, query)

    async def lookup_transform_async(
        self, target_frame: str, source_frame: str, time: Time
    ) -> TransformStamped:
        return await self.wait_for_transform_async(target_frame, source_frame, time)

    async def lookup_transform_full_async(
        self, target_frame, target_time, source_frame, source_time, fixed_frame
    ) -> TransformStamped:
        return await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def _wait(
        self, check: Callable[..., tuple[bool, str]], query: Any, timeout: Duration
    ) -> tuple[bool, str]:
        deadline = _time.monotonic() + timeout.nanoseconds / 1e9
        with self._news:
            while not (found := check(*query))[0]:
                left = deadline - _time.monotonic()
                if left <= 0:
                    break
                self._news.wait(left)
        return found

    def _watch(
        self, check: Callable[..., tuple[bool, str]], lookup: Callable[..., Any], query: Any
    ) -> Future:
        future = Future()

        def look() -> None:
            if not future.done() and check(*query)[0]:
                try:
                    future.set_result(lookup(*query))
                except Exception as error:
                    future.set_exception(error)

        with self._news:
            look()
            if not future.done():
                self._watchers.append(look)
                future.add_done_callback(lambda _: self._watchers.remove(look))
        return future

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()
            watchers = list(self._watchers)
        for look in watchers:
            look()
