# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may ask: binding, tokens, hosts and origins; and what the log keeps to itself."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue

import httpx
import pytest
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.server.client import Client
from roborefer_vlm.server.settings import ServerSettings, read_token
from roborefer_vlm.testing import FakeEngine

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_a_wider_address_without_a_token_is_refused(host):
    with pytest.raises(ConfigurationError, match="token"):
        ServerSettings(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_no_token(host):
    assert ServerSettings(host=host).token is None


def test_a_wider_address_with_a_token_is_fine():
    assert ServerSettings(host="0.0.0.0", token=TOKEN).token == TOKEN


@pytest.mark.parametrize(
    "token", ["", "short", "with blanks in between it", "ümlaut-ümlaut-ümlaut"]
)
def test_tokens_that_protect_nothing_are_refused(token):
    with pytest.raises(ConfigurationError, match="token"):
        ServerSettings(token=token)


def test_settings_do_not_print_their_token():
    assert TOKEN not in repr(ServerSettings(token=TOKEN))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("port", 70000), ("queue_size", 0), ("deadline_s", float("nan"))),
        *(("deadline_s", 900.0), ("drain_s", 1e300)),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(field, value):
    with pytest.raises(ConfigurationError, match=field):
        ServerSettings(**{field: value})


def test_a_token_file_has_to_be_private(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_token(path)

    path.chmod(0o600)

    assert read_token(path) == TOKEN
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_token(tmp_path / "none")


@pytest.fixture(scope="module")
def locked_url() -> str:
    from roborefer_vlm.server.run import background_server

    with background_server(FakeEngine(), ServerSettings(port=0, token=TOKEN)) as url:
        with Client(url, token=TOKEN) as client:
            client.wait_until_ready(10)
        yield url


@pytest.mark.parametrize(
    "header", [None, TOKEN, "Bearer", "Bearer wrong-token-of-some-length", f"Basic {TOKEN}"]
)
@pytest.mark.parametrize("path", ["/v1/model", "/metrics", "/openapi.json", "/", "/nowhere"])
def test_everything_but_health_wants_the_token(locked_url, header, path):
    headers = {} if header is None else {"Authorization": header}

    answered = httpx.get(locked_url + path, headers=headers)

    assert answered.status_code == 401
    assert answered.headers["www-authenticate"].startswith("Bearer")
    assert answered.json()["error"]["code"] == "unauthorized"


def test_the_token_opens_and_health_needs_none(locked_url, make_query):
    with Client(locked_url, token=TOKEN) as client:
        assert client.refer(make_query(3)).points
    assert httpx.get(f"{locked_url}/readyz").status_code == 200


def test_the_client_says_that_its_token_is_wrong(locked_url, make_query):
    with Client(locked_url) as client, pytest.raises(ConfigurationError, match="token"):
        client.refer(make_query(3))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:80", 200),
        ("127.0.0.1", 200),
        ("[::1]:9", 200),
        ("evil.example", 400),
        ("", 400),
    ],
)
def test_only_names_of_this_machine_are_served_without_a_token(usual_url, host, status):
    assert httpx.get(f"{usual_url}/healthz", headers={"Host": host}).status_code == status


def test_further_names_can_be_allowed(make_server):
    url = make_server(allowed_hosts=("robot.local",))

    assert httpx.get(f"{url}/healthz", headers={"Host": "robot.local:1"}).status_code == 200


def test_pages_of_other_sites_are_refused_and_no_cors_is_offered(usual_url):
    url = usual_url
    headers = {"Origin": "https://evil.example"}

    answered = httpx.post(f"{url}/v1/refer", headers=headers, files={"image": b"x"})
    asked = httpx.options(f"{url}/v1/refer", headers=headers)
    own = httpx.get(f"{url}/healthz", headers={"Origin": url})

    assert (answered.status_code, own.status_code) == (403, 200)
    assert not [name for name in asked.headers if name.startswith("access-control")]


@pytest.fixture
def access_lines():
    """Lines of the access log as they come; the last one of a request follows its answer."""
    lines = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(lines)
    handler.addFilter(lambda record: record.name.endswith(".access"))
    logger = logging.getLogger("roborefer_vlm.server")
    logger.addHandler(handler)
    yield lambda: json.loads(lines.get(timeout=10).message)
    logger.removeHandler(handler)


def test_the_access_log_has_ids_and_no_secrets(usual_url, good, caplog, access_lines):
    with caplog.at_level(logging.INFO, logger="roborefer_vlm.server"):
        httpx.post(
            f"{usual_url}/v1/refer?token=secret-in-query",
            json=good,
            headers={"X-Request-Id": "log-1", "Authorization": "Bearer secret-in-header"},
        )
        line = access_lines()
        while line["request_id"] != "log-1":
            line = access_lines()

    assert (line["path"], line["status"], line["outcome"]) == ("/v1/refer", 200, "ok")
    assert "secret" not in caplog.text
    assert str(good["image"])[:30] not in caplog.text
    assert str(good["text"]) not in caplog.text
