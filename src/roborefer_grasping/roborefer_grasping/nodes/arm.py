# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The `arm` node: picks referred things and places what is held."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from roborefer_common.core.parameters import Value
from roborefer_common.declaring import declare, read
from roborefer_common.patience import Patience, wait_until
from roborefer_common.qos import EVENT, LATCHED
from roborefer_common.times import nanoseconds
from std_msgs.msg import Bool
from visualization_msgs.msg import MarkerArray

from roborefer_grasping.conversions import (
    code_of,
    grasp_markers,
    held_to_msg,
    phase_code,
    pose_stamped,
    scene_markers,
    trajectory_to_msg,
)
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.motion import Phase, Progress, Reason, TaskFailure
from roborefer_grasping.core.motion_pick import PickTask, PickWish
from roborefer_grasping.core.motion_place import PlaceTask, PlaceWish
from roborefer_grasping.core.motion_settings import Settings
from roborefer_grasping.core.motion_task import Hand, HeldThing, Record, Task
from roborefer_grasping.core.parameters import TABLE, settings_of
from roborefer_grasping.core.planning.interface import MotionPlanner
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.world import World
from roborefer_grasping.exceptions import GraspingError
from roborefer_grasping.nodes.body import RosBody
from roborefer_grasping.nodes.controllers import ArmController, GripperController
from roborefer_grasping.nodes.driver import Driver
from roborefer_grasping.nodes.planners import make_planner
from roborefer_grasping.nodes.sensing import Sensing
from roborefer_msgs.action import Pick, Place
from roborefer_msgs.msg import HeldObject

# A goal blocks one thread of the executor; the others serve callbacks meanwhile.
_THREADS = 6
# Deactivation waits this long for a running goal to bring the arm to rest.
_REST_S = 10.0
_GLANCE_S = 0.1


class ArmNode(LifecycleNode):
    """Serves the actions `pick` and `place`; one goal at a time.

    Subscribes to `joint_states`, `camera/aligned_depth_to_color/image_raw` (16UC1 or 32FC1),
    `camera/color/camera_info`, TF and, latched, `stop`: while it is true, nothing moves and goals
    are refused. Publishes `held_object`, `planning_scene_markers` and `grasp_markers` (latched)
    and `diagnostics`. Uses the actions named by the parameters `arm.action` and `gripper.action`.
    Parameters: config/*.yaml, made from core/parameters.py.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("arm", **kwargs)
        declare(self, TABLE)
        self._hand = Hand()
        self._told: HeldThing | None = None
        self._busy = threading.Lock()
        self._active = self._stopped = False
        self._values: dict[str, Value] = {}
        self._settings: Settings | None = None
        self._planner: MotionPlanner | None = None
        self._sensing: Sensing | None = None
        self._arm: ArmController | None = None
        self._gripper: GripperController | None = None
        self._driver: Driver | None = None
        self._last: tuple[str, Record] | None = None
        self._timer = None
        self._held_publisher = self.create_publisher(HeldObject, "held_object", LATCHED)
        self._scene_publisher = self.create_publisher(
            MarkerArray, "planning_scene_markers", LATCHED
        )
        self._grasp_publisher = self.create_publisher(MarkerArray, "grasp_markers", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", EVENT)
        self.create_subscription(
            Bool, "stop", self._on_stop, LATCHED, callback_group=MutuallyExclusiveCallbackGroup()
        )
        group = ReentrantCallbackGroup()
        self._servers = [
            ActionServer(
                self, kind, name, execute, callback_group=group,
                cancel_callback=lambda goal: CancelResponse.ACCEPT,
            )
            for kind, name, execute in (
                (Pick, "pick", self._execute_pick),
                (Place, "place", self._execute_place),
            )
        ]  # fmt: skip

    # --- lifecycle ----------------------------------------------------------------------------
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check parameters, build the planner, look for controllers and sensors."""
        try:
            self._values = read(self, TABLE)
            self._settings = settings_of(self._values)
            self._planner = make_planner(self, self._settings, self._values)
        except GraspingError as error:
            self.get_logger().error(f"cannot be configured: {error}")
            return TransitionCallbackReturn.FAILURE
        self._driver = Driver(self, self._values)
        self._sensing = Sensing(self, self._values)
        self._arm = ArmController(self, self._sensing, self._values)
        self._gripper = GripperController(self, self._sensing, self._values)
        period = float(self._values["diagnostics.period_s"])
        self._timer = self.create_timer(period, self._on_timer)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take goals from now on."""
        self._active = True
        self._publish_held()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Bring the arm to rest and take no more goals; what is held stays held."""
        self._rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of sensors, controllers and planner; what the hand holds is not forgotten."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Bring the arm to rest and let go of everything."""
        self._rest()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _rest(self) -> None:
        self._active = False
        patience = Patience(self.get_clock(), _REST_S)
        changed = self._sensing.changed if self._sensing else threading.Condition()
        if not wait_until(lambda: not self._busy.locked(), patience, changed):
            self.get_logger().error("a goal did not end in time; look at the arm")

    def _release(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
        for part in (self._arm, self._gripper, self._sensing, self._driver, self._planner):
            if part is not None:
                part.close()
        self._arm = self._gripper = self._sensing = self._driver = None
        self._planner = self._timer = None

    # --- stop ---------------------------------------------------------------------------------
    def _on_stop(self, message: Bool) -> None:
        if message.data != self._stopped:
            said = "set: the arm stands still and takes no goals" if message.data else "released"
            self.get_logger().warning(f"stop is {said}")
        self._stopped = bool(message.data)

    def _halted(self) -> tuple[Reason, str] | None:
        if self._stopped:
            return Reason.STOPPED, "the latched stop is set; release it first"
        if not self._active:
            return Reason.NOT_ACTIVE, "the arm is not active; activate it first"
        return self._driver.halted() if self._driver else None

    # --- goals --------------------------------------------------------------------------------
    def _execute_pick(self, handle: ServerGoalHandle) -> Pick.Result:
        goal = handle.request

        def run(body: RosBody, record: Record) -> None:
            task = self._task(PickTask, body, record, goal)
            task.enter(Phase.CHECKING)
            place = self._reference(goal.place, body) if goal.with_place else None
            reference = self._reference(goal.reference, body)
            task.run(PickWish(reference, place, goal.plan_only, goal.grip_force))

        record = self._run("pick", handle, Pick.Feedback, run)
        stamp = self.get_clock().now().to_msg()
        result = Pick.Result(attempts=record.attempts)
        self._fill(result, record)
        grasp = record.grasp
        tool = self._tool_pose()
        if grasp is not None and self._settings is not None:
            result.grasp_pose = pose_stamped(
                grasp.pose @ np.linalg.inv(self._settings.gripper.t_tool_tcp),
                self._base_frame(), stamp,
            )  # fmt: skip
            result.grasp_quality = float(grasp.quality)
        result.final_pose = pose_stamped(tool, self._base_frame(), stamp)
        return result

    def _execute_place(self, handle: ServerGoalHandle) -> Place.Result:
        goal = handle.request

        def run(body: RosBody, record: Record) -> None:
            task = self._task(PlaceTask, body, record, goal)
            task.enter(Phase.CHECKING)
            reference = self._reference(goal.reference, body)
            yaw = goal.yaw if goal.use_yaw else None
            task.run(
                PlaceWish(
                    reference, goal.object_id, goal.position_tolerance, yaw, goal.yaw_tolerance,
                    goal.plan_only,
                )
            )  # fmt: skip

        record = self._run("place", handle, Place.Feedback, run)
        stamp = self.get_clock().now().to_msg()
        result = Place.Result(attempts=record.attempts, position_error=record.position_error)
        self._fill(result, record)
        result.place_pose = pose_stamped(record.place_pose, self._base_frame(), stamp)
        result.measured_pose = pose_stamped(record.measured_pose, self._base_frame(), stamp)
        return result

    def _run(
        self,
        name: str,
        handle: ServerGoalHandle,
        feedback: type,
        run: Callable[[RosBody, Record], None],
    ) -> Record:
        """Run a goal to its end, whatever happens, and settle its state."""
        record = Record()
        # The look at the hand between goals takes no longer.
        if not self._busy.acquire(timeout=_GLANCE_S):
            record.reason = Reason.BUSY
            record.message = "another goal runs and the arm does one at a time; wait or cancel it"
        else:
            try:
                self._run_alone(handle, feedback, run, record)
            finally:
                self._last = (name, record)
                self._busy.release()
        if record.reason is None:
            handle.succeed()
        elif record.reason is Reason.CANCELED:
            handle.canceled()
        else:
            handle.abort()
        # rclpy binds a severity to the line that logs.
        if record.reason is None:
            self.get_logger().info(f"{name}: done")
        else:
            self.get_logger().warning(f"{name}: {record.reason.value}: {record.message}")
        return record

    def _run_alone(
        self,
        handle: ServerGoalHandle,
        feedback: type,
        run: Callable[[RosBody, Record], None],
        record: Record,
    ) -> None:
        try:
            halted = self._halted()
            if halted is not None:
                raise TaskFailure(*halted)
            run(self._body(handle, feedback), record)
            record.phase = Phase.DONE
        except TaskFailure as failure:
            cause = self._driver.cause_of(failure) if self._driver else failure
            record.reason, record.message = cause.reason, str(cause)
        except GraspingError as error:
            self.get_logger().error(f"a defect; please report it:\n{traceback.format_exc()}")
            record.reason, record.message = Reason.INTERNAL_ERROR, str(error)
        except Exception as error:
            self.get_logger().error(f"a defect; please report it:\n{traceback.format_exc()}")
            record.reason = Reason.INTERNAL_ERROR
            record.message = f"a defect of the arm node: {error!r}; see its log"
        if self._hand.held is not self._told:
            self._publish_held()

    def _body(self, handle: ServerGoalHandle, feedback: type) -> RosBody:
        assert self._sensing is not None
        assert self._arm is not None
        assert self._gripper is not None
        deadline = nanoseconds(handle.request.deadline) * 1e-9
        if deadline < 0:
            raise TaskFailure(
                Reason.INVALID_GOAL, f"deadline is {deadline} s; zero or more is needed"
            )

        def tell(progress: Progress) -> None:
            if self._hand.held is not self._told:
                self._publish_held()
            handle.publish_feedback(
                feedback(
                    phase=phase_code(progress.phase),
                    attempt=progress.attempt,
                    progress=float(progress.share),
                    distance=float(progress.distance),
                )
            )

        return RosBody(
            self,
            self._sensing,
            self._arm,
            self._gripper,
            self._values,
            deadline or float(self._values["task.deadline_s"]),
            lambda: handle.is_cancel_requested,
            self._halted,
            tell,
        )

    def _task(self, kind: type[Task], body: RosBody, record: Record, goal: Any) -> Task:
        assert self._settings is not None
        assert self._planner is not None
        return kind(
            self._settings,
            body,
            self._planner,
            self._hand,
            self._settings.limits(goal.velocity_scaling, goal.acceleration_scaling),
            self._show,
            record,
        )

    def _reference(self, message: Any, body: RosBody) -> Any:
        assert self._sensing is not None
        return self._sensing.reference(message, body.check)

    def _fill(self, result: Any, record: Record) -> None:
        result.error_code, result.error_msg = code_of(record.reason), record.message
        result.phase = phase_code(record.phase)
        result.held_object = self._held_message()
        names = self._sensing.joint_names if self._sensing else ()
        result.trajectory = trajectory_to_msg(record.planned, names)

    # --- publications -------------------------------------------------------------------------
    def _base_frame(self) -> str:
        return self._sensing.base_frame if self._sensing else ""

    def _tool_pose(self) -> Array | None:
        """Pose of the flange in the frame of the base, or None when joints are not known."""
        if self._sensing is None or self._settings is None:
            return None
        try:
            joints = self._sensing.state().position
        except TaskFailure:
            return None
        return forward(self._settings.robot, joints)

    def _held_message(self) -> HeldObject:
        stamp = self.get_clock().now().to_msg()
        prefix = str(self.get_parameter("robot.tf_prefix").value)
        frame = prefix + str(self.get_parameter("robot.tool_frame").value)
        width = 0.0
        if self._sensing is not None:
            try:
                width = self._sensing.jaw()
            except TaskFailure:
                width = 0.0
        gripper = self._settings.gripper if self._settings else Gripper()
        return held_to_msg(self._hand.held, width, gripper, frame, stamp)

    def _publish_held(self) -> None:
        self._told = self._hand.held
        self._held_publisher.publish(self._held_message())

    def _show(self, world: World, poses: list[Array]) -> None:
        assert self._settings is not None
        stamp = self.get_clock().now().to_msg()
        frame = self._base_frame()
        self._scene_publisher.publish(scene_markers(world, frame, stamp))
        self._grasp_publisher.publish(grasp_markers(poses, self._settings.gripper, frame, stamp))

    def _on_timer(self) -> None:
        self._watch_hand()
        self._publish_diagnostics()

    def _watch_hand(self) -> None:
        """Notice what falls out of the gripper between goals."""
        held, sensing, settings = self._hand.held, self._sensing, self._settings
        if held is None or sensing is None or settings is None:
            return
        if not self._busy.acquire(blocking=False):
            return
        try:
            if sensing.jaw() <= settings.least_width:
                self._hand.held = None
                self._publish_held()
                self.get_logger().error(f"'{held.label or held.name}' fell out of the gripper")
        except TaskFailure:
            # What the gripper does not tell is in the diagnostics.
            pass
        finally:
            self._busy.release()

    def _publish_diagnostics(self) -> None:
        sensing, arm, gripper = self._sensing, self._arm, self._gripper
        if sensing is None or arm is None or gripper is None:
            return
        missing = []
        try:
            sensing.state()
        except TaskFailure as failure:
            missing.append(str(failure))
        age = sensing.depth_age_s()
        if age > float(self._values["depth.stale_s"]):
            missing.append("no recent depth image")
        stopped = self._driver.halted() if self._driver else None
        if stopped is not None:
            missing.append(stopped[1])
        if not arm.ready:
            missing.append("the arm's controller is not there")
        if not gripper.ready:
            missing.append("the gripper's controller is not there")
        last = self._last
        outcome = "none" if last is None else f"{last[0]}: {last[1].reason or 'done'}"
        status = DiagnosticStatus(
            name=f"{self.get_name()}: readiness",
            hardware_id=str(self._values["robot.name"]),
            level=DiagnosticStatus.WARN if missing or self._stopped else DiagnosticStatus.OK,
            message="stopped" if self._stopped else "; ".join(missing) or "ready",
            values=[
                KeyValue(key="active", value=str(self._active)),
                KeyValue(key="busy", value=str(self._busy.locked())),
                KeyValue(key="holding", value=self._hand.held.name if self._hand.held else ""),
                KeyValue(key="depth_age_s", value=f"{age:.2f}"),
                KeyValue(key="planner", value=str(self._values["planner.engine"])),
                KeyValue(key="last_goal", value=outcome),
            ],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main() -> None:
    """Run the node until it is told to end."""
    try:
        with rclpy.init():
            node = ArmNode()
            executor = MultiThreadedExecutor(num_threads=_THREADS)
            executor.add_node(node)
            try:
                executor.spin()
            finally:
                node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
