# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""An independent implementation in a process of its own: obeys one JSON command per line.

The definitions are read from the folder given as argument; fetching others is an error.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import sys
import threading

from zenoh_ros2_sdk import (
    ROS2Publisher,
    ROS2ServiceClient,
    ROS2ServiceServer,
    ROS2Subscriber,
    ZenohSession,
    get_registry,
    get_service_names_and_types,
    get_topic_info,
    get_topic_names_and_types,
    message_registry,
)

DEADLINE_S = 20.0
kept: list[object] = []
images: queue.SimpleQueue[list[object]] = queue.SimpleQueue()


def refuse(*arguments: object) -> None:
    raise RuntimeError(f"would go to the network for {arguments}")


def topics():
    return get_topic_names_and_types(timeout=DEADLINE_S)


def services():
    return get_service_names_and_types(timeout=DEADLINE_S)


def publishers(topic):
    info = get_topic_info(topic, timeout=DEADLINE_S, verbose=True)
    found = info.publishers if info else ()
    return [(p.node_namespace, p.node_name, p.type_hash) for p in found]


def watch(topic):
    def received(image):
        stamp = image.header.stamp
        digest = hashlib.sha256(image.data.tobytes()).hexdigest()
        images.put([image.width, image.height, image.header.frame_id, stamp.nanosec, digest])

    kept.append(ROS2Subscriber(topic, "sensor_msgs/msg/Image", received))
    return kept[-1].type_hash


def image():
    return images.get(timeout=DEADLINE_S)


def call(service, a, b):
    client = ROS2ServiceClient(
        service, "example_interfaces/srv/AddTwoInts", timeout=DEADLINE_S, node_name="peer_client"
    )
    return client.call(a=a, b=b).sum


def serve(service):
    def add(request):
        response = server.response_msg_class
        return response(sum=request.a + request.b)

    server = ROS2ServiceServer(service, "example_interfaces/srv/AddTwoInts", add)
    kept.append(server)


def publish(topic, texts):
    publisher = ROS2Publisher(topic, "std_msgs/msg/String", node_name="peer_talker")
    kept.append(publisher)
    matched = threading.Event()
    publisher.pub.declare_matching_listener(lambda status: status.matching and matched.set())
    if not publisher.pub.matching_status.matching:
        assert matched.wait(DEADLINE_S), "nobody listens"
    for text in texts:
        publisher.publish(data=text)


def main(definitions: str) -> None:
    logging.disable(logging.INFO)
    message_registry.clone_to_cache = message_registry.get_message_file_path = refuse
    get_registry(definitions)
    functions = (topics, services, publishers, watch, image, call, serve, publish)
    commands = {function.__name__: function for function in functions}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(commands[name](*arguments)), flush=True)
    ZenohSession.get_instance().close()


if __name__ == "__main__":
    main(sys.argv[1])
