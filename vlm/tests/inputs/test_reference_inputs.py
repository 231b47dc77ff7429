# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The inputs of every reference case are those of the original implementation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from roborefer_vlm.model.pictures import load_depth, load_picture

NAMES = ("dyn3x3", "s2", "s2mid", "resize", "shared")


def prepare(processor, golden, case):
    images = [load_picture(golden / "images" / name) for name in case["images"]]
    depths = [load_depth(golden / "images" / name) for name in case["depths"]]
    return processor.prepare(images, depths, case["text"])


@pytest.mark.parametrize("name", NAMES)
def test_ids_tiles_and_blocks_equal_the_original(
    name, golden, load_processor, load_cases, tiles_digest
):
    cases = load_cases(name)
    assert len(cases) >= 11
    for case in cases:
        inputs = prepare(load_processor(name), golden, case)

        assert inputs.input_ids.tolist() == case["input_ids"], case["id"]
        for kind in ("image", "depth"):
            tiles = getattr(inputs, f"{kind}_tiles")
            blocks = getattr(inputs, f"{kind}_blocks")
            if kind not in case["media"]:
                assert len(tiles) == len(blocks) == 0
                continue
            wanted = case["media"][kind]
            assert list(tiles.shape) == wanted["shape"], case["id"]
            assert tiles_digest(tiles) == wanted["u8_sha256"], case["id"]
            # Rounding to 8 bits hides the arithmetic of the normalisation; the mean shows it.
            assert tiles.double().mean().item() == wanted["mean"], case["id"]
            assert sum(block.tiles for block in blocks) == len(tiles)
            if case["block_sizes"]:
                assert [[b.rows, b.cols] for b in blocks] == case["block_sizes"][kind]


@pytest.mark.parametrize("name", NAMES)
def test_placeholders_number_as_the_blocks_say(name, golden, load_processor, load_cases):
    processor = load_processor(name)
    for case in load_cases(name):
        inputs = prepare(processor, golden, case)
        ids = inputs.input_ids.tolist()

        images = sum(block.placeholders for block in inputs.image_blocks)
        depths = sum(block.placeholders for block in inputs.depth_blocks)
        assert ids.count(processor.tokenizer.image_id) == images
        assert ids.count(processor.tokenizer.depth_id) == depths


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_decoded_as_by_the_original(name, load_processor, load_cases):
    for case in load_cases(name):
        assert load_processor(name).decode(case["greedy_ids"]) == case["answer"], case["id"]


def test_three_equal_channels_give_what_one_gives(golden, processor, tiles_digest):
    grey = load_depth(golden / "images" / "table_depth.png")
    picture = load_picture(golden / "images" / "table.png")

    one = processor.prepare([picture], [grey], "x")
    three = processor.prepare([picture], [grey[..., None].repeat(3, axis=2)], "x")

    assert (one.depth_tiles == three.depth_tiles).all()


def test_threads_that_share_a_processor_get_what_each_gets_alone(golden, processor, load_cases):
    cases = [case for case in load_cases("dyn3x3") if case["id"] != "gray_long_rgbd"] * 4

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda case: prepare(processor, golden, case), cases))

    for case, inputs in zip(cases, results, strict=True):
        assert inputs.input_ids.tolist() == case["input_ids"]
