# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The action servers of the arm's and the gripper's controllers.

Goals are executed by the physics thread; an execute callback only waits for it, tells feedback
and passes on a cancel.
"""

from __future__ import annotations

from typing import Any

from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState

from roborefer_sim.conversions import goal_from_msg, state_to_msg, time_to_msg
from roborefer_sim.core.arm import FINGER_JOINTS
from roborefer_sim.core.controller import Execution, Outcome
from roborefer_sim.core.goals import check_goal
from roborefer_sim.core.jaw import Grip
from roborefer_sim.core.loop import Loop
from roborefer_sim.core.simulation import Simulation
from roborefer_sim.core.trajectory import Code, GoalRefusedError, State
from roborefer_sim.exceptions import SimulationError

# Of wall time: how often feedback is told and a wish to cancel is seen.
MONITOR_S = 0.02


def _accept_cancel(handle: ServerGoalHandle) -> CancelResponse:
    return CancelResponse.ACCEPT


class ArmActions:
    """Serves <controller.name>/follow_joint_trajectory."""

    def __init__(
        self,
        node: Node,
        simulation: Simulation,
        loop: Loop,
        values: dict[str, Any],
        group: CallbackGroup,
    ) -> None:
        self._node, self._simulation, self._loop = node, simulation, loop
        self._prefix = str(values["tf_prefix"])
        self._rejects = bool(values["controller.reject_invalid"])
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            f"{values['controller.name']}/follow_joint_trajectory",
            self._execute,
            callback_group=group,
            goal_callback=self._on_goal,
            cancel_callback=_accept_cancel,
        )

    def _on_goal(self, request: FollowJointTrajectory.Goal) -> GoalResponse:
        arm = self._simulation.arm
        try:
            now_s = self._simulation.now_s
            check_goal(goal_from_msg(request, self._prefix), arm.joints, arm.tolerances, now_s)
        except GoalRefusedError as refusal:
            self._node.get_logger().warning(f"trajectory refused: {refusal}")
            if self._rejects:
                return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> FollowJointTrajectory.Result:
        goal = goal_from_msg(handle.request, self._prefix)
        try:
            execution = self._loop.call(lambda: self._simulation.follow(goal))
        except GoalRefusedError as refusal:
            handle.abort()
            return FollowJointTrajectory.Result(
                error_code=int(refusal.code), error_string=str(refusal)
            )
        except SimulationError as error:
            handle.abort()
            return _arm_result(Code.INVALID_GOAL, str(error))
        while not execution.done.wait(MONITOR_S):
            if handle.is_cancel_requested:
                self._loop.submit(lambda: self._simulation.cancel(execution))
            self._tell(handle, execution)
        if execution.outcome is Outcome.SUCCEEDED:
            handle.succeed()
        elif execution.outcome is Outcome.CANCELED:
            handle.canceled()
        else:
            self._node.get_logger().warning(f"trajectory aborted: {execution.text}")
            handle.abort()
        return _arm_result(execution.code, execution.text)

    def _tell(self, handle: ServerGoalHandle, execution: Execution) -> None:
        desired, actual = execution.desired, execution.actual
        if desired is None or actual is None:
            return
        now_s = self._simulation.now_s
        since_s = max(now_s - execution.start_s, 0.0)
        error = State(
            desired.position - actual.position,
            desired.velocity - actual.velocity,
            desired.acceleration - actual.acceleration,
        )
        feedback = FollowJointTrajectory.Feedback(
            joint_names=[self._prefix + name for name in self._simulation.arm.joints],
            desired=state_to_msg(desired, since_s),
            actual=state_to_msg(actual, since_s),
            error=state_to_msg(error, since_s),
        )
        feedback.header.stamp = time_to_msg(self._simulation.steps)
        handle.publish_feedback(feedback)


def _arm_result(code: Code, text: str) -> FollowJointTrajectory.Result:
    return FollowJointTrajectory.Result(error_code=int(code), error_string=text)


class GripperActions:
    """Serves the gripper as ParallelGripperCommand and as GripperCommand.

    Positions are those of the finger joint, metres; a result that is stalled means that the jaw
    holds something, or that something is in its way.
    """

    def __init__(
        self,
        node: Node,
        simulation: Simulation,
        loop: Loop,
        values: dict[str, Any],
        group: CallbackGroup,
    ) -> None:
        self._node, self._simulation, self._loop = node, simulation, loop
        self._joint = str(values["tf_prefix"]) + FINGER_JOINTS[0]
        self._servers = (
            ActionServer(
                node,
                ParallelGripperCommand,
                f"{values['gripper.name']}/gripper_cmd",
                self._execute_parallel,
                callback_group=group,
                cancel_callback=_accept_cancel,
            ),
            ActionServer(
                node,
                GripperCommand,
                f"{values['gripper.action_name']}/gripper_cmd",
                self._execute_plain,
                callback_group=group,
                cancel_callback=_accept_cancel,
            ),
        )

    def _execute_plain(self, handle: ServerGoalHandle) -> GripperCommand.Result:
        command = handle.request.command
        grip = self._run(
            handle,
            command.position,
            command.max_effort,
            lambda grip: GripperCommand.Feedback(
                position=grip.position, effort=grip.force, stalled=grip.stalled
            ),
        )
        return GripperCommand.Result(
            position=grip.position,
            effort=grip.force,
            stalled=grip.stalled,
            reached_goal=grip.reached,
        )

    def _execute_parallel(self, handle: ServerGoalHandle) -> ParallelGripperCommand.Result:
        command = handle.request.command
        names, positions, efforts = command.name, command.position, command.effort
        if list(names) not in ([], [self._joint]) or len(positions) != 1 or len(efforts) > 1:
            text = (
                f"the command has joints {list(names)}, {len(positions)} positions and"
                f" {len(efforts)} efforts; one position of {self._joint} is needed, at most one"
                " effort"
            )
            self._node.get_logger().warning(f"gripper command refused: {text}")
            handle.abort()
            return ParallelGripperCommand.Result()
        grip = self._run(
            handle,
            positions[0],
            efforts[0] if efforts else 0.0,
            lambda grip: ParallelGripperCommand.Feedback(state=self._state(grip)),
        )
        return ParallelGripperCommand.Result(
            state=self._state(grip), stalled=grip.stalled, reached_goal=grip.reached
        )

    def _run(self, handle: ServerGoalHandle, position: float, effort: float, told: Any) -> Grip:
        """Execute a command and settle the state of its goal."""
        simulation, logger = self._simulation, self._node.get_logger()
        try:
            grip = self._loop.call(lambda: simulation.grip(position, effort))
        except SimulationError as error:
            logger.warning(f"gripper command refused: {error}")
            handle.abort()
            return Grip(position, effort)
        while not grip.done.wait(MONITOR_S):
            if handle.is_cancel_requested:
                self._loop.submit(lambda: simulation.jaw.cancel(grip))
            handle.publish_feedback(told(grip))
        if grip.canceled:
            handle.canceled()
        elif grip.text:
            logger.warning(f"gripper command aborted: {grip.text}")
            handle.abort()
        else:
            handle.succeed()
        return grip

    def _state(self, grip: Grip) -> JointState:
        return JointState(name=[self._joint], position=[grip.position], effort=[grip.force])
