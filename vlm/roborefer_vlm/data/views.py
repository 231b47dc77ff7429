# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Views: a picture, its depth, and the scene graph that says what is in it.

Every source makes these, and every kind of question reads nothing else. What a source cannot
vouch for, its views do not claim (`trusts`), and no question is asked that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from roborefer_vlm.scenes.graph import Scene
from roborefer_vlm.types import FloatArray, UInt8Array


class Fact(StrEnum):
    """What a source may vouch for."""

    # Lengths and distances are metres, not merely right in proportion.
    METRIC = "metric"
    # Boxes are oriented and gravity is known; without it only left, right and nearness hold.
    BOXES = "boxes"
    # Where a thing has a `front`, it is right.
    FRONTS = "fronts"
    # Surfaces, and everything that stands on them, are known: free space can be told.
    FREE_SPACE = "free_space"
    # Every thing of the named kinds that is visible is annotated: things can be counted, and a
    # phrase that fits one annotated thing fits nothing else.
    COMPLETE = "complete"
    # Colours of the scene graph are right.
    COLORS = "colors"


@dataclass(frozen=True, eq=False)
class View:
    """One look at a known scene.

    Attributes:
        key: Unique in its data set, safe as a file name, such as "sim-000012-0".
        rgb: uint8, shape (height, width, 3).
        scene: The truth. Things have a `mask` of visible pixels; things that are hidden are
            left in (they fill space) with a mask that is False everywhere. `depth_m` of the
            scene is true depth, without the sensor's flaws, where the source has it.
        depth_m: Depth as a sensor measured it or a network estimated it, float32, metres where
            `trusts` has METRIC, 0 where there is none; None: no depth at all.
        trusts: What the source vouches for.
        nouns: All nouns that may be used of a thing, by its id, the usual one first.
        kinds: Wider words by id, such as "fruit"; what fits several things is used for groups.
        meta: What a reader may want to know (seed, camera, source file); JSON values only.
    """

    key: str
    rgb: UInt8Array
    scene: Scene
    depth_m: FloatArray | None
    trusts: frozenset[Fact]
    nouns: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    kinds: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Shot:
    """What was seen of one scene: one view, or several of the same scene from elsewhere.

    The scenes of all views have the same things with the same ids in the same frame, each with
    the masks and the camera of its view.
    """

    views: tuple[View, ...]


class Source(Protocol):
    """Something that scenes come from; the same index gives the same shot, in any process.

    It is sent to worker processes, so it must be picklable and cheap before its first shot.
    """

    @property
    def name(self) -> str:
        """Short, safe as a file name, such as "sim"."""

    def __len__(self) -> int:
        """How many shots there are."""

    def shot(self, index: int) -> Shot:
        """Take a shot.

        Raises:
            SourceError: This one cannot be made or read; the reason is counted in the report.
        """
