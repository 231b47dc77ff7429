# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Other nodes read, set and watch parameters through services and events."""

from __future__ import annotations

import pytest
import rclpy
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterDescriptor, ParameterType, ParameterValue
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.parameter_event_handler import ParameterEventHandler
from rclpy.task import Future


@pytest.fixture(scope="module", autouse=True)
def _ros(ros_env):
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.fixture
def executor():
    executor = SingleThreadedExecutor()
    yield executor
    executor.shutdown()


@pytest.fixture
def server(executor):
    node = rclpy.create_node("server", namespace="/ns")
    node.declare_parameters(
        "",
        [
            ("a", 1),
            ("g.b", 1.5),
            ("d", "x", ParameterDescriptor(dynamic_typing=True)),
            ("typed", Parameter.Type.BOOL),
        ],
    )
    executor.add_node(node)
    yield node
    node.destroy_node()


@pytest.fixture
def asker(executor):
    node = rclpy.create_node("asker", namespace="/ns", start_parameter_services=False)
    executor.add_node(node)
    yield node
    node.destroy_node()


@pytest.fixture
def client(server, asker):
    client = AsyncParameterClient(asker, "server")
    assert client.wait_for_services(10)
    assert client.services_are_ready()
    return client


@pytest.fixture
def answer(executor):
    def wait(future):
        executor.spin_until_future_complete(future, 10)
        assert future.done()
        return future.result()

    return wait


def test_values_types_and_descriptors_can_be_asked_for(client, answer):
    values = answer(client.get_parameters(["a", "g.b"])).values
    assert (values[0].integer_value, values[1].double_value) == (1, 1.5)
    assert list(answer(client.get_parameter_types(["a", "d", "typed"])).types) == [2, 4, 0]
    descriptor = answer(client.describe_parameters(["d"])).descriptors[0]
    assert (descriptor.name, descriptor.type) == ("d", ParameterType.PARAMETER_STRING)
    assert answer(client.list_parameters(["g"], 1)).result.names == ["g.b"]


def test_one_unknown_or_unset_name_empties_the_answer(client, answer):
    assert len(answer(client.get_parameters(["a", "nothing"])).values) == 0
    assert len(answer(client.get_parameters(["a", "typed"])).values) == 0
    assert len(answer(client.get_parameter_types(["nothing"])).types) == 0
    assert len(answer(client.describe_parameters(["nothing"])).descriptors) == 0


def test_single_sets_stand_alone_and_atomic_sets_together(server, client, answer):
    wanted = [Parameter("a", value=2), Parameter("nothing", value=1)]

    results = answer(client.set_parameters(wanted)).results
    assert [result.successful for result in results] == [True, False]
    assert "nothing" in results[1].reason
    wanted[0] = Parameter("a", value=3).to_parameter_msg()
    assert not answer(client.set_parameters_atomically(wanted)).result.successful
    assert server.get_parameter("a").value == 2


def test_value_of_no_known_type_is_refused_and_the_node_lives_on(server, client, answer):
    strange = ParameterMsg(name="a", value=ParameterValue(type=77))

    (result,) = answer(client.set_parameters([strange])).results
    assert (result.successful, "77" in result.reason) == (False, True)
    assert answer(client.get_parameters(["a"])).values[0].integer_value == 1


def test_only_dynamically_typed_parameters_can_be_deleted(server, client, answer):
    results = answer(client.delete_parameters(["a", "d"])).results

    assert [result.successful for result in results] == [False, True]
    assert not server.has_parameter("d")


def test_file_is_loaded_and_the_callback_told(server, client, answer, executor, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("/ns/server: {ros__parameters: {a: 7, g: {b: 2.5}}}\n")
    told = Future(executor=executor)

    answer(client.load_parameter_file(str(path), callback=lambda future: told.set_result(True)))

    assert answer(told)
    assert (server.get_parameter("a").value, server.get_parameter("g.b").value) == (7, 2.5)


def test_waiting_for_a_missing_node_times_out(asker):
    client = AsyncParameterClient(asker, "/nobody")

    assert not client.services_are_ready()
    assert not client.wait_for_services(0.05)


def test_handler_calls_back_for_its_parameter_and_node_only(server, asker, executor):
    handler = ParameterEventHandler(asker)
    seen, events = [], []
    handle = handler.add_parameter_callback("a", "server", lambda p: seen.append(p.value))
    handler.add_parameter_callback("a", "/other", lambda p: seen.append("wrong node"))
    handler.add_parameter_event_callback(events.append)
    server.set_parameters([Parameter("a", value=5)])
    server.set_parameters([Parameter("g.b", value=0.5)])
    end = asker.get_clock().now().nanoseconds + 10_000_000_000
    while len(events) < 2 and asker.get_clock().now().nanoseconds < end:
        executor.spin_once(timeout_sec=0.1)

    assert [value.integer_value for value in seen] == [5]
    assert [p.name for p in handler.get_parameters_from_event(events[1])] == ["g.b"]
    handler.remove_parameter_callback(handle)
    with pytest.raises(RuntimeError, match="doesn't exist"):
        handler.remove_parameter_callback(handle)
    handler.destroy()
