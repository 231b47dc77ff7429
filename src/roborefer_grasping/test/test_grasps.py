# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
from drawn import ball, box, noisy, pixel_of, vessel, view_of
from roborefer_grasping.core.columns import columns_around
from roborefer_grasping.core.grasps import (
    LEAST_QUALITY,
    narrowest_width,
    propose_grasps,
    with_tilts,
)
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.segment import segment_at
from roborefer_grasping.exceptions import RobotError, SceneError

GRIPPER = Gripper()


def grasps_on(things, at, spoil=None):
    view = view_of(things, spoil=spoil)
    mask = segment_at(view, *pixel_of(view, *at), 0.0)
    columns = columns_around(view, mask, 0.0)
    return propose_grasps(columns, GRIPPER), columns


@pytest.mark.parametrize("spoil", [None, noisy])
@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.2])
def test_a_block_is_taken_square_and_in_its_middle(yaw, spoil):
    grasps, _ = grasps_on([box((0.045, 0.045, 0.05), 0.5, 0.1, yaw=yaw)], (0.5, 0.1, 0.05), spoil)
    best = grasps[0]
    closing = np.arctan2(best.pose[1, 1], best.pose[0, 1])
    off = (closing - yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4
    assert abs(off) < 0.25
    assert np.hypot(*(best.pose[:2, 3] - [0.5, 0.1])) < 0.012
    assert best.width == pytest.approx(0.045, abs=0.009)
    assert best.width < best.opening <= GRIPPER.opening
    assert best.quality > 0.4
    np.testing.assert_allclose(best.pose[:3, 2], [0, 0, -1], atol=1e-9)


@pytest.mark.parametrize("spoil", [None, noisy])
def test_a_ball_is_taken_around_its_middle(spoil):
    grasps, _ = grasps_on([ball(0.03, 0.45, -0.1)], (0.45, -0.1, 0.06), spoil)
    tip = grasps[0].pose[2, 3] - GRIPPER.finger_reach
    assert tip < 0.03
    assert np.hypot(*(grasps[0].pose[:2, 3] - [0.45, -0.1])) < 0.012


@pytest.mark.parametrize("spoil", [None, noisy])
def test_wide_vessels_are_taken_by_their_wall(spoil):
    grasps, columns = grasps_on(vessel(0.07, 0.06, 0.48, 0.0), (0.55, 0.0, 0.03), spoil)
    assert narrowest_width(columns) > GRIPPER.widest
    assert grasps
    for grasp in grasps[:3]:
        radius = np.hypot(*(grasp.pose[:2, 3] - [0.48, 0.0]))
        assert 0.05 < radius < 0.09
        assert grasp.width < 0.03


def test_what_is_too_wide_has_no_grasp():
    grasps, columns = grasps_on([box((0.12, 0.12, 0.10), 0.5, 0.0)], (0.5, 0.0, 0.10))
    assert grasps == []
    assert narrowest_width(columns) == pytest.approx(0.12, abs=0.012)


def test_what_stands_wall_to_wall_has_no_grasp_across():
    things = [box((0.05, 0.05, 0.06), 0.5, y) for y in (-0.062, 0.0, 0.062)]
    grasps, _ = grasps_on(things, (0.5, 0.0, 0.06))
    # A finger needs 16 mm; there are 12 mm on either side in y.
    assert grasps
    assert all(abs(g.pose[0, 1]) > 0.8 for g in grasps)


def test_fingers_behind_the_target_are_in_its_shadow():
    grasps, _ = grasps_on([box((0.05, 0.05, 0.12), 0.5, 0.0)], (0.5, 0.0, 0.12))
    along_view = [g for g in grasps if abs(g.pose[0, 1]) > 0.95]
    assert along_view
    assert all(g.in_shadow for g in along_view)


def test_grasps_are_ordered_different_and_worth_trying():
    grasps, _ = grasps_on([box((0.09, 0.045, 0.04), 0.5, 0.0, yaw=0.3)], (0.5, 0.0, 0.04))
    qualities = [g.quality for g in grasps]
    assert qualities == sorted(qualities, reverse=True)
    assert min(qualities) >= LEAST_QUALITY
    places = {tuple(np.round(g.pose[:3, 1:].ravel(), 3)) + tuple(g.pose[:3, 3]) for g in grasps}
    assert len(places) == len(grasps)
    assert len(grasps) <= 24


def test_tilted_variants_keep_place_and_closing_axis():
    grasps, _ = grasps_on([box((0.05, 0.05, 0.06), 0.5, 0.0)], (0.5, 0.0, 0.06))
    variants = list(with_tilts(grasps[0]))
    assert len(variants) == 10
    for variant in variants:
        np.testing.assert_allclose(variant.pose[:3, 3], grasps[0].pose[:3, 3])
        assert abs(variant.pose[:3, 1] @ grasps[0].pose[:3, 1]) == pytest.approx(1.0)
        np.testing.assert_allclose(
            variant.pose[:3, :3] @ variant.pose[:3, :3].T, np.eye(3), atol=1e-9
        )
        assert variant.quality <= grasps[0].quality


def test_a_target_without_depth_is_refused():
    view = view_of([], spoil=lambda depth: depth.fill(np.nan))
    with pytest.raises(SceneError, match="10 are needed"):
        columns_around(view, np.ones(view.depth_m.shape, bool), 0.0)
    good = view_of([])
    with pytest.raises(SceneError, match="10 are needed"):
        columns_around(good, np.zeros(good.depth_m.shape, bool), 0.0)


@pytest.mark.parametrize(
    "change",
    [{"opening": 0.0}, {"force": np.nan}, {"palm": (0.1, -0.1, 0.1)}, {"tcp_offset": 0.05}],
)
def test_grippers_that_cannot_be(change):
    with pytest.raises(RobotError, match="gripper"):
        Gripper(**change)
