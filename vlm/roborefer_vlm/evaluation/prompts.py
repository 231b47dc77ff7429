# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How a question of a benchmark is worded for each family of models.

The wordings are those of the evaluator that RefSpatial-Bench came with, because scores depend on
them.
"""

from __future__ import annotations

from enum import StrEnum

from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.evaluation.records import Question, Word
from roborefer_vlm.parsing.families import family_of_model


class Wording(StrEnum):
    """A way to put a question into words."""

    # Prompt and format request, joined by one blank: RoboRefer and all that answer like it.
    SUFFIX = "suffix"
    # The prompt alone; the engine says how to answer.
    PLAIN = "plain"
    MOLMO = "molmo"
    GEMINI = "gemini"
    QWEN = "qwen"
    ROBOBRAIN = "robobrain"


_OF_OBJECT = {
    Wording.MOLMO: "Locate several points of {}.",
    Wording.GEMINI: "Locate one point of {}.",
    Wording.QWEN: "Locate {} in this image and output the point coordinates in JSON format.",
}
_OF_FAMILY = {
    "molmo": Wording.MOLMO,
    "gemini": Wording.GEMINI,
    "qwen3-vl": Wording.QWEN,
    "qwen2.5-vl": Wording.QWEN,
    "robobrain": Wording.ROBOBRAIN,
    # It answers with distances too, which the format request of a benchmark leaves out.
    "robotracer": Wording.PLAIN,
}


def wording_for(info: EngineInfo) -> Wording:
    """Return the wording that an engine's model is known to be asked with."""
    if info.name != "openai":
        return Wording.SUFFIX
    return _OF_FAMILY.get(family_of_model(info.model).name, Wording.SUFFIX)


def worded(question: Question, wording: Wording) -> str:
    """Return the sentence to send.

    Questions for yes or no, and those without a noun phrase for a wording that is built around
    one, keep their own words.
    """
    if isinstance(question.truth, Word):
        return f"{question.prompt} {question.suffix}".rstrip()
    if wording is Wording.SUFFIX:
        return f"{question.prompt} {question.suffix}".rstrip()
    if wording is Wording.ROBOBRAIN:
        return f"{question.prompt} Please provide its 2D coordinates."
    if wording in _OF_OBJECT and question.object:
        return _OF_OBJECT[wording].format(question.object)
    return question.prompt
