# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which detections of a photograph become things of its scene.

A kind of thing is named or not as a whole: when one cup is doubtful or too small to point at,
"the cup" would no longer mean one thing, so no cup is called a cup. What is not named stays in the
scene without a name, where it hides things, takes up space, and is an "object" like any other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.types import BoolArray

# Detectors answer these for what is no single thing that could be pointed at or handed over.
STUFF = frozenset(
    (
        *("wall", "floor", "ceiling", "sky", "grass", "ground", "road", "water", "sea", "snow"),
        *("sand", "room", "background", "scene", "image", "photo", "picture"),
        *("object", "thing", "item", "stuff"),
        *("person", "man", "woman", "boy", "girl", "people", "crowd", "face", "hand"),
    )
)
_PLAIN = re.compile(r"[a-z][a-z'-]*(?: [a-z][a-z'-]*){0,3}")
_LONGEST_LABEL = 40
# Faults of what is no thing; of what puts its whole kind in doubt; of what may be a thing still.
_NO_THING = frozenset({"no single thing", "score near nothing", "too large"})
_DOUBTS = frozenset({"score doubtful", "no mask", "too small", "too large"})
_NAMELESS = frozenset({"score doubtful", "too small", "label not plain", "label not wanted"})


@dataclass(frozen=True)
class FilterSettings:
    """When a detection counts.

    Attributes:
        labels: The only names that are used; None: all plain ones that are no stuff.
        least_score: A detection with this score is believed.
        doubtful_score: From here to `least_score` it may be right: its kind is not named. Below,
            it is taken for noise.
        least_share: Share of the photograph that a thing covers at least.
        most_share: Share that it covers at most; what is larger is the place, not a thing.
        most_of_a_kind: Nobody counts to the eighth cup from the left.
        same_share: Overlap over union of two masks from which they show the same thing.
        clear_ratio: Of two labels for one thing the stronger one counts if its score is so many
            times the other one's; else neither kind is named.
    """

    labels: frozenset[str] | None = None
    least_score: float = 0.35
    doubtful_score: float = 0.2
    least_share: float = 0.0008
    most_share: float = 0.4
    most_of_a_kind: int = 6
    same_share: float = 0.7
    clear_ratio: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.doubtful_score <= self.least_score <= 1:
            raise ConfigurationError(
                f"doubtful_score {self.doubtful_score} and least_score {self.least_score} must"
                " rise within 0 to 1"
            )
        if not 0 < self.least_share < self.most_share <= 1:
            raise ConfigurationError(
                f"least_share {self.least_share} and most_share {self.most_share} must rise"
                " within 0 to 1"
            )
        if self.most_of_a_kind < 1 or self.clear_ratio < 1 or not 0 < self.same_share <= 1:
            raise ConfigurationError(
                f"most_of_a_kind {self.most_of_a_kind} and clear_ratio {self.clear_ratio} must be"
                f" at least 1, same_share {self.same_share} above 0 and at most 1"
            )


@dataclass(frozen=True, eq=False)
class Filtered:
    """What is left of the detections of a photograph.

    Attributes:
        things: Those that are believed, best first.
        nameless: Further ones that are, or may be, things.
        lost: Whether there may be a thing that is in neither, since it has no mask.
        dropped: How many are not named, or left out altogether, by reason.
    """

    things: tuple[Detection, ...]
    nameless: tuple[Detection, ...]
    lost: bool
    dropped: Mapping[str, int]


def filter_detections(
    detections: Sequence[Detection], shape: tuple[int, int], settings: FilterSettings
) -> Filtered:
    """Return the detections that are believed, kind by kind.

    Args:
        detections: In any order.
        shape: Height and width of the photograph.
        settings: When a detection counts.

    Raises:
        SourceError: A mask has another shape than the photograph, or a score is no number from
            0 to 1.
    """
    dropped: Counter[str] = Counter()
    doubted: set[str] = set()
    believed: list[Detection] = []
    nameless: list[Detection] = []
    for found in sorted(detections, key=lambda d: -d.score):
        _check(found, shape)
        fault = _fault(found, settings)
        if fault not in _NO_THING and _repeated(found, [*believed, *nameless], settings):
            fault = "same thing"
        if not fault:
            believed.append(found)
            continue
        dropped[fault] += 1
        if fault in _DOUBTS:
            doubted.add(found.label)
        if fault in _NAMELESS:
            nameless.append(found)
    doubted |= _contested(detections, settings)
    counts = Counter(thing.label for thing in believed)
    doubted |= {label for label, count in counts.items() if count > settings.most_of_a_kind}
    things = tuple(thing for thing in believed if thing.label not in doubted)
    nameless += [thing for thing in believed if thing.label in doubted]
    dropped["kind in doubt"] += len(believed) - len(things)
    return Filtered(things, tuple(nameless), dropped["no mask"] > 0, dict(+dropped))


def _check(found: Detection, shape: tuple[int, int]) -> None:
    if not (np.isfinite(found.score) and 0 <= found.score <= 1):
        raise SourceError(f"bad estimate: score of '{found.label}' is {found.score}; use 0 to 1")
    mask = found.mask
    if mask is not None and (mask.shape != shape or mask.dtype != np.bool_):
        raise SourceError(
            f"bad estimate: mask of '{found.label}' is {mask.dtype} {mask.shape};"
            f" bool {shape}, as the photograph, is needed"
        )


def _fault(found: Detection, settings: FilterSettings) -> str:
    """Return why a detection is not believed, or ""."""
    label = found.label
    if label in STUFF:
        return "no single thing"
    if found.score < settings.doubtful_score:
        return "score near nothing"
    if found.mask is None:
        return "no mask"
    share = float(found.mask.mean())
    if share > settings.most_share:
        return "too large"
    if settings.labels is not None and label not in settings.labels:
        return "label not wanted"
    if not _PLAIN.fullmatch(label) or len(label) > _LONGEST_LABEL:
        return "label not plain"
    if found.score < settings.least_score:
        return "score doubtful"
    return "too small" if share < settings.least_share else ""


def _repeated(found: Detection, others: Sequence[Detection], settings: FilterSettings) -> bool:
    """Tell whether a better detection shows the same thing already."""
    return any(_overlap(found, other) >= settings.same_share for other in others)


def _contested(detections: Sequence[Detection], settings: FilterSettings) -> set[str]:
    """Return labels of which others that are about as good claim the same thing."""
    rivals = [d for d in detections if d.score >= settings.doubtful_score and d.mask is not None]
    contested = set()
    for i, one in enumerate(rivals):
        for other in rivals[:i]:
            clear = max(one.score, other.score) >= settings.clear_ratio * min(
                one.score, other.score
            )
            if one.label == other.label or clear:
                continue
            if _overlap(one, other) >= settings.same_share:
                contested |= {one.label, other.label}
    return contested


def _overlap(one: Detection, other: Detection) -> float:
    """Return intersection over union of two masks."""
    if one.mask is None or other.mask is None:
        return 0.0
    either: BoolArray = one.mask | other.mask
    return float((one.mask & other.mask).sum() / max(int(either.sum()), 1))
