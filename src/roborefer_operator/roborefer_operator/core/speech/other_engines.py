# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognisers whose models are too large to come along: their files are given by path.

Nothing is ever downloaded. They know any word, so core/language alone decides what is a command.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

from roborefer_operator.core.ports import Heard
from roborefer_operator.core.speech.audio import FULL_SCALE, RATE, Samples
from roborefer_operator.exceptions import Reason, TaskFailure

_MARKS = re.compile(r"[.!?,;:]+(?=\s|$)")
# sherpa-onnx gives no measure for whole sentences: its words are read back.
_UNKNOWN = 0.5


class FasterWhisper:
    """Implements `Engine` with faster-whisper and a model folder of CTranslate2."""

    closed = False

    def __init__(self, folder: Path, device: str) -> None:
        """Load the model.

        Args:
            folder: With model.bin, config.json and tokenizer.json.
            device: "cpu" or "cuda".

        Raises:
            TaskFailure: ENGINE_UNAVAILABLE.
        """
        need_files(folder, ("model.bin", "config.json", "tokenizer.json"))
        kind = "float16" if device == "cuda" else "int8"
        self._model = _loaded(
            "faster_whisper",
            lambda library: library.WhisperModel(
                str(folder), device=device, compute_type=kind, local_files_only=True
            ),
        )

    def hear(self, samples: Samples, phrases: Sequence[str] = ()) -> list[Heard]:
        """Return what was said; confidence is the mean probability of a word piece.

        Args:
            samples: 16 kHz, checked.
            phrases: Names that are made likelier.
        """
        segments, _ = self._model.transcribe(
            samples.astype(np.float32) / FULL_SCALE, language="en", beam_size=5,
            hotwords=", ".join(phrases) or None, condition_on_previous_text=False,
        )  # fmt: skip
        parts = [part for part in segments if part.no_speech_prob < 0.6]
        text = plain(" ".join(part.text.strip() for part in parts))
        if not text:
            return []
        return [Heard(text, min(1.0, min(exp(part.avg_logprob) for part in parts)))]


class SherpaOnnx:
    """Implements `Engine` with sherpa-onnx and a transducer model."""

    closed = False

    def __init__(self, folder: Path, device: str) -> None:
        """Load the model.

        Args:
            folder: With tokens.txt, encoder.onnx, decoder.onnx and joiner.onnx.
            device: "cpu" or "cuda".

        Raises:
            TaskFailure: ENGINE_UNAVAILABLE.
        """
        names = ("tokens.txt", "encoder.onnx", "decoder.onnx", "joiner.onnx")
        need_files(folder, names)
        tokens, encoder, decoder, joiner = (str(folder / name) for name in names)
        self._recognizer = _loaded(
            "sherpa_onnx",
            lambda library: library.OfflineRecognizer.from_transducer(
                tokens=tokens, encoder=encoder, decoder=decoder, joiner=joiner, provider=device,
                decoding_method="modified_beam_search",
            ),
        )  # fmt: skip

    def hear(self, samples: Samples, phrases: Sequence[str] = ()) -> list[Heard]:
        """Return what was said; its confidence is one half.

        Args:
            samples: 16 kHz, checked.
            phrases: Not used.
        """
        stream = self._recognizer.create_stream()
        stream.accept_waveform(RATE, samples.astype(np.float32) / FULL_SCALE)
        self._recognizer.decode_stream(stream)
        text = plain(stream.result.text)
        return [Heard(text, _UNKNOWN)] if text else []


def plain(text: str) -> str:
    """Return a sentence in lower case without marks."""
    return " ".join(_MARKS.sub(" ", text).lower().split())


def need_files(folder: Path, names: Sequence[str]) -> None:
    """Check that a model is there.

    Raises:
        TaskFailure: ENGINE_UNAVAILABLE.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise TaskFailure(
            Reason.ENGINE_UNAVAILABLE,
            f"engine.path is '{folder}', which has no {', '.join(missing)}; give the folder of a"
            " model that was fetched before, or set engine.name to pocketsphinx",
        )


def _loaded(library: str, load: Any) -> Any:
    try:
        return load(import_module(library))
    except Exception as error:
        # These libraries raise errors of many kinds for files that are wrong.
        hint = f"install it: pip install {library.replace('_', '-')}"
        if not isinstance(error, ImportError):
            hint = "look at the model's files and at engine.device"
        raise TaskFailure(
            Reason.ENGINE_UNAVAILABLE, f"{library} cannot be used ({error}); {hint}"
        ) from error
