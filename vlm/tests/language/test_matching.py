# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Words against names and looks of things."""

from __future__ import annotations

from dataclasses import replace

import pytest
from roborefer_vlm.backends.scene_graph.grammar import parse
from roborefer_vlm.backends.scene_graph.matching import Matcher
from roborefer_vlm.scenes.grounding import IN_GROUP, LEAST_MATCH
from roborefer_vlm.scenes.program import OrderKey

FITS, FAILS = 0.5, 0.2
MATCHER = Matcher()


def score(text, thing):
    return MATCHER.score(parse(text)[0].targets[0], thing)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("the mug", "bg_mug"),
        ("the coffee mug", "mug"),
        ("the cup", "near_cup"),
        ("the mugs", "mug"),
        ("the tomato soup", "soup_can"),
        ("the soup can", "soup_can"),
        ("the can", "meat_can"),
        ("the cracker box", "crackers"),
        ("the Cheez-It box", "crackers"),
        ("the mustard bottle", "mustard"),
        ("the bottle", "mustard"),
        ("the fruit", "pear"),
        ("the toy animal", "polar_bear"),
        ("the bear", "polar_bear"),
        ("the tool", "scissors"),
        ("the device", "phone"),
        ("the container", "bowl"),
        ("the R2-D2 tin", "r2d2"),
        ("the orange juice carton", "juice"),
        ("the roll of tape", "tape"),
        ("the cleaning wipes canister", "wipes"),
        ("the yellow block", "yellow_lego"),
        ("the object", "anything at all"),
        ("the box of crackers", "crackers"),
        ("the musturd", "mustard"),
        ("the flumox", "flumox"),
        ("the Mug", "Red Mug #2"),
    ],
)
def test_name_fits(text, name, thing):
    assert score(text, thing(1, name, 0, 0)) >= FITS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("the elephant", "gorilla"),
        ("the banana", "pear"),
        ("the mug", "keyboard"),
        ("the soup can", "meat_can"),
        ("the flumox", "mug"),
        ("the drill", "scissors"),
        ("the Jell-O box", "crackers"),
        ("the mustard bottle", "bleach"),
    ],
)
def test_name_does_not_fit(text, name, thing):
    assert score(text, thing(1, name, 0, 0)) <= FAILS


def test_better_name_wins(thing):
    carton, box = thing(1, "juice", 0, 0), thing(2, "brown_box", 0, 0)

    assert score("the orange juice carton", carton) > score("the orange juice carton", box)
    assert score("the Jell-O box", box) > score("the Jell-O box", carton)


def test_usual_colour_speaks_for_a_brand(thing):
    red = thing(1, "left_can", 0, 0, colors={"red": 0.8})
    blue = thing(2, "right_can", 0, 0, colors={"blue": 0.8})

    assert score("the Coca-Cola can", red) > 1.5 * score("the Coca-Cola can", blue)


@pytest.mark.parametrize(
    ("text", "colors", "fits"),
    [
        ("the red box", {"red": 0.6}, True),
        ("the red box", {"blue": 0.9}, False),
        ("the crimson box", {"red": 0.6}, True),
        ("the teal box", {"green": 0.5, "teal": 0.3}, True),
        ("the black and green box", {"black": 0.3, "green": 0.25}, True),
        ("the black and green box", {"red": 0.9}, False),
        ("the dark blue box", {"black": 0.6, "blue": 0.2}, True),
        ("the box that is not red", {"red": 0.9}, False),
        ("the box that is not red", {"blue": 0.9}, True),
        ("the box", {}, True),
    ],
)
def test_colour(text, colors, fits, thing):
    found = score(text, thing(1, "box", 0, 0, colors=colors))

    assert found >= FITS if fits else found <= FAILS


def test_colour_in_the_name_counts_more_than_the_measured_one(thing):
    named = thing(1, "red_box", 0, 0, colors={"brown": 0.9})

    assert score("the red box", named) == 1.0
    assert score("the brown box", named) <= FITS


def test_colour_given_with_a_thing_counts_more_than_the_measured_one(thing):
    given = thing(1, "box", 0, 0, colors={"brown": 0.9}, attributes=frozenset({"crimson"}))

    assert score("the red box", given) == 1.0


@pytest.mark.parametrize(
    ("text", "attributes", "fits"),
    [
        ("the lying bottle", {"lying"}, True),
        ("the lying bottle", {"upright"}, False),
        ("the bottle that is upright", {"upright"}, True),
        ("the cylindrical bottle", {"cylinder"}, True),
        ("the shiny bottle", {"shiny"}, True),
    ],
)
def test_measured_words(text, attributes, fits, thing):
    found = score(text, thing(1, "bottle", 0, 0, attributes=frozenset(attributes)))

    assert found >= FITS if fits else found <= FAILS


def test_what_a_thing_usually_looks_like_counts_beside_its_measured_shape(thing):
    measured = frozenset({"round", "cylinder"})
    banana = thing(1, "banana", 0, 0, attributes=measured)
    pear = thing(2, "pear", 0, 0, attributes=measured)

    assert score("the round fruit", pear) > 1.5 * score("the round fruit", banana)


def test_nobody_measures_an_unknown_adjective(thing):
    plain = thing(1, "mug", 0, 0)

    assert FAILS < score("the fancy mug", plain) < 1.0


def test_thing_without_a_name_is_known_by_size_shape_and_colour(thing):
    banana = thing(1, "", 0, 0, (0.17, 0.04, 0.04), colors={"yellow": 0.9})
    banana = replace(banana, attributes=frozenset({"long", "elongated"}))
    monitor = thing(2, "", 0, 0, (0.1, 0.4, 0.4), colors={"black": 0.9})

    assert score("the banana", banana) > 2 * score("the banana", monitor)
    assert score("the monitor", monitor) > 2 * score("the monitor", banana)


def test_relative_words_are_left_to_the_comparison(thing):
    assert score("the small mug", thing(1, "mug", 0, 0)) == 1.0
    assert MATCHER.relative_key("little") is OrderKey.SMALL
    assert MATCHER.relative_key("red") is None


def test_desk_is_a_table_and_a_mug_is_not(kitchen):
    [table] = kitchen.surfaces

    assert MATCHER.surface("desk", table) == 1.0
    assert MATCHER.surface("mug", table) == 0.0


def test_open_thing_has_no_lid_more_likely_than_a_closed_one(thing):
    cup = thing(1, "container", 0, 0, hollow=True)
    tub = thing(2, "container", 0, 0)

    assert score("the container with a lid", tub) > score("the container with a lid", cup)
    assert score("the container without a lid", tub) < score("the container without a lid", cup)


def test_colour_that_is_mixed_up_stands_in_no_row_with_the_real_one(thing):
    yellow = thing(1, "banana", 0, 0, colors={"yellow": 0.98})
    green = thing(2, "banana", 0, 0, colors={"green": 0.97})

    assert score("the green banana", yellow) < IN_GROUP * score("the green banana", green)
    assert score("the green banana", yellow) > LEAST_MATCH


def test_cup_is_a_dish_only_where_no_dish_is(thing):
    cup, bowl, ball = thing(1, "cup", 0, 0), thing(2, "bowl", 0, 0), thing(3, "ball", 0, 0)

    assert LEAST_MATCH < score("the dish", cup) < IN_GROUP * score("the dish", bowl)
    assert score("the dish", ball) < LEAST_MATCH


def test_bottle_and_can_may_be_what_is_called_a_drink(thing):
    for name in ("bottle", "can", "soda can"):
        assert score("the drink", thing(1, name, 0, 0)) >= FITS, name
    assert score("the drink", thing(1, "mug", 0, 0)) < FAILS


def test_dish_sponge_is_a_sponge(thing):
    assert score("the dish sponge", thing(1, "sponge", 0, 0)) >= FITS
    assert score("the dish sponge", thing(1, "bowl", 0, 0)) < FAILS
