# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays one act: says the sentence, waits for the end, and judges by the truth."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import numpy as np
from ament_index_python.packages import get_package_share_directory

from roborefer_bringup.client import Robot, RobotError
from roborefer_bringup.demo.graph import Graph
from roborefer_bringup.demo.report import Played
from roborefer_bringup.demo.story import THINGS, Act
from roborefer_bringup.demo.table import DemoError, table
from roborefer_bringup.demo.witness import Witness, ended, failure_of
from roborefer_msgs.msg import ErrorCode, Question, TaskStatus, TaskStep

SOUND = "between.wav"
RATE = 16000
# Real time that one sentence may take; a busy machine is slow.
MOST_S = 240.0
_LOOK_S = 1.0
_LAST_FRAMES = 4


def play(
    act: Act, robot: Robot, witness: Witness, graph: Graph, tell: Callable[[str], None]
) -> Played:
    """Play an act.

    Raises:
        DemoError: The graph has died, or the simulator does not answer.
    """
    before = table(witness, THINGS)
    played = Played(act, witness.begin(act.title))
    begin = monotonic()
    witness.filming = True
    try:
        _say(act, robot, Attention(robot, witness, graph, tell), played, tell)
        if not played.error:
            played.error = failure_of(list(played.watched.tasks.values()))
        witness.linger(_LAST_FRAMES)
    except RobotError as error:
        played.error = f"{error} (code {error.code})"
    finally:
        witness.filming = False
    played.wall_s = monotonic() - begin
    played.checks = act.judge(before, table(witness, THINGS))
    return played


def _say(
    act: Act,
    robot: Robot,
    attention: Attention,
    played: Played,
    tell: Callable[[str], None],
) -> None:
    said = played.watched.said
    said.append(act.sentence)
    task_id = _speak(act, robot, played, tell) if act.spoken else ""
    if not task_id:
        task_id = robot.instruct(act.sentence)
    if act.correction:
        if ended(attention.until(task_id, _picked)):
            return
        tell(f"  correcting it: '{act.correction}'")
        said.append(act.correction)
        task_id = robot.instruct(act.correction)
    attention.until(task_id, ended)


def _speak(act: Act, robot: Robot, played: Played, tell: Callable[[str], None]) -> str:
    """Say a sentence as sound; "" when this robot does not understand it."""
    tell(f"  saying {SOUND}")
    try:
        heard = robot.say(read_sound(sound_file()))
    except RobotError as error:
        played.remark = f"It was typed, because it was not understood as sound: {error}"
        tell(f"  {played.remark}")
        return ""
    tell(f"  heard '{heard.text}' (confidence {heard.confidence:.2f})")
    played.heard = True
    return str(heard.task_id)


class Attention:
    """Waits for tasks and answers their questions as a careful person would."""

    def __init__(
        self, robot: Robot, witness: Witness, graph: Graph, tell: Callable[[str], None]
    ) -> None:
        """Prepare.

        Args:
            robot: Answers go to it.
            witness: Sees the tasks.
            graph: Must stay alive.
            tell: Takes lines for people.
        """
        self._robot, self._witness, self._graph, self._tell = robot, witness, graph, tell
        self._asked: set[str] = set()

    def until(self, task_id: str, wanted: Callable[[TaskStatus], bool]) -> TaskStatus:
        """Wait until a task is as wanted, or has ended.

        Raises:
            RobotError: It took too long; the task is canceled.
            DemoError: The nodes have died.
        """
        until = monotonic() + MOST_S

        def news() -> bool:
            task = self._witness.act.tasks.get(task_id)
            return task is not None and (ended(task) or wanted(task) or self._asks(task))

        while True:
            if self._witness.until(news, _LOOK_S):
                task = self._witness.act.tasks[task_id]
                if ended(task) or wanted(task):
                    return task
                self._answer(task)
            if not self._graph.alive:
                raise DemoError(f"the nodes have ended:\n{self._graph.last_words()}\n")
            if monotonic() > until:
                self._robot.cancel(task_id)
                raise RobotError(ErrorCode.TIMEOUT, f"it did not end within {MOST_S:g} s")

    def _asks(self, task: TaskStatus) -> bool:
        question = task.question
        return question.kind != Question.NONE and question.question_id not in self._asked

    def _answer(self, task: TaskStatus) -> None:
        question = task.question
        self._asked.add(question.question_id)
        said = self._witness.act.said[-1]
        sure = question.kind == Question.CONFIRM_WORDS and task.instruction == said
        self._tell(f"  it asks: {question.text} The answer is {'yes' if sure else 'no'}.")
        self._robot.answer(task.task_id, question.question_id, sure)


def _picked(task: TaskStatus) -> bool:
    return any(
        step.verb == TaskStep.PICK and step.state == TaskStep.SUCCEEDED for step in task.steps
    )


def sound_file() -> Path:
    """Return the spoken sentence of the demo."""
    return Path(get_package_share_directory("roborefer_bringup")) / "sounds" / SOUND


def read_sound(file: Path) -> list[int]:
    """Return the samples of a WAV file.

    Raises:
        DemoError: It is not mono, 16 bit, 16000 samples per second.
    """
    with wave.open(str(file)) as sound:
        form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
        if form != (1, 2, RATE):
            raise DemoError(f"{file} has (channels, bytes, rate) {form}; use (1, 2, {RATE})")
        return [int(s) for s in np.frombuffer(sound.readframes(sound.getnframes()), "<i2")]
