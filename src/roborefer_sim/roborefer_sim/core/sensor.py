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

import numpy as np
import numpy.typing as npt
from scipy import ndimage

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
        noise = rng.normal(0.0, model.color_noise, rgb.shape)
        rgb = np.clip(np.round(rgb + noise), 0, 255).astype(np.uint8)
    return replace(view, rgb=rgb, depth_m=measured)


def _noisy(true_m: Depth, focal: float, model: SensorModel, rng: np.random.Generator) -> Depth:
    if model.disparity_noise_px == 0 and model.disparity_step_px == 0:
        return true_m.copy()
    known = true_m > 0
    disparity = focal * model.baseline_m / np.where(known, true_m, 1.0)
    white = rng.normal(size=true_m.shape)
    smooth = ndimage.gaussian_filter(white, model.noise_width_px)
    disparity = disparity + smooth / max(float(smooth.std()), 1e-9) * model.disparity_noise_px
    if model.disparity_step_px > 0:
        disparity = np.round(disparity / model.disparity_step_px) * model.disparity_step_px
    noisy = focal * model.baseline_m / np.maximum(disparity, 1e-6)
    return np.where(known, noisy, 0.0).astype(np.float32)


def _spoil_edges(
    depth: Depth, true_m: Depth, model: SensorModel, rng: np.random.Generator
) -> Depth:
    size = 2 * model.edge_width_px + 1
    near = ndimage.minimum_filter(true_m, size)
    far = ndimage.maximum_filter(true_m, size)
    # A slanted surface changes by a few per cent over the window; an edge by more.
    at_edge = (far - near) > 0.03 * np.maximum(near, 0.1)
    dice = rng.random(true_m.shape)
    between = near + (far - near) * rng.random(true_m.shape)
    flies = at_edge & (dice < model.flying)
    drops = at_edge & (dice >= model.flying) & (dice < model.flying + model.edge_dropout)
    return np.where(drops, 0.0, np.where(flies, between, depth)).astype(np.float32)


def _lost(view: View, model: SensorModel, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    shape = view.depth_m.shape
    lost = np.zeros(shape, bool)
    bright = view.rgb.max(axis=-1) / 255.0
    if model.dark_dropout > 0:
        darkness = np.clip(1 - bright / model.dark_level, 0, 1)
        lost |= rng.random(shape) < darkness * model.dark_dropout
    if model.shine_dropout > 0:
        lost |= (view.rgb.min(axis=-1) >= 250) & (rng.random(shape) < model.shine_dropout)
    if model.grazing > 0:
        lost |= np.abs(view.normals[..., 2]) < model.grazing
    if model.speckle > 0:
        seeds = rng.random(shape) < model.speckle / 9
        lost |= ndimage.binary_dilation(seeds, np.ones((3, 3), bool))
    return lost
