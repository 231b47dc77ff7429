# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps from a language model: what is taken over and what is refused."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from roborefer_operator.core.language.splitting import (
    Splitter,
    SplitterSettings,
    steps_from_text,
)
from roborefer_operator.core.language.steps import Step, Verb
from roborefer_operator.exceptions import Reason, TaskFailure

SENTENCE = "I would love to see the red mug standing on the tray"
GOOD = json.dumps(
    {
        "steps": [
            {"verb": "pick", "phrase": "the red mug"},
            {"verb": "place", "phrase": "on the tray"},
        ]
    }
)


def test_steps_with_words_that_were_said_are_taken():
    assert steps_from_text(GOOD, SENTENCE) == [
        Step(Verb.PICK, "the red mug"),
        Step(Verb.PLACE, "on the tray"),
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I will do it!", "no JSON"),
        ('{"steps": []}', "no list"),
        ('{"steps": 3}', "no list"),
        (json.dumps({"steps": [{"verb": "pick", "phrase": "the mug"}] * 21}), "1 to 20"),
        ('{"steps": [{"verb": "explode", "phrase": "the mug"}]}', "no known verb"),
        ('{"steps": [{"verb": "pick", "phrase": 3}]}', "no phrase"),
        ('{"steps": [{"verb": "pick", "phrase": "the knife"}]}', "knife, which nobody said"),
        ('{"steps": [{"verb": "pick", "phrase": " "}]}', "names nothing"),
        ('["pick"]', "no list"),
        ("x" * 30_000, "too long"),
        (None, "no text"),
    ],
)
def test_an_answer_that_does_not_keep_the_form_is_refused(answer, said):
    with pytest.raises(TaskFailure, match=said) as refused:
        steps_from_text(answer, SENTENCE)

    assert refused.value.reason is Reason.NOT_UNDERSTOOD


@pytest.fixture
def endpoint():
    class Handler(BaseHTTPRequestHandler):
        status, answer = 200, GOOD

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"choices": [{"message": {"content": self.answer}}]}).encode()
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Handler, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_is_asked(endpoint):
    splitter = Splitter(SplitterSettings(endpoint[1], "any", timeout_s=5.0))

    assert [step.phrase for step in splitter.read(SENTENCE).steps] == [
        "the red mug",
        "on the tray",
    ]
    splitter.close()


def test_an_endpoint_that_fails_is_named(endpoint):
    endpoint[0].status = 500
    splitter = Splitter(SplitterSettings(endpoint[1], "any", timeout_s=5.0))

    with pytest.raises(TaskFailure, match=endpoint[1]) as refused:
        splitter.read(SENTENCE)

    assert refused.value.reason is Reason.SPLITTER_UNAVAILABLE
