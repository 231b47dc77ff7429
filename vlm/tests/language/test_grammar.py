# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sentences as people and benchmarks write them, and the programs that they are."""

from __future__ import annotations

import pytest
from roborefer_vlm.backends.scene_graph.grammar import NotUnderstood, parse
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

MUG, BOWL, BOX, PLATE = Thing("mug"), Thing("bowl"), Thing("box"), Thing("plate")
ALL = Quantifier.ALL


def rel(relation, *anchors, **more):
    return Constraint(relation, anchors, **more)


def thing(noun, *said, **more):
    """A thing with constraints and orders in the order of the arguments."""
    return Thing(
        noun,
        constraints=tuple(s for s in said if isinstance(s, Constraint)),
        orders=tuple(s for s in said if isinstance(s, Order)),
        **more,
    )


@pytest.mark.parametrize(
    "wrapper",
    [
        "the mug",
        "Point to the mug.",
        "Please point out the mug.",
        "Pick up the mug!",
        "Could you please pick the mug up for me?",
        "where is the mug?",
        "Locate the mug in this image and output the point coordinates in JSON format.",
        "Locate several points of the mug.",
        "bring me the mug, please",
        "Hey robot, grab the mug",
        "Please point to the mug. Your answer should be formatted as a list of tuples, i.e."
        " [(x1, y1)], where each tuple contains the x and y coordinates of a point.",
        "Please point to the mug. Please provide its 2D coordinates.",
        "I'd like to have the mug",
        "Navigate to the mug",
        "POINT TO THE MUG",
        "point to the ｍｕｇ",
    ],
)
def test_wrapper_adds_nothing(wrapper):
    assert parse(wrapper)[0] == Request((MUG,))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("the small red mug", Thing("mug", ("small", "red"))),
        ("the black and green box", Thing("box", ("black", "green"))),
        ("the Coca-Cola can", Thing("coca-cola can")),
        ("the roll of tape", Thing("roll of tape")),
        ("the orange", Thing("orange")),
        ("the orange box", Thing("box", ("orange",))),
        ("the orange juice carton", Thing("orange juice carton")),
        ("the red-lidded box", Thing("box", features=(Feature("lid", ("red",)),))),
        ("the box with a red lid", Thing("box", features=(Feature("lid", ("red",)),))),
        ("the box without a lid", Thing("box", features=(Feature("lid", (), True),))),
        ("the soup can lying on its side", Thing("soup can", ("lying",))),
        ("the dark blue mug", Thing("mug", ("dark blue",))),
        ("the mug that is not red", Thing("mug", excluded=("red",))),
        ("the mug that is neither red nor blue", Thing("mug", excluded=("red", "blue"))),
        ("the mug other than the red mug", Thing("mug", others=(Thing("mug", ("red",)),))),
        ("all mugs", Thing("mug", quantifier=ALL)),
        ("the two mugs", Thing("mug", quantifier=ALL, count=2)),
        ("a mug", Thing("mug", quantifier=Quantifier.ANY)),
        ("the flumox", Thing("flumox")),
        ("the red one", Thing("one", ("red",))),
    ],
)
def test_noun_phrase(text, target):
    assert parse(text)[0] == Request((target,))


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("left of", Relation.LEFT),
        ("to the left of", Relation.LEFT),
        ("on the right-hand side of", Relation.RIGHT),
        ("in front of", Relation.FRONT),
        ("behind", Relation.BEHIND),
        ("partly hidden behind", Relation.BEHIND),
        ("next to", Relation.BESIDE),
        ("close to", Relation.NEAR),
        ("far away from", Relation.FAR),
        ("on top of", Relation.ON),
        ("inside", Relation.INSIDE),
        ("under", Relation.UNDER),
        ("directly to the left of", Relation.DIRECTLY_LEFT),
        ("lying in front of", Relation.FRONT),
        ("that is standing right behind", Relation.DIRECTLY_BEHIND),
        ("which is leaning against", Relation.TOUCH),
        ("taller than", Relation.TALL),
        ("facing", Relation.FACE),
    ],
)
def test_relation_phrase(text, relation):
    assert parse(f"the mug {text} the box")[0] == Request((thing("mug", rel(relation, BOX)),))


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("the mug closest to the camera", Order(OrderKey.NEAR)),
        ("the nearest mug", Order(OrderKey.NEAR)),
        ("the mug nearest to me", Order(OrderKey.NEAR)),
        ("the far mug", Order(OrderKey.FAR)),
        ("the leftmost mug", Order(OrderKey.LEFT)),
        ("the mug on the left", Order(OrderKey.LEFT)),
        ("the mug on my right", Order(OrderKey.RIGHT)),
        ("the third mug from the left", Order(OrderKey.LEFT, 3)),
        ("the 2nd mug from left to right", Order(OrderKey.LEFT, 2)),
        ("the last mug from the left", Order(OrderKey.RIGHT)),
        ("the second tallest mug", Order(OrderKey.TALL, 2)),
        ("the mug that is the tallest", Order(OrderKey.TALL)),
        ("the mug farthest from the box", Order(OrderKey.FAR, 1, BOX)),
        ("the second closest mug to the box", Order(OrderKey.NEAR, 2, BOX)),
        ("the mug second closest to the box", Order(OrderKey.NEAR, 2, BOX)),
        ("which mug is closest to the box?", Order(OrderKey.NEAR, 1, BOX)),
        ("the smaller of the two mugs", Order(OrderKey.SMALL)),
        ("the mug in the middle", Order(OrderKey.MIDDLE)),
    ],
)
def test_superlative(text, order):
    assert parse(text)[0] == Request((thing("mug", order),))


@pytest.mark.parametrize(
    ("text", "space"),
    [
        (
            "the free space between the mug and the bowl",
            Space((rel(Relation.BETWEEN, MUG, BOWL),)),
        ),
        (
            "the spot on the table 20 cm left of the box",
            Space((rel(Relation.LEFT, BOX, distance_m=0.2),), surface=Thing("table")),
        ),
        (
            "an empty area behind the mug and to the left of the box",
            Space((rel(Relation.BEHIND, MUG), rel(Relation.LEFT, BOX))),
        ),
        (
            "put it half a meter behind the box",
            Space((rel(Relation.BEHIND, BOX, distance_m=0.5),)),
        ),
        ("Place it to the left of the mug.", Space((rel(Relation.LEFT, MUG),))),
        ("put it in the bowl", Space((rel(Relation.INSIDE, BOWL),))),
        ("put it on the plate", Space(surface=PLATE)),
        (
            "the free space in the left corner of the table",
            Space(surface=Part(PartName.CORNER, Thing("table"), (Side.LEFT,))),
        ),
        ("the vacant spot closest to the camera", Space(orders=(Order(OrderKey.NEAR),))),
        (
            "In the image, there is the mug. Pinpoint several points within the vacant space"
            " situated to the left of the mug from the camera's perspective.",
            Space((rel(Relation.LEFT, MUG),)),
        ),
        (
            "2 feet to the right of the right side of the box",
            Space(
                (
                    rel(
                        Relation.RIGHT,
                        Part(PartName.SIDE, BOX, (Side.RIGHT,)),
                        distance_m=0.6096,
                    ),
                )
            ),
        ),
    ],
)
def test_free_space(text, space):
    assert parse(text)[0] == Request((space,))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("the handle of the mug", Part(PartName.HANDLE, MUG)),
        ("the mug's handle", Part(PartName.HANDLE, MUG)),
        ("the mug handle", Part(PartName.HANDLE, MUG)),
        ("the left side of the box", Part(PartName.SIDE, BOX, (Side.LEFT,))),
        ("the top left corner of the box", Part(PartName.CORNER, BOX, (Side.TOP, Side.LEFT))),
        ("the rim of the bowl", Part(PartName.RIM, BOWL)),
    ],
)
def test_part(text, part):
    assert parse(text)[0] == Request((part,))


def test_moved_thing_is_kept_beside_its_place():
    request = parse("Pick up the mug and put it to the left of the plate.")[0]

    assert request == Request((Space((rel(Relation.LEFT, PLATE),)),), MUG)


def test_two_targets_are_both_read():
    assert parse("the mug and the bowl")[0] == Request((MUG, BOWL))


def test_attachment_is_left_to_the_scene():
    near, far = rel(Relation.LEFT, PLATE), rel(Relation.BESIDE, Thing("bottle"))
    inner = Thing("plate", constraints=(far,))

    readings = parse("the mug to the left of the plate next to the bottle")

    assert {r.targets[0] for r in readings} == {
        Thing("mug", constraints=(near, far)),
        Thing("mug", constraints=(rel(Relation.LEFT, inner),)),
    }


def test_what_is_said_of_a_spot_is_not_said_of_the_table_first():
    space = parse("the spot on the table in front of the mug")[0].targets[0]

    assert space == Space((rel(Relation.FRONT, MUG),), surface=Thing("table"))


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("left of the chair from the camera's perspective", Frame.VIEWER),
        ("left of the chair from the chair's own view", Frame.OBJECT),
        ("left of the chair from its own perspective", Frame.OBJECT),
        ("to the chair's left", Frame.OBJECT),
        ("left of the chair from the world's perspective", Frame.WORLD),
    ],
)
def test_frame(text, frame):
    [constraint] = parse(f"the mug {text}")[0].targets[0].constraints

    assert constraint == rel(Relation.LEFT, Thing("chair"), frame=frame)


def test_containing_is_being_inside_seen_from_the_container():
    inverse = rel(Relation.INSIDE, Thing("egg"), inverse=True)

    for text in ("the bowl with the egg in it", "the bowl containing the egg"):
        assert parse(text)[0] == Request((thing("bowl", inverse),))


def test_camera_is_an_anchor_outside_the_picture():
    assert parse("the mug near the camera")[0] == Request(
        (thing("mug", rel(Relation.NEAR, Viewer())),)
    )


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (
            "Is the mug left of the box from the camera's perspective? Final answer should be yes"
            " or no.",
            Question(Ask.CONFIGURATION, (MUG,), rel(Relation.LEFT, BOX)),
        ),
        (
            "Can the mug fit in front of the box? answer yes or no",
            Question(Ask.COMPATIBILITY, (MUG,), rel(Relation.FRONT, BOX)),
        ),
        (
            "How many mugs are there in the image?",
            Question(Ask.COUNT, (Thing("mug", quantifier=ALL),)),
        ),
        ("How far is the mug from the box?", Question(Ask.DISTANCE, (MUG, BOX))),
    ],
)
def test_question(text, question):
    assert parse(text)[0] == question


def test_negated_relation():
    on = rel(Relation.ON, Thing("table", ("checkered",)), negated=True)

    assert parse("the mug that is not on the checkered table")[0] == Request((thing("mug", on),))


@pytest.mark.parametrize("text", ["please", "point to", "put it", "the", "is the mug?"])
def test_sentence_without_a_thing_is_refused(text):
    assert isinstance(parse(text), NotUnderstood)


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("the left one of the two cups", thing("cup", Order(OrderKey.LEFT))),
        (
            "the apple closer to the banana than to the pear",
            thing("apple", Order(OrderKey.NEAR, 1, Thing("banana"))),
        ),
        ("the mug at the top left", thing("mug", Order(OrderKey.FAR), Order(OrderKey.LEFT))),
        ("the object that is both red and round", Thing("object", ("red", "round"))),
        ("two cups", Thing("cup", quantifier=ALL, count=2)),
        ("which of the two mugs is closer to the camera?", thing("mug", Order(OrderKey.NEAR))),
    ],
)
def test_groups_and_comparisons(text, thing):
    assert parse(text)[0] == Request((thing,))


def test_part_of_a_table_is_where_the_spot_is():
    [space] = parse("the free area of the table behind the mug")[0].targets

    assert space == Space((rel(Relation.BEHIND, MUG),), surface=Thing("table"))
