# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest picture of each kind, packed only when somebody looks, and once for all."""

from __future__ import annotations

import threading
import time

from roborefer_common.core.pictures import RawPicture

from roborefer_operator.core.pictures import jpeg
from roborefer_operator.exceptions import PictureError


class NewestPictures:
    """Takes pictures as fast as they come and gives them at a limited rate."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._lock = threading.Lock()
        self._raw: dict[int, tuple[int, RawPicture]] = {}
        self._packed: dict[int, tuple[int, bytes]] = {}
        self._packed_at: dict[int, float] = {}
        self._count = 0
        self.trouble = ""

    def put(self, kind: int, picture: RawPicture) -> None:
        """Take a picture."""
        # No lock: a dictionary is written at once, and packing must not hold up a callback.
        self._count += 1
        self._raw[kind] = (self._count, picture)

    def jpeg(self, kind: int) -> tuple[int, bytes] | None:
        """Return the newest picture with its number, or None; `trouble` says why none."""
        with self._lock:
            number, raw = self._raw.get(kind, (0, None))
            packed = self._packed.get(kind)
            now = time.monotonic()
            # A little slack, so that pages that look at this very rate miss none.
            recent = now - self._packed_at.get(kind, -1e9) < 0.8 * self._period_s
            if raw is None or (packed is not None and (packed[0] == number or recent)):
                return packed
            try:
                self._packed[kind] = packed = (number, jpeg(raw))
                self.trouble = ""
            except PictureError as error:
                self.trouble = str(error)
            self._packed_at[kind] = now
            return packed
