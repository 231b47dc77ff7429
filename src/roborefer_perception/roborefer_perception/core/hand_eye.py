# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera sits, from pictures of a board at several poses of the arm.

The camera is held by the *holder*: the tool (eye in hand) or the base (eye to hand). The board is
fixed to the *other* of the two. Every sample then says the same:

    t_other_holder @ t_holder_camera @ t_camera_board = t_other_board

The first factor comes from the robot and the third from the picture; the second and the right
side are wanted. OpenCV's closed solutions begin, least squares over the pixels of all corners end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from roborefer_perception.core.board import Sight, transformed
from roborefer_perception.core.camera import Array
from roborefer_perception.core.types import Mask
from roborefer_perception.exceptions import CalibrationError

Indices = npt.NDArray[np.intp]

METHODS = {
    "Tsai": cv2.CALIB_HAND_EYE_TSAI,
    "Park": cv2.CALIB_HAND_EYE_PARK,
    "Horaud": cv2.CALIB_HAND_EYE_HORAUD,
    "Daniilidis": cv2.CALIB_HAND_EYE_DANIILIDIS,
}
# Below this many samples one bad one cannot be told from the good ones.
LEAST_SAMPLES = 6
# The tool must turn by this much, from end to end, about two axes.
LEAST_TURN_DEG = 20.0
# More than this share of bad samples means that something else is wrong.
_MOST_BAD = 0.34
# Samples within this are never taken for outliers, whatever the others are like.
_GOOD_MM, _GOOD_DEG = 2.0, 0.3
_DRAWS, _DRAWN = 60, 4
# A corner's pixel is known this well; beyond it, an error counts linearly and not squared.
_SIGMA_PX = 0.5


class Mount(StrEnum):
    """Where the camera is."""

    EYE_IN_HAND = "eye_in_hand"
    EYE_TO_HAND = "eye_to_hand"


@dataclass(frozen=True, eq=False)
class Sample:
    """One pose of the arm.

    Attributes:
        t_base_tool: What the robot says at the time of the picture, shape (4, 4).
        sight: What the picture shows.
    """

    t_base_tool: Array
    sight: Sight


@dataclass(frozen=True)
class Residual:
    """How badly one sample fits the result.

    Attributes:
        used: Whether it is part of the result, and not an outlier.
        position_mm: Distance of the board's middle from where the result has it.
        rotation_deg: Angle between the two boards.
        error_px: Root mean square distance of the corners in the picture.
    """

    used: bool
    position_mm: float
    rotation_deg: float
    error_px: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Where the camera is.

    Attributes:
        mount: Whether the tool or the base holds it.
        t_holder_camera: Pose of the optical frame in the tool or base, shape (4, 4).
        t_other_board: Pose of the board in the base or tool, shape (4, 4).
        methods: What OpenCV's solvers make of the same samples, for comparison.
        residuals: Of every sample, in their order.
        uncertainty_mm: Standard deviation of the position, from leaving out one sample at a time.
        uncertainty_deg: The same of the rotation.
    """

    mount: Mount
    t_holder_camera: Array
    t_other_board: Array
    methods: dict[str, Array]
    residuals: tuple[Residual, ...]
    uncertainty_mm: float
    uncertainty_deg: float


def calibrate(
    samples: Sequence[Sample], mount: Mount, least: int = LEAST_SAMPLES, most_mm: float = 10.0
) -> Calibration:
    """Find the pose of the camera in its holder.

    Args:
        samples: Poses of the arm with the board in view.
        mount: Where the camera is.
        least: Number of samples wanted, at least 6.
        most_mm: Median distance of the board from its place above which nothing fits.

    Raises:
        CalibrationError: Too few samples, too little turning, too many outliers, or samples that
            contradict each other; the message says what to do.
    """
    least = max(least, LEAST_SAMPLES)
    if len(samples) < least:
        raise CalibrationError(
            f"{len(samples)} samples are too few; take {least - len(samples)} more, with the tool"
            " turned about different axes"
        )
    check_turning(samples)
    problem = _Problem(samples, mount)
    first = problem.consensus()
    if np.median(problem.misses(*first)[0]) > most_mm:
        raise CalibrationError(
            f"the samples contradict each other by {np.median(problem.misses(*first)[0]):.1f} mm;"
            " check that board and camera are fixed where 'mount' says, the printed size of a"
            " square, the intrinsics, and that images and joint states are stamped by one clock"
        )
    good = problem.good(*first)
    solution = problem.refine(good, *first)
    # Refined, the result may tell good from bad better; the second look decides.
    good = problem.good(*solution)
    if (~good).sum() > _MOST_BAD * len(samples) or good.sum() < least - 1:
        raise CalibrationError(
            f"{(~good).sum()} of {len(samples)} samples fit none of the others; remove all, and"
            " let arm and board stand still while samples are taken"
        )
    check_turning([sample for sample, fits in zip(samples, good, strict=True) if fits])
    solution = problem.refine(good, *solution)
    millimetres, degrees = problem.misses(*solution)
    residuals = tuple(
        Residual(bool(used), float(mm), float(deg), float(px))
        for used, mm, deg, px in zip(
            good, millimetres, degrees, problem.errors_px(*solution), strict=True
        )
    )
    spread_mm, spread_deg = problem.spread(good, *solution)
    return Calibration(
        mount, *solution, problem.closed_solutions(np.flatnonzero(good)), residuals, spread_mm,
        spread_deg,
    )  # fmt: skip


def check_turning(samples: Sequence[Sample]) -> None:
    """Check that the tool turns enough for a solution.

    Raises:
        CalibrationError: It does not; the message names the axis that is missing.
    """
    turns = Rotation.from_matrix([sample.t_base_tool[:3, :3] for sample in samples])
    vectors = np.degrees((turns.mean().inv() * turns).as_rotvec())
    _, _, axes = np.linalg.svd(vectors)
    extent = np.ptp(vectors @ axes.T, axis=0)
    if extent[0] < LEAST_TURN_DEG:
        raise CalibrationError(
            f"the tool turns by {extent[0]:.0f} degrees in all; turn it by at least 30 degrees,"
            " about two axes"
        )
    if extent[1] < LEAST_TURN_DEG:
        missing = "xyz"[int(np.argmin(np.abs(axes[0])))]
        raise CalibrationError(
            f"the tool turns by {extent[0]:.0f} degrees about one axis and by {extent[1]:.0f}"
            f" about all others; rotate the tool about another axis by 30 degrees, for example"
            f" its {missing}"
        )


def angle_deg(first: Array, second: Array) -> float:
    """Angle between two poses, degrees."""
    turn = Rotation.from_matrix(first[:3, :3].T @ second[:3, :3])
    return float(np.degrees(turn.magnitude()))


class _Problem:
    """The samples as stacks of arrays."""

    def __init__(self, samples: Sequence[Sample], mount: Mount) -> None:
        tools = np.array([sample.t_base_tool for sample in samples])
        in_hand = mount is Mount.EYE_IN_HAND
        self.hands = tools if in_hand else np.linalg.inv(tools)
        self.sights = [sample.sight for sample in samples]
        self.boards = np.array([sight.t_camera_board for sight in self.sights])
        self.middle = np.mean([sight.points.mean(axis=0) for sight in self.sights], axis=0)
        self.camera = self.sights[0].camera
        if any(sight.camera != self.camera for sight in self.sights):
            raise CalibrationError(
                "the intrinsics changed between the samples; remove all, and take them anew"
            )

    def closed_solutions(
        self, which: Indices, names: Iterable[str] = tuple(METHODS)
    ) -> dict[str, Array]:
        """t_holder_camera by method; a method that fails is left out."""
        hands, boards = self.hands[which], self.boards[which]
        found = {}
        for name in names:
            try:
                rotation, position = cv2.calibrateHandEye(
                    list(hands[:, :3, :3]), list(hands[:, :3, 3]), list(boards[:, :3, :3]),
                    list(boards[:, :3, 3]), method=METHODS[name],
                )  # fmt: skip
            except cv2.error:
                continue
            if np.isfinite(rotation).all() and np.isfinite(position).all():
                pose = np.eye(4)
                pose[:3, :3], pose[:3, 3] = _rotation(rotation), position.ravel()
                found[name] = pose
        return found

    def consensus(self) -> tuple[Array, Array]:
        """Return the closed solution of a few samples that most samples agree with."""
        rng = np.random.default_rng(0)
        count = len(self.hands)
        draws = [(np.arange(count), tuple(METHODS))] + [
            (rng.choice(count, _DRAWN, replace=False), ("Park",)) for _ in range(_DRAWS)
        ]
        best, least = None, np.inf
        for which, names in draws:
            for camera in self.closed_solutions(which, names).values():
                board = self._mean_board(camera, which)
                miss = float(np.median(self.misses(camera, board)[0]))
                if miss < least:
                    best, least = (camera, board), miss
        if best is None:
            raise CalibrationError("no solver finds a solution; take samples anew")
        return best

    def _mean_board(self, camera: Array, which: Indices) -> Array:
        boards = self.hands[which] @ camera @ self.boards[which]
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_matrix(boards[:, :3, :3]).mean().as_matrix()
        # Positions of the middle have less of the rotations' errors in them than the corner's.
        middle = np.median(transformed(boards, self.middle[None])[:, 0], axis=0)
        pose[:3, 3] = middle - pose[:3, :3] @ self.middle
        return pose

    def misses(self, camera: Array, board: Array) -> tuple[Array, Array]:
        """Distance of the board's middle in millimetres and its angle in degrees, by sample."""
        seen = self.hands @ camera @ self.boards
        here, there = (transformed(pose, self.middle[None])[..., 0, :] for pose in (seen, board))
        turns = Rotation.from_matrix(board[:3, :3].T @ seen[:, :3, :3])
        return 1e3 * np.linalg.norm(here - there, axis=-1), np.degrees(turns.magnitude())

    def good(self, camera: Array, board: Array) -> Mask:
        """Which samples are no outliers."""
        millimetres, degrees = self.misses(camera, board)
        # 4.5 medians of a distance are some 5 standard deviations of a coordinate and more.
        return np.asarray(
            (millimetres <= max(_GOOD_MM, 4.5 * float(np.median(millimetres))))
            & (degrees <= max(_GOOD_DEG, 4.5 * float(np.median(degrees))))
        )

    def _errors(self, which: Indices, camera: Array, board: Array) -> Array:
        """Errors of the corners of some samples one after the other, pixels, shape (N, 2)."""
        sights = [self.sights[i] for i in which]
        owner = np.repeat(np.arange(len(which)), [len(sight.points) for sight in sights])
        boards = (np.linalg.inv(self.hands[which] @ camera) @ board)[owner]
        points = np.concatenate([sight.points for sight in sights])[:, None]
        seen = np.concatenate([sight.pixels for sight in sights])
        placed = transformed(boards, points)[:, 0]
        # Behind the camera there is no pixel; any large error drives the search away.
        return np.asarray(np.nan_to_num(self.camera.project(placed) - seen, nan=1e4))

    def errors_px(self, camera: Array, board: Array) -> Array:
        """Root mean square distance of the corners in the picture, by sample."""
        squares = [
            (self._errors(np.array([i]), camera, board) ** 2).sum(axis=1).mean()
            for i in range(len(self.sights))
        ]
        return np.asarray(np.sqrt(squares))

    def refine(self, good: Mask, camera: Array, board: Array) -> tuple[Array, Array]:
        """Least squares over the corners of the good samples, from a first solution."""
        which = np.flatnonzero(good)

        def residuals(change: Array) -> Array:
            moved = _moved(camera, change[:6]), _moved(board, change[6:])
            return self._errors(which, *moved).ravel() / _SIGMA_PX

        change = least_squares(residuals, np.zeros(12), loss="soft_l1", x_scale="jac").x
        return _moved(camera, change[:6]), _moved(board, change[6:])

    def spread(self, good: Mask, camera: Array, board: Array) -> tuple[float, float]:
        """Jackknife standard deviation of the camera's position (mm) and rotation (degrees)."""
        which = np.flatnonzero(good)
        shifts, turns = [], []
        for left_out in which:
            kept = good.copy()
            kept[left_out] = False
            other, _ = self.refine(kept, camera, board)
            shifts.append(1e3 * (other[:3, 3] - camera[:3, 3]))
            turn = Rotation.from_matrix(camera[:3, :3].T @ other[:3, :3])
            turns.append(np.degrees(turn.as_rotvec()))
        factor = (len(which) - 1) / len(which)
        totals = [
            float(np.sqrt(factor * ((np.array(x) - np.mean(x, axis=0)) ** 2).sum()))
            for x in (shifts, turns)
        ]
        return totals[0], totals[1]


def _moved(pose: Array, change: Array) -> Array:
    """Turn a pose by a rotation vector about its own origin, then shift it."""
    moved = pose.copy()
    moved[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(change[:3]).as_matrix()
    moved[:3, 3] += change[3:]
    return moved


def _rotation(matrix: Array) -> Array:
    """Return the nearest rotation; solvers may leave the rotations by rounding."""
    left, _, right = np.linalg.svd(matrix)
    flip = np.diag([1.0, 1.0, float(np.linalg.det(left @ right))])
    return np.asarray(left @ flip @ right)
