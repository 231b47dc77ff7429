# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from camera_bench import FRAME, failing, run
from roborefer_perception.exceptions import Reason


def test_clock_that_jumps_back_forgets_images_and_transforms():
    with run(sim_time=True) as bench:
        bench.connected()
        bench.until(lambda: bench.clock.get_subscription_count() > 0)
        bench.tick(100.0)
        bench.static.sendTransform(bench.transform("hand", FRAME, 0, x=0.5))
        bench.moving.sendTransform(bench.transform("base_link", "hand", 100 * 10**9))
        bench.pose("base_link", FRAME, 100 * 10**9, 5.0)
        bench.send(100 * 10**9)
        assert bench.frame().stamp_ns == 100 * 10**9

        bench.tick(5.0)

        bench.until(lambda: bench.intake.health().kept == 0)
        bench.send(5 * 10**9)
        assert bench.frame().stamp_ns == 5 * 10**9
        # What moves is learnt anew, what does not is still known.
        bench.moving.sendTransform(bench.transform("base_link", "hand", 5 * 10**9, x=2.0))
        assert bench.pose("base_link", FRAME, 5 * 10**9, 5.0)[0, 3] == pytest.approx(2.5)


def test_waits_end_while_a_simulated_clock_stands_still():
    with run(sim_time=True) as bench:
        bench.connected()

        # The wall ends it, after the two seconds of grace of roborefer_common.
        message = failing(lambda: bench.frame(0.01), Reason.NO_IMAGE)

        assert "start the camera" in message


# --- transforms -------------------------------------------------------------------------------
def test_transform_is_that_of_the_stamp_and_not_the_latest():
    with run() as bench:
        begin_ns = bench.now_ns()
        bench.static.sendTransform(bench.transform("hand", FRAME, begin_ns, x=0.1))
        for i in range(3):
            moved = bench.transform("base_link", "hand", begin_ns + i * 10**8, x=float(i))
            bench.moving.sendTransform(moved)

        pose = bench.pose("base_link", FRAME, begin_ns + 150_000_000, 5.0)

        assert pose.shape == (4, 4)
        np.testing.assert_allclose(pose[:3, 3], (1.6, 0, 0), atol=1e-9)
        np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-12)


def test_stamp_zero_does_not_mean_the_latest():
    with run() as bench:
        bench.moving.sendTransform(bench.transform("base_link", FRAME, 10**9))
        bench.pose("base_link", FRAME, 10**9, 5.0)

        failing(lambda: bench.pose("base_link", FRAME, 0), Reason.TRANSFORM_UNAVAILABLE)


def test_transform_that_comes_late_is_waited_for_and_one_that_does_not_is_refused():
    with run() as bench:
        stamp_ns = bench.now_ns()
        bench.moving.sendTransform(bench.transform("base_link", FRAME, stamp_ns))
        bench.pose("base_link", FRAME, stamp_ns, 5.0)

        early = failing(
            lambda: bench.pose("base_link", FRAME, stamp_ns + 10**9), Reason.TRANSFORM_UNAVAILABLE
        )
        bench.moving.sendTransform(
            bench.transform("base_link", FRAME, stamp_ns + 2 * 10**9, x=3.0)
        )
        late = bench.pose("base_link", FRAME, stamp_ns + 10**9, 5.0)

        assert FRAME in early
        assert "extrapolation" in early.lower()
        assert late[0, 3] == pytest.approx(2.0)


@pytest.mark.parametrize("prefix", ["", "my_"])
def test_unknown_frame_lists_those_that_are_known(prefix):
    with run() as bench:
        base, eye = f"{prefix}base_link", f"{prefix}{FRAME}"
        bench.static.sendTransform(bench.transform(base, eye, 0))
        bench.pose(base, eye, bench.now_ns(), 5.0)

        message = failing(lambda: bench.pose("world", eye, 1), Reason.UNKNOWN_FRAME)
        empty = failing(lambda: bench.pose(base, "", 1), Reason.UNKNOWN_FRAME)
        slashed = failing(lambda: bench.pose(f"/{base}", eye, 1), Reason.UNKNOWN_FRAME)

        assert f"'world' is unknown; known frames: {base}, {eye}" in message
        assert "frame '' is unknown" in empty
        assert f"frame '/{base}' is unknown" in slashed


def test_frames_that_are_not_connected_are_no_unknown_frames():
    with run() as bench:
        bench.static.sendTransform(
            [bench.transform("base_link", FRAME, 0), bench.transform("map", "odom", 0)]
        )
        bench.pose("base_link", FRAME, 1, 5.0)

        failing(lambda: bench.pose("map", FRAME, 1), Reason.TRANSFORM_UNAVAILABLE)


def test_no_frames_at_all_is_said_so_and_a_frame_in_itself_needs_none():
    with run() as bench:
        message = failing(lambda: bench.pose("base_link", FRAME, 1), Reason.UNKNOWN_FRAME)

        assert "known frames: none" in message
        assert (bench.pose(FRAME, FRAME, 1) == np.eye(4)).all()
