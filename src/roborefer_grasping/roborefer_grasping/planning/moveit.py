# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The planner that asks MoveIt 2's move_group.

Only services that plan are used: `apply_planning_scene`, `get_planning_scene`,
`plan_kinematic_path` and `compute_cartesian_path`. move_group is never asked to move the arm: the
`move_action` and `execute_trajectory` actions are not needed, because the arm node sends
trajectories itself, after the shared verifier has looked at them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from moveit_msgs.msg import (
    AllowedCollisionMatrix,
    BoundingVolume,
    Constraints,
    JointConstraint,
    MoveItErrorCodes,
    OrientationConstraint,
    PlanningSceneComponents,
    PositionConstraint,
    RobotState,
)
from moveit_msgs.srv import (
    ApplyPlanningScene,
    GetCartesianPath,
    GetMotionPlan,
    GetPlanningScene,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from shape_msgs.msg import SolidPrimitive

from roborefer_grasping.conversions import pose_to_msg
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.planning import verify
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.interface import PlanRequest, PlanResult, Status
from roborefer_grasping.core.planning.line import LARGEST_JUMP_RAD, STEP_M
from roborefer_grasping.core.robot import JOINTS, Array, Limits, Robot
from roborefer_grasping.core.world import World
from roborefer_grasping.planning.moveit_answer import (
    GOAL_M,
    GOAL_RAD,
    goal_reached,
    status_of,
    strays_from_line,
    trajectory_from_msg,
)
from roborefer_grasping.planning.moveit_scene import Names, removal_of, scene_of

_SERVICE_S = 2.0
# Of the time for an answer, this much is kept for messages and verification.
_MESSAGES_S = 0.2
# Less of a straight line than this counts as blocked.
_WHOLE = 0.999


class _NoAnswerError(Exception):
    """move_group did not answer; carries the status that says so."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class MoveItNames:
    """How move_group calls things; the defaults are those of ur_moveit_config.

    Attributes:
        group: Planning group of the six joints.
        pipeline: Planning pipeline; empty for move_group's default.
        planner: Planner of that pipeline; empty for its default.
    """

    group: str = "ur_manipulator"
    pipeline: str = ""
    planner: str = ""


class MoveItPlanner:
    """Plans by move_group; implements `MotionPlanner`.

    Its node must be spun by another thread than the one that plans.

    Service clients, relative to the node's namespace: `apply_planning_scene`,
    `get_planning_scene`, `plan_kinematic_path`, `compute_cartesian_path`.
    """

    name = "moveit"

    def __init__(
        self,
        node: Node,
        robot: Robot,
        gripper: Gripper,
        tf_prefix: str = "",
        names: MoveItNames | None = None,
    ) -> None:
        self.robot, self.gripper = robot, gripper
        self._node, self._frames, self._names = node, Names(tf_prefix), names or MoveItNames()
        self._joints = self._frames.with_prefix(JOINTS)
        group = ReentrantCallbackGroup()
        self._clients: dict[Any, Client] = {
            kind: node.create_client(kind, name, callback_group=group)
            for kind, name in (
                (ApplyPlanningScene, "apply_planning_scene"),
                (GetPlanningScene, "get_planning_scene"),
                (GetMotionPlan, "plan_kinematic_path"),
                (GetCartesianPath, "compute_cartesian_path"),
            )
        }
        self._matrix: AllowedCollisionMatrix | None = None
        self._shown: tuple[set[str], set[str]] = (set(), set())
        self.set_world(World())

    def set_world(self, world: World) -> None:
        """Take over obstacles, held thing and what may be touched; `plan` sends them."""
        self.checker = CollisionChecker(self.robot, self.gripper, world)
        self._sent = False

    def close(self) -> None:
        """Let go of the services; calling it twice is allowed."""
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients = {}

    def plan(self, request: PlanRequest) -> PlanResult:
        """Find a motion; never raises for a goal that cannot be reached or a dead move_group."""
        stages: dict[str, float] = {}
        limits = request.limits or self.robot.limits
        refused = verify.start_refused(self.checker, limits, request.start)
        if refused:
            return PlanResult(*refused, engine=self.name)
        begin = monotonic()
        until = begin + request.deadline_s
        try:
            self._show_world(until)
            stages["scene"] = monotonic() - begin
            answer = (
                self._motion(request, limits, until)
                if request.line is None
                else self._straight(request, limits, until)
            )
        except _NoAnswerError as error:
            return PlanResult(error.status, str(error), stages_s=stages, engine=self.name)
        stages["search"] = monotonic() - begin - stages["scene"]
        code, message, fraction = answer
        status = status_of(code)
        if status is not Status.OK:
            text = code.message or f"move_group ended with error code {code.val}"
            return PlanResult(status, text, stages_s=stages, engine=self.name)
        if fraction < _WHOLE:
            text = f"only {fraction:.0%} of the straight line can be followed"
            return PlanResult(Status.LINE_BLOCKED, text, stages_s=stages, engine=self.name)
        begin = monotonic()
        result = self._verified(request, limits, message)
        stages["verify"] = monotonic() - begin
        return PlanResult(
            result.status, result.message, result.trajectory, result.goal, stages, self.name
        )

    def _verified(self, request: PlanRequest, limits: Limits, message: Any) -> PlanResult:
        """Believe nothing: order, limits, collisions, start, goal and line are looked at."""
        trajectory = trajectory_from_msg(message, self._joints, limits)
        if isinstance(trajectory, str):
            return PlanResult(Status.UNSAFE, f"move_group's answer {trajectory}")
        broken = [v.message for v in verify.check(trajectory, self.checker, limits, request.start)]
        goal = goal_reached(trajectory.positions[-1], request, self.robot, self.gripper)
        if goal is None:
            broken.append("it ends at none of the goals")
        if request.line is not None:
            aside = strays_from_line(trajectory, request, self.robot, self.gripper)
            if aside:
                broken.append(aside)
        if broken:
            return PlanResult(Status.UNSAFE, "; ".join(broken))
        return PlanResult(Status.OK, "", trajectory, -1 if goal is None else goal)

    def _show_world(self, until: float) -> None:
        if self._sent:
            return
        if self._matrix is None:
            wanted = GetPlanningScene.Request()
            wanted.components.components = PlanningSceneComponents.ALLOWED_COLLISION_MATRIX
            answer = self._call(wanted, GetPlanningScene, until)
            self._matrix = answer.scene.allowed_collision_matrix
        scene = scene_of(self.checker.world, self.robot, self.gripper, self._frames, self._matrix)
        world_ids = {o.id for o in scene.world.collision_objects}
        attached_ids = {o.object.id for o in scene.robot_state.attached_collision_objects}
        gone = self._shown[0] - world_ids, self._shown[1] - attached_ids
        if gone[0] or gone[1]:
            removal = removal_of(*gone, self._frames)
            # What is not there any more, after a restart of move_group, makes this one fail.
            self._call(ApplyPlanningScene.Request(scene=removal), ApplyPlanningScene, until)
        applied = self._call(ApplyPlanningScene.Request(scene=scene), ApplyPlanningScene, until)
        if not applied.success:
            raise _NoAnswerError(
                Status.ENGINE_UNAVAILABLE,
                f"move_group refused the planning scene; does its robot have {self._frames.flange}"
                f" and {self._frames.base}?",
            )
        self._shown, self._sent = (world_ids, attached_ids), True

    def _motion(
        self, request: PlanRequest, limits: Limits, until: float
    ) -> tuple[MoveItErrorCodes, Any, float]:
        message = GetMotionPlan.Request()
        wish = message.motion_plan_request
        wish.start_state = self._state(request.start)
        wish.group_name, wish.pipeline_id = self._names.group, self._names.pipeline
        wish.planner_id, wish.num_planning_attempts = self._names.planner, 1
        wish.allowed_planning_time = max(0.05, until - monotonic() - _MESSAGES_S)
        wish.max_velocity_scaling_factor, wish.max_acceleration_scaling_factor = self._scaling(
            limits
        )
        if request.joints is not None:
            wish.goal_constraints = [self._at_joints(goal) for goal in request.joints]
        else:
            assert request.poses is not None
            wish.goal_constraints = [self._at_pose(pose) for pose in request.poses]
        answer = self._call(message, GetMotionPlan, until).motion_plan_response
        return answer.error_code, answer.trajectory.joint_trajectory, 1.0

    def _straight(
        self, request: PlanRequest, limits: Limits, until: float
    ) -> tuple[MoveItErrorCodes, Any, float]:
        assert request.line is not None
        wish = GetCartesianPath.Request()
        wish.header.frame_id = self._frames.base
        wish.start_state = self._state(request.start)
        wish.group_name, wish.link_name = self._names.group, self._frames.flange
        flange = request.line @ np.linalg.inv(self.gripper.t_tool_tcp)
        wish.waypoints = [pose_to_msg(pose) for pose in flange]
        wish.max_step, wish.revolute_jump_threshold = STEP_M, LARGEST_JUMP_RAD
        wish.avoid_collisions = True
        wish.max_velocity_scaling_factor, wish.max_acceleration_scaling_factor = self._scaling(
            limits
        )
        answer = self._call(wish, GetCartesianPath, until)
        return answer.error_code, answer.solution.joint_trajectory, float(answer.fraction)

    def _scaling(self, limits: Limits) -> tuple[float, float]:
        most = self.robot.limits
        velocity = float((limits.velocity / most.velocity).min())
        acceleration = float((limits.acceleration / most.acceleration).min())
        return min(1.0, velocity), min(1.0, acceleration)

    def _state(self, joints: Array) -> RobotState:
        # A difference, so that what is attached stays attached.
        state = RobotState(is_diff=True)
        state.joint_state.name = self._joints
        state.joint_state.position = joints.tolist()
        return state

    def _at_joints(self, goal: Array) -> Constraints:
        return Constraints(
            joint_constraints=[
                JointConstraint(
                    joint_name=name, position=float(value), tolerance_above=GOAL_RAD / 10,
                    tolerance_below=GOAL_RAD / 10, weight=1.0,
                )
                for name, value in zip(self._joints, goal, strict=True)
            ]
        )  # fmt: skip

    def _at_pose(self, tcp: Array) -> Constraints:
        pose = pose_to_msg(tcp @ np.linalg.inv(self.gripper.t_tool_tcp))
        ball = SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[GOAL_M / 4])
        position = PositionConstraint(
            link_name=self._frames.flange,
            constraint_region=BoundingVolume(primitives=[ball], primitive_poses=[pose]),
            weight=1.0,
        )
        position.header.frame_id = self._frames.base
        orientation = OrientationConstraint(
            orientation=pose.orientation, link_name=self._frames.flange, weight=1.0,
            absolute_x_axis_tolerance=GOAL_RAD / 4, absolute_y_axis_tolerance=GOAL_RAD / 4,
            absolute_z_axis_tolerance=GOAL_RAD / 4,
        )  # fmt: skip
        orientation.header.frame_id = self._frames.base
        return Constraints(position_constraints=[position], orientation_constraints=[orientation])

    def _call(self, request: Any, kind: Any, until: float) -> Any:
        """Ask a service and wait for its answer, until the deadline at most.

        Raises:
            _NoAnswerError: The service is not there, went away, or did not answer in time.
        """
        client = self._clients.get(kind)
        patience = min(_SERVICE_S, until - monotonic())
        if client is None or not client.wait_for_service(timeout_sec=max(0.0, patience)):
            name = client.srv_name if client else kind.__name__
            raise _NoAnswerError(
                Status.ENGINE_UNAVAILABLE, f"no service '{name}'; start move_group"
            )
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(max(0.0, until - monotonic())):
            client.remove_pending_request(future)
            if client.service_is_ready():
                text = f"'{client.srv_name}' did not answer in time"
                raise _NoAnswerError(Status.TIMEOUT, text)
            text = f"'{client.srv_name}' went away; look at move_group's log"
            raise _NoAnswerError(Status.ENGINE_UNAVAILABLE, text)
        if future.exception() is not None or future.result() is None:
            text = f"'{client.srv_name}' failed: {future.exception()}"
            raise _NoAnswerError(Status.ENGINE_UNAVAILABLE, text)
        return future.result()
