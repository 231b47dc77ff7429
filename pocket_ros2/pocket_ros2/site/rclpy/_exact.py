# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Comparisons of exact nanoseconds."""

from __future__ import annotations

import operator
from typing import Any


class Exact:
    """Compares with its own kind; it equals nothing else, and orders with nothing else."""

    nanoseconds: int

    def _check_comparable(self, other: Any) -> None:
        """Raise TypeError where a comparison with one of the same kind makes no sense."""

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
        if not isinstance(other, type(self)):
            return NotImplemented
        self._check_comparable(other)
        return bool(operation(self.nanoseconds, other.nanoseconds))
