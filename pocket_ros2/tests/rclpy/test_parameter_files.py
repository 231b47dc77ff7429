# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a parameter file says to which node."""

from __future__ import annotations

import pytest
from rclpy._parameter_files import file_overrides, matches


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


def test_exact_name_beats_wildcards_whatever_the_order(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "/ns/node: {ros__parameters: {a: exact}}\n"
        "/*/node: {ros__parameters: {a: star, b: star}}\n"
        "/**: {ros__parameters: {a: all, b: all, c: all}}\n"
    )

    assert file_overrides(path, "/ns/node") == {"a": "exact", "b": "star", "c": "all"}
    assert file_overrides(path, "/other") == {"a": "all", "b": "all", "c": "all"}


def test_namespaces_and_parameter_groups_nest(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("ns:\n  node:\n    ros__parameters:\n      g: {x: 1e3, y: [on]}\n")

    assert file_overrides(path, "/ns/node") == {"g.x": 1000.0, "g.y": [True]}


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
        file_overrides(path, "/node")


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(RuntimeError, match=r"nowhere\.yaml"):
        file_overrides(tmp_path / "nowhere.yaml", "/node")
