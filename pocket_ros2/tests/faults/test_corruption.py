# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A bare zenoh session puts nonsense on the wire: nodes drop it, say so once, and live on."""

from __future__ import annotations

import os
import random
import struct
import threading

import pytest
import rclpy
import zenoh
from example_interfaces.srv import AddTwoInts
from geometry_msgs.msg import TransformStamped
from pocket_ros2.wire import Qos, attachment
from pocket_ros2.wire.config import session_config
from pocket_ros2.wire.names import NodeInfo, data_key, endpoint_token
from rcl_interfaces.msg import ParameterEvent
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, TransformListener
from trajectory_msgs.msg import JointTrajectory

from pocket_ros2 import idl

DEADLINE_S = 40.0
GID = b"s" * 16
GOOD = attachment.encode(1, 2, GID)


class Bare:
    """Speaks the wire by hand."""

    def __init__(self, session, domain):
        self.session, self.domain = session, domain
        self.node = NodeInfo(str(session.zid()), 1, "/", "/", "stranger")
        self.publishers = {}

    def key(self, name, cls):
        return data_key(self.domain, name, cls._TYPE_SUPPORT)

    def put(self, name, cls, payload, beside=GOOD):
        if name not in self.publishers:
            matched = threading.Event()
            publisher = self.session.declare_publisher(self.key(name, cls))
            publisher.declare_matching_listener(
                zenoh.handlers.Callback(lambda s: s.matching and matched.set(), indirect=False)
            )
            assert publisher.matching_status.matching or matched.wait(DEADLINE_S)
            self.publishers[name] = publisher
        self.publishers[name].put(payload, attachment=beside)

    def token(self, kind, name, cls, tail=""):
        token = endpoint_token(
            self.domain, self.node, hash(name) & 0xFF, kind, name, cls._TYPE_SUPPORT, Qos()
        )
        return self.session.liveliness().declare_token(token + tail)


@pytest.fixture
def bare():
    with zenoh.open(session_config()) as session:
        yield Bare(session, int(os.environ["ROS_DOMAIN_ID"]))


def damaged(good):
    """Return what can become of a message on its way."""
    chance = random.Random(1)
    yield from (b"", b"\x00", b"\x00\x01\x00\x00", good[: len(good) // 2], good[:-1])
    yield from (b"\x00\x01\x00\x00" + struct.pack("<I", size) for size in (2**31, 2**32 - 1))
    yield from (chance.randbytes(size) for size in (3, 4, 5, 64, 1000))
    yield from (b"\x00\x01\x00\x00" + chance.randbytes(size) for size in (1, 8, 64, 1000))


@pytest.mark.parametrize("cls", [String, Image, PointCloud2, JointTrajectory, ParameterEvent])
def test_damaged_samples_cost_one_line_and_the_next_good_one_arrives(
    node, bare, until, capfd, caplog, cls
):
    got, topic = [], f"/damaged_{cls.__name__.lower()}"
    node.create_subscription(cls, topic, got.append, 100)
    publisher = node.create_publisher(cls, topic, 10)
    good = bytes(idl.type_support(cls).serialize(cls()))
    with bare.token("MP", topic, cls):
        until(lambda: node.count_publishers(topic) == 2)

    for payload in damaged(good):
        bare.put(topic, cls, payload)
    for beside in (None, b"", GOOD[:32], GOOD + b"x", b"\xff" * 33):
        bare.put(topic, cls, good, beside)
    bare.session.delete(bare.key(topic, cls), attachment=GOOD)
    bare.put(topic, cls, good, attachment.encode(7, 8, b"last" * 4))
    publisher.publish(cls())
    until(lambda: len(got) >= 2 and got[-2:] == [cls(), cls()])

    (error,) = capfd.readouterr().err.splitlines()
    assert f"Dropping a message on topic '{topic}'" in error
    (warning,) = caplog.messages
    assert f"dropping data received on '{topic}'" in warning


def test_damaged_transforms_do_not_harm_the_buffer(node, bare, until):
    buffer = Buffer()
    listener = TransformListener(buffer, node)
    good = TransformStamped(child_frame_id="child")
    good.header.frame_id = "parent"
    good.transform.rotation.w = 1.0
    payload = bytes(idl.type_support(TFMessage).serialize(TFMessage(transforms=[good])))

    for bad in damaged(payload):
        bare.put("/tf", TFMessage, bad)
        bare.put("/tf_static", TFMessage, bad)
    bare.put("/tf_static", TFMessage, payload)

    until(lambda: buffer.can_transform("parent", "child", Time()))
    listener.unregister()


def test_damaged_requests_get_no_answer_and_the_service_lives_on(node, bare, until, capfd, caplog):
    node.create_service(AddTwoInts, "/add", lambda request, response: response)
    querier = bare.session.declare_querier(bare.key("/add", AddTwoInts))
    until(lambda: querier.matching_status.matching)
    replies, ended = [], []
    requests = [(b"\x00\x01\x00\x00\x01", GOOD), (b"", GOOD), (b"x" * 20, None), (None, GOOD)]

    for payload, beside in requests:
        bare.session.get(
            bare.key("/add", AddTwoInts),
            zenoh.handlers.Callback(replies.append, lambda: ended.append(1), indirect=False),
            payload=payload,
            attachment=beside,
        )
    until(lambda: len(ended) == len(requests))

    future = node.create_client(AddTwoInts, "/add").call_async(AddTwoInts.Request())
    until(future.done)
    assert not replies
    assert future.exception() is None
    (error,) = capfd.readouterr().err.splitlines()
    (warning,) = caplog.messages
    assert "'/add'" in error
    assert "'/add'" in warning


@pytest.mark.parametrize(
    ("payload", "beside"),
    [(b"\x00\x01\x00\x00", GOOD), (b"\x00\x01\x00\x00\x01\x01\x00\x00\x00\x00", None)],
)
def test_damaged_reply_fails_the_future(node, bare, until, payload, beside):
    key = bare.key("/liar", Trigger)

    def lie(query):
        query.reply(key, payload, attachment=beside)
        query.drop()

    handler = zenoh.handlers.Callback(lie, indirect=False)
    server = bare.session.declare_queryable(key, handler, complete=True)
    token = bare.token("SS", "/liar", Trigger)
    client = node.create_client(Trigger, "/liar")
    assert client.wait_for_service(20)

    future = client.call_async(Trigger.Request())
    until(future.done)

    assert isinstance(future.exception(), ConnectionError)
    token.undeclare()
    server.undeclare()


def test_malformed_tokens_cost_one_line_each_and_hide_nobody(
    node, bare, until, caplog, make_context
):
    head = f"@ros2_lv/{bare.domain}"
    malformed = [
        f"{head}/broken",
        f"{head}/z/1/1/NN/%/%",
        f"{head}/z/x/1/NN/%/%/name",
        f"{head}/z/1/1/MP/%/%/name/%topic/type/hash",
        f"{head}/z/1/1/MP/%/%/name/%topic/type/hash/9:9:9,9:,:,:9,9",
        f"{head}/z/1/1/XX/%/%/name/%topic/type/hash/::,:,:,:,,",
    ]
    tokens = [bare.session.liveliness().declare_token(token) for token in malformed]
    tokens.append(bare.token("MP", "/after_malformed", String))
    until(lambda: node.count_publishers("/after_malformed") == 1)
    assert [sum(repr(bad) in line for line in caplog.messages) for bad in malformed] == [1] * 6

    caplog.clear()
    late = rclpy.create_node("late", context=make_context())
    until(lambda: late.count_publishers("/after_malformed") == 1)
    until(lambda: "tester" in late.get_node_names())
    assert [sum(repr(bad) in line for line in caplog.messages) for bad in malformed] == [1] * 6
    for token in tokens:
        token.undeclare()


def test_buffer_aware_publisher_of_lyrical_is_seen_and_heard_on_the_plain_key(node, bare, until):
    got = []
    node.create_subscription(Image, "/lyrical", got.append, 10)
    token = bare.token("MP", "/lyrical", Image, tail="/backends:cpu")
    until(lambda: node.count_publishers("/lyrical") == 1)
    (endpoint,) = node.get_publishers_info_by_topic("/lyrical")

    message = Image(width=2, height=1, encoding="rgb8", data=b"123456")
    bare.put("/lyrical", Image, bytes(idl.type_support(Image).serialize(message)))
    until(lambda: got)

    assert got == [message]
    assert (endpoint.node_name, endpoint.topic_type) == ("stranger", "sensor_msgs/msg/Image")
    token.undeclare()


def test_buffer_aware_subscription_of_lyrical_counts_and_hears_us(node, bare, until):
    got = []
    handler = zenoh.handlers.Callback(got.append, indirect=False)
    subscriber = bare.session.declare_subscriber(bare.key("/to_lyrical", Image), handler)
    token = bare.token("MS", "/to_lyrical", Image, tail="/backends:cpu,cuda")
    publisher = node.create_publisher(Image, "/to_lyrical", 10)
    until(publisher.get_subscription_count)

    publisher.publish(Image(width=3))
    until(lambda: got)

    assert idl.type_support(Image).deserialize(got[0].payload.to_bytes()).width == 3
    token.undeclare()
    subscriber.undeclare()


def test_our_own_tokens_have_thirteen_chunks(node, bare, until):
    node.create_subscription(Image, "/counted", print, 10)
    tokens = []

    def found():
        replies = bare.session.liveliness().get(f"@ros2_lv/{bare.domain}/**", timeout=5)
        tokens[:] = [str(reply.ok.key_expr) for reply in replies if reply.ok]
        return any("%counted" in token for token in tokens)

    until(found)

    (token,) = [token for token in tokens if "%counted" in token]
    assert len(token.split("/")) == 13
