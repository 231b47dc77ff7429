# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Records, corrections and speech through the node."""

import json
import uuid

import numpy as np
import pytest
from roborefer_common.core.pictures import RawPicture
from roborefer_operator.core import records
from roborefer_operator.core.ports import Heard
from roborefer_operator.exceptions import Reason, TaskFailure
from roborefer_operator.nodes.recording import Frames
from unique_identifier_msgs.msg import UUID

from roborefer_msgs.msg import ErrorCode, Pixel, Question, TaskStatus
from roborefer_msgs.srv import CorrectReference, GetTasks, Instruct

SOUND = [0] * 16000


def ended(status):
    return status.state >= TaskStatus.SUCCEEDED


def test_a_task_leaves_a_record_with_its_pictures(start, tmp_path):
    with start(**{"records.folder": str(tmp_path)}) as bench:
        bench.call(Instruct, "instruct", text="pick the red mug")
        status = bench.until(ended)
        bench.executive.trigger_deactivate()
        bench.executive.trigger_cleanup()

    (folder,) = records.kept_in(tmp_path)
    lines = records.read_record(folder)
    found = next(line["reference"] for line in lines if line["event"] == "reference")
    assert folder.name.endswith(status.task_id)
    assert found["model"] == "mock"
    assert found["image_size"] == [640, 480]
    stamps = {path.name.partition("-")[0] for path in folder.glob("*.*g")}
    assert stamps == {str(found["stamp_ns"])}
    assert len(list(folder.glob("*-color.png"))) == len(list(folder.glob("*-depth.png"))) == 1
    assert list(folder.glob("*-annotated.jpg"))
    assert "pick the red mug" in (folder / records.PAGE).read_text()
    assert records.main(["replay", str(tmp_path)]) == 0


def test_a_correction_is_saved_and_named(start, tmp_path):
    with start(**{"samples.folder": str(tmp_path)}) as bench:
        bench.call(Instruct, "instruct", text="find the plate")
        reference = bench.until(ended).steps[0].reference
        saved = bench.call(
            CorrectReference, "correct_reference", reference_id=reference.id, in_image=True,
            pixel=Pixel(u=63.5, v=47.5), note="that one",
        )  # fmt: skip
        unknown = bench.call(
            CorrectReference, "correct_reference",
            reference_id=UUID(uuid=list(uuid.uuid4().bytes)), in_image=True,
        )  # fmt: skip
        no_pixel = bench.call(
            CorrectReference, "correct_reference", reference_id=reference.id, in_image=True,
            pixel=Pixel(u=float("nan"), v=0.0),
        )  # fmt: skip

    assert saved.accepted, saved.error_msg
    (sample,) = json.loads((tmp_path / "samples.json").read_text())
    assert sample["id"] == saved.sample_id
    assert sample["conversations"][1]["value"] == "[(0.100, 0.100)]"
    assert sample["correction"]["note"] == "that one"
    assert (unknown.accepted, unknown.error_code) == (False, ErrorCode.TASK_UNKNOWN_ID)
    assert (no_pixel.accepted, no_pixel.error_code) == (False, ErrorCode.INVALID_GOAL)


def test_without_a_folder_a_correction_is_refused_with_what_to_set(start):
    with start() as bench:
        answer = bench.call(CorrectReference, "correct_reference", in_image=True)

    assert (answer.accepted, answer.error_code) == (False, ErrorCode.TASK_NOT_SUPPORTED)
    assert "records.folder" in answer.error_msg


def test_a_folder_that_cannot_be_written_stops_no_task(start, tmp_path):
    (tmp_path / "file").write_text("")
    with start(**{"records.folder": str(tmp_path / "file")}) as bench:
        bench.call(Instruct, "instruct", text="pick the red mug")
        status = bench.until(ended)

    assert status.state == TaskStatus.SUCCEEDED


# --- speech ---------------------------------------------------------------------------------
def test_sound_is_answered_at_once_and_becomes_the_task_that_was_said(start):
    heard = []

    def hear(samples):
        heard.append(samples)
        return Heard("pick the plate", 0.9)

    with start(hear=hear) as bench:
        answer = bench.call(Instruct, "instruct", audio=SOUND)
        first = bench.until(lambda s: s.task_id == answer.task_id)
        last = bench.until(ended)

    assert answer.accepted
    assert first.task_id == last.task_id
    assert (last.instruction, last.source) == ("pick the plate", TaskStatus.SPOKEN)
    assert last.words_confidence == pytest.approx(0.9)
    assert last.state == TaskStatus.SUCCEEDED
    assert (heard[0].dtype, len(heard[0])) == (np.int16, 16000)


def test_a_spoken_answer_reaches_the_question(start):
    with start(hear=lambda samples: Heard("the left one", 0.9)) as bench:
        bench.call(Instruct, "instruct", text="pick the mug")
        bench.until(lambda s: s.question.kind == Question.WHICH)
        bench.call(Instruct, "instruct", audio=SOUND)
        bench.until(lambda s: s.instruction == "pick the mug" and ended(s))

    assert bench.world.held == "red mug"


@pytest.mark.parametrize("count", [10, 16000 * 61])
def test_sound_that_can_be_no_sentence_is_refused(start, count):
    with start(hear=lambda samples: Heard("", 0.0)) as bench:
        answer = bench.call(Instruct, "instruct", audio=[0] * count)

    assert (answer.accepted, answer.error_code) == (False, ErrorCode.SPEECH_INVALID_AUDIO)


def test_without_recogniser_sound_is_refused(start):
    with start() as bench:
        answer = bench.call(Instruct, "instruct", audio=SOUND)

    assert (answer.accepted, answer.error_code) == (False, ErrorCode.SPEECH_ENGINE_UNAVAILABLE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TaskFailure(Reason.NO_AUDIO, "silence"), ErrorCode.SPEECH_NO_AUDIO),
        (MemoryError("no room"), ErrorCode.SPEECH_ENGINE_UNAVAILABLE),
    ],
)
def test_a_recogniser_that_fails_ends_the_task_with_its_code(start, error, code):
    def hear(samples):
        raise error

    with start(hear=hear) as bench:
        bench.call(Instruct, "instruct", audio=SOUND)
        status = bench.until(ended)
        after = bench.call(Instruct, "instruct", text="find the plate")
        tasks = bench.call(GetTasks, "get_tasks").tasks

    assert status.error_code == code
    assert str(error) in status.error_msg
    assert after.accepted
    assert len(tasks) == 2


# --- the ring of pictures -------------------------------------------------------------------
def picture(stamp_ns):
    return RawPicture(1, 1, "mono8", 1, False, b"0", stamp_ns)


def test_pictures_that_are_looked_at_are_not_pushed_out():
    looking = []
    frames = Frames(2, lambda: bool(looking))
    for stamp in (1, 2):
        frames.add(picture(stamp), is_depth=False)
    looking.append(True)
    frames.add(picture(3), is_depth=False)
    kept = frames.at(1)
    looking.clear()
    frames.add(picture(4), is_depth=False)

    assert kept.color.stamp_ns == 1
    assert frames.at(1) is None
    assert frames.at(3) is None
    assert frames.at(4) is not None


def test_colour_is_found_by_its_stamp_and_depth_near_it():
    frames = Frames(5, lambda: False)
    frames.add(picture(100_000_000), is_depth=False)
    frames.add(picture(110_000_000), is_depth=True)
    frames.add(picture(900_000_000), is_depth=False)

    assert frames.at(100_000_000).depth.stamp_ns == 110_000_000
    assert frames.at(900_000_000).depth is None
    assert frames.at(110_000_000) is None
