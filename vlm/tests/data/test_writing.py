# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from factory_fakes import HEIGHT, WIDTH, Points, Squares, YesNo, tree
from roborefer_vlm.data.examples import Kind, Wish
from roborefer_vlm.data.merging import merge
from roborefer_vlm.data.reading import stored
from roborefer_vlm.data.records import questions_of
from roborefer_vlm.data.report import read_report
from roborefer_vlm.data.runner import Form, run
from roborefer_vlm.data.shards import write_shards
from roborefer_vlm.data.sheet import choose, sheet
from roborefer_vlm.data.work import Work
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.model.depth import relative_depth
from roborefer_vlm.training.samples import read_records

MAKERS = (Points(), Points(Kind.CHAIN), YesNo(), Points(Kind.MULTI_VIEW))
TWO_VIEWS = Work(Squares(count=4, views=2), MAKERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "one"
    run(TWO_VIEWS, out, progress=False)
    return out


def test_training_reads_every_file_with_and_without_depth(folder: Path) -> None:
    for name in ("reasoning_template_qa", "chain_qa", "choice_qa", "multi_view_qa"):
        records = read_records(folder / f"{name}.json", with_depth=True)

        assert records
        assert [r.turns for r in read_records(folder / f"{name}.json", with_depth=False)] == [
            r.turns for r in records
        ]
        for record in records:
            assert all((folder / "image" / image).is_file() for image in record.images)
            assert all((folder / "depth" / depth).is_file() for depth in record.depths)


def test_depth_is_the_relative_picture_that_the_depth_tower_knows(folder: Path) -> None:
    view = TWO_VIEWS.source.shot(0).views[0]

    written = cv2.imread(str(folder / "depth" / f"{view.key}.png"), cv2.IMREAD_UNCHANGED)

    np.testing.assert_array_equal(written, relative_depth(view.depth_m))


def test_two_views_are_two_pictures_of_one_record(folder: Path) -> None:
    record = json.loads((folder / "multi_view_qa.json").read_text())[0]

    assert record["image"] == ["squares-000000-0.jpg", "squares-000000-1.jpg"]
    assert record["depth"] == ["squares-000000-0.png", "squares-000000-1.png"]


def test_questions_of_a_view_share_a_record_up_to_fifteen_turns(tmp_path: Path) -> None:
    work = Work(Squares(count=1), MAKERS[:1], wishes={Kind.LOCATION: Wish(most=20)})
    run(work, tmp_path, progress=False)

    records = json.loads((tmp_path / "reasoning_template_qa.json").read_text())

    assert [len(record["conversations"]) // 2 for record in records] == [15, 5]
    for record in records:
        for question in questions_of(record):
            assert question["id"].startswith("squares-000000-0-location-")
            assert question["facts"]["target"] in (1, 2, 3)


def test_a_chain_stands_alone_with_its_steps(folder: Path) -> None:
    for record in json.loads((folder / "chain_qa.json").read_text()):
        assert len(record["conversations"]) == 2
        assert record["kind"] == "chain"
        assert record["thinking"][0]["question_type"] == "chain"
        [step] = record["steps"]
        assert step == {
            "perception": "position", "target": "the square", "value": record["point"]
        }  # fmt: skip


def test_marks_are_drawn_into_a_picture_of_their_own() -> None:
    mark = {"label": "A", "box": [10, 20, 30, 40], "color": [255, 0, 0]}

    class Marked(YesNo):
        def make(self, shot, rng, wish):
            for made in super().make(shot, rng, wish):
                yield replace(made, kind=Kind.CHOICE, facts={"marks": [mark]})

    work = Work(Squares(), (Marked(kind=Kind.CHOICE),), lossless=True)
    part = work.part(0)

    groups = {group for group, _ in part.records}
    names = [record["image"][0] for _, record in part.records]
    assert groups == {"visual_choice_qa"}
    assert len(set(names)) == len(part.records) == 4
    assert part.records[0][1]["depth"] == ["squares-000000-0.png"]
    data = part.files[f"image/{names[0]}"]
    drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert tuple(drawn[30, 10]) == (255, 0, 0)
    assert drawn.shape == (HEIGHT, WIDTH, 3)


def test_a_view_without_depth_gives_records_without_depth() -> None:
    class Flat(Squares):
        def shot(self, index):
            shot = super().shot(index)
            return replace(shot, views=tuple(replace(v, depth_m=None) for v in shot.views))

    part = Work(Flat(), MAKERS[:1]).part(0)

    assert all("depth" not in record for _, record in part.records)
    assert list(part.files) == ["image/squares-000000-0.jpg"]


def test_shards_are_read_back_by_webdataset(tmp_path: Path, folder: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    run(TWO_VIEWS, tmp_path, form=Form.SHARDS, progress=False)
    shards = sorted(map(str, tmp_path.glob("*.tar")))

    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))

    said = [entry["record"]["id"] for sample in samples for entry in sample["records.json"]]
    wanted = [one.record["id"] for one in stored(folder)]
    assert sorted(said) == sorted(wanted)
    for sample in samples:
        assert sample["image0.jpg"].shape == (HEIGHT, WIDTH, 3)
        assert sample["depth0.png"].shape[:2] == (HEIGHT, WIDTH)
        assert ("image1.jpg" in sample) == ("+" in sample["__key__"])


def test_both_forms_hold_the_same_records_and_pictures(tmp_path: Path, folder: Path) -> None:
    run(TWO_VIEWS, tmp_path, form=Form.SHARDS, progress=False)

    def by_id(out: Path) -> dict:
        return {one.record["id"]: (one.group, one.record, one.images) for one in stored(out)}

    assert by_id(tmp_path) == by_id(folder)


def test_shards_keep_to_their_size_and_the_index_is_right(tmp_path: Path) -> None:
    parts = [TWO_VIEWS.part(index) for index in (0, 1, 2)]
    write_shards(tmp_path, parts, "some", most_bytes=30_000)

    index = json.loads((tmp_path / "shards.json").read_text())

    assert len(index["shards"]) > 2
    assert index["samples"] == sum(shard["samples"] for shard in index["shards"])
    assert index["records"] == sum(len(part.records) for part in parts)
    for shard in index["shards"]:
        data = (tmp_path / shard["file"]).read_bytes()
        assert len(data) == shard["bytes"] <= 30_000
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]


def test_no_sample_is_lost_when_it_is_larger_than_a_shard(tmp_path: Path) -> None:
    write_shards(tmp_path, [TWO_VIEWS.part(0)], "some", most_bytes=1)

    assert all(
        shard["samples"] == 1
        for shard in json.loads((tmp_path / "shards.json").read_text())["shards"]
    )
    with pytest.raises(ConfigurationError, match="0 bytes"):
        write_shards(tmp_path, [], most_bytes=0)


@pytest.mark.parametrize("form", list(Form))
def test_merged_data_sets_hold_everything_under_names_of_their_own(
    tmp_path: Path, form: Form
) -> None:
    for seed in (0, 1):
        run(replace(TWO_VIEWS, seed=seed), tmp_path / f"s{seed}", form=form, progress=False)

    tally = merge([tmp_path / "s0", tmp_path / "s1"], tmp_path / "all", progress=False)

    single = read_report(tmp_path / "s0").counts["examples"]
    assert tally.counts["examples"] == {kind: 2 * count for kind, count in single.items()}
    both = list(stored(tmp_path / "all"))
    assert len(both) == 2 * len(list(stored(tmp_path / "s0")))
    if form is Form.JSON:
        assert len({one.record["id"] for one in both}) == len(both)
        read_records(tmp_path / "all" / "choice_qa.json", with_depth=True)


def test_what_cannot_be_merged_is_refused(tmp_path: Path, folder: Path) -> None:
    run(TWO_VIEWS, tmp_path / "two", form=Form.SHARDS, progress=False)

    with pytest.raises(ConfigurationError, match="one form"):
        merge([folder, tmp_path / "two"], tmp_path / "all", progress=False)
    with pytest.raises(ConfigurationError, match="told apart"):
        merge([folder, folder], tmp_path / "all", progress=False)
    with pytest.raises(ConfigurationError, match="no finished data set"):
        merge([tmp_path / "none"], tmp_path / "all", progress=False)
    with pytest.raises(ConfigurationError, match="not empty"):
        merge([folder], tmp_path / "two", progress=False)


def test_the_report_counts_and_reads_well(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    page = (folder / "report.md").read_text()

    assert report["counts"]["examples"] == {
        "chain": 12, "location": 12, "multi_view": 12, "predicate": 12
    }  # fmt: skip
    assert report["counts"]["rejected"]["location/not unique"] == 3
    assert report["counts"]["relations"]["location/left"] == 12
    assert sum(
        count for label, count in report["counts"]["answers"].items() if label.startswith("pred")
    ) == 12  # fmt: skip
    assert report["counts"]["steps"] == {"1": 12}
    assert "48 questions from 4 shots (1 failed, 0 without questions)" in page
    assert "| scan N has no depth | 1 |" in page
    assert "| location | not unique | 3 |" in page


def test_a_sheet_shows_every_kind_and_is_the_same_again(folder: Path) -> None:
    samples = choose(stored(folder), 8, seed=0)

    kinds = [sample.question["kind"] for sample in samples]
    assert kinds == sorted(["chain", "location", "multi_view", "predicate"] * 2)
    again = choose(stored(folder), 8, seed=0)
    picture = sheet(samples, columns=4)
    np.testing.assert_array_equal(picture, sheet(again, columns=4))
    assert picture.shape[1] == 4 * 488 + 8


def test_records_with_the_wrong_number_of_turns_are_refused() -> None:
    with pytest.raises(ValueError, match="1 for 0 sentences"):
        questions_of({"id": "x", "conversations": []})


def test_finished_data_holds_no_parts(folder: Path) -> None:
    assert {name.split("/")[0] for name in tree(folder)} == {
        "image", "depth", "run.json", "report.json", "report.md", "choice_qa.json",
        "chain_qa.json", "multi_view_qa.json", "reasoning_template_qa.json",
    }  # fmt: skip
