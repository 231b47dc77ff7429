# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The grammar of commands (README, "What can be said"): a sentence becomes steps, or is refused.

It knows verbs, prepositions and words between clauses. Everything else belongs to referring
phrases, which are slices of the sentence: what they mean is the model's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from roborefer_operator.core.language.clauses import read_clause
from roborefer_operator.core.language.pronouns import resolve, without_pronouns
from roborefer_operator.core.language.steps import (
    Context,
    Control,
    Correction,
    Plan,
    Step,
    Utterance,
)
from roborefer_operator.core.language.words import (
    AGAIN,
    CONTINUE,
    CORRECTING,
    DETERMINERS,
    POLITE,
    PREPOSITIONS,
    SEQUENCE,
    STOP,
    UNDO,
    VERBS,
    Word,
    starts,
    words_of,
)
from roborefer_operator.exceptions import Reason, TaskFailure

LONGEST_SENTENCE = 1000
MOST_STEPS = 20
_MOST_READINGS = 3
_MARKS = frozenset(",;.!?:")
_BREAKS = frozenset(";.!?")
_VERB_WORDS = tuple(words for words, _ in VERBS)
_CONTROLS = (
    (STOP, Control.STOP),
    (UNDO, Control.UNDO),
    (AGAIN, Control.AGAIN),
    (CONTINUE, Control.CONTINUE),
)


def read(sentence: str, context: Context | None = None) -> Utterance:
    """Read a sentence.

    Args:
        sentence: As typed or recognised; data, never executed.
        context: What came before, for words such as "it".

    Raises:
        TaskFailure: NOT_UNDERSTOOD: the message shows the words that fit no rule, and what would.
            NO_ANTECEDENT: a word such as "it" points at nothing.
    """
    known = context or Context()
    if len(sentence) > LONGEST_SENTENCE:
        raise TaskFailure(
            Reason.NOT_UNDERSTOOD,
            f"the sentence has {len(sentence)} characters; {LONGEST_SENTENCE} are allowed",
        )
    words = words_of(sentence)
    plain = [word for word in words if word.text not in _MARKS]
    if not plain:
        raise TaskFailure(Reason.NOT_UNDERSTOOD, "there are no words; say what to do")
    for phrases, control in _CONTROLS:
        if _is_just(plain, phrases):
            return control
    if size := starts(plain, 0, CORRECTING):
        rest = [word for word in words if word.begin >= plain[size - 1].end]
        return _correction(sentence, _stripped(rest), known)
    return _plan(sentence, words, known)


def is_stop(sentence: str) -> bool:
    """Whether a sentence asks to stop, whatever else stands in it before or behind.

    "Stop" must work at once and even when the rest of the sentence makes no sense.
    """
    plain = [word for word in words_of(sentence) if word.text not in _MARKS]
    urgent = {"stop", "halt", "freeze", "abort"}
    return _is_just(plain, STOP) or any(w.text in urgent for w in (*plain[:2], *plain[-1:]))


def _is_just(plain: Sequence[Word], phrases: tuple[tuple[str, ...], ...]) -> bool:
    """Whether all that is said, but for politeness, is one of these phrases."""
    rest = _impolite(list(plain))
    while rest and starts(rest, len(rest) - 1, (("please",), ("now",), ("robot",))):
        rest = rest[:-1]
    return bool(rest) and starts(rest, 0, phrases) == len(rest)


def _plan(sentence: str, words: list[Word], context: Context) -> Plan:
    readings: list[list[Step]] = [[]]
    for clause in _clauses(words):
        found = read_clause(sentence, clause)
        # One clause with several readings is common, two are not; the best of the others suffices.
        several = len(readings) == 1
        readings = [
            [*before, *steps] for before in readings for steps in found[: 3 if several else 1]
        ]
    plans = []
    failure: TaskFailure | None = None
    for steps in readings:
        try:
            plan = resolve(steps, context)
        except TaskFailure as error:
            failure = failure or error
            continue
        if plan not in plans:
            plans.append(plan)
    if not plans:
        assert failure is not None
        raise failure
    if len(plans[0]) > MOST_STEPS:
        raise TaskFailure(
            Reason.NOT_UNDERSTOOD,
            f"the sentence asks for {len(plans[0])} steps; {MOST_STEPS} at most",
        )
    return Plan(plans[0], tuple(plans[1:]))


def _correction(sentence: str, words: list[Word], context: Context) -> Correction:
    rest = _impolite(words)
    if not rest:
        return Correction()
    if starts(rest, 0, _VERB_WORDS):
        return Correction(plan=_plan(sentence, rest, context))
    phrase = sentence[rest[0].begin : rest[-1].end]
    if starts(rest, 0, PREPOSITIONS) or rest[0].text == "there":
        return Correction(place=without_pronouns(phrase, context.target))
    if rest[0].text in DETERMINERS or len(rest) <= _SHORT:
        return Correction(target=_with_noun(phrase, context.target))
    raise TaskFailure(
        Reason.NOT_UNDERSTOOD,
        f"'{phrase}' corrects nothing; say 'no, the left one', 'no, on the plate' or a command",
    )


# An answer without an article, such as "red mug" or "left one", is no longer than this.
_SHORT = 4


def _with_noun(phrase: str, target: str) -> str:
    """Complete "the left one" with the noun of what was said before."""
    said = phrase.split()
    if said[-1].lower() not in {"one", "ones"} or not target:
        return phrase
    words, head = words_of(target), []
    for at, word in enumerate(words):
        if starts(words, at, PREPOSITIONS) or word.text in {"that", "which", "with", "of"}:
            break
        head.append(word)
    return " ".join([*said[:-1], target[head[-1].begin : head[-1].end]]) if head else phrase


def _clauses(words: list[Word]) -> list[list[Word]]:
    """Split at the words and marks that stand between two clauses."""
    clauses: list[list[Word]] = [[]]
    at = 0
    while at < len(words):
        skip = _border(words, at)
        if skip:
            clauses.append([])
            at += skip
        else:
            clauses[-1].append(words[at])
            at += 1
    stripped = [_impolite(_stripped(clause)) for clause in clauses]
    return [clause for clause in stripped if clause]


def _border(words: list[Word], at: int) -> int:
    """Return how many words here stand between two clauses; 0 if they belong to one."""
    if words[at].text in _BREAKS:
        return 1
    size = 1 if words[at].text == "," else 0
    size += starts(words, at + size, (("and",),))
    joined = starts(words, at + size, SEQUENCE)
    after = at + size + joined
    if not size and not joined:
        return 0
    if joined and after < len(words) and words[after].text == ",":
        after += 1
    rest = words[after:]
    polite = len(rest) - len(_impolite(rest))
    if starts(rest, polite, _VERB_WORDS):
        return after - at
    # "then" alone needs no verb that we know: what follows is refused with a good message.
    return after - at if joined and words[at + size].text == "then" else 0


def _stripped(words: list[Word]) -> list[Word]:
    """Take off marks at both ends."""
    begin, end = 0, len(words)
    while begin < end and words[begin].text in _MARKS:
        begin += 1
    while end > begin and words[end - 1].text in _MARKS:
        end -= 1
    return words[begin:end]


def _impolite(words: list[Word]) -> list[Word]:
    """Take off what is said in front of a verb for politeness."""
    while words:
        size = 1 if words[0].text in _MARKS else starts(words, 0, POLITE)
        if not size:
            break
        words = words[size:]
    return words
