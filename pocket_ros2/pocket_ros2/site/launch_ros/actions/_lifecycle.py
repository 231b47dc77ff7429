# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Managed nodes, and timers on the ROS clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import launch.logging
from launch import EventHandler, LaunchContext, SomeSubstitutionsType
from launch.actions import TimerAction
from launch.events import matches_action

from launch_ros._ros_node import get_ros_node
from launch_ros.actions.node import Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState, StateTransition


@dataclass(kw_only=True, eq=False)
class LifecycleNode(Node):
    """Runs a managed node: emits StateTransition, obeys ChangeState events."""

    name: SomeSubstitutionsType
    namespace: SomeSubstitutionsType
    autostart: bool = False

    def execute(self, context: LaunchContext) -> None:
        super().execute(context)
        if context.is_shutdown:
            return
        from lifecycle_msgs.msg import Transition, TransitionEvent
        from lifecycle_msgs.srv import ChangeState as ChangeStateService

        node = get_ros_node(context)
        loop = context.asyncio_loop
        self._client = node.create_client(ChangeStateService, f"{self.node_name}/change_state")

        def on_transition(message: Any) -> None:
            event = StateTransition(action=self, msg=message)
            loop.call_soon_threadsafe(context.emit_event_sync, event)

        node.create_subscription(
            TransitionEvent, f"{self.node_name}/transition_event", on_transition, 10
        )
        context.register_event_handler(
            EventHandler(
                matcher=lambda e: isinstance(e, ChangeState) and e.lifecycle_node_matcher(self),
                entities=self._on_change_state,
            )
        )
        if self.autostart:

            def ask(transition: int) -> None:
                context.emit_event_sync(
                    ChangeState(
                        lifecycle_node_matcher=matches_action(self), transition_id=transition
                    )
                )

            context.register_event_handler(
                OnStateTransition(
                    target_lifecycle_node=self,
                    start_state="configuring",
                    goal_state="inactive",
                    entities=lambda event, context: ask(Transition.TRANSITION_ACTIVATE),
                )
            )
            ask(Transition.TRANSITION_CONFIGURE)

    def _on_change_state(self, event: ChangeState, context: LaunchContext) -> None:
        task = context.asyncio_loop.create_task(self._change_state(event.transition_id, context))
        context.add_completion_future(task)

    async def _change_state(self, transition_id: int, context: LaunchContext) -> None:
        from lifecycle_msgs.srv import ChangeState as ChangeStateService

        while not self._client.service_is_ready():
            if context.is_shutdown or self.get_asyncio_future().done():
                return
            await asyncio.sleep(0.05)
        request = ChangeStateService.Request()
        request.transition.id = transition_id
        answer = self._client.call_async(request)
        while not answer.done() and not context.is_shutdown:
            await asyncio.sleep(0.02)
        if not answer.done():
            return
        if answer.exception() is not None or not answer.result().success:
            launch.logging.get_logger(self.final_name).error(
                f"Failed to make transition {transition_id} of '{self.node_name}'"
            )


class RosTimer(TimerAction):
    """A timer on the ROS clock: it follows simulated time."""

    def _start(self, context: LaunchContext, period_s: float) -> None:
        node = get_ros_node(context)

        def fire() -> None:
            node.destroy_timer(timer)
            context.asyncio_loop.call_soon_threadsafe(self._fire, context)

        timer = node.create_timer(period_s, fire)
