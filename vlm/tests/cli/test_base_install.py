# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person has who installed no extra: it works, or it names the extra."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.types import Intrinsics

README = Path(__file__).parents[2] / "README.md"
EXTRAS = (
    *("torch", "transformers", "safetensors", "huggingface_hub", "fastapi", "starlette"),
    *("uvicorn", "pydantic", "prometheus_client", "python_multipart", "pyarrow"),
)
WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def view():
    """A red block, 10 cm high, on a grey table that a camera looks down on from 1 m."""
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    depth = np.full((HEIGHT, WIDTH), 1.0, np.float32)
    image[50:80, 60:90] = (200, 30, 30)
    depth[50:80, 60:90] = 0.9
    return image, depth, Intrinsics(WIDTH, HEIGHT, 150.0, 150.0, 79.5, 59.5)


@pytest.fixture(scope="module")
def files(view, tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    image, depth, _ = view
    Image.fromarray(image).save(folder / "view.png")
    Image.fromarray(np.rint(depth * 1000).astype(np.uint16)).save(folder / "depth.png")
    (folder / "camera.json").write_text('{"fx": 150, "fy": 150, "cx": 79.5, "cy": 59.5,'
                                        ' "width": 160, "height": 120}')  # fmt: skip
    return folder


def without_extras(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code where no extra can be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", blocked + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command(*words: str) -> str:
    return f"from roborefer_vlm.cli.main import main\nsys.exit(main({list(words)!r}))"


SCENE = """
import numpy as np
from PIL import Image
from roborefer_vlm.types import Intrinsics
image = np.asarray(Image.open("view.png"))
depth = (np.asarray(Image.open("depth.png")) / 1000).astype(np.float32)
k = Intrinsics(160, 120, 150, 150, 79.5, 59.5)
"""


def test_snippet_of_the_readme_points_at_the_block(files):
    (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    snippet = snippet.replace("the mug left of the bowl", "the red block")

    done = without_extras(SCENE + snippet + "print(answer.points[0].pixel)", files)

    assert done.returncode == 0, done.stderr
    assert "ReferredPoint" in done.stdout
    u, v = map(float, re.search(r"^Pixel\(u=([\d.]+), v=([\d.]+)\)", done.stdout, re.M).groups())
    assert 60 <= u < 90
    assert 50 <= v < 80


def test_point_of_the_readme_answers_and_draws(files):
    done = without_extras(
        command(
            *("point", "view.png", "the red block", "--depth", "depth.png"),
            *("--depth-scale", "0.001", "--intrinsics", "camera.json", "--out", "answer.png"),
        ),
        files,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert '"outcome": "ok"' in done.stdout
    assert (files / "answer.png").is_file()


def test_doctor_finds_nothing_to_put_right(files):
    done = without_extras(command("doctor"), files)

    assert "✓ engine scene_graph" in done.stdout
    assert "– torch " in done.stdout


def test_what_needs_an_extra_names_it(files):
    commands = {
        "model": [
            ["point", "view.png", "the block", "--engine", "roborefer:dir"],
            ["point", "view.png", "the block", "--engine", "scene_graph?detector=a/b"],
            ["bench", "own", "hub:a/b", "--out", "out"],
        ],
        "server": [["serve"]],
    }
    wanted = [(extra, words) for extra, all_words in commands.items() for words in all_words]
    code = "from roborefer_vlm.cli.main import main\n" + "\n".join(
        f"assert main({words!r}) == 2" for _, words in wanted
    )

    done = without_extras(code, files)

    assert done.returncode == 0
    messages = done.stderr.splitlines()
    for (extra, words), message in zip(wanted, messages, strict=True):
        assert message.startswith(f"roborefer {words[0]}: ")
        assert f"roborefer-vlm[{extra}]" in message


def test_verification_names_the_extra(files):
    module = "import runpy\nrunpy.run_module('roborefer_vlm.verification', run_name='__main__')"

    done = without_extras(module, files)

    assert done.returncode == 1
    assert done.stderr.endswith("install roborefer-vlm[model]\n")
    assert "Traceback" not in done.stderr
