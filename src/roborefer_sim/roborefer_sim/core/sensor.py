# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a stereo depth camera makes of a perfect view: noise, steps, holes and flying pixels.

The model follows how such cameras work: depth z comes from a disparity d = f b / z that is
measured with a constant error and in fixed steps, so errors grow with the square of the distance;
matching fails at depth edges (holes, or a depth between near and far), on dark and shiny surfaces,
at grazing angles, and outside the range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

from roborefer_sim.core.camera import View
from roborefer_sim.exceptions import SceneError

Depth = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SensorModel:
    """Settings of the flaws; the defaults resemble a RealSense D435 at 640 x 480.

    Attributes:
        baseline_m: Distance of the two imagers.
        disparity_noise_px: Standard deviation of the matched disparity.
        disparity_step_px: Subpixel resolution of the matcher; 0 leaves depth continuous.
        noise_width_px: Width over which the noise is alike, as matching windows make it.
        edge_width_px: How far from a depth edge matching may fail.
        edge_dropout: Share of those pixels that have no depth.
        flying: Share of those pixels whose depth lies between near and far.
        dark_level: Brightness (0 to 1) below which depth starts to be missing.
        dark_dropout: Share of pixels lost on black.
        shine_dropout: Share of pixels lost in highlights.
        grazing: Cosine of the viewing angle below which depth is missing.
        speckle: Share of pixels lost anywhere, in small spots.
        near_m: Nearest measurable depth.
        far_m: Farthest measurable depth.
        color_noise: Standard deviation of the colour picture, grey levels.
        unit_m: Step in which depth is written, as in 16UC1; 0 writes exact values.
    """

    baseline_m: float = 0.050
    disparity_noise_px: float = 0.06
    disparity_step_px: float = 1 / 32
    noise_width_px: float = 1.5
    edge_width_px: int = 2
    edge_dropout: float = 0.45
    flying: float = 0.25
    dark_level: float = 0.12
    dark_dropout: float = 0.35
    shine_dropout: float = 0.8
    grazing: float = 0.15
    speckle: float = 0.002
    near_m: float = 0.20
    far_m: float = 4.0
    color_noise: float = 2.0
    unit_m: float = 0.001

    def __post_init__(self) -> None:
        shares = ("edge_dropout", "flying", "dark_dropout", "shine_dropout", "speckle")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise SceneError(f"{name} is {getattr(self, name)}; a share of 0 to 1 is needed")
        if self.edge_dropout + self.flying > 1:
            raise SceneError("edge_dropout and flying together must not exceed 1")
        if not (self.baseline_m > 0 and 0 < self.near_m < self.far_m):
            raise SceneError("baseline_m must be positive and near_m less than far_m")


# A camera that measures what is there; only the form of the output is that of a real one.
PERFECT = SensorModel(
    disparity_noise_px=0.0,
    disparity_step_px=0.0,
    edge_dropout=0.0,
    flying=0.0,
    dark_dropout=0.0,
    shine_dropout=0.0,
    grazing=0.0,
    speckle=0.0,
    near_m=0.01,
    far_m=20.0,
    color_noise=0.0,
    unit_m=0.0,
)


def scaled(model: SensorModel, strength: float) -> SensorModel:
    """Make the flaws of chance stronger or weaker; range and steps of the output stay.

    Args:
        model: Of strength 1.
        strength: Factor; 0 leaves no chance, shares end at 1.

    Raises:
        SceneError: The factor is negative or not finite.
    """
    if not (np.isfinite(strength) and strength >= 0):
        raise SceneError(f"the strength is {strength}; a factor from 0 up is needed")
    edges = max(model.edge_dropout + model.flying, 1e-9)
    at_edges = min(strength, 1 / edges)
    return replace(
        model,
        disparity_noise_px=model.disparity_noise_px * strength,
        edge_dropout=model.edge_dropout * at_edges,
        flying=model.flying * at_edges,
        dark_dropout=min(model.dark_dropout * strength, 1.0),
        shine_dropout=min(model.shine_dropout * strength, 1.0),
        grazing=min(model.grazing * strength, 1.0),
        speckle=min(model.speckle * strength, 1.0),
        color_noise=model.color_noise * strength,
    )


def measure(view: View, focal: float, model: SensorModel, rng: np.random.Generator) -> View:
    """Return the view as the sensor would give it.

    Args:
        view: The perfect view.
        focal: Focal length in pixels.
        model: The flaws.
        rng: Where chance comes from; the same state gives the same flaws.

    Returns:
        A view with noisy colour and depth (0 where nothing was measured); bodies and normals stay
        the truth.
    """
    depth = _noisy(view.depth_m, focal, model, rng)
    depth = _spoil_edges(depth, view.depth_m, model, rng)
    lost = _lost(view, model, rng) | (depth < model.near_m) | (depth > model.far_m)
    if model.unit_m > 0:
        depth = (np.round(depth / model.unit_m) * model.unit_m).astype(np.float32)
    measured = np.where(lost | (view.depth_m <= 0), 0.0, depth).astype(np.float32)
    rgb = view.rgb
    if model.color_noise > 0:
        rgb = _grainy(rgb, model.color_noise, rng)
    return replace(view, rgb=rgb, depth_m=measured)


def _grainy(
    rgb: npt.NDArray[np.uint8], deviation: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Add normal noise in whole grey levels; a byte of chance for each is enough and quick."""
    steps = special.ndtri((np.arange(256) + 0.5) / 256) * deviation
    levels: npt.NDArray[np.int16] = np.rint(steps).astype(np.int16)
    dice = np.frombuffer(rng.bytes(rgb.size), np.uint8).reshape(rgb.shape)
    grainy: npt.NDArray[np.uint8] = np.clip(rgb + levels[dice], 0, 255).astype(np.uint8)
    return grainy


def _noisy(true_m: Depth, focal: float, model: SensorModel, rng: np.random.Generator) -> Depth:
    if model.disparity_noise_px == 0 and model.disparity_step_px == 0:
        return true_m.copy()
    known = true_m > 0
    span = np.float32(focal * model.baseline_m)
    disparity = span / np.where(known, true_m, np.float32(1.0))
    white = rng.standard_normal(true_m.shape, np.float32)
    smooth = ndimage.gaussian_filter(white, model.noise_width_px)
    disparity += smooth * np.float32(model.disparity_noise_px / max(float(smooth.std()), 1e-9))
    if model.disparity_step_px > 0:
        step = np.float32(model.disparity_step_px)
        disparity = np.rint(disparity / step) * step
    noisy = span / np.maximum(disparity, np.float32(1e-6))
    return np.where(known, noisy, np.float32(0.0)).astype(np.float32)


def _spoil_edges(
    depth: Depth, true_m: Depth, model: SensorModel, rng: np.random.Generator
) -> Depth:
    size = 2 * model.edge_width_px + 1
    near = ndimage.minimum_filter(true_m, size)
    far = ndimage.maximum_filter(true_m, size)
    # A slanted surface changes by a few per cent over the window; an edge by more.
    at_edge = (far - near) > 0.03 * np.maximum(near, 0.1)
    # Chance decides only there, which is a small part of the picture.
    count = int(at_edge.sum())
    dice = rng.random(count)
    between = near[at_edge] + (far[at_edge] - near[at_edge]) * rng.random(count)
    flies = dice < model.flying
    drops = ~flies & (dice < model.flying + model.edge_dropout)
    spoilt = depth.copy()
    spoilt[at_edge] = np.where(drops, 0.0, np.where(flies, between, depth[at_edge]))
    return spoilt


def _lost(view: View, model: SensorModel, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    red, green, blue = view.rgb[..., 0], view.rgb[..., 1], view.rgb[..., 2]
    lost = np.zeros(red.shape, bool)
    if model.dark_dropout > 0:
        brightest = np.maximum(np.maximum(red, green), blue)
        dark = brightest < model.dark_level * 255
        darkness = 1 - brightest[dark] / (255 * model.dark_level)
        lost[dark] = rng.random(darkness.size) < darkness * model.dark_dropout
    if model.shine_dropout > 0:
        shiny = np.minimum(np.minimum(red, green), blue) >= 250
        lost[shiny] |= rng.random(int(shiny.sum())) < model.shine_dropout
    if model.grazing > 0:
        lost |= np.abs(view.normals[..., 2]) < model.grazing
    if model.speckle > 0:
        seeds = np.flatnonzero(rng.random(red.shape, np.float32) < model.speckle / 9)
        rows, columns = np.divmod(seeds, red.shape[1])
        for down, right in product((-1, 0, 1), repeat=2):
            inside_rows = np.clip(rows + down, 0, red.shape[0] - 1)
            lost[inside_rows, np.clip(columns + right, 0, red.shape[1] - 1)] = True
    return lost
