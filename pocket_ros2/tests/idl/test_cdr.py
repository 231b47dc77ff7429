# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The wire format against rosbags as the oracle, and against hostile bytes."""

from __future__ import annotations

import random
import struct
import tracemalloc
from array import array

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocket_ros2.idl import catalogue
from pocket_ros2.idl.model import PRIMITIVES
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import Image, JointState, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger
from test_msgs.msg import MultiNested, WStrings

from pocket_ros2 import idl

STRUCTURES = sorted(
    part.name
    for package in idl.interface_packages()
    for name in idl.interfaces_in(package)
    for part in catalogue.parts(name)
)
WIDE = {n for n in STRUCTURES if "WString" in n}


def rosbags_name(name):
    package, kind, short = name.split("/")
    return name if kind == "msg" else f"{package}/msg/{kind}_{short}".replace("_", "")


def rosbags_text(name):
    lines = []
    for field in catalogue.message(name).fields:
        kind = field.type
        base = {"float": "float32", "double": "float64", "boolean": "bool", "octet": "byte"}.get(
            kind.base, kind.base
        )
        base = base.replace("/msg/", "/")
        bound = f"<={kind.string_bound}" if kind.string_bound else ""
        size = kind.size or ""
        limit = "<=" if kind.repeat == "sequence" and size else ""
        lines.append(f"{base}{bound}{f'[{limit}{size}]' if kind.repeat else ''} {field.name}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def store():
    made = get_typestore(Stores.EMPTY)
    types = {}
    for name in STRUCTURES:
        if name not in WIDE:
            types |= get_types_from_msg(rosbags_text(name), rosbags_name(name))
    made.register({n: t for n, t in types.items() if n not in made.types})
    return made


def primitive(kind):
    if kind.base == "string":
        return st.text(
            st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
            max_size=kind.string_bound or 12,
        )
    if kind.base == "boolean":
        return st.booleans()
    if kind.base == "octet":
        return st.binary(min_size=1, max_size=1)
    if kind.base == "float":
        return st.floats(width=32, allow_nan=False)
    if kind.base == "double":
        return st.floats(allow_nan=False)
    return st.integers(PRIMITIVES[kind.base].low, PRIMITIVES[kind.base].high)


@st.composite
def messages(draw, name, depth=0):
    values = {}
    for field in catalogue.message(name).fields:
        kind = field.type
        each = messages(kind.base, depth + 1) if kind.nested else primitive(kind)
        if not kind.repeat:
            values[field.name] = draw(each)
            continue
        least, most = 0, min(kind.size or 4, 2 if kind.nested else 4)
        if kind.repeat == "array":
            least = most = kind.size
        if depth > 2 and kind.repeat == "sequence" and kind.nested:
            most = 1
        values[field.name] = draw(st.lists(each, min_size=least, max_size=most))
    return idl.load(name)(**values)


def to_rosbags(store, message):
    """Rebuild a message as rosbags wants it; byte is an int there."""
    name = message._TYPE_SUPPORT.ros_name
    values = []
    for field in catalogue.message(name).members:
        kind = field.type
        value = getattr(message, field.name, 0)
        if kind.nested:
            value = (
                [to_rosbags(store, v) for v in value] if kind.repeat else to_rosbags(store, value)
            )
        elif kind.base == "octet":
            value = (
                np.array([v[0] for v in value], "u1")
                if kind.repeat
                else int.from_bytes(value, "little", signed=True)
            )
        elif kind.base in PRIMITIVES and kind.repeat:
            value = np.array(value, PRIMITIVES[kind.base].dtype or "bool")
        values.append(value)
    return store.types[rosbags_name(name)](*values)


def seeds(name):
    return settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("name", [n for n in STRUCTURES if n not in WIDE])
def test_bytes_equal_those_of_rosbags_both_ways(store, name):
    support = idl.load(name)._TYPE_SUPPORT

    @seeds(name)
    @given(messages(name))
    def check(message):
        theirs = bytes(store.serialize_cdr(to_rosbags(store, message), rosbags_name(name)))
        big = bytes(
            store.serialize_cdr(
                to_rosbags(store, message), rosbags_name(name), little_endian=False
            )
        )

        assert bytes(support.serialize(message)) == theirs
        assert support.deserialize(theirs) == message
        assert support.deserialize(memoryview(big)) == message

    check()


def test_known_bytes():
    assert (
        bytes(String._TYPE_SUPPORT.serialize(String(data="hi"))).hex()
        == "00010000030000006869" + "00"
    )
    empty = Trigger.Request._TYPE_SUPPORT
    assert bytes(empty.serialize(Trigger.Request())) == b"\0\1\0\0\0"
    assert empty.deserialize(b"\0\1\0\0\0") == Trigger.Request()


def test_wide_strings_take_four_bytes_per_utf16_unit():
    message = WStrings(wstring_value="aé😀", array_of_wstrings=["", "b", "三"])
    data = bytes(WStrings._TYPE_SUPPORT.serialize(message))
    assert data[4:24] == struct.pack("<IIIII", 4, ord("a"), ord("é"), 0xD83D, 0xDE00)
    assert WStrings._TYPE_SUPPORT.deserialize(data) == message


def test_received_arrays_are_writable_aligned_and_own_their_memory():
    support = JointState._TYPE_SUPPORT
    wire = bytearray(support.serialize(JointState(name=["abc"], position=[1.0, 2.0])))
    got = support.deserialize(wire)
    wire[:] = bytes(len(wire))
    got.position.append(3.0)
    assert got.position == array("d", [1.0, 2.0, 3.0])
    covariance = idl.load("nav_msgs/msg/Odometry")._TYPE_SUPPORT
    odometry = covariance.deserialize(
        bytes(covariance.serialize(idl.load("nav_msgs/msg/Odometry")()))
    )
    assert odometry.pose.covariance.flags["WRITEABLE"]
    assert odometry.pose.covariance.flags["ALIGNED"]
    assert odometry.pose.covariance.flags["OWNDATA"]


def test_trailing_bytes_are_ignored():
    support = String._TYPE_SUPPORT
    assert support.deserialize(bytes(support.serialize(String(data="x"))) + b"junk").data == "x"


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\0",
        b"\0\1\0\0",
        b"\0\7\0\0\1\0\0\0\0",
        b"\0\1\0\0\xff\xff\xff\xff",
        b"\0\1\0\0\5\0\0\0ab\0",
        b"\0\1\0\0\3\0\0\0\xff\xfe\0",
    ],
)
def test_corrupted_string_is_a_cdr_error(wire):
    with pytest.raises(idl.CdrError):
        String._TYPE_SUPPORT.deserialize(wire)


def test_list_with_a_wrong_element_is_a_type_error_naming_the_message():
    message = JointState(name=["a"])
    message.name.append(5)
    with pytest.raises(TypeError, match=r"cannot serialise .*sensor_msgs/msg/JointState"):
        JointState._TYPE_SUPPORT.serialize(message)
    with pytest.raises(TypeError, match="cannot serialise"):
        String._TYPE_SUPPORT.serialize(JointState())


def test_bound_and_array_lengths_are_checked_when_writing():
    message = idl.load("test_msgs/msg/BoundedSequences")()
    message.int32_values.extend([1, 2, 3, 4])
    with pytest.raises(TypeError, match="wrong length"):
        message._TYPE_SUPPORT.serialize(message)


def test_mutated_and_truncated_bytes_never_hang_nor_eat_memory():
    rng = random.Random(7)
    cloud = PointCloud2(data=bytes(range(200)))
    cloud.fields = [idl.load("sensor_msgs/msg/PointField")(name="x") for _ in range(3)]
    nested = MultiNested()
    nested.unbounded_sequence_of_unbounded_sequences = [
        idl.load("test_msgs/msg/UnboundedSequences")(string_values=["a", "bc"])
    ]
    scene = idl.load("moveit_msgs/msg/PlanningScene")()
    tracemalloc.start()
    outcomes = set()
    for message in (cloud, nested, scene, Image(data=b"abc"), WStrings(wstring_value="abc")):
        support = message._TYPE_SUPPORT
        whole = bytes(support.serialize(message))
        for _ in range(300):
            wire = bytearray(whole[: rng.randrange(len(whole) + 1)])
            for _ in range(rng.randrange(4)):
                if wire:
                    wire[rng.randrange(len(wire))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            try:
                support.deserialize(wire)
                outcomes.add("read")
            except idl.CdrError:
                outcomes.add("refused")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcomes == {"read", "refused"}
    assert peak < 30_000_000
