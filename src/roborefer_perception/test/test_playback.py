# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.playback import AtEnd, Pace, Playback
from roborefer_perception.core.recordings import RecordedFrame
from roborefer_perception.exceptions import RecordingError

MS = 1_000_000
CAMERA = Camera(2, 2, 1.0, 1.0, 0.5, 0.5)


@dataclass
class Made:
    """Frames that are only names; a name that begins with "!" cannot be read."""

    names: str
    still: bool
    apart_ns: int = 10 * MS
    fixed: bool = True

    @property
    def stamps_ns(self):
        return [1000 * MS + i * self.apart_ns for i in range(len(self.names))]

    def frames(self):
        picture = np.zeros((2, 2), np.float32)
        for name, stamp in zip(self.names, self.stamps_ns, strict=True):
            if name == "!":
                yield RecordingError("broken")
            else:
                yield RecordedFrame(name, stamp, np.zeros((2, 2, 3), np.uint8), picture, CAMERA)


class Viewer:
    def __init__(self, recording, enough=lambda names: False, **pace):
        self.shown, self.reports, self.ends = [], [], []
        self.changed = threading.Condition()
        self.finished = threading.Event()
        self.enough = enough
        self.playback = Playback(
            recording, Pace(**pace), self.take, self.reports.append, self.on_end
        )

    def __enter__(self):
        self.playback.start()
        return self

    def __exit__(self, *_):
        self.playback.stop()

    def take(self, frame, stamp_ns):
        with self.changed:
            self.shown.append((frame.name, stamp_ns))
            self.changed.notify_all()

    def on_end(self, error):
        self.ends.append(error)
        self.finished.set()

    @property
    def names(self):
        return "".join(name for name, _ in self.shown)

    def wait(self, wanted):
        with self.changed:
            assert self.changed.wait_for(lambda: wanted(self.names), 10.0), self.names


def test_sequence_is_shown_once_with_its_own_stamps():
    with Viewer(Made("abcd", still=False), at_end=AtEnd.EXIT) as viewer:
        assert viewer.finished.wait(10.0)

    assert viewer.names == "abcd"
    assert [stamp // MS for _, stamp in viewer.shown] == [1000, 1010, 1020, 1030]
    assert viewer.ends == [None]


def test_stamps_rise_when_a_sequence_begins_again():
    with Viewer(Made("ab", still=False), rate_hz=100.0) as viewer:
        viewer.wait(lambda names: len(names) >= 6)

    stamps = [stamp for _, stamp in viewer.shown]
    assert viewer.names.startswith("ababab")
    assert all(b - a == 10 * MS for a, b in pairwise(stamps))


def test_still_scene_stays_until_the_next_is_asked_for():
    with Viewer(Made("ab", still=True), rate_hz=100.0) as viewer:
        viewer.wait(lambda names: names.count("a") >= 3)
        assert viewer.playback.next()
        viewer.wait(lambda names: names.count("b") >= 2)
        assert viewer.playback.next()
        viewer.wait(lambda names: names.endswith("ba"))

    stamps = [stamp for _, stamp in viewer.shown]
    assert all(b - a == 10 * MS for a, b in pairwise(stamps))


def test_still_scenes_change_by_themselves_after_a_while():
    viewer = Viewer(Made("abc", still=True), rate_hz=50.0, hold_s=0.1, at_end=AtEnd.EXIT)
    with viewer:
        assert viewer.finished.wait(10.0)

    # A busy machine may show a scene less often, but never leaves one out.
    assert "".join(dict.fromkeys(viewer.names)) == "abc"
    assert all(1 <= viewer.names.count(name) <= 6 for name in "abc")


def test_pause_keeps_the_camera_going_on_one_picture():
    with Viewer(Made("abcdef", still=False), rate_hz=100.0, paused=True) as viewer:
        viewer.wait(lambda names: len(names) >= 3)
        viewer.playback.pause(False)
        viewer.wait(lambda names: "f" in names)

    assert viewer.names.startswith("aaa")
    assert "".join(dict.fromkeys(viewer.names)) == "abcdef"
    stamps = [stamp for _, stamp in viewer.shown]
    assert stamps == sorted(set(stamps))


def test_next_goes_on_by_one_picture_while_paused():
    with Viewer(Made("abc", still=False), rate_hz=100.0, paused=True) as viewer:
        viewer.wait(lambda names: names)
        viewer.playback.next()
        viewer.wait(lambda names: names.count("b") >= 3)

    assert set(viewer.names) == {"a", "b"}


def test_last_picture_is_held():
    with Viewer(Made("ab", still=False), rate_hz=100.0, at_end=AtEnd.HOLD) as viewer:
        viewer.wait(lambda names: names.count("b") >= 4)
        viewer.playback.pause(False)
        viewer.wait(lambda names: names.count("b") >= 6)
        refused = not viewer.playback.next()

    assert refused
    assert viewer.names.rstrip("b") == "a"


def test_frame_that_cannot_be_read_is_reported_and_left_out():
    with Viewer(Made("a!b", still=False), at_end=AtEnd.EXIT) as viewer:
        assert viewer.finished.wait(10.0)

    assert viewer.names == "ab"
    assert len(viewer.reports) == 1
    assert viewer.ends == [None]


def test_recording_without_one_good_frame_ends_instead_of_looping():
    with Viewer(Made("!!", still=False)) as viewer:
        assert viewer.finished.wait(10.0)

    assert "none of the 2 frames" in str(viewer.ends[0])


def test_stop_ends_at_once_also_in_a_long_wait():
    viewer = Viewer(Made("ab", still=False, apart_ns=10**15))
    with viewer:
        viewer.wait(lambda names: names)

    assert viewer.names == "a"
    assert viewer.ends == []
    assert not viewer.playback.next()


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_does_not_change_the_stamps(speed):
    with Viewer(Made("abc", still=False), at_end=AtEnd.EXIT, speed=speed) as viewer:
        assert viewer.finished.wait(10.0)

    assert [stamp // MS for _, stamp in viewer.shown] == [1000, 1010, 1020]
