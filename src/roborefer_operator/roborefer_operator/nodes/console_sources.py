# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything the page shows beside the 3D view, from topics to the board."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from roborefer_common.pictures import picture_from_msg
from roborefer_common.qos import EVENT, LATCHED, SENSOR_IN, TASK_STATUS
from roborefer_common.times import nanoseconds
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from roborefer_msgs.msg import SpatialReference, TaskStatus, TrackedReference, Transcript
from roborefer_msgs.srv import GetTasks
from roborefer_operator.console_conversions import (
    marks_of,
    node_view,
    reference_of,
    reference_view,
    task_view,
    transcript_view,
)
from roborefer_operator.core.console.board import Board
from roborefer_operator.core.console.newest import NewestPictures
from roborefer_operator.core.console.sessions import LIVE, REFERRED
from roborefer_operator.nodes.stop_line import StopLine

_MOST_TASKS = 30
# A node is silent after this many seconds without diagnostics, forgotten after the second.
_SILENT_S, _FORGOTTEN_S = 5.0, 60.0
_NO_PICTURE_S = 2.0


class Sources:
    """The subscriptions; those of pictures only while a page is open."""

    def __init__(self, node: Node, board: Board, pictures: NewestPictures, stop: StopLine) -> None:
        self._node, self._board, self._pictures, self._stop = node, board, pictures, stop
        self._tasks: dict[str, TaskStatus] = {}
        self._shown: TaskStatus | None = None
        self._reference: SpatialReference | None = None
        self._tracked: TrackedReference | None = None
        self._diagnostics: dict[str, tuple[int, DiagnosticStatus]] = {}
        self._watching: list[Any] = []
        self._came, self._came_ns, self._size = 0, 0, ""
        self._executive_was_there = False
        for section, value in (("tasks", []), ("task", None), ("reference", None), ("marks", [])):
            board.show(section, value)
        board.show("stop", None)
        for kind, name, call, qos in (
            (TaskStatus, "task_status", self._on_task, TASK_STATUS),
            (Bool, "stop", self._on_stop, LATCHED),
            (SpatialReference, "reference", self._on_reference, EVENT),
            (TrackedReference, "tracked_reference", self._on_tracked, SENSOR_IN),
            (Transcript, "transcript", self._on_transcript, EVENT),
            (DiagnosticArray, "diagnostics", self._on_diagnostics, EVENT),
        ):
            node.create_subscription(kind, name, call, qos)
        self._history = node.create_client(GetTasks, "get_tasks")

    def look_up(self, pages: int, executive_is_there: bool) -> None:
        """Do what is due once a second."""
        self._watch(pages > 0)
        self._show_robot(executive_is_there)
        now_ns = self._now_ns()
        nodes = []
        for name, (at_ns, status) in sorted(self._diagnostics.items()):
            age_s = (now_ns - at_ns) * 1e-9
            if age_s > _FORGOTTEN_S:
                del self._diagnostics[name]
                continue
            nodes.append(node_view(status, age_s, _SILENT_S))
        self._board.show("nodes", nodes)
        silent_s = (now_ns - self._came_ns) * 1e-9
        if self._pictures.trouble:
            text = self._pictures.trouble
        elif self._came_ns and silent_s > _NO_PICTURE_S:
            text = f"no picture for {silent_s:.0f} s"
        else:
            text = f"{self._size}, {self._came} Hz" if self._came else "no picture yet"
        self._came = 0
        self._board.show("camera", text)

    def _watch(self, wanted: bool) -> None:
        """Take pictures only while somebody looks."""
        if wanted and not self._watching:
            self._came_ns = 0
            self._watching = [
                self._node.create_subscription(Image, name, call, qos)
                for name, call, qos in (
                    ("camera/color/image_raw", self._on_picture, SENSOR_IN),
                    ("reference_image", self._on_reference_image, EVENT),
                )
            ]
        elif not wanted and self._watching:
            for subscription in self._watching:
                self._node.destroy_subscription(subscription)
            self._watching = []

    def _show_robot(self, there: bool) -> None:
        text = "executive ready" if there else "no executive"
        self._board.show("robot", {"text": text, "good": there})
        if there and not self._executive_was_there:
            if not self._history.service_is_ready():
                return
            future = self._history.call_async(GetTasks.Request(limit=_MOST_TASKS))
            future.add_done_callback(self._on_history)
        self._executive_was_there = there

    # --- pictures -----------------------------------------------------------------------------
    def _on_picture(self, message: Image) -> None:
        self._came += 1
        self._came_ns = self._now_ns()
        self._size = f"{message.width} x {message.height}"
        self._pictures.put(LIVE, picture_from_msg(message))

    def _on_reference_image(self, message: Image) -> None:
        self._pictures.put(REFERRED, picture_from_msg(message))

    # --- tasks --------------------------------------------------------------------------------
    def _on_history(self, future: Any) -> None:
        if future.exception() is not None or future.result() is None:
            return
        for task in future.result().tasks:
            known = self._tasks.get(task.task_id)
            # A status may have overtaken the answer.
            if known is None or nanoseconds(known.updated) < nanoseconds(task.updated):
                self._tasks[task.task_id] = task
        self._show_tasks()

    def _on_task(self, message: TaskStatus) -> None:
        self._tasks[message.task_id] = message
        self._show_tasks()

    def _show_tasks(self) -> None:
        newest = sorted(self._tasks.values(), key=lambda t: nanoseconds(t.accepted), reverse=True)
        self._tasks = {task.task_id: task for task in newest[:_MOST_TASKS]}
        self._board.show("tasks", [task_view(task) for task in self._tasks.values()])
        # What waits for an answer goes first, then what moves, then what was last.
        self._shown = max(newest, key=_urgency, default=None)
        self._board.show("task", None if self._shown is None else task_view(self._shown))
        found = None if self._shown is None else reference_of(self._shown)
        if found is not None or self._busy:
            # What an earlier task was about is no reasoning of this one.
            self._show_reference(found)
        self._show_marks()

    def _on_reference(self, message: SpatialReference) -> None:
        if self._busy and self._reference is not None:
            # It was made for one of the task's steps; the one of the step in work stays.
            return
        self._show_reference(message)
        self._show_marks()

    @property
    def _busy(self) -> bool:
        return self._shown is not None and self._shown.state < TaskStatus.SUCCEEDED

    def _show_reference(self, found: SpatialReference | None) -> None:
        self._reference = found
        self._board.show("reference", None if found is None else reference_view(found))

    def _on_tracked(self, message: TrackedReference) -> None:
        self._tracked = message
        self._show_marks()

    def _show_marks(self) -> None:
        self._board.show("marks", marks_of(self._shown, self._reference, self._tracked))

    # --- the rest -----------------------------------------------------------------------------
    def _on_stop(self, message: Bool) -> None:
        self._stop.heard(message.data)
        self._board.show("stop", bool(message.data))

    def _on_transcript(self, message: Transcript) -> None:
        self._board.show("heard", transcript_view(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now_ns = self._now_ns()
        for status in message.status:
            self._diagnostics[status.name] = (now_ns, status)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def _urgency(task: TaskStatus) -> tuple[int, int]:
    if task.state == TaskStatus.ASKING:
        first = 2
    else:
        first = 1 if TaskStatus.UNDERSTANDING <= task.state <= TaskStatus.STOPPING else 0
    return first, nanoseconds(task.accepted)
