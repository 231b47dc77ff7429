# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Things that rise above a surface are found one by one, without weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from instance_quality import instance_quality
from rgbd_scenes import Body, Shot, render
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.backends.scene_graph.segmentation import DepthSegmenter
from roborefer_vlm.backends.scene_graph.view import View

APART = [
    Body("red box", (200, 30, 30), (0.05, 0.25, 0), (0.12, 0.08, 0.15), yaw=0.5),
    Body("blue mug", (40, 60, 190), (-0.1, 0.0, 0), (0.09, 0.09, 0.1), "vessel"),
    Body("green can", (40, 140, 50), (0.05, -0.2, 0), (0.07, 0.07, 0.11), "cylinder"),
    Body("yellow ball", (220, 200, 40), (-0.2, -0.2, 0), (0.07, 0.07, 0.07), "ball"),
    Body("white can", (230, 230, 225), (0.25, 0.05, 0), (0.07, 0.12, 0.07), "roll"),
]
STACKED = [
    Body("black book", (25, 25, 28), (-0.2, 0.1, 0), (0.15, 0.2, 0.03)),
    Body("orange cube", (230, 120, 20), (-0.2, 0.1, 0.03), (0.05, 0.05, 0.05)),
]
TOUCHING = [
    Body("box", (60, 120, 200), (0.1, 0.0, 0), (0.06, 0.2, 0.18)),
    Body("can", (200, 60, 60), (0.033, 0.0, 0), (0.07, 0.07, 0.1), "cylinder"),
    Body("low box", (230, 210, 60), (0.08, -0.15, 0), (0.1, 0.1, 0.06)),
]
FLAT = [Body("phone", (20, 20, 20), (-0.15, 0.05, 0), (0.08, 0.16, 0.012))]


def _found(bodies, shot=None):
    seen = render(bodies, shot)
    masks = [o.mask for o in build_scene(seen.blind()).objects]
    return instance_quality(masks, [o.mask for o in seen.query.objects])


@pytest.mark.parametrize(
    ("bodies", "shot"),
    [
        pytest.param(APART, Shot(), id="apart"),
        pytest.param(APART, Shot(width=1280, height=720, focal=900), id="1280 x 720"),
        pytest.param(APART, Shot(holes=0.4), id="40 per cent holes"),
        pytest.param(APART, Shot(roll=0.2), id="rolled"),
        pytest.param(STACKED, Shot(), id="stacked"),
        pytest.param(TOUCHING, Shot(), id="touching"),
        pytest.param(FLAT, Shot(), id="12 mm thin"),
    ],
)
def test_each_thing_is_found_once_and_nothing_else(bodies, shot):
    quality = _found(bodies, shot)

    assert quality.recall == 1
    assert quality.unmatched == 0
    assert quality.mean_best_iou > 0.75


def test_depth_that_is_5_px_off_still_shows_every_thing():
    quality = _found(APART, Shot(shift=(5, -3)))

    assert quality.recall == 1
    # A strip of table that depth has moved onto a thing may remain.
    assert quality.unmatched <= 1


def test_an_empty_table_holds_nothing():
    assert build_scene(render([]).blind()).objects == []


def test_a_checkered_table_holds_nothing():
    seen = render([])
    image = seen.query.image.copy()
    v, u = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    image[((v // 30 + u // 30) % 2) == 0] = (230, 220, 200)

    assert build_scene(replace(seen.blind(), image=image)).objects == []


def test_what_stands_on_the_floor_beside_the_table_is_not_taken():
    chair = Body("chair", (90, 30, 30), (0.8, 0.9, -0.75), (0.4, 0.4, 0.5))

    assert _found([chair, APART[0]], Shot(table=(1.0, 1.0))).unmatched == 0


def test_an_arm_that_reaches_into_the_picture_from_above_is_not_a_thing():
    arm = Body("arm", (240, 240, 240), (0.15, 0.0, 0.28), (0.09, 0.09, 0.5), "cylinder")
    seen = render([APART[3], arm])
    masks = [o.mask for o in build_scene(seen.blind()).objects]

    assert instance_quality(masks, [seen.mask("yellow ball")]).recall == 1
    assert all(np.count_nonzero(m & seen.mask("arm")) < 50 for m in masks)


def test_a_robot_on_the_table_that_goes_on_above_the_picture_is_not_a_thing():
    robot = Body("robot", (240, 240, 240), (0.3, 0.0, 0), (0.14, 0.14, 0.9), "cylinder")
    seen = render([APART[3], robot])
    masks = [o.mask for o in build_scene(seen.blind()).objects]

    assert instance_quality(masks, [seen.mask("yellow ball")]).recall == 1
    assert all(np.count_nonzero(m & seen.mask("robot")) < 50 for m in masks)


@pytest.mark.parametrize(
    "vessel",
    [
        pytest.param(
            Body("mug", (40, 60, 190), (-0.1, 0, 0), (0.09, 0.09, 0.1), "vessel"), id="mug"
        ),
        pytest.param(
            Body("bowl", (220, 220, 215), (0, 0, 0), (0.18, 0.18, 0.06), "vessel"), id="bowl"
        ),
        pytest.param(
            Body("pan", (60, 60, 60), (-0.1, 0, 0), (0.26, 0.26, 0.045), "vessel"), id="pan"
        ),
    ],
)
def test_walls_and_floor_of_a_vessel_are_one_thing(vessel):
    quality = _found([vessel], Shot(width=640, height=480, focal=600))

    assert quality.best_iou[0] > 0.75
    assert quality.unmatched == 0


def test_a_basket_with_four_walls_is_one_thing():
    color = (60, 90, 200)
    walls = [
        Body("w1", color, (-0.1, 0, 0), (0.006, 0.26, 0.09)),
        Body("w2", color, (0.1, 0, 0), (0.006, 0.26, 0.09)),
        Body("w3", color, (0, -0.13, 0), (0.2, 0.006, 0.09)),
        Body("w4", color, (0, 0.13, 0), (0.2, 0.006, 0.09)),
        Body("floor", color, (0, 0, 0), (0.2, 0.26, 0.004)),
    ]
    seen = render(walls, Shot(width=640, height=480, focal=550))
    masks = [o.mask for o in build_scene(seen.blind()).objects]

    assert instance_quality(masks, [seen.ids > 0]).best_iou[0] > 0.85


def test_things_in_a_ring_are_not_a_vessel():
    turns = np.arange(8) * np.pi / 4
    ring = [
        Body(f"can {i}", (200, 40, 40), (0.2 * np.cos(a), 0.2 * np.sin(a), 0), (0.06,) * 3)
        for i, a in enumerate(turns)
    ]

    assert _found(ring, Shot(width=640, height=480, focal=550)).recall == 1


def test_the_same_view_gives_the_same_masks_twice():
    query = render(APART).blind()

    first = DepthSegmenter().segment(View.of(query))
    second = DepthSegmenter().segment(View.of(query))

    assert len(first) == len(second) > 0
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_own_segmenter_of_the_caller_is_used():
    seen = render(APART)

    class Given:
        def segment(self, view):
            return [seen.mask("green can")]

    scene = build_scene(seen.blind(), segmenter=Given())

    assert [o.name for o in scene.objects] == [""]
    assert next(iter(scene.objects[0].colors)) == "green"


def test_quality_counts_what_is_missed_and_what_is_too_much():
    a, b = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    a[:5], b[5:] = True, True
    half = a.copy()
    half[:3] = False

    quality = instance_quality([a, half], [a, b])

    assert quality.best_iou == (1.0, 0.0)
    assert quality.recall == 0.5
    assert quality.unmatched == 1
    assert instance_quality([], [a]).mean_best_iou == 0
