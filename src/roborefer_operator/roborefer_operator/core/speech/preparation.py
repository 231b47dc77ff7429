# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done to sound before it is recognised: a floor of noise, and less of steady noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roborefer_operator.core.speech.audio import FULL_SCALE, Samples, level_db

# Recognisers that were trained on microphones fail on perfect silence.
FLOOR_DB = 40.0
_WINDOW, _HOP = 512, 128
# How much more than the mean noise is taken away, and what is left at least.
_OVER, _LEAST = 1.5, 0.08
# The quietest share of frames is taken for noise.
_QUIET_SHARE = 0.15


def with_floor(samples: Samples, below_db: float = FLOOR_DB) -> Samples:
    """Add white noise that is so many dB below the speech, the same for the same samples."""
    levels = level_db(samples)
    loud = levels[levels > levels.max() - 25.0]
    amplitude = FULL_SCALE * 10 ** ((float(loud.mean()) - below_db) / 20)
    noise = np.random.default_rng(len(samples)).standard_normal(len(samples)) * amplitude
    return _as_samples(samples + noise)


def without_steady_noise(samples: Samples) -> Samples:
    """Take away the spectrum that is there in the quietest moments, too."""
    if len(samples) < 4 * _WINDOW:
        return samples
    window = np.hanning(_WINDOW + 1)[:-1]
    padded = np.concatenate([np.zeros(_WINDOW), samples.astype(float), np.zeros(2 * _WINDOW)])
    starts = np.arange(0, len(padded) - _WINDOW, _HOP)
    frames = padded[starts[:, None] + np.arange(_WINDOW)] * window
    spectra = np.fft.rfft(frames, axis=1)
    power = np.abs(spectra) ** 2
    energy = power.sum(axis=1)
    # Frames that the padding made quiet tell nothing about noise.
    inside = (starts >= _WINDOW) & (starts + _WINDOW <= _WINDOW + len(samples))
    border = np.quantile(energy[inside], _QUIET_SHARE)
    noise = power[inside & (energy <= border)].mean(axis=0)
    gain = np.sqrt(np.maximum(1.0 - _OVER * noise / np.maximum(power, 1e-9), _LEAST**2))
    cleaned = np.fft.irfft(spectra * gain, axis=1) * window
    result = np.zeros(len(padded))
    weight = np.zeros(len(padded))
    for start, frame in zip(starts, cleaned, strict=True):
        result[start : start + _WINDOW] += frame
        weight[start : start + _WINDOW] += window**2
    result /= np.maximum(weight, 1e-3)
    return _as_samples(result[_WINDOW : _WINDOW + len(samples)])


def _as_samples(values: NDArray[np.float64]) -> Samples:
    return np.clip(np.round(values), -FULL_SCALE - 1, FULL_SCALE).astype(np.int16)
