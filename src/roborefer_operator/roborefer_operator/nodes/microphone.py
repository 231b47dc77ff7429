# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A microphone of this machine, through the library sounddevice where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from roborefer_operator.core.speech.audio import RATE, Samples
from roborefer_operator.exceptions import Reason, TaskFailure

_BLOCK = RATE // 20


class Microphone:
    """Hands over sound from a thread of its own until it is closed."""

    def __init__(self, device: str, take: Callable[[Samples], None]) -> None:
        """Open it.

        Args:
            device: Name or number; "" is the default one.
            take: Called with the samples of each twentieth of a second, 16 kHz.

        Raises:
            TaskFailure: NO_AUDIO: there is no library, no such device, or it is in use.
        """
        try:
            library = import_module("sounddevice")
        except (ImportError, OSError) as error:
            raise TaskFailure(
                Reason.NO_AUDIO,
                f"the microphone needs sounddevice and PortAudio ({error}); install them: apt"
                " install libportaudio2, pip install sounddevice; or publish on the topic audio",
            ) from error

        def received(data: Any, frames: int, time: Any, status: Any) -> None:
            take(data[:, 0].copy())

        chosen: str | int | None = int(device) if device.isdecimal() else device or None
        try:
            self._stream = library.InputStream(
                samplerate=RATE, channels=1, dtype="int16", blocksize=_BLOCK, device=chosen,
                callback=received,
            )  # fmt: skip
            self._stream.start()
        except (library.PortAudioError, ValueError) as error:
            raise TaskFailure(
                Reason.NO_AUDIO,
                f"the microphone '{device or 'default'}' cannot be opened ({error}); list the"
                " devices: python3 -m sounddevice",
            ) from error

    def close(self) -> None:
        """Let go of it; calling it twice is allowed."""
        self._stream.close()
