# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Golden checkpoints for the tests of the network.

`ROBOREFER_GOLDENS` names another directory of the same layout to run the golden tests on.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.pictures import load_depth, load_picture
from roborefer_vlm.model.processor import Processor

TINY = Path(__file__).parents[1] / "golden" / "roborefer_tiny"
GOLDENS = Path(os.environ.get("ROBOREFER_GOLDENS", TINY))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run golden tests once per checkpoint that the directory holds."""
    if "golden_name" in metafunc.fixturenames:
        names = sorted(path.name for path in (GOLDENS / "checkpoints").iterdir())
        metafunc.parametrize("golden_name", names)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def goldens() -> Path:
    return GOLDENS


@pytest.fixture(scope="session")
def tiny() -> Path:
    return TINY


@pytest.fixture
def checkpoint(tmp_path: Path):
    """Copy a tiny checkpoint to where a test may damage it."""

    def copy(name: str = "dyn3x3") -> Path:
        return Path(shutil.copytree(TINY / "checkpoints" / name, tmp_path / name))

    return copy


@pytest.fixture(scope="session")
def model() -> RoboReferModel:
    return load_checkpoint(TINY / "checkpoints" / "dyn3x3", dtype=torch.float32)


@pytest.fixture(scope="session")
def requests():
    """Return inputs of very different length: text, one picture, RGB-D, two pictures."""
    processor = Processor.from_checkpoint(TINY / "checkpoints" / "dyn3x3")

    def picture(name: str):
        return load_picture(TINY / "images" / f"{name}.png")

    def depth(name: str):
        return load_depth(TINY / "images" / f"{name}_depth.png")

    return [
        processor.prepare([], [], "What is left of the mug?"),
        processor.prepare([picture("small")], [], "Point to the cup."),
        processor.prepare([picture("table")], [depth("table")], "Point to the free space."),
        processor.prepare([picture("tall"), picture("wide")], [], "Which one has more objects?"),
    ]
