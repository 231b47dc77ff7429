# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a recogniser is, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from roborefer_operator.core.ports import Heard
from roborefer_operator.core.speech.audio import Samples


class Engine(Protocol):
    """Turns the sound of one utterance into words; called by one thread at a time."""

    closed: bool
    """Whether it can say nothing but words of the command grammar, so that its rules decide."""

    def hear(self, samples: Samples, phrases: Sequence[str] = ()) -> list[Heard]:
        """Return what may have been said, best first; empty when there are no words.

        Args:
            samples: 16 kHz, checked.
            phrases: Names to expect, where the engine can make use of them.

        Raises:
            TaskFailure: ENGINE_UNAVAILABLE.
        """
