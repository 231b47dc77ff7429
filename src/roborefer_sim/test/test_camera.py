# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_sim.core.camera import GlPhotographer, RayCaster, optical_rays, pinhole_of
from roborefer_sim.core.cell import CameraPlace, Cell, Layout, Placed
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
