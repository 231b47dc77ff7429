# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Real scenes as photographs, their true depth and masks as what estimators say of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.data.examples import Example, Wish
from roborefer_vlm.data.questions.choice import ChoiceMaker
from roborefer_vlm.data.sources.web import WebSettings, WebSource
from roborefer_vlm.data.sources.web_estimates import Found, Geometry, Look, Photo
from roborefer_vlm.data.sources.web_filters import FilterSettings
from roborefer_vlm.data.sources.web_recorded import (
    Record,
    RecordedCaptioner,
    RecordedFinder,
    RecordedGeometry,
    write_record,
)
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.types import Intrinsics

SCENES = Path(__file__).parents[3].parent / "shared/data/real_rgbd/scenes"

pytestmark = pytest.mark.skipif(not SCENES.is_dir(), reason=f"no real scenes at {SCENES}")


class Annotations:
    """What people marked in the real scenes, as detector and depth estimator."""

    def find(self, photo):
        ids = np.array(Image.open(photo.path.parent / "instances.png"))
        listed = json.loads((photo.path.parent / "instances.json").read_text())
        # "near_mug" and "far_mug" are mugs.
        things = [
            Detection(
                thing["name"].split("_")[-1], 0.9, tuple(thing["bbox_xyxy"]), ids == thing["id"]
            )
            for thing in listed
        ]
        return Found(tuple(things))

    def estimate(self, photo):
        camera = _camera(photo)
        scale = camera["depth_scale_m"]
        depth = np.array(Image.open(photo.path.parent / "depth.png")).astype(np.float32) * scale
        k = [camera[name] for name in ("width", "height", "fx", "fy", "cx", "cy")]
        return Geometry(depth.astype(np.float32), Intrinsics(*k), True)


def _camera(photo):
    return json.loads((photo.path.parent / "camera.json").read_text())


def _source(**more):
    # Names such as "r2d2" are no plain words, and small things count as well.
    filters = FilterSettings(least_share=0.0003, **more)
    people = Annotations()
    return WebSource(SCENES, people, people, settings=WebSettings(filters))


def _pictures(source):
    """Return the indices of the photographs; depth and masks are pictures, too."""
    return [i for i, name in enumerate(source.files) if Path(name).name == "rgb.png"]


@pytest.fixture(scope="module")
def views():
    """One view per real scene, by its name, made without being told what is up."""
    source = _source()
    found = [source.shot(i).views[0] for i in _pictures(source)]
    return {Path(view.meta["file"]).parent.name: view for view in found}


def test_every_real_scene_becomes_a_view(views):
    assert len(views) == 8
    for name, seen in views.items():
        assert len(seen.scene.objects) >= 3, name
        assert seen.trusts == {Fact.METRIC, Fact.BOXES}, name


def test_up_agrees_with_the_plane_that_was_fitted_apart(views):
    for name, seen in views.items():
        plane = json.loads((SCENES / name / "camera.json").read_text())["main_plane_camera"]
        up = seen.scene.camera.t_scene_optical[2, :3]
        assert up @ plane["normal"] > np.cos(np.deg2rad(3)), name
        assert seen.scene.camera.position[2] == pytest.approx(plane["offset_m"], abs=0.02), name


def test_things_lie_where_people_measured_them(views):
    for name, seen in views.items():
        listed = json.loads((SCENES / name / "instances.json").read_text())
        ids = np.array(Image.open(SCENES / name / "instances.png"))
        measured = {thing["id"]: thing["median_point_camera_m"] for thing in listed}
        for item in seen.scene.objects:
            point = np.array(measured[int(np.median(ids[item.mask]))])
            (middle,) = seen.scene.camera.to_optical(np.median(item.points, axis=0)[None])
            assert middle == pytest.approx(point, abs=0.03), (name, item.name)


def test_sizes_of_known_groceries_are_right(views):
    # The can of tomato soup of the YCB set is 0.101 m high, the bottle of mustard 0.19 m.
    true = {("ucn0", "mustard"): 0.19, ("ycb1", "mustard"): 0.19, ("ycb1", "crackers"): 0.21}
    for (name, noun), height in true.items():
        item = next(t for t in views[name].scene.objects if t.name == noun)
        assert item.box.size.max() == pytest.approx(height, rel=0.1), (name, noun)


def test_what_is_called_leftmost_is_left_of_the_others(views):
    told = 0
    for seen in views.values():
        columns = {t.id: np.nonzero(t.mask)[1].mean() for t in seen.scene.objects}
        for number, words in seen.meta["captions"].items():
            alike = [
                columns[t.id]
                for t in seen.scene.objects
                if t.name == seen.scene.object(int(number)).name
            ]
            if words.endswith("on the far left"):
                assert columns[int(number)] == min(alike)
                told += 1
            elif words.endswith("on the far right"):
                assert columns[int(number)] == max(alike)
                told += 1
    assert told >= 6


def test_choices_between_marked_real_things_agree_with_picture_and_depth(views):
    told = 0
    for seed, seen in enumerate(views.values()):
        made = ChoiceMaker().make(Shot((seen,)), np.random.default_rng([seed, 1]), Wish(most=8))
        for example in made:
            if not isinstance(example, Example):
                continue
            word = example.facts["relation"]
            value = {
                t.id: np.nonzero(t.mask)[1].mean()
                if word in ("left", "right")
                else np.median(seen.depth_m[t.mask & (seen.depth_m > 0)])
                for t in seen.scene.objects
            }
            if word in ("left", "right", "near", "far"):
                pick = max if word in ("right", "far") else min
                assert (
                    pick(example.facts["options"], key=value.__getitem__)
                    == (example.facts["target"])
                )
                told += 1
    assert told > 15


def test_recorded_estimates_give_the_same_scene(tmp_path, views):
    people = Annotations()
    source = WebSource(SCENES / "ucn0", people, people)
    original = Photo(SCENES / "ucn0" / "rgb.png", views["ucn0"].rgb)
    (tmp_path / "scene.png").write_bytes((SCENES / "ucn0" / "rgb.png").read_bytes())
    found = people.find(original)
    write_record(
        Photo(tmp_path / "scene.png", original.rgb),
        Record(found, people.estimate(original), tuple(Look() for _ in found.detections)),
    )

    read = WebSource(tmp_path, RecordedFinder(), RecordedGeometry(), RecordedCaptioner())
    first, second = source.shot(*_pictures(source)).views[0], read.shot(0).views[0]

    for one, other in zip(first.scene.objects, second.scene.objects, strict=True):
        assert one.name == other.name
        assert (one.box.center == other.box.center).all()
