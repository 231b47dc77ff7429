# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the executive's parameters: declaration, checks, sample file and README.

Type `python3 -m roborefer_operator.core.parameters` to print config/executive.yaml, with `table`
behind it the table of the README.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from roborefer_common.core.parameters import Row, Value, readme_table, sample_yaml

from roborefer_operator.core.behaviours import Policy
from roborefer_operator.core.executive import Limits
from roborefer_operator.core.recorder import RecorderSettings

_POLICY, _LIMITS = Policy(), Limits()

TABLE = (
    Row("tries.most", _POLICY.most_tries, "Of one request that may be tried again.", 1, 10),
    Row(
        "question.timeout_s", _POLICY.question_s,
        "How long a question stays open; 0 is for ever.", 0.0, 86400.0,
    ),
    Row(
        "reference.max_age_s", _POLICY.reference_s,
        "Older references are made anew before something moves.", 0.5, 600.0,
    ),
    Row(
        "words.min_confidence", _POLICY.least_words_confidence,
        "Spoken words heard less surely are read back first.", 0.0, 1.0,
    ),
    Row(
        "camera.fixed", _POLICY.camera_fixed,
        "Whether a pixel shows the same place in every image; false for a camera on the arm.",
    ),
    Row("tasks.most_waiting", _LIMITS.most_waiting, "Tasks that may wait their turn.", 1, 1000),
    Row("tasks.most_kept", _LIMITS.most_kept, "Tasks that the history keeps.", 1, 10000),
    Row("tick_rate", 20.0, "How often tasks go on, Hz.", 5.0, 200.0),
    Row("server.wait_s", 3.0, "Longest wait for a server that is not there.", 0.1, 60.0),
    Row("server.deadline_s", 180.0, "Longest request to a server.", 1.0, 3600.0),
    Row("refer.deadline_s", 60.0, "Longest query of the referrer.", 0.5, 600.0),
    Row("refer.samples", 0, "Answers to sample; 0 is the referrer's parameter.", 0, 32),
    Row("refer.min_confidence", 0.0, "0 is the referrer's parameter.", 0.0, 1.0),
    Row(
        "hand_over.enabled", False,
        "Whether there is a place where a person takes things from the robot.",
    ),
    Row("hand_over.frame", "base_link", "Frame of that place."),
    Row("hand_over.position", [0.45, 0.35, 0.0], "Of it on the table, metres.", length=3),
    Row("splitter.url", "", "OpenAI-compatible API that splits other sentences; empty is none."),
    Row("splitter.model", "", "Name of the model there."),
    Row("splitter.token_file", "", "File that holds the bearer token; empty is none."),
    Row("splitter.timeout_s", 15.0, "Longest answer of it.", 0.5, 120.0),
    Row("records.folder", "", "Where every task leaves a record; empty keeps none."),
    Row("records.most", 1000, "Records that are kept; the oldest go first.", 1, 1000000),
    Row(
        "records.frames", 40,
        "Pictures of the camera that are remembered until something in them is referred to.",
        1, 300,
    ),
    Row(
        "samples.folder", "",
        "Where corrections are saved as training samples; empty: `samples` in records.folder.",
    ),
    Row("diagnostics.period_s", 1.0, "Between two diagnostics.", 0.1, 60.0),
)  # fmt: skip


def policy_of(values: Mapping[str, Value]) -> Policy:
    """Turn checked values into how patient the executive is."""
    return Policy(
        most_tries=int(_number(values, "tries.most")),
        question_s=_number(values, "question.timeout_s"),
        reference_s=_number(values, "reference.max_age_s"),
        least_words_confidence=_number(values, "words.min_confidence"),
        camera_fixed=bool(values["camera.fixed"]),
    )


def recorder_of(values: Mapping[str, Value]) -> RecorderSettings:
    """Turn checked values into what is recorded, and where."""
    records, samples = (
        Path(str(values[name])).expanduser() if values[name] else None
        for name in ("records.folder", "samples.folder")
    )
    if samples is None and records is not None:
        samples = records / "samples"
    return RecorderSettings(records, samples, int(_number(values, "records.most")))


def limits_of(values: Mapping[str, Value]) -> Limits:
    """Turn checked values into how much is kept."""
    return Limits(
        most_waiting=int(_number(values, "tasks.most_waiting")),
        most_kept=int(_number(values, "tasks.most_kept")),
    )


def _number(values: Mapping[str, Value], name: str) -> float:
    return float(values[name])  # type: ignore[arg-type]


def sample_file() -> str:
    """Return the text of config/executive.yaml."""
    made_by = "python3 -m roborefer_operator.core.parameters > config/executive.yaml"
    return sample_yaml(TABLE, {}, "The executive of a robot with a fixed camera.", made_by)


if __name__ == "__main__":
    print(readme_table(TABLE) if "table" in sys.argv else sample_file(), end="")
