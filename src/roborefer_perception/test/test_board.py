# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The ChArUco board on paper and in pictures."""

import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from drawn_board import seen
from roborefer_perception.core.board import Board, find_board, transformed
from roborefer_perception.core.board_print import MARGIN_M, print_file, write_board
from roborefer_perception.core.camera import Camera
from roborefer_perception.exceptions import CalibrationError
from scipy.spatial.transform import Rotation

CAMERA = Camera(640, 480, 615, 615, 319.5, 239.5)
BENT = Camera(640, 480, 615, 615, 319.5, 239.5, "plumb_bob", (0.08, -0.15, 0.001, 0.002, 0.0))


def pose(rotvec_deg, position, board):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotvec_deg, degrees=True).as_matrix()
    middle = np.array([*np.array(board.size_m) / 2, 0.0])
    matrix[:3, 3] = position - matrix[:3, :3] @ middle
    return matrix


@pytest.mark.parametrize("camera", [CAMERA, BENT], ids=["straight", "bent"])
@pytest.mark.parametrize("turn", [(0, 25, 10), (-30, 0, 0), (20, -15, 80)])
def test_the_pose_of_a_drawn_board_is_found(turn, camera):
    board = Board()
    truth = pose(turn, [0.02, -0.01, 0.5], board)

    sight = find_board(board, seen(board, truth, camera), camera)

    assert len(sight.points) == board.corners
    assert sight.error_px < 0.15
    middle = sight.points.mean(axis=0)[None]
    shift = transformed(sight.t_camera_board, middle) - transformed(truth, middle)
    # A corner is found within a tenth of a pixel, which is 0.08 mm here; depth is worse.
    assert np.linalg.norm(shift) < 1e-3
    turned = Rotation.from_matrix(truth[:3, :3].T @ sight.t_camera_board[:3, :3])
    assert np.degrees(turned.magnitude()) < 0.3


def test_color_pictures_are_taken_too():
    board = Board()
    gray = seen(board, pose((0, 25, 0), [0, 0, 0.5], board), CAMERA)

    sight = find_board(board, np.repeat(gray[..., None], 3, axis=2), CAMERA)

    assert len(sight.points) == board.corners


def test_a_half_covered_board_is_still_found():
    board = Board()
    gray = seen(board, pose((0, 25, 0), [0, 0, 0.5], board), CAMERA)
    gray[:, :300] = 100

    sight = find_board(board, gray, CAMERA)

    assert 6 <= len(sight.points) < board.corners


def test_an_empty_picture_says_how_many_corners_are_seen():
    with pytest.raises(CalibrationError, match="0 of 24 corners"):
        find_board(Board(), np.full((480, 640), 90, np.uint8), CAMERA)


def test_corners_on_a_line_are_refused():
    board = Board(columns=9, rows=3, square_m=0.03, marker_m=0.022)
    truth = pose((0, 0, 0), [0, 0, 0.4], board)
    gray = seen(board, truth, CAMERA)
    # Only the upper corners keep their markers.
    v = CAMERA.project(transformed(truth, board.points([0, 8])))[:, 1]
    gray[int(v.mean()) :, :] = 128

    with pytest.raises(CalibrationError, match=r"lie on a line|corners of the board are seen"):
        find_board(board, gray, CAMERA)


def test_intrinsics_that_do_not_fit_are_refused():
    board = Board()
    gray = seen(board, pose((0, 45, 10), [0, 0, 0.35], board), CAMERA)
    wrong = Camera(640, 480, 300, 615, 319.5, 239.5)

    with pytest.raises(CalibrationError, match="calibrate the intrinsics"):
        find_board(board, gray, wrong)


def test_a_distortion_that_cannot_be_taken_out_is_refused():
    board = Board()
    gray = seen(board, pose((0, 45, 10), [0, 0, 0.35], board), CAMERA)
    wrong = Camera(640, 480, 615, 615, 319.5, 239.5, "plumb_bob", (1e6, 0, 0, 0, 0))

    with pytest.raises(CalibrationError, match=r"cannot be taken out|miss the camera model"):
        find_board(board, gray, wrong)


def test_intrinsics_of_another_size_are_refused():
    with pytest.raises(CalibrationError, match="640 x 360"):
        find_board(Board(), np.zeros((360, 640), np.uint8), CAMERA)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 6}, "odd number of rows"),
        ({"columns": 2}, "at least 3"),
        ({"marker_m": 0.05}, "smaller than squares"),
        ({"dictionary": "DICT_9X9"}, "known are .*DICT_5X5_100"),
        ({"columns": 30, "rows": 9}, "larger dictionary"),
    ],
)
def test_boards_that_cannot_be_are_refused(changes, message):
    with pytest.raises(CalibrationError, match=message):
        Board(**changes)


def test_opencv_without_aruco_is_a_clear_error(monkeypatch):
    monkeypatch.delattr(cv2, "aruco")

    with pytest.raises(CalibrationError, match="has no module aruco; install"):
        Board()


def test_the_pdf_has_the_size_of_the_board():
    board = Board()

    text = print_file(board, ".pdf")

    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", text)
    width, height = (float(value) / 72 * 0.0254 for value in box.groups())
    assert width == pytest.approx(0.28 + 2 * MARGIN_M, abs=1e-5)
    assert height == pytest.approx(0.20 + 2 * MARGIN_M, abs=1e-5)
    pixels = zlib.decompress(text.split(b"/FlateDecode")[1].split(b"stream\n")[1])
    assert pixels.startswith(board.picture(240).tobytes()[:1000])
    start = int(text.split(b"startxref\n")[1].split()[0])
    assert text[start:].startswith(b"xref")


def test_the_png_says_its_resolution_and_can_be_read():
    board = Board()

    content = print_file(board, ".png")

    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    per_m = struct.unpack(">I", content.split(b"pHYs")[1][:4])[0]
    assert picture.shape[1] / per_m == pytest.approx(0.28 + 2 * MARGIN_M, abs=1e-4)


def test_a_board_file_is_not_overwritten(tmp_path):
    path = tmp_path / "board.pdf"
    write_board(Board(), path)

    with pytest.raises(CalibrationError, match="exists"):
        write_board(Board(rows=3), path)
    write_board(Board(rows=3), path, overwrite=True)


def test_other_file_types_are_refused(tmp_path):
    with pytest.raises(CalibrationError, match=r"\.pdf or \.png"):
        write_board(Board(), tmp_path / "board.jpg")
