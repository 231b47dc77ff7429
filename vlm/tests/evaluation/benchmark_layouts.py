# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Small copies of every benchmark's layout, and askers that answer them."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.types import Answer, LatencySplit, Outcome, Pixel, Query, ReferredPoint

SUFFIX = (
    "Your answer should be formatted as a list of tuples, i.e. [(x1, y1)], where each tuple"
    " contains the x and y coordinates of a point satisfying the conditions above."
)
WIDTH, HEIGHT = 64, 48
# The right area of every synthetic question: columns 10 to 29, rows 20 to 39.
LEFT, TOP, RIGHT, BOTTOM = 10, 20, 30, 40
INFO = EngineInfo("fake", "fake-1")


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def mask(inside: int = 255) -> np.ndarray:
    area = np.zeros((HEIGHT, WIDTH), np.uint8)
    area[TOP:BOTTOM, LEFT:RIGHT] = inside
    return area


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_json(path: Path, value: object) -> None:
    write(path, json.dumps(value).encode())


def refspatial_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "object": f"the mug number {number}",
        "prompt": f"Please point to the mug number {number}.",
        "suffix": SUFFIX,
        "rgb_path": f"image/{number}.png",
        "mask_path": f"mask/{number}.png",
        "category": "location",
        "step": 1 + number % 3,
    }
    return {k: v for k, v in {**row, **changes}.items() if v is not ...}


def refspatial_raw(root: Path, counts: Mapping[str, int]) -> Path:
    for part, count in counts.items():
        folder = root / part
        for number in range(count):
            write(folder / f"image/{number}.png", png(picture(number)))
            write(folder / f"mask/{number}.png", png(mask()))
        write_json(folder / "question.json", [refspatial_row(n) for n in range(count)])
    return root


def parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


def blob(array: np.ndarray) -> dict[str, Any]:
    return {"bytes": png(array), "path": None}


def refspatial_table_row(number: int, **changes: Any) -> dict[str, Any]:
    row = refspatial_row(number)
    for field in ("rgb_path", "mask_path", "category"):
        del row[field]
    return {**row, "image": blob(picture(number)), "mask": blob(mask()), **changes}


POLYGON = [
    (LEFT / WIDTH, TOP / HEIGHT),
    (RIGHT / WIDTH, TOP / HEIGHT),
    (RIGHT / WIDTH, BOTTOM / HEIGHT),
    (LEFT / WIDTH, BOTTOM / HEIGHT),
]


def robospatial_rows() -> list[dict[str, Any]]:
    return [
        {
            "category": "context",
            "question": f"Pinpoint several points in the vacant space. {SUFFIX}",
            "answer": str(POLYGON),
            "img": "images/a.png",
            "depth_image": "images/depth.png",
            "mask": "images/mask.png",
        },
        {
            "category": "compatibility",
            "question": "Can the cup fit left of the bowl? Answer yes or no.",
            "answer": "Yes",
            "img": "images/a.png",
            "depth_image": None,
            "mask": None,
        },
        {
            "category": "configuration",
            "question": "Is the cup left of the bowl? Answer yes or no.",
            "answer": "no",
            "img": "images/a.png",
            "depth_image": None,
            "mask": None,
        },
    ]


def robospatial_raw(root: Path) -> Path:
    write(root / "images/a.png", png(picture()))
    write(root / "images/mask.png", png(mask()))
    write(root / "images/depth.png", png(np.full((HEIGHT, WIDTH), 1500, np.uint16)))
    write_json(root / "annotations.json", robospatial_rows())
    return root


def where2place_raw(root: Path, count: int = 2) -> Path:
    lines = []
    for number in range(count):
        write(root / f"images/{number:02d}.png", png(picture(number)))
        buffer = io.BytesIO()
        Image.fromarray(mask(200)).save(buffer, "JPEG", quality=95)
        write(root / f"masks/{number:02d}.jpg", buffer.getvalue())
        row = {
            "question_id": 100 + number,
            "image": f"{number:02d}.png",
            "text": f"Locate free space {number}. {SUFFIX}",
            "category": "Free_Space",
        }
        lines.append(json.dumps(row))
    write(root / "point_questions.jsonl", "\n".join(lines).encode())
    return root


def own_raw(root: Path, count: int = 3) -> Path:
    scene = root / "scenes/desk"
    write(scene / "rgb.png", png(picture()))
    write(scene / "depth.png", png(np.full((HEIGHT, WIDTH), 800, np.uint16)))
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[TOP:BOTTOM, LEFT:RIGHT] = 1
    ids[5:10, 5:10] = 2
    write(scene / "instances.png", png(ids))
    write_json(scene / "instances.json", [{"id": 1, "name": "soup_can"}, {"id": 2, "name": "mug"}])
    camera = {"width": WIDTH, "height": HEIGHT, "fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5}
    write_json(scene / "camera.json", {**camera, "distortion": None, "depth_scale_m": 0.001})
    rows = []
    for number in range(count):
        write(root / f"Location/mask/{number}.png", png(mask()))
        rows.append(
            refspatial_row(
                number,
                rgb_path="../scenes/desk/rgb.png",
                depth_path="../scenes/desk/depth.png",
                camera_path="../scenes/desk/camera.json",
                scene="desk",
            )
        )
    write_json(root / "Location/question.json", rows)
    return root


def at(u: float, v: float, label: str = "") -> Answer:
    """An answer that points there."""
    x, y = (u + 0.5) / WIDTH, (v + 0.5) / HEIGHT
    return Answer(
        Outcome.OK,
        points=(ReferredPoint(Pixel(u, v), 0.9, label),),
        text=f"[({x:.4f}, {y:.4f})]",
        engine="fake:1",
        latency=LatencySplit(decode_s=0.02, total_s=0.03),
    )


HIT = at((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, "mug")
MISS = at(1, 1, "mug")


class FakeAsker:
    """Answers by a function of the query; counts, from any number of threads."""

    def __init__(self, answer: Callable[[Query], Answer] = lambda _: HIT) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.asked: list[str] = []

    def refer(self, query: Query, *, deadline_s: float) -> Answer:
        with self._lock:
            self.asked.append(query.text)
        return self._answer(query)
