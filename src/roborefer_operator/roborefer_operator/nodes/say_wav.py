# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The program `say_wav`: says a WAV file on the topic `audio`, as a microphone would.

    ros2 run roborefer_operator say_wav FILE [--at-once]

It waits for a listener, and ends when all was delivered; its exit code is 1 when it could not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.task import Future
from rclpy.utilities import remove_ros_args
from roborefer_common.qos import AUDIO

from roborefer_msgs.msg import AudioChunk
from roborefer_operator.core.speech.audio import RATE, Samples, read_wav, resampled
from roborefer_operator.exceptions import TaskFailure

_PIECE_S = 0.1
# At once, pieces are longer, so that the subscriber's queue holds them all.
_LONG_PIECE_S = 1.0
_WAIT_S = 10.0


class SayWav(Node):
    """Publishes `audio` (roborefer_msgs/AudioChunk), the last chunk marked as the last.

    `said` is done when all was published; its result is whether somebody listened.
    """

    def __init__(self, samples: Samples, at_once: bool = False) -> None:
        """Begin when a listener is there.

        Args:
            samples: 16 kHz.
            at_once: Whether to go faster than one speaks.
        """
        super().__init__("say_wav")
        size = int(RATE * (_LONG_PIECE_S if at_once else _PIECE_S))
        count = max(1, -(-len(samples) // size))
        self._pieces = [samples[n * size : (n + 1) * size] for n in range(count)]
        self._publisher = self.create_publisher(AudioChunk, "audio", AUDIO)
        self.said: Future = Future()
        self._begin_ns = self.get_clock().now().nanoseconds
        self._sent = 0
        self._timer = self.create_timer(0.01 if at_once else _PIECE_S, self._say)

    def _say(self) -> None:
        now = self.get_clock().now()
        if not self._sent and not self._publisher.get_subscription_count():
            if now.nanoseconds - self._begin_ns > _WAIT_S * 1e9:
                self._timer.cancel()
                self.said.set_result(False)
            return
        piece = self._pieces[self._sent]
        self._sent += 1
        last = self._sent == len(self._pieces)
        chunk = AudioChunk(sample_rate=RATE, samples=piece.tolist(), last=last)
        chunk.header.stamp, chunk.header.frame_id = now.to_msg(), "wav_file"
        self._publisher.publish(chunk)
        if last:
            self._timer.cancel()
            self._publisher.wait_for_all_acked(Duration(seconds=2.0))
            self.said.set_result(True)


def main() -> int:
    """Say the file that the command line names."""
    parser = argparse.ArgumentParser(prog="say_wav", description="Say a WAV file on topic audio.")
    parser.add_argument("file", type=Path, help="16-bit WAV file")
    parser.add_argument("--at-once", action="store_true", help="do not take the time of speech")
    args = parser.parse_args(remove_ros_args(sys.argv)[1:])
    try:
        samples, rate = read_wav(args.file)
        samples = np.asarray(resampled(samples, rate), np.int16)
    except TaskFailure as error:
        print(f"say_wav: {error}", file=sys.stderr)
        return 1
    with rclpy.init(args=sys.argv):
        node = SayWav(samples, args.at_once)
        try:
            rclpy.spin_until_future_complete(node, node.said)
        except (KeyboardInterrupt, ExternalShutdownException):
            return 1
        finally:
            node.destroy_node()
    if not node.said.result():
        print(f"say_wav: nobody listened to the topic audio for {_WAIT_S:g} s", file=sys.stderr)
        return 1
    return 0
