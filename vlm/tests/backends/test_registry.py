# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines are found by name, mistakes are named, and nothing heavy is imported early."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from roborefer_vlm.backends import registry
from roborefer_vlm.backends.registry import EngineSpec, create_engine, engine_names
from roborefer_vlm.exceptions import CheckpointError, ConfigurationError, ReferringError

CHECKPOINT = Path(__file__).parents[1] / "golden" / "roborefer_tiny" / "checkpoints" / "resize"
URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("scene_graph", EngineSpec("scene_graph")),
        ("scene_graph?a=1", EngineSpec("scene_graph", "", {"a": "1"})),
        (
            "roborefer:/models/RoboRefer-2B-SFT?dtype=bf16&device=cuda",
            EngineSpec(
                "roborefer", "/models/RoboRefer-2B-SFT", {"dtype": "bf16", "device": "cuda"}
            ),
        ),
        (
            "roborefer:here?key_file=a+b%20c",
            EngineSpec("roborefer", "here", {"key_file": "a+b c"}),
        ),
        ("roborefer:Zhoues/RoboRefer-2B-SFT", EngineSpec("roborefer", "Zhoues/RoboRefer-2B-SFT")),
        (
            "openai:http://127.0.0.1:8000/v1#Qwen/Qwen3-VL-8B?family=qwen3-vl",
            EngineSpec(
                "openai", "http://127.0.0.1:8000/v1#Qwen/Qwen3-VL-8B", {"family": "qwen3-vl"}
            ),
        ),
    ],
)
def test_spec_strings_are_taken_apart(text: str, spec: EngineSpec) -> None:
    assert EngineSpec.parse(text) == spec


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("gpt", "'gpt' is unknown; known engines: scene_graph, roborefer, openai"),
        ("", "'' is unknown"),
        ("scene_graph:file", "has no checkpoint"),
        ("scene_graph?colour=red", "has no option colour; it has segmenter, detector"),
        ("scene_graph?segmenter=x", "an object only"),
        (
            "scene_graph?threshold=0.3",
            "option threshold of engine 'scene_graph' is for a detector",
        ),
        ("scene_graph?mask_checkpoint=sam&device=cuda", "device, mask_checkpoint .* detector="),
        ("scene_graph?namer=tabletop&threshold=0.3", "option threshold"),
        ("roborefer", "needs a checkpoint"),
        ("openai:http://127.0.0.1/v1", "openai:URL#MODEL"),
        ("openai:#model", "openai:URL#MODEL"),
        ("openai:ftp://host/v1#model", "is no address"),
        (f"openai:{URL}#m?family=unknown", "known families: roborefer"),
        (f"openai:{URL}#m?colour=red", "has no option colour; it has key_env"),
        (f"openai:{URL}#m?retries=many", "option retries .* 'many'"),
        (f"openai:{URL}#m?depth=3d", "depth is '3d'"),
        (f"openai:{URL}#m?append_suffix=perhaps", "true or false"),
        (f"openai:{URL}#m?retries", "of the form"),
        (f"openai:{URL}#m?retries=1&retries=2", "stands twice"),
    ],
)
def test_what_cannot_work_is_named(text: str, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        create_engine(text)


@pytest.mark.parametrize("option", ["dtype=int4", "device=abacus", "max_batch=x", "colour=red"])
def test_wrong_options_of_a_checkpoint_are_named(option: str) -> None:
    pytest.importorskip("torch", reason="the network needs torch")

    with pytest.raises(ConfigurationError, match=option.partition("=")[0]):
        create_engine(
            f"roborefer:{CHECKPOINT}?device=cpu&{option}"
            if "device" not in option
            else f"roborefer:{CHECKPOINT}?{option}"
        )


def test_detector_is_loaded_from_where_the_spec_says(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="detectors need transformers")

    with pytest.raises(CheckpointError, match="no zero-shot detector"):
        create_engine(f"scene_graph?detector={tmp_path}&threshold=0.3")


def test_missing_checkpoint_is_a_typed_error(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the network needs torch")

    with pytest.raises(ReferringError, match="nowhere"):
        create_engine(f"roborefer:{tmp_path / 'nowhere'}")


def test_checkpoint_loads_with_options_of_both_kinds() -> None:
    torch = pytest.importorskip("torch", reason="the network needs torch")

    engine = create_engine(f"roborefer:{CHECKPOINT}?dtype=bf16&max_batch=3", device="cpu")

    assert engine.info.model == "resize"
    assert engine.info.max_batch == 3
    assert engine._network().dtype is torch.bfloat16  # type: ignore[attr-defined]
    engine.close()


def test_endpoint_is_made_without_asking_it() -> None:
    engine = create_engine(f"openai:{URL}#Qwen/Qwen3-VL-8B?depth=picture&parallel=2")

    info = engine.info
    engine.close()

    assert (info.name, info.model, info.uses_depth, info.max_batch) == (
        "openai", "Qwen/Qwen3-VL-8B", True, 2
    )  # fmt: skip


def test_rules_need_no_checkpoint() -> None:
    engine = create_engine("scene_graph")

    assert engine.info.name == "scene_graph"
    assert engine.info.needs_depth
    engine.close()


def test_other_packages_can_add_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    point = metadata.EntryPoint("mine", "some.module:factory", registry.ENTRY_POINTS)

    def entry_points(*, group: str, name: str | None = None) -> tuple[metadata.EntryPoint, ...]:
        return (point,) if group == registry.ENTRY_POINTS and name in (None, "mine") else ()

    def load(self: metadata.EntryPoint) -> Any:
        return lambda target, options: made.append((target, options)) or "an engine"

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    monkeypatch.setattr(metadata.EntryPoint, "load", load)

    assert create_engine("mine:weights?a=1", b=2) == "an engine"  # type: ignore[comparison-overlap]
    assert made == [("weights", {"a": "1", "b": 2})]
    assert engine_names() == ("scene_graph", "roborefer", "openai", "mine")


def test_engine_of_another_package_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("mine", "no_such_module:factory", registry.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda **_: (point,))

    with pytest.raises(ConfigurationError, match=r"mine.*no_such_module"):
        create_engine("mine")


@pytest.mark.parametrize("module", ["registry", "openai", "chat", "answers", "streaming"])
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, roborefer_vlm.backends.{module};"
        "heavy = {'torch', 'transformers', 'fastapi'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
