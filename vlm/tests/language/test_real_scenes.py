# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Real RGB-D scenes with given things; skipped where the data is not beside the repository."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from functools import partial
from pathlib import Path

import pytest
from roborefer_vlm.backends.scene_graph.free_space import space_candidates
from roborefer_vlm.backends.scene_graph.grammar import NotUnderstood, parse
from roborefer_vlm.backends.scene_graph.matching import Matcher
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.scenes.execution import Execution, Executor
from roborefer_vlm.types import Outcome, TargetKind

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data" / "real_rgbd"

pytestmark = pytest.mark.skipif(
    not (DATA / "scenes").is_dir(), reason=f"the real scenes are not in {DATA}"
)


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location(
        "scene_graph_real", ROOT / "benchmarks" / "scene_graph_real.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scenes(benchmark):
    return benchmark.Scenes(DATA)


@pytest.fixture(scope="module")
def executors(scenes):
    """One executor per scene, so that each picture is looked at once."""
    found: dict[str, Executor] = {}

    def of(name):
        if name not in found:
            scene = build_scene(scenes.query(name, True))
            found[name] = Executor(scene, Matcher(), partial(space_candidates, scene))
        return found[name]

    return of


def share_right(executors, cases):
    results = []
    for case in cases:
        programs = parse(case.text)
        if isinstance(programs, NotUnderstood):
            result = Execution(Outcome.NOT_UNDERSTOOD, text=programs.message)
        else:
            result = executors(case.scene).best(programs, TargetKind.UNKNOWN)
        results.append(case.check(result))
    return 100 * statistics.mean(results)


@pytest.mark.parametrize(("group", "least"), [("location", 90.0), ("placement", 85.0)])
def test_published_questions_with_given_things(group, least, scenes, executors):
    cases = [case for case in scenes.published() if case.group == group]

    assert share_right(executors, cases) >= least


def test_a_sample_of_our_own_questions(scenes, executors):
    cases = list(scenes.extra())[::8]

    assert share_right(executors, cases) >= 85.0
