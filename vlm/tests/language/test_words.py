# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tokens, forms of words, and the tables of the lexicon."""

from __future__ import annotations

import pytest
from roborefer_vlm.backends.scene_graph.lexicon import lexicon
from roborefer_vlm.backends.scene_graph.words import bare, plural, singular, tokenise
from roborefer_vlm.scenes.program import OrderKey, PartName, Side
from roborefer_vlm.scenes.relations import Relation


def test_possessive_is_a_token_of_its_own():
    assert tokenise("the mug's handle") == ("the", "mug", "'s", "handle")


def test_number_leaves_its_unit():
    assert tokenise("20cm, 0.2 m") == ("20", "cm", ",", "0.2", "m")


def test_hyphens_stay_inside_words():
    assert tokenise("R2-D2 red-lidded") == ("r2-d2", "red-lidded")


@pytest.mark.parametrize("noun", ["mug", "box", "knife", "berry", "dish", "glass", "shelf", "toy"])
def test_plural_and_back(noun):
    assert singular(plural(noun)) == noun


def test_spellings_of_one_name_agree():
    assert bare("R2-D2") == bare("r2d2")
    assert bare("Jell-O") == bare("jello")


def test_kinds_reach_the_most_general():
    [pear] = lexicon().noun("pears")

    assert {"pear", "fruit", "food"} <= pear.kinds


@pytest.mark.parametrize("noun", sorted(lexicon().nouns))
def test_every_noun_is_found_by_its_name_and_its_kinds_are_known_words(noun):
    words = lexicon()

    assert noun in {found.name for found in words.noun(noun)}


def test_meanings_of_phrases_are_relations_orders_and_parts():
    words = lexicon()
    own = {"in_facing_direction", "higher_in_image", "lower_in_image", "closer", "farther"}
    meanings = {
        "relations": {*Relation, *own},
        "inverse": set(Relation),
        "in_it": set(Relation),
        "orders": set(OrderKey),
        "counted": set(OrderKey),
        "placed": set(OrderKey),
        "compared": set(OrderKey),
        "parts": set(PartName),
        "sides": set(Side),
    }
    for table, known in meanings.items():
        assert getattr(words, table).meanings <= known, table


def test_colours_of_things_are_basic_ones():
    words = lexicon()
    basic = set(words.color_neighbours)

    assert {c for noun in words.nouns.values() for c in noun.colors} <= basic
    assert {n for near in words.color_neighbours.values() for n in near} <= basic
