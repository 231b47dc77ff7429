# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A body made of the simulated cell for tests of tasks, and a running node for the others."""

import contextlib
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from roborefer_sim.core.gl import choose_gl

# Tests share modules of this folder, which pytest does not put on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))

# Before any test imports MuJoCo, which reads the choice while it is imported.
choose_gl()

TABLE_M = 0.0


class CellBody:
    """Implements `core.motion.Body` with the physics of a cell, faster than real time.

    `at_phase` and `while_following` are called with the task's progress and may raise or change
    things, which is how tests bring about faults.
    """

    def __init__(self, cell, noise=False):
        from roborefer_sim.core.camera import photographer

        self.cell, self.noise = cell, noise
        self.camera = photographer(cell)
        self.deadline_s = 1000.0
        self.at_phase = lambda progress: None
        self.while_following = lambda passed_s: None
        self.at_grip = lambda opening: None
        self.phases = []
        self.followed = []
        self.blind = False
        self._rng = np.random.default_rng(1)

    def now(self):
        return float(self.cell.data.time)

    def check(self):
        from roborefer_grasping.core.motion import Reason, TaskFailure

        if self.now() > self.deadline_s:
            raise TaskFailure(Reason.TIMEOUT, "the time is over")

    def remaining_s(self):
        return self.deadline_s - self.now()

    def now_ns(self):
        return round(self.now() * 1e9)

    def joints(self):
        from roborefer_sim.core.arm import ARM_JOINTS

        return np.array([float(self.cell.data.joint(n).qpos[0]) for n in ARM_JOINTS])

    def jaw(self):
        from roborefer_sim.core.arm import FINGER_JOINTS

        return 2 * float(self.cell.data.joint(FINGER_JOINTS[0]).qpos[0])

    def look(self, after_ns=0):
        from roborefer_grasping.core.motion import Look, Reason, TaskFailure
        from roborefer_grasping.core.view import DepthView
        from roborefer_sim.core.camera import pinhole_of
        from roborefer_sim.core.sensor import PERFECT, SensorModel, measure

        if self.blind:
            raise TaskFailure(Reason.NO_DEPTH, "no depth image has come")
        camera = self.cell.layout.camera
        k = pinhole_of(camera)
        sensor = SensorModel() if self.noise else PERFECT
        seen = measure(self.camera.take(masks=False), camera.focal, sensor, self._rng)
        view = DepthView(seen.depth_m, k.fx, k.fy, k.cx, k.cy, camera.t_world_optical)
        return Look(view, self.joints(), self.jaw(), self.now_ns())

    def follow(self, trajectory, watch):
        import mujoco
        from roborefer_sim.core.arm import ARM_JOINTS

        self.followed.append(trajectory)
        times = np.arange(0.002, trajectory.duration + 0.002, 0.002)
        servos = [self.cell.data.actuator(name).id for name in ARM_JOINTS]
        try:
            for number, row in enumerate(trajectory.sample(trajectory.times[0] + times)):
                self.cell.data.ctrl[servos] = row
                mujoco.mj_step(self.cell.model, self.cell.data)
                if number % 25 == 0:
                    self.while_following(number * 0.002)
                    watch(number * 0.002)
        finally:
            self.cell.step(0.4)

    def settle(self, joints, tolerance):
        for _ in range(20):
            if np.abs(self.joints() - joints).max() < tolerance:
                return True
            self.cell.step(0.05)
        return False

    def grip(self, opening, force):
        from roborefer_grasping.core.motion import Grip
        from roborefer_sim.core.arm import GRIPPER_ACTUATOR

        self.at_grip(opening)
        self.cell.data.actuator(GRIPPER_ACTUATOR).ctrl[0] = opening / 2
        self.cell.step(0.6)
        return Grip(self.jaw(), stalled=abs(self.jaw() - opening) > 0.004)

    def report(self, progress):
        if not self.phases or self.phases[-1] != progress.phase:
            self.phases.append(progress.phase)
            self.at_phase(progress)

    def close(self):
        self.camera.close()


@pytest.fixture
def make_body():
    """Put things of the library on the table: (key, x, y, yaw, scale) each."""
    from roborefer_sim.core.cell import Cell, Placed
    from roborefer_sim.core.clutter import settle
    from roborefer_sim.core.library import standard_library

    bodies = []

    def make(*things, noise=False):
        library = standard_library()
        placed = [
            Placed(f"{key}_{i}", library.make(key, scale=scale), (x, y, TABLE_M), yaw)
            for i, (key, x, y, yaw, scale) in enumerate(things)
        ]
        cell = Cell(placed)
        settle(cell)
        bodies.append(CellBody(cell, noise))
        return bodies[-1]

    yield make
    for body in bodies:
        body.close()


@pytest.fixture
def make_task():
    """Make a pick or place task for a body, with the settings of the defaults."""
    from roborefer_grasping.core.motion_task import Hand
    from roborefer_grasping.core.parameters import TABLE, settings_of
    from roborefer_grasping.core.planning.embedded import EmbeddedPlanner

    def make(kind, body, hand=None, **changes):
        settings = replace(settings_of({row.name: row.default for row in TABLE}), **changes)
        planner = EmbeddedPlanner(settings.robot, settings.gripper)
        return kind(settings, body, planner, hand or Hand(), settings.limits(0.0, 0.0))

    return make


@pytest.fixture(scope="session")
def domain():
    """A ROS domain of this run's own, so that runs beside it are not heard."""
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(1 + (os.getpid() + 100) % 200)
    yield
    if before is None:
        del os.environ["ROS_DOMAIN_ID"]
    else:
        os.environ["ROS_DOMAIN_ID"] = before


class Bench:
    """A simulator and an arm node with a node that talks to them, spinning in the background."""

    def __init__(self, simulator, arm, client):
        self.simulator, self.arm, self.client = simulator, arm, client
        self._clients = {}

    def wait(self, future, timeout_s=60.0):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "no answer in time"
        return future.result()

    def call(self, kind, name, /, **fields):
        service = self.client.create_client(kind, name)
        assert service.wait_for_service(10.0), f"no service {name}"
        try:
            return self.wait(service.call_async(kind.Request(**fields)))
        finally:
            self.client.destroy_client(service)

    def transition(self, label):
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request()
        request.transition.label = label
        service = self.client.create_client(ChangeState, "arm/change_state")
        assert service.wait_for_service(10.0)
        try:
            return self.wait(service.call_async(request)).success
        finally:
            self.client.destroy_client(service)

    def set_parameter(self, node, name, value):
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        message = Parameter(name, value=value).to_parameter_msg()
        answer = self.call(SetParameters, f"{node}/set_parameters", parameters=[message])
        assert answer.results[0].successful, answer.results[0].reason

    def spawn(self, uri, name, x, y):
        from geometry_msgs.msg import Point, Pose, PoseStamped
        from simulation_interfaces.srv import SpawnEntity

        pose = PoseStamped(pose=Pose(position=Point(x=x, y=y, z=0.0)))
        answer = self.call(SpawnEntity, "spawn_entity", uri=uri, name=name, initial_pose=pose)
        assert answer.result.result == 1, answer.result.error_message

    def put(self, name, x, y):
        """Set a thing down somewhere else."""
        from geometry_msgs.msg import Point, Pose
        from simulation_interfaces.msg import EntityState
        from simulation_interfaces.srv import SetEntityState

        state = EntityState(pose=Pose(position=Point(x=float(x), y=float(y), z=0.001)))
        state.header.frame_id = "world"
        state.pose.orientation.w = 1.0
        answer = self.call(SetEntityState, "set_entity_state", entity=name, state=state)
        assert answer.result.result == 1, answer.result.error_message

    def where(self, name):
        from simulation_interfaces.srv import GetEntityState

        answer = self.call(GetEntityState, "get_entity_state", entity=name)
        at = answer.state.pose.position
        return np.array([at.x, at.y, at.z])

    def reference(self, x, y, z, age_s=0.0, frame="base_link"):
        """A reference to a place, as a person would make it by a click."""
        from roborefer_msgs.msg import SpatialReference

        stamp_ns = self.client.get_clock().now().nanoseconds - round(age_s * 1e9)
        # Made by hand: a place, but no pixel of any image.
        message = SpatialReference(label="thing")
        message.header.frame_id = "camera_color_optical_frame"
        message.header.stamp.sec = stamp_ns // 10**9
        message.header.stamp.nanosec = stamp_ns % 10**9
        message.pose.header.frame_id = frame
        message.pose.header.stamp = message.header.stamp
        at = message.pose.pose.pose.position
        at.x, at.y, at.z = float(x), float(y), float(z)
        message.pose.pose.pose.orientation.w = 1.0
        return message

    def send(self, name, goal, on_phase=None):
        """Send a goal; the handle of its result has `result()` and `cancel()`."""
        from rclpy.action import ActionClient

        from roborefer_msgs.action import Pick, Place

        if name not in self._clients:
            kind = {"pick": Pick, "place": Place}[name]
            self._clients[name] = ActionClient(self.client, kind, name)
        client = self._clients[name]
        assert client.wait_for_server(10.0)
        seen = []

        def feedback(message):
            phase = message.feedback.phase
            if not seen or seen[-1] != phase:
                seen.append(phase)
                if on_phase is not None:
                    on_phase(phase)

        handle = self.wait(client.send_goal_async(goal, feedback_callback=feedback))
        assert handle.accepted
        return Sent(self, handle, seen)

    def wait_for_time(self, seconds):
        """Wait until the simulation's clock shows so many seconds."""
        from rosgraph_msgs.msg import Clock

        late = threading.Event()
        subscription = self.client.create_subscription(
            Clock, "/clock", lambda m: m.clock.sec >= seconds and late.set(), 10
        )
        assert late.wait(60.0), "the clock does not run"
        self.client.destroy_subscription(subscription)

    def speed(self):
        """Greatest speed of a joint of the arm, as the physics has it, rad/s."""
        return float(np.abs(self.simulator._simulation.joints().velocity[:6]).max())


class Sent:
    """A goal under way."""

    def __init__(self, bench, handle, phases):
        self.bench, self.handle, self.phases = bench, handle, phases
        self.future = handle.get_result_async()

    def result(self, timeout_s=90.0):
        return self.bench.wait(self.future, timeout_s).result

    def cancel(self):
        return self.handle.cancel_goal_async()


@contextlib.contextmanager
def run_cell(arm=None, **changes):
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from roborefer_grasping.nodes.arm import ArmNode
    from roborefer_sim.nodes.simulator import Simulator

    # Pictures cost more than everything else, and tests need few of them.
    pictures = {"camera.rate": 5.0, "scene.shadows": False, "sensor.enabled": False}
    values = {"real_time_factor": 2.0, "scene.things": 0} | pictures | changes
    context = Context()
    rclpy.init(context=context)
    executor = MultiThreadedExecutor(num_threads=14, context=context)
    simulator = Simulator(
        context=context, parameter_overrides=[Parameter(n, value=v) for n, v in values.items()]
    )
    sim_time = {"use_sim_time": True}
    node = ArmNode(
        context=context,
        parameter_overrides=[Parameter(n, value=v) for n, v in (sim_time | (arm or {})).items()],
    )
    client = rclpy.create_node(
        "tester", context=context, parameter_overrides=[Parameter("use_sim_time", value=True)]
    )
    for each in (simulator, node, client):
        executor.add_node(each)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield Bench(simulator, node, client)
    finally:
        simulator.close()
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def start(domain):
    """How to start a cell with parameters of a test's own."""
    return run_cell
