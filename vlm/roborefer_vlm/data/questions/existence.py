# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether something is there: looks and places of a scene, put together as they are and as not.

"Is there a red block?" is answered with no only where both blocks and red things can be seen, so
the words alone do not tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from roborefer_vlm.data.clarity import NO, YES
from roborefer_vlm.data.matching import COLOR_FROM
from roborefer_vlm.data.meaning import fits
from roborefer_vlm.data.paraphrasing import with_article
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions import predicate_words as words
from roborefer_vlm.data.questions.asking import Draft, Look, Unasked, yes_or_no
from roborefer_vlm.data.questions.naming import names
from roborefer_vlm.data.views import Fact
from roborefer_vlm.scenes.program import Ask, Constraint, Quantifier, Question, Thing
from roborefer_vlm.scenes.relations import Relation

DENIED = 0.12
_MOST_ANCHORS = 4
_PLACES = (
    Relation.LEFT,
    Relation.RIGHT,
    Relation.FRONT,
    Relation.BEHIND,
    Relation.NEAR,
    Relation.ON,
    Relation.INSIDE,
)
_FLAT = (Relation.LEFT, Relation.RIGHT)


def compose_existence(look: Look) -> Draft:
    """Ask whether something is there, by its colour or by where it is.

    Raises:
        Unasked: Only one of the answers would be possible.
    """
    by_color = look.trusts(Fact.COLORS) and look.draw.chance(0.6)
    cases = _by_color(look) if by_color else _by_place(look)
    for yes, no in cases:
        found = look.draw.either(yes, no)
        if found is not None:
            return _write(look, *found)
    raise Unasked("only one answer possible")


def _by_color(look: Look) -> Iterator[tuple[list[Thing], list[Thing]]]:
    """Yield what is there and what is not, in the nouns and colours of visible things."""
    truth, view = look.truth, look.view
    nouns: set[str] = set()
    colors: set[str] = set()
    for number in truth.ids:
        if truth.visible(number):
            nouns.update(view.nouns.get(number, ())[:2])
            shares = truth.thing(number).colors
            colors.update(color for color, share in shares.items() if share >= COLOR_FROM)
    asked = [
        Thing(noun, (color,), quantifier=Quantifier.ANY)
        for noun in sorted(nouns)
        for color in sorted(colors)
    ]
    yield _split(look, asked)


def _by_place(look: Look) -> Iterator[tuple[list[Thing], list[Thing]]]:
    """Yield things of the scene's nouns in one place where some of them are and others not."""
    truth, view = look.truth, look.view
    relations = _PLACES if look.trusts(Fact.BOXES) else _FLAT
    seen = look.visible
    nouns = sorted({view.nouns[n][0] for n in seen if any(view.nouns.get(n, ()))})
    for anchor in seen[:_MOST_ANCHORS]:
        relation = look.draw.one(relations)
        if relation is Relation.INSIDE and not truth.thing(anchor).hollow:
            continue
        try:
            mark = names(look, (anchor,), relation)[0]
        except Unasked:
            continue
        tie = Constraint(relation, (mark.phrase,))
        own = set(view.nouns.get(anchor, ()))
        asked = [
            Thing(noun, constraints=(tie,), quantifier=Quantifier.ANY)
            for noun in nouns
            if noun not in own
        ]
        yield _split(look, asked)


def _split(look: Look, asked: list[Thing]) -> tuple[list[Thing], list[Thing]]:
    """Return what is visible there, and what is clearly nowhere, not even hidden."""
    yes, no = [], []
    for phrase in asked:
        states = fits(look.truth, phrase)
        if (states == NO).all():
            no.append(phrase)
        elif ((states == YES) & look.truth.all_visible).any():
            yes.append(phrase)
    return yes, no


def _write(look: Look, there: bool, phrase: Thing) -> Draft:
    denied = look.draw.chance(DENIED)
    wording = look.wording(words.ABSENCE if denied else words.EXISTENCE)
    said = look.words.bare(phrase)
    tied = phrase.constraints[0].relation.value if phrase.constraints else None
    facts = {
        "program": program_to_json(Question(Ask.EXISTENCE, (phrase,))),
        "relation": tied,
        "asked": "existence",
        "negated": denied,
    }
    question = wording.text.format(a=with_article(said))
    return yes_or_no(look, question, wording.name, there != denied, facts)
