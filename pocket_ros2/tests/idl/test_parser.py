# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The grammar of interface files, and how its errors read."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from pocket_ros2.idl import catalogue
from pocket_ros2.idl.model import InterfaceError, Type
from pocket_ros2.idl.parser import parse

from pocket_ros2 import idl


def message(text):
    return parse(text, ("pkg/msg/Name",), "Name.msg")[0]


def test_all_kinds_of_lines_are_read():
    found = message(
        "# comment\nint32 A=-5 # five\nstring S=' x '\nbyte B=0x10\n\nOther other\n"
        "std_msgs/Header h\n\tfloat32\t x 1.5\n"
        "string<=5[<=2] names ['a, b', \"c\"]\nbool[2] flags [true, 0]\n"
    )

    assert found.constants == {"A": -5, "S": " x ", "B": b"\x10"}
    assert [(f.name, f.type, f.default) for f in found.fields] == [
        ("other", Type("pkg/msg/Other"), None),
        ("h", Type("std_msgs/msg/Header"), None),
        ("x", Type("float"), 1.5),
        ("names", Type("string", 5, "sequence", 2), ("a, b", "c")),
        ("flags", Type("boolean", 0, "array", 2), (True, False)),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("int33 x", "unknown type 'int33'"),
        ("int32 X", "bad field name 'X'"),
        ("int32 class", "bad field name 'class'"),
        ("int32", "bad field name ''"),
        ("int32 x\nint32 x", "defined twice"),
        ("int32 a=5", "bad constant name 'a'"),
        ("int8 A=128", "128 does not fit int8: -128 to 127"),
        ("uint8 A=-1", "-1 does not fit uint8"),
        ("int32 A=1.5", "bad integer '1.5'"),
        ("bool A=maybe", "bad boolean 'maybe'"),
        ("float32 A=abc", "bad number 'abc'"),
        ("Other A=1", "a constant cannot be of type"),
        ("Other x 1", "cannot have a default"),
        ("int32[2] x [1]", "default has 1 values"),
        ("int32[<=1] x [1, 2]", "default has 2 values"),
        ("int32[] x 1", "expected [value, value]"),
        ("int32[0] x", "sizes and bounds are 1 to"),
        ("int32[<=] x", "the bound is missing"),
        ("int32<=4 x", "only strings and sequences"),
        ("string<=2 x abc", "longer than 2"),
        ("string x 'abc", "is not closed by '"),
        ("a b c d", "unknown type 'a'"),
        ("---", "found 1 separators"),
    ],
)
def test_error_names_line_and_reason(line, complaint):
    with pytest.raises(InterfaceError, match=r"^Name.msg:\d+: ") as error:
        message(line)

    assert complaint in str(error.value)


def test_unknown_interface_lists_the_known_ones():
    with pytest.raises(InterfaceError, match="Bool, Byte"):
        idl.load("std_msgs/msg/Strin")
    with pytest.raises(InterfaceError, match="expected package/msg"):
        idl.load("std_msgs/String")


ORACLE = """
import json, sys
from rosidl_adapter import parser
found = {}
def fields(spec):
    own = spec.base_type.pkg_name + "/"
    shown = [[f.name, str(f.type).removeprefix(own)] for f in spec.fields]
    return {"fields": shown, "constants": sorted([c.name, c.value] for c in spec.constants)}
for line in sys.stdin:
    package, kind, path, name = line.split()
    text = open(path, encoding="utf-8").read()
    if kind == "msg":
        found[name] = [fields(parser.parse_message_string(package, name.split("/")[2], text))]
    elif kind == "srv":
        spec = parser.parse_service_string(package, name.split("/")[2], text)
        found[name] = [fields(spec.request), fields(spec.response)]
    else:
        spec = parser.parse_action_string(package, name.split("/")[2], text)
        found[name] = [fields(spec.goal), fields(spec.result), fields(spec.feedback)]
print(json.dumps(found))
"""


def spelled(kind, package):
    aliases = {"float": "float32", "double": "float64", "boolean": "bool", "octet": "byte"}
    base = kind.base.replace("/msg/", "/").removeprefix(f"{package}/")
    text = aliases.get(base, base) + (f"<={kind.string_bound}" if kind.string_bound else "")
    if kind.repeat:
        size = kind.size or ""
        text += f"[{'<=' if kind.repeat == 'sequence' and size else ''}{size}]"
    return text


@pytest.fixture(scope="module")
def oracle():
    if shutil.which("/usr/bin/python3") is None:
        pytest.skip("no /usr/bin/python3")
    lines = []
    for package in idl.interface_packages():
        folder = catalogue.package_folder(package)
        for kind in catalogue.KINDS:
            for name, file in catalogue.files(folder, kind).items():
                lines.append(f"{package} {kind} {file} {package}/{kind}/{name}")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", ORACLE], input="\n".join(lines), capture_output=True, text=True
    )
    if "No module named" in done.stderr:
        pytest.skip("python3-rosidl (Debian) is not installed")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_file_means_the_same_to_the_parser_of_ros(oracle):
    assert len(oracle) > 300
    for name, parts in oracle.items():
        package = name.partition("/")[0]
        for mine, theirs in zip(catalogue.parts(name), parts, strict=True):
            fields = [[f.name, spelled(f.type, package)] for f in mine.fields]
            assert fields == [[n, t.replace("char", "uint8")] for n, t in theirs["fields"]], name
            constants = [
                [n, v[0] if isinstance(v, bytes) else v] for n, v in mine.constants.items()
            ]
            assert sorted(constants) == theirs["constants"], name
