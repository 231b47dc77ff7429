# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What estimators see in a photograph: things, depth and camera, looks; and who estimates it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.types import FloatArray, Intrinsics, UInt8Array


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph.

    Attributes:
        path: Its file.
        rgb: uint8, shape (height, width, 3), upright as people look at it.
    """

    path: Path
    rgb: UInt8Array


@dataclass(frozen=True, eq=False)
class Found:
    """Things that were found in a photograph.

    Attributes:
        detections: With masks of shape (height, width), best first; the weak ones too, since
            they tell which kinds of things the finder is not sure about.
        complete: Whether the finder vouches that every visible thing that people would point at
            is among `detections`, with whatever label; people can, a detector alone cannot.
    """

    detections: tuple[Detection, ...]
    complete: bool = False


@dataclass(frozen=True, eq=False)
class Geometry:
    """Depth of a photograph and the camera that took it.

    Attributes:
        depth_m: float32, shape (height, width), along the optical axis, 0 where not known;
            metres if `metric`, else right up to one common factor.
        intrinsics: Of the photograph.
        metric: Whether the estimator vouches for metres.
        up: Unit vector against gravity in the optical frame; None: not known.
    """

    depth_m: FloatArray
    intrinsics: Intrinsics
    metric: bool
    up: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Look:
    """What a captioner says of one thing.

    Attributes:
        colors: Names of its colours, of `roborefer_vlm.backends.scene_graph.colors.NAMES`.
        words: Further words that are true of it, such as "wooden".
    """

    colors: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


class Finder(Protocol):
    """Finds things, with a label, a score and a mask each."""

    def find(self, photo: Photo) -> Found:
        """Return what is in a photograph.

        Raises:
            SourceError: Nothing can be said of this one.
        """


class GeometryEstimator(Protocol):
    """Estimates depth and intrinsics."""

    def estimate(self, photo: Photo) -> Geometry:
        """Return depth and camera of a photograph.

        Raises:
            SourceError: Nothing can be said of this one.
        """


class Captioner(Protocol):
    """Says what things look like."""

    def looks(self, photo: Photo, things: Sequence[Detection]) -> Sequence[Look]:
        """Return one look per thing, in their order.

        Raises:
            SourceError: Nothing can be said of this one.
        """
