# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a sentence means: steps, their readings, and what is said about a task that runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Verb(IntEnum):
    """What to do: the constants of roborefer_msgs/TaskStep."""

    REFER = 1
    PICK = 2
    PLACE = 3
    GO_TO = 4
    HAND_OVER = 5


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        verb: What.
        phrase: The words that say which thing or place, as the person said them; "" where none
            are needed. Only a pronoun is replaced by the words that it stands for.
    """

    verb: Verb
    phrase: str = ""


@dataclass(frozen=True)
class Plan:
    """The steps of a sentence.

    Attributes:
        steps: In order, at least one.
        others: Other ways to read the same sentence, best first: "the mug on the tray in the
            box" may be a mug that is on the tray. Who sees the scene can tell which one holds.
    """

    steps: tuple[Step, ...]
    others: tuple[tuple[Step, ...], ...] = ()


class Control(StrEnum):
    """Words about the task itself."""

    STOP = "stop"
    UNDO = "undo"
    AGAIN = "again"
    CONTINUE = "continue"


@dataclass(frozen=True)
class Correction:
    """What was meant instead: "no, the left one".

    Attributes:
        target: Words for the thing that was meant; "" if that was not corrected.
        place: Words for the place that was meant; "" if that was not corrected.
        plan: A whole new command, or None.
    """

    target: str = ""
    place: str = ""
    plan: Plan | None = None


Utterance = Plan | Control | Correction


@dataclass(frozen=True)
class Context:
    """What came before, for words that point back.

    Attributes:
        holding: Whether something is in the gripper.
        target: Words for the thing of the last step, without pronouns; "" if there is none.
        place: Words for the last place; "" if there is none.
        held: Words by which the thing in the gripper was picked; "" if that is not known.
    """

    holding: bool = False
    target: str = ""
    place: str = ""
    held: str = ""
