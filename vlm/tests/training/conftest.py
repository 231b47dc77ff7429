# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the training tests share: the reference checkpoints and their four records."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import PIL
import pytest
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
def load_reference() -> Callable[[str], dict[str, Any]]:
    """Reference values by checkpoint; for Pillow 13 with the pictures that it changes."""

    @cache
    def load(name: str) -> dict[str, Any]:
        folder = _GOLDEN / "expected" / name
        content = json.loads((folder / "train.json").read_text(encoding="utf-8"))
        if int(PIL.__version__.split(".")[0]) >= 13:
            newer = json.loads((folder / "train_pillow13.json").read_text(encoding="utf-8"))
            for kind, samples in newer["datasets"].items():
                for old, new in zip(content["datasets"][kind], samples, strict=True):
                    old.update(new)
        return dict(content)

    return load
