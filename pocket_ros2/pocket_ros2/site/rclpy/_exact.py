# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Comparisons that refuse, instead of answering False for, things of another kind."""

from __future__ import annotations

import operator
from typing import Any


class Exact:
    """Compares nanoseconds; `5 ns == 5` being False would hide a mistake, so it raises."""

    nanoseconds: int

    def _check_comparable(self, other: Any) -> None:
        if not isinstance(other, type(self)):
            name = type(self).__name__.lower()
            raise TypeError(f"Can't compare {name} with object of type: {type(other)}")

    def __eq__(self, other: object) -> bool:
        return self._ordered(other, operator.eq)

    def __lt__(self, other: Any) -> bool:
        return self._ordered(other, operator.lt)

    def __le__(self, other: Any) -> bool:
        return self._ordered(other, operator.le)

    def __gt__(self, other: Any) -> bool:
        return self._ordered(other, operator.gt)

    def __ge__(self, other: Any) -> bool:
        return self._ordered(other, operator.ge)

    __hash__ = None  # type: ignore[assignment]

    def _ordered(self, other: Any, operation: Any) -> bool:
        self._check_comparable(other)
        return bool(operation(self.nanoseconds, other.nanoseconds))
