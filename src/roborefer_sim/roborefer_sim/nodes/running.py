# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Services of simulation_interfaces that pause, step and reset the simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from simulation_interfaces.msg import Result, SimulationState
from simulation_interfaces.srv import (
    GetSimulationState,
    ResetSimulation,
    SetSimulationState,
    StepSimulation,
)

from roborefer_sim.core.loop import Loop
from roborefer_sim.exceptions import SimulationError
from roborefer_sim.nodes.entities import refuse, succeed

MOST_STEPS = 1_000_000
# Of wall time, for one call of step_simulation.
STEPPING_TIMEOUT_S = 300.0


class RunningServices:
    """Pauses, steps and resets."""

    def __init__(
        self, node: Node, loop: Loop, reset: Callable[..., None], group: CallbackGroup
    ) -> None:
        """Offer the services.

        Args:
            node: That offers them.
            loop: That is paused and stepped.
            reset: Called in the loop's thread with time, state and spawned, which are true for
                what goes back to its beginning.
            group: Of the callbacks.
        """
        self._loop, self._reset = loop, reset
        for kind, name, answer in (
            (GetSimulationState, "get_simulation_state", self._state),
            (SetSimulationState, "set_simulation_state", self._set_state),
            (StepSimulation, "step_simulation", self._step),
            (ResetSimulation, "reset_simulation", self._on_reset),
        ):
            node.create_service(kind, name, answer, callback_group=group)

    def _state(self, request: Any, response: Any) -> Any:
        playing = self._loop.playing
        response.state.state = (
            SimulationState.STATE_PLAYING if playing else SimulationState.STATE_PAUSED
        )
        return succeed(response)

    def _set_state(self, request: Any, response: Any) -> Any:
        wanted, playing = request.state.state, self._loop.playing
        known = {SimulationState.STATE_PLAYING: True, SimulationState.STATE_PAUSED: False}
        if wanted == SimulationState.STATE_STOPPED:
            self._play(False)
            return self._do_reset(response, time=True, state=True, spawned=True)
        if wanted not in known:
            text = f"the state {wanted} cannot be set; playing, paused and stopped can"
            return refuse(response, Result.RESULT_FEATURE_UNSUPPORTED, text)
        if known[wanted] == playing:
            code = SetSimulationState.Response.ALREADY_IN_TARGET_STATE
            return refuse(response, code, "the simulation is in this state already")
        self._play(known[wanted])
        return succeed(response)

    def _play(self, playing: bool) -> None:
        # In the loop's thread, so that no step is made after the answer.
        self._loop.call(lambda: self._loop.play(playing))

    def _step(self, request: Any, response: Any) -> Any:
        if not 1 <= request.steps <= MOST_STEPS:
            text = f"{request.steps} steps were asked for; 1 to {MOST_STEPS} can be made"
            return refuse(response, Result.RESULT_OPERATION_FAILED, text)
        try:
            self._loop.advance(request.steps).result(STEPPING_TIMEOUT_S)
        except SimulationError as error:
            return refuse(response, Result.RESULT_INCORRECT_STATE, str(error))
        except TimeoutError:
            text = f"not done within {STEPPING_TIMEOUT_S} s; the rest of the steps follows"
            return refuse(response, Result.RESULT_OPERATION_FAILED, text)
        return succeed(response)

    def _on_reset(self, request: Any, response: Any) -> Any:
        scopes = ResetSimulation.Request
        scope = request.scope or scopes.SCOPE_ALL
        return self._do_reset(
            response,
            time=bool(scope & scopes.SCOPE_TIME),
            state=bool(scope & scopes.SCOPE_STATE),
            spawned=bool(scope & scopes.SCOPE_SPAWNED),
        )

    def _do_reset(self, response: Any, **scopes: bool) -> Any:
        try:
            self._loop.call(lambda: self._reset(**scopes))
        except SimulationError as error:
            return refuse(response, Result.RESULT_OPERATION_FAILED, str(error))
        return succeed(response)
