# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A packed row gives the loss and the gradients of the samples read apart."""

from __future__ import annotations

import pytest
import torch
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.training.collate import Collate
from roborefer_vlm.training.labels import Supervision
from roborefer_vlm.training.packing import enable_packing, packed_loss, read_packed
from roborefer_vlm.training.samples import SpatialDataset
from roborefer_vlm.training.stages import prepare_parts

MIXED = [(0, True), (1, False), (2, True), (3, False)]


@pytest.fixture
def mixed(golden, load_processor):
    def batch(name, supervision=Supervision.ORIGINAL):
        processor, images = load_processor(name), golden / "images"
        records = golden / "train" / "records.json"
        datasets = {
            True: SpatialDataset(records, processor, images, images, supervision),
            False: SpatialDataset(records, processor, images, None, supervision),
        }
        collate = Collate(processor.tokenizer)
        return collate([datasets[depth][index] for index, depth in MIXED])

    return batch


@pytest.mark.parametrize("name", ["dyn3x3", "s2", "s2mid", "shared"])
def test_packed_loss_equals_that_of_the_original(name, golden, mixed, load_reference):
    model = load_checkpoint(golden / "checkpoints" / name, dtype=torch.float32)
    enable_packing(model.llm)
    batch = mixed(name)

    with torch.no_grad():
        loss = packed_loss(model, batch.inputs, batch.labels, batch.num_items)

    reference = load_reference(name)["batches"]["mixed"]
    assert loss.item() == pytest.approx(reference["loss_packed"], rel=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_gradients_equal_unpacked_ones(golden, mixed, checkpointing):
    batch = mixed("dyn3x3")
    gradients = []
    for packed in (False, True):
        model = load_checkpoint(golden / "checkpoints" / "dyn3x3", dtype=torch.float32)
        prepare_parts(model, "sft")
        model.checkpoint_gradients(checkpointing and packed)
        if packed:
            enable_packing(model.llm)
            loss = packed_loss(model, batch.inputs, batch.labels)
        else:
            loss = model.loss(batch.inputs, batch.labels)
        loss.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})

    apart, together = gradients
    assert apart.keys() == together.keys()
    for name, gradient in apart.items():
        # Sums in another order: rounding of float32, relative to the largest entry.
        limit = 1e-4 * gradient.abs().max().item() + 1e-7
        assert (gradient - together[name]).abs().max().item() < limit, name


def test_no_sample_sees_another(golden):
    model = load_checkpoint(golden / "checkpoints" / "dyn3x3", dtype=torch.float32)
    enable_packing(model.llm)
    rows = list(torch.randn(3, 7, 64, generator=torch.Generator().manual_seed(0)))

    with torch.no_grad():
        first = read_packed(model.llm, rows)
        second = read_packed(model.llm, [rows[0] * 5, rows[1], rows[2] - 1])

    assert torch.equal(first[1], second[1])
    assert not torch.allclose(first[0], second[0])
