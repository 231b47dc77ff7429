# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Views that cannot be used are refused in words; odd ones give finite scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rgbd_scenes import Body, Shot, render
from roborefer_vlm.backends.scene_graph.free_space import space_candidates
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.types import GivenObject, Intrinsics, Query

BOX = Body("box", (200, 60, 60), (0.0, 0.0, 0), (0.16, 0.16, 0.1))


def _assert_finite(scene):
    assert np.isfinite(scene.camera.t_scene_optical).all()
    for thing in scene.objects:
        assert np.isfinite(thing.box.corners).all()
        assert (thing.box.size > 0).all()
    for surface in scene.surfaces:
        assert np.isfinite(surface.outline).all()
    found = space_candidates(scene)
    assert np.isfinite(found.points).all()
    assert np.isfinite(found.clearance_m).all()


@pytest.mark.parametrize(
    ("change", "word"),
    [({"depth_m": None}, "depth_m"), ({"intrinsics": None}, "intrinsics")],
)
def test_missing_depth_or_intrinsics_are_named(change, word):
    with pytest.raises(QueryError, match=word):
        build_scene(replace(render([BOX]).query, **change))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -1.0, 500.0])
def test_depth_without_a_measurement_is_refused(value):
    query = render([BOX]).query
    depth = np.full(query.depth_m.shape, value, np.float32)

    with pytest.raises(QueryError, match="0 measured pixels"):
        build_scene(replace(query, depth_m=depth))


@pytest.mark.parametrize("objects", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -3.0])
def test_bad_values_among_good_ones_count_as_holes(value, objects):
    seen = render([BOX])
    depth = seen.query.depth_m.copy()
    depth[::3] = value
    query = replace(seen.query if objects else seen.blind(), depth_m=depth)

    _assert_finite(build_scene(query))


@pytest.mark.parametrize("size", [(16, 12), (24, 9), (33, 31)])
def test_tiny_pictures_give_finite_scenes(size):
    width, height = size
    seen = render([BOX], Shot(width=width, height=height, focal=15.0))

    _assert_finite(build_scene(seen.query))
    _assert_finite(build_scene(seen.blind()))


def test_a_view_of_noise_gives_a_finite_scene():
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    depth = random.uniform(0.3, 3, (60, 80)).astype(np.float32)
    query = Query(image, "x", depth_m=depth, intrinsics=Intrinsics(80, 60, 60, 60, 39.5, 29.5))

    _assert_finite(build_scene(query))


def test_a_wall_seen_head_on_gives_a_finite_scene():
    depth = np.full((60, 80), 1.0, np.float32)
    image = np.full((60, 80, 3), 128, np.uint8)
    query = Query(image, "x", depth_m=depth, intrinsics=Intrinsics(80, 60, 60, 60, 39.5, 29.5))

    _assert_finite(build_scene(query))


def test_things_that_cover_everything_leave_no_surface():
    seen = render([BOX])
    everything = GivenObject("all", np.ones(seen.ids.shape, bool))

    scene = build_scene(replace(seen.query, objects=(everything,)))

    assert scene.surfaces == []
    assert len(scene.objects) == 1
    _assert_finite(scene)


def test_empty_masks_are_left_out():
    seen = render([BOX])
    nothing = GivenObject("nothing", np.zeros(seen.ids.shape, bool))

    scene = build_scene(replace(seen.query, objects=(nothing, *seen.query.objects)))

    assert [(o.id, o.name) for o in scene.objects] == [(2, "box")]


def test_overlapping_masks_are_measured_each():
    seen = render([BOX])
    twice = (*seen.query.objects, *seen.query.objects)

    scene = build_scene(replace(seen.query, objects=twice))

    assert len(scene.objects) == 2
    _assert_finite(scene)
