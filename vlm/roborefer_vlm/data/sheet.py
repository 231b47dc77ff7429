# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A contact sheet: samples of a data set in one picture, to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import cv2
import numpy as np

from roborefer_vlm.data.reading import Stored
from roborefer_vlm.data.records import questions_of
from roborefer_vlm.drawing import annotate
from roborefer_vlm.exceptions import ConfigurationError, PictureError, RecordError
from roborefer_vlm.model.pictures import load_picture
from roborefer_vlm.types import (
    Answer,
    Outcome,
    PerceptionType,
    Pixel,
    ReasoningStep,
    ReferredPoint,
    UInt8Array,
)

TILE_PX = 480
_GAP = 8
_GROUND = 40


@dataclass(frozen=True, eq=False)
class Sample:
    """One question with its pictures.

    Attributes:
        images: RGB, uint8, shape (height, width, 3), in the order of the question.
        question: See `roborefer_vlm.data.records.questions_of`.
    """

    images: tuple[UInt8Array, ...]
    question: dict[str, Any]


def choose(stored: Iterable[Stored], count: int, seed: int) -> list[Sample]:
    """Choose samples at random, the kinds equally often where there are enough.

    Args:
        stored: All records; read once, a few kept.
        count: How many.
        seed: Decides which.

    Raises:
        ConfigurationError: There is no record, or count is below 1.
        RecordError: A record or a picture cannot be used.
    """
    if count < 1:
        raise ConfigurationError(f"a sheet of {count} samples shows nothing")
    rng = np.random.default_rng([seed, count])
    # Of each kind those with the smallest random numbers, so that one pass is enough.
    best: dict[str, list[tuple[float, int, Stored, dict[str, Any]]]] = {}
    number = 0
    for one in stored:
        for question in questions_of(one.record):
            number += 1
            kept = best.setdefault(question["kind"], [])
            draw = float(rng.random())
            if len(kept) < count or draw < kept[-1][0]:
                kept.append((draw, number, one, question))
                kept.sort(key=lambda entry: entry[:2])
                del kept[count:]
    if not best:
        raise ConfigurationError("the data set has no record")
    chosen: list[tuple[str, Stored, dict[str, Any]]] = []
    for place in range(count):
        for kind in sorted(best):
            if place < len(best[kind]) and len(chosen) < count:
                chosen.append((kind, *best[kind][place][2:]))
    chosen.sort(key=lambda entry: entry[0])
    return [Sample(_pictures(one), question) for _, one, question in chosen]


def _pictures(one: Stored) -> tuple[UInt8Array, ...]:
    try:
        return tuple(load_picture(image) for image in one.images)
    except PictureError as error:
        raise RecordError(one.group, one.record["id"], "image", str(error)) from error


def sheet(samples: Sequence[Sample], columns: int = 5) -> UInt8Array:
    """Draw samples side by side, each with its question, answer and steps below the picture.

    Args:
        samples: What to show.
        columns: How many stand beside each other.

    Returns:
        RGB, uint8.
    """
    tiles = [_tile(sample) for sample in samples]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.shape[0] for tile in row) for row in rows]
    width = columns * (TILE_PX + _GAP) + _GAP
    whole = np.full((sum(heights) + _GAP * (len(rows) + 1), width, 3), _GROUND, np.uint8)
    y = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            x = _GAP + column * (TILE_PX + _GAP)
            whole[y : y + tile.shape[0], x : x + TILE_PX] = tile
        y += height + _GAP
    return whole


def _tile(sample: Sample) -> UInt8Array:
    wide = TILE_PX // len(sample.images)
    pictures = [_resized(image, wide) for image in sample.images]
    size = (wide, pictures[0].shape[0])
    high = max(picture.shape[0] for picture in pictures)
    canvas = np.full((high, TILE_PX, 3), _GROUND, np.uint8)
    for place, picture in enumerate(pictures):
        canvas[: picture.shape[0], place * wide : (place + 1) * wide] = picture
    question = sample.question
    return annotate(canvas, question["question"], _answer(question, size))


def _resized(image: UInt8Array, width: int) -> UInt8Array:
    height = max(1, ceil(image.shape[0] * width / image.shape[1]))
    way = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _answer(question: dict[str, Any], size: tuple[int, int]) -> Answer:
    """Return the answer as an engine would give it, in pixels of the first picture."""
    relation = question["facts"].get("relation") or ()
    relations = (relation,) if isinstance(relation, str) else relation
    told = ", ".join((question["kind"], *relations))
    steps = tuple(_step(step, size) for step in question["steps"])
    if question["point"] is None:
        text = f"{question['answer']}   ({told})"
        return Answer(Outcome.TEXT, text=text, reasoning=steps)
    x, y = question["point"]
    pixel = Pixel.from_normalised(x, y, *size)
    reason = ", ".join((*relations, *(() if steps else (question["answer"],))))
    found = ReferredPoint(pixel, label=question["kind"], reason=reason)
    return Answer(Outcome.OK, (found,), reasoning=steps)


def _step(step: dict[str, Any], size: tuple[int, int]) -> ReasoningStep:
    perception = PerceptionType(step["perception"])
    value = tuple(step["value"])
    text = f"[{step['target']}] {', '.join(f'{number:.3f}' for number in value)}"
    if perception is PerceptionType.POSITION:
        return ReasoningStep(
            text, perception, step["target"], Pixel.from_normalised(value[0], value[1], *size)
        )
    return ReasoningStep(f"{perception.value} {text}", perception, step["target"])
