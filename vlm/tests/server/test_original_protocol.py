# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`POST /query`: recorded exchanges of the original service, and other engines behind it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from roborefer_vlm.server.original_api import FORMAT_REQUEST
from roborefer_vlm.testing import FakeEngine
from roborefer_vlm.types import Answer, Outcome, Query

GOLDEN = Path(__file__).parents[1] / "golden" / "roborefer_tiny"
RECORD = json.loads((GOLDEN / "api" / "api.json").read_text())
POSTS = [r for r in RECORD["responses"] if isinstance(r["request"], dict)]


def body_of(request: dict[str, Any]) -> dict[str, Any]:
    """Put files in the place of their names; two requests name none on purpose."""

    def data(name: str) -> str:
        if name.startswith("(the literal string"):
            return name.split("'")[1]
        if name.startswith("data:"):
            return "data:image/png;base64," + data("small.png")
        return base64.b64encode((GOLDEN / "images" / name).read_bytes()).decode()

    names = ("image_url", "depth_url")
    return {k: list(map(data, v)) if k in names else v for k, v in request.items()}


@pytest.fixture(scope="module")
def golden_url(golden_engine):
    from roborefer_vlm.server.client import Client
    from roborefer_vlm.server.run import background_server
    from roborefer_vlm.server.settings import ServerSettings

    settings = ServerSettings(port=0, max_new_tokens=RECORD["max_new_tokens"])
    with background_server(golden_engine, settings) as url, Client(url) as client:
        client.wait_until_ready(30)
        yield url


@pytest.mark.parametrize("record", POSTS, ids=lambda record: record["name"])
def test_recorded_requests_get_the_recorded_answers(golden_url, record):
    answered = httpx.post(f"{golden_url}/query", json=body_of(record["request"]), timeout=60)

    assert answered.status_code == record["status"]
    assert answered.headers["content-type"] == record["content_type"]
    if record["json"] is not None:
        # As the original's framework writes it: sorted names, no blanks, ASCII, a newline.
        wire = json.dumps(record["json"], sort_keys=True, separators=(",", ":")) + "\n"
        assert answered.text == wire


def test_the_index_is_that_of_the_original(usual_url):
    (record,) = [r for r in RECORD["responses"] if r["name"] == "index"]

    answered = httpx.get(usual_url)

    assert (answered.status_code, answered.text) == (record["status"], record["text"])


def test_a_body_without_type_is_refused_as_recorded(usual_url):
    (record,) = [r for r in RECORD["responses"] if r["name"] == "not_json"]

    assert httpx.post(f"{usual_url}/query", content=b"x").status_code == record["status"]


def one_picture(**fields: object) -> dict[str, object]:
    data = base64.b64encode((GOLDEN / "images" / "table.png").read_bytes()).decode()
    return {"image_url": [data], "text": "the mug", **fields}


def test_other_engines_write_points_as_the_network_does(make_server):
    seen: list[Query] = []
    url = make_server(FakeEngine(on_query=lambda query, cancelled: seen.append(query)))
    asked = f"the mug.{FORMAT_REQUEST}, i.e. [(x1, y1)],  where each tuple"

    answer = httpx.post(f"{url}/query", json=one_picture(text=asked)).json()

    red, green = map(int, seen[0].image[0, 0, :2])
    x = (red % seen[0].width + 0.5) / seen[0].width
    y = (green % seen[0].height + 0.5) / seen[0].height
    assert answer == {"answer": f"[({x:.3f}, {y:.3f})]", "result": 1}
    assert seen[0].text == "the mug."


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(Outcome.TEXT, text="yes"), "yes"),
        (Answer(Outcome.NOTHING_FOUND, text="no mug"), "[]"),
    ],
)
def test_answers_without_points_are_words_or_an_empty_list(make_server, answer, text):
    class Fixed(FakeEngine):
        def refer(self, query, *, on_text=None, cancelled=None):
            return answer

    url = make_server(Fixed())

    assert httpx.post(f"{url}/query", json=one_picture()).json()["answer"] == text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"image_url": "abc"}, 500),
        ({"image_url": [1]}, 500),
        ({"image_url": ["QUJD"]}, 500),
        ({"image_url": []}, 500),
        ({"text": 5}, 500),
        ({"image_url": ["QUJD"] * 9}, 413),
    ],
)
def test_wrong_requests_end_as_pages_or_limits_and_the_next_is_answered(usual_url, fields, status):
    assert httpx.post(f"{usual_url}/query", json=one_picture(**fields)).status_code == status
    assert httpx.post(f"{usual_url}/query", json=one_picture()).status_code == 200


def test_broken_json_is_a_bad_request_as_in_the_original(usual_url):
    answered = httpx.post(
        f"{usual_url}/query", content=b"{", headers={"Content-Type": "application/json"}
    )

    assert answered.status_code == 400
    assert answered.headers["content-type"].startswith("text/html")
