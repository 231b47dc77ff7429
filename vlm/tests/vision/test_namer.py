# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped namer knows its things, leaves others nameless, and refuses what is no namer."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rgbd_scenes import Body, Shot, render
from roborefer_vlm.backends.registry import create_engine
from roborefer_vlm.backends.scene_graph.namer import (
    FORMAT,
    LEAST_NAME,
    SHIPPED,
    Guess,
    TabletopNamer,
)
from roborefer_vlm.backends.scene_graph.naming_segments import named_segments, touching_groups
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.backends.scene_graph.portraits import CHANNELS, MEASURES, SIDE, portrait
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.types import GivenObject, Outcome

KNOWN = [
    Body("red ball", (200, 28, 30), (-0.1, 0.0, 0), (0.06, 0.06, 0.06), "ball"),
    Body("blue basket", (30, 70, 185), (0.15, 0.15, 0), (0.25, 0.3, 0.2)),
]
# Nothing like these is in the library that the namer learnt from.
STRANGE = [
    Body("slab", (120, 70, 30), (0.0, 0.15, 0), (0.3, 0.25, 0.06)),
    Body("column", (40, 160, 60), (0.1, -0.2, 0), (0.16, 0.16, 0.4), "cylinder"),
    Body("beam", (200, 60, 60), (-0.2, -0.05, 0), (0.05, 0.4, 0.05)),
]


@pytest.fixture(scope="module")
def namer():
    return TabletopNamer.load("tabletop")


def _portraits(namer, bodies):
    seen = render(bodies)
    view = View.of(seen.blind())
    made = [portrait(view, seen.mask(body.name)) for body in bodies]
    return namer.probabilities(
        np.stack([one.picture for one in made]), np.stack([one.measures for one in made])
    )


def test_probabilities_sum_to_one_for_any_input(namer):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (5, SIDE, SIDE, CHANNELS)).astype(np.uint8)
    measures = random.normal(0, 3, (5, MEASURES)).astype(np.float32)

    for values in namer.probabilities(pictures, measures):
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        assert values.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_the_same_view_gets_the_same_names(namer):
    query = render(KNOWN).blind()

    first, second = (build_scene(query, namer=namer) for _ in range(2))

    assert [(o.name, o.attributes) for o in first.objects] == [
        (o.name, o.attributes) for o in second.objects
    ]


def test_a_batch_gives_what_each_segment_alone_gives(namer):
    seen = render(KNOWN + STRANGE)
    view, masks = View.of(seen.blind()), [o.mask for o in seen.query.objects]

    together = namer.guesses(view, masks)
    alone = [namer.guesses(view, [mask])[0] for mask in masks]

    for one, other in zip(together, alone, strict=True):
        assert one.nouns == pytest.approx(other.nouns, abs=1e-4)
        assert one.colors == pytest.approx(other.colors, abs=1e-4)


def test_things_that_it_never_learnt_stay_nameless(namer):
    scene = build_scene(render(STRANGE).blind(), namer=namer)

    assert scene.objects
    assert {o.name for o in scene.objects} == {""}


def test_things_of_the_simulated_cell_get_their_names(namer):
    library = pytest.importorskip("roborefer_sim.core.library", reason="renders the cell")
    sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
    from roborefer_sim.core.gl import load_mujoco

    load_mujoco()
    from tabletop.scenes import default_look

    look = default_look(700_001)
    scene = build_scene(look.query, namer=namer)

    known = {key.replace("_", " ") for key in library.standard_library().things}
    there = [make.thing.key.replace("_", " ") for make in look.makes]
    named = [o.name for o in scene.objects if o.name in known]
    assert len(named) >= len(there) - 1
    assert sum(name in there for name in named) >= len(named) - 1


def test_a_segment_of_which_nothing_was_measured_gets_no_guess(namer):
    query = render(KNOWN).blind()
    depth = query.depth_m.copy()
    depth[:40, :40] = 0
    mask = np.zeros(depth.shape, bool)
    mask[5:35, 5:35] = True

    assert namer.guesses(View.of(replace(query, depth_m=depth)), [mask]) == [None]


def test_unsure_and_foreign_guesses_give_no_words():
    sure = Guess({"mug": 0.9, "<other>": 0.1}, {"red": 0.9, "<none>": 0.1})
    unsure = Guess({"mug": LEAST_NAME - 0.01, "cup": 0.41}, {"red": 0.9, "<none>": 0.1})
    foreign = Guess({"mug": 0.1, "<other>": 0.9}, {"red": 0.9, "<none>": 0.1})
    colorless = Guess({"mug": 0.9, "<other>": 0.1}, {"red": 0.1, "<none>": 0.9})

    assert [(g.name, g.color) for g in (sure, unsure, foreign, colorless)] == [
        ("mug", "red"), ("", ""), ("", ""), ("mug", "")
    ]  # fmt: skip


class Scripted:
    """Knows masks by how many pixels they have."""

    def __init__(self, known):
        self.known = known

    def guesses(self, view, masks):
        return [
            Guess({self.known.get(int(mask.sum()), "<part>"): 0.95}, {"red": 1.0})
            for mask in masks
        ]


def _bare():
    """Return a view of an empty table, as small as the masks below."""
    return View.of(render([], Shot(width=80, height=60, focal=80)).blind())


def _bars(*columns):
    masks = [np.zeros((60, 80), bool) for _ in columns]
    for mask, (first, last) in zip(masks, columns, strict=True):
        mask[20:30, first:last] = True
    return masks


def test_pieces_that_are_known_as_a_whole_become_one_thing():
    masks = _bars((5, 15), (17, 30), (60, 65))
    seen = [GivenObject("", mask) for mask in masks]

    things = named_segments(_bare(), seen, Scripted({230: "marker", 50: "sponge"}))

    assert sorted((t.name, int(t.mask.sum())) for t in things) == [("marker", 230), ("sponge", 50)]


def test_things_that_touch_stay_two_where_each_is_known():
    masks = _bars((5, 15), (17, 30))

    things = named_segments(
        _bare(),
        [GivenObject("", mask) for mask in masks],
        Scripted({100: "block", 130: "brick", 230: "carton"}),
    )

    assert sorted(t.name for t in things) == ["block", "brick"]


def test_names_that_are_known_already_stay():
    masks = _bars((5, 15), (40, 50))
    seen = [GivenObject("my box", masks[0]), GivenObject("", masks[1])]

    things = named_segments(_bare(), seen, Scripted({100: "block"}))

    assert [t.name for t in things] == ["my box", "block"]


def test_only_what_touches_is_tried_together():
    assert touching_groups(_bars((5, 15), (17, 30), (60, 65))) == [(0,), (1,), (2,), (0, 1)]


def test_many_touching_pieces_end_in_a_limited_number_of_groups():
    masks = _bars(*((x, x + 2) for x in range(0, 80, 2)))

    assert len(touching_groups(masks)) <= 100


class Sure:
    """Takes everything for a red mug."""

    def guesses(self, view, masks):
        return [Guess({"mug": 1.0}, {"red": 1.0}) for _ in masks]


def test_the_engine_points_at_what_the_namer_knows():
    seen = render(KNOWN[:1])
    engine = create_engine("scene_graph", namer=Sure())

    answer = engine.refer(replace(seen.blind(), text="the red mug"))

    assert answer.outcome is Outcome.OK
    pixel = answer.points[0].pixel
    assert seen.mask("red ball")[round(pixel.v), round(pixel.u)]


def test_the_shipped_namer_is_an_option_of_the_engine():
    engine = create_engine("scene_graph?namer=tabletop")

    answer = engine.refer(replace(render(KNOWN[:1]).blind(), text="the red ball"))

    assert answer.outcome is Outcome.OK


def _rewritten(path, change):
    with np.load(SHIPPED["tabletop"]) as held:
        arrays = {name: held[name] for name in held.files}
    change(arrays)
    np.savez(path, **arrays)
    return path


def _drop(arrays):
    del arrays["hidden.bias"]


def _cut(arrays):
    arrays["nouns.weight"] = arrays["nouns.weight"][:, :3]


def _spoil(arrays):
    arrays["conv0.bias"] = np.full_like(arrays["conv0.bias"], np.nan)


def _other_format(arrays):
    head = json.loads(str(arrays["head"])) | {"format": "another"}
    arrays["head"] = np.asarray(json.dumps(head))


def _no_head(arrays):
    del arrays["head"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_drop, "hidden"),
        (_cut, "'nouns.weight'"),
        (_spoil, "'conv0.bias'"),
        (_other_format, f"'another', not {FORMAT}"),
        (_no_head, "holds no namer"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, change, match):
    with pytest.raises(CheckpointError, match=match):
        TabletopNamer.load(_rewritten(tmp_path / "namer.npz", change))


def test_what_is_no_file_of_arrays_is_refused(tmp_path):
    text = tmp_path / "namer.npz"
    text.write_text("no arrays")
    objects = tmp_path / "objects.npz"
    np.savez(objects, head=np.array([{"a": 1}], dtype=object))

    for path in (text, objects):
        with pytest.raises(CheckpointError, match="holds no namer"):
            TabletopNamer.load(path)
    with pytest.raises(CheckpointError, match="give tabletop"):
        create_engine(f"scene_graph?namer={tmp_path / 'nowhere.npz'}")


def test_a_folder_with_a_namer_is_as_good_as_its_file():
    folder = SHIPPED["tabletop"].parent

    assert TabletopNamer.load(folder).nouns == TabletopNamer.load("tabletop").nouns
