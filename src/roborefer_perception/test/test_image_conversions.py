# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import array

import numpy as np
import pytest
from roborefer_perception.core.frames import FrameStore, ImageWish
from roborefer_perception.exceptions import Reason, ReferFailure

W, H = 64, 48
K = [60.0, 0.0, 31.5, 0.0, 61.0, 23.5, 0.0, 0.0, 1.0]


def stamped(message, stamp_ns=5_000_000_007, frame="optical"):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    message.header.frame_id = frame
    return message


def info(**changes):
    from sensor_msgs.msg import CameraInfo

    fields = {"width": W, "height": H, "distortion_model": "plumb_bob", "k": K, "d": [0.0] * 5}
    return stamped(CameraInfo(**(fields | changes)))


def frame_of(rgb, depth, camera_info):
    """What a store makes of three messages."""
    from roborefer_perception.image_conversions import (
        color_from_msg,
        depth_from_msg,
        info_from_msg,
    )

    store = FrameStore()
    store.add_info(info_from_msg(camera_info))
    store.add_color(color_from_msg(stamped(rgb)))
    store.add_depth(depth_from_msg(stamped(depth)))
    return store.find(ImageWish(), 5_000_000_007).decoded()


def images(width, height, big_endian=False):
    from sensor_msgs.msg import Image

    rgb = np.arange(width * height * 3, dtype=np.uint8)
    depth = np.arange(width * height, dtype=">u2" if big_endian else "<u2")
    return (
        Image(width=width, height=height, encoding="rgb8", step=width * 3, data=rgb.tobytes()),
        Image(
            width=width, height=height, encoding="16UC1", step=width * 2,
            is_bigendian=int(big_endian), data=array.array("B", depth.tobytes()),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("big_endian", [False, True])
def test_messages_become_a_frame_with_stamp_and_intrinsics(big_endian):
    frame = frame_of(*images(W, H, big_endian), info())

    assert (frame.stamp_ns, frame.frame_id) == (5_000_000_007, "optical")
    assert frame.rgb[0, 1].tolist() == [3, 4, 5]
    assert frame.depth_m[1, 2] == pytest.approx(0.066)
    assert (frame.camera.fx, frame.camera.fy) == (60.0, 61.0)
    assert (frame.camera.cx, frame.camera.cy) == (31.5, 23.5)
    assert frame.camera.d == ()


def test_binning_and_region_of_interest_belong_to_the_intrinsics():
    from sensor_msgs.msg import RegionOfInterest

    roi = RegionOfInterest(x_offset=16, y_offset=8, width=32, height=24)
    frame = frame_of(*images(16, 12), info(roi=roi, binning_x=2, binning_y=2))

    # The ray of a point is that of the full sensor: two pixels joined, 16 and 8 cut off.
    full = (np.array([2 * 5 + 0.5 + 16, 2 * 7 + 0.5 + 8]) - (31.5, 23.5)) / (60.0, 61.0)
    np.testing.assert_allclose(frame.camera.rays([[5, 7]])[0], full, atol=1e-9)


@pytest.mark.parametrize(("model", "count"), [("plumb_bob", 5), ("rational_polynomial", 8)])
def test_distortion_is_kept(model, count):
    d = [0.1, -0.02, 0.001, 0.002, *([0.01] * (count - 4))]

    camera = frame_of(*images(W, H), info(distortion_model=model, d=d)).camera

    assert (camera.model, camera.d) == (model, tuple(d))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"k": [0.0] * 9}, Reason.INVALID_INTRINSICS),
        ({"k": [np.nan, *K[1:]]}, Reason.INVALID_INTRINSICS),
        ({"k": [np.inf, *K[1:]]}, Reason.INVALID_INTRINSICS),
        ({"width": 0, "height": 0}, Reason.INVALID_INTRINSICS),
        ({"width": W * 2}, Reason.INVALID_INTRINSICS),
        ({"binning_x": 2**32 - 1}, Reason.INVALID_INTRINSICS),
        ({"d": [0.1] * 10_000}, Reason.INVALID_INTRINSICS),
        ({"d": [np.nan] * 5}, Reason.INVALID_INTRINSICS),
        ({"d": [0.1] * 4, "distortion_model": "equidistant"}, Reason.UNSUPPORTED_IMAGE),
    ],
)
def test_intrinsics_that_mean_nothing_are_refused(change, reason):
    with pytest.raises(ReferFailure) as caught:
        frame_of(*images(W, H), info(**change))

    assert caught.value.reason is reason


def test_transform_becomes_a_matrix():
    from geometry_msgs.msg import Quaternion, Transform, Vector3
    from roborefer_perception.image_conversions import pose_from_transform

    half = float(np.sqrt(0.5))
    message = Transform(
        translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=Quaternion(z=half, w=half)
    )

    pose = pose_from_transform(message)

    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
