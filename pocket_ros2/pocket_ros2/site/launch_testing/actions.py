# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Actions of launch tests."""

from __future__ import annotations

import threading
from typing import Any

from launch import Action, LaunchContext


class ReadyToTest(Action):
    """Lets the tests begin once it is visited."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._visited = threading.Event()

    def execute(self, context: LaunchContext) -> None:
        self._visited.set()
