# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_fakes import FakeEngine
from roborefer_vlm.cli.checks import machine
from roborefer_vlm.cli.checks.check import Check, State
from roborefer_vlm.cli.checks.packages import check_packages, check_python, in_range
from roborefer_vlm.cli.checks.weights import check_checkpoint
from roborefer_vlm.cli.doctor import _table
from roborefer_vlm.cli.main import main

GOLDEN = Path(__file__).parents[1] / "golden/roborefer_tiny/checkpoints"


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("2.11", ">=2.11,<3", True),
        ("2.9.1", ">=2.11,<3", False),
        ("3.0.0", ">=2.11,<3", False),
        ("2.13.0+cu130", ">=2.11,<3", True),
        ("0.0.18", ">=0.0.18,<1", True),
        ("5.0rc1", ">=5,<6", True),
        ("1.2", "", True),
        ("1.2", "==1.2.0", True),
    ],
)
def test_versions_are_compared_number_by_number(version, bounds, fits):
    assert in_range(version, bounds) is fits


def test_bound_of_another_form_is_refused():
    with pytest.raises(ValueError, match="~=1"):
        in_range("1.2", "~=1.2")


def test_python_outside_the_range_is_bad():
    assert check_python((3, 12, 1)).state is State.GOOD
    assert check_python((3, 10, 9)).state is State.BAD
    assert check_python((3, 14, 0)).state is State.BAD


def test_packages_of_this_environment_are_all_looked_at():
    names = {check.what for check in check_packages()}

    assert {"numpy", "pillow", "torch [model]", "uvicorn [server]"} <= names
    assert not any("pytest" in name for name in names)


def test_missing_package_of_an_extra_is_bad_only_when_needed(monkeypatch):
    from importlib import metadata

    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)

    notes = {check.what: check for check in check_packages()}
    needed = {check.what: check for check in check_packages(frozenset({"model"}))}

    assert notes["numpy"].state is State.BAD
    assert notes["torch [model]"].state is State.NOTE
    assert needed["torch [model]"].state is State.BAD
    assert needed["torch [model]"].next_step == "pip install 'roborefer-vlm[model]'"


@pytest.mark.parametrize("name", ["dyn3x3", "s2", "s2mid", "resize", "shared"])
def test_whole_checkpoint_is_good(name):
    (found,) = check_checkpoint(GOLDEN / name)

    assert found.state is State.GOOD


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("config.json", "config.json"),
        ("llm/config.json", "llm/config.json"),
        ("llm/model-00002-of-00002.safetensors", "llm/model-00002-of-00002.safetensors"),
        ("llm/vocab.json llm/tokenizer.json", "llm tokenizer"),
        ("llm/tokenizer_config.json", "llm/tokenizer_config.json"),
        ("vision_tower/preprocessor_config.json", "vision_tower/preprocessor_config.json"),
        ("depth_projector/model.safetensors", "depth_projector/model.safetensors"),
    ],
)
def test_missing_file_is_named(tmp_path, file, words):
    copy = shutil.copytree(GOLDEN / "s2", tmp_path / "s2")
    names = sorted(path.name for path in (copy / "llm").glob("*.safetensors"))
    file = file.replace("model-00002-of-00002.safetensors", names[-1])
    for name in file.split():
        (copy / name).unlink()

    found = list(check_checkpoint(copy))

    words = words.replace("model-00002-of-00002.safetensors", names[-1])
    assert [check.what for check in found] == [words]
    assert found[0].state is State.BAD
    assert "missing" in found[0].found
    assert found[0].next_step


@pytest.mark.parametrize("text", ["[]", "{", '{"a":' + "9" * 9000 + "}", "[" * 100_000])
def test_config_that_is_no_object_is_broken(tmp_path, text):
    copy = shutil.copytree(GOLDEN / "dyn3x3", tmp_path / "dyn3x3")
    (copy / "config.json").write_text(text)

    (found,) = check_checkpoint(copy)

    assert (found.what, found.state) == ("config.json", State.BAD)


def test_all_that_is_missing_is_named_at_once(tmp_path):
    copy = shutil.copytree(GOLDEN / "dyn3x3", tmp_path / "dyn3x3")
    shutil.rmtree(copy / "depth_tower")
    (copy / "mm_projector/model.safetensors").unlink()

    names = [check.what for check in check_checkpoint(copy)]

    assert names == ["mm_projector/model.safetensors", "depth_tower"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-100], "its header promises"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\nsize 1\n", "git-lfs"),
        (lambda data: data[:8] + b"x" * (len(data) - 8), "broken header"),
        (lambda data: b"", "no safetensors file"),
    ],
)
def test_damaged_weights_are_told_from_whole_ones(tmp_path, change, words):
    copy = shutil.copytree(GOLDEN / "dyn3x3", tmp_path / "dyn3x3")
    path = copy / "vision_tower/model.safetensors"
    path.write_bytes(change(path.read_bytes()))

    (found,) = check_checkpoint(copy)

    assert (found.what, found.state) == ("vision_tower/model.safetensors", State.BAD)
    assert words in found.found


def test_directory_that_training_wrote_is_entered(tmp_path):
    shutil.copytree(GOLDEN / "dyn3x3", tmp_path / "run/model")

    assert [c.state for c in check_checkpoint(tmp_path / "run")] == [State.GOOD]
    assert [c.state for c in check_checkpoint(tmp_path / "none")] == [State.BAD]


def test_memory_counts_the_weights(tmp_path, monkeypatch):
    info = tmp_path / "meminfo"
    info.write_text("MemTotal: 9 kB\nMemAvailable:    3145728 kB\n")
    assert machine.free_memory(info) == 3 * machine.GIBIBYTE
    assert machine.free_memory(tmp_path / "none") is None
    monkeypatch.setattr(machine, "free_memory", lambda: 3 * machine.GIBIBYTE)

    assert machine.check_memory().state is State.GOOD
    assert machine.check_memory(2 * machine.GIBIBYTE).state is State.BAD


def test_table_is_aligned_and_shows_the_next_step_of_what_is_not_good():
    checks = [
        Check("a", State.GOOD, "fine", "not shown"),
        Check("longer", State.BAD, "word " * 30, "do this"),
        Check("b", State.NOTE, "absent", "perhaps that"),
    ]

    lines = _table(checks, 60).splitlines()

    assert lines[0] == "✓ a       fine"
    assert lines[1].startswith("✗ longer  word")
    assert lines[2].startswith("          word")
    assert lines[-2].endswith("→ do this")
    assert lines[-1] == "– b       absent → perhaps that"
    assert max(map(len, lines)) <= 60


def test_exit_code_tells_whether_something_is_to_be_put_right(tmp_path, monkeypatch, capsys):
    from roborefer_vlm.backends import registry

    monkeypatch.setattr(registry, "create_engine", lambda spec: FakeEngine())

    assert main(["doctor", "--checkpoint", str(GOLDEN / "dyn3x3"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["state"] for row in rows} <= {"good", "note"}
    assert main(["doctor", "--checkpoint", str(tmp_path)]) == 1
    assert "✗ config.json" in capsys.readouterr().out


def test_server_is_asked_for_its_engine():
    pytest.importorskip("fastapi", reason="the server's packages are not installed")
    from roborefer_vlm.cli.checks.reach import check_server
    from roborefer_vlm.server.run import background_server

    with background_server(FakeEngine()) as url:
        up = check_server(url, None)
    down = check_server(url, None)

    assert (up.state, up.found) == (State.GOOD, f"{url}: fake, fake-1, cpu")
    assert down.state is State.BAD
    assert "roborefer serve" in down.next_step
