# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the executive needs of the rest of the robot, without any ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from roborefer_operator.core.language.steps import Context, Plan, Verb


@dataclass(frozen=True, eq=False)
class Reference:
    """What some words were found to mean.

    Attributes:
        id: Of it, hexadecimal.
        pixel: u and v in the image.
        stamp_ns: Of the image.
        kind: Constant KIND_* of roborefer_msgs/SpatialReference.
        label: Short name for people, or "".
        words: That were looked for; "" for a click.
        confidence: 0 to 1.
        frame: Of position; "" without one.
        position: On the surface, metres; None without a 3D place.
        raw: The message, handed back unchanged to whoever acts on it.
    """

    id: str
    pixel: tuple[float, float]
    stamp_ns: int
    kind: int
    label: str = ""
    words: str = ""
    confidence: float = 1.0
    frame: str = ""
    position: tuple[float, float, float] | None = None
    raw: object = None


KIND_UNKNOWN, KIND_OBJECT, KIND_PART, KIND_FREE_SPACE, KIND_INSIDE = range(5)


@dataclass(frozen=True)
class Wish:
    """What to refer to.

    Attributes:
        phrase: The words.
        pixel: A place in the newest image, instead of words; None to go by the words.
        kind: Wanted kind; KIND_UNKNOWN for any.
        fresh: Only an image that is taken from now on will do.
    """

    phrase: str
    pixel: tuple[float, float] | None = None
    kind: int = KIND_UNKNOWN
    fresh: bool = False


Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Heard:
    """What a recogniser made of a piece of sound.

    Attributes:
        text: The words; "" for sound without words.
        confidence: 0 to 1.
    """

    text: str
    confidence: float


@dataclass(frozen=True)
class Outcome:
    """How a request ended.

    Attributes:
        code: Constant of ErrorCode.
        message: For people; "" on success.
        phase: Constant of Phase in which it ended.
        references: Of a successful refer, best first.
        candidates: Of an ambiguous one.
        plan: Of a sentence that was split.
        seen: Whether whoever acted has seen the effect and measured it.
        heard: Of sound that was recognised.
    """

    code: int = 0
    message: str = ""
    phase: int = 255
    references: tuple[Reference, ...] = ()
    candidates: tuple[Reference, ...] = ()
    plan: Plan | None = None
    seen: bool = False
    heard: Heard | None = None


class Pending(Protocol):
    """A request under way; never blocks."""

    @property
    def phase(self) -> int:
        """Constant of Phase."""

    def outcome(self) -> Outcome | None:
        """How it ended; None while it is under way."""

    def cancel(self) -> None:
        """Ask to end it; calling it twice is allowed. Its outcome still comes."""


@dataclass(frozen=True)
class Ended:
    """A request that has its outcome already."""

    result: Outcome

    @property
    def phase(self) -> int:
        """Constant of Phase."""
        return self.result.phase

    def outcome(self) -> Outcome:
        """How it ended."""
        return self.result

    def cancel(self) -> None:
        """Nothing is left to end."""


class Ports(Protocol):
    """The servers and sensors of the robot."""

    def now_ns(self) -> int:
        """Time of the node's clock."""

    def can(self, verb: Verb) -> bool:
        """Whether this robot has what a verb needs."""

    def holding(self) -> bool:
        """Whether something is in the gripper."""

    def moved(self, reference: Reference) -> bool:
        """Whether what is referred to is known to stand elsewhere by now."""

    def hear(self, samples: Samples) -> Pending | None:
        """Recognise speech, 16000 samples per second; None where there is no recogniser."""

    def split(self, sentence: str, context: Context) -> Pending | None:
        """Ask a language model for the steps; None where there is none."""

    def refer(self, wish: Wish) -> Pending:
        """Look for what is wished."""

    def pick(self, target: Reference, place: Reference | None, plan_only: bool) -> Pending:
        """Take something, such that it can be put at a place."""

    def place(self, where: Reference, plan_only: bool) -> Pending:
        """Put what is held somewhere."""

    def hand_over(self, plan_only: bool) -> Pending:
        """Put what is held where a person takes it."""

    def go_to(self, target: Reference) -> Pending:
        """Move the base."""

    def set_stop(self, stop: bool) -> None:
        """Set or release the latched stop of all motion."""
