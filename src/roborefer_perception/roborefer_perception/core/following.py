# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Follows a place from picture to picture by its looks and its depth, and says when it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from roborefer_perception.core.alignment import Alignment, Likeness, align
from roborefer_perception.core.camera import Array
from roborefer_perception.core.perspective import seen_at
from roborefer_perception.core.sheets import Print, Sheet, halved, lay_out, match, take_print
from roborefer_perception.core.types import Kind, Mask, Place, RgbdFrame

_NS = 1e-9
# From this many elements to search through, every second one is looked at first.
_COARSE_FROM = 24
# What was lost and is found again must be this much more alike than anything else.
_CLEARLY = 0.06
# A target that has not been seen for longer may be anywhere around, seconds.
_GAP_S = 0.5
# Of a target that is not hidden this share can be seen, or more.
_WHOLE = 0.98
# Surfaces that are seen at a flatter angle than this (its sine) tell little of how regions change.
_STEEP = 0.2


@dataclass(frozen=True)
class FollowSettings:
    """Settings of a Follower.

    Attributes:
        most_speed_m_s: A target is not expected to be faster.
        slack_m: By how much a target may be off its expected place even in an instant.
        most_search_m: A lost target is searched this far around, at most.
        most_radius_px: The target's looks are remembered this far around its point.
        least_visible: Share of the target that must be seen.
        least_alike: Share of what is seen that must look like the target.
        again_visible: As least_visible, for a target that was lost.
        again_alike: As least_alike, for a target that was lost.
        most_sigma_m: A place that is known less exactly than this (standard deviation within the
            picture) counts as lost, unless it is free space.
        most_drift_m: So much may be added by remembering the looks anew before only a new answer
            of the model can be trusted.
        renew_below: The looks are remembered anew when this share or less is alike.
        renew_above: But not when this share or less is.
        renew_turn: Or when the target has turned by this, radians.
        renew_scale: Or when its distance has changed by this share.
        likeness: What counts as the same look.
    """

    most_speed_m_s: float = 0.5
    slack_m: float = 0.015
    most_search_m: float = 0.25
    most_radius_px: float = 80.0
    least_visible: float = 0.35
    least_alike: float = 0.6
    again_visible: float = 0.6
    again_alike: float = 0.75
    most_sigma_m: float = 0.01
    most_drift_m: float = 0.02
    renew_below: float = 0.85
    renew_above: float = 0.75
    renew_turn: float = 0.35
    renew_scale: float = 0.1
    likeness: Likeness = field(default_factory=Likeness)


@dataclass(frozen=True, eq=False)
class Track:
    """What one picture says of a target.

    Attributes:
        pixel: u and v; where it was seen last when it is lost.
        place: In the optical frame of the picture; None when it is lost.
        confidence: 0 to 1; 0 when it is lost.
        lost: Whether it could not be found in this picture.
        jitter: Covariance of the point between pictures, without what all pictures share, m²,
            shape (3, 3).
    """

    pixel: tuple[float, float]
    place: Place | None
    confidence: float
    lost: bool
    jitter: Array


class Follower:
    """Keeps one target in sight. Not for several threads at once."""

    def __init__(
        self,
        frame: RgbdFrame,
        place: Place,
        settings: FollowSettings | None = None,
        view: Array | None = None,
    ) -> None:
        """Begin with a place that was found in a picture.

        Args:
            frame: The picture.
            place: In it.
            settings: How to follow.
            view: Axes of its optical frame in a frame that does not move, shape (3, 3); None:
                those of a camera that does not turn.
        """
        self._settings = settings or FollowSettings()
        self.correct(frame, place, view)

    def correct(self, frame: RgbdFrame, place: Place, view: Array | None = None) -> None:
        """Begin anew with a better answer, which may be about an older picture.

        Args:
            frame: The picture.
            place: In it.
            view: Axes of its optical frame in a frame that does not move, shape (3, 3).
        """
        self._anchor, self._focal = place, frame.camera.fx
        self._anchor_view = self._print_view = self._view = np.eye(3) if view is None else view
        self._print = self._drawn = take_print(
            frame, place.region, place.pixel, float(place.point[2]), self._settings.most_radius_px
        )
        # About the z axis of the frame that does not move: things on a floor turn about it.
        self._turn = self._print_turn = 0.0
        self._drift = np.zeros((3, 3))
        self._pixel, self._point = place.pixel, place.point
        self._stamp_ns, self._lost = frame.stamp_ns, False

    def update(
        self, frame: RgbdFrame, expected: Array | None = None, view: Array | None = None
    ) -> Track:
        """Find the target in a picture.

        Args:
            frame: The picture.
            expected: Where the target should be, in the optical frame of this picture, metres,
                shape (3,); None: where it was seen last.
            view: Axes of the optical frame of this picture in a frame that does not move, shape
                (3, 3).
        """
        self._view = np.eye(3) if view is None else view
        if abs(frame.stamp_ns - self._stamp_ns) * _NS > _GAP_S:
            # So much may have happened that it must be recognised as if it had been lost.
            self._lost = True
        guess = self._point if expected is None else np.asarray(expected, float)
        found = self._find(frame, guess) if guess[2] > 0.05 else None
        if found is None:
            self._lost = True
            return Track(self._pixel, None, 0.0, True, np.zeros((3, 3)))
        sheet, fit = found
        return self._accept(frame, sheet, fit, float(guess[2]))

    # --- finding ------------------------------------------------------------------------------
    def _find(self, frame: RgbdFrame, guess: Array) -> tuple[Sheet, Alignment] | None:
        settings = self._settings
        since = self._view.T @ _about_z(self._turn - self._print_turn) @ self._print_view
        target = self._drawn = seen_at(self._print, guess, since, self._view[2])
        pixel = frame.camera.project(guess[None])[0]
        if not np.isfinite(pixel).all():
            return None
        zoom = target.grain_m * frame.camera.fx / float(guess[2])
        reach = self._reach(frame.stamp_ns)
        margin = int(np.ceil(reach / target.grain_m)) + 2
        left, top = target.sheet.middle
        half = (left + margin, top + margin)
        sheet = lay_out(frame, (float(pixel[0]), float(pixel[1])), float(guess[2]), zoom, half)
        if not sheet.inside.any():
            return None
        fits = [
            align(target, sheet, (x, y), reach, settings.likeness)
            for x, y in self._candidates(sheet, margin)
        ]
        fits = sorted(
            (fit for fit in fits if fit.visible >= settings.least_visible),
            key=lambda fit: -fit.alike,
        )
        # The best one is the target or none is: where it is cut off or half hidden, something
        # else that resembles it must not take its place.
        if not fits or not self._is_target(fits[0], sheet):
            return None
        if self._lost and _doubtful(fits, target):
            return None
        return sheet, fits[0]

    def _reach(self, stamp_ns: int) -> float:
        """How far from its expected place the target may be, metres."""
        elapsed = abs(stamp_ns - self._stamp_ns) * _NS
        reach = self._settings.slack_m + self._settings.most_speed_m_s * elapsed
        return float(min(reach, self._settings.most_search_m))

    def _candidates(self, sheet: Sheet, margin: int) -> Iterator[tuple[float, float]]:
        """Columns and rows of the sheet at which the print fits well."""
        likeness, target = self._settings.likeness, self._drawn
        step = 1
        whole = target
        if margin > _COARSE_FROM:
            step = 2
            sheet, whole = halved(sheet), _halved_print(target)
        cost = match(
            whole, sheet, likeness.colour_sigma, likeness.relief_sigma_m, likeness.most_relief_m
        )
        rows, columns = np.indices(cost.shape)
        middle = ((cost.shape[1] - 1) / 2, (cost.shape[0] - 1) / 2)
        # What looks the same everywhere is taken to be where it was expected.
        away = ((columns - middle[0]) ** 2 + (rows - middle[1]) ** 2) / max(margin / step, 1) ** 2
        cost = cost + 0.1 * away
        left, top = whole.sheet.middle
        for _ in range(3 if self._lost else 1):
            row, column = np.unravel_index(int(cost.argmin()), cost.shape)
            if not np.isfinite(cost[row, column]):
                return
            yield float((column + left) * step), float((row + top) * step)
            around = np.s_[
                max(0, row - top // 2) : row + top // 2 + 1,
                max(0, column - left // 2) : column + left // 2 + 1,
            ]
            cost[around] = np.inf

    def _is_target(self, fit: Alignment, sheet: Sheet) -> bool:
        settings = self._settings
        visible = settings.again_visible if self._lost else settings.least_visible
        alike = settings.again_alike if self._lost else settings.least_alike
        x, y = (round(value) for value in (fit.x, fit.y))
        rows, columns = sheet.inside.shape
        inside = 0 <= x < columns and 0 <= y < rows and bool(sheet.inside[y, x])
        return (
            inside
            and fit.visible >= visible
            and fit.alike >= alike
            # A bare support looks the same everywhere, but it does not go away.
            and (self._anchor.kind is Kind.FREE_SPACE or self._sharpness(fit) >= 1)
        )

    def _sharpness(self, fit: Alignment) -> float:
        """How much more exactly the place is known than it must be."""
        sigma = float(np.sqrt(np.linalg.eigvalsh(fit.covariance)[-1]))
        return self._settings.most_sigma_m / (sigma * self._print.grain_m)

    # --- believing ----------------------------------------------------------------------------
    def _accept(self, frame: RgbdFrame, sheet: Sheet, fit: Alignment, depth_m: float) -> Track:
        camera, target = frame.camera, self._drawn
        depth = depth_m + fit.farther_m
        pixel = sheet.pixel_of(fit.x, fit.y)
        ray = np.append(camera.rays([pixel])[0], 1.0)
        point = depth * ray
        across = fit.covariance * target.grain_m**2
        jitter = fit.farther_sigma_m**2 * np.outer(ray, ray)
        jitter[:2, :2] += across
        was_lost, self._lost = self._lost, False
        self._pixel, self._point, self._stamp_ns = pixel, point, frame.stamp_ns
        self._turn += fit.turn
        place = self._place(frame, pixel, point, jitter)
        drift = float(np.sqrt(np.linalg.eigvalsh(self._drift)[-1]))
        if drift > self._settings.most_drift_m:
            self._lost = True
            return Track(pixel, None, 0.0, True, np.zeros((3, 3)))
        certain = 1 - drift / self._settings.most_drift_m
        certain = (0.5 + 0.5 * certain) * min(1.0, self._sharpness(fit))
        confidence = float(np.clip(fit.visible * fit.alike * certain, 0, 1))
        if not was_lost and self._should_renew(fit, depth):
            self._renew(frame, pixel, depth, fit, jitter)
        return Track(pixel, place, confidence, False, jitter)

    def _place(
        self, frame: RgbdFrame, pixel: tuple[float, float], point: Array, jitter: Array
    ) -> Place:
        anchor = self._anchor
        since = self._view.T @ _about_z(self._turn) @ self._anchor_view
        both = np.kron(np.eye(2), since)
        covariance = both @ anchor.covariance @ both.T
        covariance[:3, :3] += jitter + self._drift
        rotation = since @ anchor.rotation
        # The region goes along as if it lay in the surface at the target's point.
        now = _on_picture(frame.camera.fx, point, rotation)
        before = _on_picture(self._focal, anchor.point, anchor.rotation)
        way = np.eye(2) * float(anchor.point[2] / point[2]) * frame.camera.fx / self._focal
        if abs(np.linalg.det(before)) > _STEEP * (self._focal / anchor.point[2]) ** 2:
            way = now @ np.linalg.inv(before)
        region = _moved(anchor.region, anchor.pixel, pixel, way, frame.depth_m.shape)
        return replace(
            anchor, point=point, rotation=rotation, covariance=covariance, pixel=pixel,
            snapped_px=0.0, region=region,
        )  # fmt: skip

    def _should_renew(self, fit: Alignment, depth_m: float) -> bool:
        settings = self._settings
        changed = (
            fit.alike < settings.renew_below
            or abs(self._turn - self._print_turn) > settings.renew_turn
            or abs(depth_m / self._print.depth_m - 1) > settings.renew_scale
        )
        # Remembering anew while something is in front would remember that, too.
        return changed and fit.visible > _WHOLE and fit.alike > settings.renew_above

    def _renew(
        self,
        frame: RgbdFrame,
        pixel: tuple[float, float],
        depth_m: float,
        fit: Alignment,
        jitter: Array,
    ) -> None:
        target = self._drawn
        scale = target.grain_m * frame.camera.fx / depth_m
        kept = cv2.morphologyEx(
            (fit.agreeing & target.on).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)
        )
        region = _moved(
            kept > 0, target.sheet.middle, pixel, scale * np.eye(2), frame.depth_m.shape,
        )  # fmt: skip
        self._print_view = self._view
        self._print = take_print(frame, region, pixel, depth_m, self._settings.most_radius_px)
        self._print_turn = self._turn
        self._drift = self._drift + jitter


def _about_z(angle: float) -> Array:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def _on_picture(focal: float, point: Array, rotation: Array) -> Array:
    """Pixels per metre along x and y of a surface at a point, shape (2, 2)."""
    axes = rotation[:, :2]
    pixels: Array = focal / point[2] * (axes[:2] - np.outer(point[:2] / point[2], axes[2]))
    return pixels


def _doubtful(fits: list[Alignment], target: Print) -> bool:
    """Whether another place looks nearly as much like the target as the best one, the first."""
    best = fits[0]
    apart = max(target.sheet.middle) / 2
    return any(
        np.hypot(fit.x - best.x, fit.y - best.y) > apart and fit.alike > best.alike - _CLEARLY
        for fit in fits[1:]
    )


def _halved_print(target: Print) -> Print:
    sheet = halved(target.sheet)
    left, top = target.sheet.middle
    return replace(
        target, sheet=sheet, surface=target.surface[top % 2 :: 2, left % 2 :: 2],
        weight=target.weight[top % 2 :: 2, left % 2 :: 2],
        on=target.on[top % 2 :: 2, left % 2 :: 2], grain_m=2 * target.grain_m,
        slopes=target.slopes[:, top % 2 :: 2, left % 2 :: 2],
    )  # fmt: skip


def _moved(
    region: Mask,
    origin: tuple[float, float],
    pixel: tuple[float, float],
    way: Array,
    shape: tuple[int, ...],
) -> Mask:
    """Carry a region over: what lay at `origin` lies at `pixel`, the rest turned and scaled."""
    rows, columns = shape
    shift = np.subtract(pixel, way @ np.asarray(origin, float))
    moved = cv2.warpAffine(
        region.astype(np.uint8), np.column_stack([way, shift]), (columns, rows),
        flags=cv2.INTER_NEAREST,
    )  # fmt: skip
    found: Mask = moved > 0
    return found
