# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps from a language model: any OpenAI-compatible endpoint, its answer held to the grammar.

The model's text is data. What it answers must be JSON of the documented form, and every word of a
phrase must have been said by the person: a model may cut a sentence, it may not add to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from roborefer_operator.core.language.grammar import MOST_STEPS
from roborefer_operator.core.language.pronouns import resolve
from roborefer_operator.core.language.steps import Context, Plan, Step, Verb
from roborefer_operator.core.language.words import words_of
from roborefer_operator.exceptions import Reason, TaskFailure

_VERBS = {verb.name.lower(): verb for verb in Verb}
_LARGEST_ANSWER = 20_000
_PROMPT = (
    "Split the user's sentence into steps of a robot with one arm. Answer with JSON only:"
    ' {"steps": [{"verb": V, "phrase": P}]}. V is one of '
    + ", ".join(_VERBS)
    + ". P is the part of the sentence that names the thing (refer, pick, go_to) or the place"
    " (place), copied word for word; it is empty for hand_over. To move a thing is pick, place."
    ' If the sentence asks for nothing that these verbs can do, answer {"steps": []}.'
)


@dataclass(frozen=True)
class SplitterSettings:
    """Where the language model is.

    Attributes:
        url: Base of the API, such as "http://127.0.0.1:8000/v1".
        model: Name of the model there.
        token: Bearer token; "" for none.
        timeout_s: Longest answer.
    """

    url: str
    model: str
    token: str = ""
    timeout_s: float = 15.0


class Splitter:
    """Asks one language model; may be used from any thread."""

    def __init__(self, settings: SplitterSettings) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            TaskFailure: INVALID_GOAL: the address is none.
        """
        parts = urlsplit(settings.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TaskFailure(
                Reason.INVALID_GOAL,
                f"'{settings.url}' is no address; write such as http://127.0.0.1:8000/v1",
            )
        self._settings = settings
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        self._http = httpx.Client(
            headers=headers,
            timeout=settings.timeout_s,
            # A proxy of the environment cannot reach this machine's own loopback.
            trust_env=parts.hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    def read(self, sentence: str, context: Context | None = None) -> Plan:
        """Return the steps of a sentence.

        Raises:
            TaskFailure: SPLITTER_UNAVAILABLE: no usable answer came. NOT_UNDERSTOOD: it found no
                steps, or some that were not said. NO_ANTECEDENT.
        """
        body = {
            "model": self._settings.model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": _PROMPT},
                {"role": "user", "content": sentence},
            ],
        }
        url = f"{self._settings.url.rstrip('/')}/chat/completions"
        try:
            response = self._http.post(url, json=body)
            response.raise_for_status()
            text = response.json()["choices"][0]["message"]["content"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise TaskFailure(
                Reason.SPLITTER_UNAVAILABLE,
                f"the language model at {self._settings.url} gave no answer"
                f" ({type(error).__name__}: {error}); start it, or say one of the known commands",
            ) from error
        steps = steps_from_text(text, sentence)
        return Plan(resolve(steps, context or Context()))

    def close(self) -> None:
        """Close the connection; calling it twice is allowed."""
        self._http.close()


def steps_from_text(text: object, sentence: str) -> list[Step]:
    """Check the answer of a language model against its form and against what was said.

    Args:
        text: Its answer, untrusted.
        sentence: What the person said.

    Raises:
        TaskFailure: NOT_UNDERSTOOD, with what is wrong.
    """
    if not isinstance(text, str) or len(text) > _LARGEST_ANSWER:
        raise _wrong("it is no text, or too long")
    trimmed = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        found = json.loads(trimmed)
    except ValueError as error:
        raise _wrong("it is no JSON") from error
    rows = found.get("steps") if isinstance(found, Mapping) else None
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_STEPS:
        raise _wrong(f"it has no list of 1 to {MOST_STEPS} steps")
    said = {word.text for word in words_of(sentence)}
    steps = []
    for row in rows:
        verb = _VERBS.get(str(row.get("verb"))) if isinstance(row, Mapping) else None
        phrase = row.get("phrase", "") if isinstance(row, Mapping) else None
        if verb is None or not isinstance(phrase, str):
            raise _wrong(f"the step {str(row)[:80]} has no known verb, or no phrase")
        if added := [w.text for w in words_of(phrase) if w.text not in said]:
            raise _wrong(f"it added the words {', '.join(added[:5])}, which nobody said")
        if not phrase.strip() and verb is not Verb.HAND_OVER:
            raise _wrong(f"the step {verb.name.lower()} names nothing")
        steps.append(Step(verb, phrase.strip()))
    return steps


def _wrong(what: str) -> TaskFailure:
    return TaskFailure(
        Reason.NOT_UNDERSTOOD,
        f"the language model's answer cannot be used: {what}; say it in other words",
    )
