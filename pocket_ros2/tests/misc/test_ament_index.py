# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Packages and resources are found where real ROS 2 tools would look for them."""

from __future__ import annotations

import pytest
from ament_index_python import get_resource, get_resources, has_resource
from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
    get_package_share_path,
    get_packages_with_prefixes,
)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An install prefix with one package and one plugin resource."""
    index = tmp_path / "share" / "ament_index" / "resource_index"
    for kind, name, text in (("packages", "robot", ""), ("plugin", "robot", "content")):
        (index / kind).mkdir(parents=True)
        (index / kind / name).write_text(text)
    (tmp_path / "share" / "robot").mkdir()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace with one source package."""
    package = tmp_path / "src" / "my_pkg"
    package.mkdir(parents=True)
    (package / "package.xml").write_text("<package><name>my_pkg</name></package>")
    monkeypatch.setenv("POCKET_ROS2_WORKSPACE", str(tmp_path))
    return package


def test_installed_packages_are_found_through_the_index(installed):
    assert get_package_share_directory("robot") == str(installed / "share" / "robot")
    assert get_package_prefix("robot") == str(installed)
    assert get_packages_with_prefixes()["robot"] == str(installed)


def test_source_packages_are_used_where_they_lie(workspace):
    assert get_package_share_path("my_pkg") == workspace


def test_packages_of_this_library_are_found_without_any_installation():
    assert get_package_share_path("tf2_ros").name == "tf2_ros"
    assert get_package_share_path("std_msgs").name == "std_msgs"


def test_an_unknown_package_is_named_together_with_the_places_searched(installed):
    with pytest.raises(PackageNotFoundError) as error:
        get_package_share_directory("nowhere")

    assert isinstance(error.value, KeyError)
    assert str(error.value).startswith("package 'nowhere' not found, searching: [")
    assert str(installed) in str(error.value)


def test_a_name_that_no_package_can_have_is_refused():
    with pytest.raises(ValueError, match=r"'\.\./etc' is not a valid package name"):
        get_package_share_directory("../etc")


def test_resources_are_read_with_their_prefix(installed):
    assert get_resource("plugin", "robot") == ("content", str(installed))
    assert get_resources("plugin") == {"robot": str(installed)}
    assert has_resource("plugin", "robot") == str(installed)
    assert has_resource("plugin", "other") is False
    with pytest.raises(LookupError, match="'other' of type 'plugin'"):
        get_resource("plugin", "other")
    with pytest.raises(ValueError, match="a/b"):
        has_resource("a/b", "plugin")
