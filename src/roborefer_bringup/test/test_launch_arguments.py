# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Launch files refuse what cannot work before anything starts, and say what would."""

from pathlib import Path

import pytest
import yaml
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from roborefer_bringup.launching import (
    ArgumentError,
    check_pose,
    check_robot_ip,
    check_server,
    packages,
)
from roborefer_operator.core.parameters import TABLE as EXECUTIVE
from roborefer_perception.core.parameters import TABLE as REFERRER

PACKAGE = Path(__file__).parents[1]
LAUNCH_FILES = sorted(path.name for path in (PACKAGE / "launch").glob("*.launch.py"))
ROBOT = {"robot": "ur5e", "robot_ip": "192.168.56.101"}


def launch(name, **arguments):
    service = LaunchService(noninteractive=True)
    source = PythonLaunchDescriptionSource(str(PACKAGE / "launch" / name))
    included = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    service.include_launch_description(LaunchDescription([included]))
    return service.run()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("ur5.launch.py", {"robot": "ur5e"}, "robot_ip"),
        ("ur5.launch.py", {**ROBOT, "robot": "ur10"}, "ur10"),
        ("ur5.launch.py", {**ROBOT, "robot_ip": "my-robot"}, "robot_ip:=my-robot"),
        ("ur5.launch.py", {**ROBOT, "camera_pose": "1 2 3"}, "seven numbers"),
        ("ur5.launch.py", {**ROBOT, "namespace": "left"}, "driver:=external"),
        ("ur5_sim.launch.py", {"seed": "many"}, "seed:=many"),
        ("ur5_sim.launch.py", {"port": "99999"}, "port:=99999"),
        ("ur5_sim.launch.py", {"url": "gpu.local"}, "url:=gpu.local"),
        ("ur5_sim.launch.py", {"server_python": "/no/python"}, "server_python:=/no/python"),
        ("real_scene.launch.py", {"path": "/no/recording"}, "path:=/no/recording"),
        ("demo.launch.py", {"real_time_factor": "fast"}, "real_time_factor:=fast"),
    ],
)
def test_argument_that_cannot_work_ends_the_launch_and_is_named(name, arguments, said, capfd):
    code = launch(name, **arguments)

    written = capfd.readouterr()
    assert code == 1
    assert said in written.out + written.err
    assert "process started" not in written.out + written.err


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "300.1.1.1", "", "robot.local"])
def test_address_of_no_single_robot_is_refused(address):
    with pytest.raises(ArgumentError, match="robot_ip"):
        check_robot_ip({"robot_ip": address})


def test_pose_needs_a_unit_quaternion():
    check = check_pose("camera_pose")

    check({"camera_pose": ""})
    check({"camera_pose": "1.1 0 0.7 0 0 0 1"})
    with pytest.raises(ArgumentError, match="length 1"):
        check({"camera_pose": "1.1 0 0.7 0 0 0 2"})


def test_server_elsewhere_needs_no_python_here():
    check_server({"url": "http://gpu.local:1", "server": "external", "server_python": "/none"})


def test_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(ArgumentError, match=r"apt install .*-no-such-thing"):
        packages("no_such_thing")({})


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_argument_is_explained(name):
    path = str(PACKAGE / "launch" / name)

    arguments = get_launch_description_from_python_launch_file(path).get_launch_arguments()

    assert arguments
    assert all(argument.description for argument in arguments)


@pytest.mark.parametrize("file", sorted((PACKAGE / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_files_set_only_parameters_that_nodes_have(file):
    tables = {"/**/referrer": REFERRER, "/**/executive": EXECUTIVE}

    for node, section in yaml.safe_load(file.read_text()).items():
        known = {row.name for row in tables[node]}
        assert set(section["ros__parameters"]) <= known


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_readme_has_every_argument(name):
    path = str(PACKAGE / "launch" / name)
    arguments = get_launch_description_from_python_launch_file(path).get_launch_arguments()

    readme = (PACKAGE / "README.md").read_text()

    assert not [a.name for a in arguments if f"`{a.name}`" not in readme]
