# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What may stand where a text is computed at launch time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from launch.substitution import Substitution

SomeSubstitutionsType = str | Path | Substitution | Iterable[str | Path | Substitution]
