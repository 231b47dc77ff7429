# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the network's inputs share: the reference checkpoints and their cases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from roborefer_vlm.model.processor import Processor

_GOLDEN = Path(__file__).parents[1] / "golden" / "roborefer_tiny"


@pytest.fixture(scope="session")
def golden() -> Path:
    return _GOLDEN


@pytest.fixture(scope="session")
def load_processor() -> Callable[[str], Processor]:
    return cache(lambda name: Processor.from_checkpoint(_GOLDEN / "checkpoints" / name))


@pytest.fixture(scope="session")
def processor(load_processor: Callable[[str], Processor]) -> Processor:
    return load_processor("dyn3x3")


@pytest.fixture(scope="session")
def load_cases() -> Callable[[str], list[dict[str, Any]]]:
    """Reference cases by checkpoint; for Pillow 13 with those that it changes."""

    @cache
    def load(name: str) -> list[dict[str, Any]]:
        folder = _GOLDEN / "expected" / name
        files = ["inference.json"]
        if int(PIL.__version__.split(".")[0]) >= 13:
            files.append("inference_pillow13.json")
        cases: dict[str, dict[str, Any]] = {}
        for file in files:
            content = json.loads((folder / file).read_text(encoding="utf-8"))
            cases.update({case["id"]: case for case in content["cases"]})
        return list(cases.values())

    return load


@pytest.fixture(scope="session")
def tiles_digest() -> Callable[[torch.Tensor], str]:
    """The hash that the references give for a tile tensor."""

    def digest(tiles: torch.Tensor) -> str:
        grey = np.rint((tiles.numpy() * 0.5 + 0.5) * 255).astype(np.uint8)
        return hashlib.sha256(np.ascontiguousarray(grey).tobytes()).hexdigest()

    return digest
