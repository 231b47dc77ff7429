# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of the house that no linter knows; run by `make lint`.

Prints one line per offence and exits with 1 when there is any.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SPDX = ("SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors", "SPDX-License-Identifier:")
COMMENTED = {".py", ".pyi", ".sh", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".cmake", ".txt"}
COMMENTED |= {".msg", ".srv", ".action", ".xml", ".launch", ".meta"}
LONGEST_PYTHON_FILE = 500
# Written so that these lines do not offend against themselves.
UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")
REGISTRIES = re.compile(r"--(?:extra-)?index-url|\bregistry\s*=\s*http|https?://[^\s/]+/simple\b")
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|tmp)/[\w.-]+/")
ROS_ROOTS = {
    *("rclpy", "tf2_ros", "tf2_geometry_msgs", "message_filters", "cv_bridge", "launch"),
    *("launch_ros", "launch_testing", "ament_index_python", "sensor_msgs_py", "rosidl_runtime_py"),
}


@dataclass(frozen=True)
class Border:
    """Modules that files of one region must not import."""

    region: re.Pattern[str]
    forbidden: re.Pattern[str]
    why: str


ROS_MODULE = re.compile(rf"^(?:{'|'.join(sorted(ROS_ROOTS))}|\w+_(?:msgs|interfaces))(?:\.|$)")
BORDERS = [
    Border(
        re.compile(r"^pocket_ros2/"),
        re.compile(r"^roborefer_"),
        "pocket_ros2 is a library of its own",
    ),
    Border(re.compile(r"^src/"), re.compile(r"^pocket_ros2"), "packages are plain ROS 2"),
    Border(
        re.compile(r"^src/[^/]+/[^/]+/core/"), ROS_MODULE, "core must run and be tested anywhere"
    ),
    Border(re.compile(r"^vlm/"), ROS_MODULE, "vlm must run and be tested anywhere"),
    Border(
        re.compile(r"^src/roborefer_perception/"),
        re.compile(r"^(?:torch|roborefer_vlm)(?:\.|$)"),
        "the model lives in a process of its own, reached by HTTP",
    ),
]
MADE = {".venv", ".mypy_cache", ".ruff_cache", ".hypothesis", "build", "install", "log", "out"}
SIBLINGS = ("perception", "grasping", "navigation", "operator")


def files(root: Path) -> list[str]:
    """Return the files git knows or would add, relative to root; without git, all that matter."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (root / ".git").exists():
        listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        return [n for n in sorted(set(listing.stdout.split("\0"))) if (root / n).is_file()]
    names = (p.relative_to(root) for p in sorted(root.rglob("*")) if p.is_file())
    return [n.as_posix() for n in names if n.parts[0] not in MADE and "__pycache__" not in n.parts]


def check_file(name: str, data: bytes) -> Iterator[str]:
    """Yield one sentence per offence of one file, without the file name."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    path = PurePosixPath(name)
    lines = text.splitlines()
    # The files of a tokenizer have a format of their own, which knows no such lines.
    is_tokenizer = path.name == "merges.txt"
    needs_licence = path.suffix in COMMENTED or path.name in {"Makefile", "Dockerfile"}
    needs_licence = needs_licence and not is_tokenizer
    if needs_licence and text.strip() and not all(s in "\n".join(lines[:6]) for s in SPDX):
        yield "lacks the two SPDX lines on top"
    if path.suffix == ".py" and len(lines) > LONGEST_PYTHON_FILE:
        yield f"has {len(lines)} lines, more than {LONGEST_PYTHON_FILE}; split it by idea"
    for number, line in enumerate(lines, 1):
        if found := UNFINISHED.search(line):
            yield f"line {number}: {found[0]}; finish it or open an issue"
        if path.suffix in COMMENTED and (found := REGISTRIES.search(line)):
            yield f"line {number}: names a package registry; that is the user's configuration"
        if found := MACHINE_PATHS.search(line):
            yield f"line {number}: path of one machine: {found[0].strip()}"
    if path.suffix == ".py":
        yield from check_python(name, text)


def check_python(name: str, text: str) -> Iterator[str]:
    """Yield offences against import borders, and calls of eval and exec where data may come in."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        yield f"line {error.lineno}: is not Python: {error.msg}"
        return
    for node in ast.walk(tree):
        for module in _imports(node):
            for border in [*BORDERS, *_sibling_borders(name)]:
                if border.region.search(name) and border.forbidden.search(module):
                    yield f"line {node.lineno}: imports {module}; {border.why}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and name.startswith(("src/", "vlm/")):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            is_builtin = isinstance(node.func, ast.Name) and called in {"eval", "exec"}
            if is_builtin or called == "literal_eval":
                yield f"line {node.lineno}: calls {called}; parse text by a grammar"


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def _sibling_borders(name: str) -> Iterator[Border]:
    for own in SIBLINGS:
        if name.startswith(f"src/roborefer_{own}/"):
            others = "|".join(s for s in SIBLINGS if s != own)
            yield Border(
                re.compile("^src/"),
                re.compile(rf"^roborefer_(?:{others})(?:\.|$)"),
                "these packages meet only in roborefer_msgs",
            )


def main(root: Path) -> int:
    """Check the tree at root and return the exit code."""
    offences = [
        f"{name}: {offence}"
        for name in files(root)
        for offence in check_file(name, (root / name).read_bytes())
    ]
    print("\n".join(offences) or "check_tree: ok")
    return bool(offences)


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[1]))
