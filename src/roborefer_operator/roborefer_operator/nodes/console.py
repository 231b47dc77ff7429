# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `console`: a web page that shows the robot and takes sentences, answers and stop."""

from __future__ import annotations

import sys
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from roborefer_common.declaring import declare, read
from roborefer_common.exceptions import ParameterError

from roborefer_operator.core.console.access import read_token
from roborefer_operator.core.console.board import Board
from roborefer_operator.core.console.gate import Gate
from roborefer_operator.core.console.newest import NewestPictures
from roborefer_operator.core.console.parameters import TABLE
from roborefer_operator.core.console.sessions import Sessions
from roborefer_operator.exceptions import ConsoleError
from roborefer_operator.nodes.console_orders import Orders
from roborefer_operator.nodes.console_sources import Sources
from roborefer_operator.nodes.console_world import World
from roborefer_operator.nodes.stop_line import StopLine


class ConsoleNode(Node):
    """Serves a page on this machine to whoever has the token.

    Subscribes to `task_status`, `stop`, `reference`, `tracked_reference`, `transcript`,
    `diagnostics` and, while a page is open, `camera/color/image_raw`, `reference_image`,
    `camera/aligned_depth_to_color/image_raw`, `camera/color/camera_info`, the marker topics,
    `robot_description` and TF. Publishes `stop` (latched) and `audio`. Uses `instruct`,
    `answer_question`, `cancel_task`, `correct_reference` and `get_tasks`. Parameters:
    config/console.yaml, made from core/console/parameters.py.

    Attributes:
        url: Where the page is, with the token.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Begin to serve.

        Raises:
            ConsoleError: The token is no good, or the port is taken.
            ParameterError: A parameter has a wrong value.
        """
        super().__init__("console", **kwargs)
        declare(self, TABLE)
        values: dict[str, Any] = read(self, TABLE)
        token = read_token(values["token"], values["token_file"])
        board = Board()
        period_s = 1.0 / values["picture.rate"]
        pictures = NewestPictures(period_s)
        stop = StopLine(self)
        self._orders = Orders(self, stop, values["server.wait_s"])
        self._sources = Sources(self, board, pictures, stop)
        self._sessions = Sessions(board, pictures.jpeg, self._orders.carry, period_s)
        self._world = World(self, values, pictures) if values["scene.enabled"] else None
        try:
            self._gate = Gate(
                self._sessions, token, address=values["address"], port=values["port"],
                names=values["hosts"], most_pages=values["pages.most"],
                scene_port=0 if self._world is None else self._world.port,
            )  # fmt: skip
        except ConsoleError:
            self._close_world()
            raise
        self.create_timer(1.0, self._look_up)
        shown = f"[{values['address']}]" if ":" in values["address"] else values["address"]
        self.url = f"http://{shown}:{self._gate.port}/?token={token}"
        self.get_logger().info(f"the console is at {self.url}")

    def _look_up(self) -> None:
        pages = self._sessions.count
        self._sources.look_up(pages, self._orders.executive_is_there)
        if self._world is not None:
            self._world.watch(pages > 0)

    def destroy_node(self) -> None:
        """Close all pages; the robot does not notice."""
        self._gate.close()
        self._close_world()
        super().destroy_node()

    def _close_world(self) -> None:
        if self._world is not None:
            self._world.close()


def main() -> None:
    """Run the node until it is told to end."""
    try:
        with rclpy.init():
            node = ConsoleNode()
            try:
                rclpy.spin(node)
            finally:
                node.destroy_node()
    except (ConsoleError, ParameterError) as error:
        print(f"console: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
