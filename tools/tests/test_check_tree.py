# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Every house rule catches an offender and lets a law-abiding file pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import check_tree

LATER = "TO" + "DO"
REGISTRY = "https://packages.example" + "/simple"
FOLDER = "/".join(["", "home", "someone"])
TOP = "# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors\n"
TOP += "# SPDX-License-Identifier: Apache-2.0\n"
CORE = "src/roborefer_grasping/roborefer_grasping/core/grasp.py"


def offences(name: str, text: str) -> list[str]:
    return list(check_tree.check_file(name, text.encode()))


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("tools/long.py", "x = 1\n" * 499, "split it by idea"),
        ("tools/a.py", f"# {LATER}: this\n", "finish it"),
        ("tools/a.cfg", f"url = {REGISTRY}\n", "package registry"),
        ("docs/a.md", f"see {FOLDER}/notes.txt\n", "path of one machine"),
        ("pocket_ros2/pocket_ros2/a.py", "import roborefer_msgs.msg\n", "library of its own"),
        ("src/roborefer_sim/roborefer_sim/a.py", "from pocket_ros2 import activate\n", "plain"),
        (CORE, "import rclpy\n", "core must run"),
        (CORE, "from geometry_msgs.msg import Pose\n", "core must run"),
        (CORE, "import roborefer_navigation\n", "meet only in roborefer_msgs"),
        ("vlm/roborefer_vlm/a.py", "def f():\n    import tf2_ros\n", "vlm must run"),
        ("src/roborefer_perception/x/a.py", "import torch.nn\n", "process of its own"),
        ("vlm/roborefer_vlm/a.py", "eval('1')\n", "grammar"),
        ("vlm/roborefer_vlm/a.py", "import ast\nast.literal_eval('1')\n", "grammar"),
        ("tools/a.py", "def f(:\n", "not Python"),
    ],
)
def test_offender_is_named(name, body, expected):
    found = offences(name, TOP + body)

    assert len(found) == 1, found
    assert expected in found[0]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (CORE, "from .geometry import Pixel\n"),
        ("src/roborefer_grasping/roborefer_grasping/nodes/arm.py", "import rclpy\n"),
        ("vlm/roborefer_vlm/a.py", "model.eval()\n"),
        ("docs/a.md", "ros2 topic echo /camera/color/image_raw/compressed\n"),
    ],
)
def test_law_abiding_file_passes(name, body):
    assert offences(name, TOP + body) == []


def test_missing_licence_lines_are_an_offence_and_empty_files_are_not():
    assert offences("src/a/__init__.py", "") == []
    assert offences("src/a/b.py", "x = 1\n") == ["lacks the two SPDX lines on top"]


def test_exit_code_tells_whether_the_tree_is_clean(tmp_path, capsys):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "a.py").write_text(TOP)
    clean = check_tree.main(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")

    dirty = check_tree.main(tmp_path)

    assert (clean, dirty) == (0, 1)
    assert "a.py: lacks the two SPDX lines" in capsys.readouterr().out


def test_a_tree_without_git_is_checked_too(tmp_path, capsys):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "not_ours.py").write_text("x = 1\n")
    (tmp_path / "ours.py").write_text("x = 1\n")

    assert check_tree.main(tmp_path) == 1
    assert capsys.readouterr().out == "ours.py: lacks the two SPDX lines on top\n"
