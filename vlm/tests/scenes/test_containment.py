# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""On, under, inside and outside, also with extents that only cover what is visible."""

import numpy as np
import pytest
from roborefer_vlm.scenes.graph import Surface
from roborefer_vlm.scenes.relations import Places, Relation, relation_scores
from scene_builders import TABLE, scene, score, thing

R = Relation
BOOK = thing(1, 0.9, 0.0, (0.2, 0.15, 0.03))
MUG = thing(2, 0.9, 0.0, (0.08, 0.08, 0.1), hollow=True)


def test_on_needs_contact_and_footprint():
    assert score(R.ON, thing(3, 0.9, 0.0, z=0.08), BOOK) > 0.9
    assert score(R.ON, thing(3, 0.9, 0.0, z=0.4), BOOK) == 0
    assert score(R.ON, thing(3, 0.9, 0.3), BOOK) == 0
    assert (
        score(R.ON, thing(3, 0.9, 0.06, z=0.08), BOOK)
        > 0.5
        > score(R.ON, thing(3, 0.9, 0.09, z=0.08), BOOK)
    )


def test_on_forgives_a_bottom_that_was_not_seen():
    upper_half = thing(3, 0.9, 0.0, (0.06, 0.06, 0.07), z=0.03 + 0.03 + 0.035)

    assert score(R.ON, upper_half, BOOK) > 0.5


def test_on_the_table_for_points_and_things():
    assert score(R.ON, (0.9, 0.1, 0.005), TABLE) > 0.9
    assert score(R.ON, (0.9, 0.1, 0.2), TABLE) == 0
    assert score(R.ON, (3.0, 0.1, 0.0), TABLE) == 0
    assert score(R.ON, BOOK, TABLE) > 0.9


def test_known_support_beats_the_boxes():
    raised = thing(3, 0.9, 0.0, z=0.4, support=1)
    floor = Surface(101, "floor", -0.7, TABLE.outline)
    elsewhere = thing(4, 0.9, 0.0, z=0.08 + 0.02, support=101)

    assert score(R.ON, raised, BOOK) == 1
    view = scene(BOOK, elsewhere, surfaces=(TABLE, floor))
    assert relation_scores(R.ON, view, Places.of_objects([elsewhere]), [BOOK])[0] < 0.6
    assert relation_scores(R.ON, view, Places.of_objects([elsewhere]), [floor])[0] == 1


def test_a_cup_on_a_book_on_the_table_is_on_the_table_but_less():
    book = thing(1, 0.9, 0.0, (0.2, 0.15, 0.03), support=TABLE.id)
    cup = thing(3, 0.9, 0.0, z=0.08, support=1)
    things = [book, cup]

    scores = relation_scores(R.ON, scene(*things), Places.of_objects(things), [TABLE])

    assert scores == pytest.approx([1, 0.75])


def test_supports_that_run_in_a_circle_end():
    a, b = thing(1, 0.9, 0, support=2), thing(2, 0.9, 0.3, support=1)

    scores = relation_scores(R.ON, scene(a, b), Places.of_objects([a, b]), [TABLE])

    assert np.isfinite(scores).all()


def test_under_is_lower_and_covered():
    table = thing(1, 0.9, 0, (0.8, 0.8, 0.04), z=0.7)

    assert score(R.UNDER, thing(3, 0.9, 0.1), table) > 0.9
    assert score(R.UNDER, thing(3, 0.9, 1.1), table) == 0
    assert score(R.UNDER, thing(3, 0.9, 0.1, z=0.8), table) == 0
    assert score(R.UNDER, (0.9, 0.1, 0), table) > 0.9
    assert score(R.UNDER, BOOK, thing(3, 0.9, 0.0, z=0.08)) > 0.9
    assert score(R.UNDER, BOOK, thing(3, 0.9, 0.0, z=0.5, support=1)) == 1


def test_a_pen_that_sticks_out_of_a_mug_is_inside():
    pen = thing(3, 0.91, 0.0, (0.02, 0.02, 0.14), z=0.08)
    visible_end = thing(3, 0.91, 0.0, (0.02, 0.02, 0.06), z=0.13)

    assert score(R.INSIDE, pen, MUG) > 0.9
    assert score(R.INSIDE, visible_end, MUG) > 0.5
    assert score(R.OUTSIDE, pen, MUG) < 0.1


def test_what_stands_beside_above_or_below_a_mug_is_not_inside():
    for other in (
        thing(3, 0.9, 0.1),
        thing(3, 0.9, 0.0, z=0.4),
        thing(3, 0.9, 0.0, (0.02, 0.02, 0.02), z=-0.3),
    ):
        assert score(R.INSIDE, other, MUG) < 0.5
        assert score(R.OUTSIDE, other, MUG) > 0.5


def test_a_thing_on_a_closed_box_is_not_inside_it():
    assert score(R.INSIDE, thing(3, 0.9, 0.0, z=0.08), BOOK) == 0


def test_a_point_between_floor_and_rim_is_inside():
    assert score(R.INSIDE, (0.9, 0.0, 0.05), MUG) > 0.9
    assert score(R.INSIDE, (0.9, 0.0, 0.2), MUG) < 0.5
    assert score(R.INSIDE, (0.9, 0.06, 0.05), MUG) == 0


def test_pixels_within_the_containers_outline_help_a_box_that_misses():
    # Of the bowl only the near rim was measured, so the box does not reach the apple.
    rim, inner = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    rim[10:30, 10:50] = True
    rim[14:26, 15:45] = False
    inner[15:25, 20:40] = True
    far = np.zeros((40, 60), bool)
    far[0:8, 0:60] = True
    bowl = thing(1, 0.82, 0.0, (0.06, 0.16, 0.08), hollow=True, mask=rim)
    apple = thing(2, 0.88, 0.0, (0.05, 0.05, 0.05), z=0.05, mask=inner)
    other = thing(3, 0.88, 0.0, (0.05, 0.05, 0.05), z=0.05, mask=far)

    assert score(R.INSIDE, apple, bowl) >= 0.5
    assert score(R.INSIDE, other, bowl) < 0.5
