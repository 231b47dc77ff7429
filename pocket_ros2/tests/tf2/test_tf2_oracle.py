# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Our transform tree against the C++ core that Debian ships, on random trees and questions."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from tf2_py import BufferCore, TransformException

DEBIAN = "/usr/bin/python3"
FRAMES = [f"f{index}" for index in range(9)]
TICK_NS = 3_906_250  # 1/256 s, exact in the floating seconds of the oracle


def oracle(scenarios):
    script = Path(__file__).with_name("oracle_tf2.py")
    probe = subprocess.run([DEBIAN, "-c", "import rospy, tf2_py"], capture_output=True)
    if probe.returncode:
        pytest.skip("needs Debian's python3-tf2 and python3-rospy as the oracle")
    done = subprocess.run(
        [DEBIAN, str(script)], input=json.dumps(scenarios), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_ros2_prints(text):
    """Undo the two places where the texts of ROS 1 differ: nanoseconds, and how far off."""
    text = re.sub(r"extrapolation [\d.]+s into", "extrapolation into", text)
    return re.sub(r"\d+\.\d{9}", lambda match: f"{float(match[0]):.6f}", text)


def scenario(seed):
    """Two random trees whose links have samples within 8 s, then many questions."""
    draw = random.Random(seed)
    steps, used = [], set()
    links = [
        (draw.choice(FRAMES[:index] if index < 6 else FRAMES[6:index]), FRAMES[index])
        for index in range(1, 9)
        if index != 6
    ]
    for parent, child in links:
        static = draw.random() < 0.3
        for _ in range(1 if static else draw.randrange(0, 8)):
            tick = draw.randrange(256, 256 * 9)
            if (child, tick) in used:
                continue
            used.add((child, tick))
            turn = np.array([draw.gauss(0, 1) for _ in range(4)])
            values = [draw.uniform(-3, 3) for _ in range(3)] + list(turn / np.linalg.norm(turn))
            steps.append(["set", parent, child, tick, values, static])
    draw.shuffle(steps)
    names = [*FRAMES, "unknown"]
    for _ in range(40):
        ticks = [0, draw.randrange(1, 256 * 10), *(tick for _, tick in used)]
        pick, when = (lambda names=names: draw.choice(names)), (lambda t=ticks: draw.choice(t))
        steps.append(["lookup", pick(), pick(), when()])
        steps.append(["can", pick(), pick(), when()])
        steps.append(["full", pick(), when(), pick(), when(), pick()])
    return steps


def time(ticks):
    sec, nanosec = divmod(ticks * TICK_NS, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def play(steps):
    core, answers = BufferCore(), []
    for kind, *rest in steps:
        try:
            if kind == "set":
                parent, child, ticks, values, static = rest
                message = TransformStamped(child_frame_id=child)
                message.header.frame_id, message.header.stamp = parent, time(ticks)
                move, turn = message.transform.translation, message.transform.rotation
                move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w = values
                (core.set_transform_static if static else core.set_transform)(message, "test")
                answer = None
            elif kind == "can":
                answer = core.can_transform_core(*rest[:2], time(rest[2]))[0]
            else:
                if kind == "lookup":
                    found = core.lookup_transform_core(*rest[:2], time(rest[2]))
                else:
                    target, when, source, then, fixed = rest
                    found = core.lookup_transform_full_core(
                        target, time(when), source, time(then), fixed
                    )
                move, turn, stamp = (
                    found.transform.translation,
                    found.transform.rotation,
                    found.header.stamp,
                )
                answer = [move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w]
                answer += [stamp.sec, stamp.nanosec]
        except TransformException as error:
            answer = [type(error).__name__, str(error)]
        answers.append(answer)
    return answers


def test_random_trees_answer_like_the_reference_core():
    scenarios = [scenario(seed) for seed in range(40)]
    expected = oracle(scenarios)

    seen = set()
    for seed, (steps, wanted) in enumerate(zip(scenarios, expected, strict=True)):
        for step, want, got in zip(steps, wanted, play(steps), strict=True):
            context = f"seed {seed}: {step}: reference {want}, ours {got}"
            if isinstance(want, list) and isinstance(want[0], float):
                assert isinstance(got[0], float), context
                assert got[7:] == want[7:], context
                np.testing.assert_allclose(got[:3], want[:3], atol=1e-9, err_msg=context)
                same = abs(np.dot(got[3:7], want[3:7]))
                assert same == pytest.approx(1, abs=1e-9), context
                seen.add("value")
            elif isinstance(want, list):
                assert isinstance(got[0], str), context
                want[1] = as_ros2_prints(want[1])
                assert got == want, context
                seen.add(want[0])
            else:
                assert got == want, context
    assert seen == {
        "value",
        "LookupException",
        "ConnectivityException",
        "ExtrapolationException",
    }
