# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest
import rclpy
from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import (
    ChangeState,
    GetAvailableStates,
    GetAvailableTransitions,
    GetState,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import (
    LifecycleNode,
    ManagedEntity,
    SimpleManagedEntity,
    State,
    TransitionCallbackReturn,
)
from std_msgs.msg import String

DEADLINE_S = 10.0
SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)


class World:
    def __init__(self, context):
        self.context = context
        self.executor = SingleThreadedExecutor(context=context)
        self.client_node = rclpy.create_node("client", context=context)
        self.executor.add_node(self.client_node)

    def add(self, node_class=LifecycleNode, **options):
        node = node_class("managed", context=self.context, **options)
        self.executor.add_node(node)
        return node

    def until(self, predicate):
        deadline = time.monotonic() + DEADLINE_S
        while not predicate():
            assert time.monotonic() < deadline, "the deadline passed"
            self.executor.spin_once(timeout_sec=0.1)

    def call(self, srv_type, name, request=None):
        client = self.client_node.create_client(srv_type, f"managed/{name}")
        assert client.wait_for_service(DEADLINE_S)
        future = client.call_async(request or srv_type.Request())
        self.until(future.done)
        self.client_node.destroy_client(client)
        return future.result()

    def change(self, number=0, label=""):
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        return self.call(ChangeState, "change_state", request).success


@pytest.fixture
def world():
    context = rclpy.Context()
    rclpy.init(context=context)
    world = World(context)
    yield world
    world.executor.shutdown()
    rclpy.try_shutdown(context=context)


def silent(world, node_class=LifecycleNode):
    return node_class("quiet", context=world.context, enable_communication_interface=False)


def state_of(node):
    return node._state_machine.current_state[1]


def answering(**outcomes):
    """Return a node class whose callbacks answer with these outcomes or raise them."""
    methods = {}
    for name, outcome in outcomes.items():

        def callback(self, state, outcome=outcome):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        methods[name] = callback
    return type("Answering", (LifecycleNode,), methods)


def test_full_cycle_reaches_every_primary_state(world):
    node = silent(world)
    reached = [state_of(node)]

    for step in ("configure", "activate", "deactivate", "cleanup", "shutdown"):
        assert getattr(node, f"trigger_{step}")() == SUCCESS
        reached.append(state_of(node))

    assert reached == [
        "unconfigured",
        "inactive",
        "active",
        "inactive",
        "unconfigured",
        "finalized",
    ]


@pytest.mark.parametrize(
    ("path", "illegal"),
    [
        ((), ("activate", "deactivate", "cleanup")),
        (("configure",), ("configure", "deactivate")),
        (("configure", "activate"), ("configure", "activate", "cleanup")),
        (("shutdown",), ("configure", "activate", "deactivate", "cleanup", "shutdown")),
    ],
)
def test_transition_that_the_state_does_not_have_raises_and_changes_nothing(world, path, illegal):
    node = silent(world)
    for step in path:
        getattr(node, f"trigger_{step}")()
    before = state_of(node)

    for step in illegal:
        with pytest.raises(RuntimeError, match=f"'{step}' from state '{before}'"):
            getattr(node, f"trigger_{step}")()

    assert state_of(node) == before


@pytest.mark.parametrize("path", [(), ("configure",), ("configure", "activate")])
def test_shutdown_is_possible_from_every_primary_state(world, path):
    node = silent(world)
    for step in path:
        getattr(node, f"trigger_{step}")()

    assert node.trigger_shutdown() == SUCCESS
    assert state_of(node) == "finalized"


@pytest.mark.parametrize(
    ("step", "before"),
    [
        ("configure", "unconfigured"),
        ("activate", "inactive"),
        ("deactivate", "active"),
        ("cleanup", "inactive"),
    ],
)
def test_failure_returns_to_the_state_before(world, step, before):
    node = silent(world, answering(**{f"on_{step}": FAILURE}))
    for earlier in {"unconfigured": (), "inactive": ("configure",)}.get(
        before, ("configure", "activate")
    ):
        getattr(node, f"trigger_{earlier}")()

    assert getattr(node, f"trigger_{step}")() == FAILURE
    assert state_of(node) == before


@pytest.mark.parametrize("outcome", [ERROR, ValueError("no camera"), None])
@pytest.mark.parametrize(
    ("on_error", "after"),
    [
        (SUCCESS, "unconfigured"),
        (FAILURE, "finalized"),
        (ERROR, "finalized"),
        (ValueError("again"), "finalized"),
    ],
)
def test_errors_and_exceptions_go_through_error_processing(world, outcome, on_error, after):
    node = silent(world, answering(on_configure=outcome, on_error=on_error))

    assert node.trigger_configure() == ERROR
    assert state_of(node) == after


def test_exception_in_a_callback_is_logged_with_its_name(world, capfd):
    node = silent(world, answering(on_configure=ValueError("no camera")))
    node.trigger_configure()

    assert "on_configure: no camera" in capfd.readouterr().err


def test_callbacks_get_the_state_before_and_run_in_the_transition_state(world):
    seen = []

    class Recorder(LifecycleNode):
        def on_configure(self, state):
            seen.append((state, state_of(self)))
            return super().on_configure(state)

    silent(world, Recorder).trigger_configure()

    assert seen == [(State(label="unconfigured", state_id=1), "configuring")]


def test_managed_entities_follow_and_stop_the_node(world):
    class Entity(ManagedEntity):
        def __init__(self, outcome):
            self.outcome, self.calls = outcome, []

        def on_configure(self, state):
            self.calls.append(state.label)
            return self.outcome

    node = silent(world)
    entities = [Entity(SUCCESS), Entity(FAILURE), Entity(SUCCESS)]
    for entity in entities:
        node.add_managed_entity(entity)

    assert node.trigger_configure() == FAILURE
    assert [entity.calls for entity in entities] == [["unconfigured"], ["unconfigured"], []]


def test_simple_managed_entity_guards_its_methods():
    class Lamp(SimpleManagedEntity):
        @SimpleManagedEntity.when_enabled
        def shine(self):
            return "light"

        @SimpleManagedEntity.when_enabled(when_not_enabled=lambda: "dark")
        def look(self):
            return "light"

    lamp = Lamp()
    assert (lamp.shine(), lamp.look()) == (None, "dark")
    lamp.on_activate(None)
    assert (lamp.shine(), lamp.look(), lamp.is_activated) == ("light", "light", True)
    lamp.on_deactivate(None)
    assert not lamp.is_activated


def test_managed_publisher_is_silent_with_one_warning_until_active(world, capfd):
    node = world.add()
    publisher = node.create_lifecycle_publisher(String, "chatter", 10)
    got = []
    world.client_node.create_subscription(String, "chatter", lambda m: got.append(m.data), 10)
    world.until(lambda: publisher.get_subscription_count() == 1)

    node.trigger_configure()
    for _ in range(2):
        publisher.publish(String(data="too early"))
    node.trigger_activate()
    publisher.publish(String(data="active"))
    world.until(lambda: got)
    node.trigger_deactivate()
    publisher.publish(String(data="too late"))
    node.trigger_activate()
    publisher.publish(String(data="again"))
    world.until(lambda: len(got) == 2)

    assert got == ["active", "again"]
    assert capfd.readouterr().err.count("'/chatter', but the publisher is not activated") == 2
    assert node.destroy_lifecycle_publisher(publisher)
    assert node.trigger_deactivate() == SUCCESS


def test_services_change_state_by_id_and_by_label(world):
    world.add()

    assert world.change(Transition.TRANSITION_CONFIGURE)
    assert world.call(GetState, "get_state").current_state.label == "inactive"
    assert world.change(label="activate")
    assert world.call(GetState, "get_state").current_state.label == "active"
    assert world.change(label="shutdown")
    assert world.call(GetState, "get_state").current_state.id == 4


def test_refused_transitions_answer_false_and_the_node_lives_on(world, capfd):
    world.add()

    assert not world.change(Transition.TRANSITION_ACTIVATE)
    assert not world.change(label="fly")
    assert not world.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert world.call(GetState, "get_state").current_state.label == "unconfigured"
    assert "configure (1), shutdown (5)" in capfd.readouterr().err


def test_services_describe_states_and_transitions(world):
    node = world.add()
    node.trigger_configure()

    states = world.call(GetAvailableStates, "get_available_states").available_states
    now = world.call(GetAvailableTransitions, "get_available_transitions").available_transitions
    graph = world.call(GetAvailableTransitions, "get_transition_graph").available_transitions

    assert {state.label: state.id for state in states} == {
        "unknown": 0,
        "unconfigured": 1,
        "inactive": 2,
        "active": 3,
        "finalized": 4,
        "configuring": 10,
        "cleaningup": 11,
        "shuttingdown": 12,
        "activating": 13,
        "deactivating": 14,
        "errorprocessing": 15,
    }
    assert [(d.transition.label, d.goal_state.label) for d in now] == [
        ("cleanup", "cleaningup"),
        ("activate", "activating"),
        ("shutdown", "shuttingdown"),
    ]
    assert len(graph) == 25
    assert {description.transition.label for description in graph} == {
        *("configure", "cleanup", "activate", "deactivate", "shutdown"),
        *("transition_success", "transition_failure", "transition_error"),
    }


def test_every_transition_is_published_with_its_states(world):
    node = world.add()
    events = []
    world.client_node.create_subscription(
        TransitionEvent,
        "managed/transition_event",
        lambda event: events.append(
            (event.transition.id, event.start_state.label, event.goal_state.label)
        ),
        10,
    )
    world.until(lambda: node.count_subscribers("managed/transition_event"))
    node.trigger_configure()
    world.until(lambda: len(events) == 2)

    assert events == [(1, "unconfigured", "configuring"), (10, "configuring", "inactive")]


def test_without_communication_interface_there_are_no_services(world):
    silent(world)

    names = [name for name, _ in world.client_node.get_service_names_and_types()]
    assert not [name for name in names if "state" in name or "transition" in name]
