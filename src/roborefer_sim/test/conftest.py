# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import threading

import numpy as np
import pytest
from roborefer_sim.core.gl import choose_gl

# Before any test imports MuJoCo, which reads the choice while it is imported.
choose_gl()


@pytest.fixture(scope="session")
def library():
    from roborefer_sim.core.library import standard_library

    return standard_library()


@pytest.fixture(scope="session")
def domain():
    """A ROS domain of this run's own, so that runs beside it are not heard."""
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 200)
    yield
    if before is None:
        del os.environ["ROS_DOMAIN_ID"]
    else:
        os.environ["ROS_DOMAIN_ID"] = before


@pytest.fixture(scope="session")
def small():
    """A camera of a few pixels, at 10 Hz."""
    return {"camera.width": 160, "camera.height": 120, "camera.focal": 154.0, "camera.rate": 10.0}


class Bench:
    """A simulator with a node that talks to it, both spinning in the background."""

    def __init__(self, node, client):
        self.node, self.client = node, client

    def wait(self, future, timeout_s=20.0):
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

    def first(self, kind, topic, wanted=lambda message: True, timeout_s=20.0):
        """Return the first message that is wanted."""
        return self.several(kind, topic, 1, wanted, timeout_s)[0]

    def several(self, kind, topic, count, wanted=lambda message: True, timeout_s=20.0):
        found, enough = [], threading.Event()

        def take(message):
            if len(found) < count and wanted(message):
                found.append(message)
            if len(found) >= count:
                enough.set()

        subscription = self.client.create_subscription(kind, topic, take, 50)
        try:
            assert enough.wait(timeout_s), f"{len(found)} of {count} messages on {topic}"
        finally:
            self.client.destroy_subscription(subscription)
        return found

    def transform(self, target, source, timeout_s=10.0):
        """Wait for the pose of a frame in another; return it as the message has it."""
        from rclpy.time import Time
        from tf2_ros import Buffer, TransformListener

        buffer = Buffer()
        listener = TransformListener(buffer, self.client)
        known = threading.Event()
        future = buffer.wait_for_transform_async(target, source, Time())
        future.add_done_callback(lambda _: known.set())
        try:
            assert known.wait(timeout_s), f"no transform from {source} to {target}"
            return buffer.lookup_transform(target, source, Time()).transform
        finally:
            listener.unregister()

    @staticmethod
    def stamp(message):
        return message.header.stamp.sec, message.header.stamp.nanosec

    @staticmethod
    def pixels(message):
        kind = {"rgb8": np.uint8, "16UC1": np.uint16, "32FC1": np.float32}[message.encoding]
        return np.frombuffer(message.data, kind).reshape(message.height, message.width, -1)


@contextlib.contextmanager
def simulator(**changes):
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from roborefer_sim.nodes.simulator import Simulator

    values = {"real_time_factor": 0.0, "camera.rate": 0.0, "scene.things": 0} | changes
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    context = Context()
    rclpy.init(context=context)
    executor = MultiThreadedExecutor(num_threads=8, context=context)
    node = Simulator(context=context, parameter_overrides=overrides)
    client = rclpy.create_node("tester", context=context)
    executor.add_node(node)
    executor.add_node(client)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield Bench(node, client)
    finally:
        node.close()
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def start(domain):
    """How to start a simulator with parameters of a test's own."""
    return simulator
