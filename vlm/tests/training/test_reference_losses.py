# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the file of records to the loss, everything together gives the original's numbers."""

from __future__ import annotations

import PIL
import pytest
import torch
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.training.collate import Collate
from roborefer_vlm.training.labels import Supervision
from roborefer_vlm.training.samples import SpatialDataset

BATCHES = {
    "rgbd": [(0, True), (1, True), (2, True), (3, True)],
    "mixed": [(0, True), (1, False), (2, True), (3, False)],
}


@pytest.mark.skipif(
    int(PIL.__version__.split(".")[0]) >= 13, reason="losses of Pillow 12 are compared here"
)
@pytest.mark.parametrize("name", ["dyn3x3", "s2", "s2mid", "shared"])
@pytest.mark.parametrize(
    ("supervision", "key"),
    [(Supervision.ORIGINAL, "loss_mean"), (Supervision.SPANS, "loss_mean_span_mask")],
)
def test_losses_of_records_equal_the_original(
    name, supervision, key, golden, load_processor, load_reference
):
    processor, images = load_processor(name), golden / "images"
    records = golden / "train" / "records.json"
    datasets = {
        True: SpatialDataset(records, processor, images, images, supervision),
        False: SpatialDataset(records, processor, images, None, supervision),
    }
    model = load_checkpoint(golden / "checkpoints" / name, dtype=torch.float32)
    collate = Collate(processor.tokenizer)
    for batch_name, members in BATCHES.items():
        batch = collate([datasets[depth][index] for index, depth in members])

        with torch.no_grad():
            loss = model.loss(batch.inputs, batch.labels, num_items=batch.num_items)

        wanted = load_reference(name)["batches"][batch_name][key]
        assert loss.item() == pytest.approx(wanted, rel=1e-5)
