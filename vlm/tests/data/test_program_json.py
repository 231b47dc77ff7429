# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from roborefer_vlm.backends.scene_graph.grammar import parse
from roborefer_vlm.data.program_json import MOST_DEPTH, program_from_json, program_to_json
from roborefer_vlm.exceptions import QueryError

SENTENCES = [
    "point to the red mug 20 cm to the left of the plate behind the bowl",
    "the second mug from the left without a handle",
    "put the cup in the free space between the two plates",
    "how far is the mug from the bowl?",
    "the left edge of the table",
    "the mug closest to the camera that is not red",
    "can the mug fit behind the bowl from its own perspective?",
    "all blocks facing the camera",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_program_comes_back_from_json_as_it_was(sentence):
    programs = parse(sentence)

    assert isinstance(programs, tuple), programs
    for program in programs:
        assert program_from_json(json.loads(json.dumps(program_to_json(program)))) == program


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "program"),
        ([], "program"),
        ({"node": "os.system"}, "os.system"),
        ({"node": "thing"}, "lacks 'noun'"),
        ({"node": "thing", "noun": 3}, "program.noun"),
        ({"node": "thing", "noun": "mug", "color": "red"}, "color"),
        ({"node": "thing", "noun": "mug", "attributes": "red"}, "a list"),
        ({"node": "thing", "noun": "mug", "constraints": [{"node": "order", "key": "left"}]}, "0"),
        ({"node": "order", "key": "leftest"}, "leftest"),
        ({"node": "order", "key": "left", "rank": True}, "program.rank"),
        ({"node": "order", "key": "left", "rank": 1.0}, "program.rank"),
        ({"node": "constraint", "relation": "left", "distance_m": float("nan")}, "distance_m"),
        ({"node": "constraint", "relation": "left", "negated": 1}, "negated"),
    ],
)
def test_what_is_no_program_is_refused_and_named(value, named):
    with pytest.raises(QueryError, match=named):
        program_from_json(value)


def test_nesting_is_bounded():
    value = {"node": "thing", "noun": "mug"}
    for _ in range(MOST_DEPTH + 1):
        value = {"node": "thing", "noun": "mug", "others": [value]}

    with pytest.raises(QueryError, match="deeper"):
        program_from_json(value)
