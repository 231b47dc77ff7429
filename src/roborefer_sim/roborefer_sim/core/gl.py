# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Decides how pictures are drawn, before MuJoCo is imported for the first time.

MuJoCo reads MUJOCO_GL while it is imported and fails there when the library is missing, so the
choice cannot be made later. Without any OpenGL the simulator draws with its own ray caster.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import subprocess
import sys
from functools import cache

from roborefer_sim.exceptions import RenderingError

# What each way needs to be loadable.
LIBRARIES = {"egl": ("libEGL.so.1", "libOpenGL.so.0"), "osmesa": ("libOSMesa.so.8",)}
RAY_CASTER = "disable"
_SMOKE_TEST = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 8, 8)
renderer.update_scene(data)
renderer.render()
renderer.close()
"""


def _loadable(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _renders(way: str) -> bool:
    environment = {**os.environ, "MUJOCO_GL": way}
    try:
        result = subprocess.run(
            [sys.executable, "-c", _SMOKE_TEST], env=environment, capture_output=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0


@cache
def choose_gl() -> str:
    """Return "egl", "osmesa" or "disable" (ray caster) and set MUJOCO_GL to it.

    A way named in MUJOCO_GL already is taken as it is, untested: somebody wants it.

    Raises:
        RenderingError: MuJoCo was imported before without MUJOCO_GL, so it is too late.
    """
    wanted = os.environ.get("MUJOCO_GL", "").strip().lower()
    if wanted in {*LIBRARIES, RAY_CASTER}:
        return wanted
    if "mujoco" in sys.modules:
        raise RenderingError("mujoco was imported before choose_gl(); call choose_gl() first")
    for way, names in LIBRARIES.items():
        if all(map(_loadable, names)) and _renders(way):
            os.environ["MUJOCO_GL"] = way
            return way
    os.environ["MUJOCO_GL"] = RAY_CASTER
    return RAY_CASTER


def load_mujoco() -> str:
    """Choose how pictures are drawn, import MuJoCo with it, and return the choice.

    Raises:
        RenderingError: MuJoCo cannot be imported with the way that MUJOCO_GL names.
    """
    way = choose_gl()
    try:
        importlib.import_module("mujoco")
    except (AttributeError, ImportError, OSError) as error:
        raise RenderingError(
            f"MuJoCo cannot be imported with MUJOCO_GL={way} ({error}); unset it, so that a way"
            f" that works is found, or set it to {RAY_CASTER}"
        ) from error
    return way


def explain(way: str) -> str:
    """Say in one line how pictures are drawn, and what would draw them better."""
    if way == RAY_CASTER:
        return (
            "drawing with the built-in ray caster: no textures, no shadows, slow; on Debian type:"
            " sudo apt-get install libegl1 libopengl0 libgl1-mesa-dri"
        )
    return f"drawing with OpenGL through {way}"
