# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Photographs become scenes: what estimators say is kept, doubted or refused, and counted."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from rgbd_scenes import Body, Shot, render
from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.data.sources.web import WebSettings, WebSource
from roborefer_vlm.data.sources.web_estimates import Found, Geometry, Look
from roborefer_vlm.data.sources.web_filters import FilterSettings, filter_detections
from roborefer_vlm.data.views import Fact
from roborefer_vlm.exceptions import ConfigurationError, SourceError

BODIES = (
    Body("crate", (200, 30, 30), (0.1, 0.25, 0), (0.12, 0.1, 0.14)),
    Body("mug", (40, 60, 190), (0.0, 0.0, 0), (0.08, 0.08, 0.1)),
    Body("mug", (220, 200, 40), (0.2, -0.22, 0), (0.08, 0.08, 0.1)),
)
COLORS = ("red", "blue", "yellow")


class Truth:
    """Says of every photograph what is true of one rendered scene."""

    def __init__(self, seen, *, complete=True, metric=True):
        self.seen, self.complete, self.metric = seen, complete, metric
        self.depth = seen.depth.astype(np.float32)

    def find(self, photo):
        found = [
            Detection(body.name, 0.9 - 0.01 * i, (0, 0, 1, 1), self.seen.ids == i + 1)
            for i, body in enumerate(self.seen.bodies)
        ]
        return Found(tuple(found), self.complete)

    def estimate(self, photo):
        return Geometry(self.depth, self.seen.query.intrinsics, self.metric)

    def looks(self, photo, things):
        numbers = [int(np.median(self.seen.ids[d.mask])) for d in things]
        return [Look((COLORS[number - 1],)) for number in numbers]


def _save(path, seen):
    path.mkdir(exist_ok=True)
    cv2.imwrite(str(path / "table.png"), seen.query.image[..., ::-1])
    return path


@pytest.fixture(scope="module")
def built():
    return render(BODIES, Shot(noise=0.0))


@pytest.fixture
def folder(tmp_path, built):
    return _save(tmp_path / "photos", built)


def test_boxes_agree_with_what_was_photographed(folder, built):
    truth = Truth(built)

    scene = WebSource(folder, truth, truth).shot(0).views[0].scene

    for number, body in enumerate(BODIES, 1):
        same = next(t for t in scene.objects if (t.mask == (built.ids == number)).all())
        assert same.name == body.name
        # The far side of a thing is hidden from a single camera; the frame lies below the eye.
        assert np.sort(same.box.size) == pytest.approx(np.sort(body.size), abs=0.02)
        assert same.box.center == pytest.approx(body.middle - (built.eye[0], 0, 0), abs=0.02)


def test_a_view_trusts_only_what_its_estimators_vouch_for(folder, built):
    sure, unsure = Truth(built), Truth(built, complete=False, metric=False)

    full = WebSource(folder, sure, sure, sure).shot(0).views[0]
    bare = WebSource(folder, unsure, unsure).shot(0).views[0]

    assert full.trusts == {Fact.METRIC, Fact.BOXES, Fact.COMPLETE, Fact.COLORS}
    assert bare.trusts == {Fact.BOXES}


def test_depth_without_a_unit_is_scaled_to_a_median_of_one(folder, built):
    truth = Truth(built, metric=False)

    depth = WebSource(folder, truth, truth).shot(0).views[0].depth_m

    assert np.median(depth[depth > 0]) == pytest.approx(1)
    ratio = depth[depth > 0] / truth.depth[depth > 0]
    assert np.ptp(ratio) == pytest.approx(0, abs=1e-5)


def test_colors_that_do_not_measure_as_captioned_are_not_trusted(folder, built):
    truth = Truth(built)
    truth.looks = lambda photo, things: [Look(("green",)) for _ in things]

    assert Fact.COLORS not in WebSource(folder, truth, truth, truth).shot(0).views[0].trusts


def test_a_wall_is_no_table_unless_the_pitch_is_known(folder, built):
    wall = Truth(built)
    wall.depth = np.where(built.ids > 0, 1.3, 1.5).astype(np.float32)

    unknown = WebSource(folder, wall, wall).shot(0).views[0]
    down = WebSource(folder, wall, wall, settings=WebSettings(pitch_deg=-90)).shot(0).views[0]

    assert Fact.BOXES not in unknown.trusts
    assert Fact.BOXES in down.trusts
    assert down.scene.surfaces


def test_the_pitch_that_is_given_is_the_one_of_the_scene(folder, built):
    truth = Truth(built)
    pitch = float(np.degrees(np.arcsin(built.up[2])))

    seen = WebSource(folder, truth, truth, settings=WebSettings(pitch_deg=pitch)).shot(0).views[0]

    assert pitch < -20
    assert seen.scene.camera.t_scene_optical[2, :3] == pytest.approx(built.up, abs=0.01)
    assert seen.scene.surfaces


def _captions(folder, seen):
    """Return what is said of each body that needs counting, in the order of bodies."""
    truth = Truth(seen)
    made = WebSource(folder, truth, truth).shot(0).views[0]
    said = {int(i): words for i, words in made.meta["captions"].items()}
    of_body = {int(np.median(seen.ids[t.mask])): said.get(t.id) for t in made.scene.objects}
    return [of_body[number] for number in sorted(of_body)]


def test_things_of_a_kind_are_counted_along_their_widest_spread(folder, built):
    assert _captions(folder, built) == [
        None,
        "the mug on the far left",
        "the mug on the far right",
    ]


def test_three_in_a_row_to_the_back_are_counted_by_distance(tmp_path):
    row = [
        Body("mug", (200, 30, 30), (-0.25 + 0.25 * i, 0.03 * i, 0), (0.06, 0.06, 0.08))
        for i in range(3)
    ]

    said = _captions(tmp_path, render_into(tmp_path, row))

    assert said == [
        "the mug closest to the camera",
        "the mug second closest to the camera",
        "the mug farthest from the camera",
    ]


def test_what_stands_on_each_other_is_counted_by_height(tmp_path):
    pile = [
        Body("block", (200, 30, 30), (0, 0, 0), (0.1, 0.1, 0.1)),
        Body("block", (40, 60, 190), (0.01, 0, 0.1), (0.08, 0.08, 0.1)),
    ]

    said = _captions(tmp_path, render_into(tmp_path, pile))

    assert said == ["the block that is the lowest", "the block that is the highest"]


def test_photographs_in_which_a_kind_cannot_be_counted_are_left_out(tmp_path):
    # Side by side, but neither left to right nor front to back: aslant.
    close = [
        Body("pen", (200, 30, 30), (0.015, 0.015, 0), (0.15, 0.03, 0.03), yaw=-np.pi / 4),
        Body("pen", (40, 60, 190), (-0.015, -0.015, 0), (0.15, 0.03, 0.03), yaw=-np.pi / 4),
    ]
    truth = Truth(render_into(tmp_path, close))

    with pytest.raises(SourceError, match=r"^too close to count: "):
        WebSource(tmp_path, truth, truth).shot(0)


def render_into(folder, bodies):
    seen = render(bodies, Shot(noise=0.0))
    _save(folder, seen)
    return seen


def _mask(left, top, side=10, shape=(60, 80)):
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def _kept(*found, **settings):
    filtered = filter_detections(found, (60, 80), FilterSettings(**settings))
    assert not {id(d) for d in filtered.things} & {id(d) for d in filtered.nameless}
    return sorted(d.label for d in filtered.things), dict(filtered.dropped)


def _nameless(*found):
    return sorted(d.label for d in filter_detections(found, (60, 80), FilterSettings()).nameless)


CUP = Detection("cup", 0.9, (0, 0, 1, 1), _mask(0, 0))
PEN = Detection("pen", 0.8, (0, 0, 1, 1), _mask(40, 40))


@pytest.mark.parametrize(
    ("other", "reason", "kept"),
    [
        (Detection("cup", 0.25, CUP.box, _mask(20, 0)), "score doubtful", ["pen"]),
        (Detection("cup", 0.1, CUP.box, _mask(20, 0)), "score near nothing", ["cup", "pen"]),
        (Detection("cup", 0.9, CUP.box, _mask(20, 0, 1)), "too small", ["pen"]),
        (Detection("cup", 0.9, CUP.box, ~_mask(0, 0)), "too large", ["pen"]),
        (Detection("cup", 0.9, CUP.box), "no mask", ["pen"]),
        (Detection("cup", 0.8, CUP.box, _mask(1, 0)), "same thing", ["cup", "pen"]),
        (Detection("wall", 0.9, CUP.box, _mask(20, 0)), "no single thing", ["cup", "pen"]),
        (Detection("3 cups!", 0.9, CUP.box, _mask(20, 0)), "label not plain", ["cup", "pen"]),
        (Detection("vase", 0.8, CUP.box, _mask(1, 0)), "same thing", ["pen"]),
        (Detection("vase", 0.4, CUP.box, _mask(1, 0)), "same thing", ["cup", "pen"]),
    ],
)
def test_a_doubtful_thing_takes_its_kind_with_it(other, reason, kept):
    labels, dropped = _kept(CUP, PEN, other)

    assert labels == kept
    assert dropped[reason] == 1
    assert sum(dropped.values()) == 3 - len(kept)


def test_only_wanted_labels_are_names():
    settings = FilterSettings(labels=frozenset({"pen"}))

    filtered = filter_detections((CUP, PEN), (60, 80), settings)

    assert [d.label for d in filtered.things] == ["pen"]
    assert [d.label for d in filtered.nameless] == ["cup"]


def test_what_is_not_named_stays_as_a_thing_without_a_name():
    small = Detection("cup", 0.9, CUP.box, _mask(20, 0, 1))
    maybe = Detection("jar", 0.3, CUP.box, _mask(60, 0))
    wall = Detection("wall", 0.9, CUP.box, _mask(60, 20))
    table = Detection("table", 0.9, CUP.box, ~_mask(0, 0))
    noise = Detection("fork", 0.1, CUP.box, _mask(60, 40))

    assert _nameless(CUP, PEN, small, maybe, wall, table, noise) == ["cup", "cup", "jar"]


def test_a_view_with_things_in_doubt_is_complete_as_they_are_in_it_without_a_name(folder, built):
    truth = Truth(built)
    doubtful = Truth(built)
    found = truth.find(None).detections
    weak = Detection("mug", 0.25, found[2].box, found[2].mask)
    doubtful.find = lambda photo: Found((found[0], weak), True)
    blind = Truth(built)
    blind.find = lambda photo: Found((found[0], Detection("mug", 0.9, (0, 0, 1, 1))), True)
    one = WebSettings(fewest_things=1)

    seen = WebSource(folder, doubtful, truth, truth, settings=one).shot(0).views[0]
    lost = WebSource(folder, blind, truth, settings=one).shot(0).views[0]

    assert [t.name for t in seen.scene.objects] == ["crate", ""]
    assert dict(seen.nouns) == {1: ("crate",)}
    assert {Fact.COMPLETE, Fact.COLORS} <= seen.trusts
    assert Fact.COMPLETE not in lost.trusts


def test_more_of_a_kind_than_anyone_counts_are_dropped():
    cups = [Detection("cup", 0.9, CUP.box, _mask(12 * i, 0)) for i in range(4)]

    assert _kept(*cups, PEN, most_of_a_kind=3) == (["pen"], {"kind in doubt": 4})


@pytest.mark.parametrize(
    "settings",
    [{"least_score": 0.1}, {"least_share": 0.5}, {"most_of_a_kind": 0}, {"same_share": 0.0}],
)
def test_filters_that_contradict_themselves_are_refused(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        FilterSettings(**settings)


def test_reasons_of_refused_photographs_begin_with_fixed_words(folder, built):
    truth = Truth(built)
    few = WebSettings(fewest_things=9)
    many = WebSettings(fewest_things=1, most_things=2)
    holes = Truth(built)
    holes.depth = np.zeros_like(truth.depth)
    small = Truth(built)
    small.depth = truth.depth[::2]
    masks = Truth(built)
    masks.find = lambda p: Found((Detection("cup", 0.9, CUP.box, _mask(0, 0)),))

    cases = [
        (truth, truth, few, "too few things: 3"),
        (truth, truth, many, "too many things: 3"),
        (truth, holes, None, "too little depth: 0.00"),
        (truth, small, None, "bad estimate: depth"),
        (masks, truth, None, "bad estimate: mask of 'cup'"),
    ]
    for finder, geometry, settings, words in cases:
        with pytest.raises(SourceError, match=f"^{words}"):
            WebSource(folder, finder, geometry, settings=settings).shot(0)


def test_a_file_that_is_no_picture_is_refused_and_the_others_are_not(folder, built):
    (folder / "broken.jpg").write_bytes(b"no picture")
    truth = Truth(built)
    source = WebSource(folder, truth, truth)

    with pytest.raises(SourceError, match=r"^no picture: "):
        source.shot(0)
    assert source.shot(1).views[0].meta["file"] == "table.png"


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no photograph"):
        WebSource(tmp_path, None, None)


def test_a_pickled_source_takes_the_same_shot(folder, built):
    truth = Truth(built)
    source = WebSource(folder, truth, truth)

    first, second = source.shot(0).views[0], pickle.loads(pickle.dumps(source)).shot(0).views[0]

    assert first.key == second.key
    for one, other in zip(first.scene.objects, second.scene.objects, strict=True):
        assert (one.box.center == other.box.center).all()
        assert (one.box.size == other.box.size).all()
