# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `speech`: sound in, sentences out to the executive."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from roborefer_common.declaring import declare, read
from roborefer_common.exceptions import ParameterError
from roborefer_common.qos import AUDIO, EVENT
from roborefer_common.times import nanoseconds, time_to_msg
from std_srvs.srv import SetBool

from roborefer_msgs.msg import AudioChunk, TaskStatus, Transcript
from roborefer_msgs.srv import Instruct
from roborefer_operator.conversions import code_of
from roborefer_operator.core.speech.audio import RATE, Samples, read_wav
from roborefer_operator.core.speech.endpointing import Cut, Endpointer, SileroDetector
from roborefer_operator.core.speech.hearing import Hearing, Misheard
from roborefer_operator.core.speech.parameters import TABLE, endpoints_of, settings_of
from roborefer_operator.exceptions import Reason, TaskFailure
from roborefer_operator.nodes.microphone import Microphone

_NS = 1_000_000_000
# Utterances that may wait for the recogniser.
_MOST_WAITING = 8


class _Utterance(NamedTuple):
    samples: Samples
    rate: int
    begin_ns: int
    end_ns: int


class SpeechNode(Node):
    """Recognises speech and passes sentences on.

    Subscribes to `audio` (roborefer_msgs/AudioChunk). Publishes `transcript`
    (roborefer_msgs/Transcript) for every utterance, with the reason where it was refused, and
    `diagnostics`. Calls the service `instruct`. Offers `~/talk` (std_srvs/SetBool), the talk
    button of the microphone. Parameters: config/speech.yaml, made from
    core/speech/parameters.py. `close` must be called before it is destroyed.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Begin to listen; the recogniser is loaded in the background.

        Raises:
            ParameterError: A parameter has a value that it must not have.
            TaskFailure: ENGINE_UNAVAILABLE: the speech detector. NO_AUDIO: the microphone.
        """
        super().__init__("speech", **kwargs)
        declare(self, TABLE)
        self._values: dict[str, Any] = read(self, TABLE)
        values = self._values
        self._hearing = Hearing(settings_of(values))
        silero = values["endpoint.silero_file"]
        self._endpointer = Endpointer(
            endpoints_of(values), SileroDetector(Path(silero).expanduser()) if silero else None
        )
        # The microphone has a thread of its own.
        self._lock = threading.Lock()
        self._position = 0
        # Where chunks began in the stream, and their stamps.
        self._begins: deque[tuple[int, int]] = deque([(0, 0)], maxlen=4000)
        self._heard_ns = 0
        self._is_refusing = self._is_talking = self._closed = False
        self._state = "loading"
        self._counts = {"heard": 0, "passed_on": 0, "refused": 0}
        self._waiting: queue.Queue[_Utterance | None] = queue.Queue(_MOST_WAITING)
        self._publisher = self.create_publisher(Transcript, "transcript", EVENT)
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", EVENT)
        self._client = self.create_client(Instruct, "instruct")
        self.create_subscription(AudioChunk, "audio", self._on_audio, AUDIO)
        self.create_service(SetBool, "~/talk", self._on_talk)
        self.create_timer(float(values["endpoint.gap_s"]) / 4, self._end_after_gap)
        self.create_timer(float(values["diagnostics.period_s"]), self._publish_diagnostics)
        self._worker = threading.Thread(target=self._work, name="recogniser", daemon=True)
        self._microphone: Microphone | None = None
        if values["microphone.enabled"]:
            self._microphone = Microphone(values["microphone.device"], self._on_microphone)
        if values["wav_file"]:
            self._hear_file(Path(values["wav_file"]).expanduser())
        self._worker.start()

    def close(self) -> None:
        """End recognition; calling it twice is allowed."""
        self._closed = True
        if self._microphone is not None:
            self._microphone.close()
        # When it is full, the worker wakes up anyway and looks at the flag.
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        if self._worker.is_alive():
            self._worker.join()

    # --- sound comes in -----------------------------------------------------------------------
    def _on_audio(self, chunk: AudioChunk) -> None:
        stamp_ns = nanoseconds(chunk.header.stamp) or self.get_clock().now().nanoseconds
        if chunk.sample_rate != RATE:
            # Told once, not for every piece of the utterance.
            if not self._is_refusing:
                said = f"the topic audio takes {RATE} samples per second, not {chunk.sample_rate}"
                self._refuse(stamp_ns, stamp_ns, TaskFailure(Reason.INVALID_AUDIO, said))
            self._is_refusing = not chunk.last
            return
        self._is_refusing = False
        self._take(np.asarray(chunk.samples, np.int16), stamp_ns, chunk.last)

    def _on_microphone(self, samples: Samples) -> None:
        if self._is_talking or self._values["endpoint.mode"] == "open":
            now_ns = self.get_clock().now().nanoseconds
            self._take(samples, now_ns - len(samples) * _NS // RATE, False)

    def _on_talk(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self._microphone is None:
            response.message = "no microphone is open; start with microphone.enabled:=true"
            return response
        was, self._is_talking = self._is_talking, request.data
        if was and not request.data:
            self._take(np.zeros(0, np.int16), self.get_clock().now().nanoseconds, True)
        response.success = True
        response.message = "listening" if request.data else "recognising what was said"
        return response

    def _take(self, samples: Samples, stamp_ns: int, last: bool) -> None:
        with self._lock:
            self._begins.append((self._position, stamp_ns))
            self._position += len(samples)
            self._heard_ns = self.get_clock().now().nanoseconds
            cuts = self._endpointer.push(samples, last)
            found = [self._dated(cut) for cut in cuts]
        for utterance in found:
            self._queue(utterance)

    def _end_after_gap(self) -> None:
        """End an utterance whose last piece never came."""
        with self._lock:
            silent_s = (self.get_clock().now().nanoseconds - self._heard_ns) / _NS
            late = self._endpointer.pending and silent_s > self._values["endpoint.gap_s"]
            found = (
                [self._dated(cut) for cut in self._endpointer.push(_NOTHING, True)] if late else []
            )
        for utterance in found:
            self._queue(utterance)

    def _dated(self, cut: Cut) -> _Utterance:
        def at(position: int) -> int:
            begins = [one for one in self._begins if one[0] <= position] or [self._begins[0]]
            return begins[-1][1] + (position - begins[-1][0]) * _NS // RATE

        return _Utterance(cut.samples, RATE, at(cut.begin), at(max(cut.begin, cut.end - 1)))

    def _hear_file(self, path: Path) -> None:
        now_ns = self.get_clock().now().nanoseconds
        try:
            samples, rate = read_wav(path)
        except TaskFailure as error:
            self._refuse(now_ns, now_ns, error)
            return
        self._queue(_Utterance(samples, rate, now_ns, now_ns + len(samples) * _NS // rate))

    def _queue(self, utterance: _Utterance) -> None:
        try:
            self._waiting.put_nowait(utterance)
        except queue.Full:
            said = f"{_MOST_WAITING} utterances wait to be recognised; wait a moment, say it again"
            self._refuse(utterance.begin_ns, utterance.end_ns, TaskFailure(Reason.BUSY, said))

    # --- the thread that recognises -----------------------------------------------------------
    def _work(self) -> None:
        try:
            self._hearing.load()
            self._state = "ready"
            self.get_logger().info("ready to listen")
        except TaskFailure as error:
            self._state = str(error)
            self.get_logger().error(f"no speech: {error}")
        while not self._closed:
            utterance = self._waiting.get()
            if utterance is not None and not self._closed:
                self._recognise(utterance)

    def _recognise(self, utterance: _Utterance) -> None:
        self._counts["heard"] += 1
        begin, end = utterance.begin_ns, utterance.end_ns
        try:
            heard = self._hearing.hear(utterance.samples, utterance.rate)
            self._state = "ready"
        except Misheard as error:
            self._refuse(begin, end, error, error.heard.text, error.heard.confidence)
            return
        except TaskFailure as error:
            self._refuse(begin, end, error)
            return
        values = self._values
        request = Instruct.Request(
            text=heard.text, source=TaskStatus.SPOKEN, words_confidence=heard.confidence,
            confirm=values["instruct.confirm"],
            wait_for_others=values["instruct.wait_for_others"],
        )  # fmt: skip
        try:
            answer = self._ask(request, float(values["instruct.timeout_s"]))
        except TaskFailure as error:
            self._refuse(begin, end, error, heard.text, heard.confidence)
            return
        self._counts["passed_on" if answer.accepted else "refused"] += 1
        self._publish(
            begin, end, text=heard.text, confidence=heard.confidence, accepted=answer.accepted,
            task_id=answer.task_id, error_code=answer.error_code, error_msg=answer.error_msg,
        )  # fmt: skip

    def _ask(self, request: Instruct.Request, timeout_s: float) -> Instruct.Response:
        """Call the executive.

        Raises:
            TaskFailure: SERVER_UNAVAILABLE.
        """
        if not self._client.wait_for_service(timeout_s):
            raise TaskFailure(
                Reason.SERVER_UNAVAILABLE,
                "no service 'instruct' is there; start the executive: ros2 launch"
                " roborefer_operator executive.launch.py",
            )
        answered = threading.Event()
        future = self._client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(timeout_s) or future.exception() is not None:
            future.cancel()
            raise TaskFailure(
                Reason.SERVER_UNAVAILABLE,
                f"the service 'instruct' gave no answer within {timeout_s:g} s; look at the"
                " executive before you say it again, it may have begun",
            )
        return future.result()

    # --- telling ------------------------------------------------------------------------------
    def _refuse(
        self, begin_ns: int, end_ns: int, error: TaskFailure, text: str = "", confidence: float = 0
    ) -> None:
        self._counts["refused"] += 1
        self._publish(
            begin_ns, end_ns, text=text, confidence=float(confidence),
            error_code=code_of(error.reason), error_msg=str(error),
        )  # fmt: skip

    def _publish(self, begin_ns: int, end_ns: int, **fields: Any) -> None:
        if self._closed:
            return
        transcript = Transcript(started=time_to_msg(begin_ns), ended=time_to_msg(end_ns), **fields)
        self._publisher.publish(transcript)
        if transcript.accepted:
            self.get_logger().info(f"'{transcript.text}' became task {transcript.task_id}")
        else:
            self.get_logger().warning(transcript.error_msg)

    def _publish_diagnostics(self) -> None:
        levels = {"ready": DiagnosticStatus.OK, "loading": DiagnosticStatus.WARN}
        values = {
            **self._counts,
            "waiting": self._waiting.qsize(),
            "engine": self._values["engine.name"],
            "microphone": self._microphone is not None,
        }
        status = DiagnosticStatus(
            name=f"{self.get_name()}: recogniser",
            hardware_id="speech",
            level=levels.get(self._state, DiagnosticStatus.ERROR),
            message=self._state,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


_NOTHING = np.zeros(0, np.int16)


def main() -> int:
    """Run the node until it is told to end; 1 when it cannot begin."""
    try:
        with rclpy.init(args=sys.argv):
            node = SpeechNode()
            try:
                rclpy.spin(node)
            finally:
                node.close()
                node.destroy_node()
    except (ParameterError, ParameterException, TaskFailure) as error:
        print(f"speech: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    return 0
