# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""roborefer_msgs builds with ament_cmake and the generators of ROS 2 itself.

Debian has those generators, but no ROS 2 messages; the interface files of pocket_ros2 stand in
for the packages that ours depend on, and two empty packages for rosidl's meta packages.
"""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTERFACES = ROOT / "pocket_ros2" / "pocket_ros2" / "idl" / "interfaces"
DEBIAN_PACKAGES = (
    "ament-cmake g++ colcon python3-colcon-cmake python3-colcon-ros rosidl-cmake "
    "rosidl-generator-c-cpp librosidl-runtime-c-cpp-dev librosidl-typesupport-interface-dev "
    "librosidl-typesupport-introspection-c-cpp-dev"
)
GENERATORS = ["c", "cpp"]
STANDARD = {
    "builtin_interfaces": [],
    "unique_identifier_msgs": [],
    "action_msgs": ["builtin_interfaces", "unique_identifier_msgs"],
    "std_msgs": ["builtin_interfaces"],
    "geometry_msgs": ["std_msgs"],
    "nav_msgs": ["builtin_interfaces", "geometry_msgs", "std_msgs"],
    "trajectory_msgs": ["builtin_interfaces", "geometry_msgs", "std_msgs"],
}
NEEDED_MESSAGES = {"nav_msgs": ["msg/Path.msg"]}


def write_package(folder: Path, depends: list[str], cmake: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tags = "".join(f"<depend>{name}</depend>" for name in depends)
    (folder / "package.xml").write_text(
        f'<package format="3"><name>{folder.name}</name><version>0.0.0</version>'
        '<description>stand-in</description><maintainer email="a@b.invalid">a</maintainer>'
        f"<license>none</license><buildtool_depend>ament_cmake</buildtool_depend>{tags}"
        "<member_of_group>rosidl_interface_packages</member_of_group>"
        "<export><build_type>ament_cmake</build_type></export></package>"
    )
    head = ["cmake_minimum_required(VERSION 3.20)", f"project({folder.name})"]
    finds = [f"find_package({name} REQUIRED)" for name in ["ament_cmake", *depends]]
    (folder / "CMakeLists.txt").write_text("\n".join([*head, *finds, *cmake, ""]))


def write_meta_packages(source: Path) -> None:
    extras = [
        f"find_package({name}_{language} REQUIRED)"
        for name in ("rosidl_generator", "rosidl_typesupport_introspection")
        for language in GENERATORS
    ]
    name = "rosidl_default_generators"
    write_package(source / name, [], [f"ament_package(CONFIG_EXTRAS {name}-extras.cmake)"])
    lines = ["find_package(rosidl_cmake REQUIRED)", *extras, ""]
    (source / name / f"{name}-extras.cmake").write_text("\n".join(lines))
    write_package(source / "rosidl_default_runtime", [], ["ament_package()"])


def write_standard_package(source: Path, name: str, depends: list[str]) -> None:
    folder = source / name
    files = NEEDED_MESSAGES.get(name) or sorted(
        str(f.relative_to(INTERFACES / name)) for f in (INTERFACES / name).glob("[ms][sr][gv]/*")
    )
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(INTERFACES / name / file, folder / file)
    listed = " ".join(f'"{file}"' for file in files)
    on = f"DEPENDENCIES {' '.join(depends)}" if depends else ""
    cmake = [
        f"rosidl_generate_interfaces(${{PROJECT_NAME}} {listed} {on})",
        "ament_export_dependencies(rosidl_default_runtime)",
        "ament_package()",
    ]
    meta = ["rosidl_default_generators", "rosidl_default_runtime"]
    write_package(folder, [*meta, *depends], cmake)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_roborefer_msgs_builds_with_colcon_and_the_generators_of_ros_2(tmp_path):
    if not (shutil.which("colcon") and Path("/usr/share/rosidl_generator_cpp/cmake").is_dir()):
        pytest.skip(f"needs Debian's build tools: apt-get install {DEBIAN_PACKAGES}")
    manifest = ET.parse(ROOT / "src" / "roborefer_msgs" / "package.xml").getroot()
    assert {tag.text for tag in manifest.iter("depend")} == set(STANDARD)
    source = tmp_path / "src"
    write_meta_packages(source)
    for name, depends in STANDARD.items():
        write_standard_package(source, name, depends)
    shutil.copytree(ROOT / "src" / "roborefer_msgs", source / "roborefer_msgs")

    build = subprocess.run(
        ["colcon", "build", "--cmake-args", "-DBUILD_TESTING=OFF"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )

    assert build.returncode == 0, build.stdout[-3000:] + build.stderr[-3000:]
    library = tmp_path / "install" / "roborefer_msgs" / "lib"
    assert (library / "libroborefer_msgs__rosidl_generator_c.so").is_file()
