# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The router that lets ROS sessions on this machine find each other, in place of rmw_zenohd."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time

import zenoh

from pocket_ros2.wire.config import ConfigError, router_config

DEFAULT_LISTEN = "tcp/127.0.0.1:7447"


def _serve(session: zenoh.Session, stop: threading.Event, idle_exit: float | None) -> None:
    if idle_exit is None:
        stop.wait()
        return
    busy_at = time.monotonic()
    while not stop.wait(min(1.0, idle_exit)):
        if session.info.transports():
            busy_at = time.monotonic()
        elif time.monotonic() - busy_at >= idle_exit:
            return


def main(arguments: list[str] | None = None) -> int:
    """Run a router until SIGTERM, SIGINT or, if asked for, until nobody is connected."""
    parser = argparse.ArgumentParser(prog="python -m pocket_ros2.wire.router", description=__doc__)
    parser.add_argument("--listen", default=DEFAULT_LISTEN, help="endpoint (%(default)s)")
    parser.add_argument("--idle-exit", type=float, metavar="SECONDS", help="end when unused")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        session = zenoh.open(router_config(options.listen))
    except (zenoh.ZError, ConfigError) as error:
        reason = str(error).partition(" at /")[0]
        print(f"cannot listen on {options.listen}: {reason}", file=sys.stderr)
        return 1
    print(f"listening on {options.listen}", flush=True)
    try:
        _serve(session, stop, options.idle_exit)
    finally:
        session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
