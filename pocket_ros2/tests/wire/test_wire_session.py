# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import os
import time

import pytest
from pocket_ros2.wire import Qos, attachment
from pocket_ros2.wire.names import data_key

_numbers = itertools.count()


@pytest.fixture
def topic():
    return f"/topic_{next(_numbers)}"


def test_publisher_reaches_subscription_with_sequence_time_and_identity(
    open_session, types, inbox, wait_graph, topic
):
    here, there, got = open_session(), open_session(), inbox()
    publisher = here.publisher(here.declare_node("/", "talker"), topic, types.text, Qos())
    there.subscriber(there.declare_node("/", "listener"), topic, types.text, Qos(), got)
    wait_graph(here.graph, publisher.matched_count)

    for number in (1, 2, 3):
        publisher.put(b"%d" % number, 1000 + number)

    assert [sample.payload.to_bytes() for sample in got.wait(3)] == [b"1", b"2", b"3"]
    assert [sample.sequence for sample in got] == [1, 2, 3]
    assert got[0].source_ns == 1001
    assert abs(got[0].received_ns - time.time_ns()) < 10e9
    assert {sample.gid for sample in got} == {publisher.gid}


def test_other_domain_and_other_hash_never_meet(session, types, inbox, topic, caplog):
    node, got = session.declare_node("/", "n"), inbox()
    other = type(types.text)(**{**vars(types.text), "rihs": "RIHS01_" + "0" * 64})
    session.subscriber(node, topic, other, Qos(), lambda _: pytest.fail("met"))
    session.subscriber(node, topic, types.text, Qos(), got)
    publisher = session.publisher(node, topic, types.text, Qos())

    publisher.put(b"x", 1)

    got.wait()
    assert publisher.matched_count() == 1
    assert caplog.text.count("type hash differs") == 1


def test_late_joiner_gets_the_last_depth_samples_of_another_process(
    start_peer, session, types, inbox
):
    start_peer("latched")
    node, latched, plain = session.declare_node("/", "late"), inbox(), inbox()
    session.subscriber(node, "/latched", types.text, Qos(), plain)
    session.subscriber(node, "/latched", types.text, Qos(durability=1, depth=9), latched)

    assert [sample.payload.to_bytes() for sample in latched.wait(3)] == [b"2", b"3", b"4"]
    assert not plain


def test_last_message_arrives_although_its_process_ends_at_once(start_peer, session, types, inbox):
    got = inbox()
    session.subscriber(session.declare_node("/", "n"), "/last_words", types.text, Qos(), got)

    peer = start_peer("last_words", ready=False)

    assert len(got.wait()[0].payload) == 1_000_000
    assert peer.wait(10) == 0


@pytest.mark.parametrize(
    ("offered", "requested", "policy"),
    [
        (Qos(reliability=2), Qos(), "RELIABILITY"),
        (Qos(), Qos(durability=1), "DURABILITY"),
        (Qos(), Qos(deadline_ns=10**9), "DEADLINE"),
    ],
)
def test_incompatible_qos_is_told_to_both_and_delivers_nothing(
    open_session, types, inbox, wait_graph, topic, offered, requested, policy
):
    here, there = open_session(), open_session()
    at_publisher, at_subscription, refused, received = inbox(), inbox(), inbox(), inbox()
    node = there.declare_node("/", "listener")
    there.subscriber(node, topic, types.text, requested, refused, at_subscription)
    there.subscriber(node, topic, types.text, offered, received)
    publisher = here.publisher(
        here.declare_node("/", "talker"), topic, types.text, offered, at_publisher
    )
    wait_graph(here.graph, publisher.matched_count)

    publisher.put(b"x", 1)

    received.wait()
    assert at_publisher.wait()[0][0] == at_subscription.wait()[0][0] == policy
    assert at_subscription[0][1].gid == publisher.gid
    assert publisher.matched_count() == 1
    assert not refused
    assert len(at_publisher) == len(at_subscription) == 1


def test_qos_matching_can_be_switched_off(open_session, types, inbox, topic, monkeypatch):
    monkeypatch.setenv("POCKET_ROS2_QOS_MATCHING", "0")
    session, got = open_session(), inbox()
    node = session.declare_node("/", "n")
    session.subscriber(node, topic, types.text, Qos(), got)

    session.publisher(node, topic, types.text, Qos(reliability=2)).put(b"x", 1)

    got.wait()


def test_foreign_samples_are_dropped_with_one_log_line(session, types, inbox, topic, caplog):
    node, got = session.declare_node("/", "n"), inbox()
    session.subscriber(node, topic, types.text, Qos(), got)
    key = data_key(session.domain_id, topic, types.text)

    for bad in (None, b"", b"x" * 32, b"x" * 33):
        session.zenoh.put(key, b"bad", attachment=bad)
    session.zenoh.put(key, b"good", attachment=attachment.encode(1, 2, b"g" * 16))

    assert [sample.payload.to_bytes() for sample in got.wait()] == [b"good"]
    assert [record.name for record in caplog.records] == ["pocket_ros2.wire"]
    assert topic in caplog.text


def test_foreign_requests_get_no_answer_and_do_not_reach_the_server(session, types, topic, caplog):
    node = session.declare_node("/", "n")
    session.service(node, topic, types.trigger, Qos(), lambda _: pytest.fail("reached"))
    key = data_key(session.domain_id, topic, types.trigger)

    assert list(session.zenoh.get(key, payload=b"x", timeout=5)) == []
    assert list(session.zenoh.get(key, attachment=b"x", timeout=5)) == []
    assert len(caplog.records) == 1


def test_tokens_of_strangers_are_ignored(open_session, types, topic, caplog, wait_graph):
    here, there = open_session(), open_session()
    domain = here.domain_id

    bad = there.zenoh.liveliness().declare_token(f"@ros2_lv/{domain}/z/1/1/MP/broken")
    there.declare_node("/", f"after{topic[1:]}")

    wait_graph(here.graph, lambda: any(n[0] == f"after{topic[1:]}" for n in here.graph.nodes()))
    assert "broken" in caplog.text
    bad.undeclare()


def test_service_answers_another_process_and_later_from_anywhere(
    start_peer, session, types, inbox, wait_graph
):
    start_peer("server")
    node, replies, requests = session.declare_node("/", "n"), inbox(), inbox()
    client = session.client(node, "/reverse", types.trigger, Qos())
    session.service(node, "/deferred", types.trigger, Qos(), requests)
    deferred = session.client(node, "/deferred", types.trigger, Qos())
    wait_graph(session.graph, client.ready)

    client.call(b"abc", 1, replies)
    assert replies.wait()[0].to_bytes() == b"cba"

    deferred.call(b"later", 42, replies)
    request = requests.wait()[0]
    assert (request.sequence, request.gid) == (42, deferred.gid)
    assert len(replies) == 1
    request.reply(b"now")
    request.reply(b"again")
    assert [reply.to_bytes() for reply in replies.wait(2)] == [b"cba", b"now"]


def test_a_call_that_nobody_will_answer_ends_with_none(session, types, inbox, topic):
    node, replies = session.declare_node("/", "n"), inbox()
    client = session.client(node, topic, types.trigger, Qos())
    assert not client.ready()

    client.call(b"x", 1, replies)
    assert replies.wait() == [None]

    server = session.service(node, topic, types.trigger, Qos(), lambda request: request.drop())
    assert client.ready()
    client.call(b"x", 2, replies)
    assert replies.wait(2) == [None, None]
    server.close()
    assert not client.ready()


def test_graph_shows_own_and_other_entities_until_they_close(
    open_session, types, wait_graph, topic
):
    here, there = open_session(), open_session()
    node = there.declare_node("/ns", "n")
    publisher = there.publisher(node, topic, types.text, Qos(depth=10))
    assert there.graph.endpoints("MP", topic)[0].gid == publisher.gid

    wait_graph(here.graph, lambda: here.graph.endpoints("MP", topic))
    (endpoint,) = here.graph.endpoints(node=("/ns", "n"))
    assert (endpoint.topic, endpoint.type_name) == (topic, "std_msgs/msg/String")
    assert (endpoint.gid, endpoint.qos.depth) == (publisher.gid, 10)
    assert ("n", "/ns", "/") in here.graph.nodes()
    assert here.graph.endpoints("MS", topic) == []

    publisher.close()
    publisher.close()
    node.close()
    assert there.graph.endpoints(topic=topic) == []
    wait_graph(here.graph, lambda: not here.graph.endpoints(topic=topic))
    wait_graph(here.graph, lambda: ("n", "/ns", "/") not in here.graph.nodes())


def test_a_new_session_knows_the_graph_at_once(start_peer, open_session):
    start_peer("server")

    session = open_session()

    assert ("peer", "/far", "/") in session.graph.nodes()
    assert session.graph.endpoints("SS", "/reverse")


def test_nothing_is_delivered_after_close(session, types, inbox, topic):
    node, got = session.declare_node("/", "n"), inbox()
    publisher = session.publisher(node, topic, types.text, Qos())
    first = session.subscriber(node, topic, types.text, Qos(), lambda _: pytest.fail("closed"))
    session.subscriber(node, topic, types.text, Qos(), got)
    first.close()

    publisher.put(b"x", 1)
    got.wait()
    publisher.close()

    with pytest.raises(RuntimeError, match=topic):
        publisher.put(b"x", 1)


def test_domains_are_separate(open_session, monkeypatch):
    here = open_session()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(int(os.environ["ROS_DOMAIN_ID"]) + 1))

    open_session().declare_node("/", "elsewhere")

    assert "elsewhere" not in [name for name, _, _ in here.graph.nodes()]
