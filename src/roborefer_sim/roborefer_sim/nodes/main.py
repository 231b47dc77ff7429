# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The executable `simulator`."""

from __future__ import annotations

import signal
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from roborefer_sim.core.gl import load_mujoco
from roborefer_sim.exceptions import RenderingError, SimulationError

# Two goals and what replaces them wait in callbacks; services and parameters go on beside.
THREADS = 8


def main() -> int:
    """Run the node; 1 when its parameters or this machine do not allow it."""
    try:
        # MuJoCo reads the choice while it is imported, so it must be made before the node is.
        load_mujoco()
    except RenderingError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 1
    from roborefer_sim.nodes.simulator import Simulator

    # Signals end the spinning and not the context, so that goals can still be given up properly.
    with rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            node = Simulator()
        except (SimulationError, ParameterException, ValueError) as error:
            print(f"simulator: {error}", file=sys.stderr)
            return 1
        executor = MultiThreadedExecutor(num_threads=THREADS)
        try:
            rclpy.spin(node, executor=executor)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        finally:
            # A terminal and a launch file may both ask for the end.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            node.close()
            executor.shutdown()
            node.destroy_node()
    return 1 if node.failed else 0
