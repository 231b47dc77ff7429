# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_sim.core.camera import RayCaster, pinhole_of
from roborefer_sim.core.cell import CameraPlace, Cell, Layout, Placed
from roborefer_sim.core.lens import Lens, distort, undistort
from roborefer_sim.exceptions import SceneError

BARREL = (-0.20, 0.03, 0.001, -0.002, 0.0)
PINCUSHION = (0.12, -0.02, -0.001, 0.001, 0.0)
SMALL = CameraPlace(width=160, height=120, focal=154.0)


@pytest.mark.parametrize("coefficients", [BARREL, PINCUSHION, (0.0,) * 5])
def test_undistort_is_the_inverse_of_distort(coefficients):
    u, v = np.meshgrid(np.linspace(-0.5, 0.5, 21), np.linspace(-0.4, 0.4, 17))
    points = np.stack([u, v], axis=-1)

    back = distort(undistort(points, coefficients), coefficients)

    np.testing.assert_allclose(back, points, atol=1e-9)


def test_without_distortion_the_picture_is_the_drawn_one():
    lens = Lens(SMALL)

    assert lens.drawn is SMALL
    marker = object()
    assert lens.refract(marker) is marker


@pytest.mark.parametrize("coefficients", [BARREL, PINCUSHION])
def test_things_are_seen_where_the_model_of_camera_info_says(library, coefficients):
    lens = Lens(SMALL, coefficients)
    places = [(0.30, -0.30), (0.30, 0.30), (0.66, -0.25), (0.62, 0.25)]
    balls = [
        Placed(f"ball_{i}", library.make("ball", scale=0.5), (x, y, 0.0))
        for i, (x, y) in enumerate(places)
    ]
    cell = Cell(balls, Layout(camera=lens.drawn, with_arm=False))
    view = lens.refract(RayCaster(cell).take())

    k, pose = pinhole_of(SMALL), SMALL.t_world_optical
    assert view.rgb.shape == (120, 160, 3)
    for number, name in cell.body_ids().items():
        low, high = balls[int(name[-1])].make.bounds
        center = cell.pose_of(name)[:3, 3] + (low + high) / 2
        x, y, z = pose[:3, :3].T @ (center - pose[:3, 3])
        u, v = distort(np.array([x / z, y / z]), coefficients) * (k.fx, k.fy) + (k.cx, k.cy)
        seen = np.argwhere(view.bodies == number)
        assert len(seen) > 10
        row, column = seen.mean(axis=0)
        assert column == pytest.approx(u, abs=0.7)
        assert row == pytest.approx(v, abs=0.7)


def test_depth_of_a_distorted_picture_lies_on_the_table():
    lens = Lens(SMALL, BARREL)
    cell = Cell([], Layout(camera=lens.drawn, with_arm=False))
    view = lens.refract(RayCaster(cell).take())
    k, pose = pinhole_of(SMALL), SMALL.t_world_optical
    u, v = np.meshgrid(np.arange(k.width), np.arange(k.height))
    seen = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy], axis=-1)
    ideal = undistort(seen, BARREL)
    points = np.concatenate([ideal, np.ones((*u.shape, 1))], axis=-1) * view.depth_m[..., None]

    heights = (points @ pose[:3, :3].T + pose[:3, 3])[..., 2]

    on_table = np.abs(heights) < 0.1
    assert on_table.mean() > 0.4
    # At the rim of the table depth is that of the nearest pixel, which lies half a pixel off.
    assert np.quantile(np.abs(heights[on_table]), 0.99) < 1e-5


@pytest.mark.parametrize(
    ("coefficients", "words"),
    [
        ((0.1, 0.2), "5 finite numbers"),
        ((float("nan"), 0, 0, 0, 0), "5 finite numbers"),
        ((-3.0, 0, 0, 0, 0), "folds"),
    ],
)
def test_impossible_lenses_are_refused(coefficients, words):
    with pytest.raises(SceneError, match=words):
        Lens(CameraPlace(), coefficients)
