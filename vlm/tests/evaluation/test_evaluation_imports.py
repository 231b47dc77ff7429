# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {
            "torch", "transformers", "fastapi", "starlette", "uvicorn", "pydantic", "pyarrow",
            "huggingface_hub",
        }:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Refuse())
import roborefer_vlm.evaluation as package
import roborefer_vlm.drawing
names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    __import__(name)
print(len(names))
"""


def test_evaluation_needs_none_of_the_extras():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
