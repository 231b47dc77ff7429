# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What fits and what does not, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from roborefer_vlm.data.examples import Example, Wish
from roborefer_vlm.data.fitting import (
    Surroundings,
    between,
    gap_between,
    has_level_top,
    inside,
    is_bare,
    is_table,
    is_vessel,
    nearest_points,
    on_top,
)
from roborefer_vlm.data.platforms import platform
from roborefer_vlm.data.questions.compatibility import CompatibilityMaker
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.relations import Relation
from seen_tables import random_shot, table, thing, turn, view


def test_a_small_cube_fits_on_a_crate_and_the_crate_not_on_the_cube():
    crate = thing(1, "crate", 0.7, 0.1, (0.12, 0.1, 0.08))
    cube = thing(2, "cube", 0.7, -0.2, (0.04, 0.04, 0.04))

    assert on_top(cube, crate).fits
    assert not on_top(crate, cube).fits


def test_nearly_equal_sizes_are_not_asked_about():
    first = thing(1, "box", 0.7, 0.1, (0.1, 0.1, 0.08))
    second = thing(2, "box", 0.7, -0.2, (0.095, 0.1, 0.04))

    assert on_top(first, second) is None
    assert on_top(second, first) is None


def test_a_long_thing_fits_on_no_top_whose_diagonal_is_shorter():
    pen = thing(1, "pen", 0.7, 0.1, (0.2, 0.01, 0.01))
    box = thing(2, "box", 0.7, -0.2, (0.1, 0.1, 0.04))

    assert on_top(pen, box).fits is False


def test_tops_that_carry_something_are_not_bare():
    box = thing(1, "box", 0.7, 0.0, (0.12, 0.12, 0.08))
    cube = thing(2, "cube", 0.7, 0.0, (0.04, 0.04, 0.04), z=0.08, support=1)
    unsaid = replace(cube, support=None)

    assert not is_bare(view(box, cube).scene, box)
    assert not is_bare(view(box, unsaid).scene, box)
    assert is_bare(view(box).scene, box)


def test_round_tops_carry_nothing():
    box = thing(1, "box", 0.7, 0.0, (0.12, 0.12, 0.1))
    scene = view(box).scene
    v, u = np.nonzero(scene.objects[0].mask)
    sunk = np.array(scene.depth_m)
    # The same outline, but everything but the middle of the top lies 2 cm lower.
    away = np.hypot(v - v.mean(), u - u.mean())
    sunk[v, u] += np.where(away > 8, 0.02, 0).astype(np.float32)

    assert has_level_top(scene, scene.objects[0])
    assert not has_level_top(replace(scene, depth_m=sunk), scene.objects[0])
    assert is_table(scene, scene.objects[0])


def test_a_vessel_takes_what_is_clearly_smaller_than_its_opening():
    bowl = thing(1, "bowl", 0.7, 0.0, (0.16, 0.16, 0.07), hollow=True)
    scene = view(bowl).scene

    assert is_vessel(scene, scene.objects[0])
    assert not is_table(scene, scene.objects[0])
    assert inside(thing(2, "cube", 0.7, 0.3, (0.05, 0.05, 0.05)), bowl).fits
    assert inside(thing(3, "box", 0.7, 0.3, (0.25, 0.3, 0.22)), bowl).fits is False
    # A bottle too long to lie in it may still stand in it.
    assert inside(thing(4, "bottle", 0.7, 0.3, (0.3, 0.06, 0.06)), bowl) is None


@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.2])
def test_a_gap_takes_what_is_narrower_and_not_what_is_wider(yaw):
    # Two boxes whose sides are 16 cm apart, turned together about (0.7, 0).
    spots = [turn(yaw) @ (0, y, 0) + (0.7, 0, 0) for y in (0.11, -0.11)]
    first, second = (
        thing(i, "box", x, y, (0.06, 0.06, 0.05), yaw=yaw) for i, (x, y, _) in enumerate(spots, 1)
    )
    block = thing(3, "block", 1.0, 0.35, (0.05, 0.05, 0.05))
    plate = thing(4, "plate", 1.0, -0.3, (0.22, 0.22, 0.02))
    scene = view(first, second, block, plate).scene
    gap = gap_between(first, second)

    assert gap.width_m == pytest.approx(0.16, abs=1e-9)
    fits = between(scene, block, gap)
    assert fits.fits
    assert np.allclose(fits.spot[:2], (0.7, 0.0), atol=1e-9)
    assert between(scene, plate, gap).fits is False


def test_a_taken_gap_is_not_told_as_free():
    first, second = thing(1, "box", 0.7, 0.15), thing(2, "box", 0.7, -0.15)
    block, other = thing(3, "block", 1.0, 0.3, (0.05, 0.05, 0.05)), thing(4, "can", 0.7, 0.0)
    scene = view(first, second, block, other).scene

    assert between(scene, block, gap_between(first, second)) is None


def test_nearest_points_of_two_squares_face_each_other():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)

    a, b = nearest_points(square, square + np.array([3, 0.5]))

    assert a.tolist() == [1, 0.75]
    assert b.tolist() == [3, 0.75]


def test_at_the_edge_of_the_table_nothing_wide_fits_beyond():
    # The table ends at y = 0.5; the mug's left side is 6 cm from there.
    mug = thing(1, "mug", 0.75, 0.405)
    plate = thing(2, "plate", 0.8, -0.2, (0.3, 0.3, 0.02))
    cube = thing(3, "cube", 0.5, -0.3, (0.04, 0.04, 0.04))
    scene = view(mug, plate, cube).scene
    around = Surroundings(scene, mug, platform(table()), Frame.VIEWER)

    assert around.beside(plate, Relation.LEFT).fits is False
    right = around.beside(cube, Relation.RIGHT)
    assert right.fits
    assert right.spot[1] < 0.405 - 0.035


def test_every_answer_of_random_scenes_is_right_by_plain_geometry():
    answers = set()
    for seed in range(12):
        of = random_shot(seed)
        scene = of.views[0].scene
        things = {t.id: t.box for t in scene.objects}
        rng = np.random.default_rng(seed)
        for one in CompatibilityMaker().make(of, rng, Wish(4)):
            if not isinstance(one, Example):
                continue
            facts = one.facts
            size = np.sort(things[facts["target"]].size[:2])
            other = things[facts["anchors"][0]]
            answers.add((facts["relation"], facts["holds"]))
            if facts["relation"] == "on":
                room = np.sort(other.size[:2])
                assert (size < room).all() == facts["holds"]
            if facts["relation"] == "between":
                last = things[facts["anchors"][1]]
                edges = [_border(box) for box in (other, last)]
                gap = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=2).min()
                assert (gap > size[1]) if facts["holds"] else (gap < size[0] + 0.01)
    assert {("on", True), ("on", False), ("between", True), ("between", False)} <= answers


def _border(box):
    """Points along the border of an upright box, 5 mm apart or less."""
    half = box.size[:2] / 2
    t = np.linspace(-1, 1, 60)
    one = np.ones_like(t)
    local = np.concatenate([np.c_[t, one], np.c_[t, -one], np.c_[one, t], np.c_[-one, t]]) * half
    return local @ box.rotation[:2, :2].T + box.center[:2]
