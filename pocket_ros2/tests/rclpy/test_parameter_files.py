# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a parameter file says to which node."""

from __future__ import annotations

import pytest
from rclpy._arguments import RCLInvalidROSArgsError, RosArguments
from rclpy._parameter_files import file_sections, matches, overrides_for


@pytest.mark.parametrize(
    ("pattern", "node", "expected"),
    [
        ("/**", "/a/b/c", True),
        ("/ns/node", "/ns/node", True),
        ("node", "/node", True),
        ("node", "/ns/node", False),
        ("/*/node", "/ns/node", True),
        ("/*/node", "/node", False),
        ("/*/node", "/a/b/node", False),
        ("/**/node", "/node", True),
        ("/**/node", "/a/b/node", True),
        ("/ns/**", "/ns/a/b", True),
        ("/arm_*", "/arm_left", True),
        ("/a.b", "/aXb", False),
    ],
)
def test_wildcards_stand_for_one_name_or_any_number(pattern, node, expected):
    assert matches(pattern, node) is expected


def test_of_the_names_that_mean_a_node_the_one_first_mentioned_last_wins():
    everyone = ("/**", {"a": "all", "b": "all", "c": "all"})
    starred = ("/*/node", {"a": "star", "b": "star"})
    exact = ("ns/node", {"a": "exact"})

    def told(*sections):
        return "".join(str(v)[0] for v in overrides_for(sections, "/ns/node").values())

    assert told(everyone, starred, exact) == "esa"
    assert told(exact, starred, everyone) == "aaa"
    assert told(everyone, starred, ("/**", {"a": "z", "c": "z"})) == "ssz"
    assert overrides_for([exact, starred], "/other") == {}


def test_namespaces_and_parameter_groups_nest(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("ns:\n  node:\n    ros__parameters:\n      g: {x: 1e3, y: [on]}\n")

    assert file_sections(path) == [("/ns/node", {"g.x": 1000.0, "g.y": [True]})]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "cannot read"),
        ("just text", "must map node names"),
        ("/node: {a: 1}", "must hold ros__parameters"),
        ("ros__parameters: {a: 1}", "below a node name"),
        ("/node: {ros__parameters: 5}", "must map parameter names"),
    ],
)
def test_malformed_files_are_refused_with_the_reason(tmp_path, text, complaint):
    path = tmp_path / "p.yaml"
    path.write_text(text)

    with pytest.raises(RuntimeError, match=complaint):
        file_sections(path)


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(RCLInvalidROSArgsError, match=r"--params-file .*nowhere\.yaml"):
        RosArguments.parse(["--ros-args", "--params-file", str(tmp_path / "nowhere.yaml")])
