# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulator source: its scene graphs say what its pictures show, and chance is tamed."""

from __future__ import annotations

import builtins
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest
from roborefer_vlm.data.sources.simulator import SimulatorSource
from roborefer_vlm.data.sources.simulator_settings import SceneSplit, SimulatorSettings
from roborefer_vlm.data.sources.simulator_timing import rendering_rate
from roborefer_vlm.data.views import Fact, Shot, View
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.containment import inside, on

pytest.importorskip("roborefer_sim.core.gl").load_mujoco()

SMALL = SimulatorSettings(
    width=160, height=120, strangers=0.6, in_containers=0.7, on_others=0.5, most=7
)
COUNT = 18


@pytest.fixture(scope="module")
def source() -> SimulatorSource:
    return SimulatorSource(7, COUNT, views=2, settings=SMALL)


@pytest.fixture(scope="module")
def shots(source) -> list[Shot]:
    return [source.shot(index) for index in range(COUNT)]


@pytest.fixture(scope="module")
def views(shots) -> list[View]:
    return [view for shot in shots for view in shot.views]


def fingerprint(view: View) -> str:
    digest = sha256(view.rgb.tobytes())
    digest.update(view.depth_m.tobytes())
    for thing in view.scene.objects:
        digest.update(repr((thing.id, thing.name, sorted(thing.colors), thing.support)).encode())
        digest.update(thing.box.corners.tobytes() + thing.mask.tobytes())
    return digest.hexdigest()


def prints(shot: Shot) -> list[str]:
    return [fingerprint(view) for view in shot.views]


def surface_of(view: View, mask: np.ndarray) -> np.ndarray:
    """Points of the scene behind the pixels of a mask, from true depth."""
    k, camera = view.scene.camera.intrinsics, view.scene.camera
    rows, columns = np.nonzero(mask)
    depth = view.scene.depth_m[rows, columns].astype(float)
    rays = np.stack([(columns - k.cx) / k.fx, (rows - k.cy) / k.fy, np.ones(len(rows))], axis=1)
    return camera.to_scene(rays * depth[:, None])


def test_every_visible_pixel_of_a_thing_lies_in_its_box(views):
    for view in views:
        for thing in view.scene.objects:
            points = surface_of(view, thing.mask)
            local = (points - thing.box.center) @ thing.box.rotation
            # Rounding of the depth buffer; nothing else.
            assert (np.abs(local) <= thing.box.size / 2 + 0.001).all(), (view.key, thing.id)


def test_boxes_are_tight_where_things_are_seen_whole(views):
    # The highest visible point of a thing that nothing hides is its top.
    seen = 0
    for view in views:
        carriers = {thing.support for thing in view.scene.objects}
        for thing in view.scene.objects:
            touched = thing.mask[[0, -1]].any() or thing.mask[:, [0, -1]].any()
            if thing.id not in carriers and not touched and thing.mask.sum() > 150:
                top = surface_of(view, thing.mask)[:, 2].max()
                seen += thing.box.top - top < 0.006
    assert seen > 35


def test_boxes_stand_upright_and_on_what_carries_them(views):
    for view in views:
        tops = {thing.id: thing.box for thing in view.scene.objects}
        for thing in view.scene.objects:
            assert np.allclose(thing.box.rotation[:, 2], (0, 0, 1))
            assert np.isclose(np.linalg.det(thing.box.rotation), 1)
            if thing.support == view.scene.surfaces[0].id:
                assert abs(thing.box.bottom) < 1e-9
            else:
                carrier = tops[thing.support]
                assert carrier.bottom < thing.box.bottom <= carrier.top + 1e-9


def test_relations_agree_about_what_carries_and_holds_things(views):
    held = 0
    for view in views:
        ids = {thing.id for thing in view.scene.objects}
        for thing in view.scene.objects:
            if thing.support not in ids:
                continue
            carrier = view.scene.object(thing.support)
            case = Case(view.scene, Places.of_objects([thing]), [carrier])
            held += 1
            assert on(case)[0] >= 0.9
            assert inside(case)[0] >= 0.9 if carrier.hollow else inside(case)[0] <= 0.4
    assert held >= 5


def test_masks_exclude_each_other_and_the_bare_table(views):
    for view in views:
        masks = [thing.mask for thing in view.scene.objects] + [view.scene.surfaces[0].mask]
        assert np.sum(masks, axis=0).max() <= 1


def test_the_bare_table_is_level_and_within_its_outline(views):
    for view in views:
        table = view.scene.surfaces[0]
        points = surface_of(view, table.mask)
        low, high = table.outline.min(axis=0) - 0.01, table.outline.max(axis=0) + 0.01
        assert (np.abs(points[:, 2]) < 0.005).all()
        assert ((points[:, :2] > low) & (points[:, :2] < high)).all()


def test_where_nothing_is_there_is_no_depth(views):
    for view in views:
        # The far corner of the floor from a camera over its middle.
        assert view.scene.depth_m.max() < 8
        beyond = view.scene.depth_m == 0
        assert not np.any([thing.mask & beyond for thing in view.scene.objects])


def test_words_and_fronts_are_given_for_named_things_only(views):
    strange = 0
    for view in views:
        named = {thing.id for thing in view.scene.objects if thing.name}
        assert set(view.nouns) == named
        assert set(view.kinds) == named
        for thing in view.scene.objects:
            if thing.id in named:
                assert view.nouns[thing.id][0] == thing.name
                assert max(thing.colors.values()) >= 0.6
                assert sum(thing.colors.values()) == pytest.approx(1)
            else:
                strange += 1
                assert thing.front is None
                assert sum(thing.colors.values()) == pytest.approx(1)
    assert strange > 0


def test_a_front_looks_to_where_the_label_or_handle_is(views):
    handles = 0
    for view in views:
        for thing in view.scene.objects:
            if view.meta["fronts"].get(str(thing.id)) == "handle":
                # The origin of a mug is the middle of its wall; the handle widens the box.
                along = thing.box.rotation.T @ thing.front
                assert np.allclose(along, (1, 0, 0))
                assert thing.box.size[0] > thing.box.size[1] + 0.01
                handles += 1
    assert handles > 0


def test_every_view_shows_enough_and_vouches_for_everything(views):
    for view in views:
        visible = [thing for thing in view.scene.objects if thing.name and thing.mask.sum() >= 9]
        assert len(visible) >= SMALL.least_visible
        assert view.trusts == frozenset(Fact)
        assert view.rgb.shape == (120, 160, 3)
        assert view.depth_m.dtype == np.float32


def test_views_of_a_shot_share_things_and_frame_but_not_the_camera(shots):
    for shot in shots:
        first, second = (view.scene for view in shot.views)
        assert first.surfaces[0].outline.tolist() == second.surfaces[0].outline.tolist()
        for one, other in zip(first.objects, second.objects, strict=True):
            assert one.id == other.id
            assert np.array_equal(one.box.corners, other.box.corners)
        ways = [view.scene.camera.t_scene_optical[:2, 2] for view in shot.views]
        cosine = ways[0] @ ways[1] / np.linalg.norm(ways[0]) / np.linalg.norm(ways[1])
        assert cosine < np.cos(np.radians(24))


def test_cameras_keep_to_the_settings(views):
    for view in views:
        t = view.scene.camera.t_scene_optical
        pitch = np.degrees(np.arcsin(t[2, 2]))
        assert SMALL.pitch_deg[0] <= pitch <= SMALL.pitch_deg[1]
        assert SMALL.height_m[0] <= t[2, 3] <= SMALL.height_m[1]


def test_keys_are_unique(views):
    assert len({view.key for view in views}) == len(views)


def test_the_same_index_gives_the_same_shot_in_any_order_process_and_thread(source, shots):
    wanted = [prints(shots[index]) for index in (5, 0)]

    with ThreadPoolExecutor(1) as pool:
        threaded = [prints(shot) for shot in pool.map(source.shot, (5, 0))]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = [prints(shot) for shot in pool.map(source.shot, (5, 0))]

    assert threaded == wanted
    assert elsewhere == wanted


def test_a_source_is_pickled_without_its_graphics(source, shots):
    copy = pickle.loads(pickle.dumps(source))

    assert copy.shot(3).views[0].key == shots[3].views[0].key
    assert len(pickle.dumps(copy)) < 2000


def test_a_flawless_sensor_measures_the_truth():
    settings = SimulatorSettings(width=160, height=120, perfect_sensor=1.0)

    view = SimulatorSource(7, 1, settings=settings).shot(0).views[0]

    assert np.array_equal(view.depth_m, view.scene.depth_m)


def test_a_flawed_sensor_leaves_the_truth_in_the_scene():
    settings = SimulatorSettings(width=160, height=120, perfect_sensor=0.0, sensor=(1, 1))

    view = SimulatorSource(7, 1, settings=settings).shot(0).views[0]

    seen = view.scene.depth_m > 0
    assert (view.depth_m[seen] == 0).mean() > 0.01
    assert not np.array_equal(view.depth_m, view.scene.depth_m)


def test_a_forked_process_is_told_not_to_draw(source, shots):
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool,
        pytest.raises(ConfigurationError, match="spawn"),
    ):
        pool.submit(source.shot, 0).result(timeout=30)


def test_the_rate_counts_the_views_it_took():
    rate = rendering_rate(SimulatorSettings(width=64, height=64), views=3)

    assert rate.views == 3
    assert rate.views_per_s_per_core > 0


def test_a_missing_simulator_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("roborefer_sim")]:
        monkeypatch.delitem(sys.modules, name)
    load = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("roborefer_sim"):
            raise ModuleNotFoundError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    monkeypatch.setattr("importlib.import_module", absent)

    with pytest.raises(ConfigurationError, match=r"pip install ./src/roborefer_sim"):
        SimulatorSource(0, 1, settings=SMALL).shot(0)


@pytest.mark.parametrize("index", [-1, COUNT])
def test_a_shot_that_does_not_exist_is_refused(source, index):
    with pytest.raises(SourceError, match=f"{COUNT} shots"):
        source.shot(index)


def test_a_table_that_cannot_be_filled_is_given_up_with_a_reason():
    crowded = SimulatorSettings(
        width=64, height=64, fewest=30, most=30, height_m=(0.3, 0.3), field_deg=(48, 48)
    )

    with pytest.raises(SourceError, match="no scene will do"):
        SimulatorSource(0, 1, settings=crowded).shot(0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"width": 8}, "32 to 4096"),
        ({"fewest": 2, "least_visible": 3}, "least_visible"),
        ({"strangers": 1.5}, "a chance"),
        ({"pitch_deg": (-30, -60)}, "must rise"),
        ({"light": (0.0, 1.0)}, "within"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        SimulatorSettings(**wrong)


def test_splits_have_different_scenes_and_names():
    held_out = SimulatorSettings(width=160, height=120, split=SceneSplit.HELD_OUT)
    training = SimulatorSettings(width=160, height=120)

    one, other = SimulatorSource(7, 1, settings=training), SimulatorSource(7, 1, settings=held_out)

    assert one.name != other.name
    assert fingerprint(one.shot(0).views[0]) != fingerprint(other.shot(0).views[0])
