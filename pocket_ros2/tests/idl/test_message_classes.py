# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Message classes behave like those that rosidl generates."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from array import array
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Time
from example_interfaces.action import Fibonacci
from example_interfaces.srv import AddTwoInts
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovariance, Quaternion
from sensor_msgs.msg import Image, JointState, LaserScan
from std_msgs.msg import Byte, Float32, Int8, String, UInt8
from test_msgs.msg import Arrays, BoundedSequences, Constants, Defaults, Strings, WStrings
from test_msgs.msg import UnboundedSequences as Sequences

from pocket_ros2 import idl


def test_defaults_come_from_the_definition_and_are_not_shared():
    assert Quaternion().w == 1.0
    assert Defaults().int8_value == -50
    assert Defaults().byte_value == bytes([50])
    assert Pose().position is not Pose().position
    assert Strings().string_value_default4 == "Hello'world!"
    assert Arrays().int16_values_default.tolist() == [0, 32767, -32768]
    assert Sequences().string_values_default == ["", "max value", "min value"]


def test_constructor_takes_keywords_only():
    assert Point(x=1.0).x == 1.0
    with pytest.raises(TypeError):
        Point(1.0)
    with pytest.raises(AssertionError, match="has no field a; its fields: x, y, z"):
        Point(a=1.0)
    with pytest.raises(AssertionError):
        Point(x=None)
    with pytest.raises(NotImplementedError, match="check_fields"):
        Point(check_fields=False)


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        (String(), "data", 5),
        (String(), "data", b"bytes"),
        (Int8(), "data", 128),
        (Int8(), "data", 1.0),
        (UInt8(), "data", -1),
        (UInt8(), "data", np.uint8(1)),
        (Point(), "x", 1),
        (Float32(), "data", 1e39),
        (Byte(), "data", b"12"),
        (Byte(), "data", 1),
        (PoseStamped(), "header", Pose()),
        (PoseStamped(), "pose", None),
        (Strings(), "bounded_string_value", "x" * 23),
        (JointState(), "position", [1, 2]),
        (JointState(), "position", "text"),
        (JointState(), "position", array("f", [1.0])),
        (JointState(), "position", np.zeros((2, 2))),
        (JointState(), "name", "joint"),
        (JointState(), "name", [1]),
        (LaserScan(), "ranges", np.array(["a"])),
        (Image(), "data", np.zeros(3)),
        (Image(), "data", [256]),
        (Image(), "data", np.array([256])),
        (BoundedSequences(), "int32_values", [1, 2, 3, 4]),
        (PoseWithCovariance(), "covariance", [0.0] * 35),
        (PoseWithCovariance(), "covariance", np.zeros(35)),
        (PoseWithCovariance(), "covariance", np.zeros((6, 6))),
        (Arrays(), "string_values", ["a", "b"]),
        (Arrays(), "bool_values", [1, 2, 3]),
    ],
)
def test_wrong_value_is_an_assertion_naming_the_field(message, field, value):
    with pytest.raises(AssertionError, match=f"field '{field}' must"):
        setattr(message, field, value)


def test_checks_of_values_can_be_switched_off_by_the_variable_of_rosidl():
    code = (
        "import pocket_ros2; pocket_ros2.activate(); from geometry_msgs.msg import Point; "
        "message = Point(x=1); support = Point._TYPE_SUPPORT; "
        "print(message.x, support.deserialize(support.serialize(message)).x)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ROS_PYTHON_CHECK_FIELDS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["1", "1.0"]


def test_unknown_attribute_cannot_be_set():
    with pytest.raises(AttributeError):
        Point().w = 1.0


def test_number_sequences_are_arrays_whatever_they_are_set_from():
    message = JointState(position=[1, 2.5])
    assert message.position == array("d", [1.0, 2.5])
    for value in ([1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0]), np.array([1, 2])):
        message.position = value
        assert message.position == array("d", [1.0, 2.0])
    message.position.append(3.0)
    assert len(message.position) == 3

    image = Image()
    for value in (
        b"abc",
        bytearray(b"abc"),
        memoryview(b"abc"),
        [97, 98, 99],
        np.frombuffer(b"abc", "u1"),
    ):
        image.data = value
        assert image.data == array("B", b"abc")
    shared = array("B", b"xyz")
    image.data = shared
    assert image.data is shared
    assert Image(data=shared).data is not shared

    scan = LaserScan()
    scan.ranges = np.array([1.0, np.inf, np.nan])
    assert scan.ranges.typecode == "f"


def test_fixed_number_arrays_are_ndarrays():
    message = PoseWithCovariance()
    assert message.covariance.dtype == np.float64
    assert message.covariance.shape == (36,)
    mine = np.arange(36.0)
    message.covariance = mine
    assert message.covariance is mine
    message.covariance = [0.0] * 36
    message.covariance[7] = 1.0
    given = array("d", [0.0] * 36)
    message.covariance = given
    message.covariance[0] = 1.0
    assert given[0] == 0.0
    assert PoseWithCovariance(covariance=range(36)).covariance[35] == 35.0


def test_constants_are_on_class_and_instance_and_read_only():
    assert GoalStatus.STATUS_SUCCEEDED == GoalStatus().STATUS_SUCCEEDED == 4
    assert Constants.BYTE_CONST[0] == 50
    assert Defaults.INT8_VALUE__DEFAULT == -50
    with pytest.raises(AttributeError):
        GoalStatus.STATUS_SUCCEEDED = 5
    with pytest.raises(AttributeError):
        GoalStatus().STATUS_SUCCEEDED = 5


def test_fields_and_their_types_are_listed_as_ros_spells_them():
    listed = JointState.get_fields_and_field_types()
    assert listed["header"] == "std_msgs/Header"
    assert listed["position"] == "sequence<double>"
    fields = BoundedSequences().get_fields_and_field_types()
    assert fields["bool_values"] == "sequence<boolean, 3>"
    assert fields["char_values"] == "sequence<uint8, 3>"
    assert Strings.get_fields_and_field_types()["bounded_string_value"] == "string<22>"
    assert WStrings.get_fields_and_field_types()["array_of_wstrings"] == "wstring[3]"
    assert Point.__slots__ == ("_x", "_y", "_z")


def test_equality_repr_and_hash():
    assert Time(sec=1) == Time(sec=1) != Time(sec=2)
    assert Time() != Point()
    assert PoseWithCovariance() == PoseWithCovariance()
    changed = PoseWithCovariance()
    changed.covariance[3] = 1.0
    assert changed != PoseWithCovariance()
    assert repr(String(data="x")) == "std_msgs.msg.String(data='x')"
    assert repr(Image(data=b"ab")).endswith("data=[97, 98])")
    assert repr(AddTwoInts.Request(a=1)) == "example_interfaces.srv.AddTwoInts_Request(a=1, b=0)"
    with pytest.raises(TypeError):
        hash(Time())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_independent(duplicate):
    for original in (
        PoseStamped(),
        Arrays(),
        Sequences(),
        AddTwoInts.Request(a=3),
        Fibonacci.Goal(),
    ):
        other = duplicate(original)
        assert other == original
        assert type(other) is type(original)
    pose = PoseStamped()
    duplicate(pose).pose.position.x = 1.0
    assert pose.pose.position.x == 0.0


def test_services_and_actions_have_their_parts():
    assert AddTwoInts._TYPE_SUPPORT.dds_name == "example_interfaces::srv::dds_::AddTwoInts_"
    with pytest.raises(NotImplementedError):
        AddTwoInts()
    with pytest.raises(NotImplementedError, match=r"AddTwoInts\.Event"):
        _ = AddTwoInts.Event
    goal = Fibonacci.Impl.SendGoalService.Request()
    goal.goal = Fibonacci.Goal(order=3)
    assert goal.goal_id.uuid.dtype == np.uint8
    support = Fibonacci.Impl.SendGoalService._TYPE_SUPPORT
    assert support.dds_name == "example_interfaces::action::dds_::Fibonacci_SendGoal_"
    assert Fibonacci.Impl.FeedbackMessage(
        feedback=Fibonacci.Feedback()
    ).feedback.sequence == array("i")
    assert Fibonacci.Impl.GoalStatusMessage is idl.load("action_msgs/msg/GoalStatusArray")


def test_type_support_of_something_else_is_a_type_error():
    assert idl.type_support(String).ros_name == "std_msgs/msg/String"
    for other in (int, String(), "std_msgs/msg/String", idl.Message):
        with pytest.raises(TypeError, match="is not a message"):
            idl.type_support(other)


def test_modules_import_in_every_way_ros_code_does():
    from std_msgs.msg._string import String as Private

    assert Private is String
    namespace = {}
    exec("from std_srvs.srv import *", namespace)
    assert "Trigger" in namespace
    with pytest.raises(ImportError):
        exec("from std_msgs.msg import Strin")
    with pytest.raises(ImportError):
        exec("import std_msgs.srv")


def test_messages_without_arrays_do_not_import_numpy():
    code = (
        "import pocket_ros2, sys; pocket_ros2.activate();"
        "from geometry_msgs.msg import PoseStamped;"
        "from sensor_msgs.msg import Image; s = Image._TYPE_SUPPORT;"
        "s.deserialize(s.serialize(Image(data=b'x'))); PoseStamped();"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_threads_that_ask_at_once_get_the_same_class():
    names = [n for n in idl.interfaces_in("vision_msgs") if "/msg/" in n]
    start = threading.Barrier(4)

    def load():
        start.wait(10)
        return [idl.load(name) for name in names]

    with ThreadPoolExecutor(4) as pool:
        results = [f.result(30) for f in [pool.submit(load) for _ in range(4)]]
    assert all(one is other for one, *others in zip(*results, strict=True) for other in others)


def test_workspace_packages_are_generated_at_first_import(tmp_path, monkeypatch):
    package = tmp_path / "src" / "my_msgs"
    (package / "msg").mkdir(parents=True)
    (package / "package.xml").write_text("<package><name>my_msgs</name></package>")
    (package / "msg" / "Mine.msg").write_text("geometry_msgs/Point[] points\nuint8 KIND=3\n")
    monkeypatch.setenv("POCKET_ROS2_WORKSPACE", str(tmp_path))

    from my_msgs.msg import Mine

    again = Mine._TYPE_SUPPORT.deserialize(Mine._TYPE_SUPPORT.serialize(Mine(points=[Point()])))
    assert again.points == [Point()]
    assert Mine.KIND == 3
    assert "my_msgs" in idl.interface_packages()
