# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""All that the page shows, section by section; written by callbacks, read by connections."""

from __future__ import annotations

import threading
from typing import Any


class Board:
    """Named sections of plain values that can be written as JSON."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revision = 0
        self._sections: dict[str, tuple[int, Any]] = {}

    def show(self, section: str, value: Any) -> None:
        """Put a value up; one that is there already changes nothing."""
        with self._lock:
            if section not in self._sections or self._sections[section][1] != value:
                self._revision += 1
                self._sections[section] = (self._revision, value)

    def get(self, section: str) -> Any:
        """Return what a section shows, or None."""
        with self._lock:
            return self._sections.get(section, (0, None))[1]

    def since(self, revision: int) -> tuple[int, dict[str, Any]]:
        """Return the present revision and the sections that changed after an earlier one."""
        with self._lock:
            changed = {
                name: value for name, (at, value) in self._sections.items() if at > revision
            }
            return self._revision, changed
