# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sound as the recognisers want it: checked, 16 kHz, one channel, signed 16-bit samples."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roborefer_operator.exceptions import Reason, TaskFailure

Samples = NDArray[np.int16]

RATE = 16000
FULL_SCALE = 32767
_RATES = (8000, 96000)
_FRAME = RATE // 50


@dataclass(frozen=True)
class AudioLimits:
    """What counts as an utterance.

    Attributes:
        least_s: Shorter ones are refused.
        most_s: Longer ones are refused.
        silence_db: The loudest 20 ms must be louder than this, relative to full scale.
        clipped_share: Of samples at full scale that is too much.
    """

    least_s: float = 0.2
    most_s: float = 20.0
    silence_db: float = -55.0
    clipped_share: float = 0.1


def checked(samples: Samples, limits: AudioLimits | None = None) -> Samples:
    """Return the samples of an utterance if they can be recognised.

    Args:
        samples: Shape (n,), 16 kHz.
        limits: What counts as an utterance.

    Raises:
        TaskFailure: INVALID_AUDIO: of another form, too short, too long or clipped. NO_AUDIO:
            there are no samples, or all are silent.
    """
    limits = limits or AudioLimits()
    if samples.ndim != 1 or samples.dtype != np.int16:
        raise _invalid(
            f"the samples are {samples.dtype} of shape {samples.shape}; one channel of int16 is"
            " needed"
        )
    if not len(samples):
        raise TaskFailure(Reason.NO_AUDIO, "there are no samples; look at the microphone")
    seconds = len(samples) / RATE
    if seconds < limits.least_s:
        raise _invalid(f"{seconds:.2f} s of sound came; at least {limits.least_s:g} s are needed")
    if seconds > limits.most_s:
        raise _invalid(f"{seconds:.1f} s of sound came; at most {limits.most_s:g} s are taken")
    loudest = float(level_db(samples).max())
    if loudest < limits.silence_db:
        raise TaskFailure(
            Reason.NO_AUDIO,
            f"the loudest moment has {max(loudest, -120.0):.0f} dB of full scale: silence;"
            f" unmute the microphone or turn it up (more than {limits.silence_db:g} dB)",
        )
    clipped = float(np.mean(np.abs(samples.astype(np.int32)) >= FULL_SCALE))
    if clipped > limits.clipped_share:
        raise _invalid(
            f"{100 * clipped:.0f} % of the samples are at full scale; turn the microphone down"
            f" (at most {100 * limits.clipped_share:.0f} %)"
        )
    return samples


def level_db(samples: Samples) -> NDArray[np.float64]:
    """Return the loudness of each 20 ms, relative to full scale; shape (frames,), at least one."""
    count = max(1, len(samples) // _FRAME)
    padded = np.zeros(count * _FRAME)
    padded[: min(len(samples), len(padded))] = samples[: len(padded)]
    power = np.mean((padded.reshape(count, _FRAME) / FULL_SCALE) ** 2, axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def contrast_db(samples: Samples) -> float:
    """Return how far loud moments stand above quiet ones, about the ratio of speech to noise."""
    quiet, loud = np.quantile(level_db(samples), (0.05, 0.9))
    return float(loud - quiet)


def resampled(samples: Samples, rate: int) -> Samples:
    """Return samples of another rate at 16 kHz.

    Args:
        samples: Shape (n,).
        rate: Of them, per second.

    Raises:
        TaskFailure: INVALID_AUDIO: no such rate is taken.
    """
    if rate == RATE:
        return samples
    if not _RATES[0] <= rate <= _RATES[1]:
        raise _invalid(
            f"the sample rate is {rate}; {RATE} is needed, {_RATES[0]} to {_RATES[1]} is converted"
        )
    if not len(samples):
        return samples
    # A low pass below both Nyquist rates, then a straight line between neighbours of a finer grid.
    divisor = gcd(rate, RATE)
    up, down = RATE // divisor, rate // divisor
    spectrum = np.fft.rfft(samples.astype(float))
    frequencies = np.fft.rfftfreq(len(samples), 1.0 / rate)
    spectrum[frequencies > 0.48 * min(rate, RATE)] = 0.0
    size = max(1, len(samples) * up // down)
    fine = 8 * len(samples)
    smooth = np.fft.irfft(spectrum, fine) * 8
    places = np.arange(size) * (rate / RATE) * 8
    found = np.interp(places, np.arange(fine), smooth)
    return np.asarray(np.clip(np.round(found), -FULL_SCALE - 1, FULL_SCALE), np.int16)


def read_wav(path: Path) -> tuple[Samples, int]:
    """Return samples and rate of a WAV file with 16-bit samples; several channels are averaged.

    Raises:
        TaskFailure: INVALID_AUDIO: it cannot be read, or holds something else.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise _invalid(f"{path} is no WAV file that can be read ({error})") from error
    if width != 2:
        raise _invalid(f"{path} has samples of {8 * width} bits; 16 are needed")
    samples = np.frombuffer(raw[: len(raw) // (2 * channels) * 2 * channels], "<i2")
    if channels > 1:
        mean = samples.reshape(-1, channels).astype(np.int32).mean(axis=1)
        samples = np.round(mean).astype(np.int16)
    return np.asarray(samples, np.int16), rate


def _invalid(message: str) -> TaskFailure:
    return TaskFailure(Reason.INVALID_AUDIO, message)
