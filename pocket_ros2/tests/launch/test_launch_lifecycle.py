# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Launch and managed nodes: transitions asked for by events, reported as events."""

from __future__ import annotations

import pytest
from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, RegisterEventHandler, Shutdown, TimerAction
from launch.events import matches_action
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState, matches_node_name
from lifecycle_msgs.msg import Transition

MANAGED = """
def main():
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.lifecycle import LifecycleNode
    rclpy.init()
    node = LifecycleNode("managed")
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    package = tmp_path / "src" / "managed_demo"
    (package / "managed_demo").mkdir(parents=True)
    (package / "package.xml").write_text("<package><name>managed_demo</name></package>")
    (package / "setup.py").write_text(
        "setup(entry_points={'console_scripts': ['managed = managed_demo.node:main']})"
    )
    (package / "managed_demo" / "__init__.py").touch()
    (package / "managed_demo" / "node.py").write_text(MANAGED)
    monkeypatch.setenv("POCKET_ROS2_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))


def managed_node(**kwargs):
    return LifecycleNode(
        package="managed_demo",
        executable="managed",
        name="m",
        namespace="robot",
        output="screen",
        **kwargs,
    )


def run(*entities):
    service = LaunchService(noninteractive=True)
    limit = TimerAction(period=30.0, actions=[Shutdown(reason="the test took too long")])
    service.include_launch_description(LaunchDescription([*entities, limit]))
    return service.run()


def change(matcher, transition):
    event = ChangeState(lifecycle_node_matcher=matcher, transition_id=transition)
    return EmitEvent(event=event)


def test_transitions_follow_events_and_are_reported(workspace):
    node = managed_node()
    seen = []

    def on(goal, *entities):
        def note(event, context):
            seen.append((event.start_state, event.goal_state))
            return entities

        return RegisterEventHandler(
            OnStateTransition(target_lifecycle_node=node, goal_state=goal, entities=note)
        )

    code = run(
        on("inactive", change(matches_node_name("robot/m"), Transition.TRANSITION_ACTIVATE)),
        on("active", Shutdown(reason="done")),
        node,
        change(matches_action(node), Transition.TRANSITION_CONFIGURE),
    )

    assert code == 0
    assert seen == [("configuring", "inactive"), ("activating", "active")]


def test_autostart_goes_to_active_by_itself(workspace):
    node = managed_node(autostart=True)
    seen = []

    def done(event, context):
        seen.append(event.goal_state)
        return [Shutdown()]

    run(
        RegisterEventHandler(OnStateTransition(goal_state="active", entities=done)),
        node,
    )

    assert seen == ["active"]
