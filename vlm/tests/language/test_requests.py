# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Ways of asking for things and places: questions for room, pronouns, and second sentences."""

from __future__ import annotations

import pytest
from roborefer_vlm.backends.scene_graph.grammar import NotUnderstood, parse
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import Constraint, Order, OrderKey, Quantifier, Request, Space
from roborefer_vlm.scenes.program import Thing as T
from roborefer_vlm.scenes.relations import Relation

MUG, BOX = T("mug"), T("box")
LEFT = Space((Constraint(Relation.LEFT, (MUG,)),))
BEHIND = Space((Constraint(Relation.BEHIND, (MUG,)),))


@pytest.mark.parametrize(
    "text",
    [
        "Where could I put something so that it is to the left of the mug?",
        "Where can I place it left of the mug?",
        "Where is there room to put something down to the left of the mug?",
        "Pinpoint a spot within the vacant space left of the mug.",
        "Find a place to set it down left of the mug.",
        "Put it somewhere clear to the left of the mug.",
        "Show me somewhere free to the left of the mug.",
        "I need somewhere to put something left of the mug. Where would that be?",
        "Put it to the left of the mug. Where does it fit?",
        "There is the mug. Pinpoint a spot in the vacant space to its left.",
        "In the image, there is the mug. Point to a free spot on its left side.",
    ],
)
def test_place_is_asked_for_in_many_ways(text):
    assert parse(text)[0] == Request((LEFT,))


def test_it_behind_a_relation_is_the_thing_named_before():
    text = "In the image, there is the mug. Pinpoint a spot in the vacant space behind it."

    assert parse(text)[0] == Request((BEHIND,))


def test_it_that_is_put_stays_what_is_held():
    program = parse("There is the mug. Put it behind the box.")[0]

    assert program == Request((Space((Constraint(Relation.BEHIND, (BOX,)),)),))


def test_it_that_is_pointed_to_is_the_thing_named_before():
    assert parse("There is a mug. Point to it.")[0] == Request(
        (T("mug", quantifier=Quantifier.ANY),)
    )


@pytest.mark.parametrize(
    "text",
    [
        "Point to the mug. Point to the box.",
        "Is there a mug? Where is it?",
        "Point to the space behind it.",
        "There is a mug. There is a box. Point to it.",
        "Where does it fit?",
    ],
)
def test_second_request_or_unknown_it_is_refused(text):
    assert isinstance(parse(text), NotUnderstood)


@pytest.mark.parametrize("text", ["Can you point at the mug?", "point at the mug"])
def test_pointing_at_a_thing_has_no_reading_as_a_place(text):
    assert parse(text) == (Request((MUG,)),)


def test_pointing_to_a_side_is_still_a_place():
    assert parse("Stand at the left of the mug")[0] == Request((LEFT,))


@pytest.mark.parametrize("word", ["narrower", "slimmer", "thinner"])
def test_comparison_is_no_noun_behind_a_word_that_is_also_an_attribute(word):
    [toy] = parse(f"the toy {word} than the box")[0].targets

    assert toy == T("toy", constraints=(Constraint(Relation.THIN, (BOX,)),))


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("lower in the image than", Relation.BELOW),
        ("further down in the picture than", Relation.BELOW),
        ("higher in the image than", Relation.ABOVE),
    ],
)
def test_height_in_the_picture_is_no_height_in_space(text, relation):
    [found] = parse(f"the box {text} the mug")[0].targets

    assert found.constraints == (Constraint(relation, (MUG,), Frame.IMAGE),)


def test_perspective_is_no_thing_to_measure_from():
    programs = parse("the space left of the mug that is the tallest from its own perspective")
    tallest = T("mug", orders=(Order(OrderKey.TALL),))

    assert programs[0] == Request((Space((Constraint(Relation.LEFT, (tallest,), Frame.OBJECT),)),))
