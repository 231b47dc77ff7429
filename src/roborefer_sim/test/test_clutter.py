# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from itertools import combinations
from math import hypot

import numpy as np
import pytest
from roborefer_sim.core.clutter import Clutter, random_cell
from roborefer_sim.core.library import Library
from roborefer_sim.exceptions import SceneError


@pytest.mark.parametrize("seed", range(6))
def test_random_scenes_stand_still_upright_and_apart(seed):
    clutter = Clutter(fewest=5, most=8)

    cell = random_cell(seed, clutter)

    assert 5 <= len(cell.placed) <= 8
    before = {t.name: cell.pose_of(t.name) for t in cell.placed}
    cell.step(1.0)
    for thing in cell.placed:
        moved = np.linalg.norm(cell.pose_of(thing.name)[:3, 3] - before[thing.name][:3, 3])
        assert moved < 0.003
        assert cell.tilt_of(thing.name) < 0.12
    for a, b in combinations(cell.placed, 2):
        distance = hypot(a.position[0] - b.position[0], a.position[1] - b.position[1])
        assert distance >= a.make.footprint_radius + b.make.footprint_radius


def test_a_seed_gives_the_same_scene_and_another_one_another():
    first, again, other = (random_cell(seed) for seed in (3, 3, 4))

    assert [t.name for t in first.placed] == [t.name for t in again.placed]
    np.testing.assert_array_equal(first.data.qpos, again.data.qpos)
    assert [t.name for t in first.placed] != [t.name for t in other.placed]


def test_small_things_can_lie_in_containers(library):
    clutter = Clutter(fewest=4, most=6, keys=("bowl", "basket", "ball"), in_containers=1.0)

    cells = [random_cell(seed, clutter) for seed in range(4)]

    inside = [t for cell in cells for t in cell.placed if t.position[2] > 0.005]
    assert inside
    assert all(t.make.thing.key == "ball" for t in inside)


def test_a_region_that_is_too_small_says_so():
    with pytest.raises(SceneError, match=r"only \d of 12 things fit"):
        random_cell(0, Clutter(fewest=12, most=12, low=(0.4, 0.0), high=(0.5, 0.1)))


def test_things_that_cannot_stand_are_an_error_and_no_hang(library):
    pencil = library.things["marker"]
    standing = tuple(
        type(part)(part.shape, part.lengths, (0.0, 0.0, 0.3), (20.0, 0.0, 0.0), part.color)
        for part in pencil.parts
    )
    toppling = type(pencil)(**{**vars(pencil), "parts": standing, "key": "pole"})
    library = Library({"pole": toppling}, library.palette)

    with pytest.raises(SceneError, match="seed 0: no scene stood after 2 tries"):
        random_cell(0, Clutter(fewest=1, most=1), library=library, tries=2)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"fewest": 0}, "fewest 0"), ({"most": 2}, "most 2"), ({"low": (1.0, 1.0)}, "region")],
)
def test_impossible_wishes_are_refused(wrong, named):
    with pytest.raises(SceneError, match=named):
        Clutter(**wrong)
