# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import contextlib
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_perception.core.arrivals import Arrived
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.frames import FrameStore, ImageWish, Policy, StoreSettings
from roborefer_perception.exceptions import Reason, ReferFailure

MS = 1_000_000
S = 1_000_000_000
FRAME = "optical"
W, H = 8, 6


class Feed:
    """A store with a camera that counts what is decoded."""

    def __init__(self, **changes):
        self.store = FrameStore(StoreSettings(**changes), ("color", "depth", "info"))
        self.decoded = 0

    def color(self, stamp_ns, size=(W, H), frame=FRAME):
        def decode():
            self.decoded += 1
            return np.full((size[1], size[0], 3), stamp_ns // MS % 256, np.uint8)

        return self.store.add_color(Arrived(stamp_ns, frame, decode))

    def depth(self, stamp_ns, size=(W, H), frame=FRAME):
        def decode():
            self.decoded += 1
            return np.full((size[1], size[0]), stamp_ns / S, np.float32)

        return self.store.add_depth(Arrived(stamp_ns, frame, decode))

    def info(self, stamp_ns, size=(W, H), focal=10.0):
        def decode():
            return Camera(*size, focal, focal, 3.5, 2.5)

        self.store.add_info(Arrived(stamp_ns, FRAME, decode, size))

    def all(self, *stamps_ns):
        for stamp_ns in stamps_ns:
            self.info(stamp_ns)
            self.color(stamp_ns)
            self.depth(stamp_ns)

    def find(self, now_ns, **wish):
        return self.store.find(ImageWish(**wish), now_ns)

    def why(self, now_ns, **wish):
        return self.store.why(ImageWish(**wish), now_ns)


@pytest.fixture
def feed():
    return Feed()


def test_depth_of_the_same_stamp_is_taken_though_another_came_first(feed):
    feed.info(S)
    feed.depth(S - 5 * MS)
    feed.color(S)
    assert feed.find(S) is None

    feed.depth(S)

    assert feed.find(S).skew_s == 0
    assert feed.find(S).decoded().depth_m[0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize(("before", "after", "skew_s"), [(12, 8, 0.008), (8, 12, -0.008)])
def test_the_nearest_depth_is_taken_when_none_has_the_stamp(feed, before, after, skew_s):
    feed.info(S)
    feed.depth(S - before * MS)
    feed.color(S)
    feed.depth(S + after * MS)

    frame = feed.find(S)

    assert frame.skew_s == pytest.approx(skew_s)
    assert frame.decoded().skew_s == pytest.approx(skew_s)
    assert feed.store.health(S).skew_s == pytest.approx(skew_s)


@pytest.mark.parametrize(("skew_ms", "pairs"), [(20, True), (21, False)])
def test_the_skew_budget_holds_to_the_millisecond(feed, skew_ms, pairs):
    feed.info(S)
    feed.color(S)
    feed.depth(S + skew_ms * MS)

    assert (feed.find(S) is not None) is pairs
    if not pairs:
        failure = feed.why(S)
        assert failure.reason is Reason.SKEW_TOO_LARGE
        assert "0.021 s after" in str(failure)
        assert "0.020 s are" in str(failure)
        assert feed.store.health(S).dropped == {"skew": 1}


def test_a_colour_image_without_depth_does_not_hold_up_the_next(feed):
    feed.info(S)
    feed.color(S)
    feed.color(S + 33 * MS)

    made = feed.depth(S + 33 * MS)

    assert [frame.stamp_ns for frame in made] == [S + 33 * MS]


def test_depth_at_half_the_rate_gives_half_the_frames(feed):
    made = []
    for i in range(20):
        made += feed.color(S + i * 33 * MS)
        if i % 2 == 0:
            made += feed.depth(S + i * 33 * MS)

    assert [frame.stamp_ns for frame in made] == [S + i * 33 * MS for i in range(0, 20, 2)]
    assert feed.store.health(S).dropped == {"skew": 9}


def test_nothing_is_decoded_before_it_is_asked_for_and_only_once_then(feed):
    feed.all(*(S + i * 33 * MS for i in range(10)))
    assert feed.decoded == 0

    frame = feed.find(S + 400 * MS)
    first, again = frame.decoded(), frame.decoded()

    assert first is again
    assert feed.decoded == 2


def test_only_one_of_many_threads_decodes(feed):
    feed.all(S)
    frame = feed.find(S)
    found = []

    threads = [threading.Thread(target=lambda: found.append(frame.decoded())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert feed.decoded == 2
    assert len({id(each) for each in found}) == 1


# --- policies ---------------------------------------------------------------------------------
def test_newest_is_the_newest_that_is_young_enough(feed):
    feed.all(S, S + 100 * MS)

    assert feed.find(S + 600 * MS, max_age_s=0.5).stamp_ns == S + 100 * MS
    assert feed.find(S + 601 * MS, max_age_s=0.5) is None
    failure = feed.why(S + 700 * MS, max_age_s=0.5)
    assert failure.reason is Reason.STALE_IMAGE
    assert "0.60 s old, 0.50 s are allowed" in str(failure)


def test_fresh_waits_for_an_image_taken_after_the_time(feed):
    feed.all(S)
    assert feed.find(S, policy=Policy.FRESH, after_ns=S + 1) is None
    assert feed.why(S, policy=Policy.FRESH, after_ns=S + 1).reason is Reason.STALE_IMAGE

    feed.all(S + 33 * MS)

    assert feed.find(S, policy=Policy.FRESH, after_ns=S + 1).stamp_ns == S + 33 * MS


def test_at_stamp_finds_the_very_image_however_old(feed):
    feed.all(S, S + 33 * MS, S + 66 * MS)

    found = feed.find(100 * S, policy=Policy.AT_STAMP, stamp_ns=S + 33 * MS)

    assert found.stamp_ns == S + 33 * MS


def test_at_stamp_waits_for_an_image_that_may_still_come(feed):
    feed.all(S)
    feed.color(S + 33 * MS)

    assert feed.find(S, policy=Policy.AT_STAMP, stamp_ns=S + 33 * MS) is None
    assert feed.find(S, policy=Policy.AT_STAMP, stamp_ns=S + 66 * MS) is None
    failure = feed.why(S, policy=Policy.AT_STAMP, stamp_ns=S + 66 * MS)
    assert failure.reason is Reason.STAMP_NOT_KEPT


def test_at_stamp_is_refused_at_once_when_waiting_cannot_help(feed):
    feed.all(S, S + 33 * MS)

    with pytest.raises(ReferFailure, match=r"from 1\.000 to 1\.033 s") as caught:
        feed.find(S, policy=Policy.AT_STAMP, stamp_ns=S + 1)
    assert caught.value.reason is Reason.STAMP_NOT_KEPT


def test_at_stamp_of_an_image_without_depth_says_so(feed):
    feed.info(S)
    feed.color(S)
    feed.depth(S + 50 * MS)

    with pytest.raises(ReferFailure, match=r"0\.050 s after") as caught:
        feed.find(S, policy=Policy.AT_STAMP, stamp_ns=S)
    assert caught.value.reason is Reason.SKEW_TOO_LARGE


def test_as_many_frames_are_kept_as_allowed_and_none_longer():
    feed = Feed(keep_frames=4, keep_s=1.0)

    feed.all(*(S + i * 100 * MS for i in range(10)))
    by_count = feed.store.health(S).kept
    feed.all(S + 1850 * MS)
    by_age = feed.store.health(S).kept

    assert (by_count, by_age) == (4, 2)
    with pytest.raises(ReferFailure):
        feed.find(2 * S, policy=Policy.AT_STAMP, stamp_ns=S)


# --- what goes wrong --------------------------------------------------------------------------
def test_what_is_missing_is_named_in_the_order_of_the_cables(feed):
    assert feed.find(S) is None
    said = [feed.why(S)]
    feed.color(S)
    said.append(feed.why(S))
    feed.depth(S)
    said.append(feed.why(S))
    assert feed.find(S) is None
    feed.info(S)

    assert feed.find(S).stamp_ns == S
    reasons = [failure.reason for failure in said]
    assert reasons == [Reason.NO_IMAGE, Reason.NO_IMAGE, Reason.NO_CAMERA_INFO]
    assert [word in str(f) for word, f in zip(("color", "depth", "info"), said, strict=True)]


def test_an_image_of_the_future_is_refused_until_the_clock_is_there(feed):
    feed.all(2 * S)

    assert feed.find(S) is None
    failure = feed.why(S)
    assert failure.reason is Reason.IMAGE_FROM_FUTURE
    assert "1.00 s later than now" in str(failure)
    assert feed.find(2 * S - 200 * MS).stamp_ns == 2 * S


def test_one_image_of_the_future_does_not_hide_a_good_one(feed):
    feed.all(S, S + 900 * MS)

    assert feed.find(S + 100 * MS).stamp_ns == S


def test_depth_that_stops_is_told_apart_from_a_camera_that_stops(feed):
    feed.all(S)
    for i in range(1, 60):
        feed.color(S + i * 33 * MS)

    failure = feed.why(S + 59 * 33 * MS)

    assert failure.reason is Reason.SKEW_TOO_LARGE
    assert "before the colour image" in str(failure)
    assert feed.store.health(3 * S).dropped["no depth"] > 0


@pytest.mark.parametrize("back_ms", [101, 5000])
def test_time_that_is_set_back_clears_and_the_next_frames_work(feed, back_ms):
    feed.all(10 * S, 10 * S + 33 * MS)
    then_ns = 10 * S + 33 * MS - back_ms * MS

    feed.color(then_ns)
    assert feed.find(then_ns) is None
    feed.depth(then_ns)

    assert feed.find(then_ns).stamp_ns == then_ns
    health = feed.store.health(then_ns)
    assert (health.kept, health.dropped) == (1, {"time was set back": 1})


def test_two_clocks_on_one_topic_are_suspected_rather_than_the_driver(feed):
    feed.info(S)
    for i in range(10):
        feed.depth(S + i * 33 * MS)
        feed.color(S + i * 33 * MS + (i % 2) * 60 * S)
    feed.color(S + 330 * MS)

    failure = feed.why(S + 330 * MS)

    assert failure.reason is Reason.NO_IMAGE
    assert "second camera" in str(failure)


def test_depth_of_before_the_jump_is_not_paired_with_colour_of_after(feed):
    feed.info(S)
    feed.all(S, 5 * S)
    feed.color(S)
    feed.color(S + 33 * MS)

    assert feed.find(S + 33 * MS) is None
    assert feed.depth(S + 33 * MS)[0].skew_s == 0


def test_messages_that_overtook_each_other_are_dropped_alone(feed):
    feed.all(S)
    feed.color(S)
    feed.color(S - 10 * MS)
    feed.depth(S - 10 * MS)

    health = feed.store.health(S)

    assert (health.kept, health.dropped) == (1, {"out of order": 3})


def test_one_stamp_from_a_wrong_clock_costs_one_moment_only(feed):
    feed.all(S)
    feed.color(4_000_000_000 * S)
    feed.all(S + 33 * MS, S + 66 * MS)

    assert feed.find(S + 66 * MS).stamp_ns == S + 66 * MS


def refused(frame):
    with pytest.raises(ReferFailure) as caught:
        frame.decoded()
    with pytest.raises(ReferFailure) as again:
        frame.decoded()
    assert str(again.value) == str(caught.value)
    return caught.value


def test_sizes_that_disagree_are_refused(feed):
    feed.info(S)
    feed.color(S)
    feed.depth(S, size=(W, H + 1))

    failure = refused(feed.find(S))

    assert failure.reason is Reason.UNSUPPORTED_IMAGE
    assert "8 x 7" in str(failure)
    assert "8 x 6" in str(failure)


def test_depth_that_is_not_aligned_to_colour_is_refused(feed):
    feed.info(S)
    feed.color(S)
    feed.depth(S, frame="camera_depth_optical_frame")

    failure = refused(feed.find(S))

    assert failure.reason is Reason.UNSUPPORTED_IMAGE
    assert "camera_depth_optical_frame" in str(failure)


def test_intrinsics_of_another_size_are_refused(feed):
    feed.info(S, size=(W * 2, H * 2))
    feed.color(S)
    feed.depth(S)

    failure = refused(feed.find(S))

    assert failure.reason is Reason.INVALID_INTRINSICS
    assert "(16, 12)" in str(failure)


def test_intrinsics_of_the_stamp_win_over_newer_ones(feed):
    for i, focal in enumerate((10.0, 20.0, 30.0)):
        feed.info(S + i * 33 * MS, focal=focal)
    feed.color(S + 33 * MS)
    feed.depth(S + 33 * MS)

    assert feed.find(S + 33 * MS).decoded().camera.fx == 20.0


def test_intrinsics_that_came_once_serve_all_images_of_their_size(feed):
    feed.info(0, focal=12.0)
    feed.info(S - 1, size=(W * 2, H * 2), focal=99.0)
    frames = []
    for i in range(40):
        feed.color(S + i * 33 * MS)
        frames += feed.depth(S + i * 33 * MS)

    cameras = [frame.decoded().camera for frame in frames]

    assert cameras[0].fx == 12.0
    # One and the same, so what it works out for all its pixels is worked out once.
    assert all(camera is cameras[0] for camera in cameras)


def test_invalid_intrinsics_are_refused_and_the_next_frame_works(feed):
    feed.info(S, focal=float("nan"))
    feed.color(S)
    feed.depth(S)
    bad = feed.find(S)
    feed.all(S + 33 * MS)

    assert refused(bad).reason is Reason.INVALID_INTRINSICS
    assert feed.find(S).decoded().camera.fx == 10.0


def test_health_tells_rates_and_ages(feed):
    nothing = feed.store.health(S)
    for i in range(31):
        feed.all(S + i * 50 * MS)

    health = feed.store.health(S + 1600 * MS)

    assert nothing.color.age_s is None
    assert (nothing.kept, nothing.skew_s, nothing.dropped) == (0, None, {})
    assert health.color.rate_hz == pytest.approx(20.0)
    assert health.frames.rate_hz == pytest.approx(20.0)
    assert health.color.age_s == pytest.approx(0.1)
    assert health.color.count == 31
    assert feed.store.health(10 * S).color.rate_hz == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(["color", "depth", "info"]), st.integers(0, 4000)), max_size=80
    ),
    st.sampled_from(Policy),
    st.integers(0, 4000),
)
def test_any_order_of_stamps_keeps_every_pair_within_the_budget(messages, policy, now_ms):
    feed = Feed(keep_frames=5)
    for kind, stamp_ms in messages:
        made = getattr(feed, kind)(stamp_ms * MS) or []
        assert all(abs(frame.skew_s) <= 0.02 for frame in made)
    wish = ImageWish(policy, stamp_ns=now_ms * MS, after_ns=now_ms * MS)

    with contextlib.suppress(ReferFailure):
        feed.store.find(wish, now_ms * MS)

    assert feed.store.health(now_ms * MS).kept <= 5
    assert feed.store.why(wish, now_ms * MS).reason in Reason
