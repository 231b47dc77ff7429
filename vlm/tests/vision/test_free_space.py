# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Free places are bare, visible, and as far from things as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rgbd_scenes import Body, Shot, render
from roborefer_vlm.backends.scene_graph.free_space import space_candidates
from roborefer_vlm.backends.scene_graph.perceive import build_scene

BOX = Body("box", (200, 60, 60), (0.0, 0.0, 0), (0.16, 0.16, 0.1))
CAN = Body("can", (40, 140, 50), (0.0, 0.3, 0), (0.07, 0.07, 0.11), "cylinder")
MUG = Body("mug", (40, 60, 190), (0.0, -0.3, 0), (0.1, 0.1, 0.09), "vessel")
EYE_X = -0.75


SHARP = Shot(width=640, height=480, focal=550)


@pytest.fixture(scope="module")
def seen():
    return render([BOX, CAN, MUG], SHARP)


@pytest.fixture(scope="module")
def box():
    return render([BOX], SHARP)


@pytest.fixture(scope="module")
def scene(seen):
    return build_scene(seen.query)


def test_places_lie_on_the_table_inside_the_picture(scene, seen):
    found = space_candidates(scene, scene.surfaces[0])

    assert 1000 < len(found) <= 20_000
    assert np.abs(found.points[:, 2]).max() < 0.012
    assert (found.pixels >= 0).all()
    assert (found.pixels < (seen.query.width, seen.query.height)).all()
    assert set(found.surface_ids) == {scene.surfaces[0].id}


def test_points_and_pixels_belong_together(scene):
    found = space_candidates(scene)

    pixels, _ = scene.camera.project(found.points)

    assert np.abs(pixels - found.pixels).max() < 0.5


def test_no_place_is_on_or_under_a_thing(scene, seen):
    found = space_candidates(scene)
    u, v = found.pixels.astype(int).T

    assert not seen.ids[v, u].any()
    world = found.points[:, :2] + (EYE_X, 0)
    assert not (np.abs(world) < 0.08).all(axis=1).any()


def test_hidden_places_behind_a_thing_are_not_offered(scene):
    found = space_candidates(scene)
    world = found.points[:, :2] + (EYE_X, 0)

    # The box of 0.1 m hides what lies right behind it from a camera at 0.55 m.
    assert not ((world[:, 0] > 0.08) & (world[:, 0] < 0.2) & (np.abs(world[:, 1]) < 0.06)).any()


def test_clearance_is_the_distance_to_the_nearest_thing(scene):
    found = space_candidates(scene)
    world = found.points[:, :2] + (EYE_X, 0)
    # In front of the box, whose near side is at -0.08, and of nothing else.
    front = (np.abs(world[:, 1]) < 0.04) & (world[:, 0] > -0.2) & (world[:, 0] < -0.1)

    assert front.any()
    assert found.clearance_m[front] == pytest.approx(-0.08 - world[front, 0], abs=0.02)


def test_holes_in_the_depth_of_the_table_are_bridged(box):
    holed = box.query.depth_m.copy()
    holed[400:410, 100:115] = 0
    query = replace(box.query, depth_m=holed)

    found = space_candidates(build_scene(query))
    u, v = found.pixels.T
    inside = (u > 100) & (u < 114) & (v > 400) & (v < 409)

    assert inside.any()
    assert np.abs(found.points[inside, 2]).max() < 0.01


def test_a_large_hole_is_no_free_place(box):
    holed = box.query.depth_m.copy()
    holed[330:460, 40:200] = 0
    query = replace(box.query, depth_m=holed)

    found = space_candidates(build_scene(query))
    u, v = found.pixels.T

    assert not ((u > 65) & (u < 175) & (v > 355) & (v < 435)).any()


def test_top_of_a_box_is_a_place_and_what_stands_there_takes_room(box):
    small = Body("cup", (20, 20, 200), (-0.04, 0.04, 0.1), (0.05, 0.05, 0.06), "cylinder")
    alone = build_scene(box.query)
    shared = build_scene(render([BOX, small], SHARP).query)

    free = space_candidates(alone, alone.objects[0])
    taken = space_candidates(shared, shared.objects[0])

    assert free.points[:, 2] == pytest.approx(0.1, abs=0.012)
    assert set(free.surface_ids) == {alone.objects[0].id}
    assert 0 < len(taken) < len(free)
    world = taken.points[:, :2] + (EYE_X, 0)
    assert np.linalg.norm(world - (-0.04, 0.04), axis=1).min() > 0.02


def test_inside_of_a_mug_is_a_place_below_its_rim(scene, seen):
    mug = scene.object(3)

    found = space_candidates(scene, mug)
    u, v = found.pixels.astype(int).T

    assert len(found)
    assert (seen.ids[v, u] == 3).all()
    assert found.points[:, 2].max() < 0.09


def test_a_ball_has_no_top_to_put_things_on():
    ball = Body("ball", (220, 200, 40), (0, 0, 0), (0.1, 0.1, 0.1), "ball")
    scene = build_scene(render([ball], SHARP).query)

    found = space_candidates(scene, scene.objects[0])

    assert len(found) == 0 or found.clearance_m.max() < 0.03


def test_a_full_table_has_no_free_place():
    full = [Body("plate", (200, 200, 200), (0, 0, 0), (1.2, 1.4, 0.05))]
    scene = build_scene(render(full, Shot(floor=False)).query)

    assert len(space_candidates(scene)) == 0


def test_a_scene_without_depth_has_no_visible_places(scene):
    assert len(space_candidates(replace(scene, depth_m=None))) == 0
