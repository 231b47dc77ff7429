# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Several data sets as one endless stream whose order follows from the seed alone.

The stream is one shuffled epoch after the other, each with every record of every data set as
often as it repeats. A step takes the next samples of it, whoever reads them: so a run can go on
in the middle of an epoch, and no record is dropped because a batch is not full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset, Sampler

from roborefer_vlm.exceptions import RecordError
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.training.collate import Batch, Collate
from roborefer_vlm.training.samples import Sample, SpatialDataset
from roborefer_vlm.training.settings import DataSettings


class Mixture(Dataset[Sample | RecordError]):
    """All data sets in a row; a record that cannot be used comes as its error.

    Attributes:
        datasets: One per file and way of reading it.
        repeats: How often the records of each come in one epoch.
    """

    def __init__(self, data: Sequence[DataSettings], processor: Processor) -> None:
        """Read and check the records of every data set.

        Raises:
            RecordError: A record is not as it must be.
            ConfigurationError: The network cannot be trained on a data set.
        """
        self.datasets: list[SpatialDataset] = []
        self.repeats: list[int] = []
        for one in data:
            dataset = SpatialDataset(
                one.records, processor, one.images, one.depths, one.supervision
            )
            if not len(dataset):
                raise RecordError(str(one.records), "-", "", "the file holds no record")
            self._add(dataset, one.repeat)
            if one.also_without:
                # The records are those of the other, in memory only once.
                colour = copy(dataset)
                colour.depth_folder = None
                self._add(colour, one.repeat)
        self._ends = np.cumsum([len(dataset) for dataset in self.datasets])

    def _add(self, dataset: SpatialDataset, repeat: int) -> None:
        self.datasets.append(dataset)
        self.repeats.append(repeat)

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def epoch_length(self) -> int:
        """Samples of one epoch, repeated ones counted as often as they come."""
        return sum(
            len(one) * repeat for one, repeat in zip(self.datasets, self.repeats, strict=True)
        )

    def __getitem__(self, index: int) -> Sample | RecordError:
        dataset = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[dataset - 1]) if dataset else 0
        try:
            return self.datasets[dataset][index - start]
        except RecordError as error:
            return error

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the indices of one epoch, shuffled; int64, shape (epoch_length,)."""
        starts = [0, *self._ends[:-1]]
        indices = np.concatenate(
            [
                np.tile(np.arange(start, end), repeat)
                for start, end, repeat in zip(starts, self._ends, self.repeats, strict=True)
            ]
        )
        return np.random.default_rng([seed, epoch]).permutation(indices)


class StreamSampler(Sampler[list[int]]):
    """The micro-batches of one process, from any step on."""

    def __init__(
        self,
        mixture: Mixture,
        seed: int,
        samples: int,
        accumulation: int,
        *,
        rank: int = 0,
        ranks: int = 1,
        first_step: int = 0,
        steps: int,
    ) -> None:
        """Choose a part of the stream.

        Args:
            mixture: What is read.
            seed: Of the order.
            samples: Samples of a micro-batch.
            accumulation: Micro-batches of one process in one step.
            rank: Which process this is.
            ranks: How many there are.
            first_step: Steps that were done before.
            steps: Steps of the whole run.
        """
        self.mixture = mixture
        self.seed = seed
        self.samples = samples
        self.accumulation = accumulation
        self.rank, self.ranks = rank, ranks
        self.first_step, self.steps = first_step, steps

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        length = self.mixture.epoch_length
        epoch, order = -1, np.empty(0, np.int64)
        for step in range(self.first_step, self.steps):
            for turn in range(self.accumulation):
                number = (step * self.accumulation + turn) * self.ranks + self.rank
                batch = []
                for place in range(number * self.samples, (number + 1) * self.samples):
                    if place // length != epoch:
                        epoch = place // length
                        order = self.mixture.order(self.seed, epoch)
                    batch.append(int(order[place % length]))
                yield batch


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """What one process reads together.

    Attributes:
        batch: The samples; None where none could be used.
        records: File and name of each record in it.
        rejected: Why the others could not be used.
    """

    batch: Batch | None
    records: tuple[tuple[str, str], ...]
    rejected: tuple[RecordError, ...]


class MicroCollate:
    """Puts samples together and keeps apart what cannot be used."""

    def __init__(self, collate: Collate) -> None:
        self.collate = collate

    def __call__(self, samples: Sequence[Sample | RecordError]) -> MicroBatch:
        """Return a micro-batch; see `Collate` for what does not fit."""
        usable: list[Sample] = []
        rejected: list[RecordError] = []
        for sample in samples:
            if isinstance(sample, RecordError):
                rejected.append(sample)
                continue
            try:
                usable.append(self.collate.cut(sample))
            except RecordError as error:
                rejected.append(error)
        return MicroBatch(
            batch=self.collate(usable) if usable else None,
            records=tuple((one.record.source, one.record.name) for one in usable),
            rejected=tuple(rejected),
        )
