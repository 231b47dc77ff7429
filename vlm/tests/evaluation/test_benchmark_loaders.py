# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import benchmark_layouts as lay
import numpy as np
import pytest
from roborefer_vlm.evaluation.benchmarks import load_benchmark
from roborefer_vlm.evaluation.records import Area, Protocol, Word
from roborefer_vlm.exceptions import (
    ConfigurationError,
    PictureError,
    RecordError,
    UnavailableError,
)
from roborefer_vlm.picture_files import read_gray

PARTS = {"Location": 3, "Placement": 2, "Unseen": 1}


def rewrite(path: Path, change) -> None:
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def test_raw_refspatial_keeps_every_record_in_the_order_of_the_parts(tmp_path):
    lay.refspatial_raw(tmp_path, PARTS)

    found = load_benchmark("refspatial", tmp_path)

    assert [q.id for q in found.questions] == [
        *("location/0", "location/1", "location/2", "placement/0", "placement/1", "unseen/0")
    ]
    assert found.protocol is Protocol.REFSPATIAL
    first = found.questions[1]
    assert (first.prompt, first.object, first.suffix, first.step) == (
        "Please point to the mug number 1.",
        "the mug number 1",
        lay.SUFFIX,
        2,
    )
    assert np.array_equal(read_gray(first.truth.mask) > 0, lay.mask() > 0)


def test_parquet_refspatial_gives_the_same_questions_as_raw_folders(tmp_path):
    raw = load_benchmark("refspatial", lay.refspatial_raw(tmp_path / "raw", PARTS))
    for part, count in PARTS.items():
        rows = [lay.refspatial_table_row(n) for n in range(count)]
        lay.parquet(tmp_path / f"hub/data/{part.lower()}-00000-of-00001.parquet", rows)

    found = load_benchmark("refspatial", tmp_path / "hub")

    def seen(benchmark):
        return [
            (q.id, q.category, q.prompt, q.object, q.suffix, q.step, q.picture.read())
            for q in benchmark.questions
        ]

    assert seen(found) == seen(raw)


def test_parquet_refspatial_expand_is_found_by_its_configurations_and_keeps_the_scene(tmp_path):
    for part in ("location", "placement"):
        rows = [lay.refspatial_table_row(n, scene=("indoor", "outdoor")[n]) for n in range(2)]
        lay.parquet(tmp_path / part / "train-00000-of-00001.parquet", rows)

    found = load_benchmark("refspatial-expand", tmp_path)

    assert [(q.id, q.scene) for q in found.questions] == [
        ("location/0", "indoor"),
        ("location/1", "outdoor"),
        ("placement/0", "indoor"),
        ("placement/1", "outdoor"),
    ]


def test_tables_of_several_files_are_read_in_order(tmp_path):
    for shard in range(2):
        rows = [lay.refspatial_table_row(2 * shard + n) for n in range(2)]
        lay.parquet(tmp_path / f"data/location-0000{shard}-of-00002.parquet", rows)

    found = load_benchmark("refspatial", tmp_path)

    assert [q.id for q in found.questions] == [f"location/{n}" for n in range(4)]


@pytest.mark.parametrize("form", ["annotations", "parquet"])
def test_robospatial_home_tells_places_from_words(tmp_path, form):
    lay.robospatial_raw(tmp_path)
    if form == "parquet":
        for row in lay.robospatial_rows():
            name = row["category"]
            images = {
                "img": lay.blob(lay.picture()),
                "mask": lay.blob(lay.mask()) if row["mask"] else None,
                "depth_image": None,
            }
            lay.parquet(tmp_path / f"hub/data/{name}-00000-of-00001.parquet", [{**row, **images}])
        tmp_path = tmp_path / "hub"

    found = load_benchmark("robospatial-home", tmp_path)

    assert [q.category for q in found.questions] == ["context", "compatibility", "configuration"]
    context, fits, is_left = found.questions
    assert isinstance(context.truth, Area)
    assert context.truth.polygon == tuple(lay.POLYGON)
    assert context.truth.mask is not None
    assert fits.truth == Word("yes")
    assert is_left.truth == Word("no")


def test_robospatial_depth_goes_along_only_with_a_stated_unit(tmp_path):
    lay.robospatial_raw(tmp_path)

    without = load_benchmark("robospatial-home", tmp_path).questions[0]
    with_unit = load_benchmark("robospatial-home", tmp_path, depth_scale_m=0.001).questions[0]

    assert without.query("where").depth_m is None
    assert with_unit.query("where").depth_m.max() == pytest.approx(1.5)


def test_where2place_pairs_masks_by_place_and_keeps_the_sentence(tmp_path):
    lay.where2place_raw(tmp_path)

    found = load_benchmark("where2place", tmp_path)

    second = found.questions[1]
    assert (second.id, second.category) == ("101", "free_space")
    assert f"{second.prompt} {second.suffix}" == f"Locate free space 1. {lay.SUFFIX}"
    assert second.truth.soft
    assert second.truth.mask.name.endswith("masks/01.jpg")


def test_where2place_lines_end_at_line_feeds_alone(tmp_path):
    lay.where2place_raw(tmp_path, count=1)
    path = tmp_path / "point_questions.jsonl"
    path.write_text(path.read_text().replace("free space 0", "free\u2028space\x85 0"))

    (question,) = load_benchmark("where2place", tmp_path).questions

    assert question.prompt == "Locate free\u2028space\x85 0."


def test_own_form_sends_depth_camera_and_marked_things(tmp_path):
    lay.own_raw(tmp_path)

    question = load_benchmark("own", tmp_path).questions[0]
    query = question.query("where", given_objects=True)

    assert query.depth_m.max() == pytest.approx(0.8)
    assert (query.intrinsics.fx, query.intrinsics.cy) == (60.0, 23.5)
    assert [(o.name, int(o.mask.sum())) for o in query.objects] == [("soup can", 400), ("mug", 25)]
    assert question.query("where").objects == ()


def test_parts_choose_and_unknown_ones_are_refused(tmp_path):
    lay.refspatial_raw(tmp_path, PARTS)

    assert len(load_benchmark("refspatial", tmp_path, parts=["Unseen"]).questions) == 1
    with pytest.raises(ConfigurationError, match=r"'outdoor'.*location, placement, unseen"):
        load_benchmark("refspatial", tmp_path, parts=["outdoor"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ...),
        ("prompt", "  "),
        ("prompt", 7),
        ("step", "2"),
        ("step", 0),
        ("step", True),
        ("step", ...),
        ("rgb_path", "image/none.png"),
        ("mask_path", "mask/none.png"),
        ("mask_path", ...),
        ("rgb_path", "question.json"),
    ],
)
def test_malformed_record_is_an_error_that_names_file_id_and_field(tmp_path, field, value):
    lay.refspatial_raw(tmp_path, {"Location": 3})
    path = tmp_path / "Location/question.json"
    rows = [lay.refspatial_row(n, **({field: value} if n == 2 else {})) for n in range(3)]
    lay.write_json(path, rows)

    with pytest.raises(RecordError) as caught:
        load_benchmark("refspatial", tmp_path)

    error = caught.value
    assert (error.file, error.record, error.field) == (str(path), "2", field)
    assert str(path) in str(error)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "no records"),
        ("{}", "a list is needed"),
        ("not json", "no JSON"),
        ("[3]", "not an object"),
        ('[{"id": 1.5}]', "an id is needed"),
    ],
)
def test_file_that_is_no_list_of_records_is_refused(tmp_path, content, words):
    lay.refspatial_raw(tmp_path, {"Location": 1})
    (tmp_path / "Location/question.json").write_text(content)

    with pytest.raises(RecordError, match=words):
        load_benchmark("refspatial", tmp_path)


def test_id_that_comes_twice_is_refused(tmp_path):
    lay.refspatial_raw(tmp_path, {"Location": 2})
    rewrite(tmp_path / "Location/question.json", lambda rows: rows[1].update(id=0))

    with pytest.raises(RecordError, match=r"record 0, field 'id': this id comes twice"):
        load_benchmark("refspatial", tmp_path)


def test_mask_of_another_shape_is_refused_and_of_another_resolution_is_not(tmp_path):
    lay.refspatial_raw(tmp_path, {"Location": 1})
    lay.write(tmp_path / "Location/mask/0.png", lay.png(np.zeros((96, 128), np.uint8)))
    assert len(load_benchmark("refspatial", tmp_path).questions) == 1

    lay.write(tmp_path / "Location/mask/0.png", lay.png(np.zeros((48, 48), np.uint8)))

    with pytest.raises(RecordError, match=r"48 x 48 and the picture 64 x 48"):
        load_benchmark("refspatial", tmp_path)


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        (0, "answer", "[(0.1, 0.2), (0.3, 0.4)]"),
        (0, "answer", "__import__('os').system('true')"),
        (0, "answer", "[(0.1, 0.2), (0.3, 0.4), (0.5, 0.1)] or more"),
        (1, "answer", "maybe"),
        (1, "category", "navigation"),
        (2, "question", None),
        (2, "img", None),
    ],
)
def test_malformed_robospatial_record_names_its_field(tmp_path, row, field, value):
    lay.robospatial_raw(tmp_path)
    rewrite(tmp_path / "annotations.json", lambda rows: rows[row].update({field: value}))

    with pytest.raises(RecordError) as caught:
        load_benchmark("robospatial-home", tmp_path)

    assert (caught.value.record, caught.value.field) == (str(row), field)


def test_table_without_the_bytes_of_a_picture_is_refused(tmp_path):
    rows = [lay.refspatial_table_row(0), lay.refspatial_table_row(1)]
    rows[1]["mask"] = {"bytes": None, "path": "mask/1.png"}
    lay.parquet(tmp_path / "data/location-00000-of-00001.parquet", rows)

    with pytest.raises(RecordError, match=r"record 1, field 'mask': .*no bytes"):
        load_benchmark("refspatial", tmp_path)


def test_broken_table_is_refused_by_name(tmp_path):
    path = tmp_path / "data/location-00000-of-00001.parquet"
    lay.write(path, b"PAR1 and no more")

    with pytest.raises(RecordError, match="no parquet table") as caught:
        load_benchmark("refspatial", tmp_path)

    assert caught.value.file == str(path)


def test_missing_where2place_mask_and_broken_line_are_refused(tmp_path):
    lay.where2place_raw(tmp_path)
    (tmp_path / "masks/01.jpg").unlink()
    with pytest.raises(RecordError, match=r"record 101, field 'mask': there is no file"):
        load_benchmark("where2place", tmp_path)

    path = tmp_path / "point_questions.jsonl"
    path.write_text(path.read_text() + "\n{broken")
    with pytest.raises(RecordError, match="line 3"):
        load_benchmark("where2place", tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("scenes/desk/camera.json", {"fx": -1.0}, "fx, fy > 0"),
        ("scenes/desk/camera.json", {"fx": "60"}, "field 'fx'"),
        ("scenes/desk/camera.json", {"fx": 10**400}, "field 'fx'"),
        ("scenes/desk/camera.json", {"width": 65}, "it is for 65 x 48"),
        ("scenes/desk/camera.json", {"distortion": [0.1, 0, 0, 0, 0]}, "rectify"),
        ("scenes/desk/camera.json", {"depth_scale_m": 0}, "metres per unit"),
    ],
)
def test_camera_that_cannot_be_right_is_refused(tmp_path, file, change, words):
    lay.own_raw(tmp_path)
    rewrite(tmp_path / file, lambda fields: fields.update(change))

    with pytest.raises(RecordError, match=words):
        load_benchmark("own", tmp_path)


def test_own_depth_needs_a_camera_and_the_size_of_the_picture(tmp_path):
    lay.own_raw(tmp_path)
    lay.write(tmp_path / "scenes/desk/depth.png", lay.png(np.zeros((10, 10), np.uint16)))
    with pytest.raises(RecordError, match="10 x 10; 64 x 48"):
        load_benchmark("own", tmp_path)

    rewrite(tmp_path / "Location/question.json", lambda rows: rows[0].pop("camera_path"))
    with pytest.raises(RecordError, match="depth_path is given without the camera"):
        load_benchmark("own", tmp_path)


def test_own_record_without_depth_is_a_plain_picture(tmp_path):
    lay.own_raw(tmp_path)

    def without(rows):
        for row in rows:
            row["depth_path"] = None
            del row["camera_path"]

    rewrite(tmp_path / "Location/question.json", without)

    query = load_benchmark("own", tmp_path).questions[0].query("where", given_objects=True)

    assert query.depth_m is None
    assert query.objects == ()


def test_damaged_picture_names_the_question_when_it_is_asked(tmp_path):
    lay.refspatial_raw(tmp_path, {"Location": 1})
    path = tmp_path / "Location/image/0.png"
    path.write_bytes(path.read_bytes()[:2000])

    question = load_benchmark("refspatial", tmp_path).questions[0]

    with pytest.raises(PictureError, match=r"question location/0: .*image/0.png.*broken"):
        question.query("where")


@pytest.mark.parametrize("name", ["refspatial", "robospatial-home", "where2place", "own"])
def test_directory_without_the_benchmark_is_refused(tmp_path, name):
    with pytest.raises(ConfigurationError):
        load_benchmark(name, tmp_path)
    with pytest.raises(ConfigurationError, match="no directory"):
        load_benchmark(name, tmp_path / "none")


def test_unknown_benchmark_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match="refspatial-expand, robospatial-home"):
        load_benchmark("refcoco", ".")


def fake_hub(monkeypatch, download) -> None:
    hub = types.ModuleType("huggingface_hub")
    hub.snapshot_download = download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def test_hub_is_asked_only_when_named(tmp_path, monkeypatch):
    lay.refspatial_raw(tmp_path, PARTS)
    asked = []

    def download(name, repo_type):
        asked.append((name, repo_type))
        return str(tmp_path)

    fake_hub(monkeypatch, download)

    load_benchmark("refspatial", tmp_path)
    assert asked == []
    with pytest.raises(ConfigurationError, match="no directory"):
        load_benchmark("refspatial", "BAAI/RefSpatial-Bench")
    assert asked == []
    assert len(load_benchmark("refspatial", "hub:BAAI/RefSpatial-Bench").questions) == 6
    assert asked == [("BAAI/RefSpatial-Bench", "dataset")]


def test_hub_out_of_reach_is_unavailable(monkeypatch):
    def download(name, repo_type):
        raise OSError("no route")

    fake_hub(monkeypatch, download)

    with pytest.raises(UnavailableError, match="no route"):
        load_benchmark("refspatial", "hub:a/b")
    with pytest.raises(ConfigurationError, match="hub:<owner>/<data set>"):
        load_benchmark("refspatial", "hub:a")
