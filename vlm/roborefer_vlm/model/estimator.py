# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth from one picture, for queries that bring none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch.nn import functional

from roborefer_vlm.exceptions import CheckpointError, PictureError
from roborefer_vlm.model.location import resolve_checkpoint
from roborefer_vlm.types import FloatArray, UInt8Array

# The shorter side becomes at least this long; both sides become multiples of a patch.
_SHORTER_SIDE, _PATCH = 518, 14
# Longer side over shorter; beyond it the network's input would fill the memory.
_MOST_RATIO = 8.0
# Checkpoints for metric depth give metres, of which 0 has no inverse.
_NEAREST_M = 0.01
_MEAN = np.array([0.485, 0.456, 0.406])
_STD = np.array([0.229, 0.224, 0.225])


class DepthEstimator(Protocol):
    """Sees depth in a single picture."""

    @property
    def name(self) -> str:
        """What estimates, for people."""

    def inverse_depth(self, image: UInt8Array) -> FloatArray:
        """Return relative inverse depth; `depth.render_inverse_depth` makes a picture of it.

        Args:
            image: RGB, uint8, shape (height, width, 3).

        Returns:
            float32, shape (height, width), larger is nearer, without a unit.

        Raises:
            PictureError: The picture has another dtype or shape.
        """


class DepthAnything:
    """Depth Anything V2 (arXiv 2406.09414) through transformers; threads may share it.

    The released weights saw depth from the large relative model, whose conversion for transformers
    is `depth-anything/Depth-Anything-V2-Large-hf`.
    """

    def __init__(
        self,
        path_or_hub_id: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Load a checkpoint.

        Args:
            path_or_hub_id: Directory with `config.json` and `model.safetensors`, or a name on the
                hub, which is the only case in which the network is used.
            device: Where it computes.
            dtype: Of weights and arithmetic.

        Raises:
            CheckpointError: There is no such directory, or it holds no Depth Anything.
            UnavailableError: The hub cannot be reached.
        """
        if str(path_or_hub_id).endswith((".pth", ".pt", ".bin")):
            raise CheckpointError(
                f"{path_or_hub_id} is a pickled file, which can run code when it is read; use the"
                " same weights as safetensors (such as depth-anything/Depth-Anything-V2-Large-hf),"
                " or convert it once with convert_depth_anything_to_hf.py of transformers"
            )
        directory = resolve_checkpoint(path_or_hub_id)
        from transformers import AutoConfig, AutoModelForDepthEstimation

        try:
            config = AutoConfig.from_pretrained(str(directory), local_files_only=True)
            if config.model_type != "depth_anything":
                raise CheckpointError(
                    f"{directory} holds a '{config.model_type}'; 'depth_anything' is needed"
                )
            model: Any = AutoModelForDepthEstimation.from_pretrained(
                str(directory), local_files_only=True, use_safetensors=True, dtype=dtype
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise CheckpointError(f"{directory} cannot be loaded: {error}") from error
        self._model = model.to(device).eval().requires_grad_(False)
        self._metric = config.depth_estimation_type == "metric"
        self._name = f"depth_anything:{directory.name}"

    @property
    def name(self) -> str:
        """Kind and checkpoint."""
        return self._name

    def inverse_depth(self, image: UInt8Array) -> FloatArray:
        """Estimate as the original server does; see `DepthEstimator.inverse_depth`."""
        pixels = torch.from_numpy(prepare_picture(image))[None]
        parameter = next(self._model.parameters())
        with torch.inference_mode():
            output = self._model(pixel_values=pixels.to(parameter.device, parameter.dtype))
            depth = functional.interpolate(
                output.predicted_depth[:, None].float(),
                size=image.shape[:2],
                mode="bilinear",
                align_corners=True,
            )[0, 0]
            if self._metric:
                depth = depth.clamp_min(_NEAREST_M).reciprocal()
        return np.asarray(depth.cpu().numpy(), dtype=np.float32)


def prepare_picture(image: UInt8Array) -> FloatArray:
    """Resize and normalise a picture as Depth Anything V2 itself does.

    Args:
        image: RGB, uint8, shape (height, width, 3).

    Returns:
        float32, shape (3, rows, columns): the shorter side is 518 or a little more, both are
        multiples of 14.

    Raises:
        PictureError: The picture has another dtype or shape, or is too long and thin.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise PictureError(
            f"picture is {image.dtype} {image.shape}; uint8 (height, width, 3) is needed"
        )
    height, width = image.shape[:2]
    if max(height, width) > _MOST_RATIO * min(height, width):
        raise PictureError(
            f"picture is {width} x {height}; depth can be estimated up to a ratio of"
            f" {_MOST_RATIO:g} : 1"
        )
    scale = _SHORTER_SIDE / min(height, width)
    size = (_to_patches(width * scale), _to_patches(height * scale))
    # In double and without antialiasing, as the original.
    resized = cv2.resize(image / 255.0, size, interpolation=cv2.INTER_CUBIC)
    normalised = ((resized - _MEAN) / _STD).astype(np.float32)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def _to_patches(side: float) -> int:
    """Return the nearest multiple of a patch that is not below the shorter side."""
    return max(_SHORTER_SIDE, round(side / _PATCH) * _PATCH)
