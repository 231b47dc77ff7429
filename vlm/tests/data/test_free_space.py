# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Free space: in the area that words mean, with room, seen, and answered beyond doubt."""

from dataclasses import replace

import numpy as np
import pytest
from cast_scenes import TABLE, camera, scene, thing, turn
from roborefer_vlm.data.free_space import FreeSpace
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.boxes import point_distances
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Surface
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.polygons import convex_hull, deeper_than, depth_inside
from roborefer_vlm.scenes.relations import Relation, relation_scores

R = Relation
SHELF = Surface(101, "shelf", 0.3, np.array([[0.8, -0.3], [1.2, -0.3], [1.2, 0.3], [0.8, 0.3]]))


def find(world, *constraints, seed=0, clearance=0.02, footprint=0.06, **more):
    space = FreeSpace(world, clearance)
    return space.spots(constraints, np.random.default_rng(seed), footprint, **more)


def horizontal_gaps(points, item):
    """Exact horizontal distance of points from an upright box."""
    flat = points.copy()
    flat[:, 2] = item.box.center[2]
    return point_distances(flat, Places.of_objects([item]))


@pytest.mark.parametrize(
    ("relation", "axis", "sign"),
    [(R.LEFT, 1, 1), (R.RIGHT, 1, -1), (R.FRONT, 0, -1), (R.BEHIND, 0, 1)],
)
def test_directions_give_a_sector_of_ninety_degrees_around_the_anchor(relation, axis, sign):
    world = scene(thing(1, 0.9, 0.0, (0.06, 0.06, 0.03)))

    found = find(world, (relation, (1,)))

    offset = found.points[:, :2] - (0.9, 0.0)
    along, across = sign * offset[:, axis], np.abs(offset[:, 1 - axis])
    assert len(found) > 100
    assert (across <= along).all()
    # 0.20 m, and half of what is to be put there.
    assert np.linalg.norm(offset, axis=1).max() <= 0.23
    assert found.points[:, 2] == pytest.approx(0.0)
    answer = offset[found.best]
    assert sign * answer[axis] > 3 * abs(answer[1 - axis])


@pytest.mark.parametrize("seed", range(8))
def test_every_place_keeps_the_clearance_from_all_things_and_stands_on_the_table(seed):
    rng = np.random.default_rng(seed)
    things = [
        thing(i, *rng.uniform((0.5, -0.4), (1.2, 0.4)), rng.uniform(0.04, 0.12, 3), yaw=i)
        for i in range(1, 8)
    ]
    world = scene(*things)

    for relation in (R.LEFT, R.RIGHT, R.FRONT, R.BEHIND):
        found = find(world, (relation, (1,)), seed=seed)
        for item in things if len(found) else ():
            gaps = horizontal_gaps(found.points, item)
            assert (gaps >= 0.05 - 1e-9).all()
            assert (gaps - 0.03 >= found.clearance_m - 1e-9).all()
        assert (found.points[:, 0] >= 0.33 - 1e-9).all()
        assert (np.abs(found.points[:, 1]) <= 0.57 + 1e-9).all()


def test_a_larger_thing_finds_no_room_where_a_small_one_does():
    world = scene(thing(1, 0.9, 0.12), thing(2, 0.9, -0.12))

    small = find(world, (R.BETWEEN, (1, 2)), footprint=0.06)
    large = find(world, (R.BETWEEN, (1, 2)), footprint=0.2)

    assert len(small)
    assert abs(small.points[small.best][1]) < 0.03
    assert not len(large)
    assert large.reason == "no room"


def test_what_stands_behind_something_tall_is_hidden():
    wall = thing(2, 0.6, 0.0, (0.02, 0.8, 0.5))
    world = scene(thing(1, 0.9, 0.0), wall)

    found = find(world, (R.BEHIND, (1,)))

    assert not len(found)
    assert found.reason == "hidden"


@pytest.mark.parametrize("depth", [True, False])
def test_places_are_seen_with_depth_and_with_boxes_alone(depth):
    cover = thing(2, 0.7, 0.1, (0.05, 0.1, 0.2))
    world = scene(thing(1, 0.9, 0.0), cover, depth=depth)
    truth = scene(thing(1, 0.9, 0.0), cover)

    found = find(world, (R.LEFT, (1,)))

    columns, rows = np.rint(found.pixels).astype(int).T
    _, depths = world.camera.project(found.points)
    assert len(found)
    assert np.abs(truth.depth_m[rows, columns] - depths).max() <= 0.025
    assert not any(item.mask[rows, columns].any() for item in world.objects)


def test_what_nobody_annotated_is_an_obstacle_where_depth_shows_it():
    stranger = thing(9, 0.9, 0.17)
    world = scene(thing(1, 0.9, 0.0), hidden=(stranger,))

    found = find(world, (R.LEFT, (1,)))

    # Of the stranger only the near side and the top are measured.
    assert len(found)
    assert horizontal_gaps(found.points, stranger).min() >= 0.05 - 0.01


def test_on_a_thing_is_its_top_but_for_a_rim():
    box = thing(1, 0.9, 0.0, (0.3, 0.3, 0.15))

    found = find(scene(box, thing(2, 0.9, 0.1, z=0.2)), (R.ON, (1,)))

    assert len(found)
    assert found.platform == 1
    assert found.points[:, 2] == pytest.approx(0.15)
    assert np.abs(found.points[:, :2] - (0.9, 0.0)).max() <= 0.4 * 0.3 + 1e-9
    assert found.points[found.best][1] < 0.0


def test_below_is_the_platform_underneath():
    legless = thing(1, 0.9, 0.0, (0.3, 0.3, 0.02), z=0.4)
    low = camera((0, 0, 0.25), (0.9, 0, 0.1))

    found = find(scene(legless, view=low), (R.BELOW, (1,)))

    assert len(found)
    assert found.platform == TABLE.id
    assert np.abs(found.points[:, :2] - (0.9, 0.0)).max() <= 0.12 + 1e-9


def test_anchors_on_different_platforms_share_no_place():
    world = scene(
        thing(1, 0.5, 0.0), thing(2, 1.0, 0.0, z=0.35), surfaces=(TABLE, SHELF), depth=False
    )

    assert find(world, (R.BETWEEN, (1, 2))).reason == "several supports"


def test_a_thing_in_the_air_has_no_support():
    assert find(scene(thing(1, 0.9, 0.0, z=0.5)), (R.LEFT, (1,))).reason == "no support"


def test_several_constraints_hold_together():
    world = scene(thing(1, 0.9, 0.1), thing(2, 1.0, -0.1))

    found = find(world, (R.FRONT, (2,)), (R.RIGHT, (1,)))

    answer = Places.of_points(found.points[found.best][None])
    for relation, anchor in ((R.FRONT, 2), (R.RIGHT, 1)):
        assert relation_scores(relation, world, answer, [world.object(anchor)])[0] > 0.5


def test_the_frame_of_the_anchor_turns_left_and_right():
    # It faces the viewer, so its own left is the viewer's right.
    world = scene(thing(1, 0.9, 0.0, front=np.array([-1.0, 0, 0])))

    viewer = find(world, (R.LEFT, (1,)))
    own = find(world, (R.LEFT, (1,)), frame=Frame.OBJECT)

    assert viewer.points[viewer.best][1] > 0.05
    assert own.points[own.best][1] < -0.05


def test_a_named_distance_is_kept():
    world = scene(thing(1, 0.9, 0.0))

    found = find(world, (R.RIGHT, (1,)), distance_m=0.3)

    assert found.points[found.best][1] == pytest.approx(-0.33, abs=0.03)


@pytest.mark.parametrize("relation", [R.CORNER, R.EDGE, R.LEFT_PART, R.MIDDLE, R.ON])
def test_parts_of_a_surface_are_scored_by_their_relation(relation):
    world = scene(thing(1, 0.9, 0.0))

    found = find(world, (relation, (TABLE.id,)))

    answer = Places.of_points(found.points[found.best][None])
    assert relation_scores(relation, world, answer, [TABLE])[0] >= 0.9


def test_a_table_that_is_annotated_too_is_not_in_its_own_way():
    desk = thing(7, 0.9, 0.0, (1.2, 1.2, 0.75), z=-0.375 + 0.005)
    world = scene(thing(1, 0.9, 0.0), desk)

    found = find(world, (R.LEFT, (1,)))

    assert len(found)
    assert found.ignored == {TABLE.id, 7}


def test_the_box_of_a_shelf_does_not_fill_its_boards():
    shelf = thing(7, 0.9, 0.0, (0.8, 1.0, 0.5))
    world = scene(thing(1, 0.9, 0.0))

    found = find(replace(world, objects=(*world.objects, shelf)), (R.LEFT, (1,)))

    assert len(found)


def test_the_same_seed_gives_the_same_places_and_another_one_others():
    world = scene(thing(1, 0.9, 0.0, yaw=0.3))

    first, again = (find(world, (R.LEFT, (1,)), seed=3) for _ in range(2))
    other = find(world, (R.LEFT, (1,)), seed=4)

    assert np.array_equal(first.points, again.points)
    assert first.best == again.best
    assert not np.array_equal(first.points, other.points)


def test_turning_the_world_turns_the_answer():
    rotation = turn(0.7)
    view = camera()
    turned_view = replace(view, t_scene_optical=_moved(view.t_scene_optical, rotation))
    floor = replace(TABLE, outline=TABLE.outline @ rotation[:2, :2].T)
    here = scene(thing(1, 0.9, 0.05), depth=False)
    x, y, _ = rotation @ (0.9, 0.05, 0)
    there = scene(thing(1, x, y, yaw=0.7), view=turned_view, surfaces=(floor,), depth=False)

    a, b = (find(world, (R.LEFT, (1,))) for world in (here, there))

    # The grids differ, so the answers do by a few cells.
    assert rotation @ a.points[a.best] == pytest.approx(b.points[b.best], abs=0.015)


def _moved(pose, rotation):
    motion = np.eye(4)
    motion[:3, :3] = rotation
    return motion @ pose


def test_the_fast_test_for_the_inside_of_a_polygon_agrees_with_the_exact_distance():
    rng = np.random.default_rng(2)
    for _ in range(20):
        polygon = convex_hull(rng.normal(size=(12, 2)))
        points, least = rng.normal(size=(500, 2)), float(rng.uniform(0, 0.5))

        assert np.array_equal(
            deeper_than(points, polygon, least), depth_inside(points, polygon) >= least
        )


def test_errors_name_what_can_be_asked():
    world = scene(thing(1, 0.9, 0.0))

    with pytest.raises(QueryError, match="'tall' marks out no free space; use left"):
        find(world, (R.TALL, (1,)))
    with pytest.raises(QueryError, match=r"anchors \[4\]; at least one of \[1, 100\]"):
        find(world, (R.LEFT, (4,)))
