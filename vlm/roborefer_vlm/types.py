# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes into an engine and what comes out; the words of every other module.

Pixels, frames and depth follow docs/conventions.md: (0, 0) is the centre of the top left pixel,
an image spans -0.5 to width - 0.5, arrays are indexed [v, u], the optical frame is x right,
y down, z into the scene, and metric depth is measured along z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import PictureError, QueryError

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

LONGEST_TEXT = 4000
MOST_SAMPLES = 32


class TargetKind(StrEnum):
    """What a reference is about; the same words as roborefer_msgs/SpatialReference."""

    UNKNOWN = "unknown"
    OBJECT = "object"
    PART = "part"
    FREE_SPACE = "free_space"
    INSIDE = "inside"


class PerceptionType(StrEnum):
    """What a reasoning step perceives (RoboRefer, arXiv 2506.04308, section on RFT)."""

    OTHER = "other"
    POSITION = "position"
    ORIENTATION = "orientation"
    SIZE = "size"


class Outcome(StrEnum):
    """How a query ended; everything but OK comes without points."""

    OK = "ok"
    # A question was answered in words (yes/no, a number, a choice); text holds them.
    TEXT = "text"
    NOTHING_FOUND = "nothing_found"
    # Several things fit; candidates lists them, best first.
    AMBIGUOUS = "ambiguous"
    NOT_UNDERSTOOD = "not_understood"
    # The engine wrote something that no grammar accepts, or points outside the picture.
    INVALID_ANSWER = "invalid_answer"


@dataclass(frozen=True)
class Pixel:
    """A place in an image, sub-pixel; (0, 0) is the centre of the top left pixel."""

    u: float
    v: float

    @classmethod
    def from_normalised(cls, x: float, y: float, width: int, height: int) -> Pixel:
        """Take coordinates of which 0 to 1 span the whole picture, as models write them."""
        return cls(x * width - 0.5, y * height - 0.5)

    def normalised(self, width: int, height: int) -> tuple[float, float]:
        """Return (x, y) of which 0 to 1 span the whole picture."""
        return (self.u + 0.5) / width, (self.v + 0.5) / height

    def inside(self, width: int, height: int) -> bool:
        """Tell whether the picture covers this place."""
        return -0.5 <= self.u < width - 0.5 and -0.5 <= self.v < height - 0.5


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera without distortion; cx and cy count from the centre of the first pixel."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not all(map(isfinite, values)) or min(self.fx, self.fy) <= 0:
            raise QueryError(f"intrinsics {values} need finite fx, fy, cx, cy and fx, fy > 0")
        if self.width < 1 or self.height < 1:
            raise QueryError(f"intrinsics are for a {self.width} x {self.height} image")


@dataclass(frozen=True, eq=False)
class GivenObject:
    """A thing that the caller has found in the picture already.

    Attributes:
        name: What it is, in plain words; data from outside, never executed.
        mask: Its visible pixels, shape (height, width).
        attributes: Further words that are true of it, such as "red" or "lying".
    """

    name: str
    mask: BoolArray
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How many answers to draw, and how freely.

    One sample is decoded greedily. With several, the first one is greedy too and the others are
    drawn at this temperature, so that their spread tells how sure the engine is.
    """

    samples: int = 1
    temperature: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise QueryError(f"samples is {self.samples}; 1 to {MOST_SAMPLES} are allowed")
        if not (isfinite(self.temperature) and 0 < self.temperature <= 2):
            raise QueryError(f"temperature is {self.temperature}; use more than 0 and up to 2")


@dataclass(frozen=True, eq=False)
class Query:
    """One question about one view.

    Attributes:
        image: RGB, uint8, shape (height, width, 3).
        text: The sentence, unchanged from the person, without format suffix; never executed.
        depth_m: Metric depth registered to image, float32 metres, shape (height, width);
            0, NaN and infinity mean no measurement.
        relative_depth: What the depth tower sees when metric depth is not known: uint8, bright is
            near, shape (any height, any width). Not together with depth_m.
        intrinsics: Of image; needed by engines that reason in 3D.
        up: Unit vector against gravity in the optical frame. None: found from the scene.
        objects: Things already found; empty means that the engine has to look for itself.
        kind: What is wanted; UNKNOWN leaves it to the words.
        sampling: How many answers to draw.
        max_new_tokens: Longest answer of a language model.
    """

    image: UInt8Array
    text: str
    depth_m: FloatArray | None = None
    relative_depth: UInt8Array | None = None
    intrinsics: Intrinsics | None = None
    up: tuple[float, float, float] | None = None
    objects: tuple[GivenObject, ...] = ()
    kind: TargetKind = TargetKind.UNKNOWN
    sampling: Sampling = field(default_factory=Sampling)
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise PictureError(
                f"image has dtype {image.dtype} and shape {image.shape};"
                " uint8 (height, width, 3) is needed"
            )
        if not self.text.strip():
            raise QueryError("text is empty; say what to point at")
        if len(self.text) > LONGEST_TEXT:
            raise QueryError(f"text has {len(self.text)} characters; {LONGEST_TEXT} are allowed")
        if not 1 <= self.max_new_tokens <= 8192:
            raise QueryError(f"max_new_tokens is {self.max_new_tokens}; 1 to 8192 are allowed")
        self._check_depth()
        size = (self.height, self.width)
        for given in self.objects:
            if given.mask.shape != size or given.mask.dtype != np.bool_:
                raise PictureError(
                    f"mask of '{given.name}' is {given.mask.dtype} {given.mask.shape};"
                    f" bool {size} is needed"
                )
        if self.up is not None:
            length = float(np.linalg.norm(self.up))
            if not (isfinite(length) and abs(length - 1) < 1e-3):
                raise QueryError(
                    f"up is {self.up}, of length {length:.3g}; a unit vector is needed"
                )

    def _check_depth(self) -> None:
        size = (self.height, self.width)
        if self.depth_m is not None:
            if self.relative_depth is not None:
                raise PictureError("depth_m and relative_depth are both given; send one")
            if self.depth_m.shape != size or self.depth_m.dtype != np.float32:
                raise PictureError(
                    f"depth_m is {self.depth_m.dtype} {self.depth_m.shape};"
                    f" float32 {size}, as the image, is needed"
                )
        relative = self.relative_depth
        if relative is not None and (
            relative.dtype != np.uint8 or relative.ndim != 2 or not relative.size
        ):
            raise PictureError(
                f"relative_depth is {relative.dtype} {relative.shape};"
                " uint8 (rows, columns) is needed"
            )
        if self.intrinsics is not None and (
            (self.intrinsics.height, self.intrinsics.width) != size
        ):
            raise QueryError(
                f"intrinsics are for {self.intrinsics.width} x {self.intrinsics.height},"
                f" the image is {self.width} x {self.height}"
            )

    @property
    def width(self) -> int:
        """Columns of the image."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Rows of the image."""
        return int(self.image.shape[0])


@dataclass(frozen=True)
class ReasoningStep:
    """One step of the way to an answer.

    Attributes:
        text: The step as the engine wrote it; data, never executed.
        perception: What was perceived; decides which value below is meant.
        target: Words for the thing this step is about, or "".
        pixel: POSITION: where in the image.
        direction: ORIENTATION: unit vector in the optical frame.
        size_m: SIZE: metres.
    """

    text: str
    perception: PerceptionType = PerceptionType.OTHER
    target: str = ""
    pixel: Pixel | None = None
    direction: tuple[float, float, float] | None = None
    size_m: float | None = None


@dataclass(frozen=True)
class ReferredPoint:
    """A place that the words may mean.

    Attributes:
        pixel: Where in the image.
        confidence: 0 (guess) to 1 (sure).
        label: Short name for people, such as "red mug", or "".
        reason: Why this place fits, or how it differs from the other candidates; or "".
    """

    pixel: Pixel
    confidence: float = 1.0
    label: str = ""
    reason: str = ""


@dataclass(frozen=True)
class LatencySplit:
    """Where the time of one answer went, in seconds; zero for a stage that did not take place."""

    queue_s: float = 0.0
    preprocess_s: float = 0.0
    # Picture and depth towers with their projectors.
    encode_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    postprocess_s: float = 0.0
    total_s: float = 0.0
    # Tokens written, over all samples.
    new_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """What an engine makes of a query.

    Attributes:
        outcome: How it ended.
        points: OK: the places meant, best first; never empty then. Else empty.
        kind: What the points lie on.
        confidence: 0 (guess) to 1 (sure), of the first point.
        reasoning: The steps that led here, in order.
        candidates: AMBIGUOUS: what could be meant, best first, at least two.
        text: Raw answer of a language model, or one sentence for people.
        samples: Per drawn sample the points of that sample; one entry when one was drawn.
        engine: Name of engine and checkpoint, such as "roborefer:RoboRefer-2B-SFT".
        latency: Where the time went.
    """

    outcome: Outcome
    points: tuple[ReferredPoint, ...] = ()
    kind: TargetKind = TargetKind.UNKNOWN
    confidence: float = 0.0
    reasoning: tuple[ReasoningStep, ...] = ()
    candidates: tuple[ReferredPoint, ...] = ()
    text: str = ""
    samples: tuple[tuple[ReferredPoint, ...], ...] = ()
    engine: str = ""
    latency: LatencySplit = field(default_factory=LatencySplit)
