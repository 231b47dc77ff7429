# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Moves arm and gripper through the actions of their controllers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future
from roborefer_common.core.parameters import Value
from roborefer_common.patience import Patience, wait_until

from roborefer_grasping.conversions import trajectory_to_msg
from roborefer_grasping.core.motion import Grip, Reason, TaskFailure
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.planning.timing import slowed_to_rest
from roborefer_grasping.core.robot import Array
from roborefer_grasping.nodes.sensing import Sensing

# A motion begins this long after it is sent, so that both sides know when it began.
_LEAD_S = 0.05
# How far ahead of now a slow-down begins: the time that its message may take.
_STOP_LEAD_S = 0.02
# An arm that is farther than this from its schedule is slowed by its controller, radians.
_OFF_SCHEDULE_RAD = 0.10
_ANSWER_S = 3.0
_STANDS_RAD_S = 0.01
_LOOK_BACK_S = 0.005
_STAYED_RAD = 0.02


class ArmController:
    """Client of FollowJointTrajectory."""

    def __init__(self, node: LifecycleNode, sensing: Sensing, values: Mapping[str, Value]) -> None:
        self._node, self._sensing, self._values = node, sensing, values
        self._name = str(values["arm.action"])
        self._client = ActionClient(
            node, FollowJointTrajectory, self._name, callback_group=ReentrantCallbackGroup()
        )

    def close(self) -> None:
        """Let go of the action."""
        self._client.destroy()

    @property
    def ready(self) -> bool:
        """Whether the controller is there."""
        return bool(self._client.server_is_ready())

    def follow(
        self,
        trajectory: Trajectory,
        check: Callable[[], None],
        watch: Callable[[float], None],
    ) -> None:
        """Follow a trajectory to its end, or come to rest on it when check or watch raises.

        Raises:
            TaskFailure: CONTROLLER_UNAVAILABLE, TRAJECTORY_REJECTED, EXECUTION_ABORTED, or what
                check and watch raise; the arm is at rest.
        """
        _wait_for_server(self._node, self._client, self._name, self._sensing, check)
        start_ns = self._sensing.now_ns() + round(_LEAD_S * 1e9)
        handle = self._send(trajectory, start_ns)
        if not handle.accepted:
            raise TaskFailure(
                Reason.TRAJECTORY_REJECTED,
                f"the controller of '{self._name}' refused the trajectory; see its log",
            )
        result = handle.get_result_async()
        clock = self._node.get_clock()
        # A speed slider on the teach pendant may slow everything down.
        patience = Patience(clock, 20 * trajectory.duration + 10.0)

        def look_up() -> None:
            check()
            watch(max(0.0, (self._sensing.now_ns() - start_ns) * 1e-9))

        try:
            in_time = wait_until(result.done, patience, self._sensing.changed, look_up)
        except TaskFailure:
            self._come_to_rest(trajectory, start_ns, handle, result)
            raise
        if not in_time:
            self._come_to_rest(trajectory, start_ns, handle, result)
            raise TaskFailure(
                Reason.EXECUTION_ABORTED,
                f"the controller did not end a motion of {trajectory.duration:.1f} s after"
                f" {patience.seconds:.0f} s; the arm was stopped",
            )
        self._judge(result, trajectory.positions[0])

    def _judge(self, result: Future, start: Array) -> None:
        try:
            answer = result.result()
        except (ConnectionError, RuntimeError) as error:
            raise TaskFailure(
                Reason.CONTROLLER_UNAVAILABLE, f"the arm's controller was lost: {error}"
            ) from error
        code, text = answer.result.error_code, answer.result.error_string
        if answer.status == GoalStatus.STATUS_SUCCEEDED and code == 0:
            return
        self._wait_for_rest()
        # A goal that was replaced on the way counts as invalid, too; but then the arm has moved.
        stayed = np.abs(self._sensing.state().position - start).max() < _STAYED_RAD
        if stayed and code in (
            FollowJointTrajectory.Result.INVALID_GOAL,
            FollowJointTrajectory.Result.INVALID_JOINTS,
            FollowJointTrajectory.Result.OLD_HEADER_TIMESTAMP,
        ):
            raise TaskFailure(
                Reason.TRAJECTORY_REJECTED, f"the controller refused the trajectory: {text}"
            )
        raise TaskFailure(
            Reason.EXECUTION_ABORTED,
            f"the controller gave up with code {code}: {text or 'no reason given'}; the arm stands"
            " still",
        )

    def _send(self, trajectory: Trajectory, start_ns: int) -> object:
        goal = FollowJointTrajectory.Goal()
        goal.trajectory = trajectory_to_msg(trajectory, self._sensing.joint_names, start_ns)
        future = self._client.send_goal_async(goal)
        patience = Patience(self._node.get_clock(), _ANSWER_S)
        if not wait_until(future.done, patience, self._sensing.changed):
            raise TaskFailure(
                Reason.CONTROLLER_UNAVAILABLE,
                f"the controller of '{self._name}' did not answer within {_ANSWER_S:.0f} s",
            )
        try:
            return future.result()
        except (ConnectionError, RuntimeError) as error:
            raise TaskFailure(
                Reason.CONTROLLER_UNAVAILABLE, f"the arm's controller was lost: {error}"
            ) from error

    def _come_to_rest(
        self, trajectory: Trajectory, start_ns: int, handle: object, result: Future
    ) -> None:
        """Replace the motion by one that slows down on the same path; then wait for rest."""
        ramp_s = float(self._values["speed.stop_s"])
        if result.done():
            self._wait_for_rest()
            return
        now_s = (self._sensing.now_ns() - start_ns) * 1e-9
        at_s = now_s + _STOP_LEAD_S
        stamp_ns = start_ns + round(at_s * 1e9)
        behind = self._behind(trajectory, now_s)
        if behind is not None:
            at_s, stamp_ns = behind, 0
        if 0 < at_s < trajectory.duration - 1e-3:
            ramp = slowed_to_rest(trajectory, at_s, ramp_s)
            try:
                taken = self._send(ramp, stamp_ns)
            except TaskFailure:
                taken = None
            if taken is None or not taken.accepted:
                handle.cancel_goal_async()
            else:
                done = taken.get_result_async()
                patience = Patience(self._node.get_clock(), ramp_s + 1.0)
                wait_until(done.done, patience, self._sensing.changed)
        elif at_s <= 0:
            handle.cancel_goal_async()
        self._wait_for_rest()

    def _behind(self, trajectory: Trajectory, now_s: float) -> float | None:
        """Where on the trajectory an arm is that does not keep its schedule; None if it does."""
        try:
            here = self._sensing.state().position
        except TaskFailure:
            return None
        expected = trajectory.sample(np.array([trajectory.times[0] + now_s]))[0]
        if np.abs(here - expected).max() < _OFF_SCHEDULE_RAD:
            return None
        times = np.arange(0.0, min(now_s, trajectory.duration) + _LOOK_BACK_S, _LOOK_BACK_S)
        path = trajectory.sample(trajectory.times[0] + times)
        return float(times[int(np.abs(path - here).max(axis=1).argmin())])

    def _wait_for_rest(self) -> None:
        """Wait until the joints stand still, a second or two at most."""

        def still() -> bool:
            try:
                return bool(np.abs(self._sensing.state().velocity).max() < _STANDS_RAD_S)
            except TaskFailure:
                return False

        wait_until(still, Patience(self._node.get_clock(), 1.5), self._sensing.changed)


class GripperController:
    """Client of ParallelGripperCommand or GripperCommand."""

    def __init__(self, node: LifecycleNode, sensing: Sensing, values: Mapping[str, Value]) -> None:
        self._node, self._sensing, self._values = node, sensing, values
        self._name = str(values["gripper.action"])
        self._parallel = values["gripper.action_type"] == "ParallelGripperCommand"
        kind = ParallelGripperCommand if self._parallel else GripperCommand
        self._client = ActionClient(
            node, kind, self._name, callback_group=ReentrantCallbackGroup()
        )

    def close(self) -> None:
        """Let go of the action."""
        self._client.destroy()

    @property
    def ready(self) -> bool:
        """Whether the controller is there."""
        return bool(self._client.server_is_ready())

    def grip(
        self,
        opening: float,
        force: float,
        check: Callable[[], None],
        stopped: Callable[[], bool],
    ) -> Grip:
        """Bring the pads to a distance; a stop interrupts it half way.

        Raises:
            TaskFailure: CONTROLLER_UNAVAILABLE or GRIPPER_FAULT, or what check raises before the
                command is sent.
        """
        _wait_for_server(self._node, self._client, self._name, self._sensing, check)
        clock = self._node.get_clock()
        future = self._client.send_goal_async(self._goal(opening, force))
        if not wait_until(future.done, Patience(clock, _ANSWER_S), self._sensing.changed):
            raise TaskFailure(
                Reason.CONTROLLER_UNAVAILABLE, f"the gripper's '{self._name}' did not answer"
            )
        handle = future.result()
        if not handle.accepted:
            raise TaskFailure(
                Reason.GRIPPER_FAULT,
                f"the gripper refused to go to {opening:.3f} m; see the log of '{self._name}'",
            )
        result = handle.get_result_async()
        patience = Patience(clock, float(self._values["gripper.timeout_s"]))
        if not wait_until(lambda: result.done() or stopped(), patience, self._sensing.changed):
            handle.cancel_goal_async()
            raise TaskFailure(
                Reason.GRIPPER_FAULT,
                f"the gripper did not end its motion within {patience.seconds:.0f} s; look at it",
            )
        if not result.done():
            handle.cancel_goal_async()
            wait_until(result.done, Patience(clock, 1.0), self._sensing.changed)
            return Grip(self._sensing.jaw(), stalled=False, interrupted=True)
        return self._judge(result, opening)

    def _goal(self, opening: float, force: float) -> object:
        position = self._sensing.position_of(opening)
        if self._parallel:
            goal = ParallelGripperCommand.Goal()
            goal.command.name = [str(self._values["gripper.joint"])]
            goal.command.position, goal.command.effort = [position], [float(force)]
            return goal
        goal = GripperCommand.Goal()
        goal.command.position, goal.command.max_effort = position, float(force)
        return goal

    def _judge(self, result: Future, opening: float) -> Grip:
        try:
            answer = result.result()
        except (ConnectionError, RuntimeError) as error:
            raise TaskFailure(
                Reason.CONTROLLER_UNAVAILABLE, f"the gripper's controller was lost: {error}"
            ) from error
        report = answer.result
        if self._parallel:
            position = report.state.position[0] if report.state.position else None
        else:
            position = report.position
        width = self._sensing.jaw() if position is None else self._sensing.opening_of(position)
        if not (report.reached_goal or report.stalled):
            raise TaskFailure(
                Reason.GRIPPER_FAULT,
                f"the gripper stands at {width:.3f} m on its way to {opening:.3f} m and reports"
                " neither a stall nor the goal; look at it",
            )
        return Grip(width, stalled=bool(report.stalled))


def _wait_for_server(
    node: LifecycleNode,
    client: ActionClient,
    name: str,
    sensing: Sensing,
    check: Callable[[], None],
) -> None:
    check()
    patience = Patience(node.get_clock(), 1.0)
    if not wait_until(client.server_is_ready, patience, sensing.changed, check):
        raise TaskFailure(
            Reason.CONTROLLER_UNAVAILABLE,
            f"no action server at '{node.resolve_topic_name(name)}'; start the controller or set"
            " the parameter of its name",
        )
