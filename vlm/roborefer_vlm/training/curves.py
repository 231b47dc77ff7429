# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Curves of runs as a picture, drawn from metrics.jsonl.

python -m roborefer_vlm.training.curves RUN [RUN ...] --out curves.png [--of loss]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import TrainingError
from roborefer_vlm.training.logs import METRICS, read_metrics
from roborefer_vlm.types import UInt8Array

_Curve = npt.NDArray[np.float64]

# Colours that stay apart for colour-blind eyes (Okabe and Ito), BGR.
_COLORS = ((178, 114, 0), (0, 94, 213), (115, 158, 0), (167, 121, 204), (66, 159, 240))
_WIDTH, _HEIGHT = 900, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 20, 40, 50
_FONT, _SCALE, _INK, _LINES = cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), (225, 225, 225)
_TICKS = 5


def draw_curves(runs: Mapping[str, Path], value: str = "loss", smooth: int = 0) -> UInt8Array:
    """Draw one value of several runs over their steps.

    Args:
        runs: Folders of runs by the names that the legend gives them.
        value: What was logged: loss, learning_rate, gradient_norm, tokens_per_s, reward, ...
        smooth: Steps of a running mean over the steps before; 0 takes a fiftieth of each run.
            What was logged is drawn behind it, pale.

    Returns:
        A picture, BGR, uint8, shape (480, 900, 3).

    Raises:
        TrainingError: A run has not logged the value.
    """
    curves = {name: _read(folder, value) for name, folder in runs.items()}
    steps = np.concatenate([one[:, 0] for one in curves.values()])
    values = np.concatenate([one[:, 1] for one in curves.values()])
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 0.5 * (abs(high) or 1.0)
    area = (float(steps.min()), float(steps.max()), low - margin, high + margin)
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    _draw_axes(canvas, area, value)
    for place, (name, curve) in enumerate(curves.items()):
        color = _COLORS[place % len(_COLORS)]
        pale = tuple(int(255 - 0.3 * (255 - channel)) for channel in color)
        mean = curve.copy()
        mean[:, 1] = _running_mean(curve[:, 1], smooth or max(1, len(curve) // 50))
        for line, shade, thickness in ((curve, pale, 1), (mean, color, 2)):
            cv2.polylines(canvas, [_pixels(line, area)], False, shade, thickness, cv2.LINE_AA)
        x, y = _WIDTH - 260, _TOP + 20 + 20 * place
        cv2.line(canvas, (x, y - 4), (x + 24, y - 4), color, 2, cv2.LINE_AA)
        cv2.putText(canvas, name, (x + 32, y), _FONT, _SCALE, _INK, 1, cv2.LINE_AA)
    return canvas


def write_curves(
    out: Path, runs: Mapping[str, Path], value: str = "loss", smooth: int = 0
) -> None:
    """Draw curves, see `draw_curves`, to a PNG file.

    Raises:
        TrainingError: A run has not logged the value, or the file cannot be written.
    """
    picture = draw_curves(runs, value, smooth)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError as error:
        raise TrainingError(f"{out} cannot be written: {error}") from error


def _read(folder: Path, value: str) -> _Curve:
    """Return steps and values of a run, shape (N, 2); what is no number is left out."""
    entries = read_metrics(folder)
    found = [
        (entry["step"], entry[value])
        for entry in entries
        if entry.get(value) is not None and isfinite(entry[value])
    ]
    if not found:
        known = sorted({name for entry in entries for name in entry if name != "step"})
        raise TrainingError(
            f"{folder / METRICS} has no '{value}'; it has {', '.join(known) or 'nothing'}"
        )
    return np.array(found, np.float64)


def _running_mean(values: _Curve, window: int) -> _Curve:
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins), np.float64)


def _pixels(curve: _Curve, area: tuple[float, float, float, float]) -> np.ndarray:
    """Return the pixels of steps and values, int32, shape (N, 1, 2)."""
    left, right, low, high = area
    across = (curve[:, 0] - left) / max(right - left, 1e-9)
    up = (curve[:, 1] - low) / (high - low)
    x = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
    y = _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)
    return np.rint(np.stack([x, y], axis=1)).astype(np.int32)[:, None]


def _draw_axes(canvas: UInt8Array, area: tuple[float, float, float, float], value: str) -> None:
    left, right, low, high = area
    steps, values = np.linspace(left, right, _TICKS), np.linspace(low, high, _TICKS)
    for step, number in zip(steps, values, strict=True):
        corner = _pixels(np.array([[step, number]]), area)[0, 0]
        x, y = int(corner[0]), int(corner[1])
        cv2.line(canvas, (_LEFT, y), (_WIDTH - _RIGHT, y), _LINES, 1)
        cv2.putText(canvas, f"{number:.3g}", (12, y + 4), _FONT, _SCALE, _INK, 1, cv2.LINE_AA)
        where = (x - 14, _HEIGHT - _BOTTOM + 20)
        cv2.putText(canvas, f"{step:.0f}", where, _FONT, _SCALE, _INK, 1, cv2.LINE_AA)
    title = value.replace("_", " ")
    cv2.putText(canvas, title, (_LEFT, 24), _FONT, 0.55, _INK, 1, cv2.LINE_AA)
    cv2.putText(canvas, "step", (_WIDTH // 2, _HEIGHT - 10), _FONT, _SCALE, _INK, 1, cv2.LINE_AA)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the curves of runs; the legend has the names of their folders."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="where to write")
    parser.add_argument("--of", default="loss", metavar="VALUE", help="default: loss")
    parser.add_argument("--smooth", type=int, default=0, metavar="STEPS", help="running mean")
    args = parser.parse_args(arguments)
    try:
        write_curves(args.out, {run.name: run for run in args.runs}, args.of, args.smooth)
    except TrainingError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
