# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets that were damaged, or written by somebody else, are refused with file and field."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factory_fakes import Points, Squares
from roborefer_vlm.data.merging import merge
from roborefer_vlm.data.reading import stored
from roborefer_vlm.data.runner import Form, run
from roborefer_vlm.data.sheet import choose
from roborefer_vlm.data.sources.opening import PhotographModels, open_source
from roborefer_vlm.data.work import Work
from roborefer_vlm.exceptions import ConfigurationError, RecordError

FILE = "reasoning_template_qa.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    for form in Form:
        run(Work(Squares(count=3), (Points(),)), out / form.value, form=form, progress=False)
    return out


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "json", tmp_path / "one"))


@pytest.fixture
def sharded(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "shards", tmp_path / "shards"))


def _turn(field: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        record["turns"][0][field] = value

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda record: record.pop("id"), "'id'"),
        (lambda record: record.pop("image"), "'image'"),
        (lambda record: record.update(image="a.jpg"), "'image'"),
        (lambda record: record.update(image=["../run.json"]), "leads out of the folder"),
        (lambda record: record.update(depth=["/etc/passwd"]), "leads out of the folder"),
        (lambda record: record.update(conversations=[]), "'conversations'"),
        (lambda record: record.update(turns=3), "'turns'"),
        (lambda record: record.update(turns=[1, 2]), "'turns'"),
        (_turn("kind", "riddle"), "'kind'"),
        (_turn("point", [2.0, 0.1]), "'point'"),
        (_turn("point", [True, 0.1]), "'point'"),
        (_turn("steps", [{"perception": "smell"}]), "'steps'"),
        (_turn("facts", []), "'facts'"),
    ],
)
def test_a_bad_field_is_named_by_every_reader(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    records = json.loads((folder / FILE).read_text())
    change(records[1])
    (folder / FILE).write_text(json.dumps(records))

    with pytest.raises(RecordError, match=named):
        list(stored(folder))
    with pytest.raises(RecordError, match=named):
        merge([folder], tmp_path / "all", progress=False)


@pytest.mark.parametrize("text", ["{}", "[1]", "[", "[" * 100_000])
def test_a_file_that_is_no_list_of_records_is_refused(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)

    with pytest.raises(RecordError, match=FILE):
        list(stored(folder))


def test_a_broken_picture_is_named_with_its_record(folder: Path) -> None:
    for path in (folder / "image").iterdir():
        path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(RecordError, match=r"record squares-00000\d-0-location-\d, field 'image'"):
        choose(stored(folder), 100, seed=0)


def test_a_merge_misses_no_picture(folder: Path, tmp_path: Path) -> None:
    next((folder / "depth").iterdir()).unlink()

    with pytest.raises(RecordError, match=r"'depth'.*is missing"):
        merge([folder], tmp_path / "all", progress=False)


def test_a_shard_that_was_cut_off_anywhere_is_refused(sharded: Path) -> None:
    path = sharded / "squares-000000.tar"
    data = path.read_bytes()
    assert len(list(stored(sharded))) == 3

    # Blocks of 512 bytes: within headers, within contents, and between two members. Zeros that
    # pad the end may be missing.
    for end in range(0, len(data.rstrip(bytes(1))), 512):
        path.write_bytes(data[: end + (end // 512) % 3 * 100])
        with pytest.raises(RecordError, match="cannot be read"):
            list(stored(sharded))


def test_a_shard_with_fewer_records_than_its_index_says_is_refused(sharded: Path) -> None:
    index = json.loads((sharded / "shards.json").read_text())
    index["shards"][0]["records"] += 1
    (sharded / "shards.json").write_text(json.dumps(index))

    with pytest.raises(RecordError, match=r"holds 3 records; shards\.json says 4"):
        list(stored(sharded))


@pytest.mark.parametrize("entry", [1, {}, {"file": "../x.tar"}])
def test_an_index_of_shards_names_files_of_its_folder(sharded: Path, entry: object) -> None:
    (sharded / "shards.json").write_text(json.dumps({"shards": [entry]}))

    with pytest.raises(ConfigurationError, match=r"shards\.json cannot be read"):
        list(stored(sharded))


def test_shards_of_another_size_are_not_merged(sharded: Path, tmp_path: Path) -> None:
    with (sharded / "squares-000000.tar").open("ab") as stream:
        stream.write(bytes(512))

    with pytest.raises(RecordError, match=r"bytes; shards\.json says"):
        merge([sharded], tmp_path / "all", progress=False)


@pytest.mark.parametrize("text", ["[]", '{"run": {}, "counts": {"shots": 3}}', '{"run": 1}'])
def test_a_report_of_another_form_is_refused(folder: Path, text: str) -> None:
    (folder / "report.json").write_text(text)

    with pytest.raises(ConfigurationError, match=r"report\.json cannot be read"):
        list(stored(folder))


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")

    with pytest.raises(ConfigurationError, match="is a file"):
        run(Work(Squares(count=1), (Points(),)), file, progress=False)
    with pytest.raises(ConfigurationError, match="is no folder"):
        merge([folder], file, progress=False)


def test_a_run_file_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[1]")

    with pytest.raises(ConfigurationError, match=r"run\.json cannot be read"):
        run(Work(Squares(count=1), (Points(),)), tmp_path, progress=False)


def test_models_for_photographs_are_refused_by_other_sources() -> None:
    with pytest.raises(ConfigurationError, match="needs no models"):
        open_source("sim", count=1, models=PhotographModels(labels=("mug",)))
