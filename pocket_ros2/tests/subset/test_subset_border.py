# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What ROS 2 has and we do not is refused by name; all else behaves as Python does."""

from __future__ import annotations

import importlib
import inspect
import re
import sys

import pytest
import rclpy
from rclpy.clock import Clock
from rclpy.node import Node

from pocket_ros2 import subset, workspace


@pytest.mark.parametrize(
    ("statement", "api"),
    [
        ("from rclpy.executors import TimeoutObject", "rclpy.executors.TimeoutObject"),
        ("from launch.actions import ForLoop", "launch.actions.ForLoop"),
        ("from launch import frontend", "launch.frontend"),
        ("import tf2_ros; tf2_ros.BufferClient", "tf2_ros.BufferClient"),
        ("import rclpy.event_handler", "rclpy.event_handler"),
        ("from rclpy import event_handler", "rclpy.event_handler"),
        ("from rclpy.waitable import Waitable", "rclpy.waitable"),
        ("import launch.frontend.parser", "launch.frontend"),
        ("from launch.actions.for_loop import ForEach", "launch.actions.for_loop"),
        ("import rosbag2_py", "rosbag2_py"),
    ],
)
def test_what_only_ros_2_has_is_refused_by_its_full_name(statement, api):
    with pytest.raises(NotImplementedError, match=rf"^{re.escape(api)} is not part of"):
        exec(statement, {})


def test_a_missing_module_can_be_handled_as_an_import_error():
    with pytest.raises(ImportError, match=r"^rclpy\.experimental is not part"):
        importlib.import_module("rclpy.experimental.events_executor")


def test_what_ros_2_does_not_have_either_is_an_ordinary_error():
    assert not hasattr(rclpy, "no_such_name")
    assert not hasattr(Node, "no_such_method")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rclpy.no_such_name
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("rclpy.no_such_module")
    assert not isinstance(caught.value, NotImplementedError)
    with pytest.raises(ImportError) as caught:
        exec("from rclpy.node import NoSuchName", {})
    assert not isinstance(caught.value, NotImplementedError)


def test_a_refused_method_raises_when_it_is_called():
    node = object.__new__(Node)

    with pytest.raises(NotImplementedError, match=r"rclpy\.node\.Node\.add_waitable "):
        node.add_waitable(None)


def test_a_refused_class_method_raises_when_it_is_called():
    from launch import Action

    with pytest.raises(NotImplementedError, match=r"launch\.action\.Action\.parse "):
        Action.parse(None, None)


def test_a_refused_property_raises_when_it_is_read():
    with pytest.raises(NotImplementedError, match=r"rclpy\.clock\.Clock\.handle "):
        _ = Clock().handle


def test_classes_can_be_looked_at_without_an_error():
    assert {"add_waitable", "create_timer"} <= dict(inspect.getmembers(Node)).keys()


def test_a_program_may_define_what_we_refuse():
    class Mine(Node):
        def add_waitable(self, waitable):
            return waitable

    node = object.__new__(Mine)
    node.PARAM_REL_TOL = 0.5

    assert (node.add_waitable(3), node.PARAM_REL_TOL) == (3, 0.5)


def test_a_submodule_of_ros_2_offers_the_same_classes_as_our_package():
    import launch.actions
    import launch_ros
    from launch.actions.timer_action import TimerAction
    from launch.substitutions.launch_configuration import LaunchConfiguration
    from launch_ros.substitutions.find_package import FindPackageShare

    assert TimerAction is launch.actions.TimerAction
    assert LaunchConfiguration is launch.substitutions.LaunchConfiguration
    assert FindPackageShare is launch_ros.substitutions.FindPackageShare


def test_a_submodule_refuses_the_names_that_our_package_does_not_have():
    with pytest.raises(NotImplementedError, match=r"assert_output\.assertInStream"):
        exec("from launch_testing.asserts.assert_output import assertInStream", {})


@pytest.mark.parametrize("module", sorted(subset.upstream().modules))
def test_every_module_of_ros_2_is_importable_or_refused(module):
    try:
        loaded = importlib.import_module(module)
    except subset.UnsupportedModuleError:
        return
    for name in set(subset.upstream().modules[module]) - vars(loaded).keys():
        with pytest.raises(NotImplementedError, match=re.escape(f"{module}.{name}")):
            getattr(loaded, name)


def test_no_module_of_ours_hides_behind_a_refused_name():
    for module in subset.upstream().modules:
        ours = workspace.SITE.joinpath(*module.split("."))
        for path in [*ours.glob("[!_]*.py"), *ours.glob("[!_]*/__init__.py")]:
            name = path.parent.name if path.name == "__init__.py" else path.stem
            loaded = importlib.import_module(f"{module}.{name}")
            assert (
                name not in subset.upstream().modules[module]
                or vars(sys.modules[module]).get(name) is loaded
            )
