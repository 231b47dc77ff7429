# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that tell themselves apart, and servers around the fake engine."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.backends.base import Engine
from roborefer_vlm.server.client import Client
from roborefer_vlm.server.run import background_server
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.testing import FakeEngine
from roborefer_vlm.types import Query

GOLDEN = Path(__file__).parents[1] / "golden" / "roborefer_tiny"
FAKE_SERVER = Path(__file__).parent / "fake_server.py"
MakeServer = Callable[..., str]


def picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Noise whose first pixel, and so the fake engine's answer, says which one it is."""
    pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
    pixels[0, 0] = (number % width, number // width % height, 200)
    return pixels


def png(pixels: np.ndarray) -> bytes:
    stored = BytesIO()
    Image.fromarray(pixels).save(stored, "PNG")
    return stored.getvalue()


def base64_png(pixels: np.ndarray) -> str:
    return base64.b64encode(png(pixels)).decode()


@pytest.fixture
def make_query() -> Callable[[int], Query]:
    return lambda number: Query(picture(number), f"the thing number {number}")


@pytest.fixture
def good() -> dict[str, object]:
    """A request that is answered."""
    return {"image": base64_png(picture(7)), "text": "the red mug"}


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Start servers that end with the test; gives the URL of one that is ready."""
    with ExitStack() as stack:

        def make(engine: Engine | None = None, **settings: object) -> str:
            chosen = ServerSettings(**{"port": 0, **settings})  # type: ignore[arg-type]
            url = stack.enter_context(background_server(engine or FakeEngine(), chosen))
            with Client(url) as client:
                client.wait_until_ready(10)
            return url

        yield make


@pytest.fixture(scope="module")
def usual_url() -> Iterator[str]:
    """A server with usual settings that the tests of a file share."""
    with background_server(FakeEngine()) as url, Client(url) as client:
        client.wait_until_ready(10)
        yield url


@pytest.fixture
def post(usual_url: str) -> Iterator[Callable[..., httpx.Response]]:
    """Send requests to `/v1/refer` of a server with usual settings."""
    with httpx.Client(base_url=usual_url, timeout=20) as http:
        yield lambda **keywords: http.post("/v1/refer", **keywords)


class ServerProcess:
    """A server with the fake engine in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FAKE_SERVER), *arguments], stdout=subprocess.PIPE, text=True
        )
        self.url = self.line()

    def line(self) -> str:
        """Wait for the next line that the server writes."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def peak_bytes(self) -> int:
        """Most memory the process ever had."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM in /proc")


@pytest.fixture
def start_process() -> Iterator[Callable[..., ServerProcess]]:
    started: list[ServerProcess] = []

    def start(*arguments: str) -> ServerProcess:
        started.append(ServerProcess(*arguments))
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.wait(10)


class FormulaDepth:
    """The formula that stood in for the depth network when the exchanges were recorded."""

    def inverse_depth(self, image: np.ndarray) -> np.ndarray:
        rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(np.float32)
        blue = image[..., 2].astype(np.float32)
        return (3 + 2 * rows / image.shape[0] + 0.7 * np.sin(columns / 17) + blue / 255).astype(
            np.float32
        )


def _golden_engine() -> Engine:
    torch = pytest.importorskip("torch", reason="the network needs torch")
    pytest.importorskip("transformers", reason="the network needs transformers")
    from roborefer_vlm.backends.roborefer import RoboReferEngine

    torch.set_num_threads(1)
    return RoboReferEngine.from_checkpoint(
        GOLDEN / "checkpoints" / "dyn3x3", dtype=torch.float32, depth_estimator=FormulaDepth()
    )


@pytest.fixture(scope="module")
def golden_engine() -> Engine:
    """The checkpoint behind the recorded exchanges."""
    return _golden_engine()


@pytest.fixture
def golden_engine_again() -> Engine:
    """The same once more: a server closes its engine at the end."""
    return _golden_engine()
