# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Conditions on text that is computed at launch time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from launch.substitution import SomeSubstitutionsType, as_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_VALUES = {"true": True, "1": True, "false": False, "0": False}


class InvalidConditionExpressionError(Exception):
    """A condition is neither true nor false."""


def evaluate_condition_expression(context: LaunchContext, expression: Any) -> bool:
    text = as_text(context, expression).strip().lower()
    if text not in _VALUES:
        raise InvalidConditionExpressionError(
            f"invalid condition expression {text!r}, expected one of {', '.join(_VALUES)}"
        )
    return _VALUES[text]


class Condition:
    def __init__(self, *, predicate: Callable[[LaunchContext], bool] | None = None) -> None:
        self._predicate = predicate

    def evaluate(self, context: LaunchContext) -> bool:
        return self._predicate is None or self._predicate(context)


class IfCondition(Condition):
    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        super().__init__(
            predicate=lambda c: evaluate_condition_expression(c, predicate_expression)
        )


class UnlessCondition(IfCondition):
    def evaluate(self, context: LaunchContext) -> bool:
        return not super().evaluate(context)
