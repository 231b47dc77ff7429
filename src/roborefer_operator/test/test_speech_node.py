# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The speech node with an executive that only takes notes, and the program that says WAV files."""

import contextlib
import sys
import threading
import wave

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from roborefer_common.qos import AUDIO, EVENT
from roborefer_operator.core.ports import Heard
from roborefer_operator.core.speech.audio import RATE
from roborefer_operator.core.speech.hearing import Hearing
from roborefer_operator.nodes import speech
from roborefer_operator.nodes.say_wav import SayWav
from std_srvs.srv import SetBool

from roborefer_msgs.msg import AudioChunk, ErrorCode, TaskStatus, Transcript
from roborefer_msgs.srv import Instruct

SOUND = np.round(np.random.default_rng(0).standard_normal(RATE) * 2000).astype(np.int16)


class Says:
    """A recogniser that says the same of every sound."""

    closed = True

    def __init__(self, *heard):
        self.heard, self.sounds, self.hold = list(heard), [], None

    def hear(self, samples, phrases=()):
        self.sounds.append(samples)
        if self.hold is not None:
            assert self.hold.wait(20.0)
        return self.heard


class Bench:
    def __init__(self, node, other, engine, requests):
        self.node, self.other, self.engine, self.requests = node, other, engine, requests
        self.transcripts, self.diagnostics = [], []
        self.news = threading.Condition()
        self.audio = other.create_publisher(AudioChunk, "audio", AUDIO)
        for kind, name, into in (
            (Transcript, "transcript", self.transcripts),
            (DiagnosticArray, "diagnostics", self.diagnostics),
        ):
            other.create_subscription(kind, name, self._noting(into), EVENT)

    def _noting(self, into):
        def note(message):
            with self.news:
                into.append(message)
                self.news.notify_all()

        return note

    def until(self, done, timeout_s=20.0):
        with self.news:
            assert self.news.wait_for(done, timeout_s), self.transcripts

    def say(self, samples=SOUND, rate=RATE, last=True, stamp=(0, 0)):
        chunk = AudioChunk(sample_rate=rate, samples=samples.tolist(), last=last)
        chunk.header.stamp.sec, chunk.header.stamp.nanosec = stamp
        self.audio.publish(chunk)

    def told(self, number=1):
        self.until(lambda: len(self.transcripts) >= number)
        return self.transcripts[number - 1]


@pytest.fixture
def start(domain, monkeypatch):
    import rclpy
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.node import Node
    from rclpy.parameter import Parameter

    @contextlib.contextmanager
    def run(*heard, executive=True, answer=None, **changes):
        engine, requests = Says(*heard), []
        monkeypatch.setattr(speech, "Hearing", lambda settings: Hearing(settings, engine))

        def on_instruct(request, response):
            requests.append(request)
            for name, value in (answer or {"accepted": True, "task_id": "t1"}).items():
                setattr(response, name, value)
            return response

        with rclpy.init(args=[]):
            overrides = [Parameter(name, value=value) for name, value in changes.items()]
            node, other = speech.SpeechNode(parameter_overrides=overrides), Node("other")
            if executive:
                other.create_service(Instruct, "instruct", on_instruct)
            executor = MultiThreadedExecutor(num_threads=4)
            executor.add_node(node)
            executor.add_node(other)
            thread = threading.Thread(target=executor.spin)
            thread.start()
            bench = Bench(node, other, engine, requests)
            try:
                bench.until(lambda: bench.audio.get_subscription_count() > 0 and bench.diagnostics)
                yield bench
            finally:
                if engine.hold is not None:
                    engine.hold.set()
                node.close()
                executor.shutdown()
                thread.join()
                node.destroy_node()
                other.destroy_node()

    return run


def test_a_sentence_becomes_a_task_and_is_told(start):
    with start(Heard("pick the mug", 0.875), **{"instruct.confirm": True}) as bench:
        for at in range(0, len(SOUND), 1600):
            bench.say(SOUND[at : at + 1600], last=at + 1600 >= len(SOUND), stamp=(100, at * 62500))
        told = bench.told()

    (request,) = bench.requests
    assert (request.text, request.source) == ("pick the mug", TaskStatus.SPOKEN)
    assert request.words_confidence == pytest.approx(0.875)
    assert request.confirm
    assert (told.accepted, told.task_id, told.error_code) == (True, "t1", 0)
    assert (told.started.sec, told.started.nanosec) == (100, 0)
    assert told.ended.sec + told.ended.nanosec * 1e-9 == pytest.approx(101.0, abs=0.001)
    assert np.array_equal(bench.engine.sounds[0], SOUND)


def test_unsure_words_go_to_the_executive_with_their_confidence(start):
    refused = {"accepted": False, "error_code": ErrorCode.SPEECH_UNSURE, "error_msg": "say again"}
    with start(Heard("yes", 0.25), answer=refused) as bench:
        bench.say()
        told = bench.told()

    assert bench.requests[0].words_confidence == 0.25
    assert (told.accepted, told.error_code) == (False, ErrorCode.SPEECH_UNSURE)
    assert (told.text, told.error_msg) == ("yes", "say again")


@pytest.mark.parametrize(
    ("samples", "rate", "code", "said"),
    [
        (np.zeros(0, np.int16), RATE, ErrorCode.SPEECH_NO_AUDIO, "no samples"),
        (np.zeros(RATE, np.int16), RATE, ErrorCode.SPEECH_NO_AUDIO, "silence"),
        (SOUND[:800], RATE, ErrorCode.SPEECH_INVALID_AUDIO, "0.05 s"),
        (SOUND, 44100, ErrorCode.SPEECH_INVALID_AUDIO, "44100"),
        (SOUND, 0, ErrorCode.SPEECH_INVALID_AUDIO, "not 0"),
        (SOUND, RATE, ErrorCode.SPEECH_NOT_UNDERSTOOD, "'la la la' was heard"),
    ],
)
def test_what_cannot_be_used_is_refused_in_the_transcript(start, samples, rate, code, said):
    with start(Heard("la la la", 0.9)) as bench:
        bench.say(samples, rate)
        told = bench.told()

    assert (told.accepted, told.error_code) == (False, code)
    assert said in told.error_msg
    assert bench.requests == []


def test_wrong_rates_are_told_once_an_utterance(start):
    with start(Heard("pick the mug", 0.9)) as bench:
        for last in (False, False, True):
            bench.say(rate=48000, last=last)
        bench.say()
        bench.told(2)

    assert [told.accepted for told in bench.transcripts] == [False, True]


def test_without_an_executive_the_transcript_says_so(start):
    with start(
        Heard("pick the mug", 0.9), executive=False, **{"instruct.timeout_s": 0.5}
    ) as bench:
        bench.say()
        told = bench.told()

    assert told.error_code == ErrorCode.SERVER_UNAVAILABLE
    assert told.text == "pick the mug"
    assert "executive.launch.py" in told.error_msg


def test_an_utterance_whose_end_is_lost_ends_after_a_gap(start):
    with start(Heard("pick the mug", 0.9), **{"endpoint.gap_s": 0.3}) as bench:
        bench.say(last=False)
        told = bench.told()

    assert told.accepted


def test_an_open_microphone_needs_no_last_chunk(start):
    quiet = np.zeros(RATE, np.int16)
    with start(Heard("pick the mug", 0.9), **{"endpoint.mode": "open"}) as bench:
        for piece in (quiet, SOUND, quiet):
            bench.say(piece, last=False)
        told = bench.told()

    assert told.accepted
    assert len(bench.engine.sounds[0]) < 2.2 * RATE


def test_more_than_can_be_recognised_is_refused(start):
    with start(Heard("pick the mug", 0.9)) as bench:
        bench.engine.hold = threading.Event()
        for _ in range(10):
            bench.say()
        told = bench.told()
        bench.engine.hold.set()

    assert told.error_code == ErrorCode.BUSY


def test_the_diagnostics_say_ready(start):
    with start(**{"diagnostics.period_s": 0.1}) as bench:
        bench.until(lambda: bench.diagnostics[-1].status[0].message == "ready")

    status = bench.diagnostics[-1].status[0]
    assert status.level == DiagnosticStatus.OK
    assert {row.key for row in status.values} >= {"heard", "passed_on", "refused", "engine"}


def test_the_talk_button_without_a_microphone_says_how_to_get_one(start):
    with start() as bench:
        client = bench.other.create_client(SetBool, "speech/talk")
        assert client.wait_for_service(10.0)
        done = threading.Event()
        future = client.call_async(SetBool.Request(data=True))
        future.add_done_callback(lambda _: done.set())
        assert done.wait(10.0)

    assert not future.result().success
    assert "microphone.enabled" in future.result().message


class FakeStream:
    made = []

    def __init__(self, callback, **options):
        self.callback, self.options = callback, options
        self.closed = False
        FakeStream.made.append(self)

    def start(self):
        pass

    def close(self):
        self.closed = True


def test_the_microphone_is_heard_while_the_button_is_held(start, monkeypatch):
    library = type(sys)("sounddevice")
    library.InputStream, library.PortAudioError = FakeStream, OSError
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    with start(Heard("pick the mug", 0.9), **{"microphone.enabled": True}) as bench:
        (stream,) = FakeStream.made
        stream.callback(SOUND[:, None], len(SOUND), None, None)
        client = bench.other.create_client(SetBool, "speech/talk")
        assert client.wait_for_service(10.0)
        for held in (True, False):
            done = threading.Event()
            client.call_async(SetBool.Request(data=held)).add_done_callback(
                lambda _, d=done: d.set()
            )
            assert done.wait(10.0)
            stream.callback(SOUND[:, None], len(SOUND), None, None)
        told = bench.told()

    assert told.accepted
    assert np.array_equal(bench.engine.sounds[0], SOUND)
    assert stream.options["samplerate"] == RATE
    assert stream.closed


def test_a_wav_file_is_heard_at_the_start_whatever_its_rate(start, tmp_path):
    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(SOUND.tobytes())
    with start(Heard("pick the mug", 0.9), wav_file=str(tmp_path / "said.wav")) as bench:
        bench.until(lambda: bench.requests)

    assert len(bench.engine.sounds[0]) == 2 * RATE


@pytest.mark.parametrize("at_once", [True, False])
def test_say_wav_says_all_of_it_and_ends(start, at_once):
    with start(Heard("pick the mug", 0.9)) as bench:
        program = SayWav(SOUND, at_once)
        try:
            from rclpy.executors import SingleThreadedExecutor

            executor = SingleThreadedExecutor()
            executor.add_node(program)
            executor.spin_until_future_complete(program.said, 20.0)
            executor.shutdown()
        finally:
            program.destroy_node()
        told = bench.told()

    assert program.said.result() is True
    assert told.accepted
    assert np.array_equal(bench.engine.sounds[0], SOUND)
