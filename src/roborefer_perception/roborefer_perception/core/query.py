# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From what the model answered, or a person clicked, to places that are checked one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from roborefer_perception.core.agreement import AgreementSettings, agree
from roborefer_perception.core.answers import (
    Answer,
    AnsweredPoint,
    Outcome,
    Perception,
    Step,
    clean,
)
from roborefer_perception.core.camera import Array
from roborefer_perception.core.frames import ImageWish
from roborefer_perception.core.place import (
    Calibration,
    LocateSettings,
    Posed,
    locate,
    placed,
)
from roborefer_perception.core.types import Kind, Place, RgbdFrame
from roborefer_perception.exceptions import Reason, ReferFailure

# Model text in messages for people is cut to this many letters.
_QUOTED = 200
# "[Position Perception] [the red mug]: (0.31, 0.52)", as models of this family reason.
_STEP = re.compile(r"^[\W\d]*\[(position|orientation|size)[^\]]*\]\s*\[([^\]]*)\]", re.IGNORECASE)


@dataclass(frozen=True)
class QuerySettings:
    """What a goal that leaves something open gets, and what bounds all goals.

    Attributes:
        target_frame: Of the resulting poses.
        max_image_age_s: Older images are not the newest.
        wait_s: Longest wait for picture, intrinsics and transform.
        deadline_s: Longest query.
        samples: Answers that the model gives.
        most_samples: A goal may not ask for more.
        min_confidence: Less is refused.
    """

    target_frame: str = "base_link"
    max_image_age_s: float = 0.5
    wait_s: float = 2.0
    deadline_s: float = 30.0
    samples: int = 1
    most_samples: int = 16
    min_confidence: float = 0.2


@dataclass(frozen=True)
class Wish:
    """One goal, checked, with the parameters in place of what it left open.

    Attributes:
        words: What is asked; empty only with a clicked pixel.
        kind: What is wanted; UNKNOWN: anything.
        image: Which picture.
        wait_s: Longest wait for picture, intrinsics and transform.
        deadline_s: Longest time in total.
        samples: How many answers the model gives.
        min_confidence: Less is refused.
        target_frame: Of the resulting poses.
        pixel: u and v that a person clicked; None: the model is asked.
        follow: Whether the first place is followed afterwards.
    """

    words: str
    kind: Kind
    image: ImageWish
    wait_s: float
    deadline_s: float
    samples: int
    min_confidence: float
    target_frame: str
    pixel: tuple[float, float] | None = None
    follow: bool = False


@dataclass(frozen=True, eq=False)
class Workspace:
    """A box outside of which no place is accepted.

    Attributes:
        low: Lowest x, y, z, metres, shape (3,).
        high: Highest x, y, z, metres, shape (3,).
    """

    low: Array
    high: Array

    def refusal(self, point: Array, frame: str) -> str:
        """Return why a point is refused, or ""."""
        for axis, value, low, high in zip("xyz", point, self.low, self.high, strict=True):
            if not low <= value <= high:
                return (
                    f"the place is at {axis} = {value:.3f} m in '{frame}', the workspace spans"
                    f" {low:g} to {high:g} m; refer to something nearer or widen workspace.*"
                )
        return ""


@dataclass(frozen=True, eq=False)
class Look:
    """One picture and where it was taken from.

    Attributes:
        frame: The picture.
        t_target_optical: Pose of the camera in the target frame, shape (4, 4).
        box_frame: Frame of the workspace.
        t_box_optical: Pose of the camera in that, shape (4, 4).
        workspace: Where places may be.
        locate: How a pixel becomes a place.
        pixel_sigma: Standard deviation of the model's u and v, pixels.
        calibration: How well the pose of the camera is known.
        agreement: How several answers become one.
        check: Called between steps; what it raises ends the query.
    """

    frame: RgbdFrame
    t_target_optical: Array
    box_frame: str
    t_box_optical: Array
    workspace: Workspace
    locate: LocateSettings
    pixel_sigma: float
    calibration: Calibration
    agreement: AgreementSettings
    check: Callable[[], None]


@dataclass(frozen=True, eq=False)
class Found:
    """A place that is meant, or that may be meant.

    Attributes:
        pixel: u and v; after snapping, if there is a place.
        place: In the optical frame; None when depth supports none.
        posed: The same in the target frame; None when depth supports none or it lies outside the
            workspace, of candidates too.
        kind: What it is.
        label: Short name for people, or "".
        confidence: 0 (guess) to 1 (sure).
        number: Of a candidate, from 1; 0: the one that is meant.
        samples: How many answers were drawn; 0: a person clicked.
        agreeing: How many of them mean this place.
        spread_m: Standard deviation of those, metres.
    """

    pixel: tuple[float, float]
    place: Place | None
    posed: Posed | None
    kind: Kind
    label: str = ""
    confidence: float = 1.0
    number: int = 0
    samples: int = 1
    agreeing: int = 1
    spread_m: float = 0.0


class Undecided(ReferFailure):
    """AMBIGUOUS or LOW_CONFIDENCE: a person has to choose.

    Attributes:
        candidates: What could be meant, numbered from 1.
    """

    def __init__(self, reason: Reason, message: str, candidates: Sequence[Found]) -> None:
        super().__init__(reason, message)
        self.candidates = tuple(
            replace(found, number=number) for number, found in enumerate(candidates, start=1)
        )


def clicked(look: Look, wish: Wish) -> tuple[Found, ...]:
    """Return the place that a person clicked.

    Raises:
        ReferFailure: INVALID_GOAL, NO_VALID_DEPTH, WRONG_KIND or OUTSIDE_WORKSPACE.
    """
    assert wish.pixel is not None
    found = _located(look, wish.pixel, wish.kind)
    _check_kind(found.kind, wish.kind)
    _check_workspace(look, found)
    return (replace(found, samples=0, agreeing=0),)


def answered(look: Look, wish: Wish, answer: Answer) -> tuple[Found, ...]:
    """Return the places that an answer means, best first.

    The first one always has a place. Further ones of a plural answer keep only their pixel where
    depth supports no place, or where it lies outside the workspace.

    Raises:
        Undecided: AMBIGUOUS or LOW_CONFIDENCE, with candidates.
        ReferFailure: NOTHING_FOUND, ANSWER_INVALID, WRONG_KIND, NO_VALID_DEPTH or
            OUTSIDE_WORKSPACE; or from look.check.
    """
    kind = wish.kind or answer.kind
    if answer.outcome is Outcome.AMBIGUOUS:
        several = [
            replace(_perhaps(look, point, kind), label=_told_apart(point))
            for point in answer.candidates
        ]
        raise _ambiguous(look, clean(answer.text, _QUOTED), several)
    if answer.outcome is not Outcome.OK:
        raise _without_points(answer, wish)
    _check_kind(answer.kind, wish.kind)
    singular = len(answer.points) == 1 and len(answer.samples) > 1
    found = _agreed(look, answer, kind) if singular else _each(look, answer, kind)
    best = found[0]
    _check_kind(best.kind, wish.kind)
    if best.confidence < wish.min_confidence:
        raise Undecided(
            Reason.LOW_CONFIDENCE,
            f"'{best.label or wish.words[:_QUOTED]}' was found with a confidence of"
            f" {best.confidence:.2f}, below the {wish.min_confidence:.2f} wanted; confirm it or"
            " rephrase",
            [_inside_only(look, one) for one in found],
        )
    _check_workspace(look, best)
    return (best, *(_inside_only(look, other) for other in found[1:]))


def live_steps(text: str) -> tuple[Step, ...]:
    """Return the lines of reasoning that is still being written as steps, without their values.

    Their numbers are in the coordinates of whatever model writes; the final answer has them in
    pixels.
    """
    steps = []
    for line in clean(text).splitlines():
        if line := line.strip():
            known = _STEP.match(line)
            perception = Perception[known[1].upper()] if known else Perception.OTHER
            steps.append(Step(line, perception, known[2].strip() if known else ""))
    return tuple(steps)


def _located(look: Look, pixel: tuple[float, float], kind: Kind) -> Found:
    look.check()
    frame = look.frame
    place = locate(frame.depth_m, frame.camera, pixel, kind, look.locate, look.pixel_sigma)
    posed = placed(place, look.t_target_optical, look.calibration)
    return Found(place.pixel, place, posed, place.kind)


def _perhaps(look: Look, point: AnsweredPoint, kind: Kind) -> Found:
    """A point that may keep nothing but its pixel."""
    try:
        found = _located(look, (point.u, point.v), kind)
    except ReferFailure as failure:
        if failure.reason not in (Reason.NO_VALID_DEPTH, Reason.WRONG_KIND):
            raise
        found = Found((point.u, point.v), None, None, kind)
    return replace(found, label=point.label, confidence=point.confidence)


def _told_apart(point: AnsweredPoint) -> str:
    """Name a candidate with what sets it apart from the others, such as "mug (the left one)"."""
    if not point.reason:
        return point.label
    return f"{point.label} ({point.reason[:_QUOTED]})".strip()


def _each(look: Look, answer: Answer, kind: Kind) -> list[Found]:
    """All points of an answer; a sample agrees with one when it has a point on the same thing."""
    first, *rest = answer.points
    best = replace(
        _located(look, (first.u, first.v), kind), label=first.label, confidence=answer.confidence
    )
    found = [best, *(_perhaps(look, point, kind) for point in rest)]
    samples = max(1, len(answer.samples))
    if samples == 1:
        return found
    counted = []
    for one in found:
        agreeing = max(1, sum(_touches(one.place, points) for points in answer.samples))
        share = agreeing / samples
        counted.append(
            replace(one, samples=samples, agreeing=agreeing, confidence=share * one.confidence)
        )
    return counted


def _touches(place: Place | None, points: Sequence[AnsweredPoint]) -> bool:
    return place is not None and any(
        place.region[int(point.v + 0.5), int(point.u + 0.5)] for point in points
    )


def _agreed(look: Look, answer: Answer, kind: Kind) -> list[Found]:
    """The one place that most samples mean."""
    # Samples often repeat a pixel to the last digit.
    tried: dict[tuple[float, float], Found | ReferFailure] = {}
    votes: list[Found | ReferFailure | None] = []
    for points in answer.samples:
        pixel = (points[0].u, points[0].v) if points else None
        if pixel is not None and pixel not in tried:
            try:
                tried[pixel] = _located(look, pixel, kind)
            except ReferFailure as failure:
                if failure.reason not in (Reason.NO_VALID_DEPTH, Reason.WRONG_KIND):
                    raise
                tried[pixel] = failure
        votes.append(tried[pixel] if pixel is not None else None)
    agreement = agree(
        [vote.place if isinstance(vote, Found) else None for vote in votes],
        [points[0].confidence if points else 0.0 for points in answer.samples],
        look.agreement,
    )
    if not agreement.clusters:
        # The answer has a point, so some sample has; no depth supports any of them.
        raise next(vote for vote in votes if isinstance(vote, ReferFailure))
    found = []
    for cluster in agreement.clusters:
        middle = votes[cluster.place]
        assert isinstance(middle, Found)
        assert middle.place is not None
        found.append(
            replace(
                middle,
                posed=placed(
                    middle.place, look.t_target_optical, look.calibration, cluster.scatter
                ),
                label=answer.samples[cluster.place][0].label,
                confidence=cluster.confidence,
                samples=len(votes),
                agreeing=len(cluster.members),
                spread_m=cluster.spread_m,
            )
        )
    if agreement.ambiguous:
        raise _ambiguous(look, "", found)
    return found[:1]


def _without_points(answer: Answer, wish: Wish) -> ReferFailure:
    said = clean(answer.text, _QUOTED)
    words = clean(wish.words, _QUOTED)
    if answer.outcome is Outcome.INVALID_ANSWER:
        return ReferFailure(
            Reason.ANSWER_INVALID, f"the model wrote what cannot be read: '{said}'; ask again"
        )
    told = f" ({said})" if said else ""
    if answer.outcome is Outcome.TEXT:
        told = f"; the model answered in words: '{said}'"
    elif answer.outcome is Outcome.NOT_UNDERSTOOD:
        told = f"; the words were not understood{told}"
    return ReferFailure(
        Reason.NOTHING_FOUND, f"nothing in view is '{words}'{told}; rephrase or look elsewhere"
    )


def _ambiguous(look: Look, said: str, found: Sequence[Found]) -> Undecided:
    told = f" ({said})" if said else ""
    return Undecided(
        Reason.AMBIGUOUS,
        f"the words fit {len(found)} places{told}; choose one of the numbered candidates or say"
        " which one is meant",
        [_inside_only(look, one) for one in found],
    )


def _check_kind(found: Kind, wanted: Kind) -> None:
    if wanted and found and found != wanted:
        raise ReferFailure(
            Reason.WRONG_KIND,
            f"the answer is of kind {found.name.lower()}, {wanted.name.lower()} is wanted;"
            " rephrase or allow any kind",
        )


def _check_workspace(look: Look, found: Found) -> None:
    if refusal := _outside(look, found):
        raise ReferFailure(Reason.OUTSIDE_WORKSPACE, refusal)


def _outside(look: Look, found: Found) -> str:
    if found.place is None:
        return ""
    turn, move = look.t_box_optical[:3, :3], look.t_box_optical[:3, 3]
    return look.workspace.refusal(turn @ found.place.point + move, look.box_frame)


def _inside_only(look: Look, found: Found) -> Found:
    return replace(found, posed=None) if _outside(look, found) else found
