# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Records become the samples of the original, and those that cannot are named."""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from roborefer_vlm.exceptions import ConfigurationError, RecordError
from roborefer_vlm.training.labels import IGNORED, Supervision, make_labels
from roborefer_vlm.training.samples import SpatialDataset, read_records

NAMES = ("dyn3x3", "s2", "s2mid", "shared")
TURNS = [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "[(0.1, 0.2)]"}]


def tiles_digest(tiles: torch.Tensor) -> str:
    grey = np.rint((tiles.numpy() * 0.5 + 0.5) * 255).astype(np.uint8)
    return hashlib.sha256(np.ascontiguousarray(grey).tobytes()).hexdigest()


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "records.json"
        path.write_text(json.dumps(list(records)))
        return path

    return write


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["rgbd", "rgb"])
def test_samples_equal_the_original(name, kind, golden, load_processor, load_reference):
    images = golden / "images"
    dataset = SpatialDataset(
        golden / "train" / "records.json",
        load_processor(name),
        images,
        images if kind == "rgbd" else None,
        Supervision.ORIGINAL,
    )
    wanted = load_reference(name)["datasets"][kind]
    assert len(dataset) == len(wanted) == 4
    tokenizer = load_processor(name).tokenizer
    for sample, reference in zip(map(dataset.__getitem__, range(4)), wanted, strict=True):
        inputs = sample.inputs
        ids = inputs.input_ids.tolist()
        assert ids == reference["input_ids"]
        assert sample.labels.tolist() == reference["labels"]
        assert tokenizer._backend.decode(ids, skip_special_tokens=False) == reference["text"]
        assert tiles_digest(inputs.image_tiles) == reference["image"]["u8_sha256"]
        if kind == "rgbd":
            assert tiles_digest(inputs.depth_tiles) == reference["depth"]["u8_sha256"]
        else:
            assert len(inputs.depth_tiles) == 0
        if "block_sizes" in reference:
            assert [[b.rows, b.cols] for b in inputs.image_blocks] == reference["block_sizes"]


@pytest.mark.parametrize("name", NAMES)
def test_clean_labels_are_the_answers_and_their_ends(name, golden, load_processor, load_reference):
    processor = load_processor(name)
    dataset = SpatialDataset(golden / "train" / "records.json", processor, golden / "images")
    equal = load_reference(name)["batches"]["rgb"]["labels_equal_span_mask"]
    for index, reference in enumerate(load_reference(name)["datasets"]["rgb"]):
        sample = dataset[index]
        learnt = sample.labels[sample.labels != IGNORED].tolist()
        said = dataset.records[index].turns[1::2]

        text = processor.tokenizer._backend.decode(learnt, skip_special_tokens=False)
        assert text == "".join(f"{answer}<|im_end|>" for answer in said)
        assert (sample.labels.tolist() == reference["labels"]) == equal[index]


def test_the_original_mask_gives_up_the_first_lone_line_break():
    newline, end = 198, 7
    ids = [1, 2, newline, 5, newline, 6, end, newline]
    supervised = [False, False, False, True, True, True, True, False]

    spans = make_labels(ids, supervised)
    original = make_labels(ids, supervised, Supervision.ORIGINAL)

    assert spans == [-100, -100, -100, 5, newline, 6, end, -100]
    assert original == [-100, -100, -100, 5, -100, 6, end, newline]


def test_records_without_pictures_are_text(write, processor, tmp_path):
    dataset = SpatialDataset(write({"conversations": TURNS}), processor, tmp_path, tmp_path)

    inputs = dataset[0].inputs

    assert len(inputs.image_tiles) == len(inputs.depth_tiles) == 0
    assert processor.tokenizer.image_id not in inputs.input_ids.tolist()


def test_special_tokens_in_data_are_letters(write, processor, tmp_path):
    turns = [
        {"from": "human", "value": "Say <|im_end|>"},
        {"from": "gpt", "value": "No <|im_start|>"},
    ]

    sample = SpatialDataset(write({"conversations": turns}), processor, tmp_path)[0]

    ids = sample.inputs.input_ids.tolist()
    assert ids.count(processor.tokenizer.special_id("<|im_start|>")) == 3
    assert ids.count(processor.tokenizer.special_id("<|im_end|>")) == 3


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"id": "r1"}, "conversations"),
        ({"id": "r1", "conversations": TURNS[:1]}, "conversations"),
        ({"id": "r1", "conversations": TURNS[::-1]}, "conversations[0]"),
        ({"id": "r1", "conversations": [TURNS[0], {"from": "gpt"}]}, "conversations[1]"),
        (
            {"id": "r1", "conversations": [TURNS[0], {"from": "gpt", "value": "<image>\n "}]},
            "conversations[1]",
        ),
        ({"id": "r1", "conversations": TURNS, "image": 5}, "image"),
        ({"id": "r1", "conversations": TURNS, "image": ["a.png", ""]}, "image"),
        ({"id": "r1", "conversations": TURNS, "image": "../secret.png"}, "image"),
        ({"id": "r1", "conversations": TURNS, "image": "/etc/passwd"}, "image"),
        ({"id": "r1", "conversations": TURNS, "image": "a.png"}, "depth"),
        (
            {"id": "r1", "conversations": TURNS, "image": ["a", "b"], "depth": ["a"]},
            "depth",
        ),
    ],
)
def test_bad_records_are_named_when_the_file_is_read(write, record, field):
    good = {"id": "r0", "conversations": TURNS}

    with pytest.raises(RecordError) as caught:
        read_records(write(good, record), with_depth=True)

    assert (caught.value.record, caught.value.field) == ("r1", field)


@pytest.mark.parametrize("content", ["", "{", "{}", "[[]]", "[1]"])
def test_files_that_are_no_list_of_records_are_named(tmp_path, content):
    path = tmp_path / "records.json"
    path.write_text(content)

    with pytest.raises(RecordError, match=r"records\.json"):
        read_records(path, with_depth=False)


def test_a_record_without_id_is_named_by_its_place(write):
    with pytest.raises(RecordError, match="record #1"):
        read_records(write({"conversations": TURNS}, {}), with_depth=False)


def test_broken_pictures_are_named_with_their_record(write, processor, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "metric.png")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "good.png")
    cases = {
        "missing.png": ("good.png", "image[0]"),
        "broken.png": ("good.png", "image[0]"),
        "good.png": ("metric.png", "depth[0]"),
    }
    for image, (depth, field) in cases.items():
        path = write({"id": 3, "conversations": TURNS, "image": image, "depth": depth})
        dataset = SpatialDataset(path, processor, tmp_path, tmp_path)

        with pytest.raises(RecordError) as caught:
            _ = dataset[0]

        assert (caught.value.record, caught.value.field) == ("3", field)


def test_checkpoints_that_cannot_be_trained_on_this_are_refused(write, load_processor, tmp_path):
    with pytest.raises(ConfigurationError, match="resize"):
        SpatialDataset(write(), load_processor("resize"), tmp_path)


def test_errors_of_records_survive_the_way_out_of_a_worker():
    error = RecordError("a.json", "7", "image[0]", "is missing")

    again = pickle.loads(pickle.dumps(error))

    assert str(again) == str(error)
    assert again.field == "image[0]"
