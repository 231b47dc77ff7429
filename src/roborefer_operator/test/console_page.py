# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A console beside the nodes of a test, and a page of it without a browser."""

import contextlib
import json
import threading
from time import monotonic
from urllib.parse import urlsplit

from websockets.sync.client import connect

TOKEN = "a-token-of-some-length"


@contextlib.contextmanager
def console(**changes):
    """Run the node; the ROS context is there already."""
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from roborefer_operator.nodes.console import ConsoleNode

    values = {"port": 0, "token": TOKEN, "picture.rate": 20.0, "scene.enabled": False, **changes}
    node = ConsoleNode(
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()


class Page:
    """What a browser would be told, and what it would send."""

    def __init__(self, url):
        address = urlsplit(url)
        self._link = connect(f"ws://{address.netloc}/link?{address.query}", max_size=None)
        self.board, self.pictures, self._replies, self._number = {}, {}, {}, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._link.close()

    def _take(self, timeout_s):
        message = self._link.recv(timeout=timeout_s)
        if isinstance(message, bytes):
            self.pictures[message[0]] = message[1:]
            return
        message = json.loads(message)
        self.board.update(message.get("show", {}))
        if "reply" in message:
            self._replies[message["reply"]["to"]] = message["reply"]

    def until(self, wanted, timeout_s=20.0):
        """Wait until the board shows something; returns what is wanted of it."""
        end = monotonic() + timeout_s
        while not (found := wanted(self.board)):
            try:
                self._take(max(0.0, end - monotonic()))
            except TimeoutError:
                raise AssertionError(f"not on the board: {self.board}") from None
        return found

    def until_picture(self, kind):
        while kind not in self.pictures:
            self._take(20.0)
        return self.pictures[kind]

    def send(self, **fields):
        """Send an order without waiting; returns its number."""
        self._number += 1
        self._link.send(json.dumps({"id": self._number, **fields}))
        return self._number

    def send_sound(self, data):
        self._link.send(data)

    def reply(self, number):
        while number not in self._replies:
            self._take(20.0)
        return self._replies.pop(number)

    def ask(self, **fields):
        return self.reply(self.send(**fields))
