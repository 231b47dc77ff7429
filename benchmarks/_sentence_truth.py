# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's truth over its services, for benchmarks of whole tasks."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from roborefer_common.qos import EVENT, LATCHED, SENSOR_IN
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from simulation_interfaces.msg import Result
from simulation_interfaces.srv import (
    DeleteEntity,
    GetEntities,
    GetEntitiesStates,
    SpawnEntity,
)

from roborefer_msgs.msg import HeldObject

_ROBOT = "ur5"
# Joints that turn slower stand still, rad/s.
_STILL = 0.02


class Truth:
    """Sets tables and tells what happens on them."""

    def __init__(self) -> None:
        self._context = Context()
        self._context.init()
        clock = [Parameter("use_sim_time", value=True)]
        self._node = Node("truth", context=self._context, parameter_overrides=clock)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._changed = threading.Condition()
        self._speed, self._touches, self._held = 0.0, 0, False
        self._spin = threading.Thread(target=self._run, daemon=True)
        node = self._node
        node.create_subscription(JointState, "joint_states", self._on_joints, SENSOR_IN)
        node.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, EVENT)
        node.create_subscription(HeldObject, "held_object", self._on_held, LATCHED)
        self._services = {
            kind: node.create_client(kind, name)
            for kind, name in (
                (DeleteEntity, "delete_entity"),
                (GetEntities, "get_entities"),
                (GetEntitiesStates, "get_entities_states"),
                (SpawnEntity, "spawn_entity"),
                (SetParameters, "simulator/set_parameters"),
            )
        }
        self._spin.start()

    def __enter__(self) -> Truth:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()
        self._spin.join()
        self._node.destroy_node()
        self._context.shutdown()

    def _run(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    # --- what is heard ------------------------------------------------------------------------
    def _on_joints(self, message: JointState) -> None:
        with self._changed:
            self._speed = max((abs(v) for v in message.velocity[:6]), default=0.0)
            self._changed.notify_all()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for pair in status.values:
                if pair.key == "robot_touches":
                    self._touches = int(pair.value)

    def _on_held(self, message: HeldObject) -> None:
        self._held = bool(message.held)

    def touches(self) -> int:
        """How often the arm ran into something, by the newest diagnostics."""
        self.sleep_s(1.5)
        return self._touches

    def holding(self) -> bool:
        """Whether the arm says that it holds something."""
        return self._held

    def now_s(self) -> float:
        """Simulated time."""
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def sleep_s(self, seconds: float) -> None:
        """Let simulated time go on."""
        until = self.now_s() + seconds
        with self._changed:
            while self.now_s() < until:
                self._changed.wait(0.05)

    def wait_until_up(self, timeout_s: float) -> None:
        """Wait for the simulator."""
        for kind, client in self._services.items():
            if not client.wait_for_service(timeout_s):
                raise TimeoutError(f"nobody serves {kind.__name__}; see out/graph.log")

    def wait_for_rest(self) -> None:
        """Wait until the arm stands and things have settled."""
        with self._changed:
            self._changed.wait_for(lambda: self._speed < _STILL, 20.0)
        self.sleep_s(0.5)

    def wait_until_moving(self, timeout_s: float) -> bool:
        """Wait until the arm is well on its way."""
        with self._changed:
            return self._changed.wait_for(lambda: self._speed > 0.2, timeout_s)

    def motion_within_s(self, seconds: float) -> bool:
        """Whether the arm moves within this time."""
        until = self.now_s() + seconds
        with self._changed:
            while self.now_s() < until:
                if self._speed > _STILL:
                    return True
                self._changed.wait(0.05)
        return False

    # --- the table ----------------------------------------------------------------------------
    def set_table(self, cell: Any) -> None:
        """Take everything away and put down the things of a cell."""
        for name in self._call(GetEntities).entities:
            if name != _ROBOT:
                self._call(DeleteEntity, entity=name)
        self.wait_for_rest()
        for thing in cell.placed:
            request = SpawnEntity.Request(name=thing.name)
            make = thing.make
            request.uri = f"library:{make.thing.key}?color={make.color}&scale={make.scale}"
            pose = cell.pose_of(thing.name)
            at, turn = request.initial_pose.pose.position, request.initial_pose.pose.orientation
            at.x, at.y, at.z = (float(v) for v in pose[:3, 3])
            quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
            turn.x, turn.y, turn.z, turn.w = (float(v) for v in quaternion)
            self._ask(SpawnEntity, request)
        # The jaw notices that what it held is gone, and the camera sees the new table.
        self.sleep_s(1.5)

    def set_parameter(self, name: str, value: bool | str) -> None:
        """Set a parameter of the simulator, such as one that breaks something."""
        message = Parameter(name, value=value).to_parameter_msg()
        answer = self._ask(SetParameters, SetParameters.Request(parameters=[message]))
        if not answer.results[0].successful:
            raise RuntimeError(f"{name} cannot be {value}: {answer.results[0].reason}")

    def poses(self) -> dict[str, npt.NDArray[np.float64]]:
        """Poses of all things in world, shape (4, 4) each."""
        answer = self._call(GetEntitiesStates)
        found = {}
        for name, state in zip(answer.entities, answer.states, strict=True):
            if name == _ROBOT:
                continue
            at, turn = state.pose.position, state.pose.orientation
            pose = np.eye(4)
            pose[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
            pose[:3, 3] = at.x, at.y, at.z
            found[name] = pose
        return found

    def _call(self, kind: Any, **fields: Any) -> Any:
        return self._ask(kind, kind.Request(**fields))

    def _ask(self, kind: Any, request: Any) -> Any:
        done = threading.Event()
        future = self._services[kind].call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(30.0):
            raise TimeoutError(f"no answer of {kind.__name__}")
        answer = future.result()
        if hasattr(answer, "result") and answer.result.result != Result.RESULT_OK:
            raise RuntimeError(f"{kind.__name__}: {answer.result.error_message}")
        return answer
