# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `simulator`: a UR5 cell in MuJoCo behind the topics and actions of a real one."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from roborefer_common.core.parameters import check
from roborefer_common.declaring import declare, read
from roborefer_common.qos import SENSOR_OUT
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from roborefer_sim.conversions import (
    camera_info_to_msg,
    color_to_msg,
    depth_to_msg,
    joints_to_msg,
    time_to_msg,
    transform_to_msg,
)
from roborefer_sim.core.camera import pinhole_of
from roborefer_sim.core.cell import TIME_STEP_S, CameraPlace, Cell, Layout
from roborefer_sim.core.clutter import Clutter, random_cell
from roborefer_sim.core.controller import Braking
from roborefer_sim.core.frames import T_LINK_OPTICAL, robot_frames
from roborefer_sim.core.gl import choose_gl, explain
from roborefer_sim.core.goals import Tolerances
from roborefer_sim.core.jaw import JawSettings
from roborefer_sim.core.lens import Lens
from roborefer_sim.core.loop import Loop
from roborefer_sim.core.sensor import SensorModel, scaled
from roborefer_sim.core.simulation import Faults, Settings, Simulation
from roborefer_sim.core.studio import Frame, Studio
from roborefer_sim.exceptions import SimulationError
from roborefer_sim.nodes.actions import ArmActions, GripperActions
from roborefer_sim.nodes.entities import EntityServices
from roborefer_sim.nodes.parameters import TABLE
from roborefer_sim.nodes.running import RunningServices

CAMERA_LINK, OPTICAL_FRAME = "camera_link", "camera_color_optical_frame"
# Of wall time: how often the node says how it is.
DIAGNOSTICS_S = 1.0


class Simulator(Node):
    """Stands in for a UR5 with gripper, an RGB-D camera and a table with things.

    Publishes camera/color/image_raw, camera/aligned_depth_to_color/image_raw and
    camera/color/camera_info with the same stamp, joint_states, /clock, /tf, /tf_static and
    diagnostics. Offers the actions <controller.name>/follow_joint_trajectory,
    <gripper.name>/gripper_cmd (ParallelGripperCommand) and
    <gripper.action_name>/gripper_cmd (GripperCommand), and services of simulation_interfaces.
    Parameters: nodes/parameters.py. It must be spun by several threads, because goals wait in
    their callbacks; `close` must be called before it is destroyed; `failed` tells whether the
    simulation ended by itself.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Build the scene and begin to simulate.

        Raises:
            SimulationError: The scene cannot be built; the message names the parameter's value.
            ValueError: A parameter has a value that it must not have.
        """
        super().__init__("simulator", **kwargs)
        declare(self, TABLE)
        values = self._values = read(self, TABLE)
        self._closed, self.failed = False, False
        self._prefix = str(values["tf_prefix"])
        self._distortion = [float(value) for value in values["camera.distortion"]]
        place = CameraPlace(
            tuple(values["camera.position"]),
            tuple(values["camera.target"]),
            values["camera.width"],
            values["camera.height"],
            values["camera.focal"],
        )
        self._place, lens = place, Lens(place, self._distortion)
        layout = Layout(camera=lens.drawn, shadows=values["scene.shadows"])
        self._simulation = Simulation(_build(values, layout), _settings(values))
        self._joint_stride = _stride(values["joint_state_rate"])
        self._camera_stride = _stride(values["camera.rate"]) if values["camera.rate"] > 0 else 0
        self._pictures = 0
        self._last_frame: Frame | None = None
        self._set_faults(values)
        self._open_topics()
        sensor = scaled(SensorModel(), values["sensor.strength"])
        self._studio = Studio(
            layout,
            lens,
            sensor if values["sensor.enabled"] else None,
            values["scene.seed"],
            self._publish_frame,
        )
        self._loop = Loop(
            self._step,
            TIME_STEP_S,
            values["real_time_factor"],
            not values["start_paused"],
            self._on_failure,
        )
        group = ReentrantCallbackGroup()
        ArmActions(self, self._simulation, self._loop, values, group)
        GripperActions(self, self._simulation, self._loop, values, group)
        base_link = self._prefix + "base_link"
        EntityServices(self, self._simulation, self._loop, base_link, group)
        RunningServices(self, self._loop, self._reset, group)
        self.add_on_set_parameters_callback(self._on_parameters)
        self.create_timer(DIAGNOSTICS_S, self._publish_diagnostics)
        things = ", ".join(thing.name for thing in self._simulation.cell.placed) or "nothing"
        self.get_logger().info(f"{explain(choose_gl())}; on the table: {things}")
        self._publish_static_frames()
        # Else MuJoCo writes a file into whatever folder this process runs in.
        mujoco.set_mju_user_warning(self._on_warning)
        self._studio.start()
        self._loop.start()

    def close(self) -> None:
        """End physics and pictures, and let waiting goals go. Calling it twice is allowed."""
        if self._closed:
            return
        self._closed = True
        simulation = self._simulation
        self._loop.submit(lambda: simulation.release("the simulator shuts down"))
        self._loop.stop()
        self._studio.stop()
        mujoco.set_mju_user_warning(None)
        simulation.release("the simulator shuts down")

    # ---- what the physics thread does -----------------------------------------------------

    def _step(self) -> None:
        simulation = self._simulation
        simulation.step()
        if simulation.steps % self._joint_stride == 0:
            self._publish_joints()
        if self._camera_stride and simulation.steps % self._camera_stride == 0:
            self._pictures += 1
            if self._is_watched():
                cell = simulation.cell
                self._studio.expose(cell.model, cell.data, simulation.steps, self._pictures)

    def _is_watched(self) -> bool:
        """Whether anybody wants pictures; drawing them for nobody would only cost time."""
        publishers = (self._color_publisher, self._depth_publisher, self._info_publisher)
        return any(publisher.get_subscription_count() for publisher in publishers)

    def _publish_joints(self) -> None:
        simulation = self._simulation
        stamp = time_to_msg(simulation.steps)
        self._clock_publisher.publish(Clock(clock=stamp))
        self._joints_publisher.publish(joints_to_msg(simulation.joints(), self._prefix, stamp))
        if self._values["publish_robot_tf"]:
            cell = simulation.cell
            mujoco.mj_kinematics(cell.model, cell.data)
            self._frames.sendTransform(
                [
                    transform_to_msg(self._prefix + parent, self._prefix + child, pose, stamp)
                    for parent, child, pose in robot_frames(cell)
                ]
            )

    def _reset(self, *, time: bool, state: bool, spawned: bool) -> None:
        self._simulation.reset(time=time, state=state, spawned=spawned)
        if time:
            self._pictures = 0

    def _on_warning(self, text: str) -> None:
        if self.context.ok():
            self.get_logger().warning(f"MuJoCo: {text}", throttle_duration_sec=1.0)

    def _on_failure(self, error: BaseException) -> None:
        if not self.context.ok():
            # What was published last met a context that was being shut down.
            return
        self.failed = True
        self.get_logger().fatal(f"the simulation ended: {type(error).__name__}: {error}")
        self._simulation.release(f"the simulation ended: {error}")
        self.context.try_shutdown()

    # ---- what the camera's thread does ----------------------------------------------------

    def _publish_frame(self, frame: Frame) -> None:
        fault = self._values["fault.camera"]
        if fault == "lost":
            return
        if fault == "none" or self._last_frame is None:
            self._last_frame = frame
        stamp, shown = time_to_msg(frame.step), self._last_frame
        color = color_to_msg(shown.rgb, OPTICAL_FRAME, stamp)
        encoding = self._values["camera.depth_encoding"]
        depth = depth_to_msg(shown.depth_m, encoding, OPTICAL_FRAME, stamp)
        k = pinhole_of(self._place)
        self._info_publisher.publish(camera_info_to_msg(k, self._distortion, OPTICAL_FRAME, stamp))
        self._depth_publisher.publish(depth)
        self._color_publisher.publish(color)

    # ---- what the executor's threads do ---------------------------------------------------

    def _open_topics(self) -> None:
        color, depth = "camera/color", "camera/aligned_depth_to_color"
        self._color_publisher = self.create_publisher(Image, f"{color}/image_raw", SENSOR_OUT)
        self._depth_publisher = self.create_publisher(Image, f"{depth}/image_raw", SENSOR_OUT)
        self._info_publisher = self.create_publisher(
            CameraInfo, f"{color}/camera_info", SENSOR_OUT
        )
        self._joints_publisher = self.create_publisher(JointState, "joint_states", SENSOR_OUT)
        self._clock_publisher = self.create_publisher(Clock, "/clock", 10)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "diagnostics", 10)
        self._frames = TransformBroadcaster(self)
        self._static_frames = StaticTransformBroadcaster(self)

    def _publish_static_frames(self) -> None:
        stamp = time_to_msg(0)
        camera = self._place.t_world_optical @ np.linalg.inv(T_LINK_OPTICAL)
        frames = [
            transform_to_msg("world", CAMERA_LINK, camera, stamp),
            transform_to_msg(CAMERA_LINK, OPTICAL_FRAME, T_LINK_OPTICAL, stamp),
        ]
        if self._values["publish_robot_tf"]:
            base = self._prefix + "base_link"
            frames.append(transform_to_msg("world", base, np.eye(4), stamp))
        self._static_frames.sendTransform(frames)

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = self._values | {p.name: p.value for p in changes if p.name in self._values}
        try:
            check(TABLE, values)
            self._loop.call(lambda: self._set_faults(values))
        except (ValueError, SimulationError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _set_faults(self, values: dict[str, Any]) -> None:
        self._values = values
        self._simulation.faults = Faults(
            abort=values["fault.controller_abort"], limp=values["fault.gripper_limp"]
        )

    def _publish_diagnostics(self) -> None:
        faults = [n for n in ("fault.controller_abort", "fault.gripper_limp") if self._values[n]]
        if self._values["fault.camera"] != "none":
            faults.append("fault.camera")
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if faults else DiagnosticStatus.OK,
            name=f"{self.get_name()}: simulation",
            message=f"broken on purpose: {', '.join(faults)}" if faults else "running",
            hardware_id="mujoco",
            values=[
                KeyValue(key="real_time_factor", value=f"{self._loop.rate:.3f}"),
                KeyValue(key="simulated_time_s", value=f"{self._simulation.now_s:.3f}"),
                KeyValue(key="pictures", value=str(self._pictures)),
                KeyValue(key="drawing", value=choose_gl()),
                KeyValue(key="robot_touches", value=str(self._simulation.touches.count)),
                KeyValue(key="last_touch", value=self._simulation.touches.last),
            ],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = time_to_msg(self._simulation.steps)
        self._diagnostics_publisher.publish(message)


def _stride(rate: float) -> int:
    """Time steps between two events of this rate, Hz."""
    return max(1, round(1 / (rate * TIME_STEP_S)))


def _build(values: dict[str, Any], layout: Layout) -> Cell:
    count, keys = values["scene.things"], tuple(str(values["scene.keys"]).split())
    if count == 0:
        return Cell([], layout)
    clutter = Clutter(fewest=count, most=count, keys=keys)
    return random_cell(values["scene.seed"], clutter, layout)


def _settings(values: dict[str, Any]) -> Settings:
    return Settings(
        Tolerances(
            path=values["controller.path_tolerance"],
            goal=values["controller.goal_tolerance"],
            goal_time_s=values["controller.goal_time"],
            stopped=values["controller.stopped_velocity"],
        ),
        Braking(values["controller.stop_deceleration"], values["controller.stop_jerk"]),
        JawSettings(
            speed=values["gripper.speed"],
            goal_tolerance=values["gripper.goal_tolerance"],
            stall_time_s=values["gripper.stall_time"],
            allow_stalling=values["gripper.allow_stalling"],
        ),
    )
