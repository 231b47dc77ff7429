# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo leaves behind, and what it says when it cannot be played."""

import subprocess
import sys

import cv2
import numpy as np
from roborefer_bringup.demo.film import compose, write_film
from roborefer_bringup.demo.report import Played, write_report
from roborefer_bringup.demo.stage import RATE, read_sound, sound_file
from roborefer_bringup.demo.story import ACTS, Check
from roborefer_bringup.demo.witness import Caption, Frame, Line, Watched

from roborefer_msgs.msg import TaskStatus, TaskStep

PICTURE = np.full((480, 640, 3), 90, np.uint8)
CAPTION = Caption(
    "a title", ("put it <there>",), (Line(TaskStep.RUNNING, "pick it"),), "moving", ("because",),
    (300.0, 200.0),
)  # fmt: skip


def frames(count):
    jpeg = bytes(cv2.imencode(".jpg", PICTURE)[1])
    return [Frame(i / 3, jpeg, CAPTION) for i in range(count)]


def test_frame_shows_the_pixel_and_words_beside_it():
    frame = compose(PICTURE, CAPTION, 1.0)

    assert (frame[200, 300] != 90).any()
    assert (frame[100, 100] == 90).all()
    assert frame[:, 640:].std() > 5


def test_video_has_every_frame(tmp_path):
    write_film(frames(7), tmp_path / "film.mp4")

    video = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    shown = 0
    while video.read()[0]:
        shown += 1
    assert shown == 7


def test_report_stands_alone_and_quotes_words_as_text(tmp_path):
    act = ACTS[0]
    task = TaskStatus(instruction="<script>", state=TaskStatus.SUCCEEDED)
    task.steps = [TaskStep(verb=TaskStep.PICK, phrase="the can", state=TaskStep.SUCCEEDED)]
    watched = Watched(act.title, [act.sentence], {"1": task}, [b"jpeg"])
    played = Played(act, watched, checks=[Check("it stands", True)], wall_s=3.0)

    write_report(tmp_path / "report.html", [played], [("machine", "this one")], None)

    page = (tmp_path / "report.html").read_text()
    assert act.sentence in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert 'src="http' not in page
    assert "1 of 1 sentences" in page


def test_act_without_a_passed_check_has_not_succeeded():
    act = ACTS[0]

    assert not Played(act, Watched()).succeeded
    assert not Played(act, Watched(), checks=[Check("", True), Check("", False)]).succeeded
    assert not Played(act, Watched(), error="no", checks=[Check("", True)]).succeeded


def test_spoken_sentence_is_there():
    samples = read_sound(sound_file())

    assert 2 * RATE < len(samples) < 10 * RATE
    assert max(map(abs, samples)) > 1000


def test_what_is_missing_is_said_before_anything_starts(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "roborefer_bringup.demo.main", "--out", str(tmp_path / "out"),
         "--server-python", "/no/python"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ran.returncode == 2
    assert "make setup" in ran.stdout
    assert not (tmp_path / "out").exists()
