# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How well found instances cover the annotated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from roborefer_vlm.types import BoolArray


@dataclass(frozen=True)
class InstanceQuality:
    """Agreement of found with annotated instances of one picture.

    Attributes:
        best_iou: Per annotated instance, the largest intersection over union with a found one.
        unmatched: Found instances that reach 0.5 with no annotated one; things that nobody
            annotated count as well.
    """

    best_iou: tuple[float, ...]
    unmatched: int

    @property
    def mean_best_iou(self) -> float:
        """Mean over the annotated instances."""
        return float(np.mean(self.best_iou)) if self.best_iou else 0.0

    @property
    def recall(self) -> float:
        """Share of the annotated instances with an intersection over union of at least 0.5."""
        return float(np.mean([x >= 0.5 for x in self.best_iou])) if self.best_iou else 0.0


def instance_quality(
    found: Sequence[BoolArray], annotated: Sequence[BoolArray]
) -> InstanceQuality:
    """Compare masks of the same picture, each of shape (height, width)."""
    if not found or not annotated:
        return InstanceQuality((0.0,) * len(annotated), len(found))
    a = np.stack([m.reshape(-1) for m in found]).astype(np.float32)
    b = np.stack([m.reshape(-1) for m in annotated]).astype(np.float32)
    shared = a @ b.T
    union = a.sum(1)[:, None] + b.sum(1)[None, :] - shared
    iou = shared / np.maximum(union, 1)
    return InstanceQuality(
        tuple(float(x) for x in iou.max(axis=0)), int((iou.max(axis=1) < 0.5).sum())
    )
