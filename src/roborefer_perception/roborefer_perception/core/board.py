# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A ChArUco board: what it looks like on paper, and where it is in a picture.

Frame of the board: origin at its top left corner, x along the columns, y down the rows, z into the
paper. Works with OpenCV 4.6, where ArUco is a set of functions, and with the later classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.exceptions import CalibrationError

Gray = npt.NDArray[np.uint8]

# A pose from fewer corners hangs on the noise of single ones.
LEAST_CORNERS = 6
# Corners that are farther from where the pose has them do not belong to a flat board.
MOST_ERROR_PX = 2.0
# Corners within a strip this narrow, as a share of its length, lie on a line.
_NARROW = 0.05


@dataclass(frozen=True)
class Board:
    """A chessboard with ArUco markers in its white squares.

    Attributes:
        columns: Squares in a row.
        rows: Rows of squares; odd, because versions of OpenCV begin even ones differently.
        square_m: Side of a square as printed, metres.
        marker_m: Side of a marker as printed, metres.
        dictionary: A predefined dictionary of cv2.aruco.

    Raises:
        CalibrationError: A value cannot be, or this OpenCV has no ArUco module.
    """

    columns: int = 7
    rows: int = 5
    square_m: float = 0.04
    marker_m: float = 0.03
    dictionary: str = "DICT_5X5_100"

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3 or self.rows % 2 == 0:
            raise CalibrationError(
                f"the board has {self.columns} columns and {self.rows} rows; at least 3 of both"
                " and an odd number of rows are needed"
            )
        if not 0 < self.marker_m < self.square_m < np.inf:
            raise CalibrationError(
                f"the board has squares of {self.square_m} m and markers of {self.marker_m} m;"
                " markers must be smaller than squares"
            )
        words = len(self._words.bytesList)
        if self.markers > words:
            raise CalibrationError(
                f"the board has {self.markers} markers, {self.dictionary} has only {words};"
                " choose a larger dictionary"
            )

    @property
    def markers(self) -> int:
        """How many markers there are."""
        return self.columns * self.rows // 2

    @property
    def corners(self) -> int:
        """How many inner corners of the chessboard there are."""
        return (self.columns - 1) * (self.rows - 1)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height, metres."""
        return self.columns * self.square_m, self.rows * self.square_m

    def points(self, ids: npt.ArrayLike) -> Array:
        """Corners by number, in the frame of the board.

        Args:
            ids: Row by row from the top left, shape (N,).

        Returns:
            Metres, shape (N, 3).
        """
        row, column = np.divmod(np.asarray(ids, int), self.columns - 1)
        return self.square_m * np.column_stack([column + 1, row + 1, np.zeros(len(row))])

    def picture(self, square_px: int = 240) -> Gray:
        """Draw the board without a margin.

        Returns:
            Grey levels, shape (rows * square_px, columns * square_px).
        """
        size = (self.columns * square_px, self.rows * square_px)
        draw = getattr(self._layout, "generateImage", None) or self._layout.draw
        return np.asarray(draw(size), np.uint8)

    @property
    def _words(self) -> Any:
        aruco = _aruco()
        number = getattr(aruco, self.dictionary, None)
        if not self.dictionary.startswith("DICT_") or number is None:
            known = [name for name in dir(aruco) if name.startswith("DICT_")]
            raise CalibrationError(
                f"there is no dictionary '{self.dictionary}'; known are {', '.join(known)}"
            )
        return aruco.getPredefinedDictionary(number)

    @cached_property
    def _layout(self) -> Any:
        aruco = _aruco()
        if hasattr(aruco, "CharucoBoard_create"):
            return aruco.CharucoBoard_create(
                self.columns, self.rows, self.square_m, self.marker_m, self._words
            )
        size = (self.columns, self.rows)
        return aruco.CharucoBoard(size, self.square_m, self.marker_m, self._words)

    @cached_property
    def _detect(self) -> Callable[[Gray], tuple[Any, Any]]:
        """Return what finds corners and ids in a grey picture, both None when none is seen."""
        aruco, layout, words = _aruco(), self._layout, self._words
        if hasattr(aruco, "CharucoDetector"):
            detector = aruco.CharucoDetector(layout)
            return lambda gray: detector.detectBoard(gray)[:2]

        def detect(gray: Gray) -> tuple[Any, Any]:
            corners, ids, _ = aruco.detectMarkers(gray, words)
            if ids is None:
                return None, None
            _, found, numbers = aruco.interpolateCornersCharuco(corners, ids, gray, layout)
            return found, numbers

        return detect


@dataclass(frozen=True, eq=False)
class Sight:
    """The board as one picture shows it.

    Attributes:
        t_camera_board: Its pose in the optical frame, shape (4, 4).
        points: The corners that were seen, in the frame of the board, metres, shape (N, 3).
        pixels: Where they were seen, u and v, shape (N, 2).
        camera: Intrinsics of the picture.
        error_px: Root mean square distance of pixels from where the pose has the corners.
    """

    t_camera_board: Array
    points: Array
    pixels: Array
    camera: Camera
    error_px: float


def find_board(board: Board, image: npt.NDArray[np.uint8], camera: Camera) -> Sight:
    """Find the board in a picture.

    Args:
        board: What to look for.
        image: RGB, shape (height, width, 3), or grey, shape (height, width).
        camera: Its intrinsics with distortion.

    Raises:
        CalibrationError: Too little of the board is seen, or it does not fit the intrinsics; the
            message says what to change.
    """
    if image.shape[:2] != (camera.height, camera.width):
        raise CalibrationError(
            f"the image is {image.shape[1]} x {image.shape[0]}, its intrinsics are for"
            f" {camera.width} x {camera.height}"
        )
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image)
    corners, ids = board._detect(np.ascontiguousarray(gray, np.uint8))
    seen = 0 if ids is None else len(ids)
    if seen < LEAST_CORNERS:
        raise CalibrationError(
            f"{seen} of {board.corners} corners of the board are seen, {LEAST_CORNERS} are needed;"
            " bring the whole board into view, sharp and evenly lit, or compare the board's"
            " parameters with the print"
        )
    points = board.points(np.ravel(ids))
    pixels = np.asarray(corners, float).reshape(-1, 2)
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[1] < _NARROW * spread[0]:
        raise CalibrationError(
            f"the {seen} corners of the board that are seen lie on a line; show more of it"
        )
    return _posed(points, pixels, camera)


def _posed(points: Array, pixels: Array, camera: Camera) -> Sight:
    # Rays instead of pixels: the pose then depends on our distortion model alone.
    rays = camera.rays(pixels)
    if not np.isfinite(rays).all():
        raise CalibrationError(
            f"the distortion coefficients {camera.d} cannot be taken out where the board is seen;"
            " calibrate the intrinsics"
        )
    eye, none = np.eye(3), np.zeros(0)
    found, rotation, position = cv2.solvePnP(points, rays, eye, none, flags=cv2.SOLVEPNP_IPPE)
    if not found:
        raise CalibrationError("the board's corners have no pose; show more of the board")
    rotation, position = cv2.solvePnPRefineLM(points, rays, eye, none, rotation, position)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(rotation)[0], position.ravel()
    distances = np.linalg.norm(camera.project(transformed(pose, points)) - pixels, axis=1)
    error = float(np.sqrt((distances**2).mean()))
    if not error <= MOST_ERROR_PX:
        raise CalibrationError(
            f"the corners of the board miss the camera model by {error:.1f} px,"
            f" {MOST_ERROR_PX:g} are allowed; calibrate the intrinsics, and mount the board flat"
        )
    return Sight(pose, points, pixels, camera, error)


def marked(rgb: npt.NDArray[np.uint8], sight: Sight | None) -> npt.NDArray[np.uint8]:
    """Return a copy of a picture with the board's corners and axes drawn where they were found."""
    picture = np.ascontiguousarray(rgb).copy()
    if sight is None:
        return picture
    for u, v in np.rint(sight.pixels * 16).astype(int):
        cv2.circle(picture, (int(u), int(v)), 64, (255, 64, 110), 1, cv2.LINE_AA, 4)
    side = float(np.ptp(sight.points, axis=0).max()) / 3
    ends = transformed(sight.t_camera_board, np.vstack([np.zeros(3), side * np.eye(3)]))
    origin, *tips = np.nan_to_num(sight.camera.project(ends)).clip(-1e4, 1e4).round().astype(int)
    # As everywhere in ROS: x is red, y green, z blue.
    for tip, color in zip(tips, ((255, 0, 0), (0, 200, 0), (0, 80, 255)), strict=True):
        cv2.arrowedLine(picture, origin.tolist(), tip.tolist(), color, 2, cv2.LINE_AA)
    return picture


def transformed(pose: Array, points: Array) -> Array:
    """Points of shape (..., N, 3) through poses of shape (..., 4, 4)."""
    turned = points @ np.swapaxes(pose[..., :3, :3], -1, -2)
    return np.asarray(turned + pose[..., None, :3, 3])


def _aruco() -> Any:
    module = getattr(cv2, "aruco", None)
    if module is None or not hasattr(module, "getPredefinedDictionary"):
        raise CalibrationError(
            f"OpenCV {cv2.__version__} has no module aruco; install opencv-python 4.7 or newer, or"
            " python3-opencv of Ubuntu 24.04"
        )
    return module
