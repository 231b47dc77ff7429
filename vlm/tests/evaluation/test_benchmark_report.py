# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import benchmark_layouts as lay
import cv2
import numpy as np
import pytest
from roborefer_vlm.evaluation.benchmarks import load_benchmark
from roborefer_vlm.evaluation.records import Protocol
from roborefer_vlm.evaluation.report import write_report
from roborefer_vlm.evaluation.results import Failure, Result
from roborefer_vlm.evaluation.runner import RunSettings, run_config
from roborefer_vlm.evaluation.scoring.score import score_run
from roborefer_vlm.evaluation.summary import compare_runs, summarise
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.types import Answer, Outcome

HOSTILE = '</pre></div><script>alert(1)</script><img src=x onerror="alert(1)"> &amp; \u202e\ud800'
_VOID = {"meta", "img", "input", "br", "link"}


def result(question: str, answer: Answer | None, **changes) -> Result:
    return Result(question, lay.WIDTH, lay.HEIGHT, answer, wall_s=0.5, **changes)


@pytest.fixture
def benchmark(tmp_path):
    return load_benchmark(
        "refspatial", lay.refspatial_raw(tmp_path / "data", {"Location": 4, "Placement": 2})
    )


@pytest.fixture
def scored(benchmark):
    answers = {
        "location/0": result("location/0", lay.HIT),
        "location/1": result("location/1", lay.MISS),
        "location/2": result("location/2", replace(lay.MISS, text=HOSTILE)),
        "location/3": result("location/3", None, failure=Failure.TIMEOUT, message=HOSTILE),
        "placement/0": result("placement/0", lay.HIT),
        "placement/1": result("placement/1", Answer(Outcome.AMBIGUOUS, text="Two fit.")),
    }
    return score_run(benchmark, answers)


class Page(HTMLParser):
    """Collects tags, and refuses ones that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def written(tmp_path, benchmark, scored):
    summary = summarise(scored, benchmark.protocol, 6)
    config = run_config(benchmark, lay.INFO, RunSettings())
    write_report(tmp_path, "refspatial: <fake>", scored, summary, config)
    html = (tmp_path / "report.html").read_text("utf-8")
    return json.loads((tmp_path / "report.json").read_text("utf-8")), html, Page(html)


def test_strict_mean_counts_every_question_and_the_protocol_leaves_out_no_answers(written):
    report, _, _ = written

    summary = report["summary"]
    assert summary["strict"]["mean"] == pytest.approx(2 / 6)
    assert summary["strict"]["count"] == 6
    assert summary["protocol"]["mean"] == pytest.approx(2 / 5)
    assert (summary["protocol"]["evaluated"], summary["protocol"]["total"]) == (5, 6)
    assert summary["verdicts"] == {"hit": 2, "wrong place": 2, "ambiguous": 1, "timeout": 1}


def test_tables_by_category_and_step_add_up(written):
    summary = written[0]["summary"]

    assert {k: v["strict"]["count"] for k, v in summary["by_category"].items()} == {
        "location": 4,
        "placement": 2,
    }
    assert {k: v["strict"]["count"] for k, v in summary["by_step"].items()} == {
        "1": 3,
        "2": 2,
        "3": 1,
    }
    assert list(summary["by_category_and_step"]) == [
        *("location, 1", "location, 2", "location, 3", "placement, 1", "placement, 2")
    ]
    assert summary["latency"]["wall"]["p50_s"] == 0.5
    assert summary["latency"]["decode"]["p95_s"] == pytest.approx(0.02)
    assert "encode" not in summary["latency"]


def test_report_lists_results_in_the_order_of_the_benchmark(written, benchmark):
    report, _, page = written

    ids = [question.id for question in benchmark.questions]
    assert [row["question"] for row in report["results"]] == ids
    assert len(page.all("article")) == 6


def test_page_asks_for_nothing_outside_itself(written):
    _, html, page = written

    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "href", "srcset", "action", "poster"):
            assert str(attributes.get(name) or "data:").startswith("data:")
    assert "http" not in re.sub(r"http-equiv", "", html)
    assert "url(" not in html
    assert "@import" not in html


def test_model_text_is_text_on_the_page(written):
    _, html, page = written

    assert len(page.all("script")) == 1
    assert all(not name.startswith("on") for _, tag in page.tags for name in tag)
    assert "<script>alert" not in html
    assert any("<script>alert(1)</script>" in text for text in page.texts)
    assert "refspatial: <fake>" in page.texts


def test_half_a_surrogate_pair_survives_in_the_report(written):
    report, _, _ = written

    assert report["results"][2]["result"]["answer"]["text"] == HOSTILE


def test_policy_of_the_page_allows_its_own_script_and_style_alone(written):
    _, html, page = written

    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("script", "style"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"


def test_every_card_has_its_picture_with_marks_and_the_right_area(written, benchmark):
    _, _, page = written

    for image in page.all("img"):
        data = base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape[:2] == (int(image["height"]), int(image["width"]))
        # The border of the right area is green (BGR), JPEG noise aside.
        edge = pixels[30, lay.LEFT].astype(int)
        assert edge[1] > edge[0]
        assert edge[1] > edge[2]


def test_cards_carry_what_the_filters_choose_by(written):
    _, _, page = written

    cards = page.all("article")
    assert [card["data-result"] for card in cards] == [
        *("hit", "miss", "miss", "miss", "hit", "miss")
    ]
    names = {select["name"] for select in page.all("select")}
    assert names == {"result", "verdict", "category", "step"}
    for name in names:
        assert all(f"data-{name}" in card for card in cards)


def test_equal_results_give_equal_files(tmp_path, benchmark, scored):
    config = run_config(benchmark, lay.INFO, RunSettings())
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        summary = summarise(scored, benchmark.protocol, 6)
        write_report(tmp_path / name, "title", scored, summary, config)
        files.append([(tmp_path / name / f"report.{e}").read_bytes() for e in ("json", "html")])

    assert files[0] == files[1]


def test_unfinished_run_says_how_much_is_missing(benchmark, scored):
    summary = summarise(scored[:2], benchmark.protocol, 6)

    assert (summary["answered"], summary["questions"]) == (2, 6)
    assert summarise([], benchmark.protocol, 6) == {"questions": 6, "answered": 0}


def test_robospatial_total_is_the_mean_of_categories(tmp_path):
    benchmark = load_benchmark("robospatial-home", lay.robospatial_raw(tmp_path))
    yes = Answer(Outcome.TEXT, text="yes", engine="roborefer:x")
    results = {
        "context/0": result("context/0", replace(lay.HIT, engine="roborefer:x")),
        "compatibility/1": result("compatibility/1", yes),
        "configuration/2": result("configuration/2", yes),
    }

    table = summarise(score_run(benchmark, results), benchmark.protocol, 3)["robospatial"]

    assert table["strict"] == {"total": pytest.approx(2 / 3), "vqa": 0.5}
    assert table["protocol"] == {"total": pytest.approx(2 / 3), "vqa": 0.5}
    part = summarise(
        score_run(benchmark, {"context/0": results["context/0"]}), Protocol.ROBOSPATIAL, 3
    )
    assert part["robospatial"]["strict"] == {"total": None, "vqa": None}


def test_two_runs_are_compared_on_the_questions_of_both(benchmark, scored):
    better = [replace(item, strict=1.0) for item in scored[1:]]

    found = compare_runs(scored, better)

    assert found["estimate"]["count"] == 5
    assert found["estimate"]["mean"] == pytest.approx(4 / 5)
    with pytest.raises(ConfigurationError, match="no question in common"):
        compare_runs(scored[:1], scored[1:])
