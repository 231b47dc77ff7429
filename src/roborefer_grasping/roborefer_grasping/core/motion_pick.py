# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes a referred thing: look, choose, go, close, lift, and look whether it worked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from roborefer_grasping.core.columns import columns_around
from roborefer_grasping.core.grasps import Grasp, narrowest_width, propose_grasps
from roborefer_grasping.core.landing import find_landing
from roborefer_grasping.core.motion import INTERRUPTIONS, Phase, Reason, TaskFailure
from roborefer_grasping.core.motion_reference import Reference, check_inside, find
from roborefer_grasping.core.motion_scene import (
    Scene,
    solid_of,
    still_there,
)
from roborefer_grasping.core.motion_task import HeldThing, Task, failure_of
from roborefer_grasping.core.placing import Footprint, footprint_of
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.segment import segment_at, things
from roborefer_grasping.core.tasks import NoPlan, TaskPlan, TaskPlanner, held_by
from roborefer_grasping.core.unmeasured import Unmeasured, unmeasured_part
from roborefer_grasping.core.view import Mask
from roborefer_grasping.core.world import Held, World
from roborefer_grasping.exceptions import SceneError

# After these, another grasp may work.
_TRY_AGAIN = {Reason.GRASP_MISSED, Reason.GRASP_LOST, Reason.TARGET_MOVED}
# Pads that closing drives apart by this stand on something, metres.
_JAM_M = 0.004
# Farther than this from the way it came, the arm was pushed off it, radians.
_ON_ITS_WAY_RAD = 0.008
# A grasp this close to one that failed fails again: metres, and cosine of the closing axes.
_SAME_M, _SAME_COS = 0.012, 0.97


@dataclass(frozen=True, eq=False)
class PickWish:
    """What a Pick goal asks for.

    Attributes:
        reference: What to take.
        place: Where it will go, or None when that is open.
        plan_only: Move nothing.
        force: Greatest closing force, newtons; 0 is the parameters' own.
    """

    reference: Reference
    place: Reference | None = None
    plan_only: bool = False
    force: float = 0.0


@dataclass(frozen=True, eq=False)
class _Target:
    """The thing as measured in one scene."""

    scene: Scene
    mask: Mask
    footprint: Footprint
    solids: Held
    world: World
    grasps: list[Grasp]


@dataclass(eq=False)
class PickTask(Task):
    """Runs one pick; failures come as `TaskFailure`, with the arm at rest."""

    _failed: list[Grasp] = field(default_factory=list)
    _way_back: list[tuple[Trajectory, World]] = field(default_factory=list)

    @property
    def loss_reason(self) -> Reason:
        """A thing that is lost before the pick is done was not picked."""
        return Reason.GRASP_LOST

    def run(self, wish: PickWish) -> None:
        """Take the thing.

        Raises:
            TaskFailure: It was not taken; the reason says why.
        """
        self.enter(Phase.CHECKING)
        if self.hand.held is not None:
            held = self.hand.held
            raise TaskFailure(
                Reason.GRIPPER_FULL,
                f"the gripper holds '{held.label or held.name}'; place it first",
            )
        if not (np.isfinite(wish.force) and wish.force >= 0):
            raise TaskFailure(
                Reason.INVALID_GOAL, f"grip_force is {wish.force}; 0 or more is needed"
            )
        for place in (wish.reference, wish.place):
            if place is not None and place.position is not None:
                check_inside(place.position, self.settings.low, self.settings.high)
        self.clear_view(wish.plan_only)
        last: TaskFailure | None = None
        for attempt in range(self.settings.max_attempts):
            try:
                self._attempt(wish, attempt > 0)
                return
            except TaskFailure as failure:
                # With other grasps used up, why the ones that were tried failed is what counts.
                if last is not None and failure.reason in _OUT_OF_CHOICES:
                    raise last from failure
                if failure.reason not in _TRY_AGAIN:
                    raise
                last = failure
                self._withdraw_after(failure)
        assert last is not None
        raise last

    # --- one attempt --------------------------------------------------------------------------
    def _attempt(self, wish: PickWish, again: bool) -> None:
        self.enter(Phase.CHECKING)
        target = self._measure(wish, again)
        self.enter(Phase.PLANNING)
        plan = self._plan(wish, target)
        self.record.grasp = plan.grasp
        self.expect(plan, plan.grasp.pose)
        self.show(target.world, [plan.grasp.pose])
        if wish.plan_only:
            return
        self.record.attempts += 1
        self._execute(wish, plan, target)

    def _measure(self, wish: PickWish, again: bool) -> _Target:
        # A pixel alone means something only in its own image; a place is better measured now.
        only_pixel = wish.reference.position is None and not again
        scene = self.see(0 if only_pixel else self.body.now_ns())
        view, settings = scene.look.view, self.settings
        spot = find(wish.reference, scene.look, scene.robot, settings.low, settings.high)
        self.enter(Phase.CHOOSING)
        try:
            mask = segment_at(view, spot.u, spot.v, scene.support, scene.robot)
            part = self._unmeasured(scene, mask)
            footprint = footprint_of(view, mask, scene.support, part.points)
            solids = solid_of(scene, mask, part.points)
            filled, whole = part.filled(view), part.joined(mask)
            columns = columns_around(filled, whole, scene.support, scene.robot, settings.scene)
        except SceneError as error:
            raise TaskFailure(Reason.NOTHING_THERE, str(error)) from error
        self.body.check()
        full = replace(scene, look=replace(scene.look, view=filled))
        world = self.world(self.obstacles(full, whole))
        grasps = propose_grasps(columns, settings.gripper)
        self.show(world, [grasp.pose for grasp in grasps])
        grasps = [g for g in grasps if not any(_same(g, tried) for tried in self._failed)]
        if not grasps:
            width = narrowest_width(columns)
            if width > settings.gripper.widest and not self._failed:
                raise TaskFailure(
                    Reason.TOO_WIDE,
                    f"the thing is {width:.3f} m wide at its narrowest, the gripper takes"
                    f" {settings.gripper.widest:.3f} m; refer to a part such as a handle or rim",
                )
            raise TaskFailure(
                Reason.NO_GRASP,
                "no grasp on what was seen of the thing fits this gripper; move it apart from"
                " others or refer to another part of it",
            )
        return _Target(scene, mask, footprint, solids, world, grasps)

    @staticmethod
    def _unmeasured(scene: Scene, mask: Mask) -> Unmeasured:
        view = scene.look.view
        others = (things(view, scene.support, scene.robot) > 0) & ~mask
        return unmeasured_part(view, mask, others | scene.robot)

    def _plan(self, wish: PickWish, target: _Target) -> TaskPlan:
        planner = self.task_planner()
        placeable = None
        if wish.place is not None:
            could_place = self._placeable(planner, wish.place, target)

            def placeable(grasp: Grasp) -> bool:
                self.body.check()
                return could_place(grasp)

        plan = planner.plan_pick(
            self.body.joints(), target.grasps, target.world, target.solids, placeable
        )
        if isinstance(plan, NoPlan):
            raise failure_of(plan)
        return plan

    def _placeable(
        self, planner: TaskPlanner, place: Reference, target: _Target
    ) -> Callable[[Grasp], bool]:
        """What tells whether a grasp could put the thing down where it shall go."""
        settings, scene = self.settings, target.scene
        spot = find(place, scene.look, scene.robot, settings.low, settings.high)
        landing = find_landing(
            scene, place, spot, target.footprint, target.mask | scene.robot, settings.tolerance
        )
        if not landing.placements:
            raise TaskFailure(
                Reason.NO_STABLE_PLACE,
                "there is no free and level place of the thing's size where it shall go; refer to"
                " another place",
            )
        world = target.world
        if landing.container is not None:
            world = self.world(self.obstacles(scene, target.mask, landing.container))
        elif landing.under is not None:
            world = self.world(self.obstacles(scene, target.mask | landing.under))
        return planner.placeable(landing.placements, world, target.solids)

    def _execute(self, wish: PickWish, plan: TaskPlan, target: _Target) -> None:
        settings = self.settings
        force = min(wish.force or settings.force, settings.force)
        self.enter(Phase.MOVING)
        self.grip(plan.worlds[0].jaw)
        self.body.check()
        self.move(Phase.MOVING, plan.free, plan.worlds[0])
        self._way_back.append((plan.free, plan.worlds[0]))
        self._still_where_it_was(target)
        self.move(Phase.APPROACHING, plan.approach, plan.worlds[1])
        self._way_back.append((plan.approach, plan.worlds[1]))
        self.enter(Phase.GRASPING)
        self._close(plan.grasp, force, wish, target)
        carried = replace(plan.worlds[2], jaw=self.jaw())
        # From here on the way back is another one.
        self._way_back = []
        self.move(Phase.LIFTING, plan.depart, carried)
        self.enter(Phase.VERIFYING)
        self._verify(target)
        if settings.home_after_pick:
            self.go_home(replace(carried, touchable=frozenset()))
        if not self.holds() and self.hand.held:
            self.lost(self.hand.held)

    def _still_where_it_was(self, target: _Target) -> None:
        now = self.see(self.body.now_ns())
        if still_there(target.mask, target.scene.look, now.look, now.robot) is False:
            raise TaskFailure(
                Reason.TARGET_MOVED,
                "the thing moved while the arm was on its way; refer to it again",
            )

    def _close(self, grasp: Grasp, force: float, wish: PickWish, target: _Target) -> None:
        opened = self._way_back[-1][1].jaw
        grip = self.body.grip(0.0, force)
        if grip.width > opened + _JAM_M:
            self._failed.append(grasp)
            self.body.check()
            raise TaskFailure(
                Reason.GRASP_MISSED, "the fingers came down on the thing and were pushed apart"
            )
        if grip.width <= self.settings.least_width:
            self._failed.append(grasp)
            self.body.check()
            raise TaskFailure(
                Reason.GRASP_MISSED,
                f"the gripper closed on nothing; {grasp.width:.3f} m were expected between its"
                " pads",
            )
        if not grip.interrupted:
            solids = held_by(target.solids, grasp)
            assert solids is not None
            self.hand.count += 1
            label = wish.reference.label
            self.hand.held = HeldThing(
                f"held_{self.hand.count}", label, wish.reference.identity, solids, grasp,
                target.footprint, grip.width,
            )  # fmt: skip
        self.body.check()

    def _verify(self, target: _Target) -> None:
        held = self.hand.held
        assert held is not None
        if not self.holds():
            self._failed.append(held.grasp)
            self.lost(held)
        now = self.see(self.body.now_ns())
        if still_there(target.mask, target.scene.look, now.look, now.robot):
            # It stands where it stood, so whatever keeps the pads apart is something else.
            raise TaskFailure(
                Reason.NO_GRASP,
                "the gripper holds something, but the thing is still where it was; place what is"
                " held and refer again",
            )

    def _withdraw_after(self, failure: TaskFailure) -> None:
        """Withdraw; when there is no way back, what led here is what counts."""
        try:
            self._withdraw()
        except TaskFailure as trouble:
            if trouble.reason in INTERRUPTIONS:
                raise
            raise failure from trouble

    def _withdraw(self) -> None:
        """Go back on the way that was verified, so that the camera sees the scene again."""
        self.enter(Phase.RETREATING)
        way, self._way_back = self._way_back, []
        if not way:
            self.grip(self.settings.gripper.opening)
            self.clear_view(False)
            return
        self.grip(way[-1][1].jaw)
        if not self.body.settle(way[-1][0].positions[-1], _ON_ITS_WAY_RAD):
            self.clear_view(False)
            return
        for trajectory, world in reversed(way):
            self.move(Phase.RETREATING, _reversed(trajectory), world)


_OUT_OF_CHOICES = {
    Reason.NO_GRASP, Reason.UNREACHABLE, Reason.NO_PATH, Reason.NOTHING_THERE,
}  # fmt: skip


def _same(one: Grasp, other: Grasp) -> bool:
    near = float(np.linalg.norm(one.pose[:3, 3] - other.pose[:3, 3])) < _SAME_M
    return near and abs(float(one.pose[:3, 1] @ other.pose[:3, 1])) > _SAME_COS


def _reversed(trajectory: Trajectory) -> Trajectory:
    """The same way back, equally fast."""
    times = trajectory.times[-1] - trajectory.times[::-1]
    return Trajectory(
        times,
        trajectory.positions[::-1],
        -trajectory.velocities[::-1],
        trajectory.accelerations[::-1],
    )
