# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Open-vocabulary detectors: things found by name, where the user has configured a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from roborefer_vlm.exceptions import CheckpointError, ConfigurationError
from roborefer_vlm.types import BoolArray, UInt8Array

LONGEST_PHRASE = 80
MOST_PHRASES = 32


@dataclass(frozen=True, eq=False)
class Detection:
    """A thing that a detector found.

    Attributes:
        label: The phrase that it answers to.
        score: 0 (guess) to 1 (sure).
        box: Left, top, right, bottom, pixels; the pixel centres from left to right lie inside.
        mask: Its pixels, shape (height, width), or None where only the box is known.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    mask: BoolArray | None = None


class Detector(Protocol):
    """Finds things by name."""

    def detect(self, image: UInt8Array, phrases: Sequence[str]) -> list[Detection]:
        """Return what answers to the phrases in an RGB picture, best first."""


class TransformersDetector:
    """OWLv2, Grounding DINO or any other zero-shot detector that transformers can load.

    The checkpoint is a directory, or a name on the hub, which is then downloaded by transformers
    on the caller's wish. Masks come from a SAM checkpoint where one is configured.
    """

    def __init__(
        self,
        checkpoint: str,
        *,
        mask_checkpoint: str | None = None,
        device: str = "cpu",
        threshold: float = 0.2,
    ) -> None:
        """Load the checkpoint.

        Args:
            checkpoint: Directory or hub id of the detector.
            mask_checkpoint: Directory or hub id of a SAM model; None: boxes only.
            device: Such as "cpu" or "cuda:0".
            threshold: Least score of a detection, 0 to 1.

        Raises:
            ConfigurationError: The threshold is out of range, or transformers is not installed.
            CheckpointError: The checkpoint is none of a zero-shot detector.
        """
        if not 0 <= threshold <= 1:
            raise ConfigurationError(f"threshold is {threshold}; use 0 to 1")
        try:
            import transformers
        except ImportError as error:
            raise ConfigurationError(
                "the detector needs torch and transformers: pip install roborefer-vlm[model]"
            ) from error
        self._device = device
        self._threshold = threshold
        try:
            self._processor = _loaded(transformers.AutoProcessor, checkpoint)
            model = _loaded(transformers.AutoModelForZeroShotObjectDetection, checkpoint)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"'{checkpoint}' is no zero-shot detector: {error}") from error
        self._model = model.to(device).eval()
        self._masks = None if mask_checkpoint is None else _BoxMasks(mask_checkpoint, device)

    def detect(self, image: UInt8Array, phrases: Sequence[str]) -> list[Detection]:
        """Return what answers to the phrases in an RGB picture, best first."""
        import torch

        meant = {_plain(phrase): phrase for phrase in reversed(phrases)}
        asked = [text for text in reversed(meant) if text][:MOST_PHRASES]
        if not asked:
            return []
        inputs = self._processor(
            text=[asked], images=image, padding=True, truncation=True, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            outputs = self._model(**inputs)
        found = self._processor.post_process_grounded_object_detection(
            outputs,
            threshold=self._threshold,
            target_sizes=[image.shape[:2]],
            text_labels=[asked],
        )[0]
        boxes = found["boxes"].float().cpu().numpy().astype(float)
        scores = found["scores"].float().cpu().numpy().astype(float)
        order = np.argsort(-scores, kind="stable")
        detections = [
            Detection(meant[text], float(scores[i]), tuple(boxes[i]))
            for i in order
            if (text := _answered(str(found["text_labels"][i]), asked)) is not None
        ]
        if self._masks is None or not detections:
            return detections
        masks = self._masks.masks(image, [d.box for d in detections])
        return [
            Detection(d.label, d.score, d.box, mask)
            for d, mask in zip(detections, masks, strict=True)
        ]


def _plain(phrase: str) -> str:
    """Return a phrase without anything that a tokenizer could take for more than words."""
    return " ".join(re.sub(r"[^\w'-]+", " ", phrase.lower()).split())[:LONGEST_PHRASE].strip()


def _answered(label: str, asked: Sequence[str]) -> str | None:
    """Return which text a label answers; some detectors answer with a piece of what was asked."""
    if label in asked:
        return label
    words = set(_plain(label).split())
    return next((text for text in asked if words and words <= set(text.split())), None)


def _loaded(kind: Any, checkpoint: str) -> Any:
    """Return what one of transformers' factories, which have no types, makes of a checkpoint."""
    return kind.from_pretrained(checkpoint)


class _BoxMasks:
    """Masks of things from their boxes, by a SAM checkpoint."""

    def __init__(self, checkpoint: str, device: str) -> None:
        import transformers

        try:
            self._processor = _loaded(transformers.AutoProcessor, checkpoint)
            model = _loaded(transformers.AutoModelForMaskGeneration, checkpoint)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"'{checkpoint}' is no mask model: {error}") from error
        self._device = device
        self._model = model.to(device).eval()

    def masks(
        self, image: UInt8Array, boxes: Sequence[tuple[float, float, float, float]]
    ) -> list[BoolArray]:
        """Return one mask per box, each of shape (height, width)."""
        import torch

        inputs = self._processor(
            images=image, input_boxes=[[list(box) for box in boxes]], return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            outputs = self._model(**inputs, multimask_output=False)
        # SAM itself wants to know what it resized the picture to, SAM 2 does not.
        sizes = [
            inputs[n].cpu() for n in ("original_sizes", "reshaped_input_sizes") if n in inputs
        ]
        masks = self._processor.post_process_masks(outputs.pred_masks.cpu(), *sizes)[0]
        return [np.asarray(mask[0] > 0) for mask in masks]
