# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_sim.core.cell import CameraPlace, Cell, Layout, Placed
from roborefer_sim.core.lens import Lens
from roborefer_sim.core.sensor import SensorModel, scaled
from roborefer_sim.core.studio import Studio
from roborefer_sim.exceptions import SceneError

LAYOUT = Layout(camera=CameraPlace(width=160, height=120, focal=154.0))


def shoot(cell, numbers=(1, 2), sensor=None, between=lambda cell: None):
    frames = []
    studio = Studio(cell.layout, Lens(cell.layout.camera), sensor, 7, frames.append)
    studio.start()
    for number in numbers:
        studio.expose(cell.model, cell.data, 50 * number, number)
        between(cell)
    studio.stop()
    studio.stop()
    assert studio.failure is None
    return frames


@pytest.fixture
def cell(library):
    return Cell([Placed("mug", library.make("mug", "red"), (0.5, 0.1, 0.0))], LAYOUT)


def test_every_exposure_becomes_a_frame_in_order(cell):
    frames = shoot(cell, range(1, 6))

    assert [frame.step for frame in frames] == [50, 100, 150, 200, 250]
    assert frames[0].rgb.shape == (120, 160, 3)
    assert frames[0].depth_m.shape == (120, 160)


def test_flaws_depend_on_seed_and_number_alone(cell):
    once, again = (shoot(cell, (1, 2), SensorModel()) for _ in range(2))

    for first, second in zip(once, again, strict=True):
        np.testing.assert_array_equal(first.depth_m, second.depth_m)
        np.testing.assert_array_equal(first.rgb, second.rgb)
    assert (once[0].depth_m != once[1].depth_m).any()


def test_picture_shows_the_state_of_its_exposure(cell):
    def fling(cell):
        cell.data.joint("mug_free").qpos[2] = 5.0

    first, second = shoot(cell, between=fling)

    assert (np.abs(first.depth_m - second.depth_m) > 0.01).sum() > 20


def test_things_that_come_are_seen(cell, library):
    def add(cell):
        if len(cell.placed) == 1:
            cell.add(Placed("box", library.make("cereal_box"), (0.5, -0.2, 0.0)))

    first, second = shoot(cell, between=add)

    assert (np.abs(first.depth_m - second.depth_m) > 0.01).sum() > 100


def test_strength_scales_the_flaws_and_nothing_else():
    model = SensorModel()

    none, double, beyond = (scaled(model, strength) for strength in (0.0, 2.0, 100.0))

    assert none.disparity_noise_px == none.edge_dropout == none.speckle == none.color_noise == 0
    assert double.disparity_noise_px == 2 * model.disparity_noise_px
    assert (double.near_m, double.unit_m) == (model.near_m, model.unit_m)
    assert beyond.edge_dropout + beyond.flying == pytest.approx(1.0)
    with pytest.raises(SceneError, match="strength"):
        scaled(model, -1.0)
