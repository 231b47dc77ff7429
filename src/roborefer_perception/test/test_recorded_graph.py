# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A recorded scene goes through player and referrer: the place lies on the plane of the scene."""

import contextlib
import threading

import numpy as np
import pytest
import recorded


@contextlib.contextmanager
def running(folder):
    """Yield a client of `refer` beside both nodes."""
    import rclpy
    from rclpy.action import ActionClient
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from roborefer_perception.nodes.referrer import Referrer
    from roborefer_perception.nodes.rgbd_player import RgbdPlayer

    from roborefer_msgs.action import Refer

    context = rclpy.Context()
    rclpy.init(context=context)
    values = {"path": str(folder), "world": "plane", "rate": 20.0}
    player = RgbdPlayer(
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    referrer = Referrer(
        context=context,
        parameter_overrides=[Parameter("query.target_frame", value="world")],
    )
    client = rclpy.create_node("tester", context=context)
    executor = MultiThreadedExecutor(num_threads=8, context=context)
    for node in (player, referrer, client):
        executor.add_node(node)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        referrer.trigger_configure()
        referrer.trigger_activate()
        yield ActionClient(client, Refer, "refer")
    finally:
        player.close()
        referrer.trigger_deactivate()
        referrer.trigger_cleanup()
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        thread.join(10)
        assert not thread.is_alive()


def wait(future):
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(20.0), "no answer in time"
    return future.result()


def test_click_on_a_recorded_plane_is_free_space_at_height_zero(tmp_path):
    from roborefer_msgs.action import Refer
    from roborefer_msgs.msg import Pixel, SpatialReference

    with running(recorded.write_scene(tmp_path / "table", 0.0002)) as refer:
        assert refer.wait_for_server(10.0)
        goal = Refer.Goal(use_pixel=True, pixel=Pixel(u=31.5, v=23.5))
        goal.kind = SpatialReference.KIND_FREE_SPACE
        goal.image_policy = Refer.Goal.IMAGE_FRESH
        result = wait(wait(refer.send_goal_async(goal)).get_result_async()).result

    assert result.error_code == 0, result.error_msg
    [reference] = result.references
    pose = reference.pose.pose.pose
    # The camera stands 0.6 m above the plane and looks down by 45 degrees, along x of the world.
    at = (pose.position.x, pose.position.y, pose.position.z)
    assert at == pytest.approx((0.6, 0, 0), abs=2e-3)
    turn = pose.orientation
    up = 1 - 2 * (turn.x**2 + turn.y**2)
    assert np.degrees(np.arccos(min(1.0, up))) < 0.5
    assert reference.pose.header.frame_id == "world"
