# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The executable, where it must refuse: one line that names the next step, and exit code 1."""

import os
import subprocess
import sys

import pytest

RUN = "import sys; from roborefer_sim.nodes.main import main; sys.exit(main())"


def run(*arguments, code=RUN, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("scene.keys:=unicorn", "no thing 'unicorn'; known are"),
        ("camera.depth_encoding:=8UC1", "must be 16UC1 or 32FC1"),
        ("camera.distortion:=[-9.0,0.0,0.0,0.0,0.0]", "use smaller coefficients"),
        ("scene.things:=99", "scene.things"),
    ],
)
def test_impossible_parameters_end_it_with_one_line(domain, assignment, words):
    result = run("--ros-args", "-p", assignment)

    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_description_says_how_to_get_it(domain, tmp_path):
    result = run(ROBOREFER_CACHE=str(tmp_path))

    assert result.returncode == 1
    assert "python3 -m roborefer_sim.core.assets" in result.stderr


def test_opengl_that_does_not_work_says_what_to_set(tmp_path):
    # What importing MuJoCo does where the library of MUJOCO_GL is missing.
    (tmp_path / "mujoco.py").write_text("raise AttributeError('no glGetError')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from roborefer_sim.core.gl import load_mujoco\n"
        "load_mujoco()\n"
    )

    result = run(str(tmp_path), code=code, MUJOCO_GL="osmesa")

    assert "MUJOCO_GL=osmesa (no glGetError); unset it" in result.stderr
