# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The console without ROS and network: tokens, orders, board, pictures, clouds, robots."""

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from roborefer_common.core.parameters import readme_table
from roborefer_common.core.pictures import RawPicture
from roborefer_operator.core.console import orders
from roborefer_operator.core.console.access import Access, Verdict, make_token, read_token
from roborefer_operator.core.console.board import Board
from roborefer_operator.core.console.cloud import Pinhole, cloud_of
from roborefer_operator.core.console.newest import NewestPictures
from roborefer_operator.core.console.orders import read_order
from roborefer_operator.core.console.parameters import TABLE, sample_file
from roborefer_operator.core.console.robot_model import read_robot
from roborefer_operator.core.console.shapes import Form
from roborefer_operator.exceptions import ConsoleError

TOKEN = "a-token-of-some-length"
HOST = {"host": "127.0.0.1:8750"}


@pytest.fixture
def access():
    return Access(TOKEN, 8750, ["robot.example"])


def test_the_token_in_address_or_cookie_lets_in_and_nothing_else(access):
    cookie = access.set_cookie().partition(";")[0]

    assert access.judge(f"/?token={TOKEN}", HOST) is Verdict.WELCOME
    assert access.judge("/", {**HOST, "cookie": f"a=b; {cookie}"}) is Verdict.WELCOME
    for path in (
        "/",
        "/?token=",
        f"/?token={TOKEN[:-1]}",
        f"/?token={TOKEN}x",
        "/?TOKEN=" + TOKEN,
    ):
        assert access.judge(path, HOST) is Verdict.NO_TOKEN
    for cookie in ("roborefer_console_8750=", f"other={TOKEN}", "=;=;", f"{TOKEN}"):
        assert access.judge("/", {**HOST, "cookie": cookie}) is Verdict.NO_TOKEN


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1:80", "127.0.0.1", "10.0.0.1:8750"]
)
def test_a_strange_host_is_refused_even_with_the_token(access, host):
    verdict = access.judge(f"/?token={TOKEN}", {"host": host})

    assert verdict is Verdict.STRANGE_HOST


@pytest.mark.parametrize(
    ("origin", "verdict"),
    [
        ("http://127.0.0.1:8750", Verdict.WELCOME),
        ("http://localhost:8750", Verdict.WELCOME),
        ("https://robot.example", Verdict.WELCOME),
        ("http://127.0.0.1:8750.evil.example", Verdict.STRANGE_ORIGIN),
        ("http://127.0.0.1:9999", Verdict.STRANGE_ORIGIN),
        ("null", Verdict.STRANGE_ORIGIN),
        ("", Verdict.STRANGE_ORIGIN),
    ],
)
def test_only_pages_of_the_console_may_use_it(access, origin, verdict):
    assert access.judge(f"/?token={TOKEN}", {**HOST, "origin": origin}) is verdict


def test_the_token_comes_from_a_private_file_or_is_made(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)

    assert read_token("", str(file)) == TOKEN
    assert read_token("another-token-that-wins", str(file)) == "another-token-that-wins"
    assert read_token("", "") != read_token("", "")
    assert len(make_token()) >= 32


def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path):
    open_file = tmp_path / "token"
    open_file.write_text(TOKEN)
    open_file.chmod(0o644)

    with pytest.raises(ConsoleError, match="chmod 600"):
        read_token("", str(open_file))
    with pytest.raises(ConsoleError, match="cannot be read"):
        read_token("", str(tmp_path / "none"))
    for bad in ("short", "x" * 300, "with spaces in the token", "semi;colon;semi;colon"):
        with pytest.raises(ConsoleError, match="16 to 256"):
            read_token(bad, "")


def test_parameter_file_and_readme_say_what_the_table_says():
    package = Path(__file__).parents[1]

    assert (package / "config" / "console.yaml").read_text() == sample_file()
    assert readme_table(TABLE) in (package / "README.md").read_text(), (
        "replace the table by: python3 -m roborefer_operator.core.console.parameters table"
    )


def test_orders_are_read():
    def read(**fields):
        return read_order(json.dumps({"id": 7, **fields}))

    assert read(do="instruct", text=" pick it ", confirm=True) == (
        7, orders.Instruct("pick it", True),
    )  # fmt: skip
    assert read(do="stop", on=True)[1] == orders.Stop(True)
    assert read(do="cancel", task="")[1] == orders.Cancel("")
    answer = {"do": "answer", "task": "t", "question": "q"}
    assert read(**answer, answer="candidate", candidate=2)[1].candidate == 2
    assert read(**answer, answer="pixel", u=1, v=2.5)[1].pixel == (1.0, 2.5)
    assert read(**answer, answer="yes")[1].way == 1
    correct = read(do="correct", reference="0f" * 16, in_image=True, u=1, v=2)[1]
    assert correct == orders.Correct("0f" * 16, (1.0, 2.0))


@pytest.mark.parametrize(
    "data",
    [
        "", "{", "[]", "7", '"stop"', "[" * 100000, b"", b"\x01\x00", b"\x02\x00\x00",
        b"\x00" + b"\x00" * 64002,
        '{"do": "move", "id": 1}', '{"do": "stop", "id": 1}', '{"do": "stop", "id": 1, "on": 1}',
        '{"do": "stop", "on": true}', '{"do": "stop", "id": true, "on": true}',
        '{"do": "stop", "id": -1, "on": true}',
        '{"do": "instruct", "id": 1, "text": "  ", "confirm": false}',
        '{"do": "instruct", "id": 1, "text": ["a"], "confirm": false}',
        '{"do": "instruct", "id": 1, "confirm": false, "text": "' + "a" * 2001 + '"}',
        '{"do": "answer", "id": 1, "task": "t", "question": "q", "answer": "maybe"}',
        '{"do": "answer", "id": 1, "task": "t", "question": "q", "answer": "pixel", "u": 1}',
        '{"do": "answer", "id": 1, "task": "t", "question": "q", "answer": "pixel", "u": NaN,'
        ' "v": 1}',
        '{"do": "answer", "id": 1, "task": "t", "question": "q", "answer": "candidate",'
        ' "candidate": 70000}',
        '{"do": "correct", "id": 1, "reference": "zz", "in_image": true, "u": 1, "v": 1}',
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused_with_a_sentence(data):
    with pytest.raises(ConsoleError) as refused:
        read_order(data)

    assert str(refused.value)


def test_sound_is_taken_as_samples():
    _, sound = read_order(b"\x01" + np.array([1, -2, 300], "<i2").tobytes())

    assert sound.last
    assert sound.samples.tolist() == [1, -2, 300]


def test_the_board_tells_only_what_changed():
    board = Board()
    board.show("stop", True)
    board.show("task", {"id": "a"})
    revision, everything = board.since(0)
    board.show("task", {"id": "a"})
    board.show("stop", False)

    assert everything == {"stop": True, "task": {"id": "a"}}
    assert board.since(revision)[1] == {"stop": False}


def raw(pixels, encoding, **changes):
    height, width = pixels.shape[:2]
    fields = {"step": pixels.strides[0], "big_endian": False, "data": pixels.tobytes()}
    return RawPicture(width, height, encoding, **{**fields, **changes})


def test_a_picture_is_packed_once_for_all_pages_and_at_a_limited_rate():
    pictures = NewestPictures(period_s=60.0)
    assert pictures.jpeg(0) is None
    pictures.put(0, raw(np.full((48, 64, 3), 90, np.uint8), "rgb8"))
    first = pictures.jpeg(0)
    found = []
    threads = [threading.Thread(target=lambda: found.append(pictures.jpeg(0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pictures.put(0, raw(np.zeros((48, 64, 3), np.uint8), "rgb8"))

    shape = cv2.imdecode(np.frombuffer(first[1], np.uint8), cv2.IMREAD_COLOR).shape
    assert shape == (48, 64, 3)
    assert all(each[1] is first[1] for each in found)
    assert pictures.jpeg(0) is first


def test_a_broken_picture_is_named_and_the_next_one_is_shown():
    pictures = NewestPictures(period_s=0.0)
    pictures.put(0, raw(np.zeros((4, 4, 3), np.uint8), "rgb8", data=b"12"))
    nothing = pictures.jpeg(0)
    trouble = pictures.trouble
    pictures.put(0, raw(np.zeros((4, 4, 3), np.uint8), "rgb8"))

    assert nothing is None
    assert "2 bytes" in trouble
    assert pictures.jpeg(0) is not None
    assert pictures.trouble == ""


@pytest.mark.parametrize(("encoding", "unit"), [("16UC1", 1000), ("32FC1", 1)])
def test_a_cloud_lies_where_the_depth_was_measured(encoding, unit):
    depth = np.full((40, 80), 0.5 * unit, np.uint16 if unit == 1000 else np.float32)
    depth[:, :40] = 0
    if unit == 1:
        depth[:20, 40:] = np.nan

    cloud = cloud_of(raw(depth, encoding), Pinhole(100.0, 100.0, 40.0, 20.0), None)

    assert np.allclose(cloud.points[:, 2], 0.5)
    assert cloud.points[:, 0].min() >= 0.0
    assert len(cloud.points) == (100 if unit == 1000 else 50)
    assert cloud.colors.shape == cloud.points.shape


def test_a_cloud_takes_the_colours_of_the_picture():
    pictures = NewestPictures(period_s=0.0)
    pictures.put(0, raw(np.full((40, 80, 3), (200, 30, 30), np.uint8), "rgb8"))
    depth = raw(np.full((40, 80), 500, np.uint16), "16UC1")

    cloud = cloud_of(depth, Pinhole(100.0, 100.0, 40.0, 20.0), pictures.jpeg(0)[1])

    assert np.abs(cloud.colors.astype(int) - (200, 30, 30)).max() < 12


def test_depth_that_is_none_gives_no_cloud():
    depth = np.zeros((4, 4), np.uint16)

    with pytest.raises(ConsoleError, match="focal"):
        cloud_of(raw(depth, "16UC1"), Pinhole(0.0, 0.0, 0.0, 0.0), None)
    with pytest.raises(ConsoleError, match="rgb8"):
        cloud_of(raw(depth, "rgb8"), Pinhole(1.0, 1.0, 0.0, 0.0), None)
    with pytest.raises(ConsoleError, match="bytes"):
        cloud_of(raw(depth, "16UC1", data=b"1"), Pinhole(1.0, 1.0, 0.0, 0.0), None)


ROBOT = """<robot name="r">
  <link name="base"><visual><origin xyz="0 0 1" rpy="0 0 1.5707963"/>
    <geometry><box size="1 2 3"/></geometry></visual></link>
  <link name="arm"><visual><geometry><mesh filename="MESH" scale="2 2 2"/></geometry></visual>
    <visual><geometry><mesh filename="file:///nowhere.stl"/></geometry></visual></link>
  <link name="tip"><visual><geometry><cylinder radius="0.1" length="0.5"/></geometry></visual>
  </link>
</robot>"""


def test_the_bodies_of_a_robot_are_read(tmp_path):
    path = tmp_path / "cube.stl"
    trimesh.creation.box((1.0, 1.0, 1.0)).export(path)

    box, mesh, tip = read_robot(
        ROBOT.replace("MESH", "here"), lambda address: path if address == "here" else None
    )

    assert (box.form, box.frame, box.size) == (Form.BOX, "base", (1.0, 2.0, 3.0))
    assert np.allclose(box.xyzw, [0, 0, np.sqrt(0.5), np.sqrt(0.5)])
    assert (mesh.form, len(mesh.faces)) == (Form.MESH, 12)
    assert np.allclose(np.abs(mesh.points), 1.0)
    assert tip.size == pytest.approx((0.2, 0.2, 0.5))


@pytest.mark.parametrize(
    "text",
    [
        "", "<robot>", '<!DOCTYPE a [<!ENTITY b "c">]><robot>&b;</robot>',
        '<robot><link name="a"><visual><geometry><box size="1 x 3"/></geometry></visual></link>'
        "</robot>",
    ],
)  # fmt: skip
def test_a_wrong_robot_description_is_refused(text):
    with pytest.raises(ConsoleError):
        read_robot(text, lambda address: None)
