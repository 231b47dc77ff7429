# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.evaluation.prompts import Wording, worded, wording_for
from roborefer_vlm.evaluation.records import Area, Question, Word
from roborefer_vlm.picture_files import Source

QUESTION = Question(
    "location/0",
    "location",
    "Please point to the red mug.",
    Area(),
    Source("x"),
    object="the red mug",
    suffix="Your answer should be a list.",
)


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        (Wording.SUFFIX, "Please point to the red mug. Your answer should be a list."),
        (Wording.PLAIN, "Please point to the red mug."),
        (Wording.MOLMO, "Locate several points of the red mug."),
        (Wording.GEMINI, "Locate one point of the red mug."),
        (
            Wording.QWEN,
            "Locate the red mug in this image and output the point coordinates in JSON format.",
        ),
        (Wording.ROBOBRAIN, "Please point to the red mug. Please provide its 2D coordinates."),
    ],
)
def test_question_is_worded_as_the_reference_evaluator_does(wording, text):
    assert worded(QUESTION, wording) == text


@pytest.mark.parametrize("wording", list(Wording))
def test_yes_no_question_keeps_its_own_words(wording):
    question = Question("q", "configuration", "Is it left? yes or no", Word("no"), Source("x"))

    assert worded(question, wording) == "Is it left? yes or no"


def test_question_without_a_noun_phrase_keeps_its_own_words():
    question = Question("q", "free_space", "Find space.", Area(), Source("x"), suffix="As a list.")

    assert worded(question, Wording.MOLMO) == "Find space."
    assert worded(question, Wording.SUFFIX) == "Find space. As a list."


@pytest.mark.parametrize(
    ("engine", "model", "wording"),
    [
        ("roborefer", "RoboRefer-2B-SFT", Wording.SUFFIX),
        ("scene_graph", "rules", Wording.SUFFIX),
        ("openai", "allenai/Molmo-7B-D", Wording.MOLMO),
        ("openai", "gemini-2.5-pro", Wording.GEMINI),
        ("openai", "Qwen3-VL-8B", Wording.QWEN),
        ("openai", "RoboTracer-2B", Wording.PLAIN),
        ("openai", "something-else", Wording.SUFFIX),
    ],
)
def test_wording_follows_the_model(engine, model, wording):
    assert wording_for(EngineInfo(engine, model)) is wording
