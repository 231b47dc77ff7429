# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node of the launch process itself, made when something needs it."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

from launch import LaunchContext
from launch.event_handlers import OnShutdown


def get_ros_node(context: LaunchContext) -> Any:
    """Return the node; it spins in a thread until the launch shuts down."""
    node = context.get_locals_as_dict().get("launch_ros_node")
    if node is not None:
        return node
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions

    ros = rclpy.Context()
    rclpy.init(args=[], context=ros, signal_handler_options=SignalHandlerOptions.NO)
    overrides = [
        Parameter("use_sim_time", value=parameters["use_sim_time"])
        for parameters in context.launch_configurations.get("global_params", ())
        if isinstance(parameters, dict) and "use_sim_time" in parameters
    ]
    name = f"launch_ros_{os.getpid()}"
    node = rclpy.create_node(name, context=ros, parameter_overrides=overrides)
    executor = SingleThreadedExecutor(context=ros)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()

    def stop(event: Any, context: LaunchContext) -> None:
        ros.try_shutdown()
        thread.join(5.0)
        node.destroy_node()

    context.register_event_handler(OnShutdown(on_shutdown=stop), append=True)
    context.extend_globals({"launch_ros_node": node})
    return node
