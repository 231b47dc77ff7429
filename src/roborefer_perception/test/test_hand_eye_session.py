# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which looks become samples, and what is written of a result."""

import json
import shlex

import numpy as np
import pytest
import yaml
from roborefer_perception.core.board import Board, Sight, transformed
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.hand_eye import Calibration, Mount, Residual, Sample
from roborefer_perception.core.hand_eye_report import command, launch_lines, table, yaml_text
from roborefer_perception.core.hand_eye_session import Session, SessionSettings
from roborefer_perception.exceptions import CalibrationError
from scipy.spatial.transform import Rotation

CAMERA = Camera(640, 480, 615, 615, 319.5, 239.5)
BOARD = Board()
TENTH_NS = 100_000_000


def pose(rotvec_deg, position):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotvec_deg, degrees=True).as_matrix()
    matrix[:3, 3] = position
    return matrix


def sight(x=0.0, seen=24, error_px=0.1):
    at = pose((10, 20, 0), (x, 0.0, 0.5))
    points = BOARD.points(np.arange(seen))
    return Sight(at, points, CAMERA.project(transformed(at, points)), CAMERA, error_px)


def looked(*sights, period_ns=TENTH_NS):
    session = Session(SessionSettings(still_s=0.25))
    for number, look in enumerate(sights, 1):
        session.see(number * period_ns, look)
    return session


def test_a_board_that_stands_still_long_enough_may_be_taken():
    session = looked(sight(), sight(), sight(seen=12), sight())

    assert session.steady() is session.sight


def test_a_board_that_just_moved_may_not_be_taken():
    session = looked(sight(), sight(), sight(), sight(x=0.005))

    with pytest.raises(CalibrationError, match=r"still for 0\.0 s, 0\.25 s are needed"):
        session.steady()


def test_a_board_that_was_out_of_view_must_stand_still_anew():
    session = looked(sight(), sight(), sight(), None, sight(), sight())

    with pytest.raises(CalibrationError, match=r"still for 0\.1 s"):
        session.steady()


def test_time_that_jumps_back_is_no_standing_still():
    session = looked(sight(), sight(), sight(), sight())
    session.see(TENTH_NS, sight())

    with pytest.raises(CalibrationError, match=r"still for 0\.0 s"):
        session.steady()


def test_a_look_with_a_large_error_is_refused():
    session = looked(*[sight(error_px=1.4)] * 5)

    with pytest.raises(CalibrationError, match=r"by 1\.40 px, 1 are allowed"):
        session.steady()


def test_a_pose_near_another_sample_is_not_new():
    session = looked(sight())
    session.samples.append(Sample(pose((0, 0, 0), (0.4, 0, 0.3)), sight()))

    session.check_new(pose((0, 9, 0), (0.4, 0, 0.3)))
    session.check_new(pose((0, 0, 0), (0.4, 0.06, 0.3)))
    with pytest.raises(CalibrationError, match="10 mm and 5 degrees from where sample 1"):
        session.check_new(pose((0, 5, 0), (0.4, 0.01, 0.3)))


@pytest.fixture
def calibration():
    found = pose((0, 0, 90), (1.0, -0.25, 0.125))
    residuals = (Residual(True, 0.4, 0.05, 0.2), Residual(False, 33.0, 2.0, 41.0))
    other = pose((0, 0, 91), (1.0, -0.25, 0.127))
    return Calibration(
        Mount.EYE_TO_HAND, found, np.eye(4), {"Park": other}, residuals, 0.31, 0.022
    )


def test_the_file_can_be_read_back(calibration):
    text = yaml_text(calibration, calibration.t_holder_camera, "base_link", "my camera: left")

    read = yaml.safe_load(text)
    assert read["translation"] == {"x": 1.0, "y": -0.25, "z": 0.125}
    assert read["rotation"]["w"] == pytest.approx(np.sqrt(0.5))
    assert read["child_frame"] == "my camera: left"
    assert (read["samples"], read["outliers"], read["used"]) == (1, 1, [True, False])


@pytest.mark.parametrize("child", ["cam", "my camera", "$(reboot)"])
def test_command_and_launch_lines_say_the_same(calibration, child):
    pose_found = calibration.t_holder_camera
    typed = command(pose_found, "base_link", child)

    words = shlex.split(typed)
    lines = launch_lines(pose_found, "base_link", child).splitlines()
    arguments = lines[3].strip().removeprefix("arguments=").removesuffix(",")

    assert words[4:] == json.loads(arguments)
    assert words[4:6] == ["--x", "1.0"]
    assert words[-4:] == ["--frame-id", "base_link", "--child-frame-id", child]
    assert child == "cam" or f"'{child}'" in typed


def test_the_table_names_outliers_and_methods(calibration):
    lines = table(calibration).splitlines()

    assert "outlier" not in lines[1]
    assert "33.00" in lines[2]
    assert "outlier" in lines[2]
    assert lines[3] == "Park differs from the result by 2.00 mm and 1.000 degrees"
