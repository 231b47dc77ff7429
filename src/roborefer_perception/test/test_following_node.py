# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread that follows: fast callbacks, newest picture first, asking again, stopping."""

import contextlib
import queue
import threading

import numpy as np
import pytest
from roborefer_perception.core.place import Calibration
from roborefer_perception.core.pursuit import FollowingSettings
from roborefer_perception.exceptions import Reason, ReferFailure
from stage import Card, Stage

TIMEOUT_S = 20.0


class FakeIntake:
    """Hands out pictures when the test says so."""

    def __init__(self):
        self.listeners, self.refuse = [], False
        self.refused = threading.Event()

    def add_listener(self, listener):
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def transform(self, target_frame, frame_id, stamp_ns, patience, check):
        check()
        if self.refuse:
            self.refused.set()
            raise ReferFailure(Reason.TRANSFORM_UNAVAILABLE, "no transform")
        return np.eye(4)

    def show(self, frame):
        for listener in list(self.listeners):
            listener(Raw(frame))


class Raw:
    def __init__(self, frame):
        self.stamp_ns, self._frame = frame.stamp_ns, frame

    def decoded(self):
        return self._frame


class Bench:
    def __init__(self, node, settings):
        from roborefer_perception.nodes.following import Following, Referred
        from unique_identifier_msgs.msg import UUID

        from roborefer_msgs.msg import TrackedReference

        self.intake, self.card = FakeIntake(), Card((-0.1, 0.0, 0.8))
        self.stage, self.messages, self._referred = Stage([self.card]), queue.Queue(), Referred
        self.following = Following(node, self.intake, settings, Calibration())
        self.name = UUID(uuid=np.arange(16, dtype=np.uint8))
        self._heard = node.create_subscription(
            TrackedReference, "tracked_reference", self.messages.put, 10
        )

    def referred(self, seconds=0.0):
        frame = self.stage.frame(seconds)
        return self._referred(frame, self.stage.place(frame, self.card), np.eye(4))

    def start(self, requery=None):
        self.following.start(self.name, "world", self.referred(), requery)

    def show(self, seconds):
        """Show one picture; return what is said of it."""
        self.intake.show(self.stage.frame(seconds))
        return self.messages.get(timeout=TIMEOUT_S)


@contextlib.contextmanager
def running(**settings):
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.lifecycle import LifecycleNode

    context = rclpy.Context()
    rclpy.init(context=context)
    node = LifecycleNode("follower", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    bench = Bench(node, FollowingSettings(**settings))
    try:
        yield bench
    finally:
        bench.following.close()
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        thread.join(TIMEOUT_S)


def test_every_picture_gets_its_message_with_its_stamp_and_velocity():
    with running() as bench:
        bench.start()
        for number in range(1, 11):
            bench.card.middle = (-0.1 + 0.015 * number, 0.0, 0.8)
            message = bench.show(number / 10)

            assert message.header.stamp.sec == 1 + (number == 10)
            assert message.header.frame_id == "camera_optical_frame"
            assert message.pose.header.frame_id == "world"
            assert not message.lost
            assert message.pose.pose.pose.position.x == pytest.approx(
                bench.card.middle[0], abs=0.004
            )
    assert bytes(message.id.uuid) == bytes(range(16))
    assert message.last_query.sec == 1
    assert message.last_query.nanosec == 0
    assert message.velocity.twist.linear.x == pytest.approx(0.15, abs=0.05)
    assert message.velocity.covariance[0] > 0
    assert message.pose.pose.covariance[0] > 0
    assert 0.5 < message.confidence <= 1


def test_a_lost_target_is_told_and_the_model_brings_it_back():
    asked = queue.Queue()

    with running(period_s=0.0, pause_s=0.5) as bench:

        def requery(check):
            check()
            answer = bench.referred(1.0)
            asked.put(answer)
            return answer

        bench.start(requery)
        bench.stage.cards.clear()
        assert bench.show(0.2).lost
        assert asked.empty()
        bench.stage.cards.append(bench.card)
        bench.card.middle = (0.2, 0.1, 0.9)
        bench.show(1.0)
        asked.get(timeout=TIMEOUT_S)
        # The answer is used from the next picture on, or from one of those after it.
        for number in range(1, 100):
            if not (found := bench.show(1.0 + number / 100)).lost:
                break

    assert not found.lost
    assert found.last_query.sec == 2
    assert found.pose.pose.pose.position.x == pytest.approx(0.2, abs=0.01)


def test_the_model_is_asked_on_the_period_and_its_failure_is_survived():
    asked = queue.Queue()

    def requery(check):
        asked.put(None)
        raise ReferFailure(Reason.MODEL_UNAVAILABLE, "the server is away")

    with running(period_s=1.0, pause_s=0.2) as bench:
        bench.start(requery)
        bench.show(0.9)
        assert asked.empty()
        assert not bench.show(1.1).lost
        asked.get(timeout=TIMEOUT_S)
        assert not bench.show(1.4).lost


def test_stop_is_at_once_and_also_while_the_model_thinks():
    thinking, ended = threading.Event(), threading.Event()

    def requery(check):
        thinking.set()
        try:
            while True:
                check()
                threading.Event().wait(0.005)
        finally:
            ended.set()

    with running(period_s=0.1, pause_s=0.1) as bench:
        bench.start(requery)
        bench.show(0.5)
        assert thinking.wait(TIMEOUT_S)

        assert bench.following.stop()

        assert ended.wait(TIMEOUT_S)
        assert not bench.intake.listeners
        assert not bench.following.active
        assert not bench.following.stop()


def test_a_new_reference_takes_over_from_the_old_one():
    with running() as bench:
        bench.start()
        bench.show(0.1)

        bench.start()

        assert len(bench.intake.listeners) == 1
        assert not bench.show(0.2).lost
        assert bench.messages.empty()


def test_pictures_without_transform_are_left_out():
    with running() as bench:
        bench.start()
        bench.intake.refuse = True
        bench.intake.show(bench.stage.frame(0.1))
        assert bench.intake.refused.wait(TIMEOUT_S)
        bench.intake.refuse = False

        assert not bench.show(0.2).lost


def test_a_defect_ends_following_and_nothing_else():
    with running() as bench:
        bench.start()
        failed = threading.Event()

        class Broken:
            stamp_ns = 0

            def decoded(self):
                failed.set()
                raise ZeroDivisionError

        for listener in list(bench.intake.listeners):
            listener(Broken())
        assert failed.wait(TIMEOUT_S)

        bench.start()

        assert not bench.show(0.2).lost
