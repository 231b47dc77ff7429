# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The 3D view of the console: what is drawn for markers, TF, robot and depth."""

import threading
from time import monotonic

import numpy as np
import pytest
import viser
from console_page import TOKEN, Page, console
from geometry_msgs.msg import Point, TransformStamped
from roborefer_common.qos import LATCHED, SENSOR_OUT
from roborefer_operator.core.console.shapes import Form
from roborefer_operator.core.console.stage import Stage
from roborefer_operator.marker_conversions import take_markers
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray
from websockets.sync.client import connect

ROBOT = (
    '<robot name="r"><link name="tool0"><visual><geometry><box size="0.1 0.1 0.1"/></geometry>'
    "</visual></link></robot>"
)


def marker(number, kind=Marker.SPHERE, action=Marker.ADD, frame="base_link", **fields):
    made = Marker(ns="n", id=number, type=kind, action=action, **fields)
    made.header.frame_id = frame
    made.pose.orientation.w = 1.0
    made.scale.x = made.scale.y = made.scale.z = 0.05
    return made


def test_markers_are_added_changed_and_taken_away():
    first = take_markers({}, MarkerArray(markers=[marker(0), marker(1, Marker.CUBE)]))
    second = take_markers(
        first, MarkerArray(markers=[marker(0, action=Marker.DELETE), marker(1, Marker.CYLINDER)])
    )
    third = take_markers(second, MarkerArray(markers=[Marker(action=Marker.DELETEALL), marker(5)]))

    assert [shape.form for shape in first.values()] == [Form.SPHERE, Form.BOX]
    assert {key: shape.form for key, shape in second.items()} == {("n", 1): Form.CYLINDER}
    assert list(third) == [("n", 5)]


@pytest.mark.parametrize(
    ("kind", "points", "ends"),
    [
        (Marker.LINE_STRIP, 3, [[0, 0, 0], [1, 0, 0], [1, 0, 0], [2, 0, 0]]),
        (Marker.LINE_LIST, 3, [[0, 0, 0], [1, 0, 0]]),
        (Marker.ARROW, 2, [[0, 0, 0], [1, 0, 0]]),
        (Marker.ARROW, 0, [[0, 0, 0], [0.05, 0, 0]]),
        (Marker.LINE_LIST, 0, np.zeros((0, 3))),
    ],
)
def test_lines_of_markers_become_pairs_of_ends(kind, points, ends):
    made = marker(0, kind, points=[Point(x=float(i)) for i in range(points)])

    (shape,) = take_markers({}, MarkerArray(markers=[made])).values()

    assert np.allclose(shape.points, ends)


def test_a_marker_without_orientation_is_drawn_upright():
    made = marker(0)
    made.pose.orientation.w = 0.0

    (shape,) = take_markers({}, MarkerArray(markers=[made])).values()

    assert shape.xyzw.tolist() == [0.0, 0.0, 0.0, 1.0]


def test_the_view_never_asks_for_an_address_on_the_internet():
    stage = Stage()
    address = stage._server.request_share_url()
    stage.close()

    assert address is None


def test_robot_markers_and_cloud_are_drawn_while_a_page_is_open(start):
    with start(active=False, robot=False) as bench:
        make = bench.client.create_publisher
        robot = make(String, "robot_description", LATCHED)
        markers = make(MarkerArray, "reference_markers", LATCHED)
        depth = make(Image, "camera/aligned_depth_to_color/image_raw", SENSOR_OUT)
        info = make(CameraInfo, "camera/color/camera_info", SENSOR_OUT)
        robot.publish(String(data=ROBOT))
        markers.publish(MarkerArray(markers=[marker(0, frame="tool0"), marker(1, frame="lost")]))
        camera = CameraInfo(k=[100.0, 0.0, 40.0, 0.0, 100.0, 20.0, 0.0, 0.0, 1.0])
        picture = Image(width=80, height=40, encoding="16UC1", step=160)
        picture.data = np.full((40, 80), 500, np.uint16).tobytes()
        picture.header.frame_id = "tool0"
        broadcaster = _broadcaster(bench.client)

        def tell():
            broadcaster()
            info.publish(camera)
            depth.publish(picture)

        timer = bench.client.create_timer(0.1, tell)
        changes = {"scene.enabled": True, "scene.rate": 10.0, "scene.cloud_period_s": 0.5}
        with console(**changes) as node:
            stage = node._world._stage
            before = len(node._world._watching)
            with Page(node.url):
                look = threading.Event()
                end = monotonic() + 20.0
                wanted = {"robot": 1, "reference_markers": 1, "cloud": 1}
                while (drawn := _drawn(stage)) != wanted and monotonic() < end:
                    look.wait(0.05)
                place = stage._frames["tool0"].position
            bench.client.destroy_timer(timer)

    assert before == 0
    assert drawn == wanted
    assert np.allclose(place, [0.1, 0.2, 0.3])


def _drawn(stage):
    return {name: len(handles) for name, handles in list(stage._groups.items()) if name != "bones"}


def _broadcaster(node):
    from tf2_ros import TransformBroadcaster

    broadcaster = TransformBroadcaster(node)
    transform = TransformStamped(child_frame_id="tool0")
    transform.header.frame_id = "base_link"
    transform.transform.rotation.w = 1.0
    at = transform.transform.translation
    at.x, at.y, at.z = 0.1, 0.2, 0.3

    def send():
        transform.header.stamp = node.get_clock().now().to_msg()
        broadcaster.sendTransform(transform)

    return send


def test_the_view_is_shown_through_the_gate_and_takes_no_word_from_a_browser(start):
    with start(active=False, robot=False), console(**{"scene.enabled": True}) as node:
        protocol = f"viser-v{viser.__version__}"
        address = node.url.replace("http", "ws").replace("/?", "/scene?")
        with connect(address, subprotocols=[protocol]) as page:
            shown = page.recv(timeout=20.0)
            page.send(b"anything")
            server = node._world._stage._server
            clients = server.get_clients()

    assert TOKEN in address
    assert len(shown) > 100
    assert clients == {}
