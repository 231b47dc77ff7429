# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What pick and place share: safe motion, the record of a task, what the hand holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from roborefer_grasping.core.container import Container
from roborefer_grasping.core.grasps import Grasp
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.motion import Body, Phase, Progress, Reason, TaskFailure
from roborefer_grasping.core.motion_scene import Scene, understand
from roborefer_grasping.core.motion_settings import Settings
from roborefer_grasping.core.occupancy import (
    SUPPORT,
    SURROUNDINGS,
    UNSEEN,
    obstacles_from_depth,
)
from roborefer_grasping.core.placing import Footprint
from roborefer_grasping.core.planning import verify
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.interface import (
    MotionPlanner,
    PlanRequest,
    PlanResult,
    Status,
    Trajectory,
)
from roborefer_grasping.core.planning.timing import joined
from roborefer_grasping.core.presence import without_robot
from roborefer_grasping.core.robot import Array, Limits
from roborefer_grasping.core.tasks import Failure, NoPlan, TaskPlan, TaskPlanner
from roborefer_grasping.core.view import Mask
from roborefer_grasping.core.world import Held, Obstacle, World

# The arm has come to rest when it is this close to where a motion ends, radians.
_SETTLED_RAD = 0.008
# Farther than this from home, the arm may hide something, radians.
_AT_HOME_RAD = 0.1
_FAILURES = {
    Failure.NO_GRASP: Reason.NO_GRASP,
    Failure.UNREACHABLE: Reason.UNREACHABLE,
    Failure.NO_PATH: Reason.NO_PATH,
    Failure.TIMEOUT: Reason.PLANNING_TIMEOUT,
    Failure.NO_PLACE: Reason.NO_STABLE_PLACE,
    Failure.START_IN_COLLISION: Reason.START_IN_COLLISION,
    Failure.START_OUTSIDE_LIMITS: Reason.START_OUTSIDE_LIMITS,
}


@dataclass(frozen=True, eq=False)
class HeldThing:
    """What the gripper holds and how it was taken.

    Attributes:
        name: In the collision world.
        label: Short name for people, or "".
        reference: Identity of the reference that it was picked by, 16 bytes.
        solids: In the frame of the TCP.
        grasp: By which it was taken, in the frame of the base then.
        footprint: That it had then.
        width: Distance of the pads on it, metres.
    """

    name: str
    label: str
    reference: bytes
    solids: Held
    grasp: Grasp
    footprint: Footprint
    width: float


@dataclass
class Hand:
    """What the node remembers between tasks."""

    held: HeldThing | None = None
    count: int = 0


@dataclass(eq=False)
class Record:
    """How a task went, filled in while it runs.

    Attributes:
        reason: None is success.
        message: One sentence; empty on success.
        phase: In which it ended.
        attempts: Tried by moving.
        grasp: The chosen one.
        place_pose: Chosen pose of the thing, frame of the base, shape (4, 4).
        measured_pose: Where it was seen afterwards.
        position_error: From the referred place, or in a container from the chosen one, metres;
            negative when not measured.
        planned: All motion of the last plan.
    """

    reason: Reason | None = None
    message: str = ""
    phase: Phase = Phase.WAITING
    attempts: int = 0
    grasp: Grasp | None = None
    place_pose: Array | None = None
    measured_pose: Array | None = None
    position_error: float = -1.0
    planned: Trajectory | None = None


@dataclass(eq=False)
class Task:
    """One pick or place.

    Attributes:
        settings: What the parameters say.
        body: That is moved.
        planner: Engine for single motions.
        hand: What is held; changed as soon as that changes.
        limits: Of all motion in this task.
        show: Called with worlds worth seeing and the poses of grasps in them, best first.
    """

    settings: Settings
    body: Body
    planner: MotionPlanner
    hand: Hand
    limits: Limits
    show: Callable[[World, list[Array]], None] = lambda world, poses: None
    record: Record = field(default_factory=Record)
    _goal: Array | None = None
    _total_s: float = 0.0
    _done_s: float = 0.0

    # --- seeing -------------------------------------------------------------------------------
    def see(self, after_ns: int = 0) -> Scene:
        """Take a look and understand it."""
        held = self.hand.held.solids if self.hand.held else None
        return understand(self.body.look(after_ns), self.settings, held)

    def obstacles(
        self, scene: Scene, touched: Mask | None = None, container: Container | None = None
    ) -> list[Obstacle]:
        """Solids of a scene; what shows up in a mask is named "target" and "target_shadow".

        A container is described by its own model, in which the inside is free.
        """
        view, volume = scene.look.view, self.settings.scene
        if container is None:
            return obstacles_from_depth(view, scene.support, volume, touched, scene.robot)
        boxes = obstacles_from_depth(
            container.filled(view), scene.support, volume, touched, scene.robot,
            container.region(),
        )  # fmt: skip
        return boxes + container.obstacles()

    # --- telling ------------------------------------------------------------------------------
    def enter(self, phase: Phase) -> None:
        """Begin a phase: the place where every task may be ended."""
        self.record.phase = phase
        self.report()
        self.body.check()

    def report(self, passed_s: float = 0.0) -> None:
        """Send feedback."""
        share = min(1.0, (self._done_s + passed_s) / self._total_s) if self._total_s else 0.0
        distance = -1.0
        if self._goal is not None:
            tcp = self.tcp(self.body.joints())
            distance = float(np.linalg.norm(tcp[:3, 3] - self._goal[:3, 3]))
        self.body.report(Progress(self.record.phase, self.record.attempts, share, distance))

    def expect(self, plan: TaskPlan, goal: Array) -> None:
        """Take over a plan as what is going to be done; goal is where its TCP goes."""
        self.record.planned = joined([plan.free, plan.approach, plan.depart])
        self._goal, self._done_s = goal, 0.0
        self._total_s = self.record.planned.duration

    # --- moving -------------------------------------------------------------------------------
    def tcp(self, joints: Array) -> Array:
        """Pose of the TCP, shape (4, 4)."""
        return np.asarray(forward(self.settings.robot, joints) @ self.settings.gripper.t_tool_tcp)

    def task_planner(self) -> TaskPlanner:
        """A planner of whole tasks that ends when this task shall end."""
        settings = self.settings.planning_within(self.body.remaining_s())
        engine = Interruptible(self.planner, self.body)
        return TaskPlanner(
            self.settings.robot, self.settings.gripper, engine, self.limits, settings
        )

    def move(self, phase: Phase, trajectory: Trajectory, world: World) -> None:
        """Verify a motion against where the arm is now, then follow it.

        Raises:
            TaskFailure: UNSAFE_TRAJECTORY before anything moved, or what `Body.follow` raises.
        """
        self.enter(phase)
        self.body.settle(trajectory.positions[0], _SETTLED_RAD)
        start = self.body.joints()
        broken = verify.check(trajectory, self._checker(start, world), self.limits, start)
        if broken:
            raise TaskFailure(
                Reason.UNSAFE_TRAJECTORY,
                "the last check refused the motion: " + "; ".join(v.message for v in broken),
            )
        self.body.follow(trajectory, self._watch)
        self._done_s += trajectory.duration

    def _checker(self, start: Array, world: World) -> CollisionChecker:
        """Keep the world's padding, or as much of it as the arm has where it stands."""
        for padding in _paddings(world):
            near = replace(world, padding=padding)
            checker = CollisionChecker(self.settings.robot, self.settings.gripper, near)
            if checker.is_free(start, verify.LEAST_SHARE):
                break
        return checker

    def go_home(self, world: World) -> bool:
        """Go where the arm hides nothing; stay when there is no way.

        Returns:
            Whether it is there.
        """
        self.enter(Phase.RETREATING)
        start = self.body.joints()
        if np.abs(start - self.settings.home).max() < _SETTLED_RAD:
            return True
        world = without_robot(world, self.settings.robot, self.settings.gripper, start)
        world = self._around(world, start)
        engine = Interruptible(self.planner, self.body)
        seconds = self.settings.planning_within(self.body.remaining_s()).deadline_s
        request = PlanRequest(
            start, joints=self.settings.home[None], limits=self.limits, deadline_s=seconds
        )
        # Where it was stopped, an arm may stand closer to things than it would go.
        for padding in _paddings(world):
            engine.set_world(replace(world, padding=padding))
            result = engine.plan(request)
            if result.status is not Status.START_IN_COLLISION:
                break
        if result.trajectory is None:
            return False
        try:
            self.move(Phase.RETREATING, result.trajectory, world)
        except TaskFailure as failure:
            if failure.reason is not Reason.UNSAFE_TRAJECTORY:
                raise
            return False
        return True

    def clear_view(self, plan_only: bool) -> None:
        """Go home when the arm stands in the picture, so that the camera sees the scene.

        An arm that was stopped among things first rises straight up, the way it came.
        """
        away = np.abs(self.body.joints() - self.settings.home).max()
        if away < _AT_HOME_RAD or not self.settings.home_first or plan_only:
            return
        if not self.go_home(self._present_world()):
            self.rise(self._present_world())
            self.go_home(self._present_world())

    def _present_world(self) -> World:
        """The world of a new look, with what is held and no thing set apart."""
        scene = self.see(self.body.now_ns())
        held = self.hand.held.solids if self.hand.held else None
        return replace(self.world(self.obstacles(scene)), held=held, jaw=self.jaw())

    def _around(self, world: World, start: Array) -> World:
        """The world without what the robot itself takes up or hides next to it."""
        return without_robot(world, self.settings.robot, self.settings.gripper, start)

    def rise(self, world: World) -> bool:
        """Go straight up as far as there is a way; only the arm itself must touch nothing.

        Returns:
            Whether it went.
        """
        start = self.body.joints()
        cut = self._around(world, start)
        near = cut.allowing(*({o.name for o in cut.obstacles} & {SUPPORT, SURROUNDINGS, UNSEEN}))
        goal = self.tcp(start)
        engine = Interruptible(self.planner, self.body)
        engine.set_world(near)
        factor = self.settings.tasks.line_speed
        slow = self.limits.scaled(factor, factor)
        for share in (1.0, 0.6, 0.35):
            above = goal.copy()
            above[2, 3] += share * self.settings.tasks.lift_m
            result = engine.plan(PlanRequest(start, line=above[None], limits=slow))
            if result.trajectory is not None:
                self.move(Phase.RETREATING, result.trajectory, near)
                return True
        return False

    def jaw(self) -> float:
        """Present distance of the pads as the collision world wants it."""
        return float(np.clip(self.body.jaw(), 0.0, self.settings.gripper.opening))

    def grip(self, opening: float, force: float | None = None) -> float:
        """Move the pads and return their distance, metres."""
        result = self.body.grip(opening, force or self.settings.force)
        return result.width

    def holds(self) -> bool:
        """Whether the pads are kept apart by what is held."""
        return self.body.jaw() > self.settings.least_width

    def _watch(self, passed_s: float) -> None:
        held = self.hand.held
        if held is not None and not self.holds():
            self.lost(held)
        self.report(passed_s)

    def lost(self, held: HeldThing) -> None:
        """Take note that the hand is empty, and say so.

        Raises:
            TaskFailure: GRASP_LOST while picking, OBJECT_LOST otherwise.
        """
        self.hand.held = None
        raise TaskFailure(
            self.loss_reason, f"'{held.label or held.name}' slipped out of the gripper; look again"
        )

    @property
    def loss_reason(self) -> Reason:
        """What losing the thing means in this task."""
        return Reason.OBJECT_LOST

    def world(self, obstacles: list[Obstacle]) -> World:
        """Build a world with this cell's workspace."""
        return World(obstacles, workspace=(self.settings.low, self.settings.high))


def _paddings(world: World) -> tuple[float, ...]:
    return (world.padding, world.padding / 4, 0.0)


class Interruptible:
    """A planner that looks, before each motion that it plans, whether the task shall end."""

    def __init__(self, planner: MotionPlanner, body: Body) -> None:
        self._planner, self._body = planner, body

    def set_world(self, world: World) -> None:
        """As in `MotionPlanner`."""
        self._planner.set_world(world)

    def plan(self, request: PlanRequest) -> PlanResult:
        """As in `MotionPlanner`, but raises `TaskFailure` when the task shall end."""
        self._body.check()
        seconds = min(request.deadline_s, max(0.1, self._body.remaining_s()))
        result = self._planner.plan(replace(request, deadline_s=seconds))
        if result.status is Status.ENGINE_UNAVAILABLE:
            raise TaskFailure(Reason.PLANNER_UNAVAILABLE, result.message)
        return result

    def close(self) -> None:
        """As in `MotionPlanner`."""
        self._planner.close()


def failure_of(no_plan: NoPlan) -> TaskFailure:
    """Say a planner's refusal in the words of tasks."""
    return TaskFailure(_FAILURES[no_plan.failure], no_plan.message)
