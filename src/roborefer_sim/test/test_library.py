# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_sim.core.library import read_library, rotation_from_degrees, standard_library
from roborefer_sim.exceptions import LibraryError

SMALL = """
[palette]
red = [1, 0, 0]
[things.cube]
noun = "cube"
mass = 0.1
colors = ["red"]
scales = [1]
parts = [{ shape = "box", size = [0.04, 0.04, 0.04], at = [0, 0, 0.02] }]
"""


def test_library_has_fourteen_kinds_in_several_makes():
    library = standard_library()

    assert len(library.things) >= 14
    assert len(library.makes()) >= 100


@pytest.mark.parametrize(("key", "color", "scale"), standard_library().makes())
def test_every_make_stands_on_zero_around_its_origin(key, color, scale):
    make = standard_library().make(key, color, scale)

    low, high = make.bounds
    assert abs(low[2]) < 0.002
    assert (low[:2] < 0).all()
    assert (high > 0).all()
    assert high[2] < 0.25
    assert make.footprint_radius < 0.15


def test_mass_grows_with_the_cube_of_the_scale():
    library = standard_library()

    ratio = library.make("ball", scale=2.0).mass / library.make("ball", scale=1.0).mass

    assert ratio == pytest.approx(8)


def test_bounds_of_a_turned_cylinder():
    text = SMALL.replace(
        'shape = "box", size = [0.04, 0.04, 0.04], at = [0, 0, 0.02]',
        'shape = "cylinder", radius = 0.01, height = 0.08, at = [0, 0, 0.01], turn = [0, 90, 0]',
    )

    low, high = read_library(text).make("cube").bounds

    np.testing.assert_allclose(low, [-0.04, -0.01, 0], atol=1e-12)
    np.testing.assert_allclose(high, [0.04, 0.01, 0.02], atol=1e-12)


def test_turns_are_about_fixed_axes():
    turned = rotation_from_degrees((90, 0, 90)) @ [0, 1, 0]

    np.testing.assert_allclose(turned, [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("mass = 0.1", "mass = -1", "positive mass"),
        ("mass = 0.1", "mass = nan", "mass is nan"),
        ("mass = 0.1", "", "lacks mass"),
        ("mass = 0.1", "mass = 0.1\nweight = 2", "unknown fields weight"),
        ('["red"]', '["mauve"]', "mauve"),
        ('["red"]', "[]", "or none"),
        ('"box"', '"cone"', "shape 'cone'"),
        ("[0.04, 0.04, 0.04]", "[0.04, 0.04]", "3 finite numbers"),
        ("[0.04, 0.04, 0.04]", "[0.04, 0.04, 0]", "not positive"),
        ("at = [0, 0, 0.02]", "at = [0, 0, 0.02], glow = true", "glow"),
        ("[palette]", "[palette", "no TOML"),
        ("[things.cube]", "[other.cube]", "no [things.NAME]"),
    ],
)
def test_a_wrong_file_is_refused_by_name(old, new, named):
    with pytest.raises(LibraryError, match=named.replace("[", r"\[")):
        read_library(SMALL.replace(old, new))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("anvil",), "no thing 'anvil'; known are .*mug"),
        (("mug", "mauve"), "no colour 'mauve'"),
        (("mug", "red", 40.0), "scale 40"),
        (("mug", "red", float("nan")), "scale nan"),
    ],
)
def test_an_unknown_make_is_refused_with_what_is_known(arguments, named):
    with pytest.raises(LibraryError, match=named):
        standard_library().make(*arguments)
