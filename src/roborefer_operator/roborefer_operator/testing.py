# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot in words: stands in for camera, model, arm and base in tests and dry runs.

Things have names and places; a phrase means the things whose names are in it. Nothing is measured
and nothing collides: it proves how tasks are carried out, not that a robot could do them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from roborefer_operator.core.codes import CODES
from roborefer_operator.core.language.steps import Context, Verb
from roborefer_operator.core.ports import (
    KIND_FREE_SPACE,
    KIND_OBJECT,
    Ended,
    Outcome,
    Pending,
    Reference,
    Samples,
    Wish,
)

_TALL_M = 0.08
# A thing is hit this near to its pixel.
_HALF_PX = 24.0


@dataclass
class Running:
    """A request that takes some looks to end.

    Attributes:
        looks: How often it is still under way when looked at.
        finish: Called once at its end.
        canceled: Whether somebody asked to end it.
    """

    looks: int
    finish: Callable[[], Outcome]
    phase: int = 23
    canceled: bool = False
    _result: Outcome | None = None

    def outcome(self) -> Outcome | None:
        """How it ended; None while it is under way."""
        if self._result is None:
            if self.canceled:
                self._result = Outcome(CODES["CANCELED"], "canceled", self.phase)
            elif self.looks > 0:
                self.looks -= 1
            else:
                self._result = self.finish()
        return self._result

    def cancel(self) -> None:
        """Ask to end it."""
        self.canceled = True


@dataclass
class WordWorld:
    """Implements `core.ports.Ports`.

    Attributes:
        things: Name to the pixel where it stands.
        fail: Called with "refer", "pick", "place", "hand_over" or "go_to" and how often that was
            asked; returns an outcome to use instead of success, or None.
        looks: How many looks each motion takes.
        log: What was asked, in order.
    """

    things: dict[str, tuple[float, float]] = field(default_factory=dict)
    fail: Callable[[str, int], Outcome | None] = lambda what, number: None
    looks: int = 2
    log: list[tuple[str, str]] = field(default_factory=list)
    held: str = ""
    stop: bool = False
    verbs: frozenset[Verb] = frozenset(Verb)
    time_ns: int = 1_000_000_000
    splitter: Callable[[str, Context], Pending] | None = None
    hearing: Callable[[Samples], Pending] | None = None
    moved_names: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)

    def now_ns(self) -> int:
        """Time of this world."""
        return self.time_ns

    def can(self, verb: Verb) -> bool:
        """Whether there is a server for it."""
        return verb in self.verbs

    def holding(self) -> bool:
        """Whether something is in the gripper."""
        return bool(self.held)

    def moved(self, reference: Reference) -> bool:
        """Whether it was moved by hand since."""
        return reference.label in self.moved_names

    def hear(self, samples: Samples) -> Pending | None:
        """Recognise speech, if there is somebody who can."""
        return self.hearing(samples) if self.hearing else None

    def split(self, sentence: str, context: Context) -> Pending | None:
        """Ask the language model, if there is one."""
        return self.splitter(sentence, context) if self.splitter else None

    def refer(self, wish: Wish) -> Pending:
        """Find the things whose names are in the phrase; a phrase without any is a place."""
        asked = f"{wish.phrase} @ {wish.pixel}" if wish.pixel else wish.phrase
        return self._request("refer", asked, lambda: self._found(wish))

    def pick(self, target: Reference, place: Reference | None, plan_only: bool) -> Pending:
        """Take the thing at the pixel of the reference."""

        def take() -> Outcome:
            name = self._at(target.pixel)
            if not plan_only and name:
                self.held = name
                del self.things[name]
            return Outcome()

        return self._request("pick", target.label, take)

    def place(self, where: Reference, plan_only: bool) -> Pending:
        """Put what is held at the pixel of the reference."""

        def put() -> Outcome:
            self.things[self.held], self.held = where.pixel, ""
            return Outcome()

        return self._request("place", where.label, put)

    def hand_over(self, plan_only: bool) -> Pending:
        """Give away what is held."""

        def give() -> Outcome:
            self.held = ""
            return Outcome()

        return self._request("hand_over", self.held, give)

    def go_to(self, target: Reference) -> Pending:
        """Go there."""
        return self._request("go_to", target.label, Outcome)

    def set_stop(self, stop: bool) -> None:
        """Set or release the stop."""
        self.stop = stop

    def _request(self, what: str, asked: str, success: Callable[[], Outcome]) -> Pending:
        self._counts[what] = self._counts.get(what, 0) + 1
        self.log.append((what, asked))
        failure = self.fail(what, self._counts[what])
        if failure is not None:
            return Ended(failure)
        return Ended(success()) if what == "refer" else Running(self.looks, success)

    def _at(self, pixel: tuple[float, float]) -> str:
        u, v = pixel
        return next(
            (
                name
                for name, at in self.things.items()
                if max(abs(at[0] - u), abs(at[1] - v)) <= _HALF_PX
            ),
            "",
        )

    def _reference(self, label: str, pixel: tuple[float, float], kind: int) -> Reference:
        height = _TALL_M if self._at(pixel) else 0.0
        position = (pixel[0] / 1000, pixel[1] / 1000, height)
        return Reference(
            label, pixel, self.time_ns, kind, label, frame="base_link", position=position
        )

    def _found(self, wish: Wish) -> Outcome:
        found = self._look_for(wish)
        named = replace(found, references=tuple(_named(found.references, wish)))
        return replace(named, candidates=tuple(_named(found.candidates, wish)))

    def _look_for(self, wish: Wish) -> Outcome:
        if wish.pixel is not None:
            name = self._at(wish.pixel)
            kind = KIND_OBJECT if name else KIND_FREE_SPACE
            return Outcome(references=(self._reference(name or "here", wish.pixel, kind),))
        words = wish.phrase.split()
        if words[0] not in ("the", "a"):
            # "left of the mug" is a place beside it.
            named = [at for name, at in self.things.items() if name.split()[-1] in words]
            beside = named[0] if named else (0.0, 0.0)
            pixel = (beside[0] - 50.0, beside[1] + 5.0)
            return Outcome(references=(self._reference(wish.phrase, pixel, KIND_FREE_SPACE),))
        fits = [
            self._reference(name, at, KIND_OBJECT)
            for name, at in sorted(self.things.items())
            if set(words[1:]) <= set(name.split())
        ]
        if not fits:
            return Outcome(CODES["REFER_NOTHING_FOUND"], f"'{wish.phrase}' fits nothing here")
        if len(fits) > 1:
            said = f"'{wish.phrase}' fits {len(fits)} things"
            return Outcome(CODES["REFER_AMBIGUOUS"], said, candidates=tuple(fits))
        return Outcome(references=(fits[0],))


def _named(references: tuple[Reference, ...], wish: Wish) -> list[Reference]:
    """Let references say which words were looked for."""
    words = "" if wish.pixel else wish.phrase
    return [replace(reference, words=words) for reference in references]
