# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Location: "Where is the red mug left of the plate?", answered by a point on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roborefer_vlm.data.examples import Example, Kind, Phrasings, Rejected, Wish
from roborefer_vlm.data.meaning import MOST_STEPS, margin, resolve
from roborefer_vlm.data.paraphrasing import Words, suffix
from roborefer_vlm.data.phrases import constraints_in, referring
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.tops import top_point
from roborefer_vlm.data.truth import Truth, truth_of
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.scenes.program import Part, PartName, Request, Thing

NOT_VISIBLE = "nothing visible"
NOT_UNIQUE = "not unique"
# How many things and steps are tried per example that is wished for.
TRIES = 3
# How often the benchmark's sentence on the form of the answer is added in training.
_WITH_SUFFIX = 0.4
# How often the top of a thing is asked for, where it is flat.
_TOPS = 0.08


@dataclass(frozen=True)
class Referred:
    """A thing with a phrase that is proven to mean it.

    Attributes:
        view: Index of the view in its shot.
        truth: Of that view.
        number: Id of the thing.
        phrase: The phrase.
        steps: As RefSpatial-Bench counts.
    """

    view: int
    truth: Truth
    number: int
    phrase: Thing
    steps: int

    def facts(self) -> dict[str, Any]:
        """Return what proves it, as JSON values."""
        told = list(constraints_in(self.phrase))
        return {
            "program": program_to_json(Request((self.phrase,))),
            "target": self.number,
            "anchors": anchor_ids(self.truth, self.phrase),
            "relation": [c.relation.value for c in told],
            "frame": [c.frame.value for c in told],
            "constraints": [
                {"relation": c.relation.value, "frame": c.frame.value, "negated": c.negated}
                for c in told
            ],
            "steps": self.steps,
            "margin": round(margin(self.truth, self.phrase, self.number), 3),
        }


class LocationMaker:
    """Makes questions for the place of one thing.

    Attributes:
        steps: How often questions have one to five steps, in proportion.
    """

    kind = Kind.LOCATION
    needs = frozenset((Fact.COMPLETE,))

    def __init__(self, steps: Sequence[float] = (0.3, 0.3, 0.15, 0.15, 0.1)) -> None:
        """Take how often questions have one to five steps.

        Raises:
            ConfigurationError: These are not five shares.
        """
        self.steps = checked_shares(steps)

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield questions about things of any view of the shot."""
        made = 0
        for found in refer(shot, rng, self.kind, self.steps, TRIES * wish.most):
            if isinstance(found, Rejected):
                yield found
                continue
            words = Words(rng, wish.phrasings)
            target, point, part = _target(found, rng)
            question = words.ask("location", x=words.anchor(target))
            plain = "coordinates" not in question and wish.phrasings is Phrasings.TRAINING
            if plain and rng.random() < _WITH_SUFFIX:
                question = f"{question} {suffix()}"
            yield Example(
                f"{found.truth.view.key}-{self.kind.value}-{made}",
                self.kind,
                (found.view,),
                question,
                point_text(point),
                point=point,
                facts={**found.facts(), **part},
                phrasing=words.name,
            )
            made += 1
            if made == wish.most:
                return


def _target(
    found: Referred, rng: np.random.Generator
) -> tuple[Thing | Part, tuple[float, float], dict[str, Any]]:
    """Return what is pointed at, a point on it, and facts of a part: mostly the whole thing."""
    point = top_point(found.truth, found.number) if rng.random() < _TOPS else None
    if point is not None:
        part = Part(PartName.TOP, found.phrase)
        program = program_to_json(Request((part,)))
        return part, point, {"program": program, "part": part.name.value}
    point = found.truth.point(found.number)
    assert point is not None  # What is referred to is visible.
    return found.phrase, point, {}


def refer(
    shot: Shot, rng: np.random.Generator, kind: Kind, steps: Sequence[float], tries: int
) -> Iterator[Referred | Rejected]:
    """Yield things of a shot with phrases for them, different ones each time.

    Args:
        shot: Any of its views may be asked about.
        rng: Decides which.
        kind: What is rejected counts for this kind of question.
        steps: How often one to five steps are taken, in proportion.
        tries: Most things that are tried.
    """
    truths = [truth_of(view) for view in shot.views]
    seen = [[n for n in truth.ids if truth.visible(n)] for truth in truths]
    views = [i for i, numbers in enumerate(seen) if numbers]
    if not views:
        yield Rejected(kind, NOT_VISIBLE)
        return
    said: set[tuple[int, Thing]] = set()
    shares = np.array(steps) / np.sum(steps)
    for _ in range(tries):
        view = views[int(rng.integers(len(views)))]
        number = seen[view][int(rng.integers(len(seen[view])))]
        count = 1 + int(rng.choice(MOST_STEPS, p=shares))
        phrase = next(referring(truths[view], number, rng, count), None)
        if phrase is None:
            yield Rejected(kind, NOT_UNIQUE)
        elif (view, phrase) not in said:
            said.add((view, phrase))
            yield Referred(view, truths[view], number, phrase, count)


def anchor_ids(truth: Truth, phrase: Thing) -> list[int]:
    """Return the ids of all anchors of a phrase, theirs before them."""
    result: list[int] = []
    anchors = [anchor for constraint in phrase.constraints for anchor in constraint.anchors]
    anchors += [order.anchor for order in phrase.orders if order.anchor is not None]
    for anchor in anchors:
        if isinstance(anchor, Thing):
            result += anchor_ids(truth, anchor)
            result += resolve(truth, anchor) or ()
    return list(dict.fromkeys(result))


def point_text(point: tuple[float, float]) -> str:
    """Return a point as the model writes it."""
    return f"[({point[0]:.3f}, {point[1]:.3f})]"


def checked_shares(steps: Sequence[float]) -> tuple[float, ...]:
    """Return the shares of one to five steps.

    Raises:
        ConfigurationError: They are not five numbers that are not negative, with one above 0.
    """
    values = np.asarray(steps, float)
    good = values.shape == (MOST_STEPS,) and np.isfinite(values).all() and (values >= 0).all()
    if not good or not values.any():
        raise ConfigurationError(
            f"steps are {list(steps)}; {MOST_STEPS} shares are needed, none negative, not all 0"
        )
    return tuple(float(value) for value in values)
