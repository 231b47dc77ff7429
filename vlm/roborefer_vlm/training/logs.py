# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The log of a run: metrics.jsonl, and the same for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from roborefer_vlm.exceptions import TrainingError

METRICS = "metrics.jsonl"


class RunLog:
    """Writes the numbers of each step; used by one process of a run."""

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        """Open the log.

        Args:
            folder: Of the run; TensorBoard reads its sub-folder `tensorboard`.
            first_step: Steps done before; what was logged behind them is forgotten, since it is
                done again.

        Raises:
            TrainingError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError(
                "tensorboard is not installed; pip install 'roborefer-vlm[training]'"
            ) from error
        path = folder / METRICS
        kept = [one for one in read_metrics(folder) if one["step"] <= first_step]
        path.write_text("".join(json.dumps(one) + "\n" for one in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one step; steps count from 1."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._board.close()


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Return what a run logged, step by step; a last line that was cut short is left out."""
    path = folder / METRICS
    if not path.is_file():
        return []
    entries = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(dict(json.loads(line)))
        except ValueError as error:
            if number < len(lines):
                raise TrainingError(f"{path}, line {number} is no JSON: {error}") from error
    return entries
