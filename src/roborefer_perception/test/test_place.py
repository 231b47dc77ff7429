# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.place import LocateSettings, locate
from roborefer_perception.core.types import Kind
from roborefer_perception.exceptions import Reason, ReferFailure
from solids import CAMERA, TABLE, ball, in_front, noisy, on_table, plane, table

BALL_AT, BALL_RADIUS = on_table(320, 240, rise=0.04), 0.04


def a_ball_on_a_table():
    return in_front(table(), ball(BALL_AT, BALL_RADIUS))


def ball_edge():
    """The column of the ball's last pixel to the right in row 240."""
    return int(np.flatnonzero(ball(BALL_AT, BALL_RADIUS)[240])[-1])


def off_ball(place):
    """Distance to the surface of the ball, metres."""
    return abs(np.linalg.norm(place.point - BALL_AT) - BALL_RADIUS)


def refusal(*args, **more):
    with pytest.raises(ReferFailure) as caught:
        locate(*args, **more)
    return caught.value


@pytest.mark.parametrize("pixel", [(10.3, 470.0), (320.0, 240.0), (600.7, 33.2)])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_place_projects_back_to_its_pixel(pixel, kind):
    depth = noisy(plane([0.1, 0.2, 0.97], 0.9))

    place = locate(depth, CAMERA, pixel, kind)

    np.testing.assert_allclose(CAMERA.project([place.point])[0], place.pixel, atol=1e-6)
    np.testing.assert_allclose(place.pixel, pixel)


def test_distortion_is_taken_out():
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0, "plumb_bob", (-0.2, 0.05, 0, 0, 0))
    normal = np.array([0.0, 0.6, 0.8])
    depth = plane(normal, 0.7, camera).astype(np.float32)

    place = locate(depth, camera, (60.5, 400.25))

    assert normal @ place.point == pytest.approx(0.7, abs=1e-4)
    np.testing.assert_allclose(camera.project([place.point])[0], (60.5, 400.25), atol=1e-3)


@pytest.mark.parametrize("degrees", [0, 20, 45, 60, 70])
@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.FREE_SPACE])
def test_the_normal_of_a_plane_at_a_known_angle_is_found(degrees, kind):
    angle = np.radians(degrees)
    normal = np.array([0.0, np.sin(angle), np.cos(angle)])
    depth = noisy(plane(normal, 0.6 * np.cos(angle)))

    place = locate(depth, CAMERA, (320, 240), kind)

    off = np.degrees(np.arccos(np.clip(-place.rotation[:, 2] @ normal, -1, 1)))
    assert off < 3
    assert place.point[2] == pytest.approx(0.6, abs=0.003)


def test_axes_are_right_handed_with_x_near_the_cameras_right():
    place = locate(table().astype(np.float32), CAMERA, (500, 100))

    x, y, z = place.rotation.T
    np.testing.assert_allclose(place.rotation.T @ place.rotation, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.cross(x, y), z, atol=1e-9)
    np.testing.assert_allclose(z, -TABLE[0], atol=1e-3)
    np.testing.assert_allclose(x, [1, 0, 0], atol=1e-3)


@pytest.mark.parametrize("offset", [(0, 0), (-15, 5), (12, -14)])
def test_a_place_on_a_ball_lies_on_it_and_its_normal_points_outwards(offset):
    depth = noisy(a_ball_on_a_table())

    place = locate(depth, CAMERA, (320 + offset[0], 240 + offset[1]), Kind.OBJECT)

    assert off_ball(place) < 0.002
    outward = (place.point - BALL_AT) / np.linalg.norm(place.point - BALL_AT)
    assert np.degrees(np.arccos(place.rotation[:, 2] @ outward)) < 15


def test_the_region_is_the_thing_without_its_support_and_the_extent_its_size():
    depth = noisy(a_ball_on_a_table())
    truth = (ball(BALL_AT, BALL_RADIUS) > 0) & (ball(BALL_AT, BALL_RADIUS) < table())

    place = locate(depth, CAMERA, (320, 240), Kind.OBJECT)

    assert (place.region & truth).sum() / (place.region | truth).sum() > 0.85
    assert place.extent[0] == pytest.approx(0.08, abs=0.015)
    # Seen from above, the lower half is hidden.
    assert 0.04 < place.extent[1] < 0.09


def test_things_that_touch_are_told_apart():
    other_at = BALL_AT + np.array([2 * BALL_RADIUS, 0, 0])
    one, other = (ball(center, BALL_RADIUS) for center in (BALL_AT, other_at))
    depth = noisy(in_front(table(), one, other))

    place = locate(depth, CAMERA, (320, 240), Kind.OBJECT)

    assert place.region[one > 0].mean() > 0.75
    assert place.region[other > 0].mean() < 0.05


def test_a_jump_of_depth_parts_a_thing_from_the_one_that_it_hides():
    behind_at = BALL_AT + np.array([0.03, 0, 0.12])
    one, behind = ball(BALL_AT, BALL_RADIUS), ball(behind_at, BALL_RADIUS)
    depth = noisy(in_front(one, behind))

    place = locate(depth, CAMERA, (320, 240), Kind.OBJECT)

    assert place.region[one > 0].mean() > 0.8
    assert place.region[(behind > 0) & (one == 0)].mean() < 0.05


def test_a_hole_at_an_edge_is_that_of_the_thing_in_front():
    depth = noisy(a_ball_on_a_table())
    top = int(np.flatnonzero(ball(BALL_AT, BALL_RADIUS)[:, 320])[0])
    depth[top - 2 : top + 4, 310:331] = 0

    place = locate(depth, CAMERA, (320.0, top - 0.5), Kind.OBJECT)

    assert off_ball(place) < 0.005
    assert place.snapped_px > 0


def test_a_pixel_just_off_a_thing_is_snapped_onto_it_and_says_by_how_much():
    pixel = (ball_edge() + 4.0, 240.0)

    place = locate(noisy(a_ball_on_a_table()), CAMERA, pixel, Kind.OBJECT)

    assert 1 <= place.snapped_px <= 7
    assert np.hypot(*np.subtract(place.pixel, pixel)) == pytest.approx(place.snapped_px)
    assert off_ball(place) < 0.004
    assert place.region[round(place.pixel[1]), round(place.pixel[0])]


def test_snapping_is_bounded():
    pixel = (ball_edge() + 15.0, 240.0)

    place = locate(noisy(a_ball_on_a_table()), CAMERA, pixel, Kind.OBJECT)

    assert place.snapped_px == 0
    assert place.pixel == pixel


@pytest.mark.parametrize("kind", [Kind.UNKNOWN, Kind.FREE_SPACE])
def test_a_measured_pixel_of_the_table_beside_a_thing_stays_on_the_table(kind):
    pixel = (ball_edge() + 8.0, 240.0)

    place = locate(noisy(a_ball_on_a_table()), CAMERA, pixel, kind)

    assert place.snapped_px == 0
    assert TABLE[0] @ place.point == pytest.approx(TABLE[1], abs=0.002)
    assert place.kind == Kind.FREE_SPACE


def test_flying_pixels_at_an_edge_do_not_move_the_place():
    depth = noisy(a_ball_on_a_table())
    edge = ball_edge()
    rng = np.random.default_rng(1)
    band = depth[225:256, edge - 2 : edge + 3]
    near, far = band.min(), band.max()
    depth[225:256, edge - 2 : edge + 3] = rng.uniform(near, far, band.shape)

    errors = [
        off_ball(locate(depth, CAMERA, (edge - 1.0, float(row)), Kind.OBJECT))
        for row in range(232, 249)
    ]

    assert np.median(errors) < 0.006
    assert max(errors) < 0.015


def test_a_hole_is_bridged_where_the_surface_around_it_supports_it():
    depth = noisy(a_ball_on_a_table())
    depth[234:247, 314:327] = 0

    place = locate(depth, CAMERA, (320, 240), Kind.OBJECT)

    assert place.snapped_px == 0
    assert off_ball(place) < 0.003
    assert place.region[240, 320]


def test_a_bridged_hole_is_less_sure_than_a_measured_surface():
    whole = noisy(a_ball_on_a_table())
    holed = whole.copy()
    holed[233:248, 313:328] = 0

    sure, unsure = (
        locate(depth, CAMERA, (320, 240), Kind.OBJECT, pixel_sigma=0.0).covariance[2, 2]
        for depth in (whole, holed)
    )

    assert unsure > 1.5 * sure


def test_readings_that_are_sparse_still_make_a_thing():
    depth = noisy(a_ball_on_a_table())
    lost = (np.random.default_rng(2).random(depth.shape) < 0.7) & (ball(BALL_AT, BALL_RADIUS) > 0)
    depth[lost] = 0

    place = locate(depth, CAMERA, (320, 240), Kind.OBJECT)

    assert off_ball(place) < 0.003


def test_too_large_a_hole_is_refused_with_numbers():
    depth = noisy(table())
    depth[200:280, 280:360] = 0

    failure = refusal(depth, CAMERA, (320, 240), Kind.OBJECT)

    assert failure.reason == Reason.NO_VALID_DEPTH
    assert any(letter.isdigit() for letter in str(failure))


def test_free_space_in_a_hole_lies_on_the_plane_around_it():
    depth = noisy(table())
    depth[230:251, 310:331] = 0

    place = locate(depth, CAMERA, (320, 240), Kind.FREE_SPACE)

    assert place.pixel == (320, 240)
    assert TABLE[0] @ place.point == pytest.approx(TABLE[1], abs=0.002)


def test_free_space_on_something_that_stands_there_is_refused():
    failure = refusal(noisy(a_ball_on_a_table()), CAMERA, (320, 240), Kind.FREE_SPACE)

    assert failure.reason == Reason.WRONG_KIND
    assert "mm above" in str(failure)


def test_free_space_on_a_level_top_is_that_top():
    normal, distance = TABLE
    top = plane(normal, distance - 0.05)
    top[:, :240] = top[:, 400:] = top[:180] = top[300:] = 0
    depth = noisy(in_front(table(), top))

    place = locate(depth, CAMERA, (320, 240), Kind.FREE_SPACE)

    assert normal @ place.point == pytest.approx(distance - 0.05, abs=0.002)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -1.0])
def test_depth_that_is_all_invalid_is_refused(nothing, kind):
    depth = np.full((480, 640), nothing, np.float32)

    assert refusal(depth, CAMERA, (320, 240), kind).reason == Reason.NO_VALID_DEPTH


def test_readings_that_are_nan_or_infinite_are_holes():
    depth = noisy(a_ball_on_a_table())
    broken = np.random.default_rng(3).random(depth.shape)
    depth[broken < 0.1] = np.nan
    depth[broken > 0.9] = np.inf

    place = locate(depth, CAMERA, (320, 240), Kind.OBJECT)

    assert off_ball(place) < 0.003
    assert np.isfinite(place.covariance).all()


@pytest.mark.parametrize(
    "pixel", [(-1, 5), (640, 5), (5, 480), (float("nan"), 5), (5, float("inf"))]
)
def test_a_pixel_outside_the_picture_is_refused(pixel):
    failure = refusal(noisy(table()), CAMERA, pixel)

    assert failure.reason == Reason.INVALID_GOAL


def test_depth_of_another_size_is_refused():
    failure = refusal(np.ones((240, 320), np.float32), CAMERA, (5, 5))

    assert failure.reason == Reason.UNSUPPORTED_IMAGE


@pytest.mark.parametrize("pixel", [(-0.5, -0.5), (639.4, 479.4), (-0.5, 479.4)])
def test_corners_of_the_picture_are_in_it(pixel):
    place = locate(noisy(plane([0, 0, 1.0], 0.8)), CAMERA, pixel)

    assert place.point[2] == pytest.approx(0.8, abs=0.004)


def test_a_place_too_far_to_be_sure_of_is_refused():
    depth = noisy(plane([0, 0, 1.0], 3.5))

    failure = refusal(depth, CAMERA, (320, 240), settings=LocateSettings(worst_sigma_m=0.001))

    assert failure.reason == Reason.NO_VALID_DEPTH
    assert "mm" in str(failure)


def test_the_same_picture_gives_the_same_place():
    depth = noisy(a_ball_on_a_table())

    first, second = (locate(depth, CAMERA, (325, 250), Kind.OBJECT) for _ in range(2))

    np.testing.assert_array_equal(first.point, second.point)
    np.testing.assert_array_equal(first.covariance, second.covariance)


def test_without_a_support_the_kind_stays_unknown():
    depth = ball((0, 0, 0.7), 0.1).astype(np.float32)

    place = locate(depth, CAMERA, (319.5, 239.5))

    assert place.kind == Kind.UNKNOWN
    assert place.point[2] == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize("d", [(), (-0.2, 0.05, 0, 0, 0), (0.1, -0.25, 0.001, 0.001, 0.1)])
def test_the_image_of_rays_agrees_with_the_rays_of_its_pixels(d):
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0, "plumb_bob" if d else "", d)
    pixels = np.random.default_rng(4).integers(0, [640, 480], (200, 2))
    pixels[:4] = [0, 0], [639, 0], [0, 479], [639, 479]

    image = camera.ray_image[pixels[:, 1], pixels[:, 0]]

    # A thousandth of a pixel.
    np.testing.assert_allclose(image, camera.rays(pixels), atol=2e-6)


@pytest.mark.parametrize("d", [(5, 5, 5, 5, 5), (-0.9, 0, 0, 0, 0), (1e6, 0, 0, 0, 0)])
def test_a_distortion_that_cannot_be_taken_out_is_refused(d):
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0, "plumb_bob", d)

    with pytest.raises(ReferFailure, match="distortion") as caught:
        locate(np.full((480, 640), 0.8, np.float32), camera, (600, 430))

    assert caught.value.reason is Reason.INVALID_INTRINSICS


@pytest.mark.filterwarnings("error")
def test_free_space_far_away_ends_with_a_place_or_a_reason_that_has_numbers():
    # Stripes at 60 and 180 m: three centimetres are less than a pixel there.
    depth = np.full((480, 640), 60, np.float32)
    depth[:, ::2] *= 3

    failure = refusal(depth, CAMERA, (320, 240), Kind.FREE_SPACE)

    assert failure.reason is Reason.NO_VALID_DEPTH
    assert "nan" not in str(failure)
