# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The main surface is found from measured points alone, and the scene's frame lies on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rgbd_scenes import Body, Rendered, Shot, render
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.types import Query

CLUTTER = [
    Body(f"box {i}", (200, 60, 60), (x, y, 0), (0.1, 0.12, 0.04 + 0.02 * (i % 4)), yaw=0.4 * i)
    for i, (x, y) in enumerate(
        (x, y) for x in np.arange(-0.4, 0.45, 0.14) for y in np.arange(-0.4, 0.45, 0.16)
    )
]
FEW = [Body("box", (200, 60, 60), (0, 0, 0), (0.2, 0.2, 0.12))]


def _errors(seen: Rendered, up: tuple[float, float, float] | None = None) -> tuple[float, float]:
    """Return the error of up in degrees and of the camera's height in metres."""
    query = seen.query if up is None else _with_up(seen, up)
    pose = build_scene(query).camera.t_scene_optical
    angle = np.rad2deg(np.arccos(np.clip(pose[2, :3] @ seen.up, -1, 1)))
    return float(angle), float(abs(pose[2, 3] - seen.eye[2]))


def _with_up(seen: Rendered, up: tuple[float, float, float]) -> Query:
    return replace(seen.query, up=up)


@pytest.mark.parametrize(
    ("bodies", "shot"),
    [
        pytest.param(FEW, Shot(), id="few things"),
        pytest.param(FEW, Shot(holes=0.4), id="40 per cent holes"),
        pytest.param(FEW, Shot(shift=(7, -4)), id="depth 7 px off"),
        pytest.param(CLUTTER, Shot(), id="clutter over most of the view"),
        pytest.param(FEW, Shot(roll=0.4), id="camera rolled"),
        pytest.param(FEW, Shot(eye=(0.05, 0.0, 0.9), target=(0, 0, 0)), id="straight down"),
        pytest.param(FEW, Shot(eye=(-1.2, 0.1, 0.35), noise=0.003), id="flat view, noisy"),
        pytest.param(FEW, Shot(table=(0.5, 0.5)), id="small table, more floor than table"),
    ],
)
def test_up_and_height_of_the_table_are_measured(bodies, shot):
    angle, offset = _errors(render(bodies, shot))

    assert angle < 3
    assert offset < 0.01


def test_a_stated_up_that_is_slightly_off_is_levelled_by_the_table():
    seen = render(FEW)
    off = seen.up + np.array([0.05, 0, 0])
    off = off / np.linalg.norm(off)

    angle, _ = _errors(seen, tuple(off))

    assert np.rad2deg(np.arccos(off @ seen.up)) > 2
    assert angle < 1


def test_without_any_level_plane_the_stated_up_is_kept_and_there_is_no_surface():
    seen = render(FEW, Shot(table=None, floor=False))
    scene = build_scene(_with_up(seen, tuple(seen.up)))

    assert scene.surfaces == []
    assert np.allclose(scene.camera.t_scene_optical[2, :3], seen.up, atol=1e-6)
    assert len(scene.objects) == 1


def test_the_frame_lies_below_the_camera_with_x_away_and_y_left():
    seen = render([Body("left ball", (0, 0, 200), (0.1, 0.25, 0), (0.08, 0.08, 0.08), "ball")])
    scene = build_scene(seen.query)

    position = scene.camera.position
    pose = scene.camera.t_scene_optical

    assert np.allclose(position[:2], 0, atol=1e-9)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1, abs=1e-6)
    # The world of the ray caster differs by a shift along x only.
    assert scene.objects[0].box.center == pytest.approx([0.85, 0.25, 0.04], abs=0.015)


def test_floor_beside_the_table_is_a_lower_surface():
    scene = build_scene(render(FEW, Shot(table=(0.5, 0.5))).query)

    assert scene.surfaces[0].name == "table"
    assert scene.surfaces[0].height == 0
    assert ("floor", pytest.approx(-0.75, abs=0.03)) in [
        (s.name, s.height) for s in scene.surfaces
    ]


def test_a_shelf_above_the_table_is_a_surface_of_its_own():
    shelf = Body("shelf", (90, 60, 40), (0.3, 0, 0), (0.3, 1.0, 0.2))
    seen = render([shelf], Shot(eye=(-0.75, 0, 0.8)))

    names = {s.name: s.height for s in build_scene(seen.blind()).surfaces}

    assert names["shelf"] == pytest.approx(0.2, abs=0.01)


def test_outline_of_the_table_is_convex_and_counter_clockwise():
    outline = build_scene(render(FEW).query).surfaces[0].outline

    edges = np.roll(outline, -1, axis=0) - outline
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]

    assert (turns > -1e-6).all()


def test_the_same_view_gives_the_same_plane_twice():
    query = render(CLUTTER).query

    first, second = View.of(query).ground, View.of(query).ground

    assert np.array_equal(first.t_scene_optical, second.t_scene_optical)
