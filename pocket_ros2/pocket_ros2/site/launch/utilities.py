# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Helpers that launch files with functions use as well."""

from __future__ import annotations

from launch.substitution import as_substitutions as normalize_to_list_of_substitutions
from launch.substitution import as_text as perform_substitutions

__all__ = ["normalize_to_list_of_substitutions", "perform_substitutions"]
