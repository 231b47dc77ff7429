# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's configuration, context and compatibility, and what is better in ours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Scene, Surface
from roborefer_vlm.scenes.relations import (
    Configuration,
    Definition,
    Relation,
    configuration_of,
    fit_beside,
    fit_on_top,
    spatial_context,
)
from roborefer_vlm.scenes.relations.configuration import silhouette
from scene_builders import TABLE, camera, moved, scene, thing

R = Relation
STRICT, LENIENT = Definition.STRICT, Definition.LENIENT


def pair(x, y, size=(0.06, 0.06, 0.1), z=None, **more):
    a, b = thing(1, 0.9 + x, y, size, z=z), thing(2, 0.9, 0.0, **more)
    return scene(a, b), a, b


@pytest.mark.parametrize("definition", Definition)
@pytest.mark.parametrize("frame", [Frame.VIEWER, Frame.WORLD])
@pytest.mark.parametrize(
    ("x", "y", "holds"),
    [(0, 0.3, "left"), (0, -0.3, "right"), (-0.3, 0, "front"), (0.3, 0, "behind")],
)
def test_things_far_apart_are_in_one_direction(x, y, holds, frame, definition):
    view, a, b = pair(x, y)

    found = configuration_of(view, a, b, frame, definition)

    assert getattr(found, holds)
    opposite = {"left": "right", "right": "left", "front": "behind", "behind": "front"}[holds]
    assert not getattr(found, opposite)
    assert not found.overlapping


def test_strict_needs_separate_silhouettes_where_lenient_asks_for_the_middles():
    # Half behind the other one: the silhouettes overlap, the centroid of neither is covered.
    view, a, b = pair(0.0, 0.05)

    assert not configuration_of(view, a, b, definition=STRICT).left
    assert configuration_of(view, a, b, definition=LENIENT).left


def test_lenient_left_needs_the_others_middle_uncovered():
    wide = (0.06, 0.3, 0.1)
    view, a, b = pair(-0.1, 0.02, wide)

    assert silhouette(view, a).covers(silhouette(view, b).centroid)
    assert not configuration_of(view, a, b).left
    assert configuration_of(view, a, b).front


def test_depths_overlap_strictly_but_differ_on_average():
    view, a, b = pair(-0.05, 0.0)

    assert not configuration_of(view, a, b, definition=STRICT).front
    assert configuration_of(view, a, b, definition=LENIENT).front


def test_vertical_strict_and_lenient():
    # From 0.09 to 0.29 over one that ends at 0.1: not apart, but its mean is above that top.
    view, a, b = pair(0.0, 0.0, (0.06, 0.06, 0.2), z=0.19)

    assert not configuration_of(view, a, b, definition=STRICT).above
    assert configuration_of(view, a, b, definition=LENIENT).above
    assert configuration_of(view, b, a, definition=LENIENT).below


def test_what_is_under_the_floor_counts_as_on_it():
    view, a, b = pair(0.0, 0.0, (0.06, 0.06, 0.1), z=-0.3)

    assert not configuration_of(view, a, b, definition=STRICT).below


def test_the_own_frame_takes_the_seconds_axes_and_needs_disjoint_boxes():
    faced = {"front": np.array([-1.0, 0, 0])}
    view, a, b = pair(-0.1, -0.2, **faced)

    # It faces the viewer: its left hand is on the viewer's right.
    assert configuration_of(view, a, b, Frame.OBJECT) == Configuration(left=True, front=True)
    view, a, b = pair(-0.02, -0.02, **faced)
    assert configuration_of(view, a, b, Frame.OBJECT).overlapping


def test_configuration_refuses_what_has_no_meaning():
    view, a, b = pair(0, 0.3)
    with pytest.raises(QueryError, match="has no front that looks sideways"):
        configuration_of(view, a, b, Frame.OBJECT)
    with pytest.raises(QueryError, match="viewer, world, object"):
        configuration_of(view, a, b, Frame.IMAGE)
    with pytest.raises(QueryError, match=r"\(id 1\) is not in the image"):
        configuration_of(view, thing(1, -3.0, 0.0), b)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    x=st.floats(-0.3, 0.3),
    y=st.floats(-0.3, 0.3),
    z=st.floats(0.0, 0.3),
    yaw=st.floats(0, 3),
    definition=st.sampled_from(Definition),
)
def test_strict_opposites_change_with_the_places_and_never_both_hold(x, y, z, yaw, definition):
    a, b = thing(1, 0.9 + x, y, z=z, yaw=yaw), thing(2, 0.9, 0.0)
    view = scene(a, b)

    found, mirrored = (
        configuration_of(view, *things, definition=definition) for things in ((a, b), (b, a))
    )

    assert not (found.left and found.right)
    assert not (found.front and found.behind)
    assert not (found.above and found.below)
    assert (found.above, found.below) == (mirrored.below, mirrored.above)
    if definition is STRICT:
        assert (found.left, found.right) == (mirrored.right, mirrored.left)
        assert (found.front, found.behind) == (mirrored.behind, mirrored.front)


def test_context_points_lie_beyond_the_silhouette_and_off_all_things():
    cup, jar = thing(1, 0.9, 0.0), thing(2, 0.9, 0.3)
    view = scene(cup, jar)

    found = spatial_context(view, cup, R.LEFT, surface=TABLE)

    assert len(found) > 20
    assert (found.pixels[:, 0] < silhouette(view, cup).low[0]).all()
    assert (np.abs(found.points[:, 2]) < 1e-9).all()
    off = np.abs(found.points[:, :2] - (0.9, 0.3)).max(axis=1)
    assert (off > 0.03).all()
    pixels, _ = view.camera.project(found.points)
    assert found.pixels == pytest.approx(pixels)
    assert len(found.drawn(5, seed=1)) == 5


@pytest.mark.parametrize(("direction", "sign"), [(R.FRONT, -1), (R.BEHIND, 1)])
def test_context_before_and_behind_by_depth(direction, sign):
    cup = thing(1, 0.9, 0.0)
    view = scene(cup)

    found = spatial_context(view, cup, direction, surface=TABLE)

    depths = view.camera.project(found.points)[1]
    own = view.camera.project(cup.box.corners)[1]
    assert ((depths - own.mean()) * sign > 0).all()
    # The reference does not hide its own surroundings.
    assert (np.abs(found.points[:, 1]) < 0.03).any()


def test_context_in_the_own_frame():
    chair = thing(1, 0.9, 0.0, front=np.array([-1.0, 0, 0]))

    found = spatial_context(scene(chair), chair, R.LEFT, Frame.OBJECT, surface=TABLE)

    assert len(found) > 20
    assert (found.points[:, 1] < -0.03).all()


def test_a_nearer_thing_hides_points_and_a_farther_one_does_not():
    cup = thing(1, 1.1, 0.0)
    near_wall = thing(2, 0.6, 0.35, (0.02, 0.5, 0.5))
    far_wall = thing(2, 1.45, 0.35, (0.02, 0.5, 0.5))

    free = len(spatial_context(scene(cup), cup, R.LEFT, surface=TABLE))
    hidden = len(spatial_context(scene(cup, near_wall), cup, R.LEFT, surface=TABLE))
    backed = len(spatial_context(scene(cup, far_wall), cup, R.LEFT, surface=TABLE))

    assert hidden < free / 2
    assert backed > free * 0.8


def test_measured_depth_decides_about_visibility_where_it_is_known():
    cup = thing(1, 0.9, 0.0)
    view = scene(cup)
    free = spatial_context(view, cup, R.LEFT, surface=TABLE)
    columns, rows = np.rint(free.pixels).astype(int).T
    depth = np.zeros((480, 640), np.float32)
    depth[rows, columns] = view.camera.project(free.points)[1]
    hidden = depth.copy()
    hidden[rows, columns] -= 0.1

    measured = spatial_context(
        Scene(view.camera, view.objects, view.surfaces, depth), cup, R.LEFT, surface=TABLE
    )
    covered = spatial_context(
        Scene(view.camera, view.objects, view.surfaces, hidden), cup, R.LEFT, surface=TABLE
    )

    assert len(measured) == len(free)
    assert len(covered) == 0


def test_context_refuses_other_directions_frames_and_radii():
    cup = thing(1, 0.9, 0.0)
    with pytest.raises(QueryError, match="direction is 'near'; use left, right, front, behind"):
        spatial_context(scene(cup), cup, R.NEAR)
    with pytest.raises(QueryError, match="viewer, world, object"):
        spatial_context(scene(cup), cup, R.LEFT, Frame.IMAGE)
    with pytest.raises(QueryError, match="radius_m is -1"):
        spatial_context(scene(cup), cup, R.LEFT, radius_m=-1.0)


def strip(width, near=0.6, far=1.2):
    """A table that leaves this much to the left of a cup at y = 0."""
    left = 0.03 + width
    outline = np.array([[near, -0.6], [far, -0.6], [far, left], [near, left]])
    return Surface(100, "table", 0.0, outline)


def test_a_thing_fits_beside_another_only_with_clearance_on_the_surface():
    cup, plate = thing(1, 0.9, 0.0), thing(2, 0.7, -0.4, (0.1, 0.1, 0.02))

    fit = fit_beside(scene(cup, plate), plate, cup, R.LEFT, surface=strip(0.3, 0.82, 0.98))

    assert fit is not None
    assert fit.position[1] - 0.05 >= 0.03 + 0.02 - 1e-9
    assert fit.position[1] + 0.05 <= 0.33 + 1e-9
    assert fit.clearance_m >= 0.02
    assert (
        fit_beside(scene(cup, plate), plate, cup, R.LEFT, surface=strip(0.1, 0.82, 0.98)) is None
    )


def test_a_ruler_fits_into_a_strip_only_when_turned():
    cup, ruler = thing(1, 0.9, 0.0), thing(2, 0.7, -0.4, (0.04, 0.3, 0.01))

    fit = fit_beside(scene(cup, ruler), ruler, cup, R.LEFT, surface=strip(0.15))

    assert fit is not None
    assert fit.yaw_rad == pytest.approx(np.pi / 2)


def test_a_crowded_side_leaves_no_place_unless_the_others_are_out_of_the_way():
    cup, plate = thing(1, 0.9, 0.0), thing(2, 0.7, -0.4, (0.1, 0.1, 0.02))
    crowd = [thing(10 + i, 0.9, 0.1 + 0.08 * i, (0.6, 0.04, 0.1)) for i in range(6)]
    lamps = [moved(t, np.eye(3), np.array([0, 0, 0.5])) for t in crowd]
    view = camera(eye=(0, 0, 0.3), target=(0.9, 0, 0))

    crowded = scene(cup, plate, *crowd, view=view)
    hung = scene(cup, plate, *lamps, view=view)

    assert fit_beside(crowded, plate, cup, R.LEFT, surface=strip(0.5)) is None
    assert fit_beside(hung, plate, cup, R.LEFT, surface=strip(0.5)) is not None


def test_on_top_needs_the_whole_footprint_in_some_turn_and_room():
    board = thing(1, 0.9, 0.0, (0.4, 0.12, 0.02))
    long = thing(2, 0.5, 0.4, (0.1, 0.3, 0.05))
    large = thing(3, 0.5, -0.4, (0.3, 0.3, 0.05))
    bowls = [thing(4 + i, 0.75 + 0.1 * i, 0.0, (0.08, 0.08, 0.05), z=0.045) for i in range(4)]

    fit = fit_on_top(scene(board, long), long, board)

    assert fit is not None
    assert fit.yaw_rad == pytest.approx(np.pi / 2)
    assert fit_on_top(scene(board, large), large, board) is None
    assert fit_on_top(scene(board, long, *bowls), long, board) is None
    assert fit_on_top(scene(board, long), long, TABLE) is not None
