# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Cuts a stream of sound into utterances."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roborefer_operator.core.speech.audio import FULL_SCALE, RATE, Samples
from roborefer_operator.exceptions import Reason, TaskFailure


@dataclass(frozen=True)
class EndpointSettings:
    """When an utterance begins and ends.

    Attributes:
        open_microphone: Whether speech begins and ends an utterance. False: push to talk, an
            utterance is all that comes until the piece that is marked as the last.
        before_s: Kept from before speech began.
        pause_s: Silence that ends an utterance.
        most_s: An utterance is cut when it gets longer.
    """

    open_microphone: bool = False
    before_s: float = 0.3
    pause_s: float = 0.6
    most_s: float = 20.0


@dataclass(frozen=True)
class Cut:
    """An utterance in a stream.

    Attributes:
        samples: Of it.
        begin: Of its first sample, counted from the beginning of the stream.
    """

    samples: Samples
    begin: int

    @property
    def end(self) -> int:
        """Behind its last sample, counted from the beginning of the stream."""
        return self.begin + len(self.samples)


class Detector(Protocol):
    """Tells speech from silence."""

    size: int
    """Samples of a frame."""

    def is_speech(self, frame: Samples, going: bool) -> bool:
        """Whether a frame is speech; `going`: whether the one before was."""


class LoudnessDetector:
    """Speech is what is louder than the quietest moments of the last seconds.

    Steady noise is learned as quiet. Noise that comes and goes is taken for speech.
    """

    size = RATE // 50
    _ON_DB, _OFF_DB, _LEAST_DB, _MEMORY = 12.0, 7.0, -70.0, 150

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=self._MEMORY)

    def is_speech(self, frame: Samples, going: bool) -> bool:
        """Whether a frame is speech."""
        values = np.diff(frame.astype(float)) / FULL_SCALE
        # Speech has its hiss and its vowels above hum and rumble, which the difference damps.
        level = float(10 * np.log10(np.mean(values**2) + 1e-12))
        self._levels.append(max(level, -90.0))
        floor = (
            float(np.quantile(np.array(self._levels), 0.15)) if len(self._levels) > 5 else level
        )
        return level > max(floor + (self._OFF_DB if going else self._ON_DB), self._LEAST_DB)


class SileroDetector:
    """Speech by silero-vad's ONNX file, which stays right in noise; needs onnxruntime."""

    size = 512
    _ON, _OFF, _CONTEXT = 0.5, 0.35, 64

    def __init__(self, path: Path) -> None:
        """Load it.

        Raises:
            TaskFailure: ENGINE_UNAVAILABLE.
        """
        try:
            runtime = import_module("onnxruntime")
            self._session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:
            # The library has no base class of its errors.
            raise TaskFailure(
                Reason.ENGINE_UNAVAILABLE,
                f"the speech detector {path} cannot be loaded ({error}); install onnxruntime and"
                " give silero_vad.onnx of 16 kHz, or leave endpoint.silero_file empty",
            ) from error
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context: NDArray[np.float32] = np.zeros(self._CONTEXT, np.float32)

    def is_speech(self, frame: Samples, going: bool) -> bool:
        """Whether a frame is speech."""
        new: NDArray[np.float32] = frame.astype(np.float32) / np.float32(FULL_SCALE)
        heard = np.concatenate([self._context, new])[None]
        inputs = {"input": heard, "state": self._state, "sr": np.array(RATE, np.int64)}
        share, self._state = self._session.run(None, inputs)
        self._context = new[-self._CONTEXT :]
        return float(share[0][0]) > (self._OFF if going else self._ON)


class Endpointer:
    """Takes sound piece by piece, and gives utterances."""

    # So many speech frames in a row begin an utterance: a click does not.
    _BEGIN = 3

    def __init__(self, settings: EndpointSettings, detector: Detector | None = None) -> None:
        """Begin with silence.

        Args:
            settings: When utterances begin and end.
            detector: Tells speech from silence.
        """
        self._settings, self._detector = settings, detector or LoudnessDetector()
        self._position = 0
        self._kept: list[Samples] = []
        self._rest = np.zeros(0, np.int16)
        self._run = self._quiet = 0
        self._going = self._inside = False

    def push(self, samples: Samples, last: bool = False) -> list[Cut]:
        """Take the next piece; returns the utterances that ended in it.

        Args:
            samples: 16 kHz, any number.
            last: Whether this piece ends an utterance, such as when the talk button is let go.
        """
        self._rest = np.concatenate([self._rest, samples])
        size, found = self._detector.size, []
        while len(self._rest) >= size:
            frame, self._rest = self._rest[:size], self._rest[size:]
            found += self._take(frame)
        if last:
            found += self._finish()
        return found

    @property
    def pending(self) -> bool:
        """Whether an utterance is under way."""
        if self._settings.open_microphone:
            return self._inside
        return bool(self._kept) or bool(len(self._rest))

    def _take(self, frame: Samples) -> list[Cut]:
        self._position += len(frame)
        self._kept.append(frame)
        limit = int(self._settings.most_s * RATE)
        if not self._settings.open_microphone:
            return [self._cut()] if self._size >= limit else []
        self._going = self._detector.is_speech(frame, self._going)
        self._run = self._run + 1 if self._going else 0
        self._quiet = 0 if self._going else self._quiet + 1
        seconds = len(frame) / RATE
        if not self._inside:
            self._inside = self._run >= self._BEGIN
            before = self._BEGIN + int(self._settings.before_s / seconds)
            if not self._inside:
                self._kept = self._kept[-before:]
            return []
        if self._quiet * seconds >= self._settings.pause_s or self._size >= limit:
            return [self._cut()]
        return []

    def _finish(self) -> list[Cut]:
        """End what is under way because the speaker said so."""
        self._position += len(self._rest)
        self._kept.append(self._rest)
        self._rest = self._rest[:0]
        return [self._cut()]

    @property
    def _size(self) -> int:
        return sum(len(piece) for piece in self._kept)

    def _cut(self) -> Cut:
        samples = np.concatenate(self._kept) if self._kept else np.zeros(0, np.int16)
        self._kept, self._inside, self._run, self._quiet = [], False, 0, 0
        return Cut(samples, self._position - len(samples))
