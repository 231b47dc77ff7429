# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The services of simulation_interfaces, and a grasp that they prepare."""

import numpy as np
import pytest
from control_msgs.action import ParallelGripperCommand
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from roborefer_sim.core.arm import TCP_OFFSET_M
from sensor_msgs.msg import JointState
from simulation_interfaces.msg import (
    Bounds,
    EntityCategory,
    EntityFilters,
    Result,
    SimulationState,
    SimulatorFeatures,
    TagsFilter,
)
from simulation_interfaces.srv import (
    DeleteEntity,
    GetEntities,
    GetEntitiesStates,
    GetEntityBounds,
    GetEntityInfo,
    GetEntityState,
    GetSimulationState,
    GetSimulatorFeatures,
    GetSpawnables,
    ResetSimulation,
    SetEntityState,
    SetSimulationState,
    SpawnEntity,
    StepSimulation,
)

OK = Result.RESULT_OK


@pytest.fixture(scope="module")
def running(start):
    with start() as bench:
        yield bench


@pytest.fixture
def bench(running):
    answer = running.call(ResetSimulation, "reset_simulation")
    assert answer.result.result == OK
    return running


def spawn(bench, uri, name="", x=0.5, y=0.0, z=0.0, **fields):
    pose = PoseStamped(pose=Pose(position=Point(x=x, y=y, z=z)))
    return bench.call(SpawnEntity, "spawn_entity", uri=uri, name=name, initial_pose=pose, **fields)


def names(bench, **filters):
    answer = bench.call(GetEntities, "get_entities", filters=EntityFilters(**filters))
    assert answer.result.result == OK, answer.result.error_message
    return list(answer.entities)


def state(bench, name):
    answer = bench.call(GetEntityState, "get_entity_state", entity=name)
    assert answer.result.result == OK, answer.result.error_message
    return answer.state


def play(bench, playing):
    wanted = SimulationState.STATE_PLAYING if playing else SimulationState.STATE_PAUSED
    bench.call(SetSimulationState, "set_simulation_state", state=SimulationState(state=wanted))


def test_spawned_things_stand_where_they_were_put_until_deleted(bench):
    answer = spawn(bench, "library:mug?color=red&scale=0.95", "cup", x=0.45, y=0.1)
    assert answer.result.result == OK, answer.result.error_message

    at = state(bench, "cup")
    deleted = bench.call(DeleteEntity, "delete_entity", entity="cup")

    assert answer.entity_name == "cup"
    assert at.header.frame_id == "world"
    place = at.pose.position
    np.testing.assert_allclose([place.x, place.y, place.z], [0.45, 0.1, 0.0], atol=0.003)
    assert deleted.result.result == OK
    assert names(bench) == ["ur5"]


def test_names_are_made_unique_only_where_that_is_allowed(bench):
    first = spawn(bench, "library:block", "block")
    refused = spawn(bench, "library:block", "block", x=0.4)
    renamed = spawn(bench, "library:block", "block", x=0.4, allow_renaming=True)
    unnamed = [spawn(bench, "library:ball", x=0.6, y=y).entity_name for y in (-0.2, 0.2)]

    assert first.entity_name == "block"
    assert refused.result.result == SpawnEntity.Response.NAME_NOT_UNIQUE
    assert renamed.entity_name == "block_1"
    assert len(set(unnamed)) == 2


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"uri": ""}, SpawnEntity.Response.NO_RESOURCE),
        ({"uri": "library:mug", "resource_string": "<sdf/>"}, SpawnEntity.Response.NO_RESOURCE),
        ({"uri": "file:///mug.sdf"}, SpawnEntity.Response.RESOURCE_PARSE_ERROR),
        ({"uri": "library:unicorn"}, SpawnEntity.Response.RESOURCE_PARSE_ERROR),
        ({"uri": "library:mug?color=mauve"}, SpawnEntity.Response.RESOURCE_PARSE_ERROR),
        ({"uri": "library:mug?scale=big"}, SpawnEntity.Response.RESOURCE_PARSE_ERROR),
        ({"uri": "library:mug?glaze=matt"}, SpawnEntity.Response.RESOURCE_PARSE_ERROR),
        ({"uri": "library:mug", "name": "no spaces"}, SpawnEntity.Response.NAME_INVALID),
        ({"uri": "library:mug", "name": "tool0"}, SpawnEntity.Response.NAME_NOT_UNIQUE),
        ({"uri": "library:mug", "x": float("nan")}, SpawnEntity.Response.INVALID_POSE),
    ],
)
def test_what_cannot_be_spawned_is_refused_with_a_code(bench, fields, code):
    answer = spawn(bench, **fields)

    assert answer.result.result == code
    assert answer.result.error_message
    assert names(bench) == ["ur5"]


def test_spawning_in_an_unknown_frame_is_refused(bench):
    pose = PoseStamped()
    pose.header.frame_id = "moon"

    answer = bench.call(SpawnEntity, "spawn_entity", uri="library:mug", initial_pose=pose)

    assert answer.result.result == SpawnEntity.Response.INVALID_POSE


def test_filters_choose_by_name_category_tag_and_place(bench):
    spawn(bench, "library:mug?color=red", "cup", x=0.4, y=-0.2)
    spawn(bench, "library:block?color=red", "toy", x=0.6, y=0.2)
    robot = EntityCategory(category=EntityCategory.CATEGORY_ROBOT)
    corners = [Vector3(x=0.3, y=-0.3, z=-0.1), Vector3(x=0.5, y=0.0, z=0.1)]

    assert names(bench) == ["cup", "toy", "ur5"]
    assert names(bench, filter="^t") == ["toy"]
    assert names(bench, categories=[robot]) == ["ur5"]
    assert names(bench, tags=TagsFilter(tags=["red"])) == ["cup", "toy"]
    every = TagsFilter(tags=["red", "mug"], filter_mode=TagsFilter.FILTER_MODE_ALL)
    assert names(bench, tags=every) == ["cup"]
    assert names(bench, bounds=Bounds(type=Bounds.TYPE_BOX, points=corners)) == ["cup"]
    bad = bench.call(GetEntities, "get_entities", filters=EntityFilters(filter="("))
    assert bad.result.result == Result.RESULT_OPERATION_FAILED


def test_states_can_be_set_and_read_back_all_at_once(bench):
    spawn(bench, "library:block", "toy")
    play(bench, False)
    wanted = state(bench, "toy")
    wanted.pose.position = Point(x=0.4, y=0.1, z=0.3)
    wanted.pose.orientation = Quaternion(x=1.0, y=0.0, z=0.0, w=0.0)
    wanted.twist.linear.z = 0.5

    answer = bench.call(SetEntityState, "set_entity_state", entity="toy", state=wanted)
    found = bench.call(GetEntitiesStates, "get_entities_states")

    play(bench, True)
    assert answer.result.result == OK
    toy = found.states[list(found.entities).index("toy")]
    assert toy.pose.position == wanted.pose.position
    assert abs(toy.pose.orientation.x) == pytest.approx(1.0)
    assert toy.twist.linear.z == pytest.approx(0.5)


def test_entities_that_are_not_there_are_not_found(bench):
    for kind, name in (
        (GetEntityState, "get_entity_state"),
        (SetEntityState, "set_entity_state"),
        (DeleteEntity, "delete_entity"),
        (GetEntityInfo, "get_entity_info"),
        (GetEntityBounds, "get_entity_bounds"),
    ):
        answer = bench.call(kind, name, entity="ghost")
        assert answer.result.result == Result.RESULT_NOT_FOUND, name
        assert "ghost" in answer.result.error_message


def test_robot_neither_vanishes_nor_jumps(bench):
    for kind, name in ((DeleteEntity, "delete_entity"), (SetEntityState, "set_entity_state")):
        answer = bench.call(kind, name, entity="ur5")
        assert answer.result.result == Result.RESULT_FEATURE_UNSUPPORTED


def test_things_tell_what_they_are_and_how_large(bench):
    spawn(bench, "library:mug?color=red", "cup")

    info = bench.call(GetEntityInfo, "get_entity_info", entity="cup").info
    bounds = bench.call(GetEntityBounds, "get_entity_bounds", entity="cup").bounds

    assert info.description == "red mug"
    assert {"red", "mug"} <= set(info.tags)
    high, low = bounds.points
    assert low.z == pytest.approx(0.0, abs=1e-9)
    assert 0.05 < high.z < 0.2


def test_everything_that_is_listed_can_be_spawned(bench):
    spawnables = bench.call(GetSpawnables, "get_spawnables").spawnables
    assert len(spawnables) >= 14

    for number, spawnable in enumerate(spawnables):
        answer = spawn(bench, spawnable.uri, x=0.3 + 0.1 * (number % 5), z=0.3 * (number // 5))
        assert answer.result.result == OK, answer.result.error_message


def test_features_name_what_there_is(bench):
    features = bench.call(GetSimulatorFeatures, "get_simulator_features").features

    assert {SimulatorFeatures.SPAWNING, SimulatorFeatures.SIMULATION_RESET} <= set(
        features.features
    )
    assert SimulatorFeatures.WORLD_LOADING not in features.features


def test_steps_are_made_only_while_paused(bench):
    while_playing = bench.call(StepSimulation, "step_simulation", steps=5)
    play(bench, False)
    before = bench.node._simulation.steps
    while_paused = bench.call(StepSimulation, "step_simulation", steps=5)
    after = bench.node._simulation.steps
    none = bench.call(StepSimulation, "step_simulation", steps=0)
    now = bench.call(GetSimulationState, "get_simulation_state").state.state
    play(bench, True)

    assert while_playing.result.result == Result.RESULT_INCORRECT_STATE
    assert while_paused.result.result == OK
    assert after - before == 5
    assert none.result.result == Result.RESULT_OPERATION_FAILED
    assert now == SimulationState.STATE_PAUSED


def test_stopping_resets_and_waits(bench):
    spawn(bench, "library:block", "toy")
    stopped = SimulationState(state=SimulationState.STATE_STOPPED)

    answer = bench.call(SetSimulationState, "set_simulation_state", state=stopped)

    assert answer.result.result == OK
    assert bench.node._simulation.steps == 0
    assert names(bench) == ["ur5"]
    play(bench, True)


def test_reset_of_the_time_alone_leaves_things_and_arm(bench):
    spawn(bench, "library:block", "toy")
    scope = ResetSimulation.Request.SCOPE_TIME

    bench.call(ResetSimulation, "reset_simulation", scope=scope)

    first = bench.first(JointState, "joint_states")
    assert first.header.stamp.sec < 60
    assert names(bench) == ["toy", "ur5"]


def test_jaw_that_closes_on_a_thing_stalls_and_holds_it(bench):
    play(bench, False)
    body = bench.node._simulation.cell.data.body("tool0")
    rotation = body.xmat.reshape(3, 3)
    # A block of 36 mm whose middle is between the pads, upside down as the tool is.
    at = body.xpos + (TCP_OFFSET_M - 0.018) * rotation[:, 2]
    spawn(bench, "library:block?scale=0.8", "toy")
    wanted = state(bench, "toy")
    wanted.pose.position = Point(x=at[0], y=at[1], z=at[2])
    wanted.pose.orientation = Quaternion(x=1.0, y=0.0, z=0.0, w=0.0)

    def close_to(position, effort):
        client = ActionClient(
            bench.client,
            ParallelGripperCommand,
            "gripper_controller/gripper_cmd",
            callback_group=ReentrantCallbackGroup(),
        )
        assert client.wait_for_server(10.0)
        command = JointState(position=[position], effort=[effort])
        goal = ParallelGripperCommand.Goal(command=command)
        return bench.wait(client.send_goal_async(goal))

    play(bench, True)
    bench.wait(close_to(0.0186, 0.0).get_result_async())
    play(bench, False)
    bench.call(SetEntityState, "set_entity_state", entity="toy", state=wanted)
    handle = close_to(0.0, 30.0)
    play(bench, True)
    done = bench.wait(handle.get_result_async()).result
    bench.several(JointState, "joint_states", 125)

    assert done.stalled
    assert not done.reached_goal
    assert done.state.position[0] == pytest.approx(0.018, abs=0.001)
    assert done.state.effort[0] == pytest.approx(-30.0, rel=0.1)
    assert state(bench, "toy").pose.position.z == pytest.approx(at[2], abs=0.01)
