# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
from drawn import HEIGHT, WIDTH, ball, box, depth_of, noisy, pixel_of, vessel, view_of
from roborefer_grasping.core.segment import segment_at, support_height, things
from roborefer_grasping.core.view import DepthView
from roborefer_grasping.exceptions import SceneError

LOW, HIGH = np.array([0.2, -0.5, -0.05]), np.array([0.85, 0.5, 0.05])


@pytest.mark.parametrize("table", [-0.02, 0.0, 0.013])
@pytest.mark.parametrize("spoil", [None, noisy])
def test_support_is_the_table(table, spoil):
    view = view_of([box((0.06, 0.06, 0.1), 0.5, 0.0, table)], table, spoil)
    assert support_height(view, LOW, HIGH) == pytest.approx(table, abs=0.0015)


def test_no_support_is_said():
    view = view_of([], -0.5)
    with pytest.raises(SceneError, match="no support was seen"):
        support_height(view, LOW, HIGH)


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -1.0])
def test_depth_without_any_measurement(nothing):
    view = view_of([], spoil=lambda depth: depth.fill(nothing))
    assert not view.measured.any()
    with pytest.raises(SceneError):
        support_height(view, LOW, HIGH)
    with pytest.raises(SceneError, match="nothing stands"):
        segment_at(view, 100, 100, 0.0)


def truth_of(others, thing):
    """Pixels that show a thing, and nothing of it when it is gone."""
    return depth_of([*others, *thing]) < depth_of(others) - 1e-4


@pytest.mark.parametrize("spoil", [None, noisy])
@pytest.mark.parametrize(
    ("thing", "at"),
    [
        ([box((0.05, 0.05, 0.05), 0.5, 0.1, yaw=0.4)], (0.5, 0.1, 0.05)),
        ([ball(0.03, 0.42, -0.1)], (0.42, -0.1, 0.06)),
        ([box((0.05, 0.12, 0.16), 0.4, 0.0)], (0.4, 0.0, 0.16)),
        (vessel(0.032, 0.09, 0.55, 0.05), (0.588, 0.05, 0.05)),
        (vessel(0.032, 0.09, 0.55, 0.05), (0.521, 0.05, 0.075)),
        (vessel(0.060, 0.045, 0.45, -0.05), (0.51, -0.05, 0.03)),
    ],
)
def test_whole_thing_and_nothing_else(thing, at, spoil):
    others = [box((0.06, 0.06, 0.08), 0.5, 0.22), box((0.09, 0.05, 0.03), 0.42, -0.25, yaw=0.7)]
    view = view_of([*others, *thing], spoil=spoil)
    mask = segment_at(view, *pixel_of(view, *at), 0.0)
    truth = truth_of(others, thing)
    assert (mask & truth).sum() > 0.85 * truth.sum()
    # The fringe is as wide as what the sensor spoils.
    assert (mask & view.valid & ~truth).sum() < 0.10 * truth.sum()


def test_the_floor_of_a_vessel_belongs_to_it():
    things_ = vessel(0.060, 0.045, 0.45, -0.05)
    view = view_of(things_)
    mask = segment_at(view, *pixel_of(view, 0.45, -0.05, 0.006), 0.0)
    assert (mask & truth_of([], things_)).sum() > 0.9 * truth_of([], things_).sum()


def test_a_thing_close_behind_another_is_another():
    front, back = box((0.05, 0.05, 0.05), 0.55, 0.0), box((0.05, 0.05, 0.09), 0.48, 0.0)
    view = view_of([front, back])
    mask = segment_at(view, *pixel_of(view, 0.505, 0.0, 0.085), 0.0)
    assert not mask[tuple(round(i) for i in pixel_of(view, 0.57, 0.0, 0.04)[::-1])]


def test_a_box_behind_a_box_of_its_height_is_no_inside():
    things_ = [box((0.03, 0.06, 0.06), 0.55, 0.0), box((0.03, 0.06, 0.06), 0.50, 0.0)]
    view = view_of(things_)
    mask = segment_at(view, *pixel_of(view, 0.50, 0.0, 0.06), 0.0)
    assert not mask[tuple(round(i) for i in pixel_of(view, 0.565, 0.0, 0.03)[::-1])]


def test_a_near_miss_means_the_thing():
    view = view_of([box((0.05, 0.05, 0.05), 0.5, 0.0)])
    u, v = pixel_of(view, 0.525, 0.0, 0.0)
    assert segment_at(view, u, v + 4, 0.0).any()
    with pytest.raises(SceneError, match="nothing stands"):
        segment_at(view, u, v + 30, 0.0)


@pytest.mark.parametrize("pixel", [(-1.0, 5.0), (WIDTH, 5.0), (5.0, HEIGHT), (np.nan, 5.0)])
def test_pixels_outside(pixel):
    with pytest.raises(SceneError, match="outside"):
        segment_at(view_of([]), *pixel, 0.0)


def test_what_is_ignored_belongs_to_nothing():
    view = view_of([box((0.05, 0.05, 0.05), 0.5, 0.0)])
    everything = np.ones(view.depth_m.shape, bool)
    assert not things(view, 0.0, everything).any()
    with pytest.raises(SceneError, match="nothing stands"):
        segment_at(view, *pixel_of(view, 0.5, 0.0, 0.05), 0.0, everything)


def test_flying_pixels_are_no_measurements():
    def spoil(depth):
        depth[100:200:10, 50:250:10] -= 0.2

    view = view_of([], spoil=spoil)
    assert not view.measured[100:200:10, 50:250:10].any()
    assert view.measured.mean() > 0.9
    assert not things(view, 0.0).any()


@pytest.mark.parametrize("spoil", [None, noisy])
def test_normals_of_the_table_point_up(spoil):
    view = view_of([], spoil=spoil)
    normals = view.normals[20:-20, 20:-20].reshape(-1, 3)
    normals = normals[np.isfinite(normals).all(axis=1)]
    assert np.median(normals[:, 2]) > 0.99


@pytest.mark.parametrize(
    "change",
    [
        {"depth_m": np.zeros((0, 0), np.float32)},
        {"depth_m": np.zeros(5, np.float32)},
        {"fx": 0.0},
        {"cy": np.nan},
        {"t_base_optical": np.eye(3)},
        {"t_base_optical": np.full((4, 4), np.nan)},
    ],
)
def test_views_that_make_no_sense(change):
    good = {
        "depth_m": np.ones((4, 4), np.float32), "fx": 5.0, "fy": 5.0, "cx": 1.5, "cy": 1.5,
        "t_base_optical": np.eye(4),
    }  # fmt: skip
    DepthView(**good)
    with pytest.raises(SceneError):
        DepthView(**good | change)


def test_points_project_to_their_pixels():
    view = view_of([ball(0.04, 0.5, 0.1)])
    rows, columns = np.nonzero(view.measured)
    pixels, depth = view.project(view.points[rows, columns])
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=1), atol=1e-3)
    np.testing.assert_allclose(depth, view.depth_m[rows, columns], atol=1e-5)
