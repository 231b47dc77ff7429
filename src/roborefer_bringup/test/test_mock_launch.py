# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""mock.launch.py: sentences are done within seconds, by the client and by both examples."""

import subprocess
import sys
import unittest
from pathlib import Path
from time import monotonic

import launch_testing.actions
import launch_testing.asserts
import pytest
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from roborefer_bringup.client import Robot, RobotError

from roborefer_msgs.msg import ErrorCode, Question, TaskStatus

PACKAGE = Path(__file__).parents[1]


@pytest.mark.launch_test
def generate_test_description():
    mock = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(PACKAGE / "launch" / "mock.launch.py")),
        launch_arguments={"motion_s": "0.1"}.items(),
    )
    return LaunchDescription([mock, launch_testing.actions.ReadyToTest()])


class TestMock(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = Robot(timeout_s=40.0)
        # The first one waits until the nodes are up.
        cls.robot.do("find the plate")

    @classmethod
    def tearDownClass(cls):
        cls.robot.close()

    def test_sentence_is_done_within_seconds(self):
        begin, told = monotonic(), []

        done = self.robot.do("put the red mug on the plate", told=told.append)

        assert done.succeeded, done.message
        assert [step.phrase for step in done.status.steps] == ["the red mug", "on the plate"]
        assert monotonic() - begin < 10.0
        assert told

    def test_words_become_a_place(self):
        place = self.robot.refer("the green block")

        assert place.label == "green block"
        assert place.position is not None
        assert place.frame

    def test_words_that_mean_nothing_are_an_error_with_its_code(self):
        with pytest.raises(RobotError) as caught:
            self.robot.refer("the elephant")

        assert caught.value.code == ErrorCode.REFER_NOTHING_FOUND

    def test_question_is_answered_by_the_caller(self):
        asked = []

        def answer(question):
            asked.append(question)
            return 2

        done = self.robot.do("pick the mug", answer=answer)

        assert done.succeeded, done.message
        assert asked[0].kind == Question.WHICH
        assert self.robot.do("put it down").succeeded

    def test_nonsense_is_refused(self):
        with pytest.raises(RobotError) as caught:
            self.robot.instruct("colourless green ideas sleep furiously")

        assert caught.value.code == ErrorCode.TASK_NOT_UNDERSTOOD

    def test_stop_ends_a_task_and_release_lets_the_next_one_begin(self):
        told = []

        def stop_once(task):
            if task.state == TaskStatus.RUNNING and not told:
                told.append(task)
                self.robot.stop()

        done = self.robot.do("pick the green block", told=stop_once)
        self.robot.release()

        assert done.code == ErrorCode.STOPPED
        # What is published needs a moment to arrive; until then sentences are refused.
        assert self.until_done("find the plate")

    def until_done(self, sentence, timeout_s=20.0):
        until = monotonic() + timeout_s
        while monotonic() < until:
            try:
                return self.robot.do(sentence).succeeded
            except RobotError as error:
                if error.code != ErrorCode.STOPPED:
                    raise
        return False

    def test_examples_run(self):
        for name, words, said in (
            ("refer.py", ["the green block"], "green block at pixel"),
            ("do.py", ["find", "the", "plate"], "done"),
        ):
            ran = subprocess.run(
                [sys.executable, str(PACKAGE / "examples" / name), *words],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert said in ran.stdout

    def test_sound_without_ears_is_an_error_that_says_what_to_launch(self):
        with Robot(timeout_s=0.5) as robot, pytest.raises(RobotError, match="speech:=true"):
            robot.say([0] * 16000)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_nodes_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
