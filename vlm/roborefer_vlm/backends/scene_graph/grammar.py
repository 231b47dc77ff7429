# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a sentence to programs: commands, pointing prompts and questions.

    sentence = {polite} ( point target {"and" target} | pick thing "and" put | put | question )
    target   = space | part | thing | modifiers
    put      = "put" [thing] ( at space | modifiers )
    question = "is" thing modifiers | "can" thing "fit" modifiers | "is there" thing
             | "how many" thing | "how far is" anchor "from" anchor | "which" noun modifiers

The whole sentence has to be read; what cannot be read is named in the refusal. Text is data: it
is compared with word lists, nothing in it is executed, and neither its length nor its nesting
makes the work grow faster than a small power of the number of words, which is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

from roborefer_vlm.backends.scene_graph.lexicon import Lexicon, Tokens, lexicon
from roborefer_vlm.backends.scene_graph.modifiers import spaced
from roborefer_vlm.backends.scene_graph.phrase_chart import Found, PhraseChart, bounded
from roborefer_vlm.backends.scene_graph.pronouns import named_in, resolved
from roborefer_vlm.backends.scene_graph.questions import questions
from roborefer_vlm.backends.scene_graph.strain import strain
from roborefer_vlm.backends.scene_graph.words import tokenise
from roborefer_vlm.scenes.program import (
    Program,
    Request,
    Space,
    Target,
    Thing,
)

MOST_WORDS = 100
MOST_PROGRAMS = 12
_EXAMPLE = "write for example 'point to the red mug to the left of the plate'"


@dataclass(frozen=True)
class NotUnderstood:
    """Why a sentence has no meaning here.

    Attributes:
        message: One sentence for people: which words, and what would be right.
    """

    message: str


def parse(text: str) -> tuple[Program, ...] | NotUnderstood:
    """Return every reading of a sentence, the most natural one first.

    Args:
        text: One sentence; remarks about the form of the answer are passed over.

    Returns:
        At least one program, or why there is none.
    """
    words = lexicon()
    tokens = tokenise(text)
    if len(tokens) > 3 * MOST_WORDS:
        return NotUnderstood(
            f"the text has {len(tokens)} words and marks; one sentence of at most {MOST_WORDS}"
            " words is understood"
        )
    wanted = _wanted(tokens, words)
    if not wanted:
        return NotUnderstood(f"the text names nothing to point at; {_EXAMPLE}")
    if len(wanted) > 1:
        second = " ".join(wanted[1][:6])
        return NotUnderstood(f"'{second}' begins a second sentence; ask for one thing at a time")
    if len(wanted[0]) > MOST_WORDS:
        return NotUnderstood(
            f"the sentence has {len(wanted[0])} words; at most {MOST_WORDS} are understood"
        )
    return _Sentence(wanted[0], words).read()


def _wanted(tokens: Tokens, words: Lexicon) -> list[Tokens]:
    """Return the sentences that ask for something, without those that only frame the question."""
    sentences: list[Tokens] = []
    begin = 0
    for at, token in enumerate((*tokens, ".")):
        if token in (".", "?", "!", ";"):
            sentences.append(tokens[begin:at])
            begin = at + 1
    rules = words.wrappers
    kept: list[Tokens] = []
    for sentence in filter(None, sentences):
        # What follows a remark on the form of the answer belongs to it ("i.e. [(x1, y1)]").
        if kept and rules["format"].at(sentence, 0):
            break
        kept.append(sentence)
    if len(kept) == 2:
        kept[1] = resolved(kept[1], named_in(kept[0], words), words)
    if len(kept) > 1:
        kept = [s for s in kept if not rules["introduction"].at(s, 0)] or kept[:1]
    if len(kept) > 1 and rules["closing"].end(kept[-1], 0) == len(kept[-1]):
        # "I want to put it behind the mug. Where does it fit?" asks the same once more.
        kept.pop()
    return kept


class _Sentence:
    def __init__(self, tokens: Tokens, words: Lexicon) -> None:
        self.tokens = tuple(token for token in tokens if token not in ('"', ":", "`"))
        self.words = words
        self.chart = PhraseChart(self.tokens, words)
        # Where the reading that got farthest had to stop.
        self.farthest = 0

    def read(self) -> tuple[Program, ...] | NotUnderstood:
        found: list[Program] = []
        for start in self._starts():
            for program, end in self._programs(start):
                if self._is_end(end):
                    if program not in found:
                        found.append(program)
                else:
                    self.farthest = max(self.farthest, end)
            if found:
                found.sort(key=strain)
                return tuple(found[:MOST_PROGRAMS])
        return self._refusal()

    def _starts(self) -> list[int]:
        """Return where the sentence proper may begin, behind most polite words first."""
        starts, at = [0], 0
        while True:
            if self.chart.token(at) == ",":
                at += 1
                starts.append(at)
            end = self.words.wrappers["polite"].end(self.tokens, at)
            if end == at:
                break
            at = end
            starts.append(at)
        return starts[::-1]

    def _is_end(self, at: int) -> bool:
        endings = self.words.wrappers["ending"]
        while at < len(self.tokens):
            if self.chart.token(at) == ",":
                at += 1
                continue
            end = endings.end(self.tokens, at)
            if end == at:
                return False
            at = end
        return True

    def _refusal(self) -> NotUnderstood:
        left = self.tokens[self.farthest :]
        if not left:
            return NotUnderstood(f"the sentence stops before it names a thing; {_EXAMPLE}")
        before = " ".join(self.tokens[max(0, self.farthest - 6) : self.farthest])
        place = f" after '{before}'" if before else ""
        return NotUnderstood(
            f"the words '{' '.join(left[:8])[:120]}'{place} are outside the grammar; {_EXAMPLE}"
        )

    # ---- kinds of sentences -----------------------------------------------------------------

    def _programs(self, start: int) -> Found[Program]:
        found: Found[Program] = list(questions(self.chart, start))
        found += self._pick_and_put(start)
        spoken = self.words.wrappers["point"].end(self.tokens, start)
        for _, end in self.words.wrappers["point"].at(self.tokens, start):
            begins = [end]
            begins += [e for _, e in self.words.wrappers["several"].at(self.tokens, end)]
            # "Stand to the left of the chair", "stop in front of it": a place, no thing.
            for begin in begins[::-1]:
                found += self._requests(begin, spoken)
        for _, end in self.words.wrappers["several"].at(self.tokens, start):
            found += self._requests(end)
        # "Take the cup left of the plate" asks for that cup rather than to move one there.
        found += self._put(start)
        if spoken == start or self.chart.token(start) not in self.words.places:
            # "Point at the mug" is no point at the mug.
            found += self._requests(start)
        return found

    def _requests(self, start: int, spoken: int = 0) -> Found[Program]:
        """Read what is asked for; "at" of "point at the mug" makes no place of it.

        Args:
            start: First token.
            spoken: Where the longest phrase ends that asks to point.
        """
        found: Found[Program] = []
        for targets, end in self._targets(start):
            of_phrase = start < self.words.relations.end(self.tokens, start) <= spoken
            if not (of_phrase and isinstance(targets[0], Space)):
                found.append((Request(targets), end))
        return found

    def _targets(self, start: int) -> Found[tuple[Target, ...]]:
        found: Found[tuple[Target, ...]] = []
        for target, end in self._target(start):
            found.append(((target,), end))
            joint = end
            joint += self.chart.token(joint) == ","
            if self.chart.token(joint) in ("and", "&"):
                joint += 1
            if joint > end and self._names_itself(joint):
                found += [((target, *rest), last) for rest, last in self._targets_at(joint)]
        return bounded(found)

    def _targets_at(self, start: int) -> Found[tuple[Target, ...]]:
        # Through the chart's memory, so that a long row of "and" is read once per place.
        return self.chart.once("targets", start, lambda: self._targets(start))

    def _names_itself(self, at: int) -> bool:
        """Tell whether a noun with its determiner begins here, so that "and" joins two targets."""
        return bool(self.words.determiners.at(self.tokens, at))

    def _target(self, start: int) -> Found[Target]:
        found: Found[Target] = []
        found += self.chart.spaces(start)
        found += self.chart.parts(start, True)
        found += self.chart.things(start, True)
        found += self._places(start)
        return found

    def _places(self, start: int) -> Found[Space]:
        """Read a place without a noun: "to the left of the mug"."""
        found: Found[Space] = []
        for mods, end in self.chart.modifiers(start, True):
            space = spaced(mods, (), self.words) if mods else None
            if space is not None:
                found.append((space, end))
        return found

    def _put(self, start: int) -> Found[Program]:
        found: Found[Program] = []
        rules = self.words.wrappers
        for _, at in rules["put"].at(self.tokens, start):
            moved: Found[Thing | None] = [
                (None, rules["down"].end(self.tokens, end))
                for _, end in rules["held"].at(self.tokens, at)
            ]
            moved.append((None, rules["down"].end(self.tokens, at)))
            moved += [
                (thing, rules["down"].end(self.tokens, end))
                for thing, end in self.chart.things(at)
            ]
            for thing, end in moved:
                end += self.chart.token(end) == ","
                end = rules["result"].end(self.tokens, end)
                found += [
                    (Request((place,), thing), last) for place, last in self._destination(end)
                ]
        return found

    def _destination(self, start: int) -> Found[Space]:
        found: Found[Space] = []
        begins = [end for _, end in self.words.wrappers["at"].at(self.tokens, start)]
        if not self._names_itself(start):
            # "Put it somewhere clear".
            begins.append(start)
        for begin in dict.fromkeys(begins):
            found += self.chart.spaces(begin)
        found += self._places(start)
        return found

    def _pick_and_put(self, start: int) -> Found[Program]:
        found: Found[Program] = []
        for _, at in self.words.wrappers["pick"].at(self.tokens, start):
            for thing, end in self.chart.things(at):
                behind = end
                for joint in ("up", ",", "and", "then"):
                    behind += self.chart.token(behind) == joint
                if behind == end:
                    continue
                found += [
                    (Request(program.targets, thing), last)
                    for program, last in self._put(behind)
                    if isinstance(program, Request) and program.moved is None
                ]
        return found
