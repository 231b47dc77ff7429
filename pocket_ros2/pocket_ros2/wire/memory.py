# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the memory of big messages in the process."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_BIGGEST_REUSED = 32 * 2**20
_MOST_KEPT = 128 * 2**20


def keep_big_blocks() -> None:
    """Have glibc reuse blocks the size of images instead of returning each to the kernel.

    Otherwise every copy of an image pays for its pages again, which takes longer than the copy.
    MALLOC_* variables of the user win.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _BIGGEST_REUSED)
        mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
