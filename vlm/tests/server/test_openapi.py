# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, and schemathesis' attempts to catch the server at breaking it."""

from __future__ import annotations

import base64
from io import BytesIO

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from PIL import Image
from roborefer_vlm.server.app import create_app
from roborefer_vlm.server.errors import ErrorCode
from roborefer_vlm.testing import FakeEngine
from schemathesis import Case

QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
THOROUGH = settings(QUICK, max_examples=2000)


def _png() -> bytes:
    stored = BytesIO()
    Image.new("RGB", (64, 48)).save(stored, "PNG")
    return stored.getvalue()


schema = schemathesis.openapi.from_dict(create_app(FakeEngine()).openapi())
PICTURE = base64.b64encode(_png()).decode()
# A schema cannot say which bytes are a picture, so that random ones may be refused.
NOT_CHECKED = [schemathesis.checks.positive_data_acceptance]


@schema.parametrize()
@QUICK
def test_random_requests_get_documented_answers(case: Case, usual_url: str) -> None:
    case.call_and_validate(base_url=usual_url, excluded_checks=NOT_CHECKED)


@schema.include(path="/v1/refer").parametrize()
@QUICK
def test_random_fields_beside_a_good_picture_get_documented_answers(
    case: Case, usual_url: str
) -> None:
    """Random pictures are refused early; with a good one the other fields are looked at too."""
    if isinstance(case.body, dict) and case.media_type == "application/json":
        case.body["image"] = PICTURE
        case.body.pop("depth", None)
        case.body.pop("instances", None)
    # What was wrong on purpose may be what was replaced.
    replaced = [schemathesis.checks.negative_data_rejection]
    case.call_and_validate(base_url=usual_url, excluded_checks=NOT_CHECKED + replaced)


def test_the_documented_example_is_answered(usual_url):
    content = schema.raw_schema["paths"]["/v1/refer"]["post"]["requestBody"]["content"]

    assert (
        httpx.post(f"{usual_url}/v1/refer", json=content["application/json"]["example"]).json()[
            "outcome"
        ]
        == "ok"
    )


def test_the_document_has_every_code_and_no_docs_that_load_scripts(usual_url):
    document = httpx.get(f"{usual_url}/openapi.json").json()

    assert all(f"| `{code}` |" in document["info"]["description"] for code in ErrorCode)
    assert document["components"]["schemas"]["ErrorDetails"]["properties"]["code"]
    assert httpx.get(f"{usual_url}/docs").status_code == 404


@pytest.mark.slow
@schema.parametrize()
@THOROUGH
def test_many_random_requests_get_documented_answers(case: Case, usual_url: str) -> None:
    case.call_and_validate(base_url=usual_url, excluded_checks=NOT_CHECKED)
