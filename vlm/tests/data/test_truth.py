# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from built_views import ALL_FACTS, random_view, thing, view
from roborefer_vlm.data.truth import Truth, truth_of
from roborefer_vlm.data.views import Fact
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import OrderKey, Thing
from roborefer_vlm.scenes.relations import Relation


def test_clear_relations_are_true_or_false_and_borderline_ones_are_unclear():
    truth = Truth(
        view(
            thing(1, "mug", 0.9, 0.0),
            thing(2, "bowl", 0.9, 0.25),
            thing(3, "block", 0.9, -0.2),
            thing(4, "apple", 1.12, 0.14),
        )
    )

    assert truth.holds(Relation.LEFT, 2, (1,)) is True
    assert truth.holds(Relation.LEFT, 3, (1,)) is False
    assert truth.holds(Relation.LEFT, 4, (1,)) is None
    assert truth.holds(Relation.RIGHT, 3, (1,)) is True
    # The mug looks away from the viewer, so its left is the viewer's.
    assert truth.holds(Relation.LEFT, 2, (1,), Frame.OBJECT) is True


def test_not_right_of_is_unclear_when_the_picture_shows_it_right_of():
    # The far block stands straight behind the near one, and perspective draws it to the right.
    truth = Truth(view(thing(1, "block", 0.6, 0.3), thing(2, "block", 1.3, 0.3)))
    columns = truth.scene.camera.project(truth.places.centers)[0][:, 0]

    assert columns[1] - columns[0] > 64
    assert truth.grades(Relation.RIGHT, (1,))[1] < 0.1
    assert truth.holds(Relation.RIGHT, 2, (1,)) is None
    assert truth.holds(Relation.LEFT, 2, (1,)) is False


def test_what_is_mostly_hidden_is_not_visible_but_still_there():
    truth = Truth(view(thing(1, "box", 0.8, 0.0), thing(2, "block", 0.88, 0.0)))

    assert truth.visible(1)
    assert not truth.visible(2)
    assert truth.ids == (1, 2)


def test_points_have_three_decimals_and_lie_well_inside_the_visible_mask():
    truth = Truth(random_view(3))

    for number in truth.ids:
        if truth.visible(number):
            x, y = truth.point(number)
            mask = truth.thing(number).mask
            row, column = int(y * mask.shape[0]), int(x * mask.shape[1])
            assert (round(x, 3), round(y, 3)) == (x, y)
            assert mask[row - 1 : row + 2, column - 1 : column + 2].all()


def test_a_row_is_clear_only_if_its_neighbours_are_apart():
    things = [thing(i, "block", 0.9, y) for i, y in ((1, 0.2), (2, 0.0), (3, -0.02), (4, -0.2))]
    truth = Truth(view(*things[:3], thing(4, "block", 0.9, -0.2)))
    everything = np.ones(4)

    assert list(truth.ranked(OrderKey.LEFT, 1, everything)) == [1, 0, 0, 0]
    assert truth.ranked(OrderKey.LEFT, 2, everything)[1] == 0.5
    assert list(truth.ranked(OrderKey.RIGHT, 1, everything)) == [0, 0, 0, 1]


def test_a_hidden_member_makes_a_row_unclear():
    truth = Truth(
        view(thing(1, "box", 0.8, 0.0), thing(2, "block", 0.88, 0.0), thing(3, "block", 0.9, 0.2))
    )
    blocks = np.array([0.0, 1.0, 1.0])

    assert (truth.ranked(OrderKey.LEFT, 1, blocks) == [0, 0.5, 0.5]).all()


def test_nouns_kinds_and_colours_fit_exactly():
    made = view(thing(1, "mug", 0.9, 0.0, color="red"), thing(2, "apple", 0.9, 0.2, color="green"))
    truth = Truth(made)
    mug, apple = made.scene.objects

    def state(noun, *attributes, thing=mug):
        return truth.matcher.state(Thing(noun, attributes), thing)

    assert state("mug") == state("cup") == state("container") == state("object") == 1
    assert state("apple") == state("fruit") == 0
    assert state("mug", "red") == 1
    assert state("mug", "green") == 0
    assert state("fruit", "green", thing=apple) == 1


def test_a_longer_name_leaves_its_head_word_unclear():
    made = view(thing(1, "brick", 0.9, 0.0), thing(2, "block", 0.9, 0.2))
    named = type(made)(
        **{
            **{name: getattr(made, name) for name in made.__dataclass_fields__},
            "nouns": {1: ("brick", "long block"), 2: ("block",)},
        }
    )

    assert Truth(named).matcher.state(Thing("block"), named.scene.objects[0]) == 0.5


def test_colours_that_nobody_vouches_for_are_unclear():
    made = view(thing(1, "mug", 0.9, 0.0), trusts=ALL_FACTS - {Fact.COLORS})

    assert Truth(made).matcher.state(Thing("mug", ("red",)), made.scene.objects[0]) == 0.5


def test_an_unknown_thing_is_named_in_the_error():
    truth = Truth(view(thing(1, "mug", 0.9, 0.0)))

    with pytest.raises(QueryError, match="no thing 9"):
        truth.holds(Relation.LEFT, 9, (1,))


def test_the_truth_of_a_view_is_shared():
    made = random_view(1)

    assert truth_of(made) is truth_of(made)
