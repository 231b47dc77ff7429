# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Metric depth becomes the picture that a depth network would give, whatever the sensor does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.model.depth import relative_depth, render_inverse_depth, to_metres
from roborefer_vlm.model.pictures import load_depth

GOLDEN = Path(__file__).parents[1] / "golden" / "roborefer_tiny"
SCENES = Path(__file__).parents[3].parent / "shared" / "data" / "real_rgbd" / "scenes"

any_depth = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
    elements=st.floats(0, 1e6, width=32) | st.sampled_from([0.0, np.nan, np.inf, -1.0]),
)


def room(height: int = 96, width: int = 128) -> np.ndarray:
    """A floor that comes nearer to the bottom, with a box on it.

    The inverse depth of a plane is linear in the picture.
    """
    inverse = np.linspace(1 / 3.0, 1 / 0.8, height, dtype=np.float32)
    depth = np.repeat(1 / inverse[:, None], width, axis=1)
    depth[50:70, 30:60] = 1.0
    return depth


def measured(depth: np.ndarray) -> np.ndarray:
    return np.isfinite(depth) & (depth > 0)


@given(any_depth)
@settings(max_examples=150, deadline=None)
def test_nearer_is_never_darker_among_measured_pixels(depth):
    valid = measured(depth)
    if not valid.any():
        with pytest.raises(PictureError, match="no measured pixel"):
            relative_depth(depth)
        return

    picture = relative_depth(depth)

    assert picture.shape == depth.shape
    assert picture.dtype == np.uint8
    by_depth = picture[valid][np.argsort(depth[valid], kind="stable")]
    assert (np.diff(by_depth.astype(int)) <= 0).all()


@given(any_depth.filter(lambda depth: measured(depth).any()))
@settings(max_examples=50, deadline=None)
def test_the_result_is_the_same_every_time(depth):
    assert (relative_depth(depth) == relative_depth(depth.copy())).all()


@pytest.mark.parametrize("unit", [0.001, 0.0001, 1000.0])
def test_the_unit_does_not_matter(unit):
    depth = room()

    other = relative_depth((depth / np.float32(unit)).astype(np.float32))

    # Division rounds, and truncation to 8 bits may fall on the other side.
    assert np.abs(other.astype(int) - relative_depth(depth)).max() <= 1


def test_millimetres_of_a_sensor_look_like_metres():
    millimetres = np.round(room() * 1000).astype(np.uint16)

    picture = relative_depth(to_metres(millimetres, 0.001))

    # A millimetre at 0.8 m is a third of a grey level.
    assert np.abs(picture.astype(int) - relative_depth(room())).max() <= 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("low", "high"), [(0.02, 0.05), (20.0, 65.0), (0.02, 65.0)], ids=["near", "far", "both"]
)
def test_five_percent_of_flying_pixels_change_the_others_little(seed, low, high):
    rng = np.random.default_rng(seed)
    depth = room()
    flying = rng.random(depth.shape) < 0.05
    disturbed = depth.copy()
    disturbed[flying] = rng.uniform(low, high, flying.sum())

    change = np.abs(relative_depth(disturbed).astype(int) - relative_depth(depth))[~flying]

    assert change.max() <= 4


def test_all_greys_are_used():
    picture = relative_depth(room())

    assert picture.min() <= 2
    assert picture.max() >= 253
    assert picture[-1, 0] > picture[0, 0]


def test_a_hole_takes_the_grey_around_it_and_not_black():
    depth = room()
    whole = relative_depth(depth)
    depth[52:66, 34:52] = 0
    depth[80:86, 5:25] = np.nan
    depth[:, -6:] = np.inf

    picture = relative_depth(depth)

    holes = ~measured(depth)
    assert np.abs(picture.astype(int) - whole)[holes].max() <= 40
    assert np.abs(picture[52:66, 34:52].astype(int) - whole[52:66, 34:52]).max() <= 30


def test_a_speck_amid_a_hole_does_not_colour_the_hole():
    depth = room()
    whole = relative_depth(depth)
    depth[20:76, 70:126] = 0
    depth[48:50, 98:101] = 40.0

    picture = relative_depth(depth).astype(int)

    near_speck = picture[44:54, 94:104]
    assert np.median(np.abs(near_speck - whole[44:54, 94:104])) <= 40
    assert picture[48, 98] == 0


@pytest.mark.parametrize("depth_m", [1e-6, 0.5, 1.0, 1e4])
def test_all_of_one_depth_is_middle_grey(depth_m):
    assert (relative_depth(np.full((20, 30), depth_m, np.float32)) == 127).all()


def test_sensor_noise_on_a_flat_wall_is_not_stretched_to_a_landscape():
    rng = np.random.default_rng(0)
    wall = (1.0 + rng.normal(0, 0.003, (60, 80))).astype(np.float32)

    assert relative_depth(wall).std() < 20


def test_one_measured_pixel_is_enough():
    depth = np.zeros((40, 50), np.float32)
    depth[3, 4] = 2.0

    assert (relative_depth(depth) == 127).all()


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_depth_without_any_measurement_is_refused(value):
    with pytest.raises(PictureError, match="no measured pixel"):
        relative_depth(np.full((4, 4), value, np.float32))


def test_depth_in_units_is_not_taken_for_metres():
    with pytest.raises(PictureError, match="uint16"):
        relative_depth(np.ones((4, 4), np.uint16))
    with pytest.raises(PictureError, match="uint8"):
        to_metres(np.ones((4, 4), np.uint8))
    with pytest.raises(PictureError, match="unit"):
        to_metres(np.ones((4, 4), np.uint16), 0.0)


def test_units_become_metres_and_zero_no_measurement():
    metres = to_metres(np.array([[0, 1500]], np.uint16), 0.001)

    assert metres.dtype == np.float32
    assert np.isnan(metres[0, 0])
    assert metres[0, 1] == pytest.approx(1.5)


def test_the_network_s_own_depth_is_rendered_as_by_the_original():
    reference = np.load(GOLDEN / "api" / "depth_to_u8.npz")

    assert (render_inverse_depth(reference["raw_depth"]) == reference["u8"]).all()


def test_constant_and_broken_inverse_depth_are_guarded():
    assert (render_inverse_depth(np.full((3, 4), 2.5, np.float32)) == 0).all()
    with pytest.raises(PictureError):
        render_inverse_depth(np.array([[1.0, np.nan]], np.float32))


@pytest.mark.skipif(not SCENES.is_dir(), reason="the real scenes are not beside the repository")
def test_real_scenes_use_the_greys_and_keep_the_order_of_their_objects():
    scenes = sorted(SCENES.iterdir())
    assert scenes
    for scene in scenes:
        unit = json.loads((scene / "camera.json").read_text())["depth_scale_m"]
        metres = to_metres(load_depth(scene / "depth.png"), unit)

        picture = relative_depth(metres)

        low, high = np.percentile(picture, (5, 95))
        assert high - low > 150, scene.name
        objects = load_depth(scene / "instances.png")
        seen = []
        for number in np.unique(objects[objects > 0]):
            mask = (objects == number) & np.isfinite(metres)
            if mask.sum() > 200:
                seen.append((np.median(metres[mask]), np.median(picture[mask])))
        greys = [grey for _, grey in sorted(seen)]
        assert len(greys) > 2
        assert (np.diff(greys) <= 0).all(), scene.name
