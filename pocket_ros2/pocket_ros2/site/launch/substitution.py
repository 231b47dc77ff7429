# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Text that becomes known only when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class Substitution:
    def perform(self, context: LaunchContext) -> str:
        raise NotImplementedError(f"{type(self).__name__} does not define perform()")

    def describe(self) -> str:
        from launch._normalize import described

        inputs = (value for value in vars(self).values() if value not in (None, ""))
        return f"{type(self).__name__}({', '.join(map(described, inputs))})"
