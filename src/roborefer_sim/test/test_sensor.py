# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from roborefer_sim.core.camera import View
from roborefer_sim.core.sensor import PERFECT, SensorModel, measure
from roborefer_sim.exceptions import SceneError

FOCAL = 615.0


def view_of(depth, grey=128):
    depth = np.asarray(depth, np.float32)
    normals = np.zeros((*depth.shape, 3), np.float32)
    normals[..., 2] = -1
    rgb = np.full((*depth.shape, 3), grey, np.uint8)
    return View(rgb, depth, np.zeros(depth.shape, np.int32), normals)


def look(view, model, seed=0):
    return measure(view, FOCAL, model, np.random.default_rng(seed))


def test_a_perfect_sensor_changes_nothing():
    view = view_of(np.linspace(0.3, 3, 6400).reshape(80, 80))

    seen = look(view, PERFECT)

    np.testing.assert_array_equal(seen.depth_m, view.depth_m)
    np.testing.assert_array_equal(seen.rgb, view.rgb)


def test_noise_grows_with_the_square_of_the_distance():
    model = replace(PERFECT, disparity_noise_px=0.06)

    near, far = (look(view_of(np.full((200, 200), z)), model).depth_m.std() for z in (0.5, 2.0))

    assert far / near == pytest.approx(16, rel=0.15)


def test_depth_comes_in_steps_of_disparity():
    model = replace(PERFECT, disparity_step_px=1 / 8)
    view = view_of(np.linspace(1.0, 1.1, 10000).reshape(100, 100))

    values = np.unique(look(view, model).depth_m)

    disparities = FOCAL * model.baseline_m / values
    assert len(values) < 40
    np.testing.assert_allclose(disparities * 8, np.round(disparities * 8), atol=1e-3)


def test_edges_have_holes_and_flying_pixels_and_the_rest_has_none():
    depth = np.full((100, 100), 1.0)
    depth[:, 50:] = 0.6
    model = replace(PERFECT, edge_dropout=0.4, flying=0.3)

    seen = look(view_of(depth), model).depth_m

    edge = seen[:, 48:52]
    assert 0.3 < (edge == 0).mean() < 0.5
    assert 0.2 < ((edge > 0.61) & (edge < 0.99)).mean() < 0.4
    np.testing.assert_array_equal(seen[:, :45], depth[:, :45].astype(np.float32))


@pytest.mark.parametrize(
    ("grey", "model", "lost"),
    [
        (5, replace(PERFECT, dark_dropout=0.5), (0.3, 0.5)),
        (254, replace(PERFECT, shine_dropout=0.8), (0.75, 0.85)),
        (128, replace(PERFECT, dark_dropout=0.5, shine_dropout=0.8), (0, 0)),
        (128, replace(PERFECT, speckle=0.05), (0.02, 0.06)),
    ],
)
def test_surfaces_lose_depth_as_they_should(grey, model, lost):
    seen = look(view_of(np.full((200, 200), 1.0), grey), model).depth_m

    share = (seen == 0).mean()
    assert lost[0] <= share <= lost[1]


def test_color_has_noise_of_the_given_deviation_around_the_truth():
    seen = look(view_of(np.full((300, 300), 1.0)), replace(PERFECT, color_noise=2.0)).rgb

    noise = seen.astype(float) - 128
    assert abs(noise.mean()) < 0.02
    # Whole grey levels add a variance of 1/12.
    assert noise.std() == pytest.approx((4 + 1 / 12) ** 0.5, rel=0.02)


def test_out_of_range_is_no_measurement():
    seen = look(view_of([[0.1, 0.5, 9.0]]), SensorModel(edge_dropout=0, flying=0, speckle=0))

    assert seen.depth_m[0, 0] == 0
    assert seen.depth_m[0, 2] == 0


def test_a_seed_repeats_and_another_differs():
    view = view_of(np.full((60, 60), 1.0))

    first, again, other = (look(view, SensorModel(), seed).depth_m for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"flying": 1.5}, "flying is 1.5"),
        ({"edge_dropout": 0.7, "flying": 0.7}, "together"),
        ({"near_m": 5.0}, "near_m"),
        ({"speckle": float("nan")}, "speckle is nan"),
    ],
)
def test_impossible_settings_are_refused(wrong, named):
    with pytest.raises(SceneError, match=named):
        SensorModel(**wrong)
