# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One form for the questions of every benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.picture_files import Source, read_depth, read_instances, read_rgb
from roborefer_vlm.types import GivenObject, Intrinsics, Query


class Protocol(StrEnum):
    """Whose scoring stands beside the strict figure."""

    # Share of points in the mask; unparsable answers leave the mean.
    REFSPATIAL = "refspatial"
    # First point in a polygon; yes or no by prefix.
    ROBOSPATIAL = "robospatial"
    # Mean grey value of a soft mask at the points.
    WHERE2PLACE = "where2place"


@dataclass(frozen=True)
class Area:
    """The right answer is a place.

    Attributes:
        mask: Picture of the place, or None.
        polygon: Corners of the place, (x, y) of which 0 to 1 span the picture; or empty.
        soft: The mask holds grey values that stand for how right a place is.
    """

    mask: Source | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    soft: bool = False


@dataclass(frozen=True)
class Word:
    """The right answer is "yes" or "no"."""

    word: str


@dataclass(frozen=True)
class DepthMap:
    """Metric depth registered to the picture.

    Attributes:
        source: The file.
        scale_m: Metres per unit; None: it holds metres.
    """

    source: Source
    scale_m: float | None


@dataclass(frozen=True)
class Instances:
    """Things that somebody marked in the picture.

    Attributes:
        source: Picture of ids; 0 is background.
        names: What each id is, in plain words.
    """

    source: Source
    names: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class Question:
    """One question of a benchmark.

    Attributes:
        id: Unique in its benchmark, such as "location/17".
        category: Part of the benchmark that it is counted in, such as "location".
        prompt: The sentence.
        truth: What is right.
        picture: The colour picture.
        object: Noun phrase of the target alone, or "".
        suffix: Format request that belongs to the benchmark, or "".
        step: Number of reasoning steps as the benchmark counts them, or None.
        scene: Where it was taken, or "".
        depth: Metric depth, or None.
        camera: Intrinsics of the picture, or None.
        instances: Marked things, or None.
    """

    id: str
    category: str
    prompt: str
    truth: Area | Word
    picture: Source
    object: str = ""
    suffix: str = ""
    step: int | None = None
    scene: str = ""
    depth: DepthMap | None = None
    camera: Intrinsics | None = None
    instances: Instances | None = None

    def query(self, text: str, *, given_objects: bool = False, max_new_tokens: int = 512) -> Query:
        """Return what an engine is asked.

        Args:
            text: The wording, see evaluation.prompts.
            given_objects: Send the marked things along; else the engine has to find its own.
            max_new_tokens: Longest answer of a language model.

        Raises:
            PictureError: A picture cannot be decoded, or the sizes do not fit; names the question.
        """
        given = self.instances if given_objects else None
        try:
            return Query(
                image=read_rgb(self.picture),
                text=text,
                depth_m=read_depth(self.depth.source, self.depth.scale_m) if self.depth else None,
                intrinsics=self.camera,
                objects=marked_objects(given) if given else (),
                max_new_tokens=max_new_tokens,
            )
        except PictureError as error:
            raise PictureError(f"question {self.id}: {error}") from error


def marked_objects(instances: Instances) -> tuple[GivenObject, ...]:
    """Return the marked things that are visible.

    Raises:
        PictureError: The picture of ids cannot be decoded.
    """
    ids = read_instances(instances.source)
    masks = ((name, ids == number) for number, name in instances.names.items())
    return tuple(GivenObject(name, mask) for name, mask in masks if mask.any())


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Questions that are scored together.

    Attributes:
        name: Such as "refspatial".
        directory: Where it was read from.
        protocol: Whose scoring stands beside the strict figure.
        questions: In the order of the files; ids are unique.
    """

    name: str
    directory: Path
    protocol: Protocol
    questions: tuple[Question, ...]
