# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What spoken commands may be, the model that is made of them, and who may be believed."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from roborefer_common.core.parameters import readme_table
from roborefer_common.exceptions import ParameterError
from roborefer_operator.core.language.grammar import is_stop, read
from roborefer_operator.core.language.steps import Context, Step, Verb
from roborefer_operator.core.ports import Heard
from roborefer_operator.core.speech.agreement import agreement, word_errors
from roborefer_operator.core.speech.audio import RATE, read_wav
from roborefer_operator.core.speech.commands import commands
from roborefer_operator.core.speech.hearing import (
    Hearing,
    Misheard,
    SpeechSettings,
    is_sensible,
    make_hearing,
)
from roborefer_operator.core.speech.language_model import ModelSettings, default_cache
from roborefer_operator.core.speech.other_engines import plain
from roborefer_operator.core.speech.parameters import TABLE, sample_file, settings_of
from roborefer_operator.core.speech.rules import Rules
from roborefer_operator.exceptions import Reason, TaskFailure

RECORDINGS = Path(__file__).parents[4] / "shared/data/speech"
needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason=f"no recordings in {RECORDINGS}"
)
SOUND = (np.random.default_rng(0).standard_normal(RATE) * 2000).astype(np.int16)


class Says:
    """A recogniser that has made up its mind."""

    def __init__(self, *heard, closed=True):
        self.heard, self.closed = list(heard), closed

    def hear(self, samples, phrases=()):
        return self.heard


def hearing(*heard, closed=True):
    return Hearing(SpeechSettings(), Says(*heard, closed=closed))


# --- the grammar --------------------------------------------------------------------------------
def test_rules_accept_what_they_say_and_nothing_else():
    rules = Rules({"all": "3* a <b>? c | d", "b": "x | y z"}, "all")
    rng = Random(1)

    said = {rules.say(rng) for _ in range(100)}

    assert said == {"a c", "a x c", "a y z c", "d"}
    assert all(rules.accepts(sentence) for sentence in said)
    assert not any(rules.accepts(s) for s in ("", "a", "a x", "a x y z c", "c", "d d", "a C"))


def test_a_rule_that_is_missing_is_named():
    with pytest.raises(KeyError, match="gone"):
        Rules({"all": "a <gone>"}, "all")


def test_whatever_the_spoken_grammar_says_is_understood():
    rules, rng = commands(), Random(5)

    for sentence in {rules.say(rng) for _ in range(600)}:
        assert rules.accepts(sentence)
        assert is_sensible(sentence), sentence
        if not is_stop(sentence) and sentence.split()[0] in ("pick", "put", "give", "find"):
            read(sentence, Context(True, "the mug", "the table"))


@pytest.mark.parametrize(
    ("sentence", "target", "place"),
    [
        (
            "put the can ten centimeters left of the mug",
            "the can",
            "ten centimeters left of the mug",
        ),
        ("put the can two inches behind the mug", "the can", "two inches behind the mug"),
    ],
)
def test_a_measure_in_words_belongs_to_the_place(sentence, target, place):
    plan = read(sentence)

    assert plan.steps == (Step(Verb.PICK, target), Step(Verb.PLACE, place))


def test_it_may_be_put_by_a_measure():
    plan = read("put it ten centimeters behind the mug", Context(holding=True, target="the can"))

    assert plan.steps == (Step(Verb.PLACE, "ten centimeters behind the mug"),)


# --- who may be believed ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "sentence",
    ["pick the mug", "no the left one", "the left one", "yes", "two", "stop", "undo", "continue"],
)
def test_commands_corrections_and_answers_are_taken(sentence):
    assert hearing(Heard(sentence, 0.9)).hear(SOUND) == Heard(sentence, 0.9)


@pytest.mark.parametrize(
    "sentence", ["what time is it", "turn up the volume of the radio", "mug the the", "my brother"]
)
@pytest.mark.parametrize("closed", [True, False])
def test_other_talk_is_refused_and_shown(sentence, closed):
    with pytest.raises(Misheard, match=sentence) as failure:
        hearing(Heard(sentence, 0.9), closed=closed).hear(SOUND)

    assert failure.value.reason is Reason.SPEECH_NOT_UNDERSTOOD
    assert failure.value.heard.text == sentence


def test_the_first_guess_that_is_a_command_counts():
    guesses = (Heard("mug the pick", 0.9), Heard("pick the mug", 0.4))

    assert hearing(*guesses).hear(SOUND) == guesses[1]


def test_stop_is_taken_however_unsure():
    assert hearing(Heard("stop the the", 0.0)).hear(SOUND).text == "stop the the"


def test_a_sentence_that_nothing_speaks_for_is_refused():
    with pytest.raises(Misheard):
        hearing(Heard("pick the mug", 0.0)).hear(SOUND)


def test_sound_without_words_is_refused():
    with pytest.raises(Misheard, match="no words in it"):
        hearing().hear(SOUND)


def test_a_person_may_say_other_names_to_an_open_engine():
    assert hearing(Heard("pick the gyroscope", 0.8), closed=False).hear(SOUND).confidence == 0.8


def test_agreement_is_the_share_of_words():
    assert word_errors(["a", "b", "c"], ["a", "x", "c", "d"]) == 2
    assert agreement("a b c d", "a b c d") == 1.0
    assert agreement("a b c d", "a x c d") == 0.75
    assert agreement("", "a") == 0.0


def test_marks_and_capitals_of_open_engines_go():
    assert plain(" Put the mug, please! It's 2.5 m away. ") == "put the mug please it's 2.5 m away"


# --- settings -----------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", ["faster_whisper", "sherpa_onnx"])
def test_another_engine_without_its_files_says_which_are_missing(engine, tmp_path):
    settings = SpeechSettings(engine=engine, path=str(tmp_path))

    with pytest.raises(TaskFailure, match=r"has no .*(model\.bin|tokens\.txt)") as failure:
        make_hearing(settings)(SOUND)

    assert failure.value.reason is Reason.ENGINE_UNAVAILABLE


def test_a_word_that_nobody_can_pronounce_is_named(tmp_path):
    settings = SpeechSettings(cache=tmp_path, things=("mug", "quxblorf"))

    with pytest.raises(TaskFailure, match=r"pronounce 'quxblorf'.*vocabulary\.pronunciations"):
        Hearing(settings).load()

    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(TaskFailure, match=r"set engine\.cache_folder"):
        Hearing(SpeechSettings(cache=tmp_path / "file")).load()


def values(**changes):
    return {**{row.name: row.default for row in TABLE}, **changes}


def test_the_defaults_of_the_table_are_those_of_the_code():
    settings = settings_of(values())

    assert settings.cache == default_cache()
    assert settings.model == SpeechSettings().model
    assert settings.things == SpeechSettings().things


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("vocabulary.things", "mug | bowl"),
        ("vocabulary.things", ""),
        ("vocabulary.colors", "<red>"),
        ("vocabulary.pronunciations", "mug"),
        ("vocabulary.pronunciations", "mug: M4H"),
    ],
)
def test_words_that_are_none_are_refused(name, row):
    with pytest.raises(ParameterError, match=name):
        settings_of(values(**{name: [row]}))


def test_sample_file_and_readme_are_those_of_the_table():
    package = Path(__file__).parents[1]

    assert (package / "config/speech.yaml").read_text(encoding="utf-8") == sample_file()
    assert readme_table(TABLE) in (package / "README.md").read_text(encoding="utf-8"), (
        "replace the table by: python3 -m roborefer_operator.core.speech.parameters table"
    )


# --- the default engine -------------------------------------------------------------------------
@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The default engine with a model of fewer sentences."""
    settings = SpeechSettings(
        cache=tmp_path_factory.mktemp("cache"), model=ModelSettings(sentences=6000)
    )
    made = Hearing(settings)
    made.load()
    return settings, made


def test_a_model_is_made_once_and_again_for_other_words(small):
    settings, _ = small
    (folder,) = settings.cache.iterdir()
    before = (folder / "commands.arpa").stat().st_mtime_ns

    Hearing(settings).load()
    assert (folder / "commands.arpa").stat().st_mtime_ns == before

    known = ModelSettings().pronunciations
    more = ModelSettings(sentences=200, pronunciations={**known, "zyx": "Z IH K S"})
    Hearing(SpeechSettings(cache=settings.cache, things=("mug", "red zyx"), model=more)).load()
    assert len(list(settings.cache.iterdir())) == 2


@needs_recordings
@pytest.mark.parametrize("name", ["flite-rms_01", "flite-slt_06", "flite-slt_19"])
def test_recorded_commands_mean_what_was_said(small, name):
    rows = (RECORDINGS / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
    said = dict(row.split("\t") for row in rows)[f"{name}.wav"]

    heard = small[1].hear(*read_wav(RECORDINGS / f"{name}.wav"))

    assert heard.text == said
    assert heard.confidence > 0.3


@needs_recordings
@pytest.mark.parametrize("name", ["ood-slt_01", "ood-slt_05"])
def test_recorded_talk_is_refused(small, name):
    with pytest.raises(Misheard, match="no known command"):
        small[1].hear(*read_wav(RECORDINGS / f"{name}.wav"))


@pytest.mark.parametrize("kind", ["hiss", "square", "sweep", "spikes"])
def test_sound_that_is_no_speech_moves_nothing(small, kind):
    times = np.arange(RATE) / RATE
    sounds = {
        "hiss": SOUND,
        "square": 4000 * np.sign(np.sin(2 * np.pi * 90 * times)),
        "sweep": 8000 * np.sin(2 * np.pi * 3000 * times**2),
        "spikes": 30000 * (np.random.default_rng(2).random(RATE) < 0.001),
    }

    try:
        heard = small[1].hear(np.asarray(sounds[kind], np.int16))
    except Misheard:
        return
    # What is not refused must be read back, or be a stop.
    assert heard.confidence < 0.6 or is_stop(heard.text)
