# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the speech node's parameters: declaration, checks, sample file and README.

Type `python3 -m roborefer_operator.core.speech.parameters` to print config/speech.yaml, with
`table` behind it the table of the README.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roborefer_common.core.parameters import Row, readme_table, sample_yaml
from roborefer_common.exceptions import ParameterError

from roborefer_operator.core.speech.audio import AudioLimits
from roborefer_operator.core.speech.commands import COLORS, PLURALS, THINGS
from roborefer_operator.core.speech.endpointing import EndpointSettings
from roborefer_operator.core.speech.hearing import ENGINES, SpeechSettings
from roborefer_operator.core.speech.language_model import (
    PRONUNCIATIONS,
    ModelSettings,
    default_cache,
)

_AUDIO, _ENDS = AudioLimits(), EndpointSettings()

TABLE = (
    Row("engine.name", "pocketsphinx", "What recognises speech.", choices=ENGINES),
    Row("engine.path", "", "Folder of the model of another engine than pocketsphinx."),
    Row("engine.device", "cpu", "Where such an engine runs.", choices=("cpu", "cuda")),
    Row("engine.cache_folder", "", "Where language models are kept; empty is the user's cache."),
    Row("vocabulary.things", list(THINGS), "Names of things that are expected."),
    Row("vocabulary.plurals", list(PLURALS), "Names for several of them."),
    Row("vocabulary.colors", list(COLORS), "Names of colours."),
    Row(
        "vocabulary.pronunciations", [f"{word}: {said}" for word, said in PRONUNCIATIONS.items()],
        "Of words that are not in CMUdict, as 'word: P HH OW N Z'.",
    ),
    Row("audio.min_s", _AUDIO.least_s, "Shorter utterances are refused.", 0.05, 5.0),
    Row("audio.max_s", _AUDIO.most_s, "Longer utterances are cut.", 1.0, 60.0),
    Row(
        "audio.silence_db", _AUDIO.silence_db,
        "What is not louder, relative to full scale, is silence.", -90.0, 0.0,
    ),
    Row(
        "audio.max_clipped", _AUDIO.clipped_share,
        "Share of samples at full scale that is too much.", 0.0, 1.0,
    ),
    Row(
        "endpoint.mode", "push_to_talk",
        "What ends an utterance: the chunk marked as the last, or a pause too.",
        choices=("push_to_talk", "open"),
    ),
    Row("endpoint.before_s", _ENDS.before_s, "Kept from before speech began.", 0.0, 2.0),
    Row("endpoint.pause_s", _ENDS.pause_s, "Pause that ends an utterance.", 0.2, 5.0),
    Row(
        "endpoint.gap_s", 2.0,
        "An utterance under way ends when no sound comes for so long.", 0.2, 30.0,
    ),
    Row("endpoint.silero_file", "", "silero-vad's ONNX file; empty goes by loudness."),
    Row("microphone.enabled", False, "Whether a microphone of this machine is opened."),
    Row("microphone.device", "", "Its name or number for sounddevice; empty is the default one."),
    Row("wav_file", "", "A WAV file that is heard once at the start; empty is none."),
    Row("instruct.confirm", False, "Whether each plan waits for a yes."),
    Row("instruct.wait_for_others", False, "Whether tasks wait for those before them."),
    Row("instruct.timeout_s", 5.0, "Longest wait for the executive.", 0.5, 60.0),
    Row("diagnostics.period_s", 1.0, "Between two diagnostics.", 0.1, 60.0),
)  # fmt: skip


def settings_of(values: Mapping[str, Any]) -> SpeechSettings:
    """Turn checked values into what recognises speech.

    Raises:
        ParameterError: A pronunciation is of another form.
    """
    folder = values["engine.cache_folder"]
    return SpeechSettings(
        engine=values["engine.name"],
        path=values["engine.path"],
        device=values["engine.device"],
        cache=Path(folder).expanduser() if folder else default_cache(),
        things=_words(values, "vocabulary.things"),
        plurals=_words(values, "vocabulary.plurals"),
        colors=_words(values, "vocabulary.colors"),
        model=ModelSettings(pronunciations=_pronunciations(values)),
        limits=AudioLimits(
            values["audio.min_s"], values["audio.max_s"] + 1.0, values["audio.silence_db"],
            values["audio.max_clipped"],
        ),
    )  # fmt: skip


def endpoints_of(values: Mapping[str, Any]) -> EndpointSettings:
    """Turn checked values into when utterances begin and end."""
    return EndpointSettings(
        values["endpoint.mode"] == "open", values["endpoint.before_s"],
        values["endpoint.pause_s"], values["audio.max_s"],
    )  # fmt: skip


def _words(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    rows = tuple(" ".join(row.lower().split()) for row in values[name])
    wrong = [row for row in rows if not row or not row.replace(" ", "").replace("'", "").isalpha()]
    if wrong or not rows:
        raise ParameterError(
            f"{name} has '{wrong[0] if wrong else ''}'; names are words of letters"
        )
    return rows


def _pronunciations(values: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for row in values["vocabulary.pronunciations"]:
        word, colon, said = (part.strip() for part in row.partition(":"))
        if not (word and colon and said and said.replace(" ", "").isalpha()):
            raise ParameterError(
                f"vocabulary.pronunciations has '{row}'; write it as 'mug: M AH G'"
            )
        found[word.lower()] = " ".join(said.upper().split())
    return found


def sample_file() -> str:
    """Return the text of config/speech.yaml."""
    made_by = "python3 -m roborefer_operator.core.speech.parameters > config/speech.yaml"
    return sample_yaml(TABLE, {}, "Speech by push to talk, offline.", made_by)


if __name__ == "__main__":
    print(readme_table(TABLE) if "table" in sys.argv else sample_file(), end="")
