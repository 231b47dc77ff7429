# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Unit conversion."""

from __future__ import annotations

S_TO_NS = 1000 * 1000 * 1000
