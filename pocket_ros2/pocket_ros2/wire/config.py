# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Zenoh settings of a session: the defaults of rmw_zenoh, changed by the same variables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import zenoh

DEFAULT_ENDPOINT = "tcp/localhost:7447"

_SESSION: dict[str, Any] = {
    "mode": "peer",
    "connect": {
        "timeout_ms": {"router": -1, "peer": -1, "client": 0},
        "endpoints": [DEFAULT_ENDPOINT],
        "exit_on_failure": {"router": False, "peer": False, "client": True},
        "retry": {"period_init_ms": 200, "period_max_ms": 1000, "period_increase_factor": 2},
    },
    "listen": {"endpoints": ["tcp/localhost:0"]},
    "scouting": {
        "delay": 0,
        "multicast": {"enabled": False},
        "gossip": {
            "enabled": True,
            "target": {"router": ["router", "peer"], "peer": ["router"]},
            "autoconnect": {"router": [], "peer": ["router", "peer"]},
            "autoconnect_strategy": {"peer": {"to_router": "always", "to_peer": "greater-zid"}},
        },
    },
    "timestamping": {"enabled": True, "drop_future_timestamp": False},
    "queries_default_timeout": 600_000,
    "transport": {
        "unicast": {"open_timeout": 60_000, "accept_timeout": 60_000, "max_sessions": 10_000},
        "link": {"tx": {"lease": 10_000, "keep_alive": 2}},
        "shared_memory": {"enabled": False},
    },
}


class ConfigError(ValueError):
    """A zenoh setting taken from the environment is wrong."""


def parse_override(text: str) -> list[tuple[str, str]]:
    """Split `a/b=json;c=json` into pairs of a key and its JSON5 value.

    Raises:
        ConfigError: an item has no `=` or no key.
    """
    pairs = []
    for item in filter(None, (part.strip() for part in text.split(";"))):
        key, separator, value = (part.strip() for part in item.partition("="))
        if not (separator and key and value):
            raise ConfigError(
                f"ZENOH_CONFIG_OVERRIDE: {item!r} is not of the form path/of/setting=json"
            )
        pairs.append((key, value))
    return pairs


def session_config(environment: Mapping[str, str] = os.environ) -> zenoh.Config:
    """Return the settings for a ROS session.

    `ZENOH_SESSION_CONFIG_URI` names a file that replaces the defaults, `ZENOH_CONFIG_OVERRIDE`
    changes single settings after that.

    Raises:
        ConfigError: the file cannot be read or a setting is unknown to zenoh.
    """
    config = _file_or(_SESSION, "ZENOH_SESSION_CONFIG_URI", environment)
    for key, value in parse_override(environment.get("ZENOH_CONFIG_OVERRIDE", "")):
        try:
            config.insert_json5(key, value)
        except zenoh.ZError as error:
            raise ConfigError(
                f"ZENOH_CONFIG_OVERRIDE: zenoh refuses {key}={value}: {error}"
            ) from error
    return config


def router_config(listen: str, environment: Mapping[str, str] = os.environ) -> zenoh.Config:
    """Return the settings for a router that listens on one endpoint.

    `ZENOH_ROUTER_CONFIG_URI` names a file that replaces the defaults, its listen endpoints
    excepted. `ZENOH_CONFIG_OVERRIDE` is not read: its endpoints are meant for sessions.
    """
    changes = {"connect": {"endpoints": []}, "listen": {"exit_on_failure": True}}
    defaults = {**_SESSION, "mode": "router", **changes}
    config = _file_or(defaults, "ZENOH_ROUTER_CONFIG_URI", environment)
    config.insert_json5("listen/endpoints", json.dumps([listen]))
    return config


def _file_or(
    defaults: dict[str, Any], variable: str, environment: Mapping[str, str]
) -> zenoh.Config:
    uri = environment.get(variable)
    if not uri:
        return zenoh.Config.from_json5(json.dumps(defaults))
    try:
        return zenoh.Config.from_file(uri)
    except zenoh.ZError as error:
        raise ConfigError(f"{variable}: cannot use {uri!r}: {error}") from error


def router_check_attempts(environment: Mapping[str, str] = os.environ) -> int:
    """Return for how many seconds to wait for a router; 0: forever, negative: do not look.

    Raises:
        ConfigError: `ZENOH_ROUTER_CHECK_ATTEMPTS` is not an integer.
    """
    text = environment.get("ZENOH_ROUTER_CHECK_ATTEMPTS") or "1"
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"ZENOH_ROUTER_CHECK_ATTEMPTS={text!r} is not an integer") from error


def connect_endpoints(config: zenoh.Config) -> list[str]:
    """Return the endpoints that a session with these settings connects to."""
    endpoints = json.loads(config.get_json("connect/endpoints"))
    if isinstance(endpoints, dict):
        mode = json.loads(config.get_json("mode")) or "peer"
        endpoints = endpoints.get(mode, [])
    return list(endpoints)
