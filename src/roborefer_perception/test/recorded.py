# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes small recordings of a made-up scene, for tests."""

import json

import cv2
import numpy as np

WIDTH, HEIGHT = 64, 48
FOCAL, CX, CY = 60.0, 31.5, 23.5
# A camera 0.6 m above a plane that it looks down to, by 45 degrees.
PLANE = np.array([0.0, -np.sqrt(0.5), -np.sqrt(0.5), 0.6])


def colour(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def depth_m():
    """What a perfect camera measures of PLANE."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([(u - CX) / FOCAL, (v - CY) / FOCAL, np.ones_like(u, float)], axis=-1)
    return -PLANE[3] / (rays @ PLANE[:3])


def write_scene(folder, unit_m=0.001, seed=0, **changes):
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "rgb.png"), colour(seed)[:, :, ::-1])
    cv2.imwrite(str(folder / "depth.png"), np.rint(depth_m() / unit_m).astype(np.uint16))
    fields = {
        "width": WIDTH,
        "height": HEIGHT,
        "fx": FOCAL,
        "fy": FOCAL,
        "cx": CX,
        "cy": CY,
        "depth_scale_m": unit_m,
        "main_plane_camera": {"normal": PLANE[:3].tolist(), "offset_m": PLANE[3]},
    } | changes
    (folder / "camera.json").write_text(json.dumps(fields))
    return folder


def write_tum(folder, frames=5, poses=True, late_depth_s=0.005, first_s=1311868164.4):
    (folder / "rgb").mkdir(parents=True)
    (folder / "depth").mkdir()
    lists = {"rgb": ["# color images"], "depth": ["# depth maps"]}
    for i in range(frames):
        for kind, stamp in (
            ("rgb", first_s + i / 30),
            ("depth", first_s + i / 30 + late_depth_s),
        ):
            name = f"{kind}/{stamp:.6f}.png"
            lists[kind].append(f"{stamp:.6f} {name}")
            picture = (
                colour(i)[:, :, ::-1]
                if kind == "rgb"
                else np.rint(depth_m() * 5000).astype(np.uint16)
            )
            cv2.imwrite(str(folder / name), picture)
    for kind, lines in lists.items():
        (folder / f"{kind}.txt").write_text("\n".join(lines) + "\n")
    if poses:
        # Along x by 0.1 m/s, at 100 Hz.
        lines = ["# timestamp tx ty tz qx qy qz qw"]
        lines += [
            f"{first_s + t / 100:.4f} {t / 1000:.4f} 0 1 0 0 0 1"
            for t in range(-2, 100 * frames // 30 + 2)
        ]
        (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    camera = {
        "image_width": WIDTH,
        "image_height": HEIGHT,
        "camera_matrix": {"rows": 3, "cols": 3, "data": [FOCAL, 0, CX, 0, FOCAL, CY, 0, 0, 1]},
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
    }
    file = folder / "camera.yaml"
    file.write_text(json.dumps(camera))
    return file


def write_bag(folder, storage="mcap", packed=False, depth_encoding="16UC1", frames=3, skip=()):
    """Write a bag; the topics in `skip` are left out."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    header_type, time_type = types["std_msgs/msg/Header"], types["builtin_interfaces/msg/Time"]
    frame = "cam_color_optical_frame"

    def header(stamp_ns, name=frame):
        return header_type(time_type(*divmod(stamp_ns, 10**9)), name)

    def image(stamp_ns, pixels, encoding):
        step = pixels.nbytes // HEIGHT
        return types["sensor_msgs/msg/Image"](
            header(stamp_ns), HEIGHT, WIDTH, encoding, 0, step, pixels.reshape(-1).view(np.uint8)
        )

    def file(stamp_ns, pixels, form, head=b""):
        data = head + cv2.imencode(".png", pixels)[1].tobytes()
        return types["sensor_msgs/msg/CompressedImage"](
            header(stamp_ns), form, np.frombuffer(data, np.uint8)
        )

    def info(stamp_ns):
        k = np.array([FOCAL, 0, CX, 0, FOCAL, CY, 0, 0, 1])
        p = np.array([FOCAL, 0, CX, 0, 0, FOCAL, CY, 0, 0, 0, 1, 0])
        roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        return types["sensor_msgs/msg/CameraInfo"](
            header(stamp_ns), HEIGHT, WIDTH, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), p,
            0, 0, roi,
        )  # fmt: skip

    def step(parent, child, x, quaternion):
        geometry = "geometry_msgs/msg/"
        transform = types[geometry + "Transform"](
            types[geometry + "Vector3"](x, 0.0, 0.0), types[geometry + "Quaternion"](*quaternion)
        )
        return types[geometry + "TransformStamped"](header(0, parent), child, transform)

    tf = types["tf2_msgs/msg/TFMessage"](
        [
            step("cam_link", frame, 0.25, (-0.5, 0.5, -0.5, 0.5)),
            step("world", "cam_link", 1.0, (0.0, 0.0, 0.0, 1.0)),
        ]
    )
    millimetres = np.rint(depth_m() * 1000).astype(np.uint16)
    shown = millimetres if depth_encoding == "16UC1" else depth_m().astype(np.float32)
    written = [("/tf_static", 0, tf)]
    for i in range(frames):
        stamp = 5 * 10**9 + i * 100_000_000
        if packed:
            color = file(stamp, colour(i)[:, :, ::-1], "rgb8; png compressed bgr8")
            depth = file(stamp + 10**6, millimetres, "16UC1; compressedDepth png", bytes(12))
        else:
            color = image(stamp, colour(i), "rgb8")
            depth = image(stamp + 10**6, shown, depth_encoding)
        written += [
            ("/camera/color/camera_info", stamp, info(stamp)),
            ("/camera/aligned_depth_to_color/image_raw", stamp, depth),
            ("/camera/color/image_raw", stamp, color),
        ]
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    with Writer(folder, version=9, storage_plugin=plugin) as writer:
        connections = {}
        for topic, stamp, message in written:
            if topic in skip:
                continue
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], stamp, store.serialize_cdr(message, kind))
    return folder
