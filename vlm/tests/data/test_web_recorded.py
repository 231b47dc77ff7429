# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Estimates in files come back as they were written, and every mistake in a file is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.data.sources.web_estimates import Found, Geometry, Look, Photo
from roborefer_vlm.data.sources.web_recorded import (
    Record,
    RecordedCaptioner,
    RecordedFinder,
    RecordedGeometry,
    read_record,
    write_record,
)
from roborefer_vlm.exceptions import SourceError
from roborefer_vlm.types import Intrinsics

SHAPE = (12, 16)
DELETED = object()


def _mask(left):
    mask = np.zeros(SHAPE, bool)
    mask[2:6, left : left + 4] = True
    return mask


@pytest.fixture
def photo(tmp_path):
    return Photo(tmp_path / "cup.jpg", np.zeros((*SHAPE, 3), np.uint8))


@pytest.fixture
def record(photo):
    depth = np.linspace(0.5, 2, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
    detections = (
        Detection("cup", 0.9, (1.0, 2.0, 5.0, 6.0), _mask(1)),
        Detection("pen", 0.4, (8.0, 2.0, 12.0, 6.0), _mask(8)),
    )
    camera = Intrinsics(SHAPE[1], SHAPE[0], 20.0, 21.0, 7.5, 5.5)
    geometry = Geometry(depth, camera, True, (0.0, -0.8, -0.6))
    written = Record(Found(detections, True), geometry, (Look(("red",), ("wooden",)), Look()))
    write_record(photo, written)
    return written


def test_what_was_written_is_read_back(photo, record):
    found, geometry = RecordedFinder().find(photo), RecordedGeometry().estimate(photo)
    looks = RecordedCaptioner().looks(photo, found.detections[::-1])

    assert found.complete
    assert [(d.label, d.score, d.box) for d in found.detections] == [
        (d.label, d.score, d.box) for d in record.found.detections
    ]
    for read, written in zip(found.detections, record.found.detections, strict=True):
        assert (read.mask == written.mask).all()
    assert (geometry.depth_m == record.geometry.depth_m).all()
    assert geometry.intrinsics == record.geometry.intrinsics
    assert (geometry.metric, geometry.up) == (True, (0.0, -0.8, -0.6))
    assert looks == [Look(), Look(("red",), ("wooden",))]


def test_depth_that_is_not_finite_is_none(photo, record):
    depth = record.geometry.depth_m.copy()
    depth[0, :3] = (np.nan, np.inf, -np.inf)
    masks = np.stack([d.mask for d in record.found.detections])
    np.savez(photo.path.with_suffix(".npz"), depth=depth, masks=masks)

    assert (read_record(photo).geometry.depth_m[0, :3] == 0).all()


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("version",), 2, "version is 2; use 1"),
        (("complete",), "yes", "complete is 'yes'; use true or false"),
        (("metric",), DELETED, "the file is"),
        (("extra",), 1, "the file is"),
        (("up",), [0, -1], "up is"),
        (("up",), [0, -1, -1], "up is"),
        (("up",), [0, float("nan"), -1], "up is"),
        (("camera", "fx"), 0, "camera"),
        (("camera", "fx"), True, "camera is"),
        (("camera", "cy"), DELETED, "camera is"),
        (("things",), {}, "things is"),
        (("things", 0, "label"), 7, r"things\[0\].label is 7; use text"),
        (("things", 1, "score"), "0.9", r"things\[1\].score"),
        (("things", 1, "box"), [1, 2, 3], r"things\[1\].box"),
        (("things", 0, "colors"), ["mauve"], r"things\[0\].colors is \['mauve'\]"),
        (("things", 0, "words"), "wooden", r"things\[0\].words is 'wooden'; use a list"),
        (("things", 0, "colour"), [], r"things\[0\] is"),
        (("things", 1), DELETED, "masks is bool"),
    ],
)
def test_a_wrong_field_is_named(photo, record, keys, value, words):
    path = photo.path.with_suffix(".json")
    data = json.loads(path.read_text())
    at = data
    for key in keys[:-1]:
        at = at[key]
    if value is DELETED:
        del at[keys[-1]]
    else:
        at[keys[-1]] = value
    path.write_text(json.dumps(data))

    with pytest.raises(SourceError, match=words):
        read_record(photo)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\xff"])
def test_broken_json_is_a_bad_record(photo, record, text):
    photo.path.with_suffix(".json").write_text(text, encoding="latin-1")

    with pytest.raises(SourceError, match=r"^bad record: "):
        read_record(photo)


@pytest.mark.parametrize(
    "arrays",
    [
        {"depth": np.zeros(SHAPE, np.float64), "masks": np.zeros((2, *SHAPE), bool)},
        {"depth": np.zeros(SHAPE, np.float32), "masks": np.zeros((2, *SHAPE), np.uint8)},
        {"depth": np.zeros((3, 3), np.float32), "masks": np.zeros((2, *SHAPE), bool)},
        {"depth": np.zeros(SHAPE, np.float32)},
        {"depth": np.array([{}], object), "masks": np.zeros((2, *SHAPE), bool)},
    ],
)
def test_arrays_of_another_sort_are_a_bad_record(photo, record, arrays):
    np.savez(photo.path.with_suffix(".npz"), **arrays)

    with pytest.raises(SourceError, match=r"^bad record: "):
        read_record(photo)


def test_a_truncated_or_missing_file_is_named(photo, record):
    path = photo.path.with_suffix(".npz")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match=r"^bad record: .*cup\.npz"):
        read_record(photo)

    path.unlink()
    with pytest.raises(SourceError, match=r"^no record: .*cup\.npz"):
        read_record(photo)


def test_looks_of_things_that_were_not_recorded_are_refused(photo, record):
    other = Detection("jar", 0.9, (0, 0, 1, 1), _mask(3))

    with pytest.raises(SourceError, match="record things and looks together"):
        RecordedCaptioner().looks(photo, [other])
