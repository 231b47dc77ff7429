# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One recorded quantity beside ours, and reading of golden directories."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

# Float32 on a CPU, as the goldens were made; see the README beside them.
FEATURES, LOGITS = 2e-4, 1e-3
LOSS, LATER_LOSS, GRADIENT_NORM = 1e-5, 1e-3, 1e-3


@dataclass(frozen=True)
class Comparison:
    """How far one quantity is from its record.

    Attributes:
        where: Checkpoint, case and quantity, such as "s2/two_rgb/logits_last".
        difference: Largest absolute or relative difference, 0 or infinity where equality counts.
        limit: What is accepted.
        detail: What was found and wanted, where that helps.
    """

    where: str
    difference: float
    limit: float = 0.0
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is within its limit; NaN is not."""
        return self.difference <= self.limit

    def __str__(self) -> str:
        mark = "ok  " if self.passed else "FAIL"
        return f"{mark} {self.where}: {self.difference:.2e} (limit {self.limit:.0e}){self.detail}"


def equal(where: str, found: object, wanted: object) -> Comparison:
    """Compare two values that must be the same."""
    if found == wanted:
        return Comparison(where, 0.0)
    return Comparison(where, float("inf"), detail=f" found {found!r:.200}, wanted {wanted!r:.200}")


def close(where: str, found: npt.ArrayLike, wanted: npt.ArrayLike, limit: float) -> Comparison:
    """Compare arrays by their largest absolute difference."""
    ours, record = np.asarray(found), np.asarray(wanted)
    if ours.shape != record.shape:
        return Comparison(where, float("inf"), limit, f" shapes {ours.shape}, {record.shape}")
    return Comparison(where, float(np.abs(ours - record).max(initial=0.0)), limit)


def relative(where: str, found: float, wanted: float, limit: float) -> Comparison:
    """Compare two numbers by their relative difference."""
    scale = abs(wanted) if wanted else 1.0
    return Comparison(where, abs(found - wanted) / scale, limit, f" {found:.7g} vs {wanted:.7g}")


def golden_names(root: Path) -> list[str]:
    """Return the checkpoints of a golden directory."""
    return sorted(path.name for path in (root / "checkpoints").iterdir() if path.is_dir())


def read_expected(root: Path, name: str, stem: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the recorded JSON and arrays of `stem`, as the installed Pillow needs them.

    What the Pillow 13 file does not have is the same for all versions.
    """
    folder = root / "expected" / name
    content, arrays = _read(folder, stem)
    if int(PIL.__version__.split(".")[0]) >= 13:
        newer, newer_arrays = _read(folder, f"{stem}_pillow13")
        changed = {case["id"]: case for case in newer.get("cases", [])}
        content["cases"] = [changed.get(case["id"], case) for case in content.get("cases", [])]
        content.update({key: newer[key] for key in ("batches", "steps") if key in newer})
        for kind, entries in newer.get("datasets", {}).items():
            for entry, changes in zip(content["datasets"][kind], entries, strict=True):
                entry.update(changes)
        # Arrays of training are of batches with a picture that changes.
        arrays = (arrays if stem == "inference" else {}) | newer_arrays
    return content, arrays


def _read(folder: Path, stem: str) -> tuple[dict[str, Any], dict[str, Any]]:
    content: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    if (folder / f"{stem}.json").is_file():
        content = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    if (folder / f"{stem}.npz").is_file():
        with np.load(folder / f"{stem}.npz", allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    return content, arrays
