# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The check of `benchmarks/_data_truth.py` on hand-made scenes: it notices what is wrong."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from roborefer_vlm.data.examples import Example, Kind
from roborefer_vlm.data.views import Fact, View
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene, SceneObject, Surface
from roborefer_vlm.types import Intrinsics

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(1, str(BENCHMARKS))

from _data_truth import Judge  # noqa: E402

K = Intrinsics(200, 200, 200.0, 200.0, 99.5, 99.5)
# One metre above the table, looking straight down; rows grow towards the viewer.
DOWN = np.array([[0.0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, -1, 1], [0, 0, 0, 1]])
MUG = {"node": "thing", "noun": "mug"}
BOWL = {"node": "thing", "noun": "bowl"}


def thing(number: int, name: str, x: float, y: float, color: str) -> SceneObject:
    mask = np.zeros((200, 200), bool)
    # A pixel is 5 mm; x is up and y is left in the picture.
    row, column = round(99.5 - x * 200), round(99.5 - y * 200)
    mask[row - 5 : row + 5, column - 5 : column + 5] = True
    box = OrientedBox(np.array([x, y, 0.03]), np.eye(3), np.full(3, 0.06))
    return SceneObject(number, name, box, {color: 1.0}, mask=mask)


@pytest.fixture
def judge() -> Judge:
    things = [
        thing(1, "mug", 0, 0.2, "red"),
        thing(2, "mug", 0, -0.2, "blue"),
        thing(3, "bowl", 0, 0, "red"),
    ]
    outline = np.array([[-0.4, -0.4], [0.4, -0.4], [0.4, 0.4], [-0.4, 0.4]])
    table = Surface(4, "table", 0.0, outline)
    scene = Scene(Camera(K, DOWN), things, [table], np.ones((200, 200), np.float32))
    rgb = np.zeros((200, 200, 3), np.uint8)
    nouns = {1: ("mug",), 2: ("mug",), 3: ("bowl",)}
    return Judge([View("a", rgb, scene, None, frozenset(Fact), nouns)])


def located(phrase: dict, target: int, point: tuple[float, float], words: str) -> Example:
    facts = {"program": {"node": "request", "targets": [phrase]}, "target": target}
    answer = f"[({point[0]:.3f}, {point[1]:.3f})]"
    return Example("a", Kind.LOCATION, (0,), words, answer, point=point, facts=facts)


LEFT_MUG = {
    **MUG,
    "constraints": [{"node": "constraint", "relation": "left", "anchors": [BOWL]}],
}


def test_a_true_location_passes(judge: Judge) -> None:
    assert judge.fault(located(LEFT_MUG, 1, (0.3, 0.5), "the mug left of the bowl")) == ""


def test_a_point_beside_its_thing_is_noticed(judge: Judge) -> None:
    example = located(LEFT_MUG, 1, (0.36, 0.5), "the mug left of the bowl")

    assert judge.fault(example) == "the point misses its thing"


def test_a_phrase_that_fits_two_things_is_noticed(judge: Judge) -> None:
    assert judge.fault(located(MUG, 1, (0.3, 0.5), "mug")) == "the phrase fits another thing, too"


def test_a_phrase_that_means_another_thing_is_noticed(judge: Judge) -> None:
    example = located(LEFT_MUG, 2, (0.7, 0.5), "the mug left of the bowl")

    assert judge.fault(example) == "the phrase does not fit the target"


def test_words_that_leave_out_what_the_program_says_are_noticed(judge: Judge) -> None:
    phrase = {**MUG, "attributes": ["blue"]}

    assert judge.fault(located(phrase, 2, (0.7, 0.5), "the blue mug")) == ""
    assert "blue" in judge.fault(located(phrase, 2, (0.7, 0.5), "the mug"))


def test_a_wrong_yes_is_noticed_as_a_word_and_as_a_letter(judge: Judge) -> None:
    red = {**MUG, "attributes": ["red"]}
    constraint = {"node": "constraint", "relation": "right", "anchors": [BOWL]}
    facts = {
        "program": {"node": "question", "things": [red], "constraint": constraint},
        "target": 1,
        "anchors": [3],
        "relation": "right",
    }
    words = "Is the red mug right of the bowl? (A) yes (B) no"
    example = Example("a", Kind.PREDICATE, (0,), words, "no", facts=facts)

    assert judge.fault(example) == ""
    assert judge.fault(replace(example, answer="(B)")) == ""
    assert judge.fault(replace(example, answer="yes")) == "the answer is wrong"
    assert judge.fault(replace(example, answer="(A)")) == "the answer is wrong"


def placed(point: tuple[float, float]) -> Example:
    constraint = {"node": "constraint", "relation": "left", "anchors": [BOWL]}
    space = {"node": "space", "constraints": [constraint]}
    facts = {
        "program": {"node": "request", "targets": [space]},
        "spot": [0.0, 0.0, 0.0],
        "footprint_m": 0.04,
        "clearance_m": 0.02,
    }
    answer = f"[({point[0]:.3f}, {point[1]:.3f})]"
    words = "free space left of the bowl"
    return Example("a", Kind.PLACEMENT, (0,), words, answer, point=point, facts=facts)


def test_free_space_needs_room_the_right_side_and_its_surface(judge: Judge) -> None:
    assert judge.fault(placed((0.4, 0.5))) == ""
    assert judge.fault(placed((0.3, 0.5))) == "the point is on a thing"
    assert judge.fault(placed((0.34, 0.5))) == "the spot has too little clearance"
    assert judge.fault(placed((0.6, 0.5))) == "the spot is not left its anchor"
    assert judge.fault(placed((0.05, 0.5))) == "the point is beside its surface"


def test_the_check_shares_no_geometry_with_the_engine() -> None:
    for name in ("_data_truth", "_data_meaning", "_data_world", "_data_room"):
        text = (BENCHMARKS / f"{name}.py").read_text("utf-8")

        assert not re.search(r"^\s*(?:from|import) roborefer", text, re.MULTILINE)
