# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What nodes are started with: names, namespaces, parameters, remaps, and how they are found."""

from __future__ import annotations

import itertools
import json
import textwrap

import pytest
import yaml
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import GroupAction, IncludeLaunchDescription, SetLaunchConfiguration
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, SubstitutionFailure
from launch_ros.actions import (
    Node,
    PushROSNamespace,
    SetParameter,
    SetParametersFromFile,
    SetRemap,
    SetUseSimTime,
)
from launch_ros.descriptions import Parameter, ParameterFile, ParameterValue
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare
from pocket_ros2.cli.launch import register

ECHO = """
import json, sys
def main():
    with open(sys.argv[1], "a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\\n")
"""


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Make a workspace with one executable; return a function: what nodes were started with."""
    package = tmp_path / "src" / "demo"
    (package / "demo").mkdir(parents=True)
    (package / "launch").mkdir()
    (package / "package.xml").write_text("<package><name>demo</name></package>")
    (package / "setup.py").write_text(
        "setup(entry_points={'console_scripts': ['echo = demo.echo:main']})"
    )
    (package / "demo" / "__init__.py").touch()
    (package / "demo" / "echo.py").write_text(ECHO)
    monkeypatch.setenv("POCKET_ROS2_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    out = tmp_path / "out"

    def start(*entities):
        service = LaunchService(noninteractive=True)
        service.include_launch_description(LaunchDescription(entities))
        code = service.run()
        lines = out.read_text().splitlines() if out.exists() else []
        return code, [json.loads(line)[1:] for line in lines]

    start.out = str(out)
    start.package = package
    return start


def node(seen, **kwargs):
    return Node(package="demo", executable="echo", arguments=[seen.out], **kwargs)


def ros_args(argv, flag):
    values = argv[argv.index("--ros-args") + 1 :]
    return [b for a, b in itertools.pairwise(values) if a == flag]


@pytest.fixture
def kept_files(monkeypatch):
    """Read parameter files when they are written: they go with the launch."""
    from launch_ros import _scratch

    contents = {}
    write = _scratch.write

    def remember(name, text):
        path = write(name, text)
        contents[str(path)] = text
        return path

    monkeypatch.setattr(_scratch, "write", remember)
    return contents


def evaluated(kept_files, argv):
    found = {}
    for path in ros_args(argv, "--params-file"):
        found.update(yaml.safe_load(kept_files[path])["/**"]["ros__parameters"])
    return found


def test_node_without_name_and_namespace_keeps_those_of_the_executable(seen):
    code, [argv] = seen(node(seen))

    assert (code, argv) == (0, ["--ros-args"])


def test_process_is_called_like_the_executable(seen, capfd):
    seen(node(seen), node(seen, exec_name="other"))

    out = capfd.readouterr().out
    assert "[INFO] [echo-" in out
    assert "[INFO] [other-" in out


def test_name_namespace_and_remaps_become_rules(seen):
    nodes = [
        node(seen, name="n", namespace="rel", remappings=[("a", LaunchConfiguration("to"))]),
        node(seen, name="m", namespace="/abs", ros_arguments=["--log-level", "debug"]),
    ]

    _, argvs = seen(
        SetLaunchConfiguration("to", "b"),
        GroupAction([PushROSNamespace("robot"), SetRemap("x", "y"), *nodes]),
        node(seen, namespace="late"),
    )

    by_node = {ros_args(argv, "-r")[0]: ros_args(argv, "-r")[1:] for argv in argvs}
    assert by_node == {
        "__node:=n": ["__ns:=/robot/rel", "x:=y", "a:=b"],
        "__node:=m": ["__ns:=/abs", "x:=y"],
        "__ns:=/late": [],
    }
    assert nodes[0].node_name == "/robot/rel/n"
    assert any(ros_args(argv, "--log-level") == ["debug"] for argv in argvs)


def test_parameters_keep_plain_types_and_type_computed_text_by_yaml(seen, kept_files):
    _, [argv] = seen(
        SetLaunchConfiguration("number", "5"),
        node(
            seen,
            parameters=[
                {
                    "text": "5",
                    "int": 1,
                    "flag": True,
                    "computed": LaunchConfiguration("number"),
                    "joined": ["1", LaunchConfiguration("number")],
                    "kept_text": ParameterValue(LaunchConfiguration("number"), value_type=str),
                    "as_float": ParameterValue(LaunchConfiguration("number"), value_type=float),
                    "mixed_numbers": [1, 2.5],
                    "texts": ["a", "b"],
                    "computed_list": [[LaunchConfiguration("number")], ["6"]],
                    "outer": {"inner": {"x": 1.5}},
                },
                Parameter("single", [LaunchConfiguration("number"), "0"]),
            ],
        ),
    )

    assert evaluated(kept_files, argv) == {
        "text": "5",
        "int": 1,
        "flag": True,
        "computed": 5,
        "joined": 15,
        "kept_text": "5",
        "as_float": 5.0,
        "mixed_numbers": [1.0, 2.5],
        "texts": ["a", "b"],
        "computed_list": [5, 6],
        "outer.inner.x": 1.5,
        "single": 50,
    }


@pytest.mark.parametrize(
    "value", [[1, "a"], [], object(), LaunchConfiguration("bad"), LaunchConfiguration("colon")]
)
def test_parameter_of_no_ros_type_ends_the_launch(seen, value, capfd):
    code, argvs = seen(
        SetLaunchConfiguration("bad", ""),
        SetLaunchConfiguration("colon", "a: b: c"),
        node(seen, parameters=[{"p": value}]),
    )

    assert (code, argvs) == (1, [])
    assert "Caught exception in launch" in capfd.readouterr().out


def test_common_parameters_come_before_those_of_the_node_and_end_with_their_group(
    seen, kept_files, tmp_path
):
    file = tmp_path / "p.yaml"
    file.write_text("/**:\n  ros__parameters: {from_file: 1}\n")

    _, argvs = seen(
        GroupAction(
            [
                SetUseSimTime(True),
                SetParameter("a", 1),
                SetParametersFromFile(str(file)),
                node(seen, name="inside", parameters=[{"a": 2}]),
            ]
        ),
        node(seen, name="outside"),
    )

    by_node = {ros_args(argv, "-r")[0]: ros_args(argv, "--params-file") for argv in argvs}
    files = by_node["__node:=inside"]
    kept_files[str(file)] = file.read_text()
    assert [yaml.safe_load(kept_files[f])["/**"]["ros__parameters"] for f in files] == [
        {"use_sim_time": True},
        {"a": 1},
        {"from_file": 1},
        {"a": 2},
    ]
    assert by_node["__node:=outside"] == []


def test_parameter_file_with_substitutions(tmp_path):
    context = LaunchContext()
    context.launch_configurations.update(side="left", name="side")
    file = tmp_path / "p.yaml"
    file.write_text("a: $(var $(var name)) # $(env NOT_THERE none)\n")

    path = ParameterFile(str(file), allow_substs=True).evaluate(context)

    assert path.read_text() == "a: left # none\n"
    assert ParameterFile(str(file)).evaluate(context) == file
    file.write_text("a: $(command ls)")
    with pytest.raises(NotImplementedError, match="command"):
        ParameterFile(str(file), allow_substs=True).evaluate(context)


def test_package_and_executable_that_are_missing_list_the_choices(seen):
    context = LaunchContext()

    with pytest.raises(SubstitutionFailure, match="it has: echo"):
        ExecutableInPackage(package="demo", executable="eco").perform(context)
    with pytest.raises(SubstitutionFailure, match="package 'demmo' not found"):
        ExecutableInPackage(package="demmo", executable="echo").perform(context)
    with pytest.raises(LookupError):
        FindPackageShare("demmo").perform(context)


def write_launch_file(seen):
    (seen.package / "launch" / "demo.launch.py").write_text(
        textwrap.dedent(f"""
        from launch import LaunchDescription
        from launch.actions import DeclareLaunchArgument
        from launch.conditions import IfCondition
        from launch.substitutions import LaunchConfiguration
        from launch_ros.actions import Node

        def generate_launch_description():
            return LaunchDescription([
                DeclareLaunchArgument("name"),
                DeclareLaunchArgument("mode", default_value="a", choices=["a", "b"],
                                      description="What to do."),
                DeclareLaunchArgument("extra", default_value=LaunchConfiguration("mode"),
                                      condition=IfCondition("true")),
                Node(package="demo", executable="echo", name=LaunchConfiguration("name"),
                     arguments=[{seen.out!r}]),
            ])
        """)
    )


def test_included_launch_file_of_a_package(seen):
    write_launch_file(seen)
    path = PathJoinSubstitution([FindPackageShare("demo"), "launch", "demo.launch.py"])

    code, [argv] = seen(IncludeLaunchDescription(path, launch_arguments={"name": "x"}))

    assert (code, ros_args(argv, "-r")) == (0, ["__node:=x"])


def cli(*argv):
    import argparse

    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args(["launch", *argv])
    return args.run(args)


def test_command_line_starts_a_file_by_package_or_path(seen):
    write_launch_file(seen)
    path = str(seen.package / "launch" / "demo.launch.py")

    assert cli("-n", "demo", "demo.launch.py", "name:=one") == 0
    assert cli("-n", path, "name:=two") == 0
    assert cli("-n", path) == 1

    _, argvs = seen()
    assert [ros_args(argv, "-r") for argv in argvs] == [["__node:=one"], ["__node:=two"]]


def test_command_line_shows_the_arguments(seen, capsys):
    write_launch_file(seen)

    cli("demo", "demo.launch.py", "--show-args")

    assert capsys.readouterr().out == textwrap.dedent("""\
        Arguments (pass arguments as '<name>:=<value>'):

            'name':
                no description given

            'mode':
                What to do. Valid choices are: ['a', 'b']
                (default: 'a')

            'extra':*
                no description given
                (default: LaunchConfiguration('mode'))

        * argument(s) which are only used if specific conditions occur
        """)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["demo"], "it has: demo.launch.py"),
        (["demo", "nope.launch.py"], "'nope.launch.py' was not found in package 'demo'"),
        (["demmo", "x.launch.py"], "packages: .*demo"),
        (["/no/such.launch.py"], "no such launch file"),
        (["demo", "demo.launch.py", "name=x"], "expected format '<name>:=<value>'"),
    ],
)
def test_command_line_says_what_would_be_right(seen, argv, text):
    from pocket_ros2.cli.common import CliError

    write_launch_file(seen)

    with pytest.raises(CliError, match=text):
        cli(*argv)
