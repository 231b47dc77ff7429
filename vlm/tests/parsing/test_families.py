# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of pointing families is sound, and finds the right one by a model's name."""

from __future__ import annotations

import pytest
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.parsing.families import (
    ResizeRule,
    families,
    family_named,
    family_of_model,
    read_families,
)

ONE = """
[[family]]
name = "a"
patterns = ["a*"]
prompt = "{text} please"
markers = ["please"]
format = "tuples"
scale = "unit"
order = "xy"
"""


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("Zhoues/RoboRefer-2B-SFT", "roborefer"),
        ("checkpoints/NVILA-2B-Depth/", "roborefer"),
        ("allenai/Molmo-7B-D-0924", "molmo"),
        ("gemini-2.5-pro", "gemini"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl"),
        ("BAAI/RoboBrain2.0-7B", "robobrain"),
        ("Zhoues/RoboTracer-2B-SFT", "robotracer"),
        ("wentao-yuan/robopoint-v1-vicuna-v1.5-13b", "robopoint"),
        ("gpt-4o", "generic"),
    ],
)
def test_model_name_finds_its_family(model: str, family: str) -> None:
    assert family_of_model(model).name == family


def test_sentence_gets_the_words_of_its_family_once() -> None:
    family = family_named("roborefer")

    asked = family.ask("Point at the {red} mug.")

    assert asked.startswith("Point at the {red} mug. Your answer should be formatted as a list")
    assert family.ask(asked) == asked


@pytest.mark.parametrize("name", list(families()))
def test_question_for_yes_or_no_is_sent_as_it_is(name: str) -> None:
    question = "Is the mug left of the plate? Answer yes or no"

    assert family_named(name).ask(question) == question


@pytest.mark.parametrize("name", list(families()))
def test_asked_sentence_contains_the_sentence(name: str) -> None:
    assert "the red mug" in family_named(name).ask("Point at the red mug.")


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((640, 480), (644, 476)),
        ((28, 28), (56, 56)),
        ((10, 400), (28, 392)),
        ((8000, 6000), (4116, 3080)),
    ],
)
def test_resize_rule_keeps_multiples_and_area(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    rule = ResizeRule(28, 3136, 12845056)

    assert rule.apply(*size) == seen


@pytest.mark.parametrize(
    "broken",
    [
        ONE.replace('"unit"', '"miles"'),
        ONE.replace('"xy"', '"zx"'),
        ONE.replace("{text} please", "please"),
        ONE.replace('format = "tuples"\n', ""),
        ONE + 'colour = "red"\n',
        ONE + "numbers = 4\n",
        ONE + "resize = { multiple = 28, min_pixels = 3136, max_pixels = 12845056 }\n",
        ONE + ONE,
        "x = 1",
        "[[family]",
    ],
)
def test_broken_table_is_refused(broken: str) -> None:
    assert list(read_families(ONE)) == ["a"]

    with pytest.raises(ConfigurationError):
        read_families(broken)
