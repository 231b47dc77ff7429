# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulators with parameters of their own, one after the other, and the launch file."""

import threading
from pathlib import Path

import numpy as np
from roborefer_common.core.parameters import readme_table
from roborefer_sim.nodes import parameters
from sensor_msgs.msg import CameraInfo, Image, JointState
from simulation_interfaces.srv import SetSimulationState, StepSimulation

COLOR = "camera/color/image_raw"
DEPTH = "camera/aligned_depth_to_color/image_raw"
INFO = "camera/color/camera_info"


def test_sample_file_is_that_of_the_table():
    file = Path(__file__).parents[1] / "config" / "simulator.yaml"

    assert file.read_text(encoding="utf-8") == parameters.sample_file()


def test_readme_has_the_table():
    file = Path(__file__).parents[1] / "README.md"

    assert readme_table(parameters.TABLE) in file.read_text(encoding="utf-8")


def test_prefix_distortion_and_metres(start, small):
    lens = [-0.2, 0.03, 0.001, -0.002, 0.0]
    changes = {
        **small,
        "tf_prefix": "left_",
        "camera.distortion": lens,
        "camera.depth_encoding": "32FC1",
        "sensor.enabled": False,
    }
    with start(**changes) as bench:
        info, depth = bench.first(CameraInfo, INFO), bench.first(Image, DEPTH)
        joints = bench.first(JointState, "joint_states")
        tool = bench.transform("world", "left_tool0")
        metres = bench.pixels(depth)

    assert list(info.d) == lens
    assert (depth.encoding, depth.step) == ("32FC1", 160 * 4)
    assert np.isfinite(metres[60, 80])
    assert all(name.startswith("left_") for name in joints.name)
    assert tool.translation.z > 0.1


def test_paused_simulation_repeats_itself_to_the_last_bit(start, small):
    def record():
        with start(**small, **{"scene.things": 4, "start_paused": True}) as bench:
            seen = {"joints": [], "pictures": []}
            enough = threading.Event()

            def take(kind, message):
                seen[kind].append(message)
                if all(m and bench.stamp(m[-1]) >= (1, 0) for m in seen.values()):
                    enough.set()

            bench.client.create_subscription(
                JointState, "joint_states", lambda m: take("joints", m), 500
            )
            bench.client.create_subscription(Image, COLOR, lambda m: take("pictures", m), 50)
            bench.client.create_subscription(Image, DEPTH, lambda m: take("pictures", m), 50)
            answer = bench.call(StepSimulation, "step_simulation", steps=510)
            assert answer.result.result == 1, answer.result.error_message
            assert enough.wait(20.0)
            return seen

    first, second = record(), record()

    assert [m.position for m in first["joints"]] == [m.position for m in second["joints"]]

    def by_name(seen):
        stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in seen["pictures"]]
        pairs = zip(stamps, seen["pictures"], strict=True)
        return {(m.encoding, stamp): bytes(m.data) for stamp, m in pairs}

    pictures, again = by_name(first), by_name(second)
    common = set(pictures) & set(again)
    assert len(common) >= 19
    assert all(pictures[key] == again[key] for key in common)


def test_paused_simulation_stands_still_until_it_plays(start):
    with start(start_paused=True) as bench:
        request = SetSimulationState.Request()
        request.state.state = request.state.STATE_PLAYING
        before = bench.node._simulation.steps
        answer = bench.call(SetSimulationState, "set_simulation_state", state=request.state)
        bench.first(JointState, "joint_states")
        again = bench.call(SetSimulationState, "set_simulation_state", state=request.state)

    assert before == 0
    assert answer.result.result == 1
    assert again.result.result == SetSimulationState.Response.ALREADY_IN_TARGET_STATE
