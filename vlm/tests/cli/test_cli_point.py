# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import socket
from pathlib import Path

import benchmark_layouts as lay
import numpy as np
import pytest
from cli_fakes import FakeEngine
from PIL import Image
from roborefer_vlm.backends import registry
from roborefer_vlm.cli.main import main
from roborefer_vlm.drawing import POINT
from roborefer_vlm.evaluation.benchmarks import load_benchmark
from roborefer_vlm.exceptions import CheckpointError, EngineError, UnavailableError
from roborefer_vlm.picture_files import Source, read_gray, read_rgb
from roborefer_vlm.server.wire import answer_from_json
from roborefer_vlm.types import Answer, Outcome, Pixel, ReferredPoint

SCENES = Path(__file__).parents[3].parent / "shared/data/real_rgbd"


@pytest.fixture
def scene(tmp_path):
    return lay.own_raw(tmp_path) / "scenes/desk"


@pytest.fixture
def engine(monkeypatch):
    """Puts an engine where the registry would make one, and tells what spec was asked for."""
    specs = []

    def use(fake: FakeEngine) -> list[str]:
        def create(spec):
            specs.append(spec)
            return fake

        monkeypatch.setattr(registry, "create_engine", create)
        return specs

    return use


def test_answer_is_printed_as_the_json_that_the_server_sends(scene, engine, capsys):
    fake = FakeEngine()
    specs = engine(fake)

    code = main(["point", str(scene / "rgb.png"), "the mug", "--engine", "roborefer:dir"])

    printed = json.loads(capsys.readouterr().out)
    assert code == 0
    assert specs == ["roborefer:dir"]
    assert answer_from_json(printed) == lay.HIT
    assert printed["image"] == {"width": lay.WIDTH, "height": lay.HEIGHT}
    assert fake.closed


def test_json_option_prints_one_line(scene, engine, capsys):
    engine(FakeEngine())

    main(["point", str(scene / "rgb.png"), "the mug", "--json"])

    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("name", ["answer.png", "answer.jpg"])
def test_annotated_picture_is_written_with_the_point(scene, engine, tmp_path, name):
    engine(FakeEngine())
    out = tmp_path / name

    code = main(["point", str(scene / "rgb.png"), "the mug", "--out", str(out)])

    drawn = read_rgb(Source.of(out)).astype(int)
    factor = drawn.shape[1] // lay.WIDTH
    point = lay.HIT.points[0].pixel
    u, v = (round((x + 0.5) * factor - 0.5) for x in (point.u, point.v))
    assert code == 0
    assert np.abs(drawn[v, u] - POINT).max() < (1 if name.endswith("png") else 90)


def test_depth_camera_and_things_reach_the_engine(scene, engine):
    fake = FakeEngine(needs_depth=True)
    engine(fake)

    known = {"depth": "depth.png", "intrinsics": "camera.json", "objects": "instances.json"}
    options = [word for name, file in known.items() for word in (f"--{name}", str(scene / file))]

    code = main(["point", str(scene / "rgb.png"), "the mug", "--samples", "3", *options])

    (query,) = fake.queries
    assert code == 0
    assert query.depth_m.max() == pytest.approx(0.8)
    assert query.intrinsics.fx == 60
    assert [thing.name for thing in query.objects] == ["soup can", "mug"]
    assert query.sampling.samples == 3


def test_intrinsics_may_be_text_and_the_stated_scale_wins(scene, engine):
    fake = FakeEngine()
    engine(fake)

    camera = '{"fx": 50, "fy": 50, "cx": 31.5, "cy": 23.5, "depth_scale_m": 0.01}'
    options = ["--depth", str(scene / "depth.png"), "--depth-scale", "0.0001"]

    main(["point", str(scene / "rgb.png"), "the mug", "--intrinsics", camera, *options])

    (query,) = fake.queries
    assert (query.intrinsics.width, query.intrinsics.fx) == (lay.WIDTH, 50)
    assert query.depth_m.max() == pytest.approx(0.08)


def two(outcome: Outcome) -> Answer:
    candidates = (ReferredPoint(Pixel(5, 5), 0.5, "a"), ReferredPoint(Pixel(9, 9), 0.5, "b"))
    return Answer(outcome, candidates=candidates, text="Two fit.")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(Outcome.TEXT, text="yes"), 0),
        (Answer(Outcome.NOTHING_FOUND, text="no mug"), 3),
        (two(Outcome.AMBIGUOUS), 3),
        (Answer(Outcome.NOT_UNDERSTOOD, text="what?"), 3),
        (Answer(Outcome.INVALID_ANSWER, text="((("), 3),
    ],
)
def test_exit_code_tells_whether_there_is_one_answer(
    scene, engine, capsys, tmp_path, answer, code
):
    engine(FakeEngine(lambda _: answer))
    out = tmp_path / "answer.png"

    found = main(["point", str(scene / "rgb.png"), "the mug", "--out", str(out)])

    assert found == code
    assert json.loads(capsys.readouterr().out)["outcome"] == answer.outcome.value
    assert out.is_file()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("down"), 4),
        (EngineError("broke"), 5),
        (CheckpointError("no weights"), 2),
    ],
)
def test_errors_are_one_sentence_and_an_exit_code(scene, engine, capsys, error, code):
    def answer(_):
        raise error

    engine(FakeEngine(answer))

    assert main(["point", str(scene / "rgb.png"), "the mug"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"roborefer point: {error}\n"


def test_default_engine_is_the_one_without_weights_and_missing_depth_names_the_next_step(
    scene, engine, capsys
):
    specs = engine(FakeEngine(needs_depth=True))

    code = main(["point", str(scene / "rgb.png"), "the mug"])

    message = capsys.readouterr().err
    assert (code, specs) == (2, ["scene_graph"])
    for words in ("--depth and --intrinsics", "--engine roborefer:DIRECTORY", "--url"):
        assert words in message


def test_deadline_ends_an_engine_that_hangs(scene, engine, capsys):
    fake = FakeEngine(hangs=True)
    engine(fake)

    code = main(["point", str(scene / "rgb.png"), "the mug", "--deadline", "0.05"])

    assert code == 4
    assert "no answer within 0.05 s" in capsys.readouterr().err
    assert fake.closed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--depth-scale", "0.001"], "without --depth"),
        (["--depth", "DEPTH"], "has no unit"),
        (["--depth", "DEPTH", "--depth-scale", "nan"], "more than 0"),
        (["--depth", "DEPTH", "--depth-scale", "-1"], "more than 0"),
        (["--depth", "none.png", "--depth-scale", "1"], "none.png: No such file"),
        (["--intrinsics", "{"], "is no JSON"),
        (["--intrinsics", "{}"], "field 'fx'"),
        (["--intrinsics", '{"fx":' + "[" * 100_000], "is no JSON"),
        (["--intrinsics", '{"fx":' + "9" * 400 + "}"], "a finite number is needed"),
        (["--intrinsics", '{"fx":' + "9" * 9000 + "}"], "is no JSON"),
        (["--intrinsics", "none.json"], "none.json"),
        (["--objects", "none.png"], "none.json"),
        (["--samples", "0"], "samples is 0"),
        (["--deadline", "0"], "--deadline"),
        (["--token-file", "x"], "--url"),
        (["--out", "none/answer.png"], "there is no directory none"),
        (["--out", "."], "it is a directory"),
    ],
)
def test_bad_input_is_refused_in_words_before_anyone_is_asked(
    scene, engine, capsys, options, words
):
    specs = engine(FakeEngine())
    options = [str(scene / "depth.png") if option == "DEPTH" else option for option in options]

    code = main(["point", str(scene / "rgb.png"), "the mug", *options])

    assert code == 2
    assert words in capsys.readouterr().err
    assert not specs


def test_objects_that_mark_nothing_are_not_looked_for_in_silence(scene, engine, capsys):
    engine(FakeEngine())
    ids = scene / "instances.png"
    Image.fromarray(np.zeros((lay.HEIGHT, lay.WIDTH), np.uint8)).save(ids)

    assert main(["point", str(scene / "rgb.png"), "the mug", "--objects", str(ids)]) == 2
    assert "marks none of the things" in capsys.readouterr().err


def test_deadline_beyond_what_a_clock_counts_is_as_good_as_none(scene, engine, capsys):
    engine(FakeEngine())

    assert main(["point", str(scene / "rgb.png"), "the mug", "--deadline", "1e300"]) == 0
    assert capsys.readouterr().err == ""


def test_server_that_is_not_there_is_unavailable(scene, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    code = main(["point", str(scene / "rgb.png"), "the mug", "--url", url, "--deadline", "5"])

    assert code == 4
    assert capsys.readouterr().err.startswith("roborefer point: ")


def test_picture_that_is_none_is_refused(tmp_path, engine, capsys):
    engine(FakeEngine())
    (tmp_path / "text.png").write_text("hello")

    assert main(["point", str(tmp_path / "text.png"), "the mug"]) == 2
    assert "text.png" in capsys.readouterr().err


@pytest.mark.skipif(not SCENES.is_dir(), reason=f"no real scenes at {SCENES}")
def test_real_scene_is_answered_without_weights_and_the_picture_shows_it(tmp_path, capsys):
    (question, *_) = load_benchmark("own", SCENES, parts=["location"]).questions
    scene = SCENES / "scenes" / question.scene
    out = tmp_path / "answer.png"
    known = {"depth": "depth.png", "intrinsics": "camera.json", "objects": "instances.png"}
    options = [word for name, file in known.items() for word in (f"--{name}", str(scene / file))]

    code = main(["point", str(scene / "rgb.png"), question.prompt, "--out", str(out), *options])

    answer = answer_from_json(json.loads(capsys.readouterr().out))
    pixel = answer.points[0].pixel
    drawn = read_rgb(Source.of(out))
    assert code == 0
    assert read_gray(question.truth.mask)[round(pixel.v), round(pixel.u)]
    assert tuple(drawn[round(pixel.v), round(pixel.u)]) == POINT
