# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What every predicate is given: the scene, the candidates, the anchors and the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from roborefer_vlm.scenes.boxes import surface_distances
from roborefer_vlm.scenes.frames import Axes, Frame, axes_of
from roborefer_vlm.scenes.graph import Array, Scene
from roborefer_vlm.scenes.places import Anchor, Places
from roborefer_vlm.scenes.relations.thresholds import value


@dataclass(frozen=True, eq=False)
class Case:
    """One question: is each subject in this relation to the anchors?

    Attributes:
        scene: Where all of it is.
        subjects: The N candidates.
        anchors: What they are compared to.
        frame: Whose view.
        distance_m: The metres that the sentence names, or None.
        angle_rad: The angle that the sentence names, or None.
    """

    scene: Scene
    subjects: Places
    anchors: Sequence[Anchor] = ()
    frame: Frame = Frame.VIEWER
    distance_m: float | None = None
    angle_rad: float | None = None

    @cached_property
    def marks(self) -> Places:
        """The anchors as places."""
        return _marks(tuple(self.anchors))

    @cached_property
    def axes(self) -> Axes:
        """Directions of the frame, with the first anchor as the one that has a face."""
        return axes_of(self.frame, self.scene, self.anchors[0] if self.anchors else None)

    @cached_property
    def gaps(self) -> Array:
        """Distance between the surfaces of each subject and the first anchor, (N,), metres."""
        return _gaps(self.subjects, self.marks)

    @cached_property
    def reach(self) -> Array:
        """Up to which distance each subject is near the first anchor, shape (N,), metres.

        It is symmetric, grows with the larger of both and is bounded by the scene's spread.
        """
        size = np.maximum(self.subjects.diagonals, self.marks.diagonals[0])
        reach = value("reach") * size
        if len(self.scene.objects) > 2:
            reach = np.minimum(reach, value("scene_reach") * spread(self.scene))
        return np.asarray(np.maximum(reach, value("least_reach")))

    def apart(self, direction: Array) -> Apart:
        """Return how far the subjects lie from the first anchor along a direction.

        Args:
            direction: Unit vector, shape (3,), or one per subject, shape (N, 3).
        """
        centers = ((self.subjects.centers - self.marks.centers[0]) * direction).sum(axis=1)
        mine = self.subjects.half_extents(direction)
        theirs = np.abs(direction @ self.marks.rotations[0]) @ self.marks.half_sizes[0]
        return Apart(centers, mine, np.broadcast_to(theirs, mine.shape))


@dataclass(frozen=True, eq=False)
class Apart:
    """How far N subjects lie from an anchor along a direction; any unit of length.

    Attributes:
        centers: Signed, from the anchor's centre to that of the subject, shape (N,).
        mine: Half lengths of the subjects along it, shape (N,).
        theirs: Half length of the anchor along it, shape (N,).
    """

    centers: Array
    mine: Array
    theirs: Array

    @property
    def sides(self) -> Array:
        """Signed, from side to side, 0 where they overlap along it, shape (N,).

        Like centers it changes its sign when subject and anchor change places.
        """
        gap = np.maximum(np.abs(self.centers) - self.mine - self.theirs, 0)
        return np.asarray(np.sign(self.centers) * gap)


# Relations between the same things follow each other; what they share is measured once.
@lru_cache(maxsize=32)
def _marks(anchors: tuple[Anchor, ...]) -> Places:
    return Places.of_objects(anchors)


@lru_cache(maxsize=16)
def _gaps(subjects: Places, marks: Places) -> Array:
    return surface_distances(subjects, marks)


@lru_cache(maxsize=4)
def spread(scene: Scene) -> float:
    """Return twice the largest horizontal distance of a thing from the middle of all, metres.

    Raises:
        QueryError: The box of a thing has a value that is not finite.
    """
    centers = Places.of_objects(scene.objects).centers[:, :2]
    return float(2 * np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())
