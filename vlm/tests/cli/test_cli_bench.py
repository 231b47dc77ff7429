# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import benchmark_layouts as lay
import pytest
from cli_fakes import FakeEngine
from roborefer_vlm.backends import registry
from roborefer_vlm.cli.main import main
from roborefer_vlm.exceptions import EngineError

pytest.importorskip("fastapi", reason="the server's packages are not installed")

HERE = Path(__file__).parent


@pytest.fixture
def data(tmp_path):
    return lay.own_raw(tmp_path / "data", count=6)


@pytest.fixture
def engines(monkeypatch):
    made = []

    def create(spec):
        made.append(FakeEngine(lambda query: lay.MISS if "number 2" in query.text else lay.HIT))
        return made[-1]

    monkeypatch.setattr(registry, "create_engine", create)
    return made


def bench(data, out, *options) -> int:
    return main(["bench", "own", str(data), "--engine", "fake", "--out", str(out), *options])


def test_benchmark_goes_through_the_server_and_leaves_three_files(data, engines, tmp_path, capsys):
    out = tmp_path / "run"

    code = bench(data, out, "--given-objects")

    report = json.loads((out / "report.json").read_text())
    assert code == 0
    assert report["summary"]["strict"]["mean"] == pytest.approx(5 / 6)
    assert report["config"]["engine"]["name"] == "fake"
    assert {path.name for path in out.iterdir()} == {
        *("answers.jsonl", "report.json", "report.html")
    }
    query = engines[0].queries[0]
    assert query.text.endswith(lay.SUFFIX)
    assert query.depth_m.max() == pytest.approx(0.8)
    assert query.intrinsics.fx == 60
    assert len(query.objects) == 2
    assert engines[0].closed
    printed = capsys.readouterr().out
    assert "5 hit, 1 wrong place" in printed
    assert str(out / "report.html") in printed


def test_engine_that_always_fails_scores_0_and_the_report_says_why(
    data, monkeypatch, tmp_path, capsys
):
    def fail(_):
        raise EngineError("out of order")

    monkeypatch.setattr(registry, "create_engine", lambda spec: FakeEngine(fail))

    # Longer than a server allows unless it is told.
    code = bench(data, tmp_path / "run", "--deadline", "900")

    summary = json.loads((tmp_path / "run/report.json").read_text())["summary"]
    assert code == 0
    assert (summary["strict"]["count"], summary["strict"]["mean"]) == (6, 0)
    assert capsys.readouterr().err.count("out of order") == 6


def test_finished_run_is_not_repeated_and_a_resumed_one_asks_nothing(data, engines, tmp_path):
    out = tmp_path / "run"
    assert bench(data, out, "--limit", "2") == 0

    assert bench(data, out) == 2
    assert bench(data, out, "--resume") == 0
    assert bench(data, out, "--resume") == 0

    assert [len(engine.queries) for engine in engines] == [2, 0, 4, 0]


def test_changed_settings_do_not_mix(data, engines, tmp_path, capsys):
    out = tmp_path / "run"
    bench(data, out)

    code = bench(data, out, "--resume", "--no-depth")

    assert code == 2
    assert "use_depth was True and is False" in capsys.readouterr().err


def test_runs_are_compared(data, engines, tmp_path, capsys):
    bench(data, tmp_path / "one")

    code = bench(data, tmp_path / "two", "--no-depth", "--compare", str(tmp_path / "one"))

    report = json.loads((tmp_path / "two/report.json").read_text())
    assert code == 0
    assert report["summary"]["compared_with"]["estimate"]["mean"] == 0
    assert f"against {tmp_path / 'one'}: +0.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["refcoco", "DATA"], 2, "benchmark 'refcoco' is unknown"),
        (["own", "none"], 2, "none is no directory"),
        (["own", "DATA", "--split", "placement"], 2, "no part 'placement'"),
        (["own", "DATA", "--limit", "0"], 2, "limit is 0"),
        (["own", "DATA", "--concurrency", "0"], 2, "concurrency is 0"),
        (["own", "DATA", "--url", "nowhere"], 2, "is no address"),
        (["own", "DATA", "--url", "http://127.0.0.1:9"], 4, "connection"),
    ],
)
def test_what_cannot_start_says_why(data, tmp_path, capsys, arguments, code, words):
    arguments = [str(data) if word == "DATA" else word for word in arguments]

    assert main(["bench", *arguments, "--out", str(tmp_path / "run")]) == code
    assert words in capsys.readouterr().err


def test_broken_record_stops_before_anything_is_asked(data, engines, tmp_path, capsys):
    path = data / "Location/question.json"
    rows = json.loads(path.read_text())
    del rows[4]["prompt"]
    path.write_text(json.dumps(rows))

    assert bench(data, tmp_path / "run") == 2
    assert "record 4, field 'prompt'" in capsys.readouterr().err
    assert engines == []


def program(how: str, data: Path, out: Path, *options: str) -> list[str]:
    words = ["bench", "own", str(data), "--engine", "x", "--out", str(out), *options]
    return [sys.executable, str(HERE / "cli_fakes.py"), how, *words]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_stopped_run_goes_on_where_it_was(data, tmp_path, number, code):
    out = tmp_path / "run"
    path = os.pathsep.join([str(HERE), str(HERE.parent / "evaluation")])
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(
        program("stuck", data, out, "--concurrency", "1"),
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    answers = out / "answers.jsonl"
    try:
        ends = time.monotonic() + 30
        while not answers.exists() or answers.read_bytes().count(b"\n") < 4:
            assert time.monotonic() < ends
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        _, words = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == code
    if number == signal.SIGINT:
        assert "stopped with 3 answers" in words
        assert "--resume" in words

    done = subprocess.run(
        program("free", data, out, "--concurrency", "1", "--resume"),
        env=environment,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads((out / "report.json").read_text())["summary"]["answered"] == 6
    assert answers.read_bytes().count(b"\n") == 7
