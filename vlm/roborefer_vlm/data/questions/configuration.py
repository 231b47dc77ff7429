# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's configuration questions (arXiv 2411.16537), in its three frames.

Of a direction that clearly holds either it or its opposite is asked, as a coin has it; so each
direction in each frame is answered with yes and with no equally often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from roborefer_vlm.data.examples import Example, Kind, Rejected, Wish
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions.asking import Draft, Look, Unasked, Wording, ask, yes_or_no
from roborefer_vlm.data.questions.clear_configuration import (
    OPPOSITES,
    clear_configuration,
    has_side,
)
from roborefer_vlm.data.questions.naming import names
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import Ask, Constraint, Question
from roborefer_vlm.scenes.relations import Relation

_WORDS = {
    Relation.LEFT: "to the left of",
    Relation.RIGHT: "to the right of",
    Relation.FRONT: "in front of",
    Relation.BEHIND: "behind",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
}
_FRAMES = {
    Frame.VIEWER: (
        Wording("camera", "from the camera's perspective"),
        Wording("viewpoint", "from the viewpoint of the camera"),
        Wording("camera_sees", "as the camera sees it"),
        Wording("held_out_photographer", "seen from where the photographer stands"),
    ),
    Frame.WORLD: (
        Wording("world", "from the world's perspective"),
        Wording("world_frame", "in the world frame"),
        Wording("held_out_world", "in world coordinates"),
    ),
    Frame.OBJECT: (
        Wording("object", "from the perspective of {b}"),
        Wording("object_frame", "in the frame of {b} itself"),
        Wording("object_sees", "as {b} would see it"),
        Wording("held_out_object", "judged by which way {b} faces"),
    ),
}
_QUESTIONS = (
    Wording("is", "Is {a} {relation} {b} {frame}?"),
    Wording("first", "{frame}, is {a} {relation} {b}?"),
    Wording("located", "Is {a} located {relation} {b} {frame}?"),
    Wording("correct", "Is it correct that {a} is {relation} {b} {frame}?"),
    Wording("held_out_find", "{frame}, would you find {a} {relation} {b}?"),
    Wording("held_out_lie", "Does {a} lie {relation} {b} {frame}?"),
)
# Pairs that are looked at before a question is given up.
_MOST_PAIRS = 4
_VERTICAL = (Relation.ABOVE, Relation.BELOW)


@dataclass(frozen=True)
class ConfigurationMaker:
    """Asks whether one thing is in a direction from another one."""

    kind: Kind = Kind.CONFIGURATION
    needs: frozenset[Fact] = frozenset({Fact.BOXES, Fact.COMPLETE})

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples and what was rejected; see `Maker.make`."""
        return ask(self.kind, shot, rng, wish, _compose)


def _compose(look: Look) -> Draft:
    frame = look.draw.one(list(Frame)[:3])
    if frame is Frame.OBJECT and not look.trusts(Fact.FRONTS):
        raise Unasked("fronts not known")
    scene = look.view.scene
    seen = look.visible
    anchors = [
        number
        for number in seen
        if frame is not Frame.OBJECT or has_side(look.truth.thing(number), scene)
    ]
    if len(seen) < 2 or not anchors:
        raise Unasked("too few things" if len(seen) < 2 else "nothing with a front")
    for _ in range(_MOST_PAIRS):
        second = look.draw.one(anchors)
        first = look.draw.one([number for number in seen if number != second])
        try:
            found = clear_configuration(
                scene, look.truth.thing(first), look.truth.thing(second), frame
            )
        except QueryError:
            # A box may lie outside the picture although some of its pixels are in it.
            continue
        if found:
            # Things above others are rare, and asked about whenever there are some.
            rare = [one for one in found if one.relation in _VERTICAL]
            true = look.draw.one(rare or found)
            return _write(look, (first, second), frame, true.relation, true.margin)
    raise Unasked("nothing clear")


def _write(
    look: Look, pair: tuple[int, int], frame: Frame, true: Relation, margin: float
) -> Draft:
    holds = look.draw.chance()
    relation = true if holds else OPPOSITES[true]
    a, b = names(look, pair, relation)
    frame_words = look.wording(_FRAMES[frame])
    wording = look.wording(_QUESTIONS)
    question = wording.text.format(
        a=a.words,
        b=b.words,
        relation=_WORDS[relation],
        frame=frame_words.text.format(b=b.words),
    )
    program = Question(
        Ask.CONFIGURATION, (a.phrase,), Constraint(relation, (b.phrase,), frame=frame)
    )
    facts = {
        "program": program_to_json(program),
        "target": a.id,
        "anchors": [b.id],
        "relation": relation.value,
        "frame": frame.value,
        "definition": "configuration_of",
        "true": true.value,
        "margin": round(margin, 4),
    }
    return yes_or_no(look, question, f"{wording.name}/{frame_words.name}", holds, facts)
