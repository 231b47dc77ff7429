# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A node that watches: pictures of the camera, tasks, and the pictures of the referrer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from lifecycle_msgs.srv import GetState
from rclpy.node import Node
from roborefer_common.qos import EVENT, LATCHED, SENSOR_IN
from roborefer_common.times import nanoseconds
from sensor_msgs.msg import Image

from roborefer_msgs.msg import ErrorCode, Phase, Question, TaskStatus, TaskStep

_NS = 1e9
_JPEG = (int(cv2.IMWRITE_JPEG_QUALITY), 90)
_PHASES = (
    "WAITING", "GETTING_IMAGE", "ASKING_MODEL", "LOCATING", "CHECKING", "CHOOSING", "PLANNING",
    "MOVING", "APPROACHING", "GRASPING", "LIFTING", "RELEASING", "RETREATING", "VERIFYING",
    "STOPPING", "UNDERSTANDING", "ASKING_PERSON", "EXECUTING", "LOOKING_AGAIN", "DONE",
)  # fmt: skip
PHASES = {getattr(Phase, name): name.lower().replace("_", " ") for name in _PHASES}
STATES = {
    getattr(TaskStatus, name): name.lower().replace("_", " ")
    for name in (
        "QUEUED", "UNDERSTANDING", "RUNNING", "ASKING", "STOPPING", "SUCCEEDED", "PARTLY_DONE",
        "FAILED", "CANCELED",
    )
}  # fmt: skip
_VERBS = {
    TaskStep.REFER: "find {}", TaskStep.PICK: "pick {}", TaskStep.PLACE: "put it {}",
    TaskStep.GO_TO: "go to {}", TaskStep.HAND_OVER: "hand it over",
}  # fmt: skip


def words_of(step: TaskStep) -> str:
    """Return a step in words."""
    return _VERBS[step.verb].format(step.phrase).strip()


@dataclass(frozen=True)
class Line:
    """One step as it is shown.

    Attributes:
        state: Constant of TaskStep.
        words: What is to be done.
    """

    state: int
    words: str


@dataclass(frozen=True)
class Caption:
    """What is shown beside a frame.

    Attributes:
        title: Of the act.
        said: What people said, in order.
        steps: Of the task in work.
        phase: What the robot does, in words.
        reasoning: Of the place in work, line by line.
        pixel: Of that place, or None.
        note: How the task stands.
    """

    title: str = ""
    said: tuple[str, ...] = ()
    steps: tuple[Line, ...] = ()
    phase: str = ""
    reasoning: tuple[str, ...] = ()
    pixel: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of the camera.

    Attributes:
        stamp_s: When it was taken, simulated seconds.
        jpeg: The picture.
        caption: What goes with it.
    """

    stamp_s: float
    jpeg: bytes
    caption: Caption


@dataclass(eq=False)
class Watched:
    """What was seen during one act.

    Attributes:
        said: What people said, in order.
        tasks: The newest status of each task, by its name, in order.
        pictures: Annotated pictures (JPEG), in order.
    """

    title: str = ""
    said: list[str] = field(default_factory=list)
    tasks: dict[str, TaskStatus] = field(default_factory=dict)
    pictures: list[bytes] = field(default_factory=list)


class Witness(Node):
    """Subscribes to the camera, `task_status` and `reference_image`; publishes nothing."""

    def __init__(self, every_s: float = 0.3, **kwargs: Any) -> None:
        """Listen.

        Args:
            every_s: Between two frames that are kept, simulated seconds.
            kwargs: As of the base class.
        """
        super().__init__("demo", **kwargs)
        self._every_s = every_s
        self.frames: list[Frame] = []
        self.act = Watched()
        self.filming = False
        self._stamp_s = float("-inf")
        self.news = threading.Condition()
        self.create_subscription(Image, "camera/color/image_raw", self._on_image, SENSOR_IN)
        self.create_subscription(Image, "reference_image", self._on_annotated, EVENT)
        self.create_subscription(TaskStatus, "task_status", self._on_task, LATCHED)

    def begin(self, title: str) -> Watched:
        """Begin a new act."""
        with self.news:
            self.act = Watched(title)
            return self.act

    def until(self, wanted: Callable[[], Any], timeout_s: float) -> Any:
        """Wait until something is true; looked at whenever there is news.

        Returns:
            What `wanted` returned last.
        """
        with self.news:
            return self.news.wait_for(wanted, timeout_s)

    def linger(self, frames: int, timeout_s: float = 10.0) -> None:
        """Film some frames more, which show how it ended."""
        wanted = len(self.frames) + frames
        self.until(lambda: len(self.frames) >= wanted, timeout_s)

    @property
    def sees(self) -> bool:
        """Whether a picture has come."""
        return self._stamp_s > float("-inf")

    def state_of(self, name: str) -> str:
        """Return the state of a lifecycle node; "" when it does not answer soon."""
        client = self.create_client(GetState, f"{name}/get_state")
        try:
            if not client.wait_for_service(0.5):
                return ""
            done = threading.Event()
            future = client.call_async(GetState.Request())
            future.add_done_callback(lambda _: done.set())
            return str(future.result().current_state.label) if done.wait(2.0) else ""
        finally:
            self.destroy_client(client)

    # --- callbacks ----------------------------------------------------------------------------
    def _on_image(self, message: Image) -> None:
        stamp_s = nanoseconds(message.header.stamp) / _NS
        with self.news:
            if not self.sees:
                self.news.notify_all()
            if stamp_s < self._stamp_s + self._every_s and stamp_s >= self._stamp_s:
                return
            self._stamp_s = stamp_s
            if not self.filming:
                return
            caption = self._caption()
        frame = Frame(stamp_s, _jpeg_of(message), caption)
        with self.news:
            self.frames.append(frame)
            self.news.notify_all()

    def _on_annotated(self, message: Image) -> None:
        picture = _jpeg_of(message)
        with self.news:
            self.act.pictures.append(picture)

    def _on_task(self, message: TaskStatus) -> None:
        with self.news:
            self.act.tasks[message.task_id] = message
            self.news.notify_all()

    def _caption(self) -> Caption:
        act = self.act
        title, said = act.title, tuple(act.said)
        if not act.tasks:
            return Caption(title, said)
        tasks = list(act.tasks.values())
        task = next((t for t in reversed(tasks) if t.state < TaskStatus.SUCCEEDED), tasks[-1])
        lines = tuple(Line(step.state, words_of(step)) for step in task.steps)
        note = STATES[task.state] if task.state >= TaskStatus.STOPPING else ""
        if task.question.kind != Question.NONE:
            note = task.question.text
        if task.current_step >= len(task.steps):
            return Caption(title, said, lines, note=note)
        step = task.steps[task.current_step]
        if not step.has_reference:
            return Caption(title, said, lines, PHASES.get(step.phase, ""), note=note)
        found = step.reference
        return Caption(
            title, said, lines, PHASES.get(step.phase, ""),
            tuple(thought.text for thought in found.reasoning),
            (found.pixel.u, found.pixel.v), note,
        )  # fmt: skip


def ended(task: TaskStatus | None) -> bool:
    """Whether a task has ended."""
    return task is not None and task.state >= TaskStatus.SUCCEEDED


def is_active(state: str) -> bool:
    """Whether the label of a lifecycle state says that the node works."""
    return state == "active"


def failure_of(tasks: Sequence[TaskStatus]) -> str:
    """Return why the last task failed; "" when it did not."""
    last = tasks[-1] if tasks else None
    if last is None:
        return "no task was begun"
    if last.state == TaskStatus.SUCCEEDED and last.error_code == ErrorCode.SUCCESS:
        return ""
    return last.error_msg or last.message or STATES[last.state]


def _jpeg_of(message: Image) -> bytes:
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    picture = rows[:, : 3 * message.width].reshape(message.height, message.width, 3)
    if message.encoding == "rgb8":
        picture = picture[:, :, ::-1]
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(picture), _JPEG)[1])
