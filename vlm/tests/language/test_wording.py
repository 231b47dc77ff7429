# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a program is called in words is read back as that program."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from roborefer_vlm.backends.scene_graph.grammar import parse
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import (
    Ask,
    Constraint,
    Feature,
    Order,
    OrderKey,
    Part,
    PartName,
    Quantifier,
    Question,
    Request,
    Side,
    Space,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.scenes.wording import PHRASES, describe

NOUNS = ("mug", "bowl", "soup can", "box", "bottle", "object", "banana", "gizmo", "coca-cola can")
ATTRIBUTES = ("red", "blue", "small", "round", "wooden", "dark blue", "lying", "black")
ONE_ANCHOR = tuple(r for r in PHRASES if r not in (Relation.BETWEEN, Relation.AMONG))
MEASURABLE = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
PLAIN_ONE = tuple(r for r in ONE_ANCHOR if r is not Relation.DISTANCE)

PLAIN = st.builds(
    Thing,
    st.sampled_from(NOUNS),
    st.lists(st.sampled_from(ATTRIBUTES), max_size=2, unique=True).map(tuple),
    quantifier=st.sampled_from((Quantifier.ONE, Quantifier.ANY)),
)
ANCHORS = st.one_of(
    PLAIN,
    st.builds(Part, st.just(PartName.SIDE), PLAIN, st.sampled_from(((Side.LEFT,), (Side.RIGHT,)))),
)


@st.composite
def constraints(draw, anchors=ANCHORS):
    if draw(st.booleans()) and draw(st.booleans()):
        return Constraint(Relation.BETWEEN, (draw(PLAIN), draw(PLAIN)))
    relation = draw(st.sampled_from(PLAIN_ONE))
    made = Constraint(relation, (draw(anchors),), negated=draw(st.booleans()))
    if relation in MEASURABLE and draw(st.booleans()):
        made = replace(made, distance_m=draw(st.sampled_from((0.05, 0.2, 1.5))), negated=False)
    if relation in MEASURABLE and draw(st.booleans()) and made.distance_m is None:
        made = replace(made, frame=draw(st.sampled_from((Frame.OBJECT, Frame.WORLD))))
    return made


ORDERS = st.builds(Order, st.sampled_from(OrderKey), st.integers(1, 6)) | st.builds(
    Order, st.sampled_from((OrderKey.NEAR, OrderKey.FAR)), st.integers(1, 4), PLAIN
)
FEATURES = st.builds(
    Feature,
    st.sampled_from(("lid", "handle")),
    st.sampled_from(((), ("red",), ("blue",))),
    st.booleans(),
)


@st.composite
def things(draw):
    """A thing with at most one relation, and a superlative."""
    return Thing(
        draw(st.sampled_from(NOUNS)),
        draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=2, unique=True).map(tuple)),
        draw(st.sampled_from(((), ("green",), ("white", "brown")))),
        tuple(draw(st.lists(FEATURES, max_size=1))),
        tuple(draw(st.lists(constraints(), max_size=1))),
        tuple(draw(st.lists(ORDERS, max_size=1))),
        tuple(draw(st.lists(PLAIN.filter(lambda t: t.noun != "object"), max_size=1))),
        draw(st.sampled_from((Quantifier.ONE, Quantifier.ANY, Quantifier.ALL))),
    )


SETTINGS = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@SETTINGS
@given(things())
def test_description_of_a_thing_is_read_back(thing):
    text = describe(thing)

    assert Request((thing,)) in parse(f"Point to {text}."), text


@SETTINGS
@given(PLAIN, constraints(), constraints(PLAIN))
def test_nested_description_is_among_its_readings(head, outer, inner):
    middle = replace(head, constraints=(replace(inner, frame=Frame.VIEWER),))
    thing = Thing("plate", constraints=(replace(outer, anchors=(middle,)),))
    if outer.relation is Relation.BETWEEN:
        thing = Thing(
            "plate", constraints=(replace(outer, relation=Relation.LEFT, anchors=(middle,)),)
        )
    text = describe(thing)

    assert Request((thing,)) in parse(text), text


@SETTINGS
@given(st.lists(constraints(PLAIN), min_size=1, max_size=1), st.booleans())
def test_description_of_a_place_is_read_back(said, on_table):
    said = [c for c in said if c.relation not in (Relation.ON,) or c.negated]
    space = Space(tuple(said), surface=Thing("table") if on_table else None)
    text = describe(space)

    assert Request((space,)) in parse(f"Please point out {text}."), text


@pytest.mark.parametrize("key", OrderKey)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_superlative_is_read_back_first(key, rank):
    thing = Thing("cup", orders=(Order(key, rank),))

    assert parse(describe(thing))[0] == Request((thing,))


@pytest.mark.parametrize("relation", [r for r in PLAIN_ONE if r is not Relation.DISTANCE])
def test_relation_is_read_back_first(relation):
    thing = Thing("cup", constraints=(Constraint(relation, (Thing("plate"),)),))

    assert parse(describe(thing))[0] == Request((thing,))


@pytest.mark.parametrize("name", [n for n in PartName if n is not PartName.SIDE])
def test_part_is_read_back_first(name):
    part = Part(name, Thing("bottle", ("red",)))

    assert parse(f"point to {describe(part)}")[0] == Request((part,))


@pytest.mark.parametrize("ask", Ask)
def test_question_is_read_back_first(ask):
    left = Constraint(Relation.LEFT, (Thing("plate"),))
    question = {
        Ask.CONFIGURATION: Question(ask, (Thing("cup"),), left),
        Ask.COMPATIBILITY: Question(ask, (Thing("cup"),), left),
        Ask.EXISTENCE: Question(ask, (Thing("cup", ("red",), quantifier=Quantifier.ANY),)),
        Ask.COUNT: Question(ask, (Thing("cup", ("red",), quantifier=Quantifier.ALL),)),
        Ask.DISTANCE: Question(ask, (Thing("cup"), Viewer())),
    }[ask]

    assert parse(describe(question))[0] == question


def test_moved_thing_and_place_are_read_back():
    space = Space((Constraint(Relation.BEHIND, (Thing("plate"),)),))
    request = Request((space,), Thing("cup"))

    assert parse(describe(request))[0] == request


def test_what_is_no_program_has_no_words():
    with pytest.raises(TypeError, match="int is no part of a program"):
        describe(3)
