# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the sound of one utterance to a sentence that may be acted on, or to why not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roborefer_operator.core.language.grammar import is_stop, read
from roborefer_operator.core.language.replies import ReplyKind, read_reply
from roborefer_operator.core.language.steps import Context
from roborefer_operator.core.ports import Heard
from roborefer_operator.core.speech.audio import RATE, AudioLimits, Samples, checked, resampled
from roborefer_operator.core.speech.commands import COLORS, PLURALS, THINGS, commands
from roborefer_operator.core.speech.engine import Engine
from roborefer_operator.core.speech.language_model import ModelSettings, default_cache
from roborefer_operator.core.speech.other_engines import FasterWhisper, SherpaOnnx
from roborefer_operator.core.speech.pocketsphinx_engine import PocketSphinx
from roborefer_operator.exceptions import Reason, TaskFailure

ENGINES = ("pocketsphinx", "faster_whisper", "sherpa_onnx")


@dataclass(frozen=True)
class SpeechSettings:
    """What recognises speech, and what it expects.

    Attributes:
        engine: One of ENGINES.
        path: Folder of its model; not used by pocketsphinx.
        device: "cpu" or "cuda"; not used by pocketsphinx.
        cache: Folder where pocketsphinx keeps models that it made.
        things: Names of things, each of one or more words.
        plurals: Names for several of them.
        colors: Names of colours.
        model: How the language model is made.
        limits: What counts as an utterance.
    """

    engine: str = "pocketsphinx"
    path: str = ""
    device: str = "cpu"
    cache: Path = field(default_factory=default_cache)
    things: Sequence[str] = THINGS
    plurals: Sequence[str] = PLURALS
    colors: Sequence[str] = COLORS
    model: ModelSettings = field(default_factory=ModelSettings)
    limits: AudioLimits = field(default_factory=AudioLimits)


class Misheard(TaskFailure):
    """Sound came of which no sentence could be made.

    Attributes:
        heard: What it sounded like.
    """

    def __init__(self, heard: Heard) -> None:
        super().__init__(
            Reason.SPEECH_NOT_UNDERSTOOD,
            f"'{heard.text}' was heard, which is no known command; say it again or type it"
            if heard.text
            else "sound was heard, but no words in it; speak closer to the microphone or type it",
        )
        self.heard = heard


class Hearing:
    """Recognises utterances with one engine, which is loaded when it is first needed.

    Usable from any thread; utterances are recognised one after the other.
    """

    def __init__(self, settings: SpeechSettings, engine: Engine | None = None) -> None:
        """Remember the settings.

        Args:
            settings: What recognises, and what it expects.
            engine: Another one than the settings name.
        """
        self._settings, self._engine = settings, engine
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load the engine if it is not loaded yet; takes seconds.

        Raises:
            TaskFailure: ENGINE_UNAVAILABLE.
        """
        with self._lock:
            self._loaded()

    def hear(self, samples: Samples, rate: int = RATE) -> Heard:
        """Return the sentence of an utterance.

        Whoever acts on it must read it back when its confidence is low. A sentence that asks to
        stop is returned however unsure it is: stopping is safe.

        Args:
            samples: Signed 16-bit, one channel, shape (n,).
            rate: Of them, per second.

        Raises:
            TaskFailure: INVALID_AUDIO, NO_AUDIO, ENGINE_UNAVAILABLE.
            Misheard: SPEECH_NOT_UNDERSTOOD: what was heard is no sentence for a robot.
        """
        sound = checked(resampled(samples, rate), self._settings.limits)
        with self._lock:
            engine = self._loaded()
            found = engine.hear(sound, self._settings.things)
        for heard in found:
            # An engine with a closed vocabulary has words for any sound, so it must be sure a bit.
            if (heard.confidence > 0 or not engine.closed) and is_sensible(heard.text):
                return heard
        for heard in found:
            if is_stop(heard.text):
                return heard
        raise Misheard(found[0] if found else Heard("", 0.0))

    def _loaded(self) -> Engine:
        if self._engine is None:
            self._engine = _engine(self._settings)
        return self._engine


def make_hearing(settings: SpeechSettings | None = None) -> Callable[[Samples], Heard]:
    """Return a function that recognises utterances of 16 kHz; it raises what `hear` does."""
    return Hearing(settings or SpeechSettings()).hear


def is_sensible(sentence: str) -> bool:
    """Whether a sentence is a command, a correction, an answer, or names a thing as an answer."""
    if is_stop(sentence) or read_reply(sentence, range(9)).kind is not ReplyKind.WORDS:
        return True
    for said in (sentence, f"no {sentence}"):
        try:
            read(said, Context(True, "it", "there"))
        except TaskFailure:
            continue
        # "The left one" answers a question; without "the" any few words would.
        return said == sentence or sentence.startswith(("the ", "a ", "number "))
    return False


def _engine(settings: SpeechSettings) -> Engine:
    path = Path(settings.path).expanduser()
    if settings.engine == "faster_whisper":
        return FasterWhisper(path, settings.device)
    if settings.engine == "sherpa_onnx":
        return SherpaOnnx(path, settings.device)
    rules = commands(settings.things, settings.plurals, settings.colors)
    return PocketSphinx(rules, settings.model, settings.cache)
