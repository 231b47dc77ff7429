# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from built_views import ALL_FACTS, random_view, shot, thing, view
from roborefer_vlm.data.examples import Example, Kind, Phrasings, Rejected, Wish
from roborefer_vlm.data.meaning import fits
from roborefer_vlm.data.paraphrasing import Words
from roborefer_vlm.data.program_json import program_from_json
from roborefer_vlm.data.questions.chain import ChainMaker
from roborefer_vlm.data.questions.location import LocationMaker
from roborefer_vlm.data.questions.quantity import QuantityMaker
from roborefer_vlm.data.reasoning import ChainForm, way_to
from roborefer_vlm.data.tops import top_point
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.parsing.steps import read_steps, split_answer
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import Constraint, Order, OrderKey, Part, Thing
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.types import PerceptionType, Pixel

MAKERS = [LocationMaker(), ChainMaker(), ChainMaker(ChainForm.RFT), QuantityMaker()]


def made(maker, seeds, most=4, phrasings=Phrasings.TRAINING):
    for seed in seeds:
        shown = shot(random_view(seed))
        rng = np.random.default_rng([seed, 5])
        for example in maker.make(shown, rng, Wish(most, phrasings)):
            yield shown.views[0], example


@pytest.mark.parametrize("maker", MAKERS, ids=lambda m: f"{m.kind}-{getattr(m, 'form', '')}")
def test_the_same_state_gives_the_same_examples_and_facts_are_json(maker):
    first = [example for _, example in made(maker, range(2), most=3)]
    second = [example for _, example in made(maker, range(2), most=3)]

    assert first == second
    examples = [example for example in first if isinstance(example, Example)]
    assert len({example.id for example in examples}) == len(examples) > 0
    for example in examples:
        assert example.kind is maker.kind
        assert json.loads(json.dumps(asdict(example)["facts"])) == dict(example.facts)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda m: f"{m.kind}-{getattr(m, 'form', '')}")
def test_no_more_are_made_than_wished_for_and_rejections_have_reasons(maker):
    found = [example for _, example in made(maker, [1], most=2)]

    assert sum(isinstance(example, Example) for example in found) <= 2
    assert all(
        example.reason and example.kind is maker.kind
        for example in found
        if isinstance(example, Rejected)
    )


def test_points_lie_on_the_thing_that_the_facts_name():
    for seen, example in made(LocationMaker(), range(3)):
        if isinstance(example, Example):
            mask = seen.scene.object(example.facts["target"]).mask
            x, y = example.point
            assert example.answer == f"[({x:.3f}, {y:.3f})]"
            assert mask[int(y * mask.shape[0]), int(x * mask.shape[1])]
            phrase = program_from_json(example.facts["program"]).targets[0]
            phrase = phrase.of if isinstance(phrase, Part) else phrase
            states = fits(Truth(seen), phrase)
            assert [i + 1 for i in np.flatnonzero(states)] == [example.facts["target"]]


def test_held_out_questions_use_held_out_wordings_only():
    for maker in MAKERS:
        for _, example in made(maker, [2], phrasings=Phrasings.HELD_OUT):
            assert isinstance(example, Rejected) or example.phrasing.startswith("held_out")


def test_the_top_of_a_flat_thing_is_where_depth_meets_the_top_of_its_box():
    block = thing(1, "block", 0.9, 0.0)
    seen = view(block)
    rows, columns = np.nonzero(seen.scene.objects[0].mask)
    k, pose = seen.scene.camera.intrinsics, seen.scene.camera.t_scene_optical
    # Rays of the upper half meet the top, those of the lower half the front.
    rays = np.stack([(columns - k.cx) / k.fx, (rows - k.cy) / k.fy, np.ones(len(rows))], axis=1)
    rays = rays @ pose[:3, :3].T
    on_top = (block.box.top - pose[2, 3]) / rays[:, 2]
    on_front = (block.box.center[0] - 0.025 - pose[0, 3]) / rays[:, 0]
    seen.scene.depth_m[rows, columns] = np.maximum(on_top, on_front)

    x, y = top_point(Truth(seen), 1)

    row, column = int(y * k.height), int(x * k.width)
    assert seen.scene.objects[0].mask[row, column]
    at = np.flatnonzero((rows == row) & (columns == column))[0]
    assert on_top[at] > on_front[at]
    assert top_point(Truth(view(thing(1, "block", 0.9, 0.0))), 1) is None


def test_nothing_visible_is_a_rejection():
    empty = view(thing(1, "block", -1.0, 0.0))
    found = list(LocationMaker().make(shot(empty), np.random.default_rng(0), Wish()))

    assert found == [Rejected(Kind.LOCATION, "nothing visible")]


@pytest.mark.parametrize(
    "steps", [(1, 2), (0, 0, 0, 0, 0), (1, 1, 1, 1, -1), (1, 1, 1, 1, float("nan"))]
)
def test_shares_of_steps_are_checked(steps):
    with pytest.raises(ConfigurationError, match="steps"):
        LocationMaker(steps)


# ---- chains ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", list(ChainForm))
def test_chains_are_read_back_step_by_step(form):
    for _, example in made(ChainMaker(form), range(3)):
        if not isinstance(example, Example):
            continue
        reasoning, answer = split_answer(example.answer)
        steps = read_steps(reasoning, lambda n: Pixel(*n))
        x, y = example.point
        assert answer.strip() == f"[({x:.3f}, {y:.3f})]"
        assert [(s.perception, s.target) for s in steps] == [
            (s.perception, s.target) for s in example.steps
        ]
        for step, key in zip(steps, example.steps, strict=True):
            if step.perception is PerceptionType.POSITION:
                assert (step.pixel.u, step.pixel.v) == pytest.approx(key.value)
            elif step.perception is PerceptionType.SIZE:
                assert step.size_m == pytest.approx(key.value[0], abs=5e-4)
            else:
                assert step.direction == pytest.approx(key.value, abs=2e-3)


def test_anchors_come_before_what_they_locate_and_the_thing_comes_last():
    truth = Truth(
        view(
            thing(1, "mug", 0.9, 0.0),
            thing(2, "bowl", 0.9, 0.25),
            thing(3, "block", 0.9, -0.3),
            thing(4, "block", 0.7, 0.25),
        )
    )
    bowl = Thing("bowl", constraints=(Constraint(Relation.LEFT, (Thing("mug"),)),))
    phrase = Thing("block", constraints=(Constraint(Relation.FRONT, (bowl,)),))

    steps = way_to(truth, Words(np.random.default_rng(1)), phrase, 4)

    assert [step.value for step in steps] == [truth.point(n) for n in (1, 2, 4)]
    assert steps[0].target == "the mug"
    assert "mug" in steps[1].target
    assert steps[1].target in steps[2].target


def test_a_front_that_decides_is_a_step_in_the_optical_frame():
    # The mug looks at +x, straight away from the camera at the origin.
    truth = Truth(view(thing(1, "mug", 0.9, 0.0), thing(2, "block", 0.9, 0.25)))
    told = Constraint(Relation.LEFT, (Thing("mug"),), Frame.OBJECT)

    steps = way_to(truth, Words(np.random.default_rng(0)), Thing("object", constraints=(told,)), 2)

    (front,) = [step for step in steps if step.perception is PerceptionType.ORIENTATION]
    right, down, ahead = front.value
    assert "mug" in front.target
    assert abs(right) < 1e-3
    assert ahead > 0.7
    assert down == pytest.approx(-0.6 / np.hypot(0.6, 0.9), abs=2e-3)


def test_sizes_that_decide_are_steps_where_metres_are_known():
    seen = view(thing(1, "mug", 0.9, 0.0), thing(2, "box", 0.9, 0.25))
    told = Thing("object", constraints=(Constraint(Relation.TALL, (Thing("mug"),)),))
    ranked = Thing("object", orders=(Order(OrderKey.TALL),))

    words = Words(np.random.default_rng(0))
    sizes = [
        step.value[0]
        for phrase in (told, ranked)
        for step in way_to(Truth(seen), words, phrase, 2)
        if step.perception is PerceptionType.SIZE
    ]
    blind = type(seen)(
        **{
            **{name: getattr(seen, name) for name in seen.__dataclass_fields__},
            "trusts": ALL_FACTS - {Fact.METRIC},
        }
    )

    assert sizes == [0.1, 0.17, 0.17]
    assert all(
        step.perception is PerceptionType.POSITION for step in way_to(Truth(blind), words, told, 2)
    )


def test_steps_to_free_space_name_its_anchors_in_the_words_of_the_question():
    found = []
    for seed in range(4):
        seen = shot(random_view(seed, most=5))
        rng = np.random.default_rng(seed)
        found += [e for e in ChainMaker().make(seen, rng, Wish(6)) if isinstance(e, Example)]
    spaces = [example for example in found if example.steps[-1].target == "the free space"]

    assert len({example.id for example in found}) == len(found)
    assert spaces
    for example in spaces:
        assert example.steps[-1].value == example.point
        assert len(example.steps) > 1
        for step in example.steps[:-1]:
            assert step.target.removeprefix("the front of ") in example.question


# ---- quantities -----------------------------------------------------------------------------


def test_counts_are_those_of_the_things_that_fit_and_every_number_comes():
    counts = Counter()
    for seen, example in made(QuantityMaker(), range(6), most=10):
        if isinstance(example, Example) and example.facts["measure"] == "count":
            phrase = program_from_json(example.facts["program"]).things[0]
            states = fits(Truth(seen), phrase)
            assert example.answer == str(int(states.sum())) == str(len(example.facts["targets"]))
            counts[example.answer] += 1

    assert {"0", "1", "2"} <= set(counts), counts


def test_lengths_are_right_within_their_own_tolerance():
    kinds = Counter()
    for seen, example in made(QuantityMaker(), range(6), most=10):
        if not isinstance(example, Example) or example.facts.get("unit") != "m":
            continue
        number, unit = example.answer.split()
        metres = float(number) / (100 if unit == "centimeters" else 1)
        measure = example.facts["measure"]
        assert abs(metres - example.facts["value"]) <= example.facts["tolerance"] / 2
        kinds[measure] += 1
        if measure == "depth":
            x, y = example.facts["at"]
            at = seen.scene.depth_m[int(y * 480), int(x * 640)]
            assert at == pytest.approx(example.facts["value"], abs=1e-3)
        elif measure == "height":
            box = seen.scene.object(example.facts["target"]).box
            assert box.top - box.bottom == pytest.approx(example.facts["value"], abs=1e-3)

    assert {"distance", "camera_distance", "height", "width", "length", "depth"} <= set(kinds)


def test_a_turn_to_the_left_is_named_left():
    # The mug looks at +x, the block lies at its left, +y.
    seen = view(thing(1, "mug", 0.9, 0.0), thing(2, "block", 0.9, 0.3), thing(3, "box", 0.9, -0.3))
    turns = [
        example
        for seed in range(20)
        for example in QuantityMaker().make(shot(seen), np.random.default_rng(seed), Wish(8))
        if isinstance(example, Example) and example.facts["measure"] == "turn"
    ]

    assert turns
    for example in turns:
        if example.facts["targets"] == [1, 2]:
            assert example.answer == "90 degrees to the left"
        if example.facts["targets"] == [1, 3]:
            assert example.answer == "90 degrees to the right"


def test_no_length_is_asked_for_without_metres():
    seen = random_view(3)
    fields = {name: getattr(seen, name) for name in seen.__dataclass_fields__}
    blind = type(seen)(**{**fields, "trusts": ALL_FACTS - {Fact.METRIC}})

    for example in QuantityMaker().make(shot(blind), np.random.default_rng(0), Wish(12)):
        if isinstance(example, Example):
            assert example.facts["measure"] in ("count", "angle", "turn")
