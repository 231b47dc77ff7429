# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera's pose from samples whose truth is known."""

import numpy as np
import pytest
from roborefer_perception.core.board import Board, Sight, transformed
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.hand_eye import Mount, Sample, angle_deg, calibrate
from roborefer_perception.exceptions import CalibrationError
from scipy.spatial.transform import Rotation

CAMERA = Camera(640, 480, 615, 612, 321.0, 238.0, "plumb_bob", (0.05, -0.1, 0.001, 0.0005, 0.0))


def pose(rotvec_deg, position):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotvec_deg, degrees=True).as_matrix()
    matrix[:3, 3] = position
    return matrix


T_HOLDER_CAMERA = {
    Mount.EYE_IN_HAND: pose([3, -8, 170], [0.03, -0.08, 0.05]),
    Mount.EYE_TO_HAND: pose([100, -30, 60], [1.1, 0.2, 0.7]),
}
T_OTHER_BOARD = pose([170, 5, 20], [0.1, -0.15, 0.2])


def make_samples(mount, count=15, pixel_noise=0.1, seed=3, axes=(1.0, 1.0, 1.0)):
    """Samples whose boards lie half a metre ahead of the camera, turned about some axes."""
    rng = np.random.default_rng(seed)
    board = Board()
    points = board.points(np.arange(board.corners))
    camera, other_board = T_HOLDER_CAMERA[mount], T_OTHER_BOARD
    samples = []
    while len(samples) < count:
        turn = rng.uniform(-30, 30, 3) * axes
        t_camera_board = pose(turn, rng.uniform([-0.2, -0.15, 0.4], [0.0, 0.0, 0.7]))
        pixels = CAMERA.project(transformed(t_camera_board, points))
        hand = other_board @ np.linalg.inv(camera @ t_camera_board)
        tool = hand if mount is Mount.EYE_IN_HAND else np.linalg.inv(hand)
        # The pose that a picture gives is off by more along the axis than across.
        seen = pose(rng.normal(0, 0.1, 3), np.zeros(3))
        off = t_camera_board.copy()
        if pixel_noise:
            off[:3, :3] = seen[:3, :3] @ off[:3, :3]
            off[:3, 3] += rng.normal(0, [0.0001, 0.0001, 0.001])
        pixels = pixels + rng.normal(0, pixel_noise, pixels.shape)
        samples.append(Sample(tool, Sight(off, points, pixels, CAMERA, pixel_noise)))
    return samples


def errors(found, mount):
    truth = T_HOLDER_CAMERA[mount]
    shift = 1e3 * np.linalg.norm(found.t_holder_camera[:3, 3] - truth[:3, 3])
    return shift, angle_deg(found.t_holder_camera, truth)


def spoilt(sample, shift):
    """The robot's pose of another moment."""
    tool = sample.t_base_tool.copy()
    tool[:3, 3] += shift
    return Sample(tool, sample.sight)


@pytest.mark.parametrize("mount", Mount)
def test_samples_without_noise_give_the_exact_pose(mount):
    found = calibrate(make_samples(mount, pixel_noise=0.0), mount)

    shift, angle = errors(found, mount)
    assert shift < 1e-3
    assert angle < 1e-4
    assert found.t_other_board == pytest.approx(T_OTHER_BOARD, abs=1e-5)
    assert set(found.methods) == {"Tsai", "Park", "Horaud", "Daniilidis"}
    for camera in found.methods.values():
        assert camera == pytest.approx(T_HOLDER_CAMERA[mount], abs=1e-4)


@pytest.mark.parametrize("mount", Mount)
def test_refinement_beats_every_closed_solution_on_noisy_samples(mount):
    found = calibrate(make_samples(mount), mount)

    shift, angle = errors(found, mount)
    assert shift < 0.5
    assert angle < 0.05
    truth = T_HOLDER_CAMERA[mount][:3, 3]
    for camera in found.methods.values():
        assert 1e3 * np.linalg.norm(camera[:3, 3] - truth) > shift
    assert all(residual.used for residual in found.residuals)
    assert max(residual.error_px for residual in found.residuals) < 0.3


def test_uncertainty_is_of_the_size_of_the_errors():
    mount = Mount.EYE_TO_HAND
    ratios = []
    for seed in range(4):
        found = calibrate(make_samples(mount, 10, 0.3, seed), mount)
        ratios.append(errors(found, mount)[0] / found.uncertainty_mm)

    assert 0.3 < np.median(ratios) < 2.0


@pytest.mark.parametrize("mount", Mount)
def test_outliers_are_found_and_left_out(mount):
    samples = make_samples(mount)
    for index in (2, 9):
        samples[index] = spoilt(samples[index], [0.03, -0.02, 0.01])

    found = calibrate(samples, mount)

    assert [i for i, r in enumerate(found.residuals) if not r.used] == [2, 9]
    assert errors(found, mount)[0] < 0.7
    assert found.residuals[2].position_mm > 20


def test_too_few_samples_are_refused_with_the_number_missing():
    with pytest.raises(CalibrationError, match="take 2 more"):
        calibrate(make_samples(Mount.EYE_IN_HAND, 4), Mount.EYE_IN_HAND)


def test_turning_about_one_axis_is_refused_and_another_one_is_named():
    samples = make_samples(Mount.EYE_IN_HAND, axes=(1.0, 0.02, 0.02))

    with pytest.raises(CalibrationError, match=r"about another axis by 30 degrees.* its [yz]"):
        calibrate(samples, Mount.EYE_IN_HAND)


def test_shifting_without_turning_is_refused():
    samples = make_samples(Mount.EYE_TO_HAND, axes=(0.01, 0.01, 0.01))

    with pytest.raises(CalibrationError, match="turn it by at least 30 degrees"):
        calibrate(samples, Mount.EYE_TO_HAND)


def test_the_wrong_mount_is_refused_as_contradiction():
    with pytest.raises(CalibrationError, match="contradict each other"):
        calibrate(make_samples(Mount.EYE_IN_HAND), Mount.EYE_TO_HAND)


def test_too_many_outliers_are_refused():
    rng = np.random.default_rng(1)
    samples = make_samples(Mount.EYE_IN_HAND, 12)
    samples[:5] = [spoilt(sample, rng.uniform(0.03, 0.06, 3)) for sample in samples[:5]]

    with pytest.raises(CalibrationError, match="5 of 12 samples fit none"):
        calibrate(samples, Mount.EYE_IN_HAND)


def test_changed_intrinsics_are_refused():
    samples = make_samples(Mount.EYE_IN_HAND)
    other = Camera(640, 480, 600, 600, 320, 240)
    sight = samples[3].sight
    samples[3] = Sample(
        samples[3].t_base_tool,
        Sight(sight.t_camera_board, sight.points, sight.pixels, other, 0.1),
    )

    with pytest.raises(CalibrationError, match="intrinsics changed"):
        calibrate(samples, Mount.EYE_IN_HAND)
