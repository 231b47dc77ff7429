# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Places that are answered are free, seen, on the table and where the words say."""

from __future__ import annotations

import numpy as np
import pytest
from roborefer_vlm.data.examples import Example, Phrasings, Rejected, Wish
from roborefer_vlm.data.questions.placement import PlacementMaker
from roborefer_vlm.data.questions.proven_spots import CLEARANCE_M, Spot, Wanted, find_spot
from roborefer_vlm.data.table_parts import is_framed, table_parts
from roborefer_vlm.scenes.program import PartName, Side
from roborefer_vlm.scenes.relations import Relation
from seen_tables import camera, random_shot, shot, table, thing, view


def examples(of, seed=0, most=6, phrasings=Phrasings.TRAINING):
    made = PlacementMaker().make(of, np.random.default_rng([seed, 9]), Wish(most, phrasings))
    return [one for one in made if isinstance(one, Example)]


def away_from(spot, box):
    """Horizontal distance from a point to an upright box, 0 within."""
    local = np.abs(box.rotation.T @ (spot - box.center))[:2] - box.size[:2] / 2
    return float(np.linalg.norm(np.maximum(local, 0)))


@pytest.mark.parametrize("seed", range(8))
def test_points_are_free_seen_on_the_table_and_written_exactly(seed):
    of = random_shot(seed)
    scene = of.views[0].scene
    pose, k = scene.camera.t_scene_optical, scene.camera.intrinsics

    found = examples(of, seed)

    assert found
    for one in found:
        facts, spot = one.facts, np.array(one.facts["spot"])
        x, y = one.point
        assert one.answer == f"[({x:.3f}, {y:.3f})]"
        # The written point shows the spot.
        optical = pose[:3, :3].T @ (spot - pose[:3, 3])
        u, v = k.fx * optical[0] / optical[2] + k.cx, k.fy * optical[1] / optical[2] + k.cy
        assert abs((u + 0.5) / k.width - x) < 5e-4
        assert abs((v + 0.5) / k.height - y) < 5e-4
        # Nothing is in front of it.
        row, column = int(y * k.height), int(x * k.width)
        assert abs(scene.depth_m[row, column] - optical[2]) < 0.026
        half = facts["footprint_m"] / 2
        for other in scene.objects:
            if other.id == facts["platform"]:
                assert away_from(spot, other.box) == 0
                continue
            assert not other.mask[row, column], one.question
            if other.box.top > spot[2] + 0.01 and other.box.bottom < spot[2] + 0.2:
                assert away_from(spot, other.box) >= half + CLEARANCE_M - 1e-4, one.question
        if facts["platform"] == 100:
            low, high = table().outline.min(axis=0), table().outline.max(axis=0)
            assert (spot[:2] >= low + half - 0.003).all()
            assert (spot[:2] <= high - half + 0.003).all()


@pytest.mark.parametrize("seed", range(5))
def test_directions_are_those_of_the_frame(seed):
    of = random_shot(seed)
    scene = of.views[0].scene
    things = {t.id: t for t in scene.objects}
    right, _, sight = scene.camera.t_scene_optical[:3, :3].T

    for one in examples(of, seed):
        for constraint in one.facts["constraints"]:
            word = constraint["relation"].removeprefix("directly_")
            if word not in ("left", "right", "front", "behind"):
                continue
            anchor = things[constraint["anchors"][0]]
            if constraint["frame"] == "object":
                front = anchor.front
                left = np.array([-front[1], front[0], 0])
            else:
                left = -right * (1, 1, 0)
                front = -sight * (1, 1, 0)
            toward = {"left": left, "right": -left, "front": front, "behind": -front}[word]
            step = (np.array(one.facts["spot"]) - anchor.box.center) * (1, 1, 0)
            cosine = step @ toward / np.linalg.norm(step) / np.linalg.norm(toward)
            assert cosine > np.cos(np.deg2rad(48)), one.question


def test_named_distances_are_kept():
    mug = thing(1, "mug", 0.75, 0.0)
    wanted = Wanted(((Relation.LEFT, (1,)),), 0.04, distance_m=0.2)

    spot = find_spot(view(mug), wanted, np.random.default_rng(0))

    # The viewer's left is +y; the mug's side is at 0.035.
    assert isinstance(spot, Spot)
    assert spot.spot[1] == pytest.approx(0.235, abs=0.02)
    assert spot.spot[0] == pytest.approx(0.75, abs=0.04)


def test_the_nearest_place_leaves_no_nearer_one():
    mug = thing(1, "mug", 0.75, 0.0)
    wanted = Wanted(((Relation.RIGHT, (1,)),), 0.06, nearest=True)

    spot = find_spot(view(mug), wanted, np.random.default_rng(0))

    # Half of what is put there, the clearance with its reserve, and the grid.
    gap = -spot.spot[1] - 0.035
    assert 0.05 <= gap <= 0.065


def test_between_is_between():
    first, second = thing(1, "mug", 0.7, 0.2), thing(2, "bowl", 0.8, -0.2)

    wanted = Wanted(((Relation.BETWEEN, (1, 2)),), 0.06)
    spot = find_spot(view(first, second), wanted, np.random.default_rng(0))

    assert np.allclose(spot.spot[:2], (0.75, 0.0), atol=0.05)


def test_no_room_and_hidden_places_are_not_answered():
    # The table ends at y = 0.5, 2.5 cm to the left of the mug.
    mug = thing(9, "mug", 0.75, 0.44)
    wall = [thing(i, "box", 0.75, 0.09 * (i - 4), (0.08, 0.08, 0.3)) for i in range(1, 8)]
    rng = np.random.default_rng(0)

    beyond = find_spot(view(mug), Wanted(((Relation.LEFT, (9,)),), 0.06), rng)
    behind = find_spot(view(*wall), Wanted(((Relation.DIRECTLY_BEHIND, (4,)),), 0.06), rng)

    assert beyond == "no room"
    assert behind == "hidden"


def test_table_parts_have_the_viewers_names():
    scene = view(thing(1, "mug", 0.75, 0.0), eye=camera((-0.6, 0, 1.3))).scene

    found = {(part.name, frozenset(part.sides)): part for part in table_parts(scene, table())}

    assert {sides for name, sides in found if name is PartName.EDGE} == {
        frozenset({side}) for side in (Side.LEFT, Side.RIGHT, Side.NEAR, Side.FAR)
    }
    assert len([1 for name, _ in found if name is PartName.CORNER]) == 4
    far_left = found[PartName.CORNER, frozenset({Side.FAR, Side.LEFT})]
    # Far is along x, left along y.
    places = np.array([[1.15, 0.45, 0], [1.15, -0.45, 0], [0.35, 0.45, 0]])
    assert far_left.owns(places).tolist() == [True, False, False]
    left = found[PartName.EDGE, frozenset({Side.LEFT})]
    assert left.owns(np.array([[0.75, 0.45, 0], [0.75, -0.45, 0]])).tolist() == [True, False]


def test_parts_of_a_table_that_are_out_of_the_picture_are_not_named():
    near = camera((0.4, 0.0, 0.4), (0.75, 0.0, 0.0))
    scene = view(thing(1, "mug", 0.75, 0.0), eye=near).scene
    parts = list(table_parts(scene, table()))

    # Only the far end of the table is in view.
    assert parts
    assert all(part.sides[0] is Side.FAR for part in parts)


def test_a_table_seen_from_a_corner_has_no_left_edge():
    eye = camera((0.0, -0.75, 0.9), (0.75, 0.0, 0.0))
    scene = view(thing(1, "mug", 0.75, 0.0), eye=eye).scene

    assert not [part for part in table_parts(scene, table()) if part.name is PartName.EDGE]


def test_the_middle_of_a_table_is_known_only_if_the_table_is_seen():
    mug = thing(1, "mug", 0.75, 0.0)
    near = camera((0.4, 0.0, 0.4), (0.75, 0.0, 0.0))

    assert not is_framed(view(mug, eye=near).scene, table())
    assert is_framed(view(mug, eye=camera((-0.6, 0, 1.3))).scene, table())


def test_inside_a_hollow_box_the_floor_is_pointed_at():
    crate = thing(1, "crate", 0.75, 0.0, (0.2, 0.2, 0.1), hollow=True)
    of = shot(crate, thing(2, "mug", 0.9, 0.3))
    # Sink the visible top of the crate to its floor.
    scene = of.views[0].scene
    mask = scene.objects[0].mask
    eye, pose = scene.camera.position, scene.camera.t_scene_optical
    k = scene.camera.intrinsics
    v, u = np.nonzero(mask)
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(len(u))], 1) @ pose[:3, :3].T
    floor = (0.005 - eye[2]) / rays[:, 2]
    at = eye + floor[:, None] * rays
    inner = (np.abs(at[:, :2] - (0.75, 0.0)) < 0.09).all(axis=1)
    scene.depth_m[v[inner], u[inner]] = floor[inner]

    found = [
        one
        for seed in range(20)
        for one in examples(of, seed, 4)
        if one.facts["relation"] == "inside"
    ]

    assert found
    for one in found:
        assert np.abs(np.array(one.facts["spot"])[:2] - (0.75, 0.0)).max() < 0.09
        assert one.facts["spot"][2] < 0.02


def test_held_out_wordings_are_held_out():
    for seed in range(3):
        of = random_shot(seed)
        assert all("held_out" not in one.phrasing for one in examples(of, seed))
        found = examples(of, seed, phrasings=Phrasings.HELD_OUT)
        assert all(one.phrasing.startswith("held_out") for one in found)


def test_a_table_without_things_is_asked_about_only_as_a_table():
    made = list(PlacementMaker().make(shot(), np.random.default_rng(0), Wish(3)))

    assert any(isinstance(one, Rejected) for one in made)
    assert all(one.facts["anchors"] == [100] for one in made if isinstance(one, Example))
