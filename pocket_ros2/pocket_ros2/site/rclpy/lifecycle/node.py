# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node."""

from __future__ import annotations

import traceback
from functools import partialmethod
from typing import NamedTuple

from lifecycle_msgs import msg, srv

from rclpy._rclpy_pybind11 import RCLError
from rclpy.node import Node

from ._state_machine import EDGES, LABELS, StateMachine
from .managed_entity import ManagedEntity, TransitionCallbackReturn
from .publisher import LifecyclePublisher


class LifecycleState(NamedTuple):
    """A state by name and number."""

    label: str
    state_id: int


_CALLBACKS = {
    msg.State.TRANSITION_STATE_CONFIGURING: "on_configure",
    msg.State.TRANSITION_STATE_CLEANINGUP: "on_cleanup",
    msg.State.TRANSITION_STATE_SHUTTINGDOWN: "on_shutdown",
    msg.State.TRANSITION_STATE_ACTIVATING: "on_activate",
    msg.State.TRANSITION_STATE_DEACTIVATING: "on_deactivate",
    msg.State.TRANSITION_STATE_ERRORPROCESSING: "on_error",
}


class LifecycleNodeMixin(ManagedEntity):
    """Gives a node managed states.

    Override the `on_*` methods to act on a transition and call the overridden method as well:
    it passes the transition on to the managed entities, and stops at the first that fails.
    """

    def __init__(self, *, enable_communication_interface: bool = True, callback_group=None):
        self._managed_entities: list[ManagedEntity] = []
        self.__event_publisher = None
        self._state_machine = StateMachine(self.__publish_event)
        if not enable_communication_interface:
            return
        self.__event_publisher = self.create_publisher(
            msg.TransitionEvent, "~/transition_event", 10
        )
        for srv_type, name, callback in (
            (srv.ChangeState, "change_state", self.__on_change_state),
            (srv.GetState, "get_state", self.__on_get_state),
            (srv.GetAvailableStates, "get_available_states", self.__on_get_states),
            (srv.GetAvailableTransitions, "get_available_transitions", self.__on_get_transitions),
            (srv.GetAvailableTransitions, "get_transition_graph", self.__on_get_graph),
        ):
            self.create_service(srv_type, f"~/{name}", callback, callback_group=callback_group)

    def add_managed_entity(self, entity: ManagedEntity) -> None:
        """Pass all transitions on to the entity."""
        self._managed_entities.append(entity)

    def create_lifecycle_publisher(self, *args, **kwargs) -> LifecyclePublisher:
        """Create a publisher that is silent unless the node is active."""
        publisher = self.create_publisher(*args, publisher_class=LifecyclePublisher, **kwargs)
        self.add_managed_entity(publisher)
        return publisher

    def destroy_lifecycle_publisher(self, publisher: LifecyclePublisher) -> bool:
        if publisher in self._managed_entities:
            self._managed_entities.remove(publisher)
        return self.destroy_publisher(publisher)

    def __forward(self, callback: str, state: LifecycleState) -> TransitionCallbackReturn:
        for entity in self._managed_entities:
            outcome = getattr(entity, callback)(state)
            if outcome != TransitionCallbackReturn.SUCCESS:
                return outcome
        return TransitionCallbackReturn.SUCCESS

    on_configure = partialmethod(__forward, "on_configure")
    on_cleanup = partialmethod(__forward, "on_cleanup")
    on_shutdown = partialmethod(__forward, "on_shutdown")
    on_activate = partialmethod(__forward, "on_activate")
    on_deactivate = partialmethod(__forward, "on_deactivate")
    on_error = partialmethod(__forward, "on_error")

    def __change_state(self, transition: int | str) -> TransitionCallbackReturn:
        number, label = self._state_machine.current_state
        before = LifecycleState(label, number)
        self._state_machine.trigger(transition)
        outcome = self.__run_callback(before)
        if outcome == TransitionCallbackReturn.ERROR:
            self.__run_callback(before)
        return outcome

    trigger_configure = partialmethod(__change_state, "configure")
    trigger_cleanup = partialmethod(__change_state, "cleanup")
    trigger_shutdown = partialmethod(__change_state, "shutdown")
    trigger_activate = partialmethod(__change_state, "activate")
    trigger_deactivate = partialmethod(__change_state, "deactivate")

    def __run_callback(self, before: LifecycleState) -> TransitionCallbackReturn:
        name = _CALLBACKS[self._state_machine.current_state[0]]
        try:
            outcome = getattr(self, name)(before)
            if not isinstance(outcome, TransitionCallbackReturn):
                raise TypeError(f"it returned {outcome!r} instead of a TransitionCallbackReturn")
        except Exception as error:
            self.get_logger().error(f"Error in {name}: {error}")
            traceback.print_exc()
            outcome = TransitionCallbackReturn.ERROR
        self._state_machine.trigger(outcome.to_label())
        return outcome

    def __publish_event(self, edge) -> None:
        if self.__event_publisher is not None:
            self.__event_publisher.publish(
                msg.TransitionEvent(
                    timestamp=self.get_clock().now().nanoseconds,
                    transition=msg.Transition(id=edge.id, label=edge.label),
                    start_state=_state(edge.start),
                    goal_state=_state(edge.goal),
                )
            )

    def __on_change_state(self, request, response):
        transition = request.transition.label or request.transition.id
        try:
            response.success = self.__change_state(transition) == TransitionCallbackReturn.SUCCESS
        except RCLError as error:
            self.get_logger().error(f"Transition refused: {error}")
        return response

    def __on_get_state(self, request, response):
        response.current_state = _state(self._state_machine.current_state[0])
        return response

    def __on_get_states(self, request, response):
        response.available_states = [_state(number) for number in LABELS]
        return response

    def __on_get_transitions(self, request, response):
        response.available_transitions = _describe(self._state_machine.available_transitions)
        return response

    def __on_get_graph(self, request, response):
        response.available_transitions = _describe(EDGES)
        return response


class LifecycleNode(LifecycleNodeMixin, Node):
    """A node with managed states."""

    def __init__(self, node_name: str, *, enable_communication_interface: bool = True, **kwargs):
        Node.__init__(self, node_name, **kwargs)
        LifecycleNodeMixin.__init__(
            self, enable_communication_interface=enable_communication_interface
        )


def _state(number: int) -> msg.State:
    return msg.State(id=number, label=LABELS[number])


def _describe(edges) -> list[msg.TransitionDescription]:
    return [
        msg.TransitionDescription(
            transition=msg.Transition(id=edge.id, label=edge.label),
            start_state=_state(edge.start),
            goal_state=_state(edge.goal),
        )
        for edge in edges
    ]
