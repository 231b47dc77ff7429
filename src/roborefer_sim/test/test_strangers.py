# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_sim.core.cell import Cell, Layout, Placed
from roborefer_sim.core.strangers import STRANGE, Body, with_strangers


def test_strangers_join_the_library_and_are_no_known_kind(library):
    mixed = with_strangers(library, np.random.default_rng(1), 5)

    added = set(mixed.things) - set(library.things)

    assert len(added) == 5
    assert all(key.startswith(STRANGE) for key in added)
    assert {mixed.things[key].noun for key in added} == {STRANGE}


def test_the_same_chance_gives_the_same_strangers(library):
    one, two = (with_strangers(library, np.random.default_rng(3), 4) for _ in range(2))

    assert one.things == two.things


@pytest.mark.parametrize("body", Body)
def test_every_body_stands_on_its_lowest_point(body, library):
    mixed = with_strangers(library, np.random.default_rng(2), 1, (body,))
    make = mixed.make(f"{STRANGE}_0")

    low, high = make.bounds

    assert low[2] == pytest.approx(0, abs=1e-9)
    assert 0.005 < high[2] < 0.3
    Cell([Placed("thing", make, (0.5, 0, 0))], Layout(with_arm=False))
