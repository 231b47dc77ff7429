# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's configuration: worked out by hand, with its opposites, in three frames."""

from __future__ import annotations

import numpy as np
import pytest
from roborefer_vlm.data.examples import Example, Phrasings, Wish
from roborefer_vlm.data.questions.clear_configuration import OPPOSITES, clear_configuration
from roborefer_vlm.data.questions.configuration import ConfigurationMaker
from roborefer_vlm.data.views import Fact
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.relations import Relation
from seen_tables import EVERYTHING, camera, random_shot, shot, thing, view

TOWARDS_CAMERA = np.array([-1.0, 0, 0])


def directions(first, second, frame=Frame.VIEWER, **more):
    scene = view(first, second, **more).scene
    found = clear_configuration(scene, *scene.objects, frame)
    return {one.relation for one in found}


def examples(of, seed=0, most=12, phrasings=Phrasings.TRAINING):
    made = ConfigurationMaker().make(of, np.random.default_rng(seed), Wish(most, phrasings))
    return [one for one in made if isinstance(one, Example)]


def test_the_viewers_left_is_where_the_camera_sees_it():
    # The camera looks along x, so y grows to its left.
    left, right = thing(1, "mug", 0.75, 0.2), thing(2, "bowl", 0.75, -0.2)

    assert directions(left, right) == {Relation.LEFT}
    assert directions(right, left) == {Relation.RIGHT}


def test_nearer_things_are_in_front():
    near, far = thing(1, "mug", 0.5, 0.0), thing(2, "bowl", 0.9, 0.0)

    assert directions(near, far) == {Relation.FRONT}
    assert directions(far, near) == {Relation.BEHIND}


def test_left_and_right_of_a_thing_that_faces_the_camera_are_swapped():
    mug = thing(1, "mug", 0.75, 0.2)
    bowl = thing(2, "bowl", 0.75, -0.2, front=TOWARDS_CAMERA)

    assert directions(mug, bowl, Frame.OBJECT) == {Relation.RIGHT}
    assert directions(mug, bowl, Frame.VIEWER) == {Relation.LEFT}


def test_in_front_of_a_thing_that_faces_the_camera_is_nearer_to_the_camera():
    mug = thing(1, "mug", 0.45, 0.0)
    bowl = thing(2, "bowl", 0.85, 0.0, front=TOWARDS_CAMERA)

    assert directions(mug, bowl, Frame.OBJECT) == {Relation.FRONT}


def test_what_stands_on_a_thing_is_above_it_in_every_frame():
    box = thing(1, "box", 0.7, 0.0, (0.12, 0.12, 0.08), front=TOWARDS_CAMERA)
    cube = thing(2, "cube", 0.7, 0.0, (0.04, 0.04, 0.04), z=0.08, support=1, front=TOWARDS_CAMERA)

    for frame in (Frame.VIEWER, Frame.WORLD, Frame.OBJECT):
        assert Relation.ABOVE in directions(cube, box, frame)
        assert Relation.BELOW in directions(box, cube, frame)


def test_sideways_cameras_leave_the_worlds_left_unclear_instead_of_wrong():
    # This camera looks along y: what it has on its left lies along -x, not along y.
    eye = camera((0.75, -0.9, 0.7), (0.75, 0.0, 0.0))
    first, second = thing(1, "mug", 0.55, 0.0), thing(2, "bowl", 0.95, 0.0)

    assert directions(first, second, Frame.VIEWER, eye=eye) == {Relation.LEFT}
    assert directions(first, second, Frame.WORLD, eye=eye) == set()


def test_a_step_of_a_centimetre_is_not_told():
    assert directions(thing(1, "mug", 0.7, 0.01), thing(2, "bowl", 0.7, 0.0, z=0.1)) <= {
        Relation.BELOW
    }


def test_a_direction_is_answered_with_yes_and_its_opposite_with_no():
    of = shot(
        thing(1, "mug", 0.6, 0.2, front=TOWARDS_CAMERA),
        thing(2, "bowl", 0.9, -0.2, color="blue", front=TOWARDS_CAMERA),
    )
    seen = set()

    for seed in range(30):
        for one in examples(of, seed):
            facts = one.facts
            true, asked = Relation(facts["true"]), Relation(facts["relation"])
            assert facts["holds"] == (asked is true)
            assert asked in (true, OPPOSITES[true])
            seen.add((facts["frame"], facts["target"], true, facts["holds"]))

    # Two frames with two directions each way, the world's too; each is asked with both answers.
    assert len(seen) == 3 * 2 * 2 * 2


@pytest.mark.parametrize("seed", range(8))
def test_answers_agree_with_centres_alone(seed):
    of = random_shot(seed)
    things = {t.id: t for t in of.views[0].scene.objects}
    eye = of.views[0].scene.camera

    for one in examples(of, seed):
        facts = one.facts
        first, second = things[facts["target"]], things[facts["anchors"][0]]
        step = first.box.center - second.box.center
        if facts["frame"] == Frame.OBJECT:
            front = second.front
            left = np.array([-front[1], front[0], 0])
        else:
            right, _, front = eye.t_scene_optical[:3, :3].T
            left, front = -right, -front
        value = {
            "left": step @ left,
            "right": -step @ left,
            "front": step @ front,
            "behind": -step @ front,
            "above": step[2],
            "below": -step[2],
        }[facts["relation"]]
        assert (value > 0) == facts["holds"]


def test_letters_stand_for_the_answer():
    forms = set()
    for seed in range(12):
        for one in examples(random_shot(seed), seed):
            right = "yes" if one.facts["holds"] else "no"
            if one.answer.startswith("("):
                assert f"{one.answer} {right}" in one.question
                forms.add(one.answer)
            else:
                assert one.answer == right
                forms.add("bare")
    assert forms == {"(A)", "(B)", "bare"}


def test_held_out_wordings_are_held_out():
    of = random_shot(3)

    training, held_out = (examples(of, 1, phrasings=p) for p in Phrasings)

    assert all("held_out" not in one.phrasing for one in training)
    assert held_out
    assert all(one.phrasing.startswith("held_out") for one in held_out)


def test_without_fronts_the_frame_of_things_is_not_used():
    of = random_shot(4, trusts=EVERYTHING - {Fact.FRONTS})

    assert all(one.facts["frame"] != Frame.OBJECT for one in examples(of))
