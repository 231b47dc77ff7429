# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts what is held at a referred place: look, choose, go, let go, and look whether it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from roborefer_grasping.core.container import Container
from roborefer_grasping.core.landing import Landing, find_landing
from roborefer_grasping.core.motion import Phase, Reason, TaskFailure
from roborefer_grasping.core.motion_reference import Reference, Spot, check_inside, find
from roborefer_grasping.core.motion_scene import SURFACE_M, Scene
from roborefer_grasping.core.motion_task import HeldThing, Task, failure_of
from roborefer_grasping.core.occupancy import SHADOW, TARGET
from roborefer_grasping.core.placing import UNEVEN_M, Footprint, Placement
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.standing import Standing, measure_standing
from roborefer_grasping.core.tasks import NoPlan, TaskPlan
from roborefer_grasping.core.world import World

# Less than this share of its height and this much less, a thing lies rather than stands, metres.
_FALLEN_SHARE, _FALLEN_M = 0.75, 0.010
# Of the surface at a place, so many pixels must have been seen to say that nothing came there.
_LEAST_SURFACE_PX = 10


@dataclass(frozen=True, eq=False)
class PlaceWish:
    """What a Place goal asks for.

    Attributes:
        reference: Where.
        name: Of the held thing that is meant; "" for whatever is held.
        tolerance: Farthest horizontal distance, metres; 0 is the parameters' own.
        yaw: Wanted heading in the frame of the reference, radians; None for any.
        yaw_tolerance: Farthest deviation from it, radians; 0 is the parameters' own.
        plan_only: Move nothing.
    """

    reference: Reference
    name: str = ""
    tolerance: float = 0.0
    yaw: float | None = None
    yaw_tolerance: float = 0.0
    plan_only: bool = False


@dataclass(eq=False)
class PlaceTask(Task):
    """Runs one place; failures come as `TaskFailure`, with the arm at rest."""

    def run(self, wish: PlaceWish) -> None:
        """Put the held thing down.

        Raises:
            TaskFailure: It does not stand there; the reason says why and `hand` what is held.
        """
        self.enter(Phase.CHECKING)
        held = self._held(wish)
        _check_numbers(wish)
        settings = self.settings
        if wish.reference.position is not None:
            check_inside(wish.reference.position, settings.low, settings.high)
        self.clear_view(wish.plan_only)
        scene = self.see(0 if wish.reference.position is None else self.body.now_ns())
        spot = find(wish.reference, scene.look, scene.robot, settings.low, settings.high)
        self.enter(Phase.CHOOSING)
        landing = self._landing(wish, scene, spot, held)
        placements, under = landing.placements, landing.under
        world = self.world(self.obstacles(scene, under, landing.container))
        world = replace(world, held=held.solids, jaw=self.jaw())
        if under is not None:
            names = {o.name for o in world.obstacles} & {TARGET, SHADOW}
            world = world.allowing(*names)
        poses = [placement.motion @ held.grasp.pose for placement in placements]
        self.show(world, poses)
        self.enter(Phase.PLANNING)
        plan = self.task_planner().plan_place(self.body.joints(), held.grasp, placements, world)
        if isinstance(plan, NoPlan):
            raise failure_of(plan)
        assert plan.placement is not None
        goal = plan.placement.motion @ held.grasp.pose
        self.record.grasp = held.grasp
        self.record.place_pose = _box_pose(goal, held)
        self.expect(plan, goal)
        self.show(world, [goal])
        if wish.plan_only:
            return
        self.record.attempts = 1
        self._execute(plan, held)
        self._look_again(wish, scene, landing, held, plan.placement)

    def _held(self, wish: PlaceWish) -> HeldThing:
        held = self.hand.held
        if held is None:
            raise TaskFailure(
                Reason.GRIPPER_EMPTY, "the gripper holds nothing; pick something first"
            )
        if wish.name not in ("", held.name):
            raise TaskFailure(
                Reason.INVALID_GOAL,
                f"object_id is '{wish.name}', but the gripper holds '{held.name}'",
            )
        if not self.holds():
            self.lost(held)
        return held

    def _landing(self, wish: PlaceWish, scene: Scene, spot: Spot, held: HeldThing) -> Landing:
        tolerance = wish.tolerance or self.settings.tolerance
        yaws = None
        if wish.yaw is not None:
            # Placements turn the thing from how it stood when it was taken.
            stood = _box_pose(held.grasp.pose, held)
            middle = wish.yaw + wish.reference.yaw_offset - float(np.arctan2(*stood[1::-1, 0]))
            spread = wish.yaw_tolerance or self.settings.yaw_tolerance
            yaws = tuple(middle + spread * share for share in (0.0, -0.5, 0.5, -1.0, 1.0))
        found = find_landing(
            scene, wish.reference, spot, held.footprint, scene.robot, tolerance, yaws
        )
        if found.placements:
            return found
        if found.container is not None:
            raise TaskFailure(
                Reason.NO_STABLE_PLACE,
                "there is no free floor of the thing's size in that container; refer to another"
                " place",
            )
        if _occupied(scene, found.place, held.footprint):
            raise TaskFailure(
                Reason.PLACE_OCCUPIED,
                "something stands where the thing should go; refer to a free place",
            )
        raise TaskFailure(
            Reason.NO_STABLE_PLACE,
            "there is no level, visible surface of the thing's size there; refer to another place",
        )

    def _execute(self, plan: TaskPlan, held: HeldThing) -> None:
        settings = self.settings
        self.move(Phase.MOVING, plan.free, plan.worlds[0])
        self.move(Phase.APPROACHING, plan.approach, plan.worlds[1])
        self.enter(Phase.RELEASING)
        # What is held may have turned between the pads since it was taken.
        let_go = min(held.width, self.body.jaw()) + settings.least_width
        grip = self.body.grip(plan.worlds[2].jaw, settings.force)
        if not grip.interrupted or grip.width > let_go:
            self.hand.held = None
        self.body.check()
        if grip.width < let_go:
            raise TaskFailure(
                Reason.GRIPPER_FAULT,
                f"the gripper does not open: its pads are {grip.width:.3f} m apart; look at it",
            )
        opened = replace(plan.worlds[2], jaw=min(grip.width, settings.gripper.opening))
        try:
            self.move(Phase.RETREATING, plan.depart, opened)
        except TaskFailure as failure:
            # An arm that pressed on something springs off its plan when it lets go.
            if failure.reason is not Reason.UNSAFE_TRAJECTORY or not self.rise(opened):
                raise
        if settings.home_after_place:
            self._home_from(plan, held)

    def _home_from(self, plan: TaskPlan, held: HeldThing) -> None:
        """Go home around the thing that stands there now."""
        assert plan.placement is not None
        tcp = plan.placement.motion @ held.grasp.pose
        standing = [replace(p, name="placed", pose=tcp @ p.pose) for p in held.solids.parts]
        before = plan.worlds[0]
        world = World(
            [*before.obstacles, *standing],
            jaw=self.settings.gripper.opening,
            padding=before.padding,
            workspace=before.workspace,
        )
        self.go_home(world)

    def _look_again(
        self, wish: PlaceWish, before: Scene, landing: Landing, held: HeldThing, chosen: Placement
    ) -> None:
        """Say that it is not there only when that was seen; what is uncertain stays unmeasured."""
        self.enter(Phase.VERIFYING)
        now = self.see(self.body.now_ns())
        # Where any place in a container will do, the chosen one is what counts.
        place = chosen.position if landing.anywhere else landing.place
        motion = chosen.motion
        turn = float(np.arctan2(motion[1, 0], motion[0, 0]))
        seen = measure_standing(before, now, place, held.footprint, turn)
        if seen is None:
            if self.settings.home_after_place and _visible(before, now, place):
                raise TaskFailure(
                    Reason.PLACE_MISSED,
                    "the thing was let go, but nothing new is seen at its place; look again",
                )
            return
        pose = np.eye(4)
        pose[:3, 3] = (*seen.middle, place[2] + seen.height / 2)
        self.record.measured_pose = pose
        stood = held.footprint.height
        if seen.height < _FALLEN_SHARE * stood - _FALLEN_M:
            raise TaskFailure(
                Reason.PLACE_MISSED,
                f"the thing was {stood:.3f} m high and is now {seen.height:.3f} m high, so it has"
                " fallen over; look again",
            )
        error = float(np.hypot(*(seen.middle - place[:2])))
        if landing.anywhere and landing.container is not None:
            self._judge_inside(landing.container, seen, error)
            return
        allowed = (wish.tolerance or self.settings.tolerance) + self.settings.missed
        if error - seen.uncertainty > allowed:
            self.record.position_error = error
            raise TaskFailure(
                Reason.PLACE_MISSED,
                f"the thing was let go, but it was seen {error:.3f} m from its place;"
                f" {allowed:.3f} m are allowed",
            )
        if error + seen.uncertainty <= allowed:
            self.record.position_error = error

    def _judge_inside(self, container: Container, seen: Standing, error: float) -> None:
        """As for other places, but it may have rolled as far as the walls."""
        beyond = container.beyond(seen.middle)
        if beyond > seen.uncertainty:
            self.record.position_error = error
            raise TaskFailure(
                Reason.PLACE_MISSED,
                f"the thing was let go, but it was seen {beyond:.3f} m outside the container",
            )
        if beyond + seen.uncertainty <= 0:
            self.record.position_error = error


def _check_numbers(wish: PlaceWish) -> None:
    for name, value in (
        ("position_tolerance", wish.tolerance),
        ("yaw_tolerance", wish.yaw_tolerance),
    ):
        if not (np.isfinite(value) and value >= 0):
            raise TaskFailure(Reason.INVALID_GOAL, f"{name} is {value}; 0 or more is needed")
    if wish.yaw is not None and not np.isfinite(wish.yaw):
        raise TaskFailure(Reason.INVALID_GOAL, f"yaw is {wish.yaw}; it must be finite")


def _occupied(scene: Scene, place: Array, footprint: Footprint) -> bool:
    """Whether something rises above the surface within the footprint."""
    points = scene.look.view.points[scene.look.view.valid & ~scene.robot]
    radius = float(np.linalg.norm(footprint.outline, axis=1).mean())
    near = np.linalg.norm(points[:, :2] - place[:2], axis=1) < radius
    return bool((points[near, 2] > place[2] + UNEVEN_M).sum() > 20)


def _visible(before: Scene, now: Scene, place: Array) -> bool:
    """Whether the surface at a place was seen before and is still seen bare."""
    earlier, later = before.look.view, now.look.view
    if earlier.depth_m.shape != later.depth_m.shape:
        return False
    near = np.linalg.norm(np.nan_to_num(earlier.points, nan=9e9) - place, axis=-1) < SURFACE_M
    if near.sum() < _LEAST_SURFACE_PX:
        return False
    return bool((later.measured & ~now.robot)[near].mean() > 0.5)


def _box_pose(tcp: Array, held: HeldThing) -> Array:
    return np.asarray(tcp @ held.solids.parts[0].pose)
