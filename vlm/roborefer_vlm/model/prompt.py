# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The text around the pictures: what one turn contains, and how a chat is written down.

A prompt is a list of pieces. Media placeholders and chat marks are special pieces; everything that
comes from a person or a data set is ordinary text, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from roborefer_vlm.exceptions import CheckpointError, ConfigurationError
from roborefer_vlm.model.configuration import DYNAMIC, DYNAMIC_S2
from roborefer_vlm.model.inputs import PictureBlock
from roborefer_vlm.model.tokenizer import DEPTH, IM_END, IM_START, IMAGE, VIDEO, Piece, Tokenizer

# Without full stop, other than in the stock template of the language model.
DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant"

# Appended directly to a pointing question; the two blanks before "where" are part of it.
FORMAT_SUFFIX = (
    "Your answer should be formatted as a list of tuples, i.e. [(x1, y1)],  where each tuple"
    " contains the x and y coordinates of a point satisfying the conditions above."
    " The coordinates should be between 0 and 1, indicating the normalized pixel locations of"
    " the points in the image."
)

_MEDIA_NAMES = (IMAGE, VIDEO, DEPTH)
# Unicode noncharacters stand for placeholders and turns while strings are put together.
_IMAGE_MARK, _DEPTH_MARK, _TURN_MARK = "\ufdd0", "\ufdd1", "\ufdd2"
_MARKS = str.maketrans({_IMAGE_MARK: "\ufffd", _DEPTH_MARK: "\ufffd", _TURN_MARK: "\ufffd"})


class PromptForm(StrEnum):
    """How pictures without depth are written; with depth the two forms are the same.

    SERVE is what the original server writes, TRAIN what the weights saw in training: a line break
    more between the pictures and the text (and one behind every picture, for `dynamic_s2`).
    """

    SERVE = "serve"
    TRAIN = "train"


@dataclass(frozen=True)
class Turn:
    """One message of a chat.

    Attributes:
        role: "system", "user" or "assistant".
        content: What it says, stripped.
    """

    role: str
    content: tuple[Piece, ...]


class ChatFormat(Protocol):
    """Writes a chat down as a checkpoint was taught."""

    @property
    def stop_tokens(self) -> tuple[str, ...]:
        """Names of the special tokens that end an answer."""

    def render(
        self, turns: Sequence[Turn], *, with_system: bool = True, generation: bool = True
    ) -> list[Piece]:
        """Write a chat.

        Args:
            turns: In order; without a system turn the default one of the checkpoint is added.
            with_system: Whether a system turn is added at all.
            generation: Whether the assistant's next turn is opened at the end.

        Returns:
            Pieces; answers of the assistant and the tokens that end them are supervised.
        """


def clean_text(text: str) -> str:
    """Remove the names of media tokens, and then the white space around, as the original does."""
    cleaned = text
    for name in _MEDIA_NAMES:
        cleaned = cleaned.replace(name, "")
    return text if cleaned == text else cleaned.strip()


def clean_turn(text: str) -> str:
    """Remove the names of media tokens, each with a line break behind it, and strip."""
    return re.sub(f"(?:{IMAGE}|{DEPTH})\n?", "", text).strip()


def build_content(
    mode: str,
    images: Sequence[PictureBlock],
    depths: Sequence[PictureBlock],
    text: str,
    form: PromptForm = PromptForm.SERVE,
) -> tuple[Piece, ...]:
    """Put placeholders and text of one turn together.

    Args:
        mode: Picture mode of the checkpoint.
        images: Layout of the pictures.
        depths: Layout of the depth pictures; as many as pictures, or another order results.
        text: Cleaned text.
        form: How pictures without depth are written.

    Raises:
        ConfigurationError: The picture mode has no training form.
    """
    tiled = mode in (DYNAMIC, DYNAMIC_S2)
    if form is PromptForm.TRAIN and not tiled:
        raise ConfigurationError(
            f"pictures of mode '{mode}' have no training form; use {DYNAMIC} or {DYNAMIC_S2}"
        )
    text = text.translate(_MARKS)
    if tiled and depths and len(images) == len(depths):
        head = f"{_IMAGE_MARK} {_DEPTH_MARK}\n" * len(images)
        text = text.strip("\n")
    elif form is PromptForm.TRAIN:
        head = f"{_IMAGE_MARK}\n" * len(images) + f"{_DEPTH_MARK}\n" * len(depths)
    else:
        head = _IMAGE_MARK * len(images) + _DEPTH_MARK * len(depths)
    if mode == DYNAMIC:
        head = _repeat(_repeat(head, _IMAGE_MARK, images), _DEPTH_MARK, depths)
    marks = {_IMAGE_MARK: Piece(IMAGE, special=True), _DEPTH_MARK: Piece(DEPTH, special=True)}
    parts = re.split(f"([{_IMAGE_MARK}{_DEPTH_MARK}])", (head + text).strip())
    return tuple(marks.get(part) or Piece(part) for part in parts if part)


def choose_format(tokenizer: Tokenizer) -> ChatFormat:
    """Find out how a checkpoint writes chats.

    A checkpoint without template gets the default one, and a template that writes what we would
    write is not run again. Any other is honoured, in a sandbox.

    Raises:
        CheckpointError: The template fails, or chat tokens are missing.
    """
    if tokenizer.chat_template is None:
        return ChatMl(tokenizer, DEFAULT_SYSTEM_PROMPT)
    own = TemplateFormat(tokenizer)
    probe = [
        Turn("user", (Piece("one"),)),
        Turn("assistant", (Piece("two"),)),
        Turn("user", (Piece("three"),)),
    ]
    if IM_START not in tokenizer.special_tokens or IM_END not in tokenizer.special_tokens:
        return own
    rendered = own.render(probe)
    system = _system_prompt(rendered)
    if system is None:
        return own
    equal = ChatMl(tokenizer, system)
    with_system = [Turn("system", (Piece("zero"),)), *probe[:2]]
    same = rendered == equal.render(probe) and own.render(
        with_system, generation=False
    ) == equal.render(with_system, generation=False)
    return equal if same else own


class ChatMl:
    """The form of Qwen2: every turn between `<|im_start|>` and `<|im_end|>`."""

    def __init__(self, tokenizer: Tokenizer, system_prompt: str) -> None:
        """Check that the tokenizer has the two tokens.

        Raises:
            CheckpointError: It has not.
        """
        tokenizer.special_id(IM_START)
        tokenizer.special_id(IM_END)
        self.system_prompt = system_prompt

    @property
    def stop_tokens(self) -> tuple[str, ...]:
        """Names of the special tokens that end an answer."""
        return (IM_END,)

    def render(
        self, turns: Sequence[Turn], *, with_system: bool = True, generation: bool = True
    ) -> list[Piece]:
        """Write a chat; see `ChatFormat.render`."""
        if with_system and not (turns and turns[0].role == "system"):
            turns = [Turn("system", (Piece(self.system_prompt),)), *turns]
        pieces: list[Piece] = []
        for turn in turns:
            answer = turn.role == "assistant"
            pieces += [Piece(IM_START, special=True), Piece(f"{turn.role}\n")]
            pieces += _supervise(turn.content) if answer else turn.content
            pieces += [Piece(IM_END, special=True, supervised=answer), Piece("\n")]
        if generation:
            pieces += [Piece(IM_START, special=True), Piece("assistant\n")]
        return _join(pieces)


class TemplateFormat:
    """A checkpoint's own Jinja template, which gets to see marks instead of any content."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Take the template and see what ends an answer.

        Raises:
            CheckpointError: The template fails, or ends answers with no special token.
        """
        self._tokenizer = tokenizer
        names = "|".join(re.escape(name) for name in tokenizer.special_tokens)
        self._split = re.compile(f"({_TURN_MARK}[0-9]+{_TURN_MARK}|{names})" if names else "(?!)")
        probe = [Turn("user", (Piece("one"),)), Turn("assistant", (Piece("two"),))]
        pieces = self.render(probe, generation=False)
        stops = [piece.text for piece in pieces if piece.special and piece.supervised]
        if not stops:
            raise CheckpointError("the chat template puts no special token behind an answer")
        self._stops = tuple(dict.fromkeys(stops))

    @property
    def stop_tokens(self) -> tuple[str, ...]:
        """Names of the special tokens that end an answer."""
        return self._stops

    def render(
        self, turns: Sequence[Turn], *, with_system: bool = True, generation: bool = True
    ) -> list[Piece]:
        """Write a chat; see `ChatFormat.render`.

        Raises:
            ConfigurationError: No system turn is wanted, which a foreign template cannot express.
            CheckpointError: The template fails, or leaves out, repeats or changes a turn.
        """
        if not with_system:
            raise ConfigurationError(
                "this checkpoint's chat template is none of Qwen2, so its system turn cannot be"
                " left out; give a system prompt of your own instead"
            )
        messages = [
            {"role": turn.role, "content": f"{_TURN_MARK}{index}{_TURN_MARK}"}
            for index, turn in enumerate(turns)
        ]
        text = self._tokenizer.render_template(messages, generation=generation)
        pieces: list[Piece] = []
        seen: list[int] = []
        open_answer = False
        for part in filter(None, self._split.split(text)):
            if part[0] == _TURN_MARK:
                turn = turns[int(part.strip(_TURN_MARK))]
                seen.append(int(part.strip(_TURN_MARK)))
                open_answer = turn.role == "assistant"
                pieces += _supervise(turn.content) if open_answer else turn.content
            elif part in self._tokenizer.special_tokens:
                pieces.append(Piece(part, special=True, supervised=open_answer))
                open_answer = False
            else:
                pieces.append(Piece(part))
        if seen != list(range(len(turns))):
            raise CheckpointError(
                f"the chat template shows turns {seen} of {len(turns)}; every turn, once and in"
                " order, is needed"
            )
        return _join(pieces)


def _repeat(text: str, mark: str, blocks: Sequence[PictureBlock]) -> str:
    """Write each placeholder, and a line break, once per tile."""
    parts = text.split(mark)
    written = (
        f"{mark}\n" * block.placeholders + part
        for block, part in zip(blocks, parts[1:], strict=True)
    )
    return parts[0] + "".join(written)


def _supervise(content: Sequence[Piece]) -> list[Piece]:
    return [Piece(piece.text, piece.special, supervised=True) for piece in content]


def _join(pieces: Sequence[Piece]) -> list[Piece]:
    """Join ordinary pieces that touch, so that equal prompts have equal pieces."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and not (last.special or piece.special) and last.supervised == piece.supervised:
            joined[-1] = Piece(last.text + piece.text, supervised=piece.supervised)
        elif piece.text:
            joined.append(piece)
    return joined


def _system_prompt(pieces: Sequence[Piece]) -> str | None:
    """Return the system prompt that a rendered chat begins with, if it looks like Qwen2."""
    if len(pieces) < 3 or pieces[0].text != IM_START or pieces[2].text != IM_END:
        return None
    role, _, system = pieces[1].text.partition("\n")
    return system if role == "system" else None
