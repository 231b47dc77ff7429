# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from drawn import ball, box, noisy, pixel_of, vessel, view_of
from roborefer_grasping.core.placing import (
    RELEASE_M,
    Footprint,
    footprint_of,
    propose_placements,
)
from roborefer_grasping.core.segment import segment_at
from roborefer_grasping.exceptions import SceneError


def round_footprint(radius, height=0.08):
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Footprint(outline, np.array([0.5, 0.3]), 0.0, height)


SMALL = round_footprint(0.03)


def seen(things, at, spoil=None):
    view = view_of(things, spoil=spoil)
    return view, segment_at(view, *pixel_of(view, *at), 0.0)


@pytest.mark.parametrize("spoil", [None, noisy])
@pytest.mark.parametrize(
    ("thing", "at", "middle", "extent"),
    [
        ([box((0.06, 0.04, 0.08), 0.5, 0.1)], (0.5, 0.1, 0.08), (0.5, 0.1), (0.03, 0.02)),
        ([ball(0.03, 0.42, -0.1)], (0.42, -0.1, 0.06), (0.42, -0.1), (0.03, 0.03)),
        (vessel(0.05, 0.06, 0.5, 0.0), (0.555, 0.0, 0.03), (0.5, 0.0), (0.053, 0.053)),
    ],
)
def test_footprint_is_measured_with_its_hidden_side(thing, at, middle, extent, spoil):
    footprint = footprint_of(*seen(thing, at, spoil), 0.0)
    assert np.hypot(*(footprint.middle - middle)) < 0.009
    measured = np.abs(footprint.outline).max(axis=0)
    # The border of a mask lies a few millimetres inside at this resolution.
    assert (measured > np.array(extent) - 0.011).all()
    assert (measured < np.array(extent) + 0.010).all()
    assert footprint.height == pytest.approx(at[2] if len(thing) == 1 else 0.06, abs=0.008)


def test_footprint_needs_depth():
    view = view_of([])
    with pytest.raises(SceneError, match="10 are needed"):
        footprint_of(view, np.zeros(view.depth_m.shape, bool), 0.0)


@pytest.mark.parametrize("spoil", [None, noisy])
def test_free_table_is_a_place_in_many_headings(spoil):
    view = view_of([], spoil=spoil)
    place = np.array([0.5, 0.0, 0.0])
    found = propose_placements(view, place, SMALL)
    assert len(found) == 40
    qualities = [p.quality for p in found[:12]]
    assert qualities == sorted(qualities, reverse=True)
    # Headings take turns, so that whoever tries only a few does not try the same one.
    assert len({round(float(np.arctan2(p.motion[1, 0], p.motion[0, 0])), 3) for p in found}) == 12
    for placement in found:
        assert np.hypot(*(placement.position - place)[:2]) <= 0.02 + 1e-9
        moved = placement.motion @ np.array([*SMALL.middle, SMALL.support, 1.0])
        np.testing.assert_allclose(moved[:2], placement.position[:2], atol=1e-9)
        assert moved[2] == pytest.approx(RELEASE_M)


def test_only_wanted_headings():
    found = propose_placements(view_of([]), np.array([0.5, 0.0, 0.0]), SMALL, yaws=(0.3,))
    assert found
    assert all(np.arctan2(p.motion[1, 0], p.motion[0, 0]) == pytest.approx(0.3) for p in found)


def test_places_keep_their_distance_from_things():
    view = view_of([box((0.06, 0.06, 0.06), 0.5, 0.10)])
    found = propose_placements(view, np.array([0.5, 0.02, 0.0]), SMALL, margin=0.02)
    assert found
    # Its side is at y = 0.07 and the footprint reaches 0.03.
    assert max(p.position[1] for p in found) <= 0.07 - 0.03 - 0.02 + 0.006
    assert all(p.clearance >= 0.02 for p in found)


def test_occupied_places_are_none():
    view = view_of([box((0.06, 0.06, 0.06), 0.5, 0.0)])
    assert propose_placements(view, np.array([0.5, 0.0, 0.0]), SMALL) == []


def test_what_is_ignored_occupies_nothing_but_hides_the_support():
    view, mask = seen([box((0.06, 0.06, 0.06), 0.5, 0.0)], (0.5, 0.0, 0.06))
    assert propose_placements(view, np.array([0.5, 0.0, 0.0]), SMALL, ignored=mask) == []


def test_no_support_beyond_an_edge():
    # A platform of 10 cm; the table is far below its top.
    view = view_of([box((0.12, 0.12, 0.10), 0.5, 0.0)])
    assert propose_placements(view, np.array([0.5, 0.0, 0.10]), SMALL)
    assert propose_placements(view, np.array([0.5, 0.055, 0.10]), SMALL) == []


def test_a_slope_is_no_place():
    def slope(depth):
        rows = np.arange(depth.shape[0])[:, None]
        depth *= (1.0 + 0.002 * (rows - 120)).astype(np.float32)

    view = view_of([], spoil=slope)
    where = view.points[120, 160]
    assert propose_placements(view, where, round_footprint(0.06)) == []


def test_unseen_table_is_no_place():
    view = view_of([box((0.05, 0.30, 0.20), 0.5, 0.0)])
    assert propose_placements(view, np.array([0.40, 0.0, 0.0]), SMALL) == []


@pytest.mark.parametrize("spoil", [None, noisy])
def test_inside_a_vessel_as_far_as_its_walls_allow(spoil):
    view = view_of(vessel(0.09, 0.06, 0.5, 0.0), spoil=spoil)
    floor = np.array([0.49, 0.0, 0.006])
    found = propose_placements(view, floor, SMALL)
    assert found
    for placement in found:
        assert np.hypot(*(placement.position[:2] - [0.5, 0.0])) < 0.09 - 0.03
        lowered = placement.motion @ np.array([0.0, 0.0, SMALL.support, 1.0])
        assert lowered[2] == pytest.approx(0.006 + RELEASE_M)
    assert propose_placements(view, floor, round_footprint(0.085)) == []
    assert propose_placements(view, np.array([0.42, 0.0, 0.006]), SMALL, tolerance=0.005) == []


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_blind_camera_sees_no_place(nothing):
    view = view_of([], spoil=lambda depth: depth.fill(nothing))
    assert propose_placements(view, np.array([0.5, 0.0, 0.0]), SMALL) == []


def test_what_stood_on_something_is_lowered_by_its_height():
    raised = replace(SMALL, support=0.05)
    found = propose_placements(view_of([]), np.array([0.5, 0.0, 0.0]), raised)
    assert found[0].motion[2, 3] == pytest.approx(RELEASE_M - 0.05)
