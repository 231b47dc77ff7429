# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The same on real RGB-D pictures, where they are at hand."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from instance_quality import instance_quality
from roborefer_vlm.backends.scene_graph.free_space import space_candidates
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.scenes.graph import Scene
from roborefer_vlm.types import GivenObject, Intrinsics, Query

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "real_rgbd"
SCENES = sorted(p.name for p in (DATA / "scenes").glob("*")) if DATA.is_dir() else []
pytestmark = pytest.mark.skipif(not SCENES, reason="no folder shared/data/real_rgbd here")


@lru_cache(maxsize=16)
def _scene(name: str, given: bool) -> Scene:
    query, _ = _load(name)
    return build_scene(query if given else _blind(query))


@lru_cache(maxsize=8)
def _load(name: str) -> tuple[Query, dict]:
    folder = DATA / "scenes" / name
    camera = json.loads((folder / "camera.json").read_text())
    image = cv2.cvtColor(cv2.imread(str(folder / "rgb.png")), cv2.COLOR_BGR2RGB)
    depth = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED)
    ids = cv2.imread(str(folder / "instances.png"), cv2.IMREAD_UNCHANGED)
    k = Intrinsics(
        image.shape[1], image.shape[0], *(camera[key] for key in ("fx", "fy", "cx", "cy"))
    )
    objects = tuple(
        GivenObject(entry["name"], ids == entry["id"])
        for entry in json.loads((folder / "instances.json").read_text())
    )
    metres = (depth * camera["depth_scale_m"]).astype(np.float32)
    return Query(image, "x", depth_m=metres, intrinsics=k, objects=objects), camera


def _blind(query: Query) -> Query:
    return Query(query.image, "x", depth_m=query.depth_m, intrinsics=query.intrinsics)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("name", SCENES)
def test_main_plane_is_within_3_degrees_and_1_cm(name, given):
    _, camera = _load(name)
    pose = _scene(name, given).camera.t_scene_optical

    truth = camera["main_plane_camera"]
    angle = np.rad2deg(np.arccos(np.clip(pose[2, :3] @ truth["normal"], -1, 1)))

    assert angle < 3
    assert abs(pose[2, 3] - truth["offset_m"]) < 0.01


@pytest.mark.parametrize("name", SCENES)
def test_every_annotated_thing_is_measured(name):
    query, _ = _load(name)
    scene = _scene(name, True)

    assert [o.name for o in scene.objects] == [o.name for o in query.objects]
    for thing in scene.objects:
        assert 0 < np.prod(thing.box.size) < 0.1
        assert thing.colors


def test_sizes_of_known_products_are_right():
    """A YCB soup can is 66 x 101 mm, a cracker box 60 x 158 x 210 mm (Calli et al., 2015)."""
    things = {o.name: o.box.size for o in _scene("ucn0", True).objects}

    assert things["soup_can"] == pytest.approx([0.066, 0.066, 0.101], abs=0.01)
    assert things["crackers"] == pytest.approx([0.158, 0.060, 0.210], abs=0.015)


def test_own_segmentation_finds_three_quarters_of_the_annotated_things():
    ious: list[float] = []
    for name in SCENES:
        query, _ = _load(name)
        masks = [o.mask for o in _scene(name, False).objects]
        ious += instance_quality(masks, [o.mask for o in query.objects]).best_iou

    assert np.mean([iou >= 0.5 for iou in ious]) >= 0.75


@pytest.mark.parametrize("name", SCENES)
def test_free_places_avoid_every_annotated_thing(name):
    query, _ = _load(name)
    found = space_candidates(_scene(name, True))
    u, v = found.pixels.astype(int).T

    assert len(found) > 500
    assert not np.any([o.mask[v, u] for o in query.objects])


def test_every_annotated_placement_offers_free_places():
    questions = json.loads((DATA / "Placement" / "question.json").read_text())
    for question in questions:
        found = space_candidates(_scene(question["scene"], True))
        mask = cv2.imread(str(DATA / "Placement" / question["mask_path"]), 0) > 0
        u, v = found.pixels.astype(int).T

        assert mask[v, u].sum() > 20, question["prompt"]
