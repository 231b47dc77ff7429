# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The network itself behind the server: batches of strangers change nobody's answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.server.client import Client
from roborefer_vlm.server.run import background_server
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.types import Query

IMAGES = Path(__file__).parents[1] / "golden" / "roborefer_tiny" / "images"


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    made = []
    for name in ("table", "small"):
        image = np.asarray(Image.open(IMAGES / f"{name}.png").convert("RGB"))
        depth = np.asarray(Image.open(IMAGES / f"{name}_depth.png").convert("L"))
        for text in ("Point to the mug.", "What is the free area?"):
            made.append(Query(image, text, max_new_tokens=12))
            made.append(Query(image, text, relative_depth=depth, max_new_tokens=12))
    return made


def test_queries_in_one_batch_get_what_each_gets_alone(golden_engine, queries):
    alone = [golden_engine.refer(query).text for query in queries]
    assert len(set(alone)) > 4
    together = Barrier(len(queries))
    # Long enough to find them all waiting, so that they do share batches.
    settings = ServerSettings(port=0, batch_wait_s=0.5)
    with background_server(golden_engine, settings) as url, Client(url) as client:
        client.wait_until_ready(30)

        def ask(query: Query) -> str:
            together.wait(20)
            return client.refer(query).text

        with ThreadPoolExecutor(len(queries)) as threads:
            got = list(threads.map(ask, queries))
        figures = client._http.get("/metrics").text

    assert got == alone
    batches = [line for line in figures.splitlines() if "batch_size_count" in line]
    assert float(batches[0].split()[1]) < len(queries)


def test_a_stream_of_the_network_spells_its_answer(golden_engine_again, queries):
    pieces: list[str] = []
    with background_server(golden_engine_again) as url, Client(url) as client:
        client.wait_until_ready(30)

        answer = client.refer(queries[0], on_text=pieces.append)

    assert "".join(pieces).strip() == answer.text.strip()
    assert answer.latency.new_tokens > 0
