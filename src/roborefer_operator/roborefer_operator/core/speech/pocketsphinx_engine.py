# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The default engine: pocketsphinx with a trigram model of the command grammar; needs no download.

The engine's own posterior says nothing: a closed vocabulary presses any sound into commands. So
confidence is a product of three numbers, each 0 to 1. *Agreement*: every utterance is heard twice,
with and without steady noise, and the share of words counts that both hear alike. *Lead*: how far
the next best sentence of the grammar lags behind that differs in more than an article; where
"book" and "block" fit nearly as well, it is small. *Contrast*: how far speech stands above noise;
in much noise nothing is sure. Sound of which no hypothesis is a sentence of the grammar has
confidence 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import islice
from math import log
from pathlib import Path
from typing import Any, NamedTuple

from roborefer_operator.core.ports import Heard
from roborefer_operator.core.speech.agreement import agreement
from roborefer_operator.core.speech.audio import Samples, contrast_db
from roborefer_operator.core.speech.language_model import ModelFiles, ModelSettings, model_files
from roborefer_operator.core.speech.preparation import with_floor, without_steady_noise
from roborefer_operator.core.speech.rules import Rules
from roborefer_operator.exceptions import Reason, TaskFailure

# Hypotheses that are looked at.
_MOST = 60
# A rival that lags so far behind, in the engine's logarithm, takes nothing from confidence; a bit
# more than half of it is where confusions of recorded sentences end.
_CLEAR_LEAD = 0.04
# Contrast of loud and quiet moments, dB, from which on noise is no reason for doubt; speech 20 dB
# above noise has 26, 10 dB above it has 16.
_CLEAR_CONTRAST_DB = 35.0
_ARTICLES = frozenset({"a", "an", "the"})


class PocketSphinx:
    """Implements `Engine` with pocketsphinx 5.1."""

    closed = True

    def __init__(self, rules: Rules, settings: ModelSettings, cache: Path) -> None:
        """Load the models; makes the language model when it is not there.

        Raises:
            TaskFailure: ENGINE_UNAVAILABLE.
        """
        try:
            sphinx = import_module("pocketsphinx")
        except ImportError as error:
            raise TaskFailure(
                Reason.ENGINE_UNAVAILABLE,
                f"pocketsphinx cannot be loaded ({error}); install it: pip install"
                " 'pocketsphinx>=5.1.1,<6'",
            ) from error
        shipped = Path(sphinx.get_model_path("en-us"))
        files = model_files(rules, shipped, settings, cache)
        self._rules = rules
        self._decoder = _decoder(sphinx, shipped, files)

    def hear(self, samples: Samples, phrases: Sequence[str] = ()) -> list[Heard]:
        """Return the sentences of the grammar that were heard, best first; else what was heard.

        Args:
            samples: 16 kHz, checked.
            phrases: Not used: the vocabulary is that of the rules.
        """
        plain = _hypotheses(self._decoder, with_floor(samples))
        cleaned = _hypotheses(self._decoder, with_floor(without_steady_noise(samples)))
        if not plain or not cleaned:
            return [Heard(rows[0].text, 0.0) for rows in (plain, cleaned) if rows]
        clear = min(1.0, contrast_db(samples) / _CLEAR_CONTRAST_DB)
        alike = agreement(plain[0].text, cleaned[0].text)
        found: dict[str, float] = {}
        for rows in (cleaned, plain):
            for text, lead in self._sentences(rows)[:1]:
                # What both hear must lead in both.
                found[text] = min(found.get(text, 1.0), clear * alike * lead)
        if not found:
            return [Heard(cleaned[0].text, 0.0)]
        ranked = sorted(found, key=lambda text: -found[text])
        return [Heard(text, found[text]) for text in ranked]

    def _sentences(self, rows: list[_Hypothesis]) -> list[tuple[str, float]]:
        """Return those that are sentences of the grammar, with their lead, 0 to 1, best first."""
        fits = [row for row in rows if self._rules.accepts(row.text)]
        found = []
        for at, row in enumerate(fits):
            rivals = [one for one in fits[at + 1 :] if _bare(one.text) != _bare(row.text)]
            lead = (row.score - rivals[0].score) / _CLEAR_LEAD if rivals else 1.0
            # One that is only a later guess is at most half sure.
            most = 1.0 if row is rows[0] else 0.5
            found.append((row.text, min(most, max(0.0, lead))))
        return found


class _Hypothesis(NamedTuple):
    text: str
    score: float


def _bare(text: str) -> list[str]:
    return [word for word in text.split() if word not in _ARTICLES]


def _decoder(sphinx: Any, shipped: Path, files: ModelFiles) -> Any:
    return sphinx.Decoder(
        hmm=str(shipped / "en-us"), dict=str(files.dictionary), lm=str(files.language),
        cmn="batch", loglevel="FATAL",
    )  # fmt: skip


def _hypotheses(decoder: Any, samples: Samples) -> list[_Hypothesis]:
    """Return different hypotheses, best first."""
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    best = decoder.hyp()
    if best is None or not best.hypstr:
        return []
    found: dict[str, float] = {}
    for row in islice(decoder.nbest(), _MOST):
        if row and row.hypstr and row.score > 0:
            found.setdefault(row.hypstr, log(row.score))
    # The best path through the lattice is not always the first of the others.
    first = max(found.values(), default=0.0)
    rows = [_Hypothesis(best.hypstr, max(first, found.pop(best.hypstr, first)))]
    return rows + [_Hypothesis(text, score) for text, score in found.items()]
