# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the speed of training is compared with learns the same, step by step."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "training.py"


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.is_file():
        pytest.skip("the benchmarks are not part of this installation")
    spec = importlib.util.spec_from_file_location("training_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_both_loops_have_the_same_losses_while_they_learn(script):
    cpu, dtype = torch.device("cpu"), torch.float32
    models = [script.make_model(script.small_shape(), cpu, 1024) for _ in range(2)]
    ours, plain = script.our_loop(models[0], dtype), script.plain_loop(models[1], dtype)
    batch = script.make_batch(models[0], seed=0, tiles=1, count=2)

    for _ in range(2):
        assert ours.step(batch).item() == pytest.approx(plain.step(batch).item(), rel=1e-5)
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        # Adam's steps are of the size of the rate, whatever the size of the gradient.
        assert torch.allclose(one, two, atol=3e-5)
