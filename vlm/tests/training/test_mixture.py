# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The order of the data follows from the seed; every record comes as often as it should."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from roborefer_vlm.training.mixture import Mixture, StreamSampler
from roborefer_vlm.training.settings import DataSettings


@pytest.fixture
def mixture(golden, processor):
    records, images = golden / "train" / "records.json", golden / "images"
    return Mixture(
        [
            DataSettings(records, images, images, also_without=True),
            DataSettings(records, images, repeat=3),
        ],
        processor,
    )


def stream(mixture, **changes):
    options = {"seed": 1, "samples": 2, "accumulation": 2, "steps": 6} | changes
    return list(StreamSampler(mixture, **options))


def test_an_epoch_has_every_record_as_often_as_it_repeats(mixture):
    counts = Counter(mixture.order(1, 0).tolist())

    assert mixture.epoch_length == 4 + 4 + 12
    assert counts == Counter({**dict.fromkeys(range(8), 1), **dict.fromkeys(range(8, 12), 3)})


def test_with_and_without_depth_are_read_where_both_are_asked_for(mixture):
    assert len(mixture[0].inputs.depth_tiles) > 0
    assert len(mixture[4].inputs.depth_tiles) == 0
    assert mixture[0].record.name == mixture[4].record.name


def test_the_order_follows_from_seed_and_epoch(mixture):
    assert np.array_equal(mixture.order(1, 0), mixture.order(1, 0))
    assert not np.array_equal(mixture.order(1, 0), mixture.order(1, 1))
    assert not np.array_equal(mixture.order(1, 0), mixture.order(2, 0))


def test_a_stream_runs_over_the_end_of_an_epoch_and_drops_nothing(mixture):
    # 6 steps of 4 samples: 24 of an epoch of 20 and the next.
    samples = list(chain.from_iterable(stream(mixture)))

    assert samples[:20] == mixture.order(1, 0).tolist()
    assert samples[20:] == mixture.order(1, 1)[:4].tolist()


def test_a_later_start_gives_the_rest(mixture):
    assert stream(mixture, first_step=4) == stream(mixture)[8:]


def test_processes_share_what_one_would_read(mixture):
    alone = stream(mixture, accumulation=2)

    shares = [stream(mixture, accumulation=1, rank=rank, ranks=2) for rank in (0, 1)]

    assert list(chain.from_iterable(zip(*shares, strict=True))) == alone
