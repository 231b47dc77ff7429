# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from roborefer_sim.core.camera import GlPhotographer, RayCaster, optical_rays, pinhole_of
from roborefer_sim.core.cell import CameraPlace, Cell, Layout, Paint, Pattern, Placed
from roborefer_sim.core.gl import RAY_CASTER, choose_gl

needs_gl = pytest.mark.skipif(choose_gl() == RAY_CASTER, reason="no OpenGL on this machine")


@pytest.fixture(scope="module")
def cell(library):
    things = [
        Placed("box", library.make("cereal_box", "red"), (0.55, -0.15, 0.0), 0.3),
        Placed("bowl", library.make("bowl", "blue"), (0.50, 0.15, 0.0)),
    ]
    return Cell(things, Layout(camera=CameraPlace(width=160, height=120, focal=154.0)))


@pytest.fixture(params=["rays", pytest.param("gl", marks=needs_gl)])
def view(request, cell):
    camera = RayCaster(cell) if request.param == "rays" else GlPhotographer(cell)
    yield camera.take()
    camera.close()
    camera.close()


def test_depth_lies_on_the_table_where_nothing_stands(cell, view):
    place = cell.layout.camera
    table = view.bodies == 0
    points = (optical_rays(place) * view.depth_m[..., None])[table]
    pose = place.t_world_optical

    heights = (points @ pose[:3, :3].T + pose[:3, 3])[:, 2]

    on_table = np.abs(heights) < 0.1
    assert on_table.sum() > 5000
    assert np.abs(heights[on_table]).max() < 0.001


def test_things_are_seen_where_they_project(cell, view):
    place, k = cell.layout.camera, pinhole_of(cell.layout.camera)
    pose = place.t_world_optical
    for number, name in cell.body_ids().items():
        center = cell.pose_of(name)[:3, 3] + [0, 0, 0.02]
        x, y, z = pose[:3, :3].T @ (center - pose[:3, 3])
        v, u = np.argwhere(view.bodies == number).mean(axis=0)
        assert u == pytest.approx(k.fx * x / z + k.cx, abs=8)
        assert v == pytest.approx(k.fy * y / z + k.cy, abs=25)


@pytest.mark.parametrize("kind", [RayCaster, pytest.param(GlPhotographer, marks=needs_gl)])
def test_a_camera_turned_to_another_cell_sees_what_a_new_one_does(kind, cell, library):
    place = CameraPlace((0.9, 0.2, 0.5), width=120, height=160, focal=130.0)
    thing = Placed("mug", library.make("mug", "green"), (0.5, 0.0, 0.0))
    paint = Paint(Pattern.CHECKER, (0.9, 0.1, 0.1))
    other = Cell([thing], Layout(camera=place, with_arm=False, table_paint=paint))
    turned, new = kind(cell), kind(other)

    turned.take()
    turned.turn_to(other)

    one, two = turned.take(), new.take()
    turned.close()
    new.close()
    assert one.rgb.shape == (160, 120, 3)
    assert np.array_equal(one.rgb, two.rgb)
    assert np.array_equal(one.depth_m, two.depth_m)
    assert np.array_equal(one.bodies, two.bodies)


@needs_gl
@pytest.mark.parametrize("pattern", [Pattern.CHECKER, Pattern.GRADIENT])
def test_paint_shows_both_colors_and_leaves_depth_as_it_is(pattern):
    place = CameraPlace(width=160, height=120, focal=154.0)
    plain = Layout(camera=place, with_arm=False, table_color=(0.8, 0.1, 0.1))
    paint = Paint(pattern, (0.1, 0.1, 0.8))
    views = []
    for layout in (plain, replace(plain, table_paint=paint)):
        camera = GlPhotographer(Cell([], layout))
        views.append(camera.take())
        camera.close()

    before, after = views
    table = np.abs(before.depth_m - 0.95) < 0.1
    red, blue = (after.rgb[table][:, channel].astype(int) for channel in (0, 2))
    assert (red > blue + 30).mean() > 0.1
    assert (blue > red + 30).mean() > 0.1
    assert not (before.rgb[table][:, 2] > before.rgb[table][:, 0]).any()
    assert np.array_equal(before.depth_m, after.depth_m)


def test_colors_are_those_of_the_things(cell, view):
    (red,) = (n for n, name in cell.body_ids().items() if name == "box")

    r, g, b = np.median(view.rgb[view.bodies == red], axis=0)

    assert r > 1.5 * max(g, b)


def test_normals_face_the_viewer(view):
    seen = view.depth_m > 0

    assert (view.normals[seen][:, 2] < 0.3).mean() > 0.98


@needs_gl
def test_both_ways_of_drawing_measure_the_same(cell):
    gl, rays = GlPhotographer(cell), RayCaster(cell)
    a, b = gl.take(), rays.take()
    gl.close()

    same = a.bodies == b.bodies
    assert same.mean() > 0.995
    assert np.median(np.abs(a.depth_m - b.depth_m)[same]) < 1e-4
