# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest
from roborefer_vlm.cli import data
from roborefer_vlm.cli.main import main
from roborefer_vlm.data import questions
from roborefer_vlm.data.examples import Kind

sys.path.insert(1, str(Path(__file__).parents[1] / "data"))

from factory_fakes import Points, Squares, YesNo


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        data, "_source", lambda args: (Squares(args.scenes or 5, args.views), {"of": "tests"})
    )
    monkeypatch.setattr(questions, "makers_of", lambda kinds, form: (Points(), YesNo()))


@pytest.mark.usefixtures("squares")
def test_a_data_set_is_made_reported_drawn_and_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("a", "0"), ("b", "1")):
        arguments = ["--scenes", "5", "--out", str(tmp_path / name), "--seed", seed]
        assert main(["data", "make", "--source", "fake", "--workers", "1", *arguments]) == 0
    assert "32 questions from 5 shots (1 failed)" in capsys.readouterr().out

    assert main(["data", "report", str(tmp_path / "a")]) == 0
    assert "## Questions by kind" in capsys.readouterr().out

    sheet = tmp_path / "sheet.png"
    assert main(["data", "sheet", str(tmp_path / "a"), "--out", str(sheet), "--count", "4"]) == 0
    assert cv2.imread(str(sheet)) is not None

    both = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main(["data", "merge", *both, "--out", str(tmp_path / "all")]) == 0
    assert "64 questions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["make", "--source", "moon", "--out", "x"], "source 'moon' is unknown"),
        (["make", "--source", "sim", "--out", "x"], "how many scenes"),
        (["make", "--source", "ca1m:none", "--out", "x"], "none is no folder"),
        (["make", "--source", "web:none", "--out", "x"], "none holds no photograph"),
        (["make", "--source", "web:none", "--out", "x", "--detector", "d"], "model for masks"),
        (["make", "--source", "web:x", "--out", "x", "--held-out"], "holds no scenes out"),
        (["make", "--source", "sim", "--scenes", "0", "--out", "x"], "0 scenes"),
        (["make", "--source", "sim", "--scenes", "1", "--out", "x", "--kinds", "poem"], "poem"),
        (["make", "--source", "sim", "--scenes", "1", "--out", "x", "--most", "0"], "--most is 0"),
        (["make", "--source", "sim", "--scenes", "1", "--out", "x", "--views", "99"], "views 99"),
        (["make", "--source", "sim", "--scenes", "1", "--out", "x", "--workers", "0"], "workers"),
        (["report", "nowhere"], "no finished data set"),
        (["sheet", "nowhere", "--out", "sheet.gif"], "sheet.gif"),
        (["sheet", "nowhere", "--out", "sheet.png"], "no finished data set"),
        (["merge", "nowhere", "--out", "x"], "no finished data set"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["data", *arguments]) == 2

    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("roborefer data: ")
    assert not list(tmp_path.iterdir())


def test_every_kind_has_a_maker_of_that_kind() -> None:
    makers = questions.makers_of()

    assert [maker.kind for maker in makers] == list(Kind)
