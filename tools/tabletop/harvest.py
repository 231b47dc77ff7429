# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Portraits with their names, from random looks: what the namer learns from.

Most scenes are cut up by the engine's own segmentation, so that the namer sees the parts, the
merged things and the robot that it will see later, and segments joined on trial; all give their
true masks with frayed borders.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from roborefer_sim.core.clutter import Clutter
from roborefer_sim.core.library import standard_library
from roborefer_sim.core.strangers import STRANGE
from roborefer_sim.exceptions import SceneError
from roborefer_vlm.backends.scene_graph.naming_segments import touching_groups
from roborefer_vlm.backends.scene_graph.portraits import portrait
from roborefer_vlm.backends.scene_graph.segmentation import DepthSegmenter
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.exceptions import QueryError
from tqdm import tqdm

from tabletop.scenes import Look, random_look

KEYS = tuple(standard_library().things)
# What a segment is that is no thing of the library: several things or a strange one, a part of a
# thing that shows elsewhere, the robot.
OTHER, PART, ROBOT = (f"<{word}>" for word in ("other", "part", "robot"))
LABELS = (*KEYS, OTHER, PART, ROBOT)
COLORS = tuple(standard_library().palette)
NO_COLOR = len(COLORS)
LEAST_IOU = 0.5
PURE_ENOUGH = 0.87
MOST_JOINED = 5
FEWEST_PIXELS = 60


def label_of(look: Look, mask: np.ndarray, joined: bool = False) -> tuple[str, int]:
    """Return the label of a segment, and the thing that it is or belongs to, or -1.

    A segment that was joined on trial must hold next to nothing else.
    """
    inside, counts = np.unique(look.bodies[mask], return_counts=True)
    best = int(inside[np.argmax(counts)])
    pure = counts.max() / counts.sum()
    if best == -2 and pure > 0.6:
        return ROBOT, -1
    if best < 0:
        return OTHER, -1
    whole = np.count_nonzero(look.bodies == best)
    shared = int(counts.max())
    iou = shared / (whole + counts.sum() - shared)
    key = look.makes[best].thing.key
    if key.startswith(STRANGE):
        return OTHER, -1
    if iou > LEAST_IOU and (pure > PURE_ENOUGH or not joined):
        return key, best
    if pure > 0.75:
        return PART, best
    return OTHER, -1


def frayed(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a mask with its border moved a little, as segmentation does."""
    grown = int(rng.integers(-2, 3))
    kernel = np.ones((2 * abs(grown) + 1,) * 2, np.uint8)
    whole = mask.astype(np.uint8)
    moved = cv2.dilate(whole, kernel) if grown > 0 else cv2.erode(whole, kernel)
    right, down = (float(shift) for shift in rng.integers(-2, 3, 2))
    moved = cv2.warpAffine(moved, np.array([[1, 0, right], [0, 1, down]]), whole.shape[::-1])
    return moved > 0 if moved.sum() > 20 else mask


def harvest(first_seed: int, scenes: int, file: Path, *, own_share: float = 0.8) -> int:
    """Write portraits of random scenes to a .npz file; return how many there are."""
    rows: dict[str, list] = {n: [] for n in ("pictures", "measures", "labels", "colors", "own")}
    for seed in tqdm(range(first_seed, first_seed + scenes), unit="scene"):
        rng = np.random.default_rng([seed, 3])
        clutter = Clutter(
            fewest=7, most=14, gap=float(rng.uniform(0.0, 0.02)), in_containers=0.1,
            low=(0.24, -0.36), high=(0.72, 0.36),
        )  # fmt: skip
        try:
            look = random_look(seed, clutter, strange=0.35)
            view = View.of(look.query)
            own = DepthSegmenter().segment(view) if rng.random() < own_share else []
        except (SceneError, QueryError):
            continue
        true = [look.mask(i) for i in range(len(look.makes))]
        true = [frayed(m, rng) for m in true if np.count_nonzero(m) > FEWEST_PIXELS]
        groups = [g for g in touching_groups(own) if len(g) > 1]
        chosen = rng.permutation(len(groups))[:MOST_JOINED]
        own += [np.logical_or.reduce([own[i] for i in groups[g]]) for g in chosen]
        first_joined = len(own) - len(chosen)
        for i, mask in enumerate((*own, *true)):
            seen = portrait(view, mask)
            if seen is None:
                continue
            label, thing = label_of(look, mask, first_joined <= i < len(own))
            if i >= len(own) and label == PART:
                continue
            rows["pictures"].append(seen.picture)
            rows["measures"].append(seen.measures)
            rows["labels"].append(LABELS.index(label))
            known = thing >= 0
            rows["colors"].append(COLORS.index(look.makes[thing].color) if known else NO_COLOR)
            rows["own"].append(i < len(own))
    np.savez_compressed(file, **{name: np.asarray(values) for name, values in rows.items()})
    return len(rows["labels"])
