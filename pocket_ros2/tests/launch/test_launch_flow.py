# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Substitutions, scopes, events and arguments, without processes where none are needed."""

from __future__ import annotations

import os
import re
import sys
import textwrap

import pytest
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
    UnregisterEventHandler,
)
from launch.conditions import (
    IfCondition,
    UnlessCondition,
)
from launch.event_handlers import EventHandler, OnExecutionComplete, OnShutdown
from launch.events import Event
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    AllSubstitution,
    AndSubstitution,
    AnySubstitution,
    Command,
    EnvironmentVariable,
    EqualsSubstitution,
    FindExecutable,
    IfElseSubstitution,
    LaunchConfiguration,
    LocalSubstitution,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
    PathJoinSubstitution,
    PathSubstitution,
    PythonExpression,
    SubstitutionFailure,
    TextSubstitution,
    ThisLaunchFileDir,
)


@pytest.fixture(autouse=True)
def kept_environment(monkeypatch, tmp_path):
    saved = dict(os.environ)
    os.environ["ROS_LOG_DIR"] = str(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(saved)


def run(*entities, **kwargs):
    service = LaunchService(**kwargs)
    service.include_launch_description(LaunchDescription(entities))
    return service.run(), service.context


def note(log, text):
    """An action that performs a text and adds it to a list."""
    return OpaqueFunction(function=lambda c: log.append("".join(s.perform(c) for s in text)))


@pytest.mark.parametrize(
    ("substitution", "expected"),
    [
        (TextSubstitution(text="a"), "a"),
        (LaunchConfiguration("x"), "1"),
        (LaunchConfiguration(["x", "y"], default=5), "5"),
        (PathJoinSubstitution(["a", ["b", LaunchConfiguration("x")]]) / "c.py", "a/b1/c.py"),
        (PathSubstitution(LaunchConfiguration("x")) / "b" / "c.py", "1/b/c.py"),
        (EnvironmentVariable("NOT_THERE", default_value="d"), "d"),
        (PythonExpression(["1 + ", LaunchConfiguration("x")]), "2"),
        (PythonExpression("sqrt(math.pi * 0 + 4)"), "2.0"),
        (PythonExpression("os.sep", python_modules=["os"]), "/"),
        (EqualsSubstitution(1.0, "1.00"), "true"),
        (EqualsSubstitution("True", 1), "true"),
        (EqualsSubstitution("a", "b"), "false"),
        (NotEqualsSubstitution("a", "b"), "true"),
        (AndSubstitution("true", "false"), "false"),
        (OrSubstitution("true", "false"), "true"),
        (AnySubstitution("false", "false", "true"), "true"),
        (AllSubstitution("true", "true", "false"), "false"),
        (NotSubstitution("false"), "true"),
        (IfElseSubstitution("false", "a", ["b", LaunchConfiguration("x")]), "b1"),
        (Command([sys.executable, " -c 'print(3, end=str())'"]), "3"),
    ],
)
def test_substitution_is_performed(substitution, expected):
    context = LaunchContext()
    context.launch_configurations["x"] = "1"

    assert substitution.perform(context) == expected


@pytest.mark.parametrize(
    "substitution",
    [
        LaunchConfiguration("absent"),
        EnvironmentVariable("NOT_THERE"),
        FindExecutable(name="no_such_program"),
        Command("false"),
        Command([sys.executable, " -c 'import sys; print(1, file=sys.stderr)'"]),
        PythonExpression("1 +"),
        NotSubstitution("perhaps"),
        ThisLaunchFileDir(),
    ],
)
def test_substitution_that_cannot_be_performed_is_a_typed_failure(substitution):
    with pytest.raises(SubstitutionFailure):
        substitution.perform(LaunchContext())


def test_substitutions_are_resolved_when_visited_not_when_written():
    log = []

    code, _ = run(
        SetLaunchConfiguration("x", "first"),
        SetLaunchConfiguration("y", [LaunchConfiguration("x"), "!"]),
        SetLaunchConfiguration("x", "second"),
        note(log, [LaunchConfiguration("y"), LaunchConfiguration("x")]),
    )

    assert (code, log) == (0, ["first!second"])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (IfCondition("TRUE "), True),
        (IfCondition("0"), False),
        (UnlessCondition("1"), False),
        (IfCondition(EqualsSubstitution("a", "a")), True),
    ],
)
def test_condition(condition, expected):
    assert condition.evaluate(LaunchContext()) is expected


def test_condition_that_is_no_boolean_ends_the_launch_with_an_error(capsys):
    code, _ = run(LogInfo(msg="x", condition=IfCondition("maybe")))

    assert code == 1
    assert "invalid condition expression 'maybe'" in capsys.readouterr().out


def test_group_keeps_configurations_and_environment_inside():
    log = []

    run(
        SetLaunchConfiguration("x", "outer"),
        GroupAction(
            [
                SetLaunchConfiguration("x", "inner"),
                SetEnvironmentVariable("GROUP_ONLY", "1"),
                AppendEnvironmentVariable("GROUP_ONLY", "0", prepend=True),
                note(log, [LaunchConfiguration("x"), EnvironmentVariable("GROUP_ONLY")]),
            ]
        ),
        GroupAction(
            [note(log, [LaunchConfiguration("x", default="none"), LaunchConfiguration("y")])],
            forwarding=False,
            launch_configurations={"y": LaunchConfiguration("x")},
        ),
        GroupAction([SetLaunchConfiguration("z", "kept")], scoped=False),
        note(log, [LaunchConfiguration("x"), LaunchConfiguration("z")]),
    )

    assert log == ["inner0:1", "noneouter", "outerkept"]
    assert "GROUP_ONLY" not in os.environ


def test_missing_argument_is_an_error_that_names_it(capsys):
    code, _ = run(DeclareLaunchArgument("speed", description="metres per second"))

    assert code == 1
    assert 'Required launch argument "speed"' in capsys.readouterr().out


def test_argument_outside_its_choices_is_an_error(capsys):
    code, _ = run(
        SetLaunchConfiguration("mode", "C"), DeclareLaunchArgument("mode", choices=["A", "B"])
    )

    assert code == 1
    assert "Valid options are: ['A', 'B']" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="not in provided choices"):
        DeclareLaunchArgument("mode", default_value="C", choices=["A", "B"])


def write_launch_file(path, body):
    path.write_text("from launch import *\nfrom launch.actions import *\n" + textwrap.dedent(body))
    return str(path)


def test_include_passes_arguments_and_knows_its_folder(tmp_path):
    log = []
    inner = write_launch_file(
        tmp_path / "inner.launch.py",
        """
        from launch.substitutions import *
        def generate_launch_description():
            return LaunchDescription([
                DeclareLaunchArgument("a"),
                SetLaunchConfiguration("out", [LaunchConfiguration("a"), ThisLaunchFileDir()]),
            ])
        """,
    )

    code, _ = run(
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource([str(tmp_path), "/inner.launch.py"]),
            launch_arguments={"a": "1"}.items(),
        ),
        note(log, [LaunchConfiguration("out")]),
        OpaqueFunction(function=lambda c: log.append(c.locals.current_launch_file_path)),
    )

    assert (code, log) == (0, [f"1{tmp_path}", None])
    assert inner


def test_include_without_required_argument_names_what_was_given(tmp_path, capsys):
    path = write_launch_file(
        tmp_path / "x.launch.py",
        """
        def generate_launch_description():
            return LaunchDescription([DeclareLaunchArgument("a")])
        """,
    )

    code, _ = run(IncludeLaunchDescription(path, launch_arguments=[("b", "1")]))

    assert code == 1
    assert "missing required argument 'a'" in capsys.readouterr().out


def test_place_of_an_include_may_depend_on_an_argument_with_a_default(tmp_path):
    log = []
    for name in ("default", "chosen"):
        write_launch_file(
            tmp_path / f"{name}.py",
            f"""
            def generate_launch_description():
                return LaunchDescription([SetLaunchConfiguration("loaded", "{name}")])
            """,
        )
    place = [str(tmp_path), "/", LaunchConfiguration("which", default="default"), ".py"]
    include = IncludeLaunchDescription(place)
    nowhere = IncludeLaunchDescription("/no/such.py", condition=IfCondition("false"))

    assert LaunchDescription([include, nowhere]).get_launch_arguments() == []
    code, _ = run(
        SetLaunchConfiguration("which", "chosen"),
        include,
        nowhere,
        note(log, [LaunchConfiguration("loaded")]),
    )

    assert (code, log) == (0, ["chosen"])


def test_debug_shows_the_traceback(capsys):
    run(OpaqueFunction(function=lambda c: 1 / 0), debug=True)
    from launch.logging import launch_config, logging

    launch_config.level = logging.INFO
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_other_launch_formats_are_refused_by_name(tmp_path, capsys):
    code, _ = run(IncludeLaunchDescription(str(tmp_path / "x.launch.xml")))

    assert code == 1
    assert "not part of pocket_ros2" in capsys.readouterr().out


def test_timer_runs_its_actions_and_keeps_the_launch_alive():
    log = []

    code, _ = run(TimerAction(period=0.05, actions=[note(log, [TextSubstitution(text="late")])]))

    assert (code, log) == (0, ["late"])


def test_timer_does_not_outlive_a_shutdown():
    log = []

    run(
        TimerAction(period=60.0, actions=[note(log, [TextSubstitution(text="late")])]),
        Shutdown(reason="done"),
    )

    assert log == []


def test_shutdown_handlers_see_the_reason():
    log = []

    run(
        RegisterEventHandler(
            OnShutdown(on_shutdown=[note(log, [LocalSubstitution("event.reason")])])
        ),
        Shutdown(reason="because"),
    )

    assert log == ["because"]


class Ping(Event):
    pass


def test_handlers_react_once_or_always_and_can_be_unregistered():
    log = []
    always = EventHandler(
        matcher=lambda e: isinstance(e, Ping), entities=lambda e, c: log.append("a")
    )
    once = EventHandler(
        matcher=lambda e: isinstance(e, Ping),
        entities=lambda e, c: log.append("o"),
        handle_once=True,
    )
    last = LogInfo(msg="last")

    run(
        RegisterEventHandler(always),
        RegisterEventHandler(once),
        EmitEvent(event=Ping()),
        EmitEvent(event=Ping()),
        RegisterEventHandler(
            OnExecutionComplete(
                target_action=last,
                on_completion=[UnregisterEventHandler(always), EmitEvent(event=Ping())],
            )
        ),
        last,
    )

    assert log == ["o", "a", "a"]


def test_exception_in_a_function_shuts_down_in_order_and_returns_one(capsys):
    log = []

    def fail(context):
        raise ValueError("the reason")

    code, _ = run(
        RegisterEventHandler(OnShutdown(on_shutdown=lambda e, c: log.append("handled"))),
        ExecuteProcess(cmd=["sleep", "60"]),
        OpaqueFunction(function=fail),
        noninteractive=True,
    )

    assert (code, log) == (1, ["handled"])
    assert "Caught exception in launch" in capsys.readouterr().out


def test_shutdown_handler_that_raises_does_not_keep_the_launch_alive():
    def fail(event, context):
        raise ValueError("in a handler")

    code, _ = run(
        ExecuteProcess(cmd=["sleep", "60"]),
        RegisterEventHandler(OnShutdown(on_shutdown=fail)),
        Shutdown(),
    )

    assert code == 1


def test_arguments_of_includes_are_listed_once_with_condition_marked(tmp_path):
    path = write_launch_file(
        tmp_path / "x.launch.py",
        """
        def generate_launch_description():
            return LaunchDescription([
                DeclareLaunchArgument("a", default_value="0"), DeclareLaunchArgument("b"),
            ])
        """,
    )
    description = LaunchDescription(
        [
            DeclareLaunchArgument("a", description="mine."),
            IncludeLaunchDescription(path, condition=IfCondition("true")),
        ]
    )

    arguments = description.get_launch_arguments()

    assert [(a.name, a._conditionally_included) for a in arguments] == [("a", False), ("b", True)]


def test_api_outside_the_subset_is_refused_by_its_name():
    with pytest.raises(NotImplementedError, match=re.escape("launch.actions.ForLoop")):
        from launch.actions import ForLoop  # noqa: F401
    with pytest.raises(NotImplementedError, match="ComposableNodeContainer"):
        from launch_ros.actions import ComposableNodeContainer  # noqa: F401
