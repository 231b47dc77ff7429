# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_perception.core.noise import DepthNoise
from roborefer_perception.core.place import Calibration, locate, placed
from roborefer_perception.core.surface import fit_surface
from roborefer_perception.core.types import Kind
from scipy import stats
from scipy.spatial.transform import Rotation
from solids import CAMERA, noisy, plane, table

NORMAL, DISTANCE = np.array([0.2, 0.3, 0.93]) / np.linalg.norm([0.2, 0.3, 0.93]), 0.8


def pose(seed=0):
    rng = np.random.default_rng(seed)
    t_target_optical = np.eye(4)
    t_target_optical[:3, :3] = Rotation.random(rng=rng).as_matrix()
    t_target_optical[:3, 3] = rng.normal(size=3)
    return t_target_optical


@pytest.fixture(scope="module")
def place():
    return locate(noisy(plane(NORMAL, DISTANCE)), CAMERA, (400, 300), Kind.OBJECT)


@pytest.mark.parametrize("seed", range(3))
def test_point_and_axes_are_taken_to_the_target_frame(place, seed):
    t_target_optical = pose(seed)

    found = placed(place, t_target_optical)

    np.testing.assert_allclose(
        found.position, t_target_optical[:3, :3] @ place.point + t_target_optical[:3, 3]
    )
    turned = Rotation.from_quat(found.quaternion).as_matrix()
    np.testing.assert_allclose(turned, t_target_optical[:3, :3] @ place.rotation, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_turning_the_frame_keeps_the_sizes_of_the_covariance(place, seed):
    found = placed(place, pose(seed))

    for part in (np.s_[:3, :3], np.s_[3:, 3:]):
        np.testing.assert_allclose(
            np.linalg.eigvalsh(found.covariance[part]), np.linalg.eigvalsh(place.covariance[part]),
            rtol=1e-6, atol=1e-15,
        )  # fmt: skip


def test_covariances_are_symmetric_and_positive(place):
    for covariance in (place.covariance, placed(place, pose()).covariance):
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-15)
        assert np.linalg.eigvalsh(covariance).min() > -1e-12


def test_calibration_and_spread_make_a_place_less_sure(place):
    sure = placed(place, pose()).covariance
    calibration = Calibration(position_m=0.003, angle_rad=0.005)

    off = placed(place, pose(), calibration).covariance - sure
    apart = placed(place, pose(), spread=0.01**2 * np.eye(3)).covariance - sure

    # A turn moves what is far; along the ray it moves nothing.
    far = np.linalg.norm(place.point)
    moved = np.sort(np.linalg.eigvalsh(off[:3, :3]))
    np.testing.assert_allclose(moved, 0.003**2 + np.array([0, 1, 1]) * (0.005 * far) ** 2)
    np.testing.assert_allclose(apart[:3, :3], 0.01**2 * np.eye(3), atol=1e-12)


def test_calibration_agrees_with_moving_the_camera_at_random(place):
    rng, t_target_optical = np.random.default_rng(5), pose()
    calibration = Calibration(position_m=0.002, angle_rad=0.004)
    turns = Rotation.from_rotvec(rng.normal(0, 0.004, (20000, 3)))
    lever = t_target_optical[:3, :3] @ place.point

    points = turns.apply(lever) + rng.normal(0, 0.002, (20000, 3))

    expected = (
        placed(place, t_target_optical, calibration).covariance
        - placed(place, t_target_optical).covariance
    )
    np.testing.assert_allclose(np.cov(points.T), expected[:3, :3], atol=1e-6)


@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.FREE_SPACE])
def test_the_covariance_says_how_far_the_meant_point_is(kind):
    rng = np.random.default_rng(6)
    depth = noisy(table())
    scores = []
    for _ in range(120):
        meant = rng.uniform([60, 60], [580, 420])
        place = locate(depth, CAMERA, tuple(meant + rng.normal(0, 2, 2)), kind, pixel_sigma=2.0)
        ray = np.append(CAMERA.rays([meant])[0], 1)
        off = place.point - ray * 0.65 / (ray @ [0, np.sqrt(0.5), np.sqrt(0.5)])
        scores.append(off @ np.linalg.solve(place.covariance[:3, :3], off))

    # Within three standard deviations of a share among 120.
    assert np.mean(np.array(scores) < stats.chi2.ppf(0.9, 3)) == pytest.approx(0.9, abs=0.082)


def test_the_uncertainty_of_the_normal_agrees_with_repeated_measurements():
    true_depth = plane(NORMAL, DISTANCE)
    places = [
        locate(noisy(true_depth, seed), CAMERA, (320, 240), Kind.OBJECT, pixel_sigma=0.0)
        for seed in range(60)
    ]

    tilts = np.array([np.cross(-NORMAL, place.rotation[:, 2]) for place in places])
    said = np.mean([np.trace(place.covariance[3:, 3:]) for place in places])

    # The noise here is white, but neighbouring readings are taken to be alike: it is said to be
    # larger than it is, by at most the number of those that are alike.
    assert (tilts**2).sum(axis=1).mean() < said
    assert said < 4 * DepthNoise().alike * (tilts**2).sum(axis=1).mean()


def test_depth_noise_grows_with_the_square_of_the_distance():
    noise = DepthNoise(unit_m=0.0)

    assert noise.sigma_m(2.0, 600.0) == pytest.approx(16 * noise.sigma_m(0.5, 600.0))
    assert noise.sigma_m(1.0, 615.0) == pytest.approx(0.002, abs=2e-4)


@pytest.mark.parametrize("wrong", [{"baseline_m": 0.0}, {"disparity_px": -1.0}])
def test_impossible_noise_is_refused(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        DepthNoise(**wrong)


def test_a_fit_is_exact_on_planes_and_ignores_what_lies_behind():
    rng = np.random.default_rng(7)
    rays = rng.uniform(-0.01, 0.01, (200, 2))
    q = np.c_[rays, np.ones(200)] @ NORMAL / DISTANCE
    q[:50] -= 0.4

    surface = fit_surface(rays, q, np.ones(200), np.zeros(2), 0.002, 1.0, 15.0)

    np.testing.assert_allclose(surface.plane, NORMAL / DISTANCE, atol=0.01)
    assert surface.share == pytest.approx(0.75)
