# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples become batches; what does not fit is named and not cut to pieces."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from roborefer_vlm.exceptions import RecordError
from roborefer_vlm.training.collate import Collate
from roborefer_vlm.training.labels import IGNORED
from roborefer_vlm.training.samples import SpatialDataset

NAMES = ("dyn3x3", "s2", "s2mid", "shared")
# Index and whether with depth, as the references mix them.
BATCHES = {
    "rgbd": [(0, True), (1, True), (2, True), (3, True)],
    "rgb": [(0, False), (1, False), (2, False), (3, False)],
    "mixed": [(0, True), (1, False), (2, True), (3, False)],
    "single": [(0, True)],
}


@pytest.fixture
def samples(golden, processor):
    dataset = SpatialDataset(golden / "train" / "records.json", processor, golden / "images")
    return [dataset[index] for index in range(4)]


@pytest.mark.parametrize("name", NAMES)
def test_batches_have_the_sizes_of_the_original(name, golden, load_processor, load_reference):
    processor, images = load_processor(name), golden / "images"
    records = golden / "train" / "records.json"
    datasets = {
        True: SpatialDataset(records, processor, images, images),
        False: SpatialDataset(records, processor, images),
    }
    for batch_name, members in BATCHES.items():
        reference = load_reference(name)["batches"][batch_name]

        batch = Collate(processor.tokenizer)([datasets[depth][i] for i, depth in members])

        assert list(batch.input_ids.shape) == reference["batch_shape"]
        assert batch.num_items == reference["num_items_in_batch"]
        tiles = [sum(len(i.image_tiles) for i in batch.inputs)]
        tiles.append(sum(len(i.depth_tiles) for i in batch.inputs))
        assert tiles == [reference["n_image_tiles"], reference["n_depth_tiles"]]


def test_rows_are_padded_on_the_right_and_kept_apart_beside(samples, processor):
    batch = Collate(processor.tokenizer)(samples)

    for row, sample in enumerate(samples):
        length = len(sample.inputs.input_ids)
        assert (batch.input_ids[row, :length] == sample.inputs.input_ids).all()
        assert (batch.input_ids[row, length:] == processor.tokenizer.pad_id).all()
        assert (batch.padded_labels[row, :length] == sample.labels).all()
        assert (batch.padded_labels[row, length:] == IGNORED).all()
        assert batch.mask[row].sum() == length
        assert batch.mask[row, :length].all()
        assert batch.labels[row] is sample.labels


def test_long_samples_lose_their_end_but_no_picture(samples, processor):
    sample = samples[1]  # three questions about one small picture
    length = len(sample.inputs.input_ids) - 10

    batch = Collate(processor.tokenizer, length)([sample])

    assert (batch.inputs[0].input_ids == sample.inputs.input_ids[:length]).all()
    assert (batch.labels[0] == sample.labels[:length]).all()
    assert batch.inputs[0].image_tiles is sample.inputs.image_tiles
    assert batch.num_items == int((sample.labels[:length] != IGNORED).sum())


def test_a_cut_through_pictures_is_refused(samples, processor):
    with pytest.raises(RecordError, match="pictures do not fit in 20") as caught:
        Collate(processor.tokenizer, 20)(samples)

    assert caught.value.record == "0"


def test_a_cut_that_leaves_nothing_to_learn_is_refused(samples, processor):
    first_answer = int((samples[0].labels != IGNORED).nonzero()[0])

    with pytest.raises(RecordError, match="no token of an answer"):
        Collate(processor.tokenizer, first_answer)(samples[:1])


def test_the_first_label_of_a_row_does_not_count(samples, processor):
    labels = samples[0].labels.clone()
    labels[0] = 5
    sample = replace(samples[0], labels=labels)

    count = Collate(processor.tokenizer)([sample]).num_items

    assert count == Collate(processor.tokenizer)([samples[0]]).num_items


def test_a_data_loader_with_a_worker_gives_the_same_batches(golden, processor):
    dataset = SpatialDataset(golden / "train" / "records.json", processor, golden / "images")
    collate = Collate(processor.tokenizer)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=2, num_workers=1, collate_fn=collate, timeout=60
    )

    loaded = list(loader)

    assert len(loaded) == 2
    for number, batch in enumerate(loaded):
        direct = collate([dataset[2 * number], dataset[2 * number + 1]])
        assert (batch.input_ids == direct.input_ids).all()
        assert (batch.inputs[0].image_tiles == direct.inputs[0].image_tiles).all()
