# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Records of tasks and samples of corrections, without any ROS."""

import json
import re
import threading

import cv2
import numpy as np
import pytest
from roborefer_common.core.pictures import RawPicture
from roborefer_operator.core import records
from roborefer_operator.core.executive import Executive
from roborefer_operator.core.language.replies import ReplyKind
from roborefer_operator.core.pictures import Frame, color_png, depth_png
from roborefer_operator.core.recorder import Recorder, RecorderSettings
from roborefer_operator.core.samples import FORMAT, Sample
from roborefer_operator.core.tasks import TaskState
from roborefer_operator.exceptions import PictureError, Reason, RecordError, TaskFailure
from words_bench import Bench

W, H = 640, 480


def raw(pixels, encoding, stamp_ns=0):
    rows, columns = pixels.shape[:2]
    return RawPicture(
        columns, rows, encoding, pixels.strides[0], False, pixels.tobytes(), stamp_ns
    )


def frame_at(stamp_ns):
    rgb = np.full((H, W, 3), (10, 200, 30), np.uint8)
    depth = np.full((H, W), 1.25, np.float32)
    depth[0, 0] = np.nan
    return Frame(raw(rgb, "rgb8", stamp_ns), raw(depth, "32FC1", stamp_ns))


class Recorded(Bench):
    """A bench whose tasks are recorded."""

    def __init__(self, root, most=1000, frames=frame_at):
        super().__init__()
        self.root, self.complaints = root, []
        self.recorder = Recorder(
            RecorderSettings(root, root / "samples", most),
            frames,
            lambda reference: {"reasoning": ["<b>because</b>"]},
            self.complaints.append,
        )
        # References are told apart by their ids, which a world of words does not make.
        self.executive = Executive(self.world, changed=self.recorder.told)

    def done(self):
        self.recorder.close()
        return sorted(path for path in self.root.glob("2*"))

    def samples(self, name="samples.json"):
        return json.loads((self.root / "samples" / name).read_text())


@pytest.fixture
def bench(tmp_path):
    made = Recorded(tmp_path)
    yield made
    made.recorder.close()


def events(folder, name):
    return [line for line in records.read_record(folder) if line["event"] == name]


def test_a_task_leaves_everything_that_happened(bench):
    bench.run("put the red mug left of the plate")

    (folder,) = bench.done()

    assert re.fullmatch(r"\d{8}T\d{9}-[0-9a-f]{12}", folder.name)
    names = [line["event"] for line in records.read_record(folder)]
    assert names[:2] == ["accepted", "words"]
    assert names[-1] == "ended"
    (read,) = events(folder, "read")
    assert read["reading"]["steps"] == [["pick", "the red mug"], ["place", "left of the plate"]]
    found = events(folder, "reference")[0]["reference"]
    assert (found["label"], found["pixel"]) == ("red mug", [100.0, 100.0])
    assert found["position"] == [0.1, 0.1, 0.08]
    assert found["reasoning"] == ["<b>because</b>"]
    end = events(folder, "ended")[0]
    assert (end["state"], end["code"], end["steps_done"]) == ("succeeded", 0, 2)
    assert end["at_s"] > 0


def test_pictures_are_those_of_the_reference_without_loss(bench):
    bench.run("pick the red mug")

    (folder,) = bench.done()

    (color,) = folder.glob("*-color.png")
    (depth,) = folder.glob("*-depth.png")
    assert color.name.startswith(str(events(folder, "reference")[0]["reference"]["stamp_ns"]))
    assert cv2.imread(str(color))[5, 5].tolist() == [30, 200, 10]
    millimetres = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    assert millimetres.dtype == np.uint16
    assert (millimetres[0, 0], millimetres[1, 1]) == (0, 1250)


def test_the_page_shows_all_and_runs_nothing(bench):
    task = bench.run("find the plate")
    stamp_ns = task.steps[0].reference.stamp_ns
    bench.recorder.annotated(raw(np.zeros((H, W, 3), np.uint8), "bgr8", stamp_ns))

    (folder,) = bench.done()

    page = (folder / records.PAGE).read_text()
    assert "find the plate" in page
    assert "data:image/jpeg;base64," in page
    assert "&lt;b&gt;because" in page
    assert "<b>because" not in page
    assert "http" not in page
    assert "<script" not in page


def test_questions_and_answers_are_recorded(bench):
    task = bench.run("pick the mug")
    bench.answer(task, ReplyKind.CANDIDATE, candidate=2)
    bench.until(task, lambda t: t.state.ended)

    (folder,) = bench.done()

    (question,) = events(folder, "question")
    (answer,) = events(folder, "answer")
    assert [c["label"] for c in question["candidates"]] == ["blue mug", "red mug"]
    assert (answer["kind"], answer["candidate"]) == ("candidate", 2)
    assert answer["question"] == question["id"]


def test_only_the_newest_records_are_kept_and_nothing_else_is_removed(tmp_path):
    for number in range(5):
        (tmp_path / f"20200101T00000{number}000-abc{number}").mkdir()
    (tmp_path / "notes").mkdir()
    bench = Recorded(tmp_path, most=3)
    bench.run("find the plate")

    bench.done()

    kept = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert kept[:2] == ["20200101T000003000-abc3", "20200101T000004000-abc4"]
    assert kept[3:] == ["notes"]


def test_a_folder_that_cannot_be_written_is_said_once_and_the_robot_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    bench = Recorded(tmp_path / "file")
    tasks = [bench.run("find the plate") for _ in range(3)]
    bench.recorder.close()

    assert [task.state for task in tasks] == [TaskState.SUCCEEDED] * 3
    assert len(bench.complaints) == 1
    assert "records.folder" in bench.complaints[0]


def test_a_slow_disk_holds_up_no_tick(tmp_path, monkeypatch):
    release = threading.Event()
    bench = Recorded(tmp_path, frames=lambda stamp_ns: None)
    monkeypatch.setattr(bench.recorder, "_write_shot", lambda shot: release.wait(20.0))

    tasks = [bench.run("find the plate") for _ in range(200)]
    release.set()
    bench.recorder.close()

    assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
    assert len(bench.complaints) == 1
    assert "too slowly" in bench.complaints[0]


# --- the commands ---------------------------------------------------------------------------
def test_show_prints_the_timeline(bench, capsys):
    bench.run("find the plate")
    (folder,) = bench.done()

    assert records.main(["show", str(folder)]) == 0

    shown = capsys.readouterr().out
    assert "refer 'the plate'" in shown
    assert "succeeded, code 0" in shown


def test_replay_notices_sentences_that_are_now_read_otherwise(bench, capsys):
    bench.run("put the red mug left of the plate")
    bench.run("undo")
    bench.run("no, the blue mug")
    folders = bench.done()
    same = records.main(["replay", str(bench.root)])
    path = folders[0] / records.EVENTS
    path.write_text(path.read_text().replace('["pick", "the red mug"]', '["pick", "the mug"]'))
    other = records.main(["replay", str(bench.root)])

    assert (same, other) == (0, 1)
    printed = capsys.readouterr().out
    assert "0 sentences" in printed
    assert "was read as: pick 'the mug'" in printed


def test_replay_notices_sentences_that_are_now_refused(bench, monkeypatch, capsys):
    bench.run("find the plate")
    bench.done()

    def refuse(sentence, context):
        raise TaskFailure(Reason.NOT_UNDERSTOOD, "no known verb")

    monkeypatch.setattr(records, "read", refuse)

    assert records.main(["replay", str(bench.root)]) == 1
    assert "would now be refused" in capsys.readouterr().out


def test_what_is_no_record_is_named(tmp_path, capsys):
    assert records.main(["show", str(tmp_path)]) == 2
    assert "holds no record" in capsys.readouterr().err


def test_a_line_that_was_cut_off_is_left_out_and_a_broken_one_named(tmp_path):
    path = tmp_path / records.EVENTS
    whole = '{"at_s": 0.0, "event": "accepted"}\n'
    path.write_text(whole + '{"at_s": 1')
    assert len(records.read_record(tmp_path)) == 1
    path.write_text("nonsense\n" + whole)
    with pytest.raises(RecordError, match="line 1"):
        records.read_record(tmp_path)


# --- samples --------------------------------------------------------------------------------
def test_a_choice_among_candidates_becomes_a_sample(bench):
    task = bench.run("pick the mug")
    bench.answer(task, ReplyKind.CANDIDATE, candidate=1)
    bench.until(task, lambda t: t.state.ended)
    bench.done()

    (sample,) = bench.samples()

    assert sample["conversations"] == [
        {"from": "human", "value": f"<image>\nthe mug{FORMAT}"},
        {"from": "gpt", "value": "[(0.470, 0.209)]"},
    ]
    assert sample["correction"]["how"] == "number"
    for kind in ("image", "depth"):
        (name,) = sample[kind]
        assert (bench.root / "samples" / kind / name).is_file()


def test_a_click_is_where_the_person_clicked(bench):
    task = bench.run("pick the mug")
    bench.answer(task, ReplyKind.PIXEL, pixel=(300.0, 100.0))
    bench.until(task, lambda t: t.state.ended)
    bench.done()

    (sample,) = bench.samples()

    assert sample["correction"]["how"] == "click"
    assert sample["conversations"][1]["value"] == "[(0.470, 0.209)]"


def test_a_spoken_correction_is_learnt_once_it_succeeded(bench):
    bench.run("pick the red mug")
    bench.world.fail = lambda what, number: None
    bench.run("no, the blue mug")
    bench.done()

    (sample,) = bench.samples()

    assert sample["correction"]["how"] == "words"
    assert sample["conversations"][0]["value"].startswith("<image>\nthe red mug")
    assert sample["conversations"][1]["value"] == "[(0.470, 0.209)]"


def test_a_correction_that_failed_teaches_nothing(bench):
    bench.run("pick the red mug")
    from roborefer_operator.core.ports import Outcome

    bench.world.fail = lambda what, number: Outcome(272, "unsafe") if what == "pick" else None
    bench.run("no, the blue mug")
    bench.done()

    assert not (bench.root / "samples").exists()


def test_samples_of_one_picture_share_its_files(bench):
    task = bench.run("find the plate")
    reference = task.steps[0].reference
    names = {
        bench.recorder.correct(Sample("", (u, 20.0), "service", reference.id)).result(5.0)
        for u in (10.0, 20.0)
    }
    nothing = bench.recorder.correct(Sample("the cup", None, "service", reference.id)).result(5.0)
    bench.done()

    kept = bench.samples()
    assert {sample["id"] for sample in kept} == names | {nothing}
    assert kept[0]["conversations"][0]["value"] == f"<image>\nthe plate{FORMAT}"
    assert kept[2]["conversations"][1]["value"] == "[]"
    assert len(list((bench.root / "samples" / "image").iterdir())) == 1


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (Sample("the mug", (1.0, 1.0), "service", "nobody"), Reason.UNKNOWN_ID),
        (Sample("the mug", (640.0, 1.0), "service", "plate"), Reason.INVALID_GOAL),
    ],
)
def test_a_correction_that_cannot_be_used_is_refused(bench, sample, reason):
    bench.run("find the plate")

    with pytest.raises(TaskFailure) as refused:
        bench.recorder.correct(sample).result(5.0)

    assert refused.value.reason is reason


def test_without_its_picture_a_reference_cannot_be_corrected(tmp_path):
    bench = Recorded(tmp_path, frames=lambda stamp_ns: None)
    bench.run("find the plate")

    with pytest.raises(TaskFailure) as refused:
        bench.recorder.correct(Sample("", (1.0, 1.0), "service", "plate")).result(5.0)

    assert refused.value.reason is Reason.STAMP_NOT_KEPT
    assert bench.done()


def test_samples_without_depth_stand_apart(tmp_path):
    bench = Recorded(tmp_path, frames=lambda stamp_ns: Frame(frame_at(stamp_ns).color))
    bench.run("find the plate")
    bench.recorder.correct(Sample("", (1.0, 1.0), "service", "plate")).result(5.0)
    bench.done()

    assert "depth" not in bench.samples("samples_rgb.json")[0]


def test_a_file_of_samples_that_is_none_is_left_as_it_is(bench):
    folder = bench.root / "samples"
    folder.mkdir()
    (folder / "samples.json").write_text("{broken")
    bench.run("find the plate")

    with pytest.raises(TaskFailure, match="move it away"):
        bench.recorder.correct(Sample("", (1.0, 1.0), "service", "plate")).result(5.0)

    assert (folder / "samples.json").read_text() == "{broken"


# --- pictures -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("encoding", "pixel", "expected"),
    [
        ("rgb8", (1, 2, 3), [3, 2, 1]),
        ("bgr8", (1, 2, 3), [1, 2, 3]),
        ("rgba8", (1, 2, 3, 255), [3, 2, 1]),
        ("bgra8", (1, 2, 3, 255), [1, 2, 3]),
        ("mono8", (7,), [7, 7, 7]),
    ],
)
def test_colours_come_out_as_they_went_in(encoding, pixel, expected):
    picture = raw(np.full((4, 6, len(pixel)), pixel, np.uint8), encoding)

    data = np.frombuffer(color_png(picture), np.uint8)

    assert cv2.imdecode(data, cv2.IMREAD_COLOR)[2, 2].tolist() == expected


def test_depth_in_millimetres_is_kept_with_padding_and_either_byte_order():
    values = np.arange(12, dtype=">u2").reshape(3, 4)
    padded = b"".join(row.tobytes() + b"xx" for row in values)

    data = depth_png(RawPicture(4, 3, "16UC1", 10, True, padded))

    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found.tolist() == values.tolist()


def test_pictures_that_are_not_what_they_say_are_refused():
    with pytest.raises(PictureError, match="has 5 bytes"):
        color_png(RawPicture(4, 3, "rgb8", 12, False, b"12345"))
    with pytest.raises(PictureError, match="nv21"):
        color_png(RawPicture(1, 1, "nv21", 1, False, b"1"))
    with pytest.raises(PictureError, match="8UC1"):
        depth_png(RawPicture(1, 1, "8UC1", 1, False, b"1"))
