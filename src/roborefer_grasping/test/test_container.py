# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of the inside of a container, by drawn depth images."""

import numpy as np
import pytest
from drawn import box, noisy, vessel, view_of
from roborefer_grasping.core.container import FLOOR, WALL, container_at
from roborefer_grasping.core.landing import DROP_M, FAR_DROP_M, find_landing, inside_placements
from roborefer_grasping.core.motion import Look
from roborefer_grasping.core.motion_reference import Kind, Reference, Spot
from roborefer_grasping.core.motion_scene import Scene
from roborefer_grasping.core.occupancy import OccupancySettings, obstacles_from_depth
from roborefer_grasping.core.placing import RELEASE_M, Footprint, propose_placements

MIDDLE = np.array([0.5, 0.0, 0.006])


def basket(x=0.5, y=0.0, height=0.08):
    """Inside 18 cm along y, 12 cm along x; from the camera, 7 cm of its floor are hidden."""
    walls = [((0.006, 0.192, height), dx, 0.0) for dx in (-0.063, 0.063)]
    walls += [((0.132, 0.006, height), 0.0, dy) for dy in (-0.093, 0.093)]
    return [box((0.132, 0.192, 0.006), x, y), *(box(s, x + a, y + b) for s, a, b in walls)]


def can(radius=0.033, height=0.12):
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Footprint(outline, np.array([0.5, 0.3]), 0.0, height)


def far_floor(view):
    """A point of the floor that the camera sees."""
    points = view.points[view.measured]
    inside = np.abs(points - [0.46, 0.0, 0.006]) < [0.015, 0.05, 0.004]
    return points[inside.all(axis=1)][0]


@pytest.mark.parametrize("spoil", [None, noisy])
def test_hidden_floor_and_wall_are_inferred_from_what_is_seen(spoil):
    view = view_of(basket(), spoil=spoil)
    container = container_at(view, far_floor(view), 0.0)
    assert container is not None
    assert container.floor == pytest.approx(0.006, abs=0.004)
    assert container.rim == pytest.approx(0.08, abs=0.006)
    hidden = container.cell_of(np.array([0.53, 0.0]))
    assert not container.seen[hidden]
    assert container.height[hidden] == pytest.approx(0.006, abs=0.006)
    wall = container.cell_of(np.array([0.563, 0.0]))
    assert container.height[wall] > 0.06
    assert container.holds(MIDDLE[:2])
    assert not container.holds(np.array([0.5, 0.12]))
    assert container.beyond(np.array([0.5, 0.15])) == pytest.approx(0.054, abs=0.012)


@pytest.mark.parametrize("spoil", [None, noisy])
def test_a_can_finds_its_place_though_the_wall_hides_half_of_it(spoil):
    view = view_of(basket(), spoil=spoil)
    point = far_floor(view)
    assert propose_placements(view, point, can()) == []
    found = inside_placements(container_at(view, point, 0.0), point, can())
    assert found
    for placement in found:
        assert abs(placement.position[0] - 0.5) < 0.06 - 0.033
        assert abs(placement.position[1]) < 0.09 - 0.033
        above = (placement.motion @ [0.0, 0.0, 0.0, 1.0])[2] - 0.006
        assert RELEASE_M - 0.004 < above < FAR_DROP_M + 0.006
    first = (found[0].motion @ [0.0, 0.0, 0.0, 1.0])[2] - 0.006
    assert first < DROP_M + 0.006


def test_what_is_too_large_finds_no_place():
    view = view_of(basket())
    point = far_floor(view)
    assert inside_placements(container_at(view, point, 0.0), point, can(0.062)) == []


def test_what_stands_in_it_is_avoided():
    view = view_of([*basket(), box((0.05, 0.05, 0.05), 0.465, 0.05, 0.006)])
    point = far_floor(view)
    found = inside_placements(container_at(view, point, 0.0), point, can(0.025))
    assert found
    for placement in found:
        apart = np.abs(placement.position[:2] - [0.465, 0.05])
        assert apart.max() > 0.025 + 0.020


@pytest.mark.parametrize(
    ("things", "point"),
    [
        ([], (0.5, 0.0, 0.0)),
        ([box((0.12, 0.12, 0.08), 0.5, 0.0)], (0.5, 0.0, 0.08)),
        (vessel(0.09, 0.016, 0.5, 0.0), (0.5, 0.0, 0.006)),
        # Two bricks with a gap, and three walls of a basket without the fourth.
        ([box((0.06, 0.2, 0.08), x, 0.0) for x in (0.44, 0.56)], (0.47, 0.0, 0.08)),
        ([part for n, part in enumerate(basket()) if n not in (0, 3)], (0.47, 0.0, 0.0)),
    ],
)
def test_what_is_open_or_flat_or_closed_is_no_container(things, point):
    assert container_at(view_of(things), np.array(point), 0.0) is None


def test_a_floor_without_depth_lies_where_the_far_wall_ends():
    view = view_of(basket())
    blind = np.abs(view.points - [0.46, 0.0, 0.006]) < [0.07, 0.09, 0.003]
    view.depth_m[blind.all(axis=-1)] = 0.0
    view = type(view)(view.depth_m, view.fx, view.fy, view.cx, view.cy, view.t_base_optical)
    container = container_at(view, np.array([0.44, 0.0, 0.05]), 0.0)
    assert container is not None
    assert container.holes.any()
    assert container.floor == pytest.approx(0.008, abs=0.008)
    assert inside_placements(container, MIDDLE, can())


def test_the_world_keeps_walls_and_floor_and_frees_the_inside():
    view = view_of(basket())
    container = container_at(view, far_floor(view), 0.0)
    settings = OccupancySettings()
    plain = obstacles_from_depth(view, 0.0, settings)
    boxes = obstacles_from_depth(view, 0.0, settings, left_out=container.region())
    boxes += container.obstacles()

    def at(obstacles, *point):
        return {
            o.name
            for o in obstacles
            if (np.abs(np.array(point) - o.pose[:3, 3]) < o.size / 2).all()
        }

    behind_the_wall = (0.545, 0.0, 0.03)
    assert at(plain, *behind_the_wall)
    assert not at(boxes, *behind_the_wall)
    assert at(boxes, 0.563, 0.0, 0.04) == {WALL}
    assert WALL in at(boxes, 0.437, 0.05, 0.06)
    assert at(boxes, 0.53, 0.0, 0.004) == {FLOOR}
    # Outside, everything is as it was.
    for point in ((0.38, 0.0, 0.02), (0.60, 0.12, 0.02), (0.5, 0.0, 0.2)):
        assert at(boxes, *point) == at(plain, *point)


@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.INSIDE, Kind.FREE_SPACE])
def test_a_container_means_anywhere_inside_unless_a_spot_in_it_is_meant(kind):
    view = view_of(basket())
    point = far_floor(view)
    nobody = np.zeros(view.depth_m.shape, bool)
    scene = Scene(Look(view, np.zeros(6), 0.08, 1), nobody, 0.0)
    reference = Reference(point, (0.0, 0.0), (320, 240), 1, kind=kind)
    landing = find_landing(scene, reference, Spot(0, 0, point), can(0.025), nobody, 0.01)
    assert landing.container is not None
    assert landing.anywhere is (kind is not Kind.FREE_SPACE)
    away = [np.hypot(*(p.position - point)[:2]) for p in landing.placements]
    assert landing.anywhere == (max(away, default=0.0) > 0.012)
