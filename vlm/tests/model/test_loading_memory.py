# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of loading the true 2B shape from sharded bfloat16 files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from roborefer_vlm.model.checkpoint import _distribute, build_without_weights
from roborefer_vlm.model.configuration import LLM
from roborefer_vlm.model.shapes import published_vocabulary, roborefer_2b

# Reports the most memory that was ever resident, pages of mapped files included: before loading
# and altogether; and the size of the weights.
LOAD = """
import sys
import torch
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.shapes import published_vocabulary

def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

torch.set_num_threads(1)
before = peak_kib()
dtype = getattr(torch, sys.argv[2])
model = load_checkpoint(sys.argv[1], dtype=dtype, vocabulary=published_vocabulary())
weights = sum(p.numel() * p.itemsize for p in model.parameters())
print(before * 1024, peak_kib() * 1024, weights)
"""


def write_fake_checkpoint(directory: Path, largest_file: int) -> int:
    """Write the layout of the 2B with files of the true size that take no room on disk.

    Returns:
        Bytes of all weights.
    """
    config = roborefer_2b()
    model = build_without_weights(config, published_vocabulary())
    total = 0
    for part, content in config.files.items():
        (directory / part).mkdir(parents=True, exist_ok=True)
        (directory / part / "config.json").write_text(json.dumps(content))
        if not part:
            continue
        shapes = {name: list(p.shape) for name, p in model.get_submodule(part).named_parameters()}
        sizes = {name: 2 * p.numel() for name, p in model.get_submodule(part).named_parameters()}
        total += sum(sizes.values())
        files = _distribute(sizes, largest_file)
        places = {}
        for number, names in enumerate(files, start=1):
            file = f"model-{number:05d}-of-{len(files):05d}.safetensors"
            if len(files) == 1:
                file = "model.safetensors"
            places |= dict.fromkeys(names, file)
            header, end = {}, 0
            for name in names:
                start, end = end, end + sizes[name]
                header[name] = {
                    "dtype": "BF16",
                    "shape": shapes[name],
                    "data_offsets": [start, end],
                }
            text = json.dumps(header).encode()
            with (directory / part / file).open("wb") as out:
                out.write(len(text).to_bytes(8, "little") + text)
                out.truncate(8 + len(text) + end)
        if len(files) > 1:
            index = json.dumps({"weight_map": places})
            (directory / part / "model.safetensors.index.json").write_text(index)
    return total


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from proc")
def test_sharded_2b_loads_within_a_fifth_more_than_its_size(tmp_path):
    directory = tmp_path / "RoboRefer-2B"
    try:
        size = write_fake_checkpoint(directory, largest_file=1_000_000_000)
        assert len(list((directory / LLM).glob("*.safetensors"))) > 2

        done = subprocess.run(
            [sys.executable, "-c", LOAD, str(directory), "bfloat16"],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)

    before, peak, weights = map(int, done.stdout.split())
    report = f"{size / 1e9:.2f} GB of weights, peak {peak / 1e9:.2f} GB, {before / 1e9:.2f} before"
    print(report)
    assert weights == size, report
    # The interpreter and the libraries are counted too.
    assert peak <= 1.2 * size, report
