# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Replaces "it", "there" and "the other place" by the words that they stand for."""

from __future__ import annotations

import re

from roborefer_operator.core.language.steps import Context, Step, Verb
from roborefer_operator.core.language.words import PRONOUNS
from roborefer_operator.exceptions import Reason, TaskFailure

_IT = re.compile(r"\b(?:it|that one|this one|them)\b", re.IGNORECASE)
_SIDE = re.compile(r".*\bto the (?:left|right)", re.IGNORECASE)
_THERE = re.compile(r"(?:over |back |right )?(?:there|here)", re.IGNORECASE)


def resolve(steps: list[Step], context: Context) -> tuple[Step, ...]:
    """Return the steps without pronouns, and without picking what is in the gripper already.

    Raises:
        TaskFailure: NO_ANTECEDENT.
    """
    done: list[Step] = []
    # What "it" stands for: the thing in the hand, and within the words for its place another one.
    target, other, place = context.target, "", context.place
    holding, held = context.holding, context.held
    for number, step in enumerate(steps):
        phrase = step.phrase
        is_pronoun = phrase.lower() in PRONOUNS
        if step.verb is Verb.PICK:
            follows = steps[number + 1].verb if number + 1 < len(steps) else None
            is_held = is_pronoun or (held and phrase.lower() == held.lower())
            if is_held and holding and follows in _LETTING_GO:
                continue
            if is_pronoun:
                phrase = _needed(target, phrase, "thing")
            else:
                phrase = without_pronouns(phrase, target)
                target, other = phrase, target
            holding, held = True, phrase
        elif step.verb is Verb.PLACE:
            if _THERE.fullmatch(phrase):
                phrase = _needed(place, phrase, "place")
            phrase = without_pronouns(phrase, other)
            if _SIDE.fullmatch(phrase):
                # "Move the mug to the left" is told from where it stands.
                phrase = f"{phrase} of {_needed(target, 'it', 'thing')}"
            place, holding = phrase, False
        elif step.verb is Verb.HAND_OVER:
            holding = False
        elif is_pronoun:
            phrase = _needed(target, phrase, "thing")
        else:
            phrase = without_pronouns(phrase, target)
            target, other = phrase, target
        done.append(Step(step.verb, phrase))
    return tuple(done)


_LETTING_GO = (Verb.PLACE, Verb.HAND_OVER)


def without_pronouns(phrase: str, stands_for: str) -> str:
    """Replace "it" within a phrase.

    Raises:
        TaskFailure: NO_ANTECEDENT: there is a pronoun, and nothing that it stands for.
    """
    if not (found := _IT.search(phrase)):
        return phrase
    words = _needed(stands_for, found[0], "thing")
    return phrase[: found.start()] + words + phrase[found.end() :]


def _needed(words: str, pronoun: str, what: str) -> str:
    if not words:
        raise TaskFailure(
            Reason.NO_ANTECEDENT,
            f"no {what} was mentioned before that '{pronoun}' can stand for; name the {what}",
        )
    return words
