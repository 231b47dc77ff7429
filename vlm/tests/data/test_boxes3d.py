# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Scanned rooms in three formats come back as they were; what is wrong in a file is named."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from roborefer_vlm.data.free_space import FreeSpace
from roborefer_vlm.data.sources.boxes3d import FORMATS, Boxes3dSource
from roborefer_vlm.data.sources.scan_frames import upright_axes
from roborefer_vlm.data.sources.scan_robospatial import rotation_zxy
from roborefer_vlm.data.sources.scan_words import noun_of
from roborefer_vlm.data.views import Fact
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.relations import Relation
from scipy.spatial.transform import Rotation
from written_scans import (
    EYES,
    ROOM,
    change_json,
    room_boxes,
    write_ca1m,
    write_robospatial,
    write_scannet,
)

WRITERS = {"robospatial": write_robospatial, "ca1m": write_ca1m, "scannet": write_scannet}
THINGS = [label for label, *_ in ROOM if label not in ("floor", "wall")] + ["cup"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Each format's folder with what was taken."""
    folders = {name: tmp_path_factory.mktemp(name) for name in WRITERS}
    return {name: (folder, WRITERS[name](folder)) for name, folder in folders.items()}


@pytest.fixture(params=sorted(WRITERS))
def scan(request, written):
    folder, taken = written[request.param]
    return request.param, Boxes3dSource(folder, request.param, every=1), taken


def by_name(view, name):
    return next(thing for thing in view.scene.objects if thing.name == name)


def overlap(first, second):
    return (first & second).sum() / max((first | second).sum(), 1)


def test_camera_picture_and_boxes_come_back(scan):
    format_name, source, taken = scan

    view = source.shot(0).views[0]

    truth = taken[0]
    table = next(box for (label, *_), box in zip(ROOM, room_boxes(ROOM), strict=True)
                 if label == "table")  # fmt: skip
    assert len(source) == len(EYES)
    # The room is turned, so that x points away from the viewer.
    optical = view.scene.camera.to_optical(view.scene.objects[0].box.corners)
    expected = truth.camera.to_optical(table.corners)
    gaps = np.linalg.norm(optical[:, None] - expected[None], axis=2)
    assert gaps.min(axis=1).max() < 1e-4
    assert view.scene.camera.t_scene_optical[0, 2] > 0.5
    assert view.scene.camera.t_scene_optical[1, 2] == pytest.approx(0, abs=1e-5)
    assert view.scene.camera.t_scene_optical[2] == pytest.approx(
        truth.camera.t_scene_optical[2], abs=1e-5
    )
    assert view.scene.camera.intrinsics == truth.camera.intrinsics
    assert sorted(by_name(view, "box").box.size) == pytest.approx([0.12, 0.15, 0.2])
    assert np.median(np.abs(view.rgb.astype(int) - truth.rgb)) <= 3
    assert view.key == f"{format_name}-{view.meta['scene']}-{view.meta['frame']}"


def test_masks_are_those_of_what_was_cast(scan):
    _, source, taken = scan
    for number in range(len(EYES)):
        view = source.shot(number).views[0]
        # Structure comes last or first, things keep their order.
        order = [i for i, (label, *_) in enumerate((*ROOM, ("cup",)))
                 if label not in ("floor", "wall")]  # fmt: skip
        if source.format == "scannet":
            order = list(range(len(THINGS)))
        for thing, index in zip(view.scene.objects, order, strict=True):
            truth = (taken[number].owners == index) & (view.depth_m > 0)
            # The foot of a thing, as high as boxes may be off, is left to what carries it.
            if truth.sum() > 150 and thing.id != 1:
                assert overlap(thing.mask, truth) > 0.75, thing.name


def test_a_hidden_thing_stays_in_the_scene_with_an_empty_mask(scan):
    _, source, taken = scan
    view = source.shot(0).views[0]
    last = view.scene.objects[-1]

    assert len(view.scene.objects) == len(THINGS)
    assert not (taken[0].owners == 8).any() or source.format == "scannet"
    assert last.mask.shape == view.rgb.shape[:2]
    assert not last.mask.any()


def test_tables_and_the_floor_are_surfaces_with_their_bare_pixels(scan):
    _, source, _ = scan
    view = source.shot(0).views[0]

    surfaces = {surface.name: surface for surface in view.scene.surfaces}
    assert surfaces["table"].height == pytest.approx(0.7, abs=0.01)
    assert surfaces["floor"].height == pytest.approx(0.0, abs=0.01)
    assert surfaces["table"].mask.sum() > 2000
    assert not (surfaces["table"].mask & surfaces["floor"].mask).any()
    assert not (surfaces["table"].mask & by_name(view, "box").mask).any()
    assert by_name(view, "box").support == surfaces["table"].id
    table = view.scene.objects[0]
    assert table.support == surfaces["floor"].id
    # As a thing it only fills space.
    assert table.name == ""
    assert not table.mask.any()
    ids = [thing.id for thing in (*view.scene.objects, *view.scene.surfaces)]
    assert len(set(ids)) == len(ids)


def test_free_space_beside_a_box_is_bare_table(scan):
    _, source, taken = scan
    view = source.shot(0).views[0]
    box = by_name(view, "box")

    found = FreeSpace(view.scene).spots([(Relation.LEFT, (box.id,))], np.random.default_rng(0))

    columns, rows = np.rint(found.pixels).astype(int).T
    assert len(found), found.reason
    assert found.points[:, 2] == pytest.approx(0.7, abs=0.01)
    table = 0 if source.format == "scannet" else 2
    assert (taken[0].owners[rows, columns] == table).all()


def test_things_without_a_name_fill_space_and_can_not_be_referred_to(scan):
    _, source, _ = scan
    view = source.shot(0).views[0]

    nameless = [thing for thing in view.scene.objects if not thing.name]
    assert nameless
    assert all(thing.id not in view.nouns for thing in nameless)
    assert view.nouns[by_name(view, "chair").id] == ("chair",)


def test_each_format_vouches_for_what_it_knows(written):
    trusts = {
        name: Boxes3dSource(folder, name, every=1).shot(0).views[0].trusts
        for name, (folder, _) in written.items()
    }

    for name in trusts:
        assert {Fact.METRIC, Fact.BOXES, Fact.FREE_SPACE} <= trusts[name]
        # One visible thing has no name, so it may be one of any kind.
        assert Fact.COMPLETE not in trusts[name]
        assert not trusts[name] & {Fact.COLORS, Fact.FRONTS}


def test_complete_needs_names_for_all_that_is_visible(tmp_path):
    room = tuple(row for row in ROOM if row[0] != "object")
    taken = write_robospatial(tmp_path, room=room)

    known = Boxes3dSource(tmp_path, exhaustive=True, faces=frozenset({"chair"}))
    view = known.shot(0).views[0]

    assert {Fact.COMPLETE, Fact.FRONTS} <= view.trusts
    seen, meant = (c.t_scene_optical[:3, :3] for c in (view.scene.camera, taken[0].camera))
    assert by_name(view, "chair").front @ seen == pytest.approx(
        np.array([np.cos(0.2), np.sin(0.2), 0]) @ meant
    )
    assert Fact.COMPLETE not in Boxes3dSource(tmp_path).shot(0).views[0].trusts


def test_what_is_called_object_in_scannet_is_none_of_its_classes(written):
    folder, _ = written["scannet"]

    view = Boxes3dSource(folder, "scannet", exhaustive=True).shot(0).views[0]

    assert Fact.COMPLETE in view.trusts


def test_boxes_that_begin_too_low_get_no_pixels_of_the_table(tmp_path):
    taken = write_robospatial(tmp_path)

    def sink(record):
        for entry in record["objects"][3:]:
            entry["bbox_3d"][0][2] -= 0.03

    for path in (tmp_path / "annotations").rglob("*.json"):
        change_json(path, sink)

    view = Boxes3dSource(tmp_path, every=1).shot(2).views[0]

    for name, index in (("mug", 3), ("laptop", 4), ("box", 5)):
        mask = by_name(view, name).mask
        assert mask.sum() >= 50
        assert (mask & (taken[2].owners == index)).sum() > 0.97 * mask.sum(), name


def test_without_depth_boxes_hide_each_other_and_free_space_is_not_claimed(tmp_path):
    taken = write_robospatial(tmp_path, depth=False)

    view = Boxes3dSource(tmp_path, every=1).shot(2).views[0]

    assert view.depth_m is None
    assert view.scene.depth_m is None
    assert Fact.FREE_SPACE not in view.trusts
    assert overlap(by_name(view, "laptop").mask, taken[2].owners == 4) > 0.95


def test_the_tablets_depth_is_shown_and_the_lasers_is_the_truth(written):
    folder, taken = written["ca1m"]
    view = Boxes3dSource(folder, "ca1m", every=1).shot(0).views[0]

    assert np.median(np.abs(view.scene.depth_m - taken[0].depth_m)) < 0.005
    assert np.median(np.abs(view.depth_m - taken[0].depth_m)) < 0.01
    assert not np.array_equal(view.depth_m, view.scene.depth_m)


def test_class_agnostic_boxes_have_no_names(tmp_path):
    write_ca1m(tmp_path, names=False, eyes=EYES[:1])

    view = Boxes3dSource(tmp_path, "ca1m").shot(0).views[0]

    assert not view.nouns
    assert [surface.name for surface in view.scene.surfaces] == ["floor"]


def test_every_so_many_frames_are_used(written):
    folder, _ = written["scannet"]

    source = Boxes3dSource(folder, "scannet", every=3)

    assert [source.shot(i).views[0].meta["frame"] for i in range(len(source))] == ["0", "3"]


def test_two_views_show_the_same_things_from_elsewhere(scan):
    format_name, source, _ = scan
    pairs = Boxes3dSource(source.folder, format_name, every=1, views=2)

    first, second = pairs.shot(0).views

    assert second.meta["frame"] != pairs.shot(1).views[0].meta["frame"]
    step = first.scene.camera.position - second.scene.camera.position
    assert np.linalg.norm(step) > 0.5
    for one, other in zip(first.scene.objects, second.scene.objects, strict=True):
        assert (one.id, one.name) == (other.id, other.name)
        assert one.box.center == pytest.approx(other.box.center)
    both = [a.mask.any() and b.mask.any()
            for a, b in zip(first.scene.objects, second.scene.objects, strict=True)]  # fmt: skip
    assert sum(both) >= 2


def test_a_frame_that_nothing_else_resembles_has_no_partner(tmp_path):
    write_scannet(tmp_path, eyes=EYES[:2])

    with pytest.raises(SourceError, match="no other frame of scene0000_00 shows the same things"):
        Boxes3dSource(tmp_path, "scannet", every=1, views=2).shot(0)


def test_the_same_shot_from_a_copy_in_another_process(scan):
    _, source, _ = scan
    copy = pickle.loads(pickle.dumps(source))

    one, other = source.shot(3).views[0], copy.shot(3).views[0]

    assert one.key == other.key
    assert all(
        np.array_equal(a.mask, b.mask)
        for a, b in zip(one.scene.objects, other.scene.objects, strict=True)
    )


def test_nine_numbers_are_turned_as_open3d_turns_them():
    angles = np.array([0.4, -0.2, 0.7])

    assert rotation_zxy(angles) == pytest.approx(Rotation.from_euler("ZXY", angles).as_matrix())


def test_boxes_keep_their_corners_when_their_axes_are_put_in_order():
    rng = np.random.default_rng(0)
    for _ in range(50):
        rotation = Rotation.random(random_state=int(rng.integers(1000))).as_matrix()
        size, center = rng.uniform(0.1, 1, 3), rng.normal(size=3)
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        corners = center + (signs * size / 2) @ rotation.T

        box = upright_axes(center, rotation, size)

        assert np.linalg.det(box.rotation) == pytest.approx(1)
        assert box.rotation[2, 2] >= np.abs(box.rotation[2, :2]).max()
        gaps = np.linalg.norm(box.corners[:, None] - corners[None], axis=2).min(axis=1)
        assert gaps.max() < 1e-9


@pytest.mark.parametrize(
    ("label", "noun"),
    [
        ("Orange juice carton with orange and white colors, text.", "orange juice carton"),
        ("night_stand", "night stand"),
        ("Cup_2", "cup"),
        ("Object", ""),
        ("White circular alarm clock.", "white circular alarm clock"),
    ],
)
def test_labels_become_nouns(label, noun):
    assert noun_of(label) == noun


def _set(*keys, to):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = to

    return change


BROKEN = [
    ("robospatial", "annotations/room/000.json",
     _set("camera_annotations", "extrinsic", to=[[1, 2], [3, 4]]), r"extrinsic: \[\[1, 2"),
    ("robospatial", "annotations/room/000.json",
     _set("camera_annotations", "extrinsic", to=(2 * np.eye(4)).tolist()), "of the pose is none"),
    ("robospatial", "annotations/room/000.json",
     _set("objects", 3, "bbox_3d", to=[[1, 2, 3]]), r"objects\[3\]: bbox_3d: .*\(1, 9\)"),
    ("robospatial", "annotations/room/000.json",
     _set("objects", 3, "bbox_3d", 0, 4, to=-1.0), r"objects\[3\].*more than 0 metres"),
    ("robospatial", "annotations/room/000.json",
     _set("objects", 3, "Name", to=7), r"objects\[3\]: Name is 7"),
    ("robospatial", "annotations/room/000.json",
     _set("visible_instance_ids", to=[99]), r"visible_instance_ids \[99\]; places in objects"),
    ("robospatial", "annotations/room/000.json",
     _set("image_name", to="../secret.png"), "names are needed"),
    ("robospatial", "annotations/room/000.json",
     _set("image_size", to=[100, 100]), "320 x 240; 100 x 100 is needed"),
    ("ca1m", "42444499/world.gt/instances.json",
     _set(4, "R", to=[[1, 0], [0, 1]]), "instance i4: R: "),
    ("ca1m", "42444499/1000.gt/RT.json", _set(0, to=[1, 0, 0]), "RT.json: .*numbers"),
    ("ca1m", "42444499/1000.wide/image/K.json", _set(0, 0, to=-3.0), "fx, fy > 0 needed"),
    ("ca1m", "42444499/1000.wide/instances.json", _set(0, to={}), "instance 0 lacks id"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "change", "message"), BROKEN)
def test_what_is_wrong_in_a_json_is_named(name, file, change, message, written, tmp_path):
    folder = tmp_path / name
    shutil.copytree(written[name][0], folder)
    change_json(folder / file, change)

    with pytest.raises(SourceError, match=message):
        Boxes3dSource(folder, name, every=1).shot(0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("pose/0.txt", "-inf " * 16, "0.txt: pose .*finite"),
        ("pose/0.txt", "1 2 3", "3 numbers; 16 are needed"),
        ("intrinsic/intrinsic_depth.txt", None, "intrinsic_depth.txt: No such file"),
        ("depth/0.png", "no picture", "0.png"),
        ("color/0.jpg", "no picture", "0.jpg"),
        ("scene0000_00_aligned_bbox.npy", "no array", "aligned_bbox.npy"),
        ("scene0000_00.txt", "axisAlignment = 1 2", "axisAlignment 1 2; 16 numbers"),
    ],
)
def test_what_is_wrong_in_a_scene_is_named(file, content, message, written, tmp_path):
    shutil.copytree(written["scannet"][0], tmp_path / "scans")
    path = tmp_path / "scans" / "scene0000_00" / file
    path.unlink()
    if content is not None:
        path.write_text(content)

    with pytest.raises(SourceError, match=message):
        Boxes3dSource(tmp_path / "scans", "scannet", every=1).shot(0)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_empty_folder_is_no_data_set(name, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no .* in it"):
        len(Boxes3dSource(tmp_path, name))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "kitti"}, "robospatial, ca1m, scannet"),
        ({"every": 0}, "1 or more"),
        ({"views": 3}, "1 or 2"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        Boxes3dSource(tmp_path, **settings)
