# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Every command of `pocket-ros2` against a station of nodes in another process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

STATION = """
import pocket_ros2; pocket_ros2.activate()
import rclpy
from example_interfaces.action import Fibonacci
from example_interfaces.srv import AddTwoInts
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.action import ActionServer, CancelResponse
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, DurabilityPolicy, ReliabilityPolicy
from std_msgs.msg import Int32, String

rclpy.init()
node = rclpy.create_node("station")
limits = ParameterDescriptor(
    description="How fast.", integer_range=[IntegerRange(from_value=1, to_value=9, step=1)]
)
node.declare_parameter("speed", 3, limits)
node.declare_parameter("camera.frame", "optical")
node.declare_parameter("gains", [1.0, 2.5])
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
state = node.create_publisher(String, "state", latched)
state.publish(String(data="waiting"))
ticks = node.create_publisher(Int32, "ticks", best_effort)
count = iter(range(1_000_000))
node.create_timer(0.05, lambda: ticks.publish(Int32(data=next(count))))
node.create_subscription(String, "orders", lambda m: state.publish(String(data=m.data)), 10)

def add(request, response):
    response.sum = request.a + request.b
    return response

node.create_service(AddTwoInts, "add", add)

endless = rclpy.task.Future()

def cancel(goal):
    endless.set_result(None)
    return CancelResponse.ACCEPT

async def execute(goal):
    if goal.request.order == 99:
        await endless
        goal.canceled()
        state.publish(String(data="canceled"))
        return Fibonacci.Result()
    if goal.request.order < 0:
        goal.abort()
        return Fibonacci.Result()
    goal.publish_feedback(Fibonacci.Feedback(sequence=[0, 1]))
    goal.succeed()
    return Fibonacci.Result(sequence=[0, 1, 1])

ActionServer(node, Fibonacci, "count", execute, cancel_callback=cancel)
camera = LifecycleNode("camera")
executor = SingleThreadedExecutor()
executor.add_node(node)
executor.add_node(camera)
print("up", flush=True)
try:
    executor.spin()
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
rclpy.try_shutdown()
"""


@pytest.fixture(scope="module", autouse=True)
def station(ros_env):
    with subprocess.Popen(
        [sys.executable, "-c", STATION], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0


def start(*words: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "pocket_ros2.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def run(*words: str, code: int = 0, **options) -> str:
    process = start(*words, **options)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    return output


def test_lists_hide_what_is_hidden_and_count():
    topics = run("topic", "list", "-t").splitlines()

    assert "/ticks [std_msgs/msg/Int32]" in topics
    assert not any("_action" in line for line in topics)
    assert "/count/_action/feedback" in run("topic", "list", "-a").splitlines()
    assert run("topic", "list", "--count") == f"{len(topics)}\n"
    assert run("node", "list").splitlines() == ["/camera", "/station"]
    assert "/add" in run("service", "list").splitlines()
    assert run("action", "list", "-t") == "/count [example_interfaces/action/Fibonacci]\n"


def test_topic_info_tells_endpoints_and_qos():
    output = run("topic", "info", "--verbose", "ticks")

    assert "Type: std_msgs/msg/Int32" in output
    assert "Publisher count: 1" in output
    assert "Subscription count: 0" in output
    assert "Node name: station" in output
    assert "Reliability: BEST_EFFORT" in output
    assert re.search(r"Topic type hash: RIHS01_[0-9a-f]{64}", output)


def test_unknown_names_are_told_with_what_to_do_next():
    assert "pocket-ros2 topic list" in run("topic", "info", "/nothing", code=1)
    assert "/station" in run("node", "info", "/nobody", code=1)
    assert "service list" in run("service", "type", "/nothing", code=1)
    assert "interface list" in run("topic", "pub", "/x", "std_msgs/msg/Strin", "{}", code=1)


def test_bad_names_and_surroundings_are_told_in_words(monkeypatch, tmp_path):
    broken = tmp_path / "broken.launch.py"
    broken.write_text("x = (\n")
    for words, problem in (
        (("topic", "pub", "/a b", "std_msgs/String"), "is invalid"),
        (("service", "call", "/a b", "std_srvs/Empty"), "is invalid"),
        (("launch", "tf2_ros", "/x/y.launch.py"), "was not found"),
        (("launch", str(broken), "--show-args"), "never closed"),
    ):
        output = run(*words, code=1)
        assert problem in output
        assert "Traceback" not in output
    assert "-1 is not above 0" in run("bag", "play", ".", "--clock", "-1", code=2)
    monkeypatch.setenv("ROS_DOMAIN_ID", "many")
    assert run("topic", "list", code=1).startswith("cannot join the network: ")


def test_echo_follows_the_publishers_quality_of_service():
    latched = run("topic", "echo", "--once", "/state")
    lossy = run("topic", "echo", "--once", "/ticks", "--field", "data")

    assert yaml.safe_load(latched.removesuffix("---\n")) == {"data": "waiting"}
    assert re.fullmatch(r"\d+\n---\n", lossy)


@pytest.mark.parametrize("presses", [1, 3])
def test_echo_ends_on_ctrl_c_however_often_it_is_pressed(presses):
    process = start("topic", "echo", "/ticks")
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(presses):
        process.send_signal(signal.SIGINT)

    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130, output


def test_echo_gives_up_after_its_timeout():
    output = run("topic", "echo", "--once", "--timeout", "0.3", "/orders", code=1)

    assert "no message on /orders" in output


def test_pub_reaches_the_subscription_once():
    output = run("topic", "pub", "--once", "/orders", "std_msgs/msg/String", "{data: go}")

    assert "publishing #1: std_msgs.msg.String(data='go')" in output
    assert "data: go" in run("topic", "echo", "--once", "/state")


def test_pub_refuses_fields_that_are_not_there():
    output = run("topic", "pub", "/orders", "std_msgs/msg/String", "{dat: go}", code=1)

    assert "dat" in output
    assert "Traceback" not in output


def test_hz_and_bw_measure():
    rate = run("topic", "hz", "--duration", "1.5", "/ticks")
    bandwidth = run("topic", "bw", "--duration", "1.5", "/ticks")

    measured = [float(value) for value in re.findall(r"average rate: ([\d.]+)", rate)]
    assert measured[-1] == pytest.approx(20.0, rel=0.5)
    assert "Message size mean: 8.00 B" in bandwidth


def test_node_info_tells_what_a_node_offers():
    output = run("node", "info", "station")

    offered = output.partition("Service Servers:")[2]
    assert "/ticks: std_msgs/msg/Int32" in output.partition("Publishers:")[2]
    assert "/add: example_interfaces/srv/AddTwoInts" in offered
    assert "/count: example_interfaces/action/Fibonacci" in offered.partition("Action Servers:")[2]


def test_service_call_prints_the_response():
    output = run("service", "call", "/add", "example_interfaces/srv/AddTwoInts", "{a: 2, b: 3}")

    assert "AddTwoInts_Response(sum=5)" in output


def test_parameters_are_read_written_and_dumped(tmp_path):
    assert run("param", "list", "/station").split() == [
        "camera.frame",
        "gains",
        "speed",
        "use_sim_time",
    ]
    assert run("param", "get", "/station", "speed") == "3\n"
    assert "Max value: 9" in run("param", "describe", "/station", "speed")
    assert "Set parameter successful" in run("param", "set", "/station", "speed", "5")
    assert "failed" in run("param", "set", "/station", "speed", "50", code=1)
    dump = run("param", "dump", "/station")
    assert yaml.safe_load(dump) == {
        "/station": {
            "ros__parameters": {
                "camera": {"frame": "optical"},
                "gains": [1.0, 2.5],
                "speed": 5,
                "use_sim_time": False,
            }
        }
    }
    file = tmp_path / "params.yaml"
    file.write_text(dump.replace("speed: 5", "speed: 7"), encoding="utf-8")
    run("param", "load", "/station", str(file))
    assert run("param", "get", "station", "speed") == "7\n"


def test_a_goal_is_followed_to_its_result():
    kind = "example_interfaces/action/Fibonacci"

    good = run("action", "send_goal", "--feedback", "/count", kind, "{order: 2}")
    bad = run("action", "send_goal", "/count", kind, "{order: -1}", code=1)

    assert "Goal accepted with ID: " in good
    assert good.index("Feedback:") < good.index("Result:")
    assert "Goal finished with status: SUCCEEDED" in good
    assert "ABORTED" in bad
    assert "/station" in run("action", "info", "/count")


def test_ctrl_c_cancels_the_goal():
    kind = "example_interfaces/action/Fibonacci"
    process = start("action", "send_goal", "/count", kind, "{order: 99}")
    assert process.stdout is not None
    assert any("Goal accepted" in line for line in process.stdout)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)

    output, _ = process.communicate(timeout=20)

    assert (process.returncode, output) == (130, "Canceling goal...\n")
    assert "canceled" in run("topic", "echo", "--once", "/state")


def test_lifecycle_nodes_are_steered():
    assert run("lifecycle", "nodes") == "/camera\n"
    assert run("lifecycle", "get", "/camera") == "unconfigured [1]\n"
    assert "configure [1]" in run("lifecycle", "set", "/camera", "activate", code=1)
    run("lifecycle", "set", "/camera", "configure")
    run("lifecycle", "set", "/camera", "activate")
    assert run("lifecycle", "get", "/camera") == "active [3]\n"
    assert "deactivate [4]" in run("lifecycle", "list", "/camera")


def test_interfaces_are_shown_with_what_they_contain():
    output = run("interface", "show", "geometry_msgs/msg/PoseStamped")

    lines = output.splitlines()
    assert "std_msgs/Header header" in lines
    assert "\tbuiltin_interfaces/Time stamp" in lines
    assert "\t\tint32 sec" in lines
    assert "SPDX" not in output
    transition = ("interface", "show", "lifecycle_msgs/msg/TransitionEvent")
    assert run(*transition) != run(*transition, env={**os.environ, "ROS_DISTRO": "lyrical"})
    assert "geometry_msgs/msg/Pose" in run("interface", "list", "geometry_msgs").split()
    assert "std_msgs" in run("interface", "packages").split()


def test_a_bag_keeps_what_was_said(tmp_path):
    bag = tmp_path / "bag"
    run("bag", "record", "-o", str(bag), "--duration", "1.5", "/ticks", "/state")

    info = run("bag", "info", str(bag))
    listener = start("topic", "echo", "--once", "/again", "std_msgs/msg/Int32")
    count = re.search(r"/ticks \| std_msgs/msg/Int32 \| (\d+)", info)
    played = run("bag", "play", str(bag), "--rate", "4", "--topics", "/ticks")

    assert count is not None
    assert int(count[1]) > 5
    assert "/state | std_msgs/msg/String | 1" in info
    assert played.endswith(f"Played {count[1]} messages\n")
    listener.send_signal(signal.SIGINT)
    listener.communicate(timeout=10)
    assert listener.returncode == 130

    clock = start("topic", "echo", "--once", "/clock", "rosgraph_msgs/msg/Clock")
    player = start("bag", "play", str(bag), "--loop", "--clock", "50", "--rate", "4")
    assert "clock:" in clock.communicate(timeout=20)[0]
    player.send_signal(signal.SIGINT)
    player.communicate(timeout=20)
    assert player.returncode == 130


def test_bags_are_read_by_an_independent_reader(tmp_path):
    from rosbags.highlevel import AnyReader

    bag = tmp_path / "bag"
    run("bag", "record", "-o", str(bag), "--duration", "0.8", "/state")

    with AnyReader([bag]) as reader:
        messages = [
            reader.deserialize(raw, connection.msgtype) for connection, _, raw in reader.messages()
        ]

    assert len(messages) == 1
    assert messages[0].__msgtype__ == "std_msgs/msg/String"


def test_recording_refuses_to_write_over_a_folder(tmp_path):
    assert "exists" in run("bag", "record", "-o", str(tmp_path), "/ticks", code=1)
    assert "no bag" in run("bag", "info", str(tmp_path / "none"), code=1)


def test_doctor_talks_to_itself():
    output = run("doctor")

    assert "[ok] a message to ourselves arrived" in output
    assert "All checks passed" in output


def test_doctor_fails_on_an_impossible_domain(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "300")

    output = run("doctor", code=1)

    assert "[FAIL] ROS_DOMAIN_ID '300'" in output
    assert "Traceback" not in output


def test_run_starts_executables_and_lists_them():
    assert "static_transform_publisher" in run("pkg", "executables", "tf2_ros").split()
    output = run("run", "tf2_ros", "no_such_thing", code=1)
    assert "static_transform_publisher" in output


def test_run_starts_a_file_with_its_arguments(tmp_path):
    file = tmp_path / "say.py"
    file.write_text("import sys, rclpy\nprint(sys.argv[1:], rclpy.ok())\n", encoding="utf-8")

    assert run("run", str(file), "--ros-args", "-p", "a:=1") == (
        "['--ros-args', '-p', 'a:=1'] False\n"
    )


def test_workspace_packages_are_found_from_where_they_lie(tmp_path, monkeypatch):
    # Empty, it also keeps `enable --workspace` from naming another one.
    monkeypatch.setenv("POCKET_ROS2_WORKSPACE", "")
    package = tmp_path / "src" / "greeter"
    (package / "greeter").mkdir(parents=True)
    (package / "msg").mkdir()
    (package / "package.xml").write_text("<package><name>greeter</name></package>")
    (package / "msg" / "Hello.msg").write_text("string name\n")
    (package / "greeter" / "__init__.py").write_text("")
    (package / "greeter" / "node.py").write_text("def main():\n    print('hi')\n    return 4\n")
    (package / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(entry_points={'console_scripts': ['greet = greeter.node:main']})\n"
    )

    assert run("run", "greeter", "greet", code=4, cwd=tmp_path) == "hi\n"
    assert run("interface", "show", "greeter/msg/Hello", cwd=tmp_path) == "string name\n"


def test_a_broken_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKET_ROS2_WORKSPACE", "")
    manifest = tmp_path / "src" / "greeter" / "package.xml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("<package")

    assert f"{manifest} is no XML: " in run("pkg", "list", cwd=tmp_path, code=1)
    # What does not ask for it runs on.
    assert "string data" in run("interface", "show", "std_msgs/msg/String", cwd=tmp_path)


def test_wrong_words_are_usage_errors():
    assert "COMMAND" in run(code=2)
    assert "invalid choice" in run("topic", "dance", code=2)


def test_enable_serves_every_program_of_the_environment(tmp_path):
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    packages = next(environment.glob("lib/python*/site-packages"))
    ours = Path(__file__).parents[2]
    site = Path(yaml.__file__).parents[1]
    (packages / "paths.pth").write_text(f"{site}\n{ours}\n", encoding="utf-8")
    command = [python, "-m", "pocket_ros2.cli.main"]
    program = [python, "-c", "import rclpy, sys; print(rclpy.__file__)"]

    subprocess.run([*command, "enable"], check=True, stdout=subprocess.DEVNULL)
    enabled = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=False)
    subprocess.run([*command, "disable"], check=True)

    assert enabled.stdout.strip() == str(ours / "pocket_ros2" / "site" / "rclpy" / "__init__.py")
    assert not (packages / "pocket_ros2.pth").exists()


def test_the_hook_alone_harms_nobody(tmp_path):
    """As in pip's isolated builds, which see the .pth file but not the library."""
    hook = Path(__file__).parents[2] / "pocket_ros2_hook.py"
    (tmp_path / hook.name).write_text(hook.read_text(encoding="utf-8"), encoding="utf-8")
    code = (
        "import pocket_ros2_hook\n"
        "try:\n    import no_such_module\nexcept ModuleNotFoundError as error:\n    print(error)"
    )

    result = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.append({str(tmp_path)!r})\n{code}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout == "No module named 'no_such_module'\n"


def test_a_real_ros_wins(tmp_path):
    """A rclpy on the path stands for a sourced ROS 2."""
    real = tmp_path / "rclpy"
    real.mkdir()
    (real / "__init__.py").write_text("REAL = True\n")
    code = (
        "import pocket_ros2_hook, sys, rclpy; assert rclpy.REAL\n"
        "try:\n    import tf2_ros\nexcept ImportError:\n    pass\n"
        "assert 'pocket_ros2' not in sys.modules"
    )

    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        cwd=tmp_path,
    )
