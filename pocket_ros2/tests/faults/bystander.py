# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The process on the other side, in one role: `bystander.py ROLE`. What it does it says."""

from __future__ import annotations

import sys
import threading

import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger


def say(text):
    print(text, flush=True)


def caller(node):
    client = node.create_client(Trigger, "slow")
    assert client.wait_for_service(40)
    client.call_async(Trigger.Request())


def server(node):
    def ask(request, response):
        say("asked")
        threading.Event().wait()

    node.create_service(Trigger, "slow", ask)


def sink(node):
    node.create_subscription(Image, "image", lambda image: say(image.header.frame_id), 1)


def talker(node):
    label = sys.argv[2]
    publisher = node.create_publisher(String, "chatter", 10)
    node.create_timer(0.01, lambda: publisher.publish(String(data=label)))


def listener(node):
    heard = []

    def hear(message):
        heard.append(message.data)
        if len(heard) % 20 == 0:
            say(f"heard {sorted(set(heard))} of {sorted(node.get_node_names())}")

    node.create_subscription(String, "chatter", hear, 10)


ROLES = {role.__name__: role for role in (caller, server, sink, talker, listener)}

if __name__ == "__main__":
    try:
        with rclpy.init():
            node = rclpy.create_node(sys.argv[1])
            ROLES[sys.argv[1]](node)
            say("ready")
            rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
