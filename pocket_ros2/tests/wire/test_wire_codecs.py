# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocket_ros2.wire import attachment, qos
from pocket_ros2.wire.attachment import AttachmentError
from pocket_ros2.wire.config import ConfigError, parse_override, session_config
from pocket_ros2.wire.graph import Graph
from pocket_ros2.wire.names import (
    NodeInfo,
    TokenError,
    data_key,
    endpoint_token,
    node_token,
    parse_token,
)
from pocket_ros2.wire.qos import INFINITE, Qos, QosError, incompatible_policies

IMAGE = SimpleNamespace(
    ros_name="sensor_msgs/msg/Image",
    dds_name="sensor_msgs::msg::dds_::Image_",
    rihs="RIHS01_" + "c" * 64,
)
NODE = NodeInfo("a1b2", 4, "/", "/robot", "camera")
durations = st.one_of(st.just(INFINITE), st.integers(1, INFINITE))
profiles = st.builds(
    Qos,
    reliability=st.sampled_from([1, 2]),
    durability=st.sampled_from([1, 2]),
    history=st.sampled_from([1, 2]),
    depth=st.integers(1, 10_000),
    deadline_ns=durations,
    lifespan_ns=durations,
    liveliness=st.sampled_from([1, 3]),
    lease_ns=durations,
)
names = st.from_regex(re.compile(r"(/[a-z_][a-z0-9_]{0,5}){1,4}", re.ASCII), fullmatch=True)


@given(profiles)
def test_every_qos_survives_the_wire(profile):
    assert qos.decode(qos.encode(profile)) == profile


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (Qos(), "::,:,:,:,,"),
        (Qos(depth=10), "::,10:,:,:,,"),
        (Qos(depth=0), "::,:,:,:,,"),
        (Qos(reliability=2, durability=1, history=2), "2:1:2,:,:,:,,"),
        (Qos(deadline_ns=1_500_000_000, lease_ns=1), "::,:1,500000000:,:,0,1"),
    ],
)
def test_default_values_are_left_out_of_the_qos_text(profile, text):
    assert qos.encode(profile) == text


@given(st.text(max_size=20))
def test_any_text_is_a_qos_or_a_qos_error(text):
    try:
        decoded = qos.decode(text)
    except QosError:
        return
    assert qos.decode(qos.encode(decoded)) == decoded


@pytest.mark.parametrize("text", ["", "::", "3::,:,:,:,,", "::,-1:,:,:,,", "::,x:,:,:,,", "a" * 9])
def test_malformed_qos_is_refused(text):
    with pytest.raises(QosError):
        qos.decode(text)


@given(profiles)
def test_a_profile_matches_itself(profile):
    assert incompatible_policies(profile, profile) == []


@pytest.mark.parametrize(
    ("offered", "requested", "policies"),
    [
        (Qos(reliability=2), Qos(), ["RELIABILITY"]),
        (Qos(), Qos(reliability=2), []),
        (Qos(), Qos(durability=1), ["DURABILITY"]),
        (Qos(durability=1), Qos(), []),
        (Qos(), Qos(deadline_ns=5), ["DEADLINE"]),
        (Qos(deadline_ns=5), Qos(deadline_ns=6), []),
        (Qos(liveliness=1), Qos(liveliness=3), ["LIVELINESS"]),
        (Qos(lease_ns=7), Qos(lease_ns=6), ["LIVELINESS"]),
        (Qos(reliability=2), Qos(durability=1), ["DURABILITY", "RELIABILITY"]),
    ],
)
def test_matching_follows_the_rules_of_dds(offered, requested, policies):
    assert incompatible_policies(offered, requested) == policies


@given(st.integers(1, 2**63 - 1), st.integers(0, 2**63 - 1), st.binary(min_size=16, max_size=16))
def test_attachment_round_trip(sequence, source_ns, gid):
    data = attachment.encode(sequence, source_ns, gid)

    assert len(data) == 33
    assert attachment.decode(data) == (sequence, source_ns, gid)


@given(st.none() | st.binary(max_size=64).filter(lambda data: len(data) != 33))
def test_foreign_attachments_are_refused(data):
    with pytest.raises(AttachmentError):
        attachment.decode(data)


def test_gid_is_the_little_endian_xxh3_of_the_token():
    # XXH3-128 of nothing is 0x99aa06d3014798d86001c324468d497f in its published test vectors.
    assert attachment.gid_of("").hex() == "7f498d4624c30160d8984701d306aa99"


def test_data_key_keeps_inner_slashes():
    assert data_key(5, "/robot/image", IMAGE) == (
        f"5/robot/image/sensor_msgs::msg::dds_::Image_/{IMAGE.rihs}"
    )


def test_root_namespace_and_default_enclave_are_one_percent_sign():
    token = node_token(0, NodeInfo("f0", 2, "/", "/", "talker"))

    assert token == "@ros2_lv/0/f0/2/2/NN/%/%/talker"
    assert parse_token(token) == NodeInfo("f0", 2, "/", "/", "talker")


@given(names, profiles, st.sampled_from(["MP", "MS", "SS", "SC"]))
def test_endpoint_token_round_trip(name, profile, kind):
    token = endpoint_token(7, NODE, 9, kind, name, IMAGE, profile)

    endpoint = parse_token(token)

    assert len(token.split("/")) == 13
    assert (endpoint.kind, endpoint.topic, endpoint.qos) == (kind, name, profile)
    assert (endpoint.namespace, endpoint.node, endpoint.zid) == ("/robot", "camera", "a1b2")
    assert (endpoint.type_name, endpoint.type_hash) == (IMAGE.ros_name, IMAGE.rihs)
    assert endpoint.gid == attachment.gid_of(token)


def test_buffer_aware_endpoints_have_a_fourteenth_chunk():
    token = endpoint_token(7, NODE, 9, "MP", "/image", IMAGE, Qos()) + "/backends:cpu"

    assert parse_token(token).topic == "/image"


GOOD = endpoint_token(7, NODE, 9, "MS", "/image", IMAGE, Qos(depth=10))


@given(st.integers(0, len(GOOD) - 1), st.sampled_from(["", "/", "//", "x", "%", ":", ",", "é"]))
def test_a_damaged_token_never_breaks_the_graph(position, damage):
    graph = Graph()

    graph.add(GOOD[:position] + damage + GOOD[position + 1 :])
    graph.add(GOOD)

    assert parse_token(GOOD) in graph.endpoints()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "@ros2_lv/7/z/1/1/NN/%/%",
        "@ros2_lv/7/z/1/1/NN/%//n",
        "@ros2_lv/7/z/a/1/NN/%/%/n",
        "@ros2_lv/7/z/1/1/XX/%/%/n",
        GOOD.rsplit("/", 1)[0],
        GOOD.rsplit("/", 1)[0] + "/::",
        GOOD + "/a/b",
    ],
)
def test_malformed_tokens_are_refused_and_logged_once(token, caplog):
    with pytest.raises(TokenError):
        parse_token(token)

    graph = Graph()
    graph.add(token)

    assert len(caplog.records) == 1
    assert "malformed liveliness token" in caplog.text
    assert not graph.nodes()
    assert not graph.endpoints()


def test_two_definitions_of_a_type_on_one_topic_are_reported_once(caplog):
    graph = Graph()
    graph.add(GOOD)
    for number in (1, 2):
        other = SimpleNamespace(**{**vars(IMAGE), "rihs": f"RIHS01_{number}"})
        graph.add(endpoint_token(7, NODE, number, "MP", "/image", other, Qos()))

    assert [record.message.startswith("type hash differs") for record in caplog.records] == [True]


def test_graph_changes_are_told_until_forgotten():
    graph, calls = Graph(), []
    forget = graph.on_change(lambda: calls.append(len(graph.endpoints())))

    graph.add(GOOD)
    graph.add(GOOD)
    graph.remove(GOOD)
    graph.remove(GOOD)
    forget()
    graph.add(GOOD)

    assert calls == [1, 0]


def test_override_is_split_as_rmw_zenoh_does():
    text = 'connect/endpoints=["tcp/a:1"]; transport/shared_memory/enabled=true;'

    assert parse_override(text) == [
        ("connect/endpoints", '["tcp/a:1"]'),
        ("transport/shared_memory/enabled", "true"),
    ]


@pytest.mark.parametrize("text", ["mode", "=1", "no/such/setting=1", 'mode="neither"'])
def test_a_wrong_override_is_named(text):
    with pytest.raises(ConfigError, match="ZENOH_CONFIG_OVERRIDE"):
        session_config({"ZENOH_CONFIG_OVERRIDE": text})


def test_a_missing_configuration_file_is_named():
    with pytest.raises(ConfigError, match="/no/such/file"):
        session_config({"ZENOH_SESSION_CONFIG_URI": "/no/such/file.json5"})
