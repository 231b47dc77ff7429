# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factory_fakes import Failing, Points, Squares, YesNo, tree
from roborefer_vlm.data.cluster import Cluster
from roborefer_vlm.data.examples import Kind, Wish
from roborefer_vlm.data.processes import Processes
from roborefer_vlm.data.runner import Form, run
from roborefer_vlm.data.views import Fact
from roborefer_vlm.data.work import Part, Work
from roborefer_vlm.exceptions import ConfigurationError, GenerationError

MAKERS = (Points(), Points(Kind.CHAIN), YesNo())


def make(out: Path, work: Work | None = None, **options: object) -> dict[str, bytes]:
    run(work or Work(Squares(), MAKERS), out, progress=False, **options)
    return tree(out)


def test_equal_work_gives_equal_bytes_with_one_worker_and_with_two(tmp_path: Path) -> None:
    alone = make(tmp_path / "a")

    shared = make(tmp_path / "b", spread=Processes(2))

    assert alone == shared
    assert "image/squares-000000-0.jpg" in alone


def test_another_seed_asks_other_questions_about_the_same_pictures(tmp_path: Path) -> None:
    first = make(tmp_path / "a")

    second = make(tmp_path / "b", Work(Squares(), MAKERS, seed=1))

    assert first["image/squares-000000-0.jpg"] == second["image/squares-000000-0.jpg"]
    assert first["reasoning_template_qa.json"] != second["reasoning_template_qa.json"]


def test_questions_of_a_kind_do_not_depend_on_the_other_kinds(tmp_path: Path) -> None:
    together = json.loads(make(tmp_path / "a")["chain_qa.json"])

    alone = json.loads(
        make(tmp_path / "b", Work(Squares(), (Points(Kind.CHAIN),)))["chain_qa.json"]
    )

    def by_id(records: list[dict]) -> list[dict]:
        return sorted(records, key=lambda record: record["id"])

    assert by_id(together) == by_id(alone)


@pytest.mark.parametrize("form", list(Form))
def test_a_run_killed_in_the_middle_ends_with_the_bytes_of_an_unbroken_one(
    tmp_path: Path, form: Form
) -> None:
    unbroken = make(tmp_path / "a", form=form)
    work, out = Work(Squares(), MAKERS), tmp_path / "b"

    class Killed(BaseException):
        pass

    def stopping(work: Work, indices: object) -> object:
        for number, index in enumerate(indices):
            if number == 3:
                raise Killed
            yield index, work.part(index).encode()

    with pytest.raises(Killed):
        run(work, out, form=form, spread=stopping, progress=False)
    half = out / "parts" / "000000" / "000000007.tar.unfinished"
    half.write_bytes(b"half a part")

    assert make(out, form=form) == unbroken
    # Nothing is made anew in a finished folder.
    assert make(out, form=form, spread=stopping) == unbroken


@pytest.mark.slow
def test_a_run_killed_by_signal_nine_at_any_time_goes_on(tmp_path: Path) -> None:
    slow = replace(Squares(), count=6, seconds=0.05)
    unbroken = make(tmp_path / "a", Work(slow, MAKERS))
    out = tmp_path / "b"
    script = (
        "from factory_fakes import *\n"
        "from roborefer_vlm.data.runner import *\n"
        "from roborefer_vlm.data.examples import Kind\n"
        "work = Work(Squares(count=6, seconds=0.05), (Points(), Points(Kind.CHAIN), YesNo()))\n"
        f"run(work, {str(out)!r}, progress=False)\n"
    )
    kills = 0
    for parts in (1, 3, 5):
        program = subprocess.Popen(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
        )
        deadline = time.monotonic() + 30
        while program.poll() is None and time.monotonic() < deadline:
            if len(list(out.rglob("parts/*/*.tar"))) >= parts:
                program.send_signal(signal.SIGKILL)
                kills += 1
                break
        program.wait(30)

    assert make(out, Work(slow, MAKERS)) == unbroken
    assert kills >= 1


def test_a_shot_its_source_cannot_make_is_counted_with_its_reason(tmp_path: Path) -> None:
    tally = run(Work(Squares(), MAKERS), tmp_path, progress=False)

    assert tally.counts["shots"] == {"made": 7, "failed": 1}
    assert tally.counts["errors"] == {"scan N has no depth": 1}


def test_a_mistake_of_a_maker_stops_the_run_and_names_the_shot(tmp_path: Path) -> None:
    for workers in (1, 2):
        with pytest.raises(
            GenerationError, match=r"(?s)shot \d of source 'squares'.*mistake in squares-00000"
        ):
            run(Work(Squares(), (Failing(),)), tmp_path, spread=Processes(workers), progress=False)


def test_a_kind_that_needs_what_the_source_does_not_vouch_for_is_not_asked() -> None:
    picky = YesNo(needs=frozenset({Fact.FRONTS, Fact.COLORS}))

    part = Work(Squares(), (picky,)).part(0)

    assert part.tally.counts["skipped"] == {"predicate/fronts": 1}
    assert not part.records


def test_equal_questions_about_a_view_are_asked_once() -> None:
    part = Work(Squares(), (YesNo(), YesNo())).part(0)

    assert part.tally.counts["examples"]["predicate"] == 4
    assert part.tally.counts["rejected"]["predicate/asked already"] == 4


def test_wishes_limit_each_kind() -> None:
    part = Work(Squares(), MAKERS, wishes={Kind.CHAIN: Wish(most=1)}).part(0)

    assert part.tally.counts["examples"] == {"location": 4, "chain": 1, "predicate": 4}


def test_an_example_outside_the_picture_is_a_mistake() -> None:
    class Wrong(Points):
        def make(self, shot, rng, wish):
            for made in super().make(shot, rng, wish):
                yield replace(made, point=(1.0, 0.5)) if hasattr(made, "point") else made

    with pytest.raises(GenerationError, match="outside the picture"):
        Work(Squares(), (Wrong(),)).part(0)


def test_facts_that_are_no_json_values_are_a_mistake() -> None:
    class Wrong(Points):
        def make(self, shot, rng, wish):
            for made in super().make(shot, rng, wish):
                if hasattr(made, "facts"):
                    yield replace(made, facts={"value": np.float32(1)})

    work = Work(Squares(), (Wrong(),))

    with pytest.raises(TypeError):
        work.part(0).encode()


def test_a_folder_of_another_run_or_of_something_else_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "a")

    with pytest.raises(ConfigurationError, match="seed 0, not 5"):
        run(Work(Squares(), MAKERS, seed=5), tmp_path / "a", progress=False)
    with pytest.raises(ConfigurationError, match="settings"):
        run(Work(Squares(), MAKERS), tmp_path / "a", settings={"dark": True}, progress=False)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"no run\.json"):
        run(Work(Squares(), MAKERS), tmp_path / "b", progress=False)


def test_a_broken_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "000000001.tar").write_bytes(b"no archive")

    with pytest.raises(GenerationError, match=r"000000001\.tar"):
        Part.read(tmp_path / "000000001.tar")


def test_a_part_reads_back_as_it_was(tmp_path: Path) -> None:
    part = Work(Squares(), MAKERS).part(0)
    (tmp_path / "part.tar").write_bytes(part.encode())

    back = Part.read(tmp_path / "part.tar")

    assert back.encode() == part.encode()
    assert back.tally.to_json() == part.tally.to_json()


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="workers is 0"):
        Processes(0)
    with pytest.raises(ConfigurationError, match="most_turns is 0"):
        Work(Squares(), MAKERS, most_turns=0)
    with pytest.raises(ConfigurationError, match="no maker"):
        Work(Squares(), ())


def test_a_cluster_without_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(ConfigurationError, match=r"roborefer-vlm\[cluster\]"):
        Cluster()


@pytest.mark.slow
def test_a_cluster_gives_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    alone = make(tmp_path / "a")

    assert make(tmp_path / "b", spread=Cluster("local")) == alone
    with pytest.raises(GenerationError, match="mistake in squares"):
        run(Work(Squares(), (Failing(),)), tmp_path / "c", spread=Cluster("local"), progress=False)
