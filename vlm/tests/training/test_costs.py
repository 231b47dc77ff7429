# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The estimate of a step's operations agrees with what torch counts."""

from __future__ import annotations

import pytest
import torch
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.training.collate import Collate
from roborefer_vlm.training.costs import StepCost, peak_flops, sizes_of, state_bytes
from roborefer_vlm.training.loss_network import LossNetwork
from roborefer_vlm.training.samples import SpatialDataset
from roborefer_vlm.training.stages import prepare_parts
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

TILES = ("image_tiles", "depth_tiles")


@pytest.mark.parametrize("stage", ["sft", "depth_align"])
@pytest.mark.parametrize("name", ["dyn3x3", "s2"])
def test_operations_are_those_that_torch_counts(name, stage, golden, load_processor):
    processor, images = load_processor(name), golden / "images"
    dataset = SpatialDataset(golden / "train" / "records.json", processor, images, images)
    batch = Collate(processor.tokenizer)([dataset[0], dataset[2]])
    model = load_checkpoint(golden / "checkpoints" / name, dtype=torch.float32)
    prepare_parts(model, stage)
    network = LossNetwork(model)

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss, lengths = network(batch, batch.num_items)
        loss.backward()

    tiles = [sum(len(getattr(one, kind)) for one in batch.inputs) for kind in TILES]
    cost = StepCost(model)
    # The plain kernel multiplies whole squares of scores, of which causal attention needs half.
    other_half = cost.per_pair * sum(length**2 for length in lengths)
    estimate = cost.flops(lengths, *tiles) + other_half
    assert estimate == pytest.approx(counter.get_total_flops(), rel=0.15)


def test_memory_is_sixteen_bytes_per_weight_that_learns_and_four_per_other(golden):
    model = load_checkpoint(golden / "checkpoints" / "dyn3x3", dtype=torch.float32)
    prepare_parts(model, "depth_align")

    sizes = sizes_of(model)

    total = sum(one.numel() for one in model.parameters())
    learning = sum(one.numel() for one in model.depth_projector.parameters())
    assert state_bytes(sizes) == 4 * total + 12 * learning
    assert state_bytes(sizes, processes=4) == (4 * total + 12 * learning) // 4


def test_a_cpu_has_no_known_peak():
    assert peak_flops(torch.device("cpu")) is None
