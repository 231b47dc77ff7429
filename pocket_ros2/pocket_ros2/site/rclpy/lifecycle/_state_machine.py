# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The states and transitions of a lifecycle node."""

from __future__ import annotations

from typing import NamedTuple

from lifecycle_msgs.msg import State, Transition

from rclpy._rclpy_pybind11 import RCLError


class Edge(NamedTuple):
    """One transition of the graph."""

    id: int
    label: str
    start: int
    goal: int


LABELS = {
    State.PRIMARY_STATE_UNKNOWN: "unknown",
    State.PRIMARY_STATE_UNCONFIGURED: "unconfigured",
    State.PRIMARY_STATE_INACTIVE: "inactive",
    State.PRIMARY_STATE_ACTIVE: "active",
    State.PRIMARY_STATE_FINALIZED: "finalized",
    State.TRANSITION_STATE_CONFIGURING: "configuring",
    State.TRANSITION_STATE_CLEANINGUP: "cleaningup",
    State.TRANSITION_STATE_SHUTTINGDOWN: "shuttingdown",
    State.TRANSITION_STATE_ACTIVATING: "activating",
    State.TRANSITION_STATE_DEACTIVATING: "deactivating",
    State.TRANSITION_STATE_ERRORPROCESSING: "errorprocessing",
}


def _edges():
    unconfigured, inactive = State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE
    active, finalized = State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_FINALIZED
    error = State.TRANSITION_STATE_ERRORPROCESSING
    # Name, state while the callback runs, states that may start it, states after its outcomes.
    table = (
        ("CONFIGURE", 10, (unconfigured,), (inactive, unconfigured, error)),
        ("CLEANUP", 11, (inactive,), (unconfigured, inactive, error)),
        ("ACTIVATE", 13, (inactive,), (active, inactive, error)),
        ("DEACTIVATE", 14, (active,), (inactive, active, error)),
        ("SHUTDOWN", 12, (unconfigured, inactive, active), (finalized, finalized, error)),
        ("ERROR", error, (), (unconfigured, finalized, finalized)),
    )
    for name, transient, starts, goals in table:
        for start in starts:
            prefix = f"{LABELS[start].upper()}_" if name == "SHUTDOWN" else ""
            number = getattr(Transition, f"TRANSITION_{prefix}{name}")
            yield Edge(number, name.lower(), start, transient)
        for outcome, goal in zip(("SUCCESS", "FAILURE", "ERROR"), goals, strict=True):
            number = getattr(Transition, f"TRANSITION_ON_{name}_{outcome}")
            yield Edge(number, f"transition_{outcome.lower()}", transient, goal)


EDGES = tuple(_edges())


class StateMachine:
    """Knows the current state and tells `on_edge` about every transition."""

    def __init__(self, on_edge):
        self._on_edge = on_edge
        self._state = State.PRIMARY_STATE_UNCONFIGURED

    @property
    def current_state(self) -> tuple[int, str]:
        return self._state, LABELS[self._state]

    @property
    def available_transitions(self) -> list[Edge]:
        return [edge for edge in EDGES if edge.start == self._state]

    def trigger(self, transition: int | str) -> None:
        """Follow a transition by id or by label.

        Raises:
            RCLError: the current state has no such transition.
        """
        for edge in self.available_transitions:
            if transition in (edge.id, edge.label):
                self._state = edge.goal
                self._on_edge(edge)
                return
        choices = ", ".join(f"{edge.label} ({edge.id})" for edge in self.available_transitions)
        raise RCLError(
            f"no transition {transition!r} from state '{LABELS[self._state]}'; "
            f"there are: {choices or 'none'}"
        )
