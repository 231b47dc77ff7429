# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which names tools leave out unless asked for."""

from __future__ import annotations

HIDDEN_TOPIC_PREFIX = "_"
TOPIC_SEPARATOR_STRING = "/"


def topic_or_service_is_hidden(name: str) -> bool:
    return any(
        token.startswith(HIDDEN_TOPIC_PREFIX) for token in name.split(TOPIC_SEPARATOR_STRING)
    )
