# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Several finished data sets made into one; reports add up.

Names of pictures, ids and shards begin with the name of the data set they come from, so that
nothing meets its namesake.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from roborefer_vlm.data.archives import whole_file
from roborefer_vlm.data.reading import form_of, groups, shard_index
from roborefer_vlm.data.report import read_report_file, write_report
from roborefer_vlm.data.runner import Form
from roborefer_vlm.data.shards import write_index
from roborefer_vlm.data.tally import Tally
from roborefer_vlm.data.work import DEPTH, IMAGE
from roborefer_vlm.exceptions import ConfigurationError


def merge(folders: Sequence[Path], out: Path, *, progress: bool = True) -> Tally:
    """Merge finished data sets of one form; pictures are linked where the disk can, else copied.

    Args:
        folders: The data sets; their last names have to differ.
        out: Folder, empty or absent.
        progress: Show a bar.

    Returns:
        What was asked and what was not, over all of them.

    Raises:
        ConfigurationError: They are not finished, not of one form, or share a name; or `out`
            holds something.
        RecordError: A file is broken.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"data sets are told apart by their names, but these are {names}")
    forms = {folder: form_of(folder) for folder in folders}
    if len(set(forms.values())) != 1:
        told = ", ".join(f"{folder}: {form.value}" for folder, form in forms.items())
        raise ConfigurationError(f"data sets of one form can be merged; these are {told}")
    if out.exists() and any(out.iterdir()):
        raise ConfigurationError(f"{out} is not empty")
    pairs = list(zip(names, folders, strict=True))
    if forms[folders[0]] is Form.SHARDS:
        _merge_shards(pairs, out, progress)
    else:
        _merge_folders(pairs, out, progress)
    tally = Tally()
    runs = []
    for name, folder in pairs:
        report = read_report_file(folder)
        tally.add(Tally(report["counts"]))
        runs.append({"name": name, **report["run"]})
    write_report(out, tally, {"source": " + ".join(names), "runs": runs})
    return tally


def _merge_shards(pairs: Sequence[tuple[str, Path]], out: Path, progress: bool) -> None:
    index = []
    for name, folder in tqdm(pairs, unit="data set", disable=not progress):
        for shard in shard_index(folder):
            file = f"{name}-{shard['file']}"
            _place(folder / shard["file"], out / file)
            index.append({**shard, "file": file})
    write_index(out, index)


def _merge_folders(pairs: Sequence[tuple[str, Path]], out: Path, progress: bool) -> None:
    with ExitStack() as files:
        lists: dict[str, IO[bytes]] = {}
        for name, folder in tqdm(pairs, unit="data set", disable=not progress):
            for kind in (IMAGE, DEPTH):
                for path in sorted((folder / kind).rglob("*")):
                    if path.is_file():
                        _place(path, out / kind / name / path.relative_to(folder / kind))
            for group, records in groups(folder):
                for record in records:
                    if group not in lists:
                        lists[group] = files.enter_context(whole_file(out / f"{group}.json"))
                        lists[group].write(b"[\n")
                    else:
                        lists[group].write(b",\n")
                    line = json.dumps(_renamed(record, name), ensure_ascii=False, allow_nan=False)
                    lists[group].write(line.encode())
        for stream in lists.values():
            stream.write(b"\n]\n")


def _renamed(record: dict[str, Any], name: str) -> dict[str, Any]:
    changed = {**record, "id": f"{name}/{record['id']}"}
    for kind in (IMAGE, DEPTH):
        if kind in record:
            changed[kind] = [f"{name}/{picture}" for picture in record[kind]]
    if "turns" in record:
        changed["turns"] = [{**turn, "id": f"{name}/{turn['id']}"} for turn in record["turns"]]
    return changed


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one without links.
        shutil.copyfile(source, target)
