# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A small room of boxes, cast from several places and written as each data set writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from cast_scenes import camera, turn
from PIL import Image
from roborefer_vlm.data.sources.box_casting import cast
from roborefer_vlm.scenes.graph import Camera, OrientedBox
from roborefer_vlm.types import Intrinsics

SMALL = Intrinsics(320, 240, 250.0, 250.0, 159.5, 119.5)
# label, x, y, bottom, lengths, yaw
ROOM = [
    ("floor", 1.5, 0.0, -0.02, (4.0, 4.0, 0.02), 0.0),
    ("wall", 3.4, 0.0, 0.0, (0.1, 4.0, 2.5), 0.0),
    ("table", 1.6, 0.0, 0.0, (0.8, 1.4, 0.7), 0.0),
    ("mug", 1.4, -0.3, 0.7, (0.08, 0.08, 0.1), 0.4),
    ("laptop", 1.6, 0.1, 0.7, (0.24, 0.34, 0.2), -0.2),
    ("box", 1.75, -0.45, 0.7, (0.2, 0.12, 0.15), 0.7),
    ("object", 1.35, 0.5, 0.7, (0.1, 0.1, 0.12), 0.0),
    ("chair", 1.7, 1.2, 0.0, (0.45, 0.45, 0.85), 0.2),
]
# Small enough to be hidden behind the laptop from the first camera.
HIDDEN = ("cup", 1.85, 0.14, 0.7, (0.05, 0.05, 0.06), 0.0)
EYES = [(0.2, 0.0, 1.4), (0.2, 0.05, 1.4), (0.7, -1.3, 1.5), (0.5, 1.1, 1.3)]


@dataclass(frozen=True, eq=False)
class Taken:
    """One frame: camera, picture, depth and which box each pixel shows."""

    camera: Camera
    rgb: np.ndarray
    depth_m: np.ndarray
    owners: np.ndarray


def room_boxes(room=(*ROOM, HIDDEN)):
    return [
        OrientedBox(np.array([x, y, z + size[2] / 2]), turn(yaw), np.array(size))
        for _, x, y, z, size, yaw in room
    ]


def take(eye, boxes, intrinsics=SMALL, noise_m=0.0):
    look = camera(eye, (1.6, 0.1, 0.7), intrinsics)
    picture = cast(look, boxes)
    colors = np.random.default_rng(5).integers(60, 255, (len(boxes) + 1, 3)).astype(np.uint8)
    noise = np.random.default_rng(6).normal(0, noise_m, picture.depth_m.shape)
    depth = np.where(np.isfinite(picture.depth_m), picture.depth_m + noise, 0).astype(np.float32)
    return Taken(look, colors[picture.owners], depth, picture.owners)


def write_robospatial(folder, *, depth=True, eyes=EYES, room=(*ROOM, HIDDEN)):
    """Write frames of the room; returns what was taken."""
    boxes, taken = room_boxes(room), []
    for number, eye in enumerate(eyes):
        frame = take(eye, boxes)
        taken.append(frame)
        visible = [i for i in range(len(boxes)) if (frame.owners == i).any()]
        objects = [
            {
                "Name": label.capitalize() + ".",
                "bbox_3d": [[*box.center.tolist(), *box.size.tolist(), yaw, 0.0, 0.0]],
            }
            for (label, *_, yaw), box in zip(room, boxes, strict=True)
        ]
        record = {
            "dataset": "made",
            "scene_name": "room",
            "image_name": f"{number:03}.png",
            "image_size": [SMALL.width, SMALL.height],
            "visible_instance_ids": visible,
            "camera_annotations": {
                "extrinsic": frame.camera.t_scene_optical.tolist(),
                "intrinsic": _matrix(SMALL, 4).tolist(),
                "axis_align_matrix": np.eye(4).tolist(),
            },
            "objects": objects,
        }
        _write(folder / "annotations" / "room" / f"{number:03}.json", json.dumps(record))
        _save(folder / "images" / "made" / "room" / f"{number:03}.png", frame.rgb)
        if depth:
            _save(folder / "depth" / "made" / "room" / f"{number:03}.png", _mm(frame.depth_m))
    return taken


def write_ca1m(folder, *, names=True, eyes=EYES):
    """Write frames of the room with half-size laser depth and quarter-size own depth."""
    room = (*ROOM, HIDDEN)
    boxes, taken = room_boxes(room), []
    capture = folder / "42444499"
    instances = []
    for number, ((label, *_), box) in enumerate(zip(room, boxes, strict=True)):
        # Its boxes have their axes in any order: here y is up.
        order = [2, 0, 1]
        instances.append(
            {
                "id": f"i{number}",
                "category": label if label in ("floor", "wall") else "object",
                "position": box.center.tolist(),
                "scale": box.size[order][[1, 0, 2]].tolist(),
                "R": box.rotation[:, order][:, [1, 0, 2]].tolist(),
            }
        )
    _write(capture / "world.gt" / "instances.json", json.dumps(instances))
    if names:
        labels = {f"i{i}": label for i, (label, *_) in enumerate(room)}
        _write(capture / "names.json", json.dumps(labels))
    for number, eye in enumerate(eyes):
        frame = take(eye, boxes)
        taken.append(frame)
        time = 1000 + 7 * number
        wide, truth = capture / f"{time}.wide", capture / f"{time}.gt"
        _save(wide / "image.png", frame.rgb)
        _write(wide / "image" / "K.json", json.dumps(_matrix(SMALL, 3).tolist()))
        # Every fourth and second pixel, at the middle of what it stands for.
        _save(wide / "depth.png", _mm(frame.depth_m[2::4, 2::4]))
        _save(truth / "depth.png", _mm(frame.depth_m[1::2, 1::2]))
        _write(truth / "RT.json", json.dumps(frame.camera.t_scene_optical.tolist()))
        seen = [{"id": f"i{i}"} for i in range(len(boxes)) if (frame.owners == i).any()]
        _write(wide / "instances.json", json.dumps(seen))
    return taken


def write_scannet(folder, *, eyes=EYES):
    """Write frames of the room without turned boxes, in a world that is not aligned yet."""
    room = [(*rest, 0.0) for *rest, _ in (*ROOM, HIDDEN) if rest[0] not in ("floor", "wall")]
    classes = {"table": 7, "mug": 40, "laptop": 25, "box": 29, "object": 39, "chair": 5, "cup": 40}
    boxes, taken = room_boxes(room), []
    scene = folder / "scene0000_00"
    alignment = np.eye(4)
    alignment[:3, :3], alignment[:3, 3] = turn(0.6), (0.5, -1.0, 0.3)
    rows = [
        [*box.center, *box.size, classes[label], i]
        for i, ((label, *_), box) in enumerate(zip(room, boxes, strict=True))
    ]
    scene.mkdir(parents=True)
    np.save(scene / "scene0000_00_aligned_bbox.npy", np.array(rows))
    numbers = " ".join(f"{v:.6f}" for v in alignment.ravel())
    _write(scene / "scene0000_00.txt", f"sceneType = Office\naxisAlignment = {numbers}\n")
    large = Intrinsics(640, 480, 520.0, 520.0, 325.0, 238.0)
    _write(scene / "intrinsic" / "intrinsic_color.txt", _text(_matrix(large, 4)))
    _write(scene / "intrinsic" / "intrinsic_depth.txt", _text(_matrix(SMALL, 4)))
    shell = room_boxes([r for r in ROOM if r[0] in ("floor", "wall")])
    for number, eye in enumerate(eyes):
        frame = take(eye, [*boxes, *shell])
        taken.append(frame)
        color = take(eye, [*boxes, *shell], large)
        (scene / "color").mkdir(exist_ok=True)
        Image.fromarray(color.rgb).save(scene / "color" / f"{number}.jpg", quality=98)
        _save(scene / "depth" / f"{number}.png", _mm(frame.depth_m))
        pose = np.linalg.inv(alignment) @ frame.camera.t_scene_optical
        _write(scene / "pose" / f"{number}.txt", _text(pose))
    return taken


def change_json(path, change):
    """Rewrite a JSON file after a change in place."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def _matrix(k, size):
    matrix = np.eye(size)
    matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2] = k.fx, k.fy, k.cx, k.cy
    return matrix


def _mm(depth_m):
    return np.rint(depth_m * 1000).astype(np.uint16)


def _text(matrix):
    return "\n".join(" ".join(f"{v:.8f}" for v in row) for row in matrix)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
