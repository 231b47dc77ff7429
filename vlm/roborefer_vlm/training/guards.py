# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Finding bad batches before they harm the weights; each is written down with its records."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from roborefer_vlm.exceptions import RecordError, TrainingError
from roborefer_vlm.training.settings import GuardSettings, OnTrouble

REPORT = "bad_batches.jsonl"
# Median absolute deviation of a normal distribution of deviation 1.
_MAD = 0.6745
# Losses that a comparison needs.
_FEWEST = 10


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a step.

    Attributes:
        reason: In words.
        action: What is done.
    """

    reason: str
    action: OnTrouble


class Guard:
    """Judges every step of a run.

    All processes judge the same numbers and come to the same verdict; the main one writes.

    Attributes:
        skipped: Steps that changed no weights.
        rejected: Records that could not be used.
        spikes: Losses far above those before.
    """

    def __init__(self, settings: GuardSettings, folder: Path, *, writes: bool = True) -> None:
        """Prepare.

        Args:
            settings: What is done about what.
            folder: Of the run; gets bad_batches.jsonl, one line per finding.
            writes: Whether this process writes.
        """
        self.settings = settings
        self.path = folder / REPORT
        self.writes = writes
        self.skipped = self.rejected = self.spikes = 0
        self._losses: deque[float] = deque(maxlen=settings.window)

    def reject(self, step: int, errors: Sequence[RecordError]) -> None:
        """Count records that cannot be used.

        Raises:
            TrainingError: They stop training, or there are too many.
        """
        for error in errors:
            self.rejected += 1
            self._write(
                {
                    "step": step,
                    "reason": f"record cannot be used: {error.problem}",
                    "action": self.settings.records,
                    "records": [[error.file, error.record]],
                }
            )
        if errors and self.settings.records is OnTrouble.STOP:
            raise TrainingError(f"step {step}: {errors[0]}; see {self.path}")
        self._limit(self.rejected, "records", step)

    def judge(self, loss: float, norm: float, tokens: int) -> Trouble | None:
        """Return what is wrong with a step, if anything; good losses are remembered.

        Args:
            loss: Mean over the tokens of the step.
            norm: Of the gradient.
            tokens: How many tokens were learnt.
        """
        if not tokens:
            return Trouble("nothing to learn in it", self.settings.records)
        if not isfinite(loss):
            return Trouble(f"the loss is {loss}", self.settings.non_finite)
        if not isfinite(norm):
            return Trouble(f"the norm of the gradient is {norm}", self.settings.non_finite)
        score = self._score(loss)
        limit = self.settings.spike_score
        self._losses.append(loss)
        if limit is None or score <= limit:
            return None
        reason = f"the loss is {loss:.4f}, {score:.1f} deviations above the last {self.window}"
        return Trouble(reason, self.settings.spike)

    def report(
        self,
        step: int,
        trouble: Trouble,
        loss: float,
        norm: float,
        records: Sequence[tuple[str, str]],
    ) -> None:
        """Write a bad step down and count it.

        Args:
            step: Its number, from 1.
            trouble: What is wrong.
            loss: Of the step.
            norm: Of the gradient.
            records: File and name of every record in it.

        Raises:
            TrainingError: It stops training, or too many were skipped.
        """
        self._write(
            {
                "step": step,
                "reason": trouble.reason,
                "action": trouble.action,
                # JSON knows no number that is none.
                "loss": loss if isfinite(loss) else None,
                "gradient_norm": norm if isfinite(norm) else None,
                "records": [list(one) for one in records],
            }
        )
        if trouble.action is OnTrouble.STOP:
            raise TrainingError(
                f"step {step}: {trouble.reason}; the {len(records)} records are in {self.path}"
            )
        if trouble.action is OnTrouble.SKIP:
            self.skipped += 1
            self._limit(self.skipped, "steps", step)
        else:
            self.spikes += 1

    @property
    def window(self) -> int:
        """How many losses are remembered."""
        return len(self._losses)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs; JSON values only."""
        return {
            "skipped": self.skipped,
            "rejected": self.rejected,
            "spikes": self.spikes,
            "losses": list(self._losses),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.skipped, self.rejected = int(state["skipped"]), int(state["rejected"])
        self.spikes = int(state["spikes"])
        self._losses.extend(float(loss) for loss in state["losses"])

    def _score(self, loss: float) -> float:
        """Return how many robust standard deviations a loss lies above those before."""
        if len(self._losses) < _FEWEST:
            return 0.0
        middle = median(self._losses)
        spread = median(abs(one - middle) for one in self._losses) / _MAD
        # Losses that hardly differ must not turn rounding into a spike.
        return (loss - middle) / max(spread, 1e-3 * abs(middle), 1e-9)

    def _limit(self, count: int, what: str, step: int) -> None:
        if count > self.settings.most_skipped:
            raise TrainingError(
                f"step {step}: {count} {what} were skipped, 'most_skipped' is"
                f" {self.settings.most_skipped}; see {self.path}"
            )

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self.writes:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
