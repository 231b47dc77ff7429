# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import threading
from dataclasses import replace

import benchmark_layouts as lay
import pytest
from roborefer_vlm.evaluation.benchmarks import load_benchmark
from roborefer_vlm.evaluation.results import Failure, ResultLog, read_results
from roborefer_vlm.evaluation.runner import (
    RunSettings,
    chosen,
    fingerprint,
    run_benchmark,
    run_config,
)
from roborefer_vlm.exceptions import (
    ConfigurationError,
    DeadlineError,
    EngineError,
    PictureError,
    QueryError,
    UnavailableError,
)

WAIT_S = 10.0
SETTINGS = RunSettings(concurrency=3, deadline_s=5.0)


@pytest.fixture
def benchmark(tmp_path):
    return load_benchmark("refspatial", lay.refspatial_raw(tmp_path / "data", {"Location": 8}))


def run(benchmark, asker, path, *, resume=False, settings=SETTINGS, on_result=lambda _: None):
    config = run_config(benchmark, lay.INFO, settings)
    with ResultLog(path, config, resume=resume) as log:
        return run_benchmark(benchmark, asker, log, settings, config["wording"], on_result)


def number_of(query) -> int:
    return int(query.text.split(".")[0].rsplit(" ", 1)[1])


def test_results_come_in_the_order_of_the_benchmark_whoever_is_ready_first(benchmark, tmp_path):
    gate = threading.Event()

    def answer(query):
        # The first question waits until the last one is answered.
        if number_of(query) == 0:
            assert gate.wait(WAIT_S)
        if number_of(query) == 7:
            gate.set()
        return lay.HIT

    path = tmp_path / "answers.jsonl"
    results = run(benchmark, lay.FakeAsker(answer), path)

    assert list(results) == [f"location/{n}" for n in range(8)]
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert lines[0]["result"]["question"] != "location/0"


def test_questions_are_asked_as_many_at_a_time_as_told(benchmark, tmp_path):
    together = threading.Barrier(3)
    questions = replace(benchmark, questions=benchmark.questions[:6])

    def answer(_):
        # Breaks, and so fails the run, unless three are under way at once.
        together.wait(WAIT_S)
        return lay.HIT

    results = run(questions, lay.FakeAsker(answer), tmp_path / "answers.jsonl")

    assert len(results) == 6


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (DeadlineError("too late"), Failure.TIMEOUT),
        (QueryError("needs depth"), Failure.REFUSED),
        (PictureError("depth does not fit"), Failure.REFUSED),
        (EngineError("the engine failed"), Failure.ERROR),
    ],
)
def test_failure_of_one_question_is_recorded_and_the_run_goes_on(
    benchmark, tmp_path, error, failure
):
    def answer(query):
        if number_of(query) == 3:
            raise error
        return lay.HIT

    results = run(benchmark, lay.FakeAsker(answer), tmp_path / "answers.jsonl")

    assert len(results) == 8
    failed = results["location/3"]
    assert (failed.answer, failed.failure, failed.message) == (None, failure, str(error))


def test_server_that_goes_away_stops_the_run_and_resuming_asks_only_what_is_left(
    benchmark, tmp_path
):
    path = tmp_path / "answers.jsonl"
    settings = replace(SETTINGS, concurrency=1)

    def answer(query):
        if number_of(query) == 5:
            raise UnavailableError("connection refused")
        return lay.HIT

    with pytest.raises(UnavailableError, match="connection refused"):
        run(benchmark, lay.FakeAsker(answer), path, settings=settings)
    again = lay.FakeAsker()
    results = run(benchmark, again, path, resume=True, settings=settings)

    assert len(again.asked) == 3
    assert list(results) == [f"location/{n}" for n in range(8)]


def test_interrupted_run_keeps_what_was_answered(benchmark, tmp_path):
    path = tmp_path / "answers.jsonl"
    seen = []

    def interrupt(result):
        seen.append(result.question)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(benchmark, lay.FakeAsker(), path, on_result=interrupt)

    _, kept = read_results(path)
    assert set(seen) <= set(kept)
    again = lay.FakeAsker()
    run(benchmark, again, path, resume=True)
    assert len(again.asked) == 8 - len(kept)


def test_interrupt_does_not_wait_for_answers_under_way(benchmark, tmp_path):
    go_on, finished = threading.Event(), threading.Event()

    def answer(query):
        if number_of(query) == 1:
            go_on.wait(WAIT_S)
            finished.set()
        return lay.HIT

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(benchmark, lay.FakeAsker(answer), tmp_path / "answers.jsonl", on_result=interrupt)

    assert not finished.is_set()
    go_on.set()


def test_interrupted_run_asks_nothing_more(benchmark, tmp_path):
    go_on = threading.Event()

    def answer(query):
        if number_of(query) == 1:
            go_on.wait(WAIT_S)
        return lay.HIT

    def interrupt(_):
        raise KeyboardInterrupt

    asker = lay.FakeAsker(answer)
    settings = replace(SETTINGS, concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        run(benchmark, asker, tmp_path / "a.jsonl", settings=settings, on_result=interrupt)
    workers = [thread for thread in threading.enumerate() if thread.name == "bench-0"]
    go_on.set()
    for worker in workers:
        worker.join(WAIT_S)

    assert len(asker.asked) <= 2


def test_line_that_a_kill_tore_is_asked_again(benchmark, tmp_path):
    path = tmp_path / "answers.jsonl"
    run(benchmark, lay.FakeAsker(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])

    again = lay.FakeAsker()
    results = run(benchmark, again, path, resume=True)

    assert len(again.asked) == 1
    assert len(results) == 8
    assert read_results(path)[1] == dict(results)


def test_run_killed_while_writing_its_first_line_starts_anew(benchmark, tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"config": {"form')

    assert len(run(benchmark, lay.FakeAsker(), path, resume=True)) == 8


def test_damaged_line_in_the_middle_is_refused(benchmark, tmp_path):
    path = tmp_path / "answers.jsonl"
    run(benchmark, lay.FakeAsker(), path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:30] + b"\n"
    path.write_bytes(b"".join(lines))

    with pytest.raises(ConfigurationError, match="line 3 is damaged"):
        run(benchmark, lay.FakeAsker(), path, resume=True)


def test_existing_run_is_not_written_over(benchmark, tmp_path):
    path = tmp_path / "answers.jsonl"
    run(benchmark, lay.FakeAsker(), path)

    with pytest.raises(ConfigurationError, match="--resume"):
        run(benchmark, lay.FakeAsker(), path)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"given_objects": True}, "given_objects"),
        ({"use_depth": False}, "use_depth"),
        ({"max_new_tokens": 64}, "max_new_tokens"),
        ({"deadline_s": 1.0}, "deadline_s"),
    ],
)
def test_changed_configuration_is_not_mixed_and_says_what_changed(
    benchmark, tmp_path, change, name
):
    path = tmp_path / "answers.jsonl"
    run(benchmark, lay.FakeAsker(), path)

    with pytest.raises(ConfigurationError, match=rf"not mixed: {name} was"):
        run(
            benchmark,
            lay.FakeAsker(),
            path,
            resume=True,
            settings=replace(SETTINGS, **change),
        )


def test_changed_mask_is_another_benchmark_and_a_moved_folder_is_not(tmp_path):
    one = lay.refspatial_raw(tmp_path / "one", {"Location": 2})
    before = fingerprint(load_benchmark("refspatial", one))
    two = lay.refspatial_raw(tmp_path / "two", {"Location": 2})
    assert fingerprint(load_benchmark("refspatial", two)) == before

    changed = lay.mask()
    changed[0, 0] = 255
    lay.write(two / "Location/mask/1.png", lay.png(changed))

    assert fingerprint(load_benchmark("refspatial", two)) != before


def test_limited_run_goes_on_without_the_limit(benchmark, tmp_path):
    path = tmp_path / "answers.jsonl"
    config = run_config(benchmark, lay.INFO, SETTINGS)
    few = chosen(benchmark, 2)
    with ResultLog(path, config, resume=False) as log:
        run_benchmark(few, lay.FakeAsker(), log, SETTINGS, config["wording"])

    again = lay.FakeAsker()
    results = run(benchmark, again, path, resume=True)

    assert (len(few.questions), len(again.asked), len(results)) == (2, 6, 8)


def test_limit_takes_the_first_of_each_category(tmp_path):
    lay.refspatial_raw(tmp_path, {"Location": 3, "Unseen": 3})

    few = chosen(load_benchmark("refspatial", tmp_path), 2)

    assert [q.id for q in few.questions] == ["location/0", "location/1", "unseen/0", "unseen/1"]


def test_damaged_picture_stops_the_run_and_names_the_question(benchmark, tmp_path):
    path = tmp_path / "data/Location/image/4.png"
    path.write_bytes(path.read_bytes()[:1000])

    with pytest.raises(PictureError, match="question location/4"):
        run(benchmark, lay.FakeAsker(), tmp_path / "answers.jsonl")


def test_answers_come_back_from_the_file_as_they_were(benchmark, tmp_path):
    path = tmp_path / "answers.jsonl"
    hostile = replace(lay.HIT, text='\r\n\u2028\x1c\x00\ud800 \\ "')
    results = run(benchmark, lay.FakeAsker(lambda _: hostile), path)

    _, found = read_results(path)

    assert found == dict(results)


def test_depth_and_things_are_sent_as_told(tmp_path):
    benchmark = load_benchmark("own", lay.own_raw(tmp_path / "data", count=1))
    seen = []

    def answer(query):
        seen.append((query.depth_m is not None, query.intrinsics is not None, len(query.objects)))
        return lay.HIT

    for number, change in enumerate(
        [{}, {"given_objects": True}, {"use_depth": False, "given_objects": True}]
    ):
        run(
            benchmark,
            lay.FakeAsker(answer),
            tmp_path / f"{number}.jsonl",
            settings=replace(SETTINGS, **change),
        )

    assert seen == [(True, True, 0), (True, True, 2), (False, False, 2)]


@pytest.mark.parametrize("change", [{"concurrency": 0}, {"limit": 0}, {"deadline_s": 0.0}])
def test_settings_that_cannot_work_are_refused(change):
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        RunSettings(**change)
