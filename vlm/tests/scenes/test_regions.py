# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Between, among, middle, corner, edge, parts and free space."""

from dataclasses import replace

import numpy as np
import pytest
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import SceneObject
from roborefer_vlm.scenes.relations import Places, Relation, relation_scores, relation_values
from scene_builders import TABLE, scene, score, thing

R = Relation
LEFT, RIGHT = thing(1, 0.9, 0.3), thing(2, 0.9, -0.3)


def test_between_is_best_half_way_and_ends_at_the_inner_sides():
    assert score(R.BETWEEN, (0.9, 0.0, 0), LEFT, RIGHT) == pytest.approx(1)
    assert score(R.BETWEEN, (0.9, 0.2, 0), LEFT, RIGHT) > 0.5
    assert score(R.BETWEEN, (0.9, 0.27, 0), LEFT, RIGHT) == pytest.approx(0.5)
    assert score(R.BETWEEN, (0.9, 0.4, 0), LEFT, RIGHT) < 0.5


def test_the_lane_between_small_things_is_wider_by_a_share_of_their_distance():
    assert score(R.BETWEEN, (0.9 + 0.08, 0, 0), LEFT, RIGHT) > 0.5
    assert score(R.BETWEEN, (0.9 + 0.10, 0, 0), LEFT, RIGHT) < 0.5


def test_the_lane_between_large_things_covers_their_hull():
    left, right = thing(1, 0.9, 0.3, (0.5, 0.06, 0.1)), thing(2, 0.9, -0.3, (0.5, 0.06, 0.1))

    assert score(R.BETWEEN, (0.9 + 0.30, 0, 0), left, right) > 0.5
    assert score(R.BETWEEN, (0.9 + 0.32, 0, 0), left, right) < 0.5


def test_touching_things_still_have_a_seam_between_them():
    a, b = thing(1, 0.9, 0.03), thing(2, 0.9, -0.03)

    assert score(R.BETWEEN, (0.9, 0.0, 0), a, b) == pytest.approx(1)


def test_the_middle_board_is_between_the_others_on_top_of_each_other():
    boards = [thing(i, 0.9, 0, (0.4, 0.4, 0.02), z=0.3 * i) for i in (1, 2, 3)]

    assert score(R.BETWEEN, boards[1], boards[0], boards[2]) == pytest.approx(1)


def test_among_is_within_the_hull_of_all():
    anchors = [LEFT, RIGHT, thing(3, 1.4, 0.0)]

    assert score(R.AMONG, (1.0, 0, 0), *anchors) > 0.7
    assert score(R.AMONG, (0.6, 0, 0), *anchors) < 0.5


def test_middle_of_a_table_of_a_group_and_of_everything():
    assert score(R.MIDDLE, (0.9, 0, 0), TABLE) == pytest.approx(1)
    assert score(R.MIDDLE, (1.4, 0, 0), TABLE) < 0.5
    assert score(R.MIDDLE, (0.9, 0, 0), LEFT, RIGHT) == pytest.approx(1)
    group = [LEFT, RIGHT, thing(3, 0.9, 0.0)]
    scores = relation_scores(R.MIDDLE, scene(*group), Places.of_objects(group))
    assert scores.argmax() == 2
    assert scores[2] > 0.5 > scores[:2].max()


def test_corner_and_edge_of_a_table():
    places = Places.of_points([[0.35, 0.55, 0], [0.35, 0.0, 0], [0.9, 0.0, 0], [0.0, 0.0, 0]])
    view = scene(LEFT)

    corner = relation_scores(R.CORNER, view, places, [TABLE])
    edge = relation_scores(R.EDGE, view, places, [TABLE])

    assert corner[0] > 0.9
    assert (corner[1:] < 0.5).all()
    assert (edge[:2] > 0.9).all()
    assert (edge[2:] < 0.5).all()
    assert relation_values(R.CORNER, view, places, [TABLE])[0] == pytest.approx(
        np.hypot(0.05, 0.05)
    )
    assert relation_values(R.EDGE, view, places, [TABLE])[:3] == pytest.approx([0.05, 0.05, 0.6])


def test_parts_of_a_table_follow_the_frame():
    spots = {R.LEFT_PART: (0.9, 0.4), R.RIGHT_PART: (0.9, -0.4)}
    spots |= {R.FRONT_PART: (0.5, 0), R.BACK_PART: (1.3, 0)}

    for part in spots:
        for other, (x, y) in spots.items():
            found = score(part, (x, y, 0), TABLE)
            assert found > 0.9 if part is other else found <= 0.5 + 1e-9
    desk = thing(1, 0.9, 0, (1, 1, 0.7), front=np.array([1.0, 0, 0]))
    assert score(R.FRONT_PART, (1.2, 0, 0.7), desk, frame=Frame.OBJECT) > 0.9
    assert score(R.LEFT_PART, (0.9, 2.0, 0), TABLE) == 0


def test_free_space_is_clear_of_things_at_that_height():
    lamp = thing(3, 0.9, -0.1, (0.2, 0.2, 0.1), z=1.0)
    places = Places.of_points(
        [[0.9, 0.1, 0], [0.9, 0.3, 0.02], [0.9, 0.34, 0], [0.9, 0.3, 0.1], [0.9, -0.1, 0]]
    )

    view = scene(LEFT, lamp)
    scores = relation_scores(R.FREE_SPACE, view, places, [TABLE])

    # Beside the thing, within it, closer than the clearance, on top of it, under the lamp.
    assert (scores >= 0.5).tolist() == [True, False, False, True, True]
    assert relation_values(R.FREE_SPACE, view, places)[0] == pytest.approx(0.17)
    assert score(R.FREE_SPACE, (3.0, 0, 0), TABLE, others=[LEFT]) == 0


def test_a_surface_counts_as_a_flat_thing():
    table = replace(TABLE, height=0.4)

    assert score(R.ABOVE, (0.9, 0, 0.8), table) > 0.7
    assert score(R.LEFT, (0.9, 0.9, 0.4), table) > 0.7
    assert not isinstance(table, SceneObject)
