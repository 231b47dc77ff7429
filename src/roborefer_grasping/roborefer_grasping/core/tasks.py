# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Plans whole tasks: to take a thing, and to put it down, with one grasp that suits both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from time import monotonic

import numpy as np

from roborefer_grasping.core.container import FLOOR
from roborefer_grasping.core.grasps import Grasp, with_tilts
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward, inverse
from roborefer_grasping.core.occupancy import SHADOW, SUPPORT, SURROUNDINGS, TARGET, UNSEEN
from roborefer_grasping.core.placing import Placement
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.interface import (
    MotionPlanner,
    PlanRequest,
    PlanResult,
    Status,
    Trajectory,
)
from roborefer_grasping.core.planning.line import follow_poses, poses_between
from roborefer_grasping.core.presence import without_robot
from roborefer_grasping.core.robot import Array, Limits, Robot
from roborefer_grasping.core.world import Held, World

# How many straight ways, one per grasp and arm branch, the search may choose from.
_WAYS = 6
# How many placements decide whether a grasp could put the thing down.
_PLACES_PER_GRASP = 24
# The jaw lets go by opening so far; the first that leaves fingers and surroundings apart, metres.
_LET_GO_M = (0.03, 0.015, 0.008)
# A grasp this much worse than the best one is left for later, however near it is.
_QUALITY_BAND = 0.08


class Failure(StrEnum):
    """Why there is no plan."""

    NO_GRASP = "no_grasp"
    UNREACHABLE = "unreachable"
    NO_PATH = "no_path"
    TIMEOUT = "timeout"
    NO_PLACE = "no_place"
    START_IN_COLLISION = "start_in_collision"
    START_OUTSIDE_LIMITS = "start_outside_limits"


@dataclass(frozen=True)
class TaskSettings:
    """Distances and times of pick and place.

    Attributes:
        approach_m: Length of the straight way to a grasp.
        lift_m: Height to which a grasped thing is lifted straight up.
        retreat_m: Length of the straight way back after letting go.
        deadline_s: For one task's planning.
        candidates: Most grasps or placements that are looked at closely.
        line_speed: Share of the speed limit on straight ways near things.
    """

    approach_m: float = 0.09
    lift_m: float = 0.10
    retreat_m: float = 0.08
    deadline_s: float = 15.0
    candidates: int = 60
    line_speed: float = 0.3


@dataclass(frozen=True, eq=False)
class TaskPlan:
    """Motions of one task, in order; each starts where the one before ends.

    Attributes:
        free: To the beginning of the straight way.
        approach: Straight to the grasp, or down to the place.
        depart: Straight up with the thing, or back from it.
        worlds: In which the three were found free, in the same order.
        grasp: The chosen grasp.
        placement: The chosen placement; None when picking.
    """

    free: Trajectory
    approach: Trajectory
    depart: Trajectory
    worlds: tuple[World, World, World]
    grasp: Grasp
    placement: Placement | None = None


@dataclass(frozen=True)
class NoPlan:
    """Why a task has no plan, with one sentence for people."""

    failure: Failure
    message: str


@dataclass(frozen=True, eq=False)
class _Way:
    """A straight way with its configurations, first to last."""

    configurations: Array
    index: int


class TaskPlanner:
    """Chooses among grasps and placements and has their motions planned."""

    def __init__(
        self,
        robot: Robot,
        gripper: Gripper,
        planner: MotionPlanner,
        limits: Limits,
        settings: TaskSettings | None = None,
    ) -> None:
        self.robot, self.gripper, self.planner = robot, gripper, planner
        self.limits, self.settings = limits, settings or TaskSettings()
        factor = self.settings.line_speed
        self._line_limits = limits.scaled(factor, factor)

    def plan_pick(
        self,
        start: Array,
        grasps: Sequence[Grasp],
        world: World,
        held: Held | None = None,
        placeable: Callable[[Grasp], bool] | None = None,
    ) -> TaskPlan | NoPlan:
        """Plan to take the thing called "target" in the world.

        Args:
            start: Radians, shape (6,).
            grasps: Best first, without tilted variants.
            world: Everything, the target and its shadow included.
            held: The target's solids in the frame of the base, as it stands now; it is carried
                along when lifting.
            placeable: Tells whether a grasp could also put the thing down where it shall go.
        """
        until = monotonic() + self.settings.deadline_s
        world = without_robot(world, self.robot, self.gripper, start)
        variants = sorted((v for g in grasps for v in with_tilts(g)), key=lambda g: -g.quality)
        if not variants:
            return NoPlan(Failure.NO_GRASP, "the jaw fits nowhere on what was seen of the target")
        why: NoPlan | None = None
        refused: set[int] = set()
        while len(refused) < len(variants):
            chosen = self._best_ways(start, variants, refused, world, placeable, until)
            if isinstance(chosen, NoPlan):
                return chosen if why is None or chosen.failure is Failure.TIMEOUT else why
            ways, open_world = chosen
            plan = self._pick_along(start, variants, ways, open_world, held, until)
            if isinstance(plan, TaskPlan) or plan.failure is Failure.START_OUTSIDE_LIMITS:
                return plan
            why = plan
            refused |= {way.index for way in ways}
        assert why is not None
        return why

    def _best_ways(
        self,
        start: Array,
        variants: Sequence[Grasp],
        refused: set[int],
        world: World,
        placeable: Callable[[Grasp], bool] | None,
        until: float,
    ) -> tuple[list[_Way], World] | NoPlan:
        """Straight ways to the best grasps that can be approached, all with the same opening."""
        ways: list[_Way] = []
        checkers: dict[float, CollisionChecker] = {}
        best, jaw, looked_at = 0.0, 0.0, 0
        why = "no configuration of the arm reaches a grasp"
        for index, grasp in enumerate(variants):
            opening = _level(grasp.opening, self.gripper)
            if index in refused or (ways and opening != jaw):
                continue
            enough = len(ways) >= _WAYS or grasp.quality < best - _QUALITY_BAND
            if looked_at >= self.settings.candidates or (ways and enough):
                break
            if monotonic() > until:
                return NoPlan(Failure.TIMEOUT, "the time for planning is over")
            looked_at += 1
            if opening not in checkers:
                near = replace(world, jaw=opening).allowing(
                    *_present(world, TARGET, SHADOW, SUPPORT)
                )
                checkers[opening] = CollisionChecker(self.robot, self.gripper, near)
            back = grasp.pose.copy()
            back[:3, 3] -= grasp.pose[:3, 2] * self.settings.approach_m
            found = self._ways(checkers[opening], start, back, grasp.pose, index)
            if found and placeable is not None and not placeable(grasp):
                found, why = [], "no grasp that the arm reaches could put the thing there"
            if not found:
                refused.add(index)
                continue
            if not ways:
                best, jaw = grasp.quality, opening
            ways += found
        if not ways:
            return NoPlan(Failure.UNREACHABLE, why)
        return ways, replace(world, jaw=jaw)

    def plan_place(
        self,
        start: Array,
        grasp: Grasp,
        placements: Sequence[Placement],
        world: World,
    ) -> TaskPlan | NoPlan:
        """Plan to put down what is held.

        Args:
            start: Radians, shape (6,).
            grasp: The grasp by which the thing was taken, in the frame of the base then.
            placements: Where the thing may go, best first.
            world: With `held` in the frame of the TCP, without the thing itself.
        """
        until = monotonic() + self.settings.deadline_s
        world = without_robot(world, self.robot, self.gripper, start)
        if not placements:
            return NoPlan(Failure.NO_PLACE, "there is no free and level place of that size there")
        landing = world.allowing(*_present(world, SUPPORT, FLOOR))
        checker = CollisionChecker(self.robot, self.gripper, landing)
        opened = self._opened(landing)
        ways: list[_Way] = []
        for index, placement in enumerate(placements[: self.settings.candidates]):
            if monotonic() > until:
                return NoPlan(Failure.TIMEOUT, "the time for planning is over")
            goal = placement.motion @ grasp.pose
            above = goal.copy()
            above[2, 3] += self.settings.approach_m
            found = self._ways(checker, start, above, goal, index)
            ways += [way for way in found if opened.is_free(way.configurations[-1])]
            if len(ways) >= _WAYS:
                break
        if not ways:
            return NoPlan(Failure.UNREACHABLE, "the arm reaches no free place there")
        free, way = self._to_any(start, ways, world, until)
        if free.trajectory is None:
            return _no_path(free)
        placement = placements[way.index]
        approach = self._line(way.configurations, landing)
        if approach.trajectory is None:
            return _no_path(approach)
        end = way.configurations[-1]
        for wider in _LET_GO_M:
            empty = replace(landing, held=None, jaw=min(self.gripper.opening, world.jaw + wider))
            depart = self._retreat(end, empty)
            if depart.trajectory is not None:
                break
        else:
            return _no_path(depart)
        worlds = (world, landing, empty)
        return TaskPlan(
            free.trajectory, approach.trajectory, depart.trajectory, worlds, grasp, placement
        )

    def placeable(
        self, placements: Sequence[Placement], world: World, held: Held
    ) -> Callable[[Grasp], bool]:
        """Return what tells whether a grasp could also put the thing down.

        Args:
            placements: Where the thing may go, best first.
            world: As for `plan_pick`.
            held: As for `plan_pick`.
        """
        landing = without(world, TARGET, SHADOW)
        landing = landing.allowing(*_present(landing, SUPPORT, FLOOR))

        def could_place(grasp: Grasp) -> bool:
            with_thing = replace(landing, held=held_by(held, grasp), jaw=grasp.width)
            checker = CollisionChecker(self.robot, self.gripper, with_thing)
            opened = self._opened(with_thing)
            poses = np.array([p.motion @ grasp.pose for p in placements[:_PLACES_PER_GRASP]])
            return any(
                checker.is_free(joints) and opened.is_free(joints)
                for joints in self._reaching(poses)
            )

        return could_place

    def _opened(self, landing: World) -> CollisionChecker:
        """Checks whether the jaw can let go where it closed, however little it opens."""
        jaw = min(self.gripper.opening, landing.jaw + _LET_GO_M[-1])
        return CollisionChecker(self.robot, self.gripper, replace(landing, held=None, jaw=jaw))

    def _reaching(self, poses: Array) -> Array:
        """Configurations that bring the TCP to poses, in their order, shape (N, 6)."""
        flange = poses.reshape(-1, 4, 4) @ np.linalg.inv(self.gripper.t_tool_tcp)
        branches = inverse(self.robot, flange).reshape(-1, 6)
        return np.asarray(branches[np.isfinite(branches).all(axis=1)])

    def _pick_along(
        self,
        start: Array,
        grasps: Sequence[Grasp],
        ways: list[_Way],
        world: World,
        held: Held | None,
        until: float,
    ) -> TaskPlan | NoPlan:
        free, way = self._to_any(start, ways, world, until)
        if free.trajectory is None:
            return _no_path(free)
        grasp = grasps[way.index]
        closing = world.allowing(*_present(world, TARGET, SHADOW, SUPPORT))
        approach = self._line(way.configurations, closing)
        if approach.trajectory is None:
            return _no_path(approach)
        carried = without(world, TARGET, SHADOW)
        carried = replace(carried, held=held_by(held, grasp), jaw=grasp.width)
        # It stood where it stood: only what the arm itself could hit matters straight up.
        carried = carried.allowing(*_present(carried, SUPPORT, SURROUNDINGS, UNSEEN))
        depart = self._lift(way.configurations[-1], carried)
        if depart.trajectory is None:
            return _no_path(depart)
        worlds = (world, closing, carried)
        return TaskPlan(free.trajectory, approach.trajectory, depart.trajectory, worlds, grasp)

    def _ways(
        self, checker: CollisionChecker, start: Array, first: Array, last: Array, index: int
    ) -> list[_Way]:
        """Straight ways from one pose to another that touch nothing, one per arm branch."""
        poses = poses_between(last, first)
        flange = poses[:1] @ np.linalg.inv(self.gripper.t_tool_tcp)
        (branches,) = inverse(self.robot, flange, float(start[5]))
        ways = []
        for branch in branches[np.isfinite(branches).all(axis=1)]:
            if not checker.is_free(branch):
                continue
            path = follow_poses(self.robot, self.gripper, branch, poses[1:])
            if isinstance(path, str) or checker.first_blocked(path) >= 0:
                continue
            ways.append(_Way(path[::-1], index))
        return ways

    def _to_any(
        self, start: Array, ways: list[_Way], world: World, until: float
    ) -> tuple[PlanResult, _Way]:
        """Plan to the beginning of any way; whole turns are left to the planner's limits."""
        goals = np.array([way.configurations[0] for way in ways])
        nearest = _turned_near(self.robot, goals, start)
        for padding in (world.padding, world.padding / 4, 0.0):
            # Where the arm has just closed the jaw, it may stand closer than it would go.
            self.planner.set_world(replace(world, padding=padding))
            left = max(0.1, until - monotonic())
            request = PlanRequest(start, joints=nearest, limits=self.limits, deadline_s=left)
            result = self.planner.plan(request)
            if result.status is not Status.START_IN_COLLISION:
                break
        if result.trajectory is None:
            return result, ways[0]
        way = ways[result.goal]
        shift = result.trajectory.positions[-1] - way.configurations[0]
        return result, _Way(way.configurations + shift, way.index)

    def _line(self, configurations: Array, world: World) -> PlanResult:
        self.planner.set_world(world)
        poses = forward(self.robot, configurations) @ self.gripper.t_tool_tcp
        return self.planner.plan(
            PlanRequest(configurations[0], line=poses[-1:], limits=self._line_limits)
        )

    def _lift(self, start: Array, world: World) -> PlanResult:
        self.planner.set_world(world)
        pose = forward(self.robot, start) @ self.gripper.t_tool_tcp
        result = PlanResult(Status.LINE_BLOCKED, "no room to lift")
        for share in (1.0, 0.6, 0.35):
            goal = pose.copy()
            goal[2, 3] += self.settings.lift_m * share
            result = self.planner.plan(
                PlanRequest(start, line=goal[None], limits=self._line_limits)
            )
            if result.trajectory is not None:
                return result
        return result

    def _retreat(self, start: Array, world: World) -> PlanResult:
        self.planner.set_world(world)
        pose = forward(self.robot, start) @ self.gripper.t_tool_tcp
        back = pose.copy()
        back[:3, 3] -= pose[:3, 2] * self.settings.retreat_m
        return self.planner.plan(PlanRequest(start, line=back[None], limits=self._line_limits))


def held_by(target: Held | None, grasp: Grasp) -> Held | None:
    """Take solids from the frame of the base into that of the TCP at the grasp."""
    if target is None:
        return None
    to_tcp = np.linalg.inv(grasp.pose)
    return Held(
        target.name, tuple(replace(part, pose=to_tcp @ part.pose) for part in target.parts)
    )


def without(world: World, *names: str) -> World:
    """The world after these things have gone."""
    left = tuple(o for o in world.obstacles if o.name not in names)
    return replace(world, obstacles=left, touchable=world.touchable - set(names))


def _present(world: World, *names: str) -> list[str]:
    known = {o.name for o in world.obstacles}
    return [name for name in names if name in known]


def _level(opening: float, gripper: Gripper) -> float:
    """Openings in three steps, so that few collision models are needed."""
    for share in (0.5, 0.75):
        if opening <= gripper.opening * share:
            return gripper.opening * share
    return gripper.opening


def _turned_near(robot: Robot, goals: Array, start: Array) -> Array:
    """Add whole turns so that each joint comes as close to the start as limits allow."""
    turned = goals + 2 * np.pi * np.round((start - goals) / (2 * np.pi))
    too_high, too_low = turned > robot.limits.upper, turned < robot.limits.lower
    return np.asarray(turned - 2 * np.pi * too_high + 2 * np.pi * too_low)


def _no_path(result: PlanResult) -> NoPlan:
    kinds = {
        Status.TIMEOUT: Failure.TIMEOUT,
        Status.START_IN_COLLISION: Failure.START_IN_COLLISION,
        Status.START_OUTSIDE_LIMITS: Failure.START_OUTSIDE_LIMITS,
        Status.GOAL_UNREACHABLE: Failure.UNREACHABLE,
    }
    return NoPlan(kinds.get(result.status, Failure.NO_PATH), result.message)
