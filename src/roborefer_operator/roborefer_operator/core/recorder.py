# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes records of tasks and samples of corrections, in a thread of its own.

Whoever tells it something only puts it into a queue. What cannot be written is said once in the
log, and the robot goes on.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from roborefer_common.core.pictures import RawPicture

from roborefer_operator.core.pictures import Frame, color_png, depth_png, jpeg
from roborefer_operator.core.ports import Reference
from roborefer_operator.core.record_events import Details, Shot, events, shot_of
from roborefer_operator.core.records import EVENTS, PAGE, prune, write_page
from roborefer_operator.core.samples import PictureFiles, Sample, SampleStore, write_whole
from roborefer_operator.core.tasks import TaskRun
from roborefer_operator.exceptions import OperatorError, Reason, TaskFailure

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_MOST_QUEUED = 500
# What is remembered for corrections: references, and pictures in memory.
_MOST_REFERENCES, _MOST_PICTURES, _MOST_TASKS = 500, 30, 100
_MOST_ANNOTATED = 8


@dataclass(frozen=True)
class RecorderSettings:
    """What is kept, and where.

    Attributes:
        records: Folder of the records; None keeps none.
        samples: Folder of the samples; None keeps none.
        most: Records that are kept.
    """

    records: Path | None = None
    samples: Path | None = None
    most: int = 1000


@dataclass(eq=False)
class _Record:
    folder: Path
    shot: Shot | None = None


@dataclass(frozen=True)
class _Known:
    """What a correction needs of a reference."""

    reference: Reference
    task_id: str


class Recorder:
    """Takes what happens from any thread, and writes it when there is time."""

    def __init__(
        self,
        settings: RecorderSettings,
        frame_at: Callable[[int], Frame | None] = lambda stamp_ns: None,
        details: Details = lambda reference: {},
        complain: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Begin; folders are made when there is something to write.

        Args:
            settings: What is kept, and where.
            frame_at: Returns what the camera saw at a stamp, if that is still known.
            details: What else is known of a reference, as plain data.
            complain: Called with one sentence when writing begins to fail.
        """
        self._settings, self._frame_at = settings, frame_at
        self._details, self._complain = details, complain
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(_MOST_QUEUED)
        self._samples = SampleStore(settings.samples) if settings.samples else None
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._answers: OrderedDict[str, int] = OrderedDict()
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._pictures: OrderedDict[int, PictureFiles] = OrderedDict()
        self._annotated: OrderedDict[int, RawPicture] = OrderedDict()
        self._shown: OrderedDict[int, tuple[Path, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._failing = self._full = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    # --- told by others; never blocks ---------------------------------------------------------
    def told(self, task: TaskRun) -> None:
        """Take a task as it stands; it must not change during this call."""
        candidates = task.question.candidates if task.question is not None else ()
        found = [step.reference for step in task.steps if step.reference is not None]
        for reference in (*found, *candidates):
            self.found(reference, task.id)
        shot = shot_of(task, self._details)
        self._put(lambda: self._write_shot(shot))
        answered = self._answers.get(task.id, 0)
        for answer in task.answers[answered:]:
            candidates = answer.question.candidates
            if answer.question.kind.name == "WHICH" and candidates:
                number = answer.reply.candidate
                if answer.pixel is not None:
                    self._learn(candidates[0], answer.pixel, "click", task.id)
                elif 1 <= number <= len(candidates):
                    chosen = candidates[number - 1]
                    self._learn(chosen, chosen.pixel, "number", task.id)
        _remember(self._answers, task.id, len(task.answers), _MOST_TASKS)
        if task.state.name == "SUCCEEDED" and task.corrects is not None and not task.plan_only:
            self._learn_from_words(task, task.corrects)

    def found(self, reference: Reference, task_id: str = "") -> None:
        """Take a reference that was found; its pictures are kept for corrections."""
        with self._lock:
            if self._seen.get(reference.id) == reference.stamp_ns:
                return
            _remember(self._seen, reference.id, reference.stamp_ns, _MOST_REFERENCES)
        frame = self._frame_at(reference.stamp_ns)
        self._put(lambda: self._keep(reference, frame, task_id))

    def annotated(self, picture: RawPicture) -> None:
        """Take the picture with a reference drawn on it."""
        self._put(lambda: self._write_annotated(picture))

    def correct(self, sample: Sample) -> Future[str]:
        """Save what was really meant; the words, if empty, are those of the reference.

        Returns:
            The name of the sample, or TaskFailure: UNKNOWN_ID, STAMP_NOT_KEPT, NOT_SUPPORTED,
            INVALID_GOAL, QUEUE_FULL, INTERNAL_ERROR.
        """
        future: Future[str] = Future()

        def save() -> None:
            try:
                future.set_result(self._save(sample))
            except TaskFailure as error:
                future.set_exception(error)
            except (OSError, OperatorError) as error:
                said = f"the sample cannot be saved: {error}"
                future.set_exception(TaskFailure(Reason.INTERNAL_ERROR, said))

        if not self._put(save):
            said = "too much waits to be written; try again"
            future.set_exception(TaskFailure(Reason.QUEUE_FULL, said))
        return future

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, as far as there is time, and end; calling it twice is allowed."""
        with contextlib.suppress(queue.Full):
            self._jobs.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        # What is not written by now is lost, but no thread is left behind.
        self._over.set()
        self._thread.join(timeout_s)

    def _learn(
        self, reference: Reference, pixel: tuple[float, float], how: str, task_id: str
    ) -> None:
        if self._samples is not None and reference.words:
            self._put(
                lambda: self._learnt(
                    Sample(reference.words, pixel, how, reference.id, task_id, reference.kind)
                )
            )

    def _learn_from_words(self, task: TaskRun, wrong: TaskRun) -> None:
        """Learn from "no, the left one" what the first words meant, where that was found."""
        rights = [step for step in task.steps if not step.back]
        for was, now in zip(
            [s for s in wrong.steps if not s.back][-len(rights) :], rights, strict=False
        ):
            if was.verb is now.verb and was.phrase != now.phrase and now.reference is not None:
                found = now.reference
                sample = Sample(was.phrase, found.pixel, "words", found.id, task.id, found.kind)
                self._put(lambda sample=sample: self._learnt(sample))  # type: ignore[misc]

    def _put(self, job: Callable[[], None]) -> bool:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            if not self._full:
                self._complain("records are written too slowly; some of what happens is lost")
            self._full = True
            return False
        self._full = False
        return True

    # --- done by the thread -------------------------------------------------------------------
    def _write(self) -> None:
        while (job := self._jobs.get()) is not None and not self._over.is_set():
            try:
                job()
            except (OSError, OperatorError, TypeError, ValueError) as error:
                if not self._failing:
                    self._complain(
                        f"records cannot be written ({error}); the robot goes on without them."
                        " Free space, or set records.folder to a folder that can be written"
                    )
                self._failing = True

    def _write_shot(self, shot: Shot) -> None:
        root = self._settings.records
        if root is None:
            return
        record = self._records.get(shot["task"])
        if record is None:
            # To the millisecond, so that names are in the order of time.
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
            record = _Record(root / f"{stamp}-{_safe(shot['task'])}")
            _remember(self._records, shot["task"], record, _MOST_TASKS)
        elif record.shot is not None and not record.folder.is_dir():
            # Removed for younger ones, or by a person.
            return
        lines = events(record.shot, shot)
        record.folder.mkdir(parents=True, exist_ok=True)
        _append(record.folder / EVENTS, lines)
        record.shot = shot
        for step in shot["steps"]:
            self._write_pictures(record, step["reference"])
        for candidate in (shot["question"] or {}).get("candidates", ()):
            self._write_pictures(record, candidate)
        if shot["ended"]:
            write_page(record.folder)
            prune(root, self._settings.most)
        self._failing = False

    def _write_pictures(self, record: _Record, reference: Shot | None) -> None:
        """Write raw and annotated pictures of a reference, once each."""
        if reference is None:
            return
        stamp_ns = int(reference["stamp_ns"])
        name = f"{stamp_ns}-{_safe(reference['id'])}"
        files = self._pictures.get(stamp_ns)
        color = record.folder / f"{stamp_ns}-color.png"
        if files is not None and not color.exists():
            write_whole(color, files.color)
            if files.depth is not None:
                write_whole(record.folder / f"{stamp_ns}-depth.png", files.depth)
        if stamp_ns not in self._shown:
            _remember(self._shown, stamp_ns, (record.folder, name), _MOST_REFERENCES)
            if stamp_ns in self._annotated:
                self._draw(record.folder, name, self._annotated[stamp_ns])

    def _write_annotated(self, picture: RawPicture) -> None:
        _remember(self._annotated, picture.stamp_ns, picture, _MOST_ANNOTATED)
        if picture.stamp_ns in self._shown:
            folder, name = self._shown[picture.stamp_ns]
            if folder.is_dir():
                self._draw(folder, name, picture)
            if (folder / PAGE).exists():
                write_page(folder)

    def _draw(self, folder: Path, name: str, picture: RawPicture) -> None:
        write_whole(folder / f"{name}-annotated.jpg", jpeg(picture))

    def _keep(self, reference: Reference, frame: Frame | None, task_id: str) -> None:
        _remember(self._known, reference.id, _Known(reference, task_id), _MOST_REFERENCES)
        if frame is None or reference.stamp_ns in self._pictures:
            return
        depth = depth_png(frame.depth) if frame.depth is not None else None
        files = PictureFiles(
            (frame.color.width, frame.color.height), color_png(frame.color), depth
        )
        _remember(self._pictures, reference.stamp_ns, files, _MOST_PICTURES)

    def _learnt(self, sample: Sample) -> None:
        """Save a sample that nobody waits for; without its picture there is none to save."""
        try:
            self._save(sample)
        except TaskFailure as error:
            if error.reason is not Reason.STAMP_NOT_KEPT:
                raise

    def _save(self, sample: Sample) -> str:
        if self._samples is None:
            raise TaskFailure(
                Reason.NOT_SUPPORTED, "no samples are kept; set records.folder or samples.folder"
            )
        known = self._known.get(sample.reference_id)
        if known is None:
            raise TaskFailure(
                Reason.UNKNOWN_ID, f"there is no reference '{sample.reference_id}' (any more)"
            )
        reference = known.reference
        files = self._pictures.get(reference.stamp_ns)
        if files is None:
            raise TaskFailure(
                Reason.STAMP_NOT_KEPT,
                "the picture of that reference is not kept; correct it sooner, or look whether"
                " camera/color/image_raw comes",
            )
        words = sample.words or reference.words
        if not words:
            raise TaskFailure(
                Reason.INVALID_GOAL, "that reference was a click and has no words; say what it is"
            )
        if sample.pixel is not None:
            (u, v), (width, height) = sample.pixel, files.size
            if not (-0.5 <= u <= width - 0.5 and -0.5 <= v <= height - 0.5):
                raise TaskFailure(
                    Reason.INVALID_GOAL,
                    f"pixel ({u:g}, {v:g}) lies outside the picture of {width} x {height}",
                )
        whole = Sample(
            words, sample.pixel, sample.how, sample.reference_id,
            sample.task_id or known.task_id, sample.kind or reference.kind, sample.note,
        )  # fmt: skip
        return self._samples.add(whole, files)


def _append(path: Path, lines: list[Shot]) -> None:
    """Append lines, all of them or none."""
    data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with path.open("ab") as file:
        size = file.tell()
        try:
            file.write(data.encode())
            file.flush()
        except OSError:
            file.truncate(size)
            raise


def _remember(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    """Keep a value, and forget the oldest ones beyond the most."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


def _safe(name: str) -> str:
    """Return a name that is good for a file."""
    return re.sub(r"[^0-9A-Za-z]+", "-", name)[:40].strip("-") or "none"
