# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in of move_group for tests; needs moveit_msgs."""

import threading
from dataclasses import replace

import numpy as np
import rclpy
from moveit_msgs.msg import AllowedCollisionEntry, MoveItErrorCodes
from moveit_msgs.srv import (
    ApplyPlanningScene,
    GetCartesianPath,
    GetMotionPlan,
    GetPlanningScene,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from roborefer_grasping.conversions import trajectory_to_msg
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.planning.embedded import EmbeddedPlanner
from roborefer_grasping.core.planning.interface import PlanRequest
from roborefer_grasping.core.planning.timing import joined
from roborefer_grasping.core.robot import JOINTS, robot_named
from roborefer_grasping.core.world import World

ROBOT, GRIPPER = robot_named("ur5"), Gripper()


def at(x, y, z):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


class FakeMoveGroup:
    """Plans with the embedded planner, unless told to misbehave.

    `mode` is "plan", "through" (straight through everything), "fast" (beyond velocity limits),
    "bent" (by a detour), "aside" (to another goal), "silent" (no answer), "dead" (goes away while
    asked), "no_scene" (refuses scenes), "unordered" (joints in another order), "nameless" (a joint
    is missing), "empty" (no points), or a number, which is the error code of every answer.
    """

    def __init__(self, context, prefix=""):
        self.node = rclpy.create_node("move_group", context=context)
        self.prefix = prefix
        self.mode, self.fraction, self.scenes = "plan", 1.0, []
        self.released = threading.Event()
        self.world = World()
        group = ReentrantCallbackGroup()
        self.services = [
            self.node.create_service(kind, name, callback, callback_group=group)
            for kind, name, callback in (
                (ApplyPlanningScene, "apply_planning_scene", self.apply),
                (GetPlanningScene, "get_planning_scene", self.scene),
                (GetMotionPlan, "plan_kinematic_path", self.plan),
                (GetCartesianPath, "compute_cartesian_path", self.line),
            )
        ]

    def apply(self, request, response):
        self.scenes.append(request.scene)
        response.success = self.mode != "no_scene"
        return response

    def scene(self, request, response):
        matrix = response.scene.allowed_collision_matrix
        matrix.entry_names = [f"{self.prefix}base_link", f"{self.prefix}shoulder_link"]
        matrix.entry_values = [
            AllowedCollisionEntry(enabled=[False, True]),
            AllowedCollisionEntry(enabled=[True, False]),
        ]
        return response

    def plan(self, request, response):
        wish = request.motion_plan_request
        start = np.array(wish.start_state.joint_state.position)
        if wish.goal_constraints[0].joint_constraints:
            goals = [[j.position for j in c.joint_constraints] for c in wish.goal_constraints]
            request = PlanRequest(start, joints=np.array(goals), limits=limits_of(wish))
        else:
            poses = []
            for constraints in wish.goal_constraints:
                assert constraints.position_constraints[0].link_name == f"{self.prefix}tool0"
                poses.append(
                    matrix_of(
                        constraints.position_constraints[0].constraint_region.primitive_poses[0]
                    )
                )
            tcp = np.array(poses) @ GRIPPER.t_tool_tcp
            request = PlanRequest(start, poses=tcp, limits=limits_of(wish))
        found, code = self.answer(request)
        answer = response.motion_plan_response
        answer.error_code.val = code
        if found is not None:
            answer.trajectory.joint_trajectory = found
        return response

    def line(self, request, response):
        start = np.array(request.start_state.joint_state.position)
        poses = np.array([matrix_of(p) for p in request.waypoints]) @ GRIPPER.t_tool_tcp
        found, code = self.answer(PlanRequest(start, line=poses, limits=limits_of(request)))
        response.error_code.val, response.fraction = code, self.fraction
        if found is not None:
            response.solution.joint_trajectory = found
        return response

    def answer(self, request):
        if self.mode in ("silent", "dead"):
            if self.mode == "dead":
                for service in self.services:
                    self.node.destroy_service(service)
            self.released.wait(20.0)
            return None, MoveItErrorCodes.FAILURE
        if isinstance(self.mode, int):
            return None, self.mode
        planner = EmbeddedPlanner(
            ROBOT, GRIPPER, World() if self.mode == "through" else self.world
        )
        if self.mode == "bent":
            end = planner.plan(request).trajectory.positions[-1]
            aside = request.start + np.array([0.2, 0, 0, 0, 0, 0])
            one = planner.plan(PlanRequest(request.start, joints=aside[None])).trajectory
            two = planner.plan(PlanRequest(aside, joints=end[None])).trajectory
            trajectory = joined([one, two])
        else:
            trajectory = planner.plan(request).trajectory
        if self.mode == "aside":
            shifted = trajectory.positions.copy()
            shifted[-20:, 5] += np.linspace(0, 0.05, 20) ** 2 * 10
            trajectory = replace(trajectory, positions=shifted)
        if self.mode == "fast":
            trajectory = replace(
                trajectory, times=trajectory.times / 4, velocities=trajectory.velocities * 4
            )
        names = [f"{self.prefix}{name}" for name in JOINTS]
        message = trajectory_to_msg(trajectory, names, 0)
        if self.mode == "unordered":
            message.joint_names = message.joint_names[::-1]
            for point in message.points:
                point.positions = point.positions[::-1]
                point.velocities = point.velocities[::-1]
                point.accelerations = point.accelerations[::-1]
        if self.mode == "nameless":
            message.joint_names = ["a", *message.joint_names[1:]]
        if self.mode == "empty":
            message.points = []
        return message, MoveItErrorCodes.SUCCESS


def limits_of(wish):
    """The robot's limits, scaled as is asked for; 0 is not scaled."""
    factors = wish.max_velocity_scaling_factor, wish.max_acceleration_scaling_factor
    return ROBOT.limits.scaled(*(factor or 1.0 for factor in factors))


def matrix_of(message):
    from scipy.spatial.transform import Rotation

    q, p = message.orientation, message.position
    pose = at(p.x, p.y, p.z)
    pose[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    return pose
