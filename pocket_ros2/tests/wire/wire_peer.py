# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A second process on the network: serves, publishes and subscribes as its arguments say."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

from pocket_ros2.wire import Qos, Request, Session

TEXT = SimpleNamespace(
    ros_name="std_msgs/msg/String",
    dds_name="std_msgs::msg::dds_::String_",
    rihs="RIHS01_" + "a" * 64,
)
TRIGGER = SimpleNamespace(
    ros_name="std_srvs/srv/Trigger",
    dds_name="std_srvs::srv::dds_::Trigger_",
    rihs="RIHS01_" + "b" * 64,
)


def main(role: str) -> None:
    session = Session.open(int(os.environ["ROS_DOMAIN_ID"]))
    node = session.declare_node("/far", "peer")
    kept: list[object] = []
    if role == "server":

        def serve(request: Request) -> None:
            if request.payload.to_bytes() == b"never":
                kept.append(request)
            else:
                request.reply(request.payload.to_bytes()[::-1])

        session.service(node, "/reverse", TRIGGER, Qos(), serve)
    elif role == "latched":
        publisher = session.publisher(node, "/latched", TEXT, Qos(durability=1, depth=3))
        for number in range(5):
            publisher.put(b"%d" % number, time.time_ns())
    elif role == "sink":
        session.subscriber(node, "/sink", TEXT, Qos(), kept.append)
    elif role == "last_words":
        publisher = session.publisher(node, "/last_words", TEXT, Qos())
        while not publisher.matched_count():
            time.sleep(0.005)
        publisher.put(b"x" * 1_000_000, time.time_ns())
        return
    else:
        leave(role, session, node)
        return
    print("ready", flush=True)
    threading.Event().wait()


def leave(how: str, session: Session, node: object) -> None:
    """End the process in the given way with one of everything declared and data flowing."""
    publisher = session.publisher(node, "/mine", TEXT, Qos())
    latched = session.publisher(node, "/mine_latched", TEXT, Qos(durability=1, depth=2))
    session.subscriber(node, "/mine", TEXT, Qos(), lambda _: None)
    session.subscriber(node, "/mine_latched", TEXT, Qos(durability=1), lambda _: None)
    session.service(node, "/mine_service", TRIGGER, Qos(), lambda request: request.reply(b"x"))
    session.client(node, "/mine_service", TRIGGER, Qos()).call(b"x", 1, lambda _: None)
    latched.put(b"x", 1)

    def flood() -> None:
        while True:
            publisher.put(b"x", 1)

    threading.Thread(target=flood, daemon=True).start()
    if how == "sys_exit":
        sys.exit(3)
    if how == "exception":
        raise RuntimeError("on purpose")
    if how == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
