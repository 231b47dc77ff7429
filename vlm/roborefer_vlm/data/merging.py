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
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from roborefer_vlm.data.archives import whole_file
from roborefer_vlm.data.reading import form_of, groups, shard_index
from roborefer_vlm.data.report import read_report_file, write_report
from roborefer_vlm.data.runner import Form
from roborefer_vlm.data.shards import INDEX, write_index
from roborefer_vlm.data.tally import Tally
from roborefer_vlm.data.work import DEPTH, IMAGE
from roborefer_vlm.exceptions import ConfigurationError, RecordError


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
        raise ConfigurationError(
            "data sets are told apart by the names of their folders, but these are"
            f" {', '.join(names)}; rename folders until all differ"
        )
    forms = {folder: form_of(folder) for folder in folders}
    if len(set(forms.values())) != 1:
        told = ", ".join(f"{folder}: {form.value}" for folder, form in forms.items())
        raise ConfigurationError(f"data sets of one form can be merged; these are {told}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigurationError(f"{out} is no folder, or not empty; merge into a new one")
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
            source = folder / shard["file"]
            size = source.stat().st_size if source.is_file() else 0
            if size != shard["bytes"]:
                raise RecordError(
                    str(source), "-", "", f"has {size} bytes; {INDEX} says {shard['bytes']}"
                )
            _place(source, out / file)
            index.append({**shard, "file": file})
    write_index(out, index)


def _merge_folders(pairs: Sequence[tuple[str, Path]], out: Path, progress: bool) -> None:
    with ExitStack() as files:
        lists: dict[str, IO[bytes]] = {}
        for name, folder in tqdm(pairs, unit="data set", disable=not progress):
            placed = {
                kind: _place_all(folder / kind, out / kind / name) for kind in (IMAGE, DEPTH)
            }
            for group, records in groups(folder):
                for record in records:
                    _check_pictures(record, placed, folder / f"{group}.json")
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


def _place_all(source: Path, target: Path) -> set[str]:
    """Place the files of a folder and return their names."""
    names = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    for name in sorted(names):
        _place(source / name, target / name)
    return names


def _check_pictures(record: dict[str, Any], placed: Mapping[str, set[str]], file: Path) -> None:
    for kind, names in placed.items():
        for picture in record.get(kind, ()):
            if picture not in names:
                raise RecordError(
                    str(file), record["id"], kind, f"{file.parent / kind / picture} is missing"
                )


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one without links.
        shutil.copyfile(source, target)
