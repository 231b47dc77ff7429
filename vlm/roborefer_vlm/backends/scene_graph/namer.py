# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Names for segments: a small network that knows a closed set of things and their colours.

It is trained on a known set of things (`tools/tabletop`) and is for those only: where it is
unsure it says nothing, and looks decide as they do without it. Runs on numpy alone.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from roborefer_vlm.backends.scene_graph.portraits import CHANNELS, MEASURES, SIDE, portrait
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.types import BoolArray, FloatArray

FORMAT = "roborefer-namer-1"
# Checkpoints that come with the package, by the name that an engine spec gives them.
SHIPPED: Mapping[str, Path] = {
    "tabletop": Path(__file__).parents[2] / "checkpoints" / "tabletop-namer" / "namer.npz"
}
LARGEST_FILE_BYTES = 50_000_000
# A name or colour that is less probable is not given.
LEAST_NAME = 0.6
LEAST_COLOR = 0.6
STRIDES = (2, 2, 2, 2)


@dataclass(frozen=True, eq=False)
class Guess:
    """What a namer makes of a segment.

    Attributes:
        nouns: Probability of each label of the namer; they sum to 1. Labels in angle brackets
            are no names: "<other>" is none of them, "<part>" a piece of a thing.
        colors: Probability of each colour name; they sum to 1.
    """

    nouns: Mapping[str, float]
    colors: Mapping[str, float]

    @property
    def name(self) -> str:
        """The most probable name, or "" where that is none or unsure."""
        label = max(self.nouns, key=self.nouns.__getitem__)
        return "" if label.startswith("<") or self.nouns[label] < LEAST_NAME else label

    @property
    def color(self) -> str:
        """The most probable colour of what has a name, or "" where that is none or unsure."""
        label = max(self.colors, key=self.colors.__getitem__)
        sure = self.colors[label] >= LEAST_COLOR and bool(self.name)
        return label if sure and not label.startswith("<") else ""


class Namer(Protocol):
    """Gives names to segments."""

    def guesses(self, view: View, masks: Sequence[BoolArray]) -> list[Guess | None]:
        """Return a guess per mask, each of shape (height, width); None: nothing to see."""


class TabletopNamer:
    """A network on portraits, see portraits; deterministic, about 1 ms per segment."""

    def __init__(
        self, nouns: Sequence[str], colors: Sequence[str], weights: Mapping[str, FloatArray]
    ) -> None:
        """Take a network apart.

        Args:
            nouns: Label of each output of the head for names.
            colors: Label of each output of the head for colours.
            weights: By name; see `shapes`.

        Raises:
            CheckpointError: An array is missing, of another shape, or not finite.
        """
        self.nouns, self.colors = tuple(nouns), tuple(colors)
        if not self.nouns or not self.colors:
            raise CheckpointError("the namer has no names or no colours; train it again")
        self._weights: dict[str, FloatArray] = {}
        for name, shape in shapes(weights, len(self.nouns), len(self.colors)).items():
            if name not in weights:
                raise CheckpointError(f"the namer lacks the array '{name}'; train it again")
            array = np.asarray(weights[name], np.float32)
            if array.shape != shape or not np.isfinite(array).all():
                raise CheckpointError(
                    f"array '{name}' of the namer has shape {array.shape} or holds what is not"
                    f" finite; {shape} finite numbers are needed"
                )
            self._weights[name] = array

    @classmethod
    def load(cls, path: str | Path) -> TabletopNamer:
        """Load a shipped namer by its name, or one from a .npz file or the folder that holds it.

        Raises:
            CheckpointError: There is no such file, or it holds no namer of this format.
        """
        file = SHIPPED.get(str(path), Path(path))
        if file.is_dir():
            file = file / "namer.npz"
        try:
            if file.stat().st_size > LARGEST_FILE_BYTES:
                raise CheckpointError(f"'{file}' is larger than any namer; give its .npz file")
            with np.load(file, allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
            head = json.loads(str(arrays.pop("head")))
            if head["format"] != FORMAT:
                raise CheckpointError(f"'{file}' has format {head['format']!r}, not {FORMAT}")
            nouns, colors = map(str, head["nouns"]), map(str, head["colors"])
            return cls(tuple(nouns), tuple(colors), arrays)
        except OSError as error:
            raise CheckpointError(
                f"the namer '{path}' cannot be read ({error}); give {', '.join(SHIPPED)}, or the"
                " path of a .npz file that tools/tabletop wrote"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"'{file}' holds no namer of this package: {error!r}") from error

    def guesses(self, view: View, masks: Sequence[BoolArray]) -> list[Guess | None]:
        """Return a guess per mask, each of shape (height, width); None: nothing to see."""
        seen = [portrait(view, mask) for mask in masks]
        known = [one for one in seen if one is not None]
        if not known:
            return [None for _ in seen]
        nouns, colors = self.probabilities(
            np.stack([one.picture for one in known]), np.stack([one.measures for one in known])
        )
        made = iter(
            Guess(_named(self.nouns, n), _named(self.colors, c))
            for n, c in zip(nouns, colors, strict=True)
        )
        return [None if one is None else next(made) for one in seen]

    def probabilities(
        self, pictures: np.ndarray, measures: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities of all names and colours.

        Args:
            pictures: uint8, shape (N, SIDE, SIDE, CHANNELS).
            measures: float32, shape (N, MEASURES).

        Returns:
            Shapes (N, names) and (N, colours); rows sum to 1.
        """
        w = self._weights
        x = np.asarray(pictures / np.float32(255), np.float32)
        for i, stride in enumerate(STRIDES):
            x = _convolved(x, w[f"conv{i}.weight"], w[f"conv{i}.bias"], stride)
        sizes = np.maximum(measures @ w["measures.weight"] + w["measures.bias"], 0)
        y = np.concatenate([x.mean(axis=(1, 2)), x.max(axis=(1, 2)), sizes], axis=1)
        y = np.maximum(y @ w["hidden.weight"] + w["hidden.bias"], 0)
        return (
            _softmax(y @ w["nouns.weight"] + w["nouns.bias"]),
            _softmax(y @ w["colors.weight"] + w["colors.bias"]),
        )


def shapes(
    weights: Mapping[str, FloatArray], nouns: int, colors: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape that each array has to have; widths are taken from the biases.

    Kernels are (rows, columns, in, out), other weights (in, out).
    """

    def width(name: str) -> int:
        return int(np.size(weights.get(f"{name}.bias", ())))

    def side(name: str) -> int:
        return int(np.shape(weights.get(f"{name}.weight", (0,)))[0])

    result: dict[str, tuple[int, ...]] = {}
    inputs = CHANNELS
    for i in range(len(STRIDES)):
        name = f"conv{i}"
        k = side(name) if side(name) in (3, 5) else 3
        result |= {f"{name}.weight": (k, k, inputs, width(name)), f"{name}.bias": (width(name),)}
        inputs = width(name)
    sizes, hidden = width("measures"), width("hidden")
    for name, rows, columns in (
        ("measures", MEASURES, sizes),
        ("hidden", 2 * inputs + sizes, hidden),
        ("nouns", hidden, nouns),
        ("colors", hidden, colors),
    ):
        result |= {f"{name}.weight": (rows, columns), f"{name}.bias": (columns,)}
    return result


def _convolved(x: FloatArray, kernel: FloatArray, bias: FloatArray, stride: int) -> FloatArray:
    """Return relu(x * kernel + bias) with zeros around, shape (N, rows, columns, out)."""
    k = kernel.shape[0]
    edge = k // 2
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    windows = sliding_window_view(padded, (k, k), axis=(1, 2))[:, ::stride, ::stride]
    # (N, rows, columns, in, k, k) against (k, k, in, out).
    count, rows, columns = windows.shape[:3]
    flat = windows.transpose(0, 1, 2, 4, 5, 3).reshape(count * rows * columns, -1)
    out = flat @ kernel.reshape(-1, kernel.shape[-1]) + bias
    return np.asarray(np.maximum(out, 0).reshape(count, rows, columns, -1))


def _softmax(x: np.ndarray) -> FloatArray:
    raised = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _named(labels: Sequence[str], values: FloatArray) -> dict[str, float]:
    return {label: float(value) for label, value in zip(labels, values, strict=True)}


assert SIDE % 2 ** len(STRIDES) == 0
