# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is held out of training stays out of it, and is new as a composition only."""

from __future__ import annotations

import numpy as np
import pytest
from roborefer_vlm.data.sources.simulator_settings import UNSEEN, SceneSplit, SimulatorSettings

pytest.importorskip("roborefer_sim.core.gl").load_mujoco()

from roborefer_sim.core.library import standard_library  # noqa: E402
from roborefer_vlm.data.sources.simulator_camera import draw_looks  # noqa: E402
from roborefer_vlm.data.sources.simulator_scene import draw_table, library_of, named  # noqa: E402

TABLES = 150


def pairs_of(split: SceneSplit) -> list[tuple[str, str]]:
    settings = SimulatorSettings(split=split)
    library, found = library_of(split), []
    for seed in range(TABLES):
        rng = np.random.default_rng(seed)
        look = draw_looks(rng, settings, 1)[0]
        makes = [thing.make for thing in draw_table(rng, settings, library, look).placed]
        found += [(make.thing.key, make.color) for make in makes if named(make)]
    return found


def test_training_never_shows_a_held_out_composition():
    assert not set(pairs_of(SceneSplit.TRAINING)) & UNSEEN


def test_held_out_scenes_show_all_of_them_and_others_too():
    found = pairs_of(SceneSplit.HELD_OUT)

    assert set(found) >= UNSEEN
    assert 0.2 < np.mean([pair in UNSEEN for pair in found]) < 0.6


def test_every_held_out_thing_and_color_is_known_from_other_compositions():
    things = standard_library().things
    training = library_of(SceneSplit.TRAINING).things

    for key, color in UNSEEN:
        assert color in things[key].colors
        assert training[key].colors
        assert any(color in thing.colors for thing in training.values())


def test_no_word_for_a_training_thing_makes_a_held_out_phrase():
    training = library_of(SceneSplit.TRAINING).things
    said = {
        (word, color)
        for thing in training.values()
        for word in (thing.noun, *thing.also)
        for color in thing.colors
    }

    for key, color in UNSEEN:
        thing = training[key]
        assert not {(word, color) for word in (thing.noun, *thing.also)} & said
