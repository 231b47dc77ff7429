# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""New small networks: in the published layout, read by the same code, small enough to ship."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from roborefer_vlm.backends.roborefer import RoboReferEngine
from roborefer_vlm.cli.main import main
from roborefer_vlm.exceptions import CheckpointError, ConfigurationError
from roborefer_vlm.model.checkpoint import build_without_weights, load_checkpoint
from roborefer_vlm.model.configuration import LLM, RoboReferConfig
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.model.tokenizer import Tokenizer
from roborefer_vlm.model.vocabulary import Vocabulary
from roborefer_vlm.training.small import (
    SHAPES,
    SmallShape,
    configurations,
    learn_tokenizer,
    new_small,
)
from roborefer_vlm.types import Query

ANSWER = (
    "<think> [Position] [the red mug]: [(0.245, 0.147)]\n[Size] [the red mug]: 0.12 </think>"
    "<answer>[(0.412, 0.520)]</answer>"
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("small") / "toy"
    new_small(directory, SHAPES["toy"], texts=["Point to the red mug."] * 5)
    return directory


@pytest.fixture(scope="module")
def tokenizer(toy: Path) -> Tokenizer:
    return Tokenizer.from_directory(toy / LLM, enable_depth=True)


def test_layout_is_the_published_one(toy: Path) -> None:
    config = RoboReferConfig.from_directory(toy)

    assert sorted(path.name for path in toy.iterdir()) == sorted(["config.json", *config.parts])
    assert len(config.parts) == 5
    assert config.enable_depth
    assert all((toy / part / "model.safetensors").is_file() for part in config.parts)


def test_engine_answers_with_it_by_picture_and_depth(toy: Path) -> None:
    engine = RoboReferEngine.from_checkpoint(toy, dtype=torch.float32)
    picture = np.full((48, 64, 3), 90, np.uint8)
    depth = np.linspace(0.5, 1.5, 48 * 64, dtype=np.float32).reshape(48, 64)

    for depth_m in (None, depth):
        answer = engine.refer(
            Query(picture, "Point to the red mug.", depth_m=depth_m, max_new_tokens=4)
        )
        assert answer.engine.startswith("roborefer")


def test_text_comes_back_from_the_tokenizer(tokenizer: Tokenizer) -> None:
    for text in (ANSWER, "Zürich \u2713 <image> <|im_end|>\n\n  x"):
        assert tokenizer.decode(tokenizer.encode_text(text)) == text


def test_every_digit_is_a_token_of_its_own(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.encode_text(f"[(0.{number:03d}, 0.520)]") for number in range(1000)]

    assert {len(one) for one in ids} == {14}
    # Near places begin alike, and differ in their last digit only.
    assert sum(a != b for a, b in zip(ids[244], ids[245], strict=True)) == 1


def test_answers_take_few_tokens(tokenizer: Tokenizer) -> None:
    # 15 digits, 5 points, and about one token per word or sign.
    assert len(tokenizer.encode_text(ANSWER)) < 64


def test_reading_it_again_gives_the_same_ids(toy: Path, tmp_path: Path) -> None:
    first = Tokenizer.from_directory(toy / LLM, enable_depth=True)
    first.save(tmp_path)

    again = Tokenizer.from_directory(tmp_path, enable_depth=True)

    assert again.size == first.size
    assert again.encode_text(ANSWER) == first.encode_text(ANSWER)
    assert again.depth_id == first.depth_id


def test_same_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> torch.Tensor:
        new_small(tmp_path / name, SHAPES["toy"], seed=seed)
        network = load_checkpoint(tmp_path / name)
        return torch.cat([parameter.flatten() for parameter in network.parameters()])

    first = weights("a", 1)

    assert torch.equal(first, weights("b", 1))
    assert not torch.equal(first, weights("c", 2))


def test_new_towers_know_which_patches_are_neighbours(toy: Path) -> None:
    network = load_checkpoint(toy)
    for tower in (network.vision_tower, network.depth_tower):
        table = tower.vision_model.embeddings.position_embedding.weight.float()
        grid = tower.config.grid
        apart = torch.cdist(table, table).fill_diagonal_(float("inf"))
        for place, nearest in enumerate(apart.argmin(dim=1).tolist()):
            row, column = divmod(place, grid)
            other_row, other_column = divmod(nearest, grid)
            assert abs(row - other_row) + abs(column - other_column) == 1


def test_the_small_one_is_below_60_mb() -> None:
    tokenizer = learn_tokenizer(["Point to the red mug."], 300)
    shape = SmallShape()
    config = RoboReferConfig.from_files(configurations(shape, tokenizer))
    network = build_without_weights(config, Vocabulary.from_tokenizer(tokenizer, config))
    known = network.llm.model.embed_tokens.weight
    missing = (shape.tokens + 10 - len(known)) * known.shape[1]

    count = sum(parameter.numel() for parameter in network.parameters()) + missing

    assert 2 * count < 60e6


def test_conversation_reads_as_in_training(toy: Path) -> None:
    processor = Processor.from_checkpoint(toy)

    found = processor.prepare([np.zeros((480, 640, 3), np.uint8)], [], "Point.")

    text = processor.tokenizer.decode(found.input_ids.tolist())
    assert "You are a helpful assistant" in text
    assert found.image_tiles.shape == (1, 3, 112, 112)


def test_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all my work", encoding="utf-8")

    with pytest.raises(CheckpointError, match="not empty"):
        new_small(tmp_path, SHAPES["toy"])


@pytest.mark.parametrize(
    "values", [{"tokens": 100}, {"width": 100}, {"tower_width": 1}, {"layers": 0}]
)
def test_shape_that_cannot_be_built_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        SmallShape(**values)


def test_command_learns_the_tokenizer_from_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "records.json"
    turns = [{"from": "human", "value": "zyzzyva " * 9}, {"from": "gpt", "value": "[(0.1, 0.2)]"}]
    records.write_text(json.dumps([{"conversations": turns}] * 9), encoding="utf-8")

    code = main(["new", str(tmp_path / "net"), "--shape", "toy", "--records", str(records)])

    assert code == 0
    assert "million weights" in capsys.readouterr().out
    tokenizer = Tokenizer.from_directory(tmp_path / "net" / LLM, enable_depth=True)
    assert len(tokenizer.encode_text(" zyzzyva")) == 1
