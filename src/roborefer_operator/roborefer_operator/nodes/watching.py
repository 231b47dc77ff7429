# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A goal of `execute_instruction` that waits for the end of its task."""

from __future__ import annotations

from typing import Any

from rclpy.task import Future

from roborefer_msgs.action import ExecuteInstruction
from roborefer_msgs.msg import Phase
from roborefer_operator.conversions import task_to_msg
from roborefer_operator.core.tasks import TaskRun, TaskState

_PHASES = {
    TaskState.QUEUED: Phase.WAITING,
    TaskState.UNDERSTANDING: Phase.UNDERSTANDING,
    TaskState.RUNNING: Phase.EXECUTING,
    TaskState.ASKING: Phase.ASKING_PERSON,
    TaskState.STOPPING: Phase.STOPPING,
}


class Watch:
    """Tells the client of a goal how its task goes on.

    Attributes:
        task: The task.
        handle: Of the goal.
        ended: Done when the task has ended.
    """

    def __init__(self, task: TaskRun, handle: Any) -> None:
        self.task, self.handle = task, handle
        self.ended = Future()

    def tell(self, task: TaskRun) -> None:
        """Send feedback; the task must not change meanwhile."""
        phase = _PHASES.get(task.state, Phase.DONE)
        self.handle.publish_feedback(
            ExecuteInstruction.Feedback(phase=int(phase), task=task_to_msg(task))
        )
        if task.state.ended and not self.ended.done():
            self.ended.set_result(None)
