# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Laws that hold for every scene: duality, invariances, and scores that are always numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Camera
from roborefer_vlm.scenes.relations import (
    Key,
    Places,
    Relation,
    measure,
    relation_scores,
    relation_values,
)
from roborefer_vlm.scenes.relations.registry import RULES
from scene_builders import TABLE, camera, moved, moved_camera, scaled, scene, thing, turn

R = Relation
DUALS = [
    (R.LEFT, R.RIGHT),
    (R.FRONT, R.BEHIND),
    (R.ABOVE, R.BELOW),
    (R.DIRECTLY_LEFT, R.DIRECTLY_RIGHT),
    (R.DIRECTLY_FRONT, R.DIRECTLY_BEHIND),
    (R.DIRECTLY_ABOVE, R.DIRECTLY_BELOW),
    (R.TALL, R.SHORT),
    (R.BIG, R.SMALL),
    (R.WIDE, R.THIN),
    (R.NEAR, R.NEAR),
    (R.FAR, R.FAR),
    (R.TOUCH, R.TOUCH),
    (R.FAR_FROM, R.FAR_FROM),
]
COMPLEMENTS = [(R.NEAR, R.FAR), (R.TOUCH, R.FAR_FROM), (R.INSIDE, R.OUTSIDE), (R.TALL, R.SHORT)]
OPPOSITES = [(R.LEFT, R.RIGHT), (R.FRONT, R.BEHIND), (R.ABOVE, R.BELOW), (R.FACE, R.BACK)]

coordinate = st.floats(-1, 1)
# Below a millimetre lengths are noise; a length of exactly 0 is a point or a sheet.
length = st.one_of(st.just(0.0), st.floats(0.005, 0.5))
yaw = st.floats(-np.pi, np.pi)


@st.composite
def things(draw, number):
    heading = draw(yaw)
    return thing(
        number,
        draw(coordinate) + 1.5,
        draw(coordinate),
        (draw(length), draw(length), draw(length)),
        z=draw(coordinate),
        yaw=draw(yaw),
        hollow=draw(st.booleans()),
        front=np.array([np.cos(heading), np.sin(heading), 0]),
    )


def extra(relation):
    needs = RULES[relation].needs
    return {needs: 0.3} if needs else {}


def anchors_for(relation, *choices):
    return list(choices[: max(RULES[relation].fewest, 1)])


def ask(relation, subject, anchors, *others, view=None, **more):
    seen = scene(subject, *anchors, *others, view=view)
    return relation_scores(
        relation, seen, Places.of_objects([subject]), anchors, **more, **extra(relation)
    )[0]


@pytest.mark.parametrize(("relation", "dual"), DUALS)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(a=things(1), b=things(2), frame=st.sampled_from([Frame.VIEWER, Frame.WORLD]))
def test_a_relation_is_its_dual_with_the_places_changed(relation, dual, a, b, frame):
    assert ask(relation, a, [b], frame=frame) == pytest.approx(
        ask(dual, b, [a], frame=frame), abs=1e-6
    )


@pytest.mark.parametrize(("relation", "complement"), COMPLEMENTS)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(a=things(1), b=things(2))
def test_a_relation_and_its_complement_add_up_to_one(relation, complement, a, b):
    assert ask(relation, a, [b]) + ask(complement, a, [b]) == pytest.approx(1)


@pytest.mark.parametrize(("relation", "opposite"), OPPOSITES)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(a=things(1), b=things(2), frame=st.sampled_from([Frame.VIEWER, Frame.WORLD, Frame.OBJECT]))
def test_opposites_never_both_hold(relation, opposite, a, b, frame):
    assert min(ask(relation, a, [b], frame=frame), ask(opposite, a, [b], frame=frame)) < 0.5


@pytest.mark.parametrize("relation", Relation)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(a=things(1), b=things(2), c=things(3), angle=yaw, x=coordinate, y=coordinate)
def test_turning_and_shifting_world_and_viewer_together_changes_nothing(
    relation, a, b, c, angle, x, y
):
    view, rotation, shift = camera(), turn(angle), np.array([x, y, 0.3])
    anchors = anchors_for(relation, b, c)

    before = ask(relation, a, anchors, view=view)
    after = ask(
        relation,
        moved(a, rotation, shift),
        [moved(anchor, rotation, shift) for anchor in anchors],
        view=moved_camera(view, rotation, shift),
    )

    assert after == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize("relation", [r for r in Relation if RULES[r].fewest > 0])
@settings(max_examples=8, deadline=None, derandomize=True)
@given(a=things(1), b=things(2), c=things(3), x=coordinate, y=coordinate, z=coordinate)
def test_world_relations_do_not_ask_where_the_camera_is(relation, a, b, c, x, y, z):
    anchors = anchors_for(relation, b, c)
    elsewhere = camera(eye=(x - 3, y, z + 2), target=(1.5, x, y))

    assert ask(relation, a, anchors, view=elsewhere, frame=Frame.WORLD) == pytest.approx(
        ask(relation, a, anchors, frame=Frame.WORLD)
    )


SCALE_FREE = [
    *(R.LEFT, R.RIGHT, R.FRONT, R.BEHIND, R.ABOVE, R.BELOW, R.NEAR, R.FAR, R.BETWEEN),
    *(R.TALL, R.SHORT, R.BIG, R.SMALL, R.WIDE, R.THIN, R.FACE, R.BACK, R.ANGLE),
]


@pytest.mark.parametrize("relation", SCALE_FREE)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(x=coordinate, y=coordinate, z=coordinate, angle=yaw, factor=st.floats(1, 20))
def test_relations_without_metres_do_not_depend_on_scale(relation, x, y, z, angle, factor):
    # Large enough that the floors for points and for noise play no part.
    a = thing(1, 1.5 + x, y, (0.2, 0.1, 0.3), z=z, yaw=angle, front=np.array([1.0, 0, 0]))
    b = thing(2, 1.5, 0, (0.1, 0.2, 0.15), front=np.array([0, 1.0, 0]))
    c = thing(3, 0.8, 0.6, (0.1, 0.1, 0.1))
    anchors = anchors_for(relation, b, c)
    pose = np.array(camera().t_scene_optical)
    pose[:3, 3] *= factor

    larger = ask(
        relation,
        scaled(a, factor),
        [scaled(anchor, factor) for anchor in anchors],
        view=Camera(camera().intrinsics, pose),
    )

    assert larger == pytest.approx(ask(relation, a, anchors), abs=1e-6)


@pytest.mark.parametrize("relation", Relation)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(a=things(1), b=things(2), c=things(3), point=st.tuples(coordinate, coordinate, coordinate))
def test_scores_are_numbers_from_0_to_1_in_every_frame(relation, a, b, c, point):
    anchors = anchors_for(relation, b, c)
    view = scene(a, b, c)
    for frame in RULES[relation].frames or Frame:
        for places in (Places.of_objects([a, b, c]), Places.of_points([point])):
            scores = relation_scores(
                relation, view, places, anchors, frame=frame, **extra(relation)
            )
            assert np.isfinite(scores).all()
            assert ((scores >= 0) & (scores <= 1)).all()


def degenerate_scenes():
    same = [thing(i, 0.9, 0.0, front=np.array([1.0, 0, 0])) for i in (1, 2, 3)]
    points = [thing(i, 0.9, 0.0, (0, 0, 0), z=0.0, front=np.array([1.0, 0, 0])) for i in (1, 2, 3)]
    sheets = [
        thing(i, 0.9, 0.1 * i, (0.1, 0.2, 0), front=np.array([1.0, 0, 0])) for i in (1, 2, 3)
    ]
    above = camera(eye=(0.9, 0, 1.0), target=(0.9, 0, 0))
    inside = camera(eye=(0.9, 0, 0.05), target=(1.9, 0, 0.05))
    return [
        pytest.param(group, view, id=f"{name}-{where}")
        for name, group in (("same", same), ("points", points), ("sheets", sheets))
        for where, view in (("ahead", camera()), ("above", above), ("inside", inside))
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("group", "view"), degenerate_scenes())
@pytest.mark.parametrize("relation", Relation)
def test_degenerate_scenes_score_finite_without_a_warning(relation, group, view):
    anchors = anchors_for(relation, group[0], group[1])
    for frame in RULES[relation].frames or (Frame.VIEWER,):
        for places in (Places.of_objects(group), Places.of_points([[0.9, 0, 0.05]])):
            scores = relation_scores(
                relation,
                scene(*group, view=view),
                places,
                anchors,
                frame=frame,
                **extra(relation),
            )
            assert np.isfinite(scores).all()


@pytest.mark.parametrize("relation", Relation)
def test_an_anchor_is_in_no_relation_to_itself(relation):
    a, b = (thing(i, 0.9, 0.1 * i, front=np.array([1.0, 0, 0])) for i in (1, 2))

    anchors = anchors_for(relation, a, b)
    scores = relation_scores(
        relation, scene(a, b), Places.of_objects(anchors), anchors, **extra(relation)
    )

    assert scores.tolist() == [0.0] * len(anchors)


@pytest.mark.parametrize("relation", Relation)
def test_no_subjects_give_no_scores(relation):
    a, b = (thing(i, 0.9, 0.1 * i, front=np.array([1.0, 0, 0])) for i in (1, 2))

    for places in (Places.of_objects([]), Places.of_points(np.zeros((0, 3)))):
        scores = relation_scores(
            relation, scene(a, b), places, anchors_for(relation, a, b), **extra(relation)
        )
        assert scores.shape == (0,)


@pytest.mark.parametrize("relation", Relation)
def test_surfaces_can_be_anchors_of_everything_that_needs_no_front(relation):
    places = Places.of_points([[0.9, 0.1, 0.0], [0.2, 2.0, 0.5]])
    anchors = anchors_for(relation, TABLE, thing(1, 0.9, 0.0))
    if relation in (R.ANGLE, R.ROTATION_HORIZONTAL, R.ROTATION_VERTICAL):
        with pytest.raises(QueryError, match=r"'table' .* has no front"):
            relation_scores(relation, scene(), places, anchors, **extra(relation))
        return

    scores = relation_scores(relation, scene(), places, anchors, **extra(relation))

    assert np.isfinite(scores).all()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(a=things(1), b=things(2), key=st.sampled_from(Key), angle=yaw)
def test_measures_are_finite_and_move_with_the_world(a, b, key, angle):
    rotation, shift = turn(angle), np.array([0.4, -0.2, 0.0])
    places = Places.of_objects([a])
    there, anchor = moved(a, rotation, shift), moved(b, rotation, shift)
    view = moved_camera(camera(), rotation, shift)

    before = measure(key, scene(a, b), places, b)
    after = measure(key, scene(there, anchor, view=view), Places.of_objects([there]), anchor)

    assert np.isfinite(before).all()
    assert after == pytest.approx(before, abs=1e-6)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(a=things(1), b=things(2))
def test_offsets_are_antisymmetric(a, b):
    for relation in (R.LEFT, R.FRONT, R.ABOVE):
        there = relation_values(relation, scene(a, b), Places.of_objects([a]), [b])
        back = relation_values(relation, scene(a, b), Places.of_objects([b]), [a])
        assert there == pytest.approx(-back, abs=1e-9)
