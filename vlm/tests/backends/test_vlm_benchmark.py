# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the referring model runs, and writes what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "vlm.py"
PROMISED = {
    "cpu_preprocess_ms",
    "cpu_encode_ms",
    "cpu_prefill_ms",
    "cpu_decode_ms_per_token",
    "cpu_tokens_per_s",
    "cpu_batch8_speedup",
    "cpu_query_speedup",
}


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="would measure the GPU for minutes")
def test_quick_run_writes_all_figures(tmp_path: Path) -> None:
    if not SCRIPT.is_file():
        pytest.skip("the benchmarks lie beside vlm/ in the repository, not in the package")
    found = tmp_path / "vlm.json"

    subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--json", found],
        check=True,
        capture_output=True,
        timeout=110,
    )

    figures = json.loads(found.read_text())
    conditions = figures.pop("conditions")
    assert figures.keys() >= PROMISED
    assert all(value > 0 for value in figures.values())
    assert figures["cpu_same_tokens_percent"] == 100
    assert not any(name.startswith("gpu_") for name in figures)
    assert conditions["quick"] is True
    assert "no gpu figures" in conditions["gpu"]
