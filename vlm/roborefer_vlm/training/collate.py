# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Put samples together to a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.utils.rnn import pad_sequence

from roborefer_vlm.exceptions import RecordError
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.tokenizer import Tokenizer
from roborefer_vlm.training.labels import IGNORED
from roborefer_vlm.training.samples import Sample


@dataclass(frozen=True, eq=False)
class Batch:
    """Several samples; the rows stay apart, so whoever trains may pad or pack them.

    Attributes:
        inputs: Per sample what the network takes.
        labels: Per sample the ids to learn, -100 elsewhere, int64, aligned with its input ids.
        num_items: Tokens that are learnt: labels without the first of each row, which nothing
            predicts. The loss is divided by their sum over the whole optimiser step.
        input_ids: All ids, padded on the right, int64, shape (B, T); pictures not inserted.
        padded_labels: All labels, padded with -100, int64, shape (B, T).
        mask: True where an id is none of the padding, shape (B, T).
    """

    inputs: tuple[ModelInput, ...]
    labels: tuple[torch.Tensor, ...]
    num_items: int
    input_ids: torch.Tensor
    padded_labels: torch.Tensor
    mask: torch.Tensor


class Collate:
    """Cuts samples to a length and puts them together; for `torch.utils.data.DataLoader`."""

    def __init__(self, tokenizer: Tokenizer, max_length: int | None = None) -> None:
        """Take what is needed of the tokenizer.

        Args:
            tokenizer: Of the network that is trained.
            max_length: Most ids of a sample, before pictures are inserted; None takes the
                longest sequence of the tokenizer.
        """
        self.pad_id = tokenizer.pad_id
        self.media_ids = torch.tensor(
            [token for token in (tokenizer.image_id, tokenizer.depth_id) if token is not None]
        )
        self.max_length = tokenizer.model_max_length if max_length is None else max_length

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Put samples together.

        Raises:
            RecordError: Cut to the length, a sample would lose pictures or everything to learn.
        """
        cut = [self.cut(sample) for sample in samples]
        ids = [sample.inputs.input_ids for sample in cut]
        labels = [sample.labels for sample in cut]
        lengths = torch.tensor([len(row) for row in ids])
        padded = pad_sequence(ids, batch_first=True, padding_value=self.pad_id)
        return Batch(
            inputs=tuple(sample.inputs for sample in cut),
            labels=tuple(labels),
            num_items=sum(int((row[1:] != IGNORED).sum()) for row in labels),
            input_ids=padded,
            padded_labels=pad_sequence(labels, batch_first=True, padding_value=IGNORED),
            mask=torch.arange(padded.shape[1]) < lengths[:, None],
        )

    def cut(self, sample: Sample) -> Sample:
        """Cut the end off; pictures stand at the beginning and stay whole.

        Raises:
            RecordError: The sample would lose pictures or everything to learn.
        """
        ids, labels = sample.inputs.input_ids, sample.labels
        if len(ids) <= self.max_length:
            return sample
        record = sample.record
        if torch.isin(ids[self.max_length :], self.media_ids).any():
            problem = "pictures do not fit in"
        elif (labels[1 : self.max_length] == IGNORED).all():
            problem = "no token of an answer fits in"
        else:
            inputs = replace(sample.inputs, input_ids=ids[: self.max_length])
            return replace(sample, inputs=inputs, labels=labels[: self.max_length])
        raise RecordError(
            record.source,
            record.name,
            "conversations",
            f"{problem} {self.max_length} tokens; it has {len(ids)}",
        )
