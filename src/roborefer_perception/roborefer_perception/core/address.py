# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The address of the referring server, as a parameter has it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from roborefer_common.exceptions import ParameterError


def check_address(url: str) -> str:
    """Return the host that an address names.

    Raises:
        ParameterError: It is no http or https address of a server, or holds more than that.
    """
    wanted = "write http://127.0.0.1:25547, or https and another host"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ParameterError(f"the address '{url}' of the model: {error}; {wanted}") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise ParameterError(f"'{url}' is no address of a model; {wanted}")
    if parts.username is not None or parts.query or parts.fragment:
        # Not repeated here: it may hold a password.
        raise ParameterError(
            f"the address of the model at '{host}' holds a user, a query or a fragment; {wanted},"
            " and give a token as the parameter for it"
        )
    return host


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
