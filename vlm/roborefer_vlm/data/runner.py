# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a source and makers to a data set on disk, by any number of workers, in any number of goes.

While a run goes on, `DIR/parts` holds one archive per finished shot, and `DIR/run.json` what the
run depends on. When all are there they are written out in order, with a report; then the parts
are removed. A run that was killed, at any time, goes on when it is started again, and ends with
the same bytes as one that was not.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from tqdm import tqdm

from roborefer_vlm.data.archives import remove_unfinished, write_whole
from roborefer_vlm.data.processes import Processes, Spread
from roborefer_vlm.data.report import REPORT, read_report, write_report
from roborefer_vlm.data.shards import write_shards
from roborefer_vlm.data.tally import Tally
from roborefer_vlm.data.work import Part, Work
from roborefer_vlm.data.writer import write_folder
from roborefer_vlm.exceptions import ConfigurationError

RUN = "run.json"
_PARTS = "parts"
# A folder with a million files is slow to look into.
_PER_FOLDER = 1000


class Form(StrEnum):
    """How a data set lies on disk."""

    # `roborefer_vlm.data.writer`.
    JSON = "json"
    # `roborefer_vlm.data.shards`.
    SHARDS = "shards"


def run(
    work: Work,
    out: str | Path,
    *,
    form: Form = Form.JSON,
    spread: Spread | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Tally:
    """Make a data set, or go on with it, or do nothing where it is finished.

    Args:
        work: What to make; its source says how many shots.
        out: Folder; empty, absent, or of the same run.
        form: How to write it.
        spread: Who makes the parts; None: this process.
        settings: What else the run depends on, such as the source's settings; JSON values.
            It is kept in `run.json`, and a run goes on only with equal settings.
        progress: Show a bar.

    Returns:
        What was asked and what was not, over all shots.

    Raises:
        ConfigurationError: The folder holds something else, or another run.
        GenerationError: A shot failed for another reason than its source, or a worker died.
    """
    out = Path(out)
    _claim(out, work, form, settings or {})
    if (out / REPORT).exists():
        shutil.rmtree(out / _PARTS, ignore_errors=True)
        return read_report(out)
    remove_unfinished(out)
    total = len(work.source)
    missing = [index for index in range(total) if not _part_path(out, index).exists()]
    bar = tqdm(total=total, initial=total - len(missing), unit="shot", disable=not progress)
    with bar:
        for index, data in (spread or Processes())(work, missing):
            write_whole(_part_path(out, index), data)
            bar.update()
    tally = Tally()
    parts = _parts(out, total, tally)
    if form is Form.SHARDS:
        write_shards(out, parts, work.source.name)
    else:
        write_folder(out, parts)
    write_report(out, tally, json.loads((out / RUN).read_text("utf-8")))
    shutil.rmtree(out / _PARTS, ignore_errors=True)
    return tally


def _claim(out: Path, work: Work, form: Form, settings: Mapping[str, Any]) -> None:
    """Make sure that the folder belongs to this run."""
    described = {
        "source": work.source.name,
        "shots": len(work.source),
        "seed": work.seed,
        "kinds": [maker.kind.value for maker in work.makers],
        "wishes": {
            kind.value: {"most": wish.most, "phrasings": wish.phrasings.value}
            for kind, wish in sorted(work.wishes.items())
        },
        "most_turns": work.most_turns,
        "lossless": work.lossless,
        "form": form.value,
        "settings": dict(settings),
    }
    # As a file has them: tuples are lists there.
    described = json.loads(json.dumps(described, allow_nan=False))
    path = out / RUN
    if path.exists():
        try:
            before = dict(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
        changed = [key for key in described if before.get(key) != described[key]]
        if changed:
            told = ", ".join(
                f"{key} {before.get(key)!r}, not {described[key]!r}" for key in changed
            )
            raise ConfigurationError(
                f"{out} holds another run ({told}); use another folder or the same settings"
            )
        return
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} is a file; data are made in an empty folder or a new one")
    if out.exists() and any(not p.name.startswith(RUN) for p in out.iterdir()):
        raise ConfigurationError(
            f"{out} holds files and no {RUN}; data are made in an empty folder or a new one"
        )
    write_whole(path, (json.dumps(described, indent=2) + "\n").encode())


def _part_path(out: Path, index: int) -> Path:
    return out / _PARTS / f"{index // _PER_FOLDER:06d}" / f"{index:09d}.tar"


def _parts(out: Path, total: int, tally: Tally) -> Iterator[Part]:
    for index in range(total):
        part = Part.read(_part_path(out, index))
        tally.add(part.tally)
        yield part
