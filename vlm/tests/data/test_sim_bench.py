# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboRefer-Sim-Bench: always the same, held out of training, and scored like RefSpatial-Bench."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from roborefer_vlm.data.answer_masks import mask_of
from roborefer_vlm.data.examples import Example, Kind, Phrasings, Wish
from roborefer_vlm.data.questions import makers_of
from roborefer_vlm.data.sim_bench import PARTS, Sizes, write_sim_bench
from roborefer_vlm.data.sources.simulator import SimulatorSource
from roborefer_vlm.data.sources.simulator_settings import SceneSplit, SimulatorSettings
from roborefer_vlm.data.views import View
from roborefer_vlm.evaluation.benchmarks import load_benchmark
from roborefer_vlm.exceptions import ConfigurationError

pytest.importorskip("roborefer_sim")

SIZES = Sizes(1, 1, 2)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "sim"
    write_sim_bench(folder, SIZES, show=False)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_part_has_its_questions_with_masks_depth_and_camera(bench: Path) -> None:
    benchmark = load_benchmark("sim", bench)

    counts = [sum(q.category == part.lower() for q in benchmark.questions) for part in PARTS]
    assert counts == [1, 1, 2]
    for question in benchmark.questions:
        query = question.query(question.prompt)
        assert query.depth_m is not None
        assert 0.1 < np.median(query.depth_m[query.depth_m > 0]) < 3
        assert query.intrinsics is not None
        assert question.suffix.startswith("Your answer should be formatted")
        assert question.object not in ("", question.prompt)


def test_wordings_are_held_out(bench: Path) -> None:
    for part in PARTS:
        for entry in json.loads((bench / part / "question.json").read_text()):
            assert entry["phrasing"].startswith("held_out")
            assert entry["scene"].startswith("sim_held_out")


@pytest.mark.slow
def test_made_again_it_is_the_same_to_the_byte(bench: Path, tmp_path: Path) -> None:
    write_sim_bench(tmp_path / "again", SIZES, show=False)

    assert hashes(tmp_path / "again") == hashes(bench)


def test_folder_that_holds_something_is_left_alone(bench: Path) -> None:
    before = hashes(bench)

    with pytest.raises(ConfigurationError, match="not empty"):
        write_sim_bench(bench, SIZES, show=False)

    assert hashes(bench) == before


def test_a_part_without_questions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'unseen' is 0"):
        Sizes(unseen=0)


@pytest.fixture(scope="module")
def asked() -> list[tuple[View, Example]]:
    """Return placement questions about a few scenes."""
    settings = SimulatorSettings(width=320, height=240, split=SceneSplit.HELD_OUT)
    source = SimulatorSource(3, 5, settings=settings)
    (maker,) = makers_of([Kind.PLACEMENT.value])
    found = []
    for index in range(len(source)):
        shot = source.shot(index)
        rng = np.random.default_rng(index)
        for example in maker.make(shot, rng, Wish(4, Phrasings.TRAINING)):
            if isinstance(example, Example):
                found.append((shot.views[0], example))
    source.close()
    return found


def test_masks_of_free_space_hold_the_answer_and_no_thing(
    asked: list[tuple[View, Example]],
) -> None:
    hit = seen = 0
    for view, example in asked:
        mask = mask_of(view, example, np.random.default_rng(0))
        if mask is None:
            continue
        seen += 1
        assert example.point is not None
        height, width = mask.shape
        hit += bool(mask[int(example.point[1] * height), int(example.point[0] * width)])
        for thing in view.scene.objects:
            if thing.mask is not None and thing.id != example.facts["platform"]:
                assert not (mask & thing.mask).any()

    assert seen > 5
    # Answers keep more distance than masks ask for; what rounding moves off a thin one is counted
    # and left out of the benchmark.
    assert hit >= 0.9 * seen


def test_mask_of_a_direction_lies_on_that_side(asked: list[tuple[View, Example]]) -> None:
    checked = 0
    for view, example in asked:
        facts = example.facts
        sides = ("left", "right", "directly_left", "directly_right")
        if facts["relation"] not in sides or facts["frame"] != "viewer" or facts["nearest"]:
            continue
        mask = mask_of(view, example, np.random.default_rng(0))
        anchor = view.scene.object(facts["anchors"][0])
        assert mask is not None
        assert anchor.mask is not None
        checked += 1
        step = np.nonzero(mask)[1].mean() - np.nonzero(anchor.mask)[1].mean()
        assert (step < 0) == facts["relation"].endswith("left")

    assert checked
