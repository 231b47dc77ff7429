# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Estimators of photographs that are checkpoints of transformers, on disk or on the hub.

Each is a small value that names its checkpoint; weights are loaded when the first photograph
comes, once per process, so that a source can be sent to worker processes. For many photographs,
run them once and keep what they say with `web_recorded.write_record`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from roborefer_vlm.backends.scene_graph.colors import NAMES
from roborefer_vlm.backends.scene_graph.detector import (
    MOST_PHRASES,
    Detection,
    TransformersDetector,
)
from roborefer_vlm.data.sources.web_estimates import Found, Geometry, Look, Photo
from roborefer_vlm.exceptions import CheckpointError, ConfigurationError, SourceError
from roborefer_vlm.types import Intrinsics, UInt8Array

# Depth models that give metres; relative ones do not even keep proportions.
METRIC_DEPTH = ("depth_anything", "depth_pro", "glpn", "zoedepth")
# Diagonal of 35 mm film, millimetres, and the tag of Exif for the focal length on such film.
_FILM_DIAGONAL_MM = 43.27
_EXIF_IFD, _FOCAL_ON_FILM = 0x8769, 0xA405


@dataclass(frozen=True)
class ModelFinder:
    """A zero-shot detector with masks by SAM.

    Attributes:
        checkpoint: Directory or hub id of the detector.
        mask_checkpoint: Directory or hub id of a SAM model.
        labels: What is looked for.
        least_score: Weaker detections are not reported; keep it well below the score from which
            a detection is believed, since weak ones show which kinds are in doubt.
        device: Such as "cpu" or "cuda:0".
    """

    checkpoint: str
    mask_checkpoint: str
    labels: tuple[str, ...]
    least_score: float = 0.15
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.labels:
            raise ConfigurationError("labels is empty; name the kinds of things to look for")

    def find(self, photo: Photo) -> Found:
        """See `Finder.find`; a detector does not vouch that nothing is missing.

        Raises:
            ConfigurationError: transformers is not installed.
            CheckpointError: A checkpoint cannot be loaded.
        """
        detector = _detector(self.checkpoint, self.mask_checkpoint, self.least_score, self.device)
        found: list[Detection] = []
        for start in range(0, len(self.labels), MOST_PHRASES):
            found += detector.detect(photo.rgb, self.labels[start : start + MOST_PHRASES])
        return Found(tuple(sorted(found, key=lambda d: -d.score)))


@dataclass(frozen=True)
class ModelGeometry:
    """A metric depth model; the focal length comes from it, from the file, or from the caller.

    Attributes:
        checkpoint: Directory or hub id of a Depth Pro, ZoeDepth, GLPN or metric Depth Anything.
        horizontal_deg: Horizontal field of view of photographs of which neither the model nor the
            file tells the focal length; None: those are left out.
        device: Such as "cpu" or "cuda:0".
    """

    checkpoint: str
    horizontal_deg: float | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.horizontal_deg is not None and not 1 <= self.horizontal_deg <= 170:
            raise ConfigurationError(
                f"horizontal_deg is {self.horizontal_deg}; use 1 to 170 degrees"
            )

    def estimate(self, photo: Photo) -> Geometry:
        """See `GeometryEstimator.estimate`.

        Raises:
            SourceError: Nobody tells the focal length.
            ConfigurationError: transformers is not installed.
            CheckpointError: The checkpoint is no metric depth model.
        """
        import torch

        processor, model = _depth_model(self.checkpoint, self.device)
        height, width = photo.rgb.shape[:2]
        inputs = processor(images=photo.rgb, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            outputs = model(**inputs)
        estimate = processor.post_process_depth_estimation(
            outputs, target_sizes=[(height, width)]
        )[0]
        depth = np.asarray(estimate["predicted_depth"].float().cpu().numpy(), np.float32)
        if "focal_length" in estimate:
            focal: float | None = float(estimate["focal_length"])
        else:
            focal = focal_length(photo, self.horizontal_deg)
        if focal is None:
            raise SourceError(
                "focal length unknown: neither model nor file tells it; give horizontal_deg"
            )
        intrinsics = Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        return Geometry(depth, intrinsics, True)


@dataclass(frozen=True)
class ModelCaptioner:
    """Colours of things by an image and text model such as SigLIP, one crop each.

    Attributes:
        checkpoint: Directory or hub id.
        least_lead: By how many times the best colour has to be likelier than the next one.
        device: Such as "cpu" or "cuda:0".
    """

    checkpoint: str
    least_lead: float = 2.0
    device: str = "cpu"

    def looks(self, photo: Photo, things: Sequence[Detection]) -> Sequence[Look]:
        """See `Captioner.looks`; a thing of which no colour stands out has none.

        Raises:
            ConfigurationError: transformers is not installed.
            CheckpointError: The checkpoint cannot compare pictures with words.
        """
        return [self._look(photo.rgb, thing) for thing in things]

    def _look(self, rgb: UInt8Array, thing: Detection) -> Look:
        import torch

        processor, model = _comparer(self.checkpoint, self.device)
        texts = [f"a photo of a {color} {thing.label}" for color in NAMES]
        inputs = processor(
            text=texts,
            images=_crop(rgb, thing),
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        with torch.inference_mode():
            logits = model(**inputs).logits_per_image[0]
        shares = torch.softmax(logits.float(), dim=0).cpu().numpy()
        second, best = np.argsort(shares)[-2:]
        clear = shares[best] >= self.least_lead * shares[second]
        return Look((NAMES[int(best)],) if clear else ())


def focal_length(photo: Photo, horizontal_deg: float | None) -> float | None:
    """Return the focal length in pixels from what the file notes, or from a field of view.

    Exif notes it as on 35 mm film, which is compared by the diagonal.

    Args:
        photo: The photograph; its file is read again for its notes only.
        horizontal_deg: Horizontal field of view where the file tells nothing, or None.
    """
    height, width = photo.rgb.shape[:2]
    try:
        with Image.open(photo.path) as image:
            noted = image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_ON_FILM)
    except (OSError, ValueError, SyntaxError):
        noted = None
    if isinstance(noted, int) and noted > 0:
        return float(noted) / _FILM_DIAGONAL_MM * math.hypot(width, height)
    if horizontal_deg is None:
        return None
    return float(width / 2 / math.tan(math.radians(horizontal_deg) / 2))


def _crop(rgb: UInt8Array, thing: Detection) -> UInt8Array:
    """Return the picture around a thing, with everything else in grey."""
    if thing.mask is None or not thing.mask.any():
        raise SourceError(f"bad estimate: '{thing.label}' has no mask to crop")
    rows, columns = np.flatnonzero(thing.mask.any(1)), np.flatnonzero(thing.mask.any(0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.where(thing.mask[part][..., None], rgb[part], np.uint8(128))


@lru_cache(maxsize=1)
def _detector(
    checkpoint: str, mask_checkpoint: str, threshold: float, device: str
) -> TransformersDetector:
    return TransformersDetector(
        checkpoint, mask_checkpoint=mask_checkpoint, threshold=threshold, device=device
    )


@lru_cache(maxsize=1)
def _depth_model(checkpoint: str, device: str) -> tuple[Any, Any]:
    """Return processor and network of a metric depth checkpoint."""
    transformers = _transformers()
    try:
        config = transformers.AutoConfig.from_pretrained(checkpoint)
        kind = config.model_type
        relative = getattr(config, "depth_estimation_type", "metric") != "metric"
        if kind not in METRIC_DEPTH or relative:
            raise CheckpointError(
                f"'{checkpoint}' is a {'relative ' * relative}'{kind}'; a metric one of"
                f" {', '.join(METRIC_DEPTH)} is needed"
            )
        processor = transformers.AutoImageProcessor.from_pretrained(checkpoint)
        model = transformers.AutoModelForDepthEstimation.from_pretrained(
            checkpoint, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(f"'{checkpoint}' is no depth model: {error}") from error
    return processor, model.to(device).eval()


@lru_cache(maxsize=1)
def _comparer(checkpoint: str, device: str) -> tuple[Any, Any]:
    """Return processor and network that compare pictures with words."""
    transformers = _transformers()
    try:
        processor = transformers.AutoProcessor.from_pretrained(checkpoint)
        model = transformers.AutoModelForZeroShotImageClassification.from_pretrained(
            checkpoint, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"'{checkpoint}' cannot compare pictures with words: {error}"
        ) from error
    return processor, model.to(device).eval()


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ConfigurationError(
            "estimators need torch and transformers: pip install roborefer-vlm[model]"
        ) from error
    return transformers
