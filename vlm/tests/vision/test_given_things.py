# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of given things agrees with what the ray caster put there."""

from __future__ import annotations

import numpy as np
import pytest
from rgbd_scenes import Body, Shot, render
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.scenes.graph import Scene, SceneObject
from roborefer_vlm.types import GivenObject, Query

SHARP = Shot(width=640, height=480, focal=600.0)
BODIES = [
    Body("red box", (200, 30, 30), (0.05, 0.25, 0), (0.12, 0.08, 0.15), yaw=0.5),
    Body("blue mug", (40, 60, 190), (-0.1, 0.0, 0), (0.09, 0.09, 0.1), "vessel"),
    Body("green can", (40, 140, 50), (0.05, -0.2, 0), (0.07, 0.07, 0.11), "cylinder"),
    Body("yellow ball", (220, 200, 40), (-0.2, -0.2, 0), (0.07, 0.07, 0.07), "ball"),
    Body("white can", (230, 230, 225), (0.25, 0.05, 0), (0.07, 0.12, 0.07), "roll"),
    Body("black book", (25, 25, 28), (-0.2, 0.22, 0), (0.15, 0.2, 0.03)),
    Body("orange cube", (230, 120, 20), (-0.2, 0.22, 0.03), (0.05, 0.05, 0.05)),
]
EYE_X = SHARP.eye[0]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return build_scene(render(BODIES, SHARP).query)


def _named(scene: Scene, name: str) -> SceneObject:
    return next(o for o in scene.objects if o.name == name)


@pytest.mark.parametrize("name", ["red box", "green can", "black book", "orange cube", "blue mug"])
def test_box_agrees_with_the_body(scene, name):
    body = next(b for b in BODIES if b.name == name)
    box = _named(scene, name).box

    center = np.array(body.center) - (EYE_X, 0, -body.size[2] / 2)
    # The far side of a thing is hidden, so its middle may seem nearer.
    assert box.center == pytest.approx(center, abs=0.012)
    assert np.sort(box.size) == pytest.approx(np.sort(body.size), abs=0.012)


def test_yaw_of_a_turned_box_is_measured(scene):
    axis = _named(scene, "red box").box.rotation[:, 0]

    assert abs(axis @ (np.cos(0.5), np.sin(0.5), 0)) > np.cos(np.deg2rad(6))


@pytest.mark.parametrize("body", BODIES, ids=lambda b: b.name)
def test_color_is_named(scene, body):
    colors = _named(scene, body.name).colors

    assert max(colors, key=colors.__getitem__) == body.name.split()[0]
    assert sum(colors.values()) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("green can", {"cylinder", "upright", "tall"}),
        ("white can", {"cylinder", "lying"}),
        ("yellow ball", {"ball", "round"}),
        ("black book", {"flat", "box", "lying"}),
        ("red box", {"box", "upright", "large"}),
        ("orange cube", {"box", "small"}),
        ("blue mug", {"open", "hollow", "round", "upright"}),
    ],
)
def test_shape_and_pose_are_words(scene, name, words):
    assert words <= _named(scene, name).attributes


def test_only_the_vessel_is_hollow(scene):
    assert [o.name for o in scene.objects if o.hollow] == ["blue mug"]


def test_supports_are_the_table_or_the_thing_below(scene):
    table = scene.surfaces[0].id

    assert _named(scene, "orange cube").support == _named(scene, "black book").id
    assert {_named(scene, n).support for n in ("red box", "black book", "blue mug")} == {table}


@pytest.mark.parametrize("eye", [(-0.75, 0, 0.55), (-0.1, 0, 0.9)])
def test_a_thing_whose_sides_are_hidden_still_stands_on_the_one_below(eye):
    scene = build_scene(render(BODIES, Shot(eye=eye)).query)
    cube = _named(scene, "orange cube")

    assert cube.support == _named(scene, "black book").id
    assert cube.box.bottom == pytest.approx(0.03, abs=0.01)


def test_what_sticks_out_of_a_vessel_is_in_it():
    pen = Body("pen", (200, 20, 20), (-0.1, 0.01, 0.01), (0.012, 0.012, 0.14), "cylinder")
    scene = build_scene(render([BODIES[1], pen], SHARP).query)

    assert _named(scene, "pen").support == _named(scene, "blue mug").id


def test_bottom_of_a_hidden_foot_is_the_table():
    front = Body("wall", (90, 90, 90), (-0.1, 0, 0), (0.04, 0.4, 0.13))
    back = Body("bottle", (20, 90, 200), (0.0, 0, 0), (0.07, 0.07, 0.2), "cylinder")
    seen = render([front, back])
    bottle = _named(build_scene(seen.query), "bottle")

    assert bottle.points[:, 2].min() > 0.02
    assert bottle.box.bottom == pytest.approx(0, abs=0.005)
    assert bottle.box.top == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("shift", [(7, 0), (-7, 3), (0, 6)])
def test_masks_that_are_7_px_off_do_not_move_a_thing_by_more_than_15_mm(shift):
    seen = render(BODIES[:3], Shot(width=640, height=480, focal=600.0, shift=shift))
    exact = build_scene(render(BODIES[:3], SHARP).query)

    scene = build_scene(seen.query)

    pixel_m = 0.75 / 600
    for thing, truth in zip(scene.objects, exact.objects, strict=True):
        moved = np.linalg.norm(thing.box.center[:2] - truth.box.center[:2])
        # Depth that lies beside its pixels moves everything by as much.
        assert moved < np.hypot(*shift) * pixel_m * 1.5 + 0.015
        assert thing.box.size[2] == pytest.approx(truth.box.size[2], abs=0.015)


def test_40_per_cent_holes_leave_boxes_in_place(scene):
    holed = build_scene(render(BODIES, Shot(width=640, height=480, focal=600, holes=0.4)).query)

    for thing, truth in zip(holed.objects, scene.objects, strict=True):
        assert thing.box.center == pytest.approx(truth.box.center, abs=0.01)


def test_words_and_names_of_the_caller_are_kept():
    seen = render(BODIES[:1])
    mask = seen.mask("red box")
    query = Query(
        seen.query.image,
        "x",
        depth_m=seen.query.depth_m,
        intrinsics=seen.query.intrinsics,
        objects=(GivenObject("meat_can", mask, ("rusty", "of tin")),),
    )

    thing = build_scene(query).objects[0]

    assert thing.name == "meat_can"
    assert {"rusty", "of tin"} <= thing.attributes


def test_a_thing_without_depth_is_left_out_and_the_ids_of_others_stay():
    seen = render(BODIES[:3], Shot())
    depth = seen.query.depth_m.copy()
    depth[seen.mask("blue mug")] = 0
    query = Query(
        seen.query.image,
        "x",
        depth_m=depth,
        intrinsics=seen.query.intrinsics,
        objects=seen.query.objects,
    )

    scene = build_scene(query)

    assert [(o.id, o.name) for o in scene.objects] == [(1, "red box"), (3, "green can")]
    assert scene.surfaces[0].id == 4
