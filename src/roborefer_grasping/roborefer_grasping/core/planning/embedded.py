# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The planner that needs no other process: closed-form goals, OMPL, TOPPRA, verification."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import numpy as np
import numpy.typing as npt

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import inverse, with_full_turns
from roborefer_grasping.core.planning import verify
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.interface import PlanRequest, PlanResult, Status, Trajectory
from roborefer_grasping.core.planning.line import follow_line
from roborefer_grasping.core.planning.search import find_paths
from roborefer_grasping.core.planning.timing import time_path
from roborefer_grasping.core.robot import Array, Limits, Robot
from roborefer_grasping.core.world import World

# Goals of one search: for each configuration the nearest of those that differ by whole turns, and
# in all.
_PER_CONFIGURATION = 4
_MOST_GOALS = 64


class EmbeddedPlanner:
    """Plans in this process; implements `MotionPlanner`."""

    name = "embedded"

    def __init__(self, robot: Robot, gripper: Gripper, world: World | None = None) -> None:
        self.robot, self.gripper = robot, gripper
        self.checker = CollisionChecker(robot, gripper, world or World())

    def set_world(self, world: World) -> None:
        """Take over obstacles, held thing and what may be touched."""
        self.checker = CollisionChecker(self.robot, self.gripper, world)

    def close(self) -> None:
        """Nothing to let go of."""

    def plan(self, request: PlanRequest) -> PlanResult:
        """Find a motion; never raises for a goal that cannot be reached."""
        stages: dict[str, float] = {}
        limits = request.limits or self.robot.limits
        until = monotonic() + request.deadline_s

        def failed(status: Status, message: str) -> PlanResult:
            return PlanResult(status, message, stages_s=stages, engine=self.name)

        refusal = verify.start_refused(self.checker, limits, request.start)
        if refusal:
            return failed(*refusal)
        if request.line is not None:
            with _clocked(stages, "goals"):
                path = follow_line(self.robot, self.gripper, request.start, request.line)
            if isinstance(path, str):
                return failed(Status.LINE_BLOCKED, path)
            share = self.checker.share_from(request.start)
            blocked = self.checker.first_blocked(path, share)
            if blocked >= 0:
                touch = self.checker.first_touch(path[blocked])
                assert touch is not None
                return failed(
                    Status.LINE_BLOCKED,
                    f"on the straight line {touch.first} would touch {touch.second}",
                )
            return self._timed(request, path, len(request.line) - 1, limits, stages)
        with _clocked(stages, "goals"):
            goals, owners, refusal = self._goals(request)
        if refusal:
            return failed(*refusal)
        result = None
        candidates = find_paths(self.checker, request.start, goals, until)
        while True:
            with _clocked(stages, "search"):
                candidate = next(candidates, None)
            if candidate is None:
                break
            # What is free at every step may still come too close in between.
            result = self._timed(request, candidate[0], int(owners[candidate[1]]), limits, stages)
            if result.status is Status.OK:
                return result
        return result or failed(
            Status.TIMEOUT, f"no path within {request.deadline_s:.1f} s to {len(goals)} goals"
        )

    def check(
        self, trajectory: Trajectory, limits: Limits, start: Array
    ) -> list[verify.Violation]:
        """Look at any engine's trajectory in the present world."""
        return verify.check(trajectory, self.checker, limits, start)

    def _goals(
        self, request: PlanRequest
    ) -> tuple[Array, npt.NDArray[np.int_], tuple[Status, str] | None]:
        """Free goal configurations, which goal each belongs to, or why there is none."""
        empty = np.empty((0, 6)), np.empty(0, int)
        configurations, owners = self._reaching(request)
        if not len(configurations):
            return *empty, (Status.GOAL_UNREACHABLE, "no configuration of the arm reaches a goal")
        free = np.array([self.checker.is_free(q) for q in configurations])
        if not free.any():
            touch = self.checker.first_touch(configurations[0])
            assert touch is not None
            message = f"at the goal {touch.first} would touch {touch.second}"
            return *empty, (Status.GOAL_IN_COLLISION, message)
        configurations, owners = configurations[free], owners[free]
        if request.joints is None or request.whole_turns:
            turned = [
                with_full_turns(self.robot, q, request.start, _PER_CONFIGURATION)
                for q in configurations
            ]
            owners = np.repeat(owners, [len(found) for found in turned])
            configurations = np.concatenate(turned)
        order = np.argsort(np.abs(configurations - request.start).max(axis=1), kind="stable")
        order = order[:_MOST_GOALS]
        return configurations[order], owners[order], None

    def _reaching(self, request: PlanRequest) -> tuple[Array, npt.NDArray[np.int_]]:
        """Configurations that reach a goal, whole turns left aside where they may differ."""
        limits = self.robot.limits
        if request.joints is not None:
            branches = np.asarray(request.joints, float)[:, None]
        else:
            assert request.poses is not None
            flange = request.poses @ np.linalg.inv(self.gripper.t_tool_tcp)
            branches = inverse(self.robot, flange, free_joint_6=float(request.start[5]))
        with np.errstate(invalid="ignore"):
            within = ((branches >= limits.lower) & (branches <= limits.upper)).all(axis=2)
        owners, _ = np.nonzero(within)
        return branches[within], owners

    def _timed(
        self,
        request: PlanRequest,
        path: Array,
        goal: int,
        limits: Limits,
        stages: dict[str, float],
    ) -> PlanResult:
        with _clocked(stages, "timing"):
            is_line = request.line is not None
            trajectory = time_path(path, limits, self.checker, is_line=is_line)
        if trajectory is None:
            message = "the path could not be timed within the limits"
            return PlanResult(Status.TIMING_FAILED, message, stages_s=stages, engine=self.name)
        with _clocked(stages, "verify"):
            violations = self.check(trajectory, limits, request.start)
        if violations:
            message = "; ".join(v.message for v in violations)
            return PlanResult(Status.UNSAFE, message, stages_s=stages, engine=self.name)
        return PlanResult(Status.OK, "", trajectory, goal, stages, self.name)


@contextmanager
def _clocked(stages: dict[str, float], name: str) -> Iterator[None]:
    begin = monotonic()
    try:
        yield
    finally:
        stages[name] = stages.get(name, 0.0) + monotonic() - begin
