# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Text to token ids and back, with special tokens only where the program means them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roborefer_vlm.exceptions import CheckpointError, QueryError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

IMAGE, VIDEO, DEPTH = "<image>", "<vila/video>", "<depth>"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
_SENTINEL = "<vila/sentinel>"
# In this order a checkpoint gets those that it lacks; the order decides the ids.
_MEDIA_TOKENS = (_SENTINEL, IMAGE, VIDEO)


@dataclass(frozen=True)
class Piece:
    """A part of a prompt.

    Attributes:
        text: What it says.
        special: Whether `text` is the name of one special token. Without this, such a name is
            ordinary text, so that nobody can close a turn from within a sentence.
        supervised: Whether training is about these tokens.
    """

    text: str
    special: bool = False
    supervised: bool = False


class Tokenizer:
    """The byte-level BPE of a checkpoint; safe to use from several threads at once.

    Attributes:
        size: Number of tokens, added ones included: rows that the embedding must have.
        image_id: Placeholder of an image feature sequence.
        video_id: Placeholder of a video, which no checkpoint of ours uses.
        depth_id: Placeholder of a depth feature sequence; None where depth is not enabled.
        eos_id: End of a turn.
        bos_id: Start of a text (never part of a prompt), or None.
        pad_id: Fills the ends of shorter rows.
        newline_ids: The tokens of one line break.
        model_max_length: Longest sequence, in embeddings.
        chat_template: The checkpoint's own Jinja template, or None.
        special_tokens: Names of all special tokens, longest first.
    """

    def __init__(self, pretrained: Any, *, enable_depth: bool) -> None:
        """Take a tokenizer of transformers and give it the media tokens that it lacks."""
        from transformers import AddedToken

        media = (*_MEDIA_TOKENS, DEPTH) if enable_depth else _MEDIA_TOKENS
        # Chat tokens come with the checkpoint, but some files forget that they are special.
        chat = [name for name in (IM_START, IM_END) if name in pretrained.get_vocab()]
        pretrained.add_tokens(
            [AddedToken(name, special=True, normalized=False) for name in (*chat, *media)],
            special_tokens=True,
        )
        self._pretrained = pretrained
        backend: Backend = pretrained.backend_tokenizer
        # From here on the backend is only read; without this its text could hold special tokens.
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self.special_tokens: tuple[str, ...] = tuple(
            sorted(
                (t.content for t in backend.get_added_tokens_decoder().values() if t.special),
                key=len,
                reverse=True,
            )
        )
        self._special_ids = {name: backend.token_to_id(name) for name in self.special_tokens}
        self.size: int = backend.get_vocab_size(with_added_tokens=True)
        self.image_id = self.special_id(IMAGE)
        self.video_id = self.special_id(VIDEO)
        self.depth_id = self.special_id(DEPTH) if enable_depth else None
        if pretrained.eos_token_id is None:
            raise CheckpointError("the tokenizer has no eos_token, so no answer would ever end")
        self.eos_id: int = pretrained.eos_token_id
        self.bos_id: int | None = pretrained.bos_token_id
        pad = pretrained.pad_token_id
        self.pad_id: int = self.eos_id if pad is None else pad
        self.newline_ids = tuple(self.encode_text("\n"))
        self.model_max_length = int(pretrained.model_max_length)
        template = pretrained.chat_template
        self.chat_template: str | None = template if isinstance(template, str) else None

    @classmethod
    def from_directory(cls, directory: Path, *, enable_depth: bool) -> Tokenizer:
        """Read `tokenizer.json`, or `vocab.json` and `merges.txt` where there is none.

        Args:
            directory: The `llm` part of a checkpoint; nothing is fetched from elsewhere.
            enable_depth: Whether the checkpoint understands depth, and so has its token.

        Raises:
            CheckpointError: The files are missing or broken.
        """
        from transformers import Qwen2Tokenizer

        complete = (directory / "tokenizer.json").is_file() or all(
            (directory / name).is_file() for name in ("vocab.json", "merges.txt")
        )
        if not complete:
            raise CheckpointError(
                f"{directory} has no tokenizer; tokenizer.json, or vocab.json and merges.txt, is"
                " needed"
            )
        try:
            pretrained = Qwen2Tokenizer.from_pretrained(str(directory), local_files_only=True)
            tokenizer = cls(pretrained, enable_depth=enable_depth)
        except CheckpointError as error:
            raise CheckpointError(f"{directory}: {error}") from error
        except Exception as error:
            # The parser of the file is written in Rust and raises bare exceptions.
            raise CheckpointError(f"{directory}: the tokenizer cannot be read: {error}") from error
        _check_added_tokens(directory / "added_tokens.json", tokenizer)
        return tokenizer

    def special_id(self, name: str) -> int:
        """Return the id of a special token.

        Raises:
            CheckpointError: The tokenizer has no such special token.
        """
        token = self._special_ids.get(name)
        if token is None:
            raise CheckpointError(
                f"the tokenizer has no special token '{name}'; it has"
                f" {', '.join(sorted(self.special_tokens)) or 'none'}"
            )
        return token

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of ordinary text; names of special tokens in it are just letters.

        Raises:
            QueryError: The text is no valid Unicode.
        """
        try:
            return list(self._backend.encode(text, add_special_tokens=False).ids)
        except TypeError as error:
            raise QueryError(f"text is no valid Unicode: {text[:80]!r}") from error

    def encode(self, pieces: Iterable[Piece]) -> tuple[list[int], list[bool]]:
        """Return the ids of a prompt and, for each of them, whether it is supervised.

        Ordinary pieces that touch are encoded as one text, since tokens may reach across. A
        change of supervision divides them: answers begin with a letter or sign after a line
        break, and there the splitting rule of the tokenizer divides as well.
        """
        ids: list[int] = []
        supervised: list[bool] = []

        def add(new: Sequence[int], flag: bool) -> None:
            ids.extend(new)
            supervised.extend([flag] * len(new))

        run, run_flag = "", False
        for piece in pieces:
            if piece.special or piece.supervised != run_flag:
                add(self.encode_text(run), run_flag)
                run, run_flag = "", piece.supervised
            if piece.special:
                add([self.special_id(piece.text)], piece.supervised)
            else:
                run += piece.text
        add(self.encode_text(run), run_flag)
        return ids, supervised

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens left out; broken UTF-8 becomes U+FFFD."""
        return self._backend.decode(list(ids), skip_special_tokens=True)

    def render_template(self, messages: Sequence[Mapping[str, str]], *, generation: bool) -> str:
        """Render the checkpoint's own chat template, in the sandbox of transformers.

        Raises:
            CheckpointError: There is no template, or it fails.
        """
        from jinja2 import TemplateError

        try:
            text = self._pretrained.apply_chat_template(
                [dict(message) for message in messages],
                tokenize=False,
                add_generation_prompt=generation,
            )
        except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise CheckpointError(f"the chat template cannot be rendered: {error}") from error
        if not isinstance(text, str):
            raise CheckpointError("the chat template gives no text")
        return text

    def save(self, directory: Path) -> None:
        """Write its files, media tokens included, to the `llm` part of a checkpoint."""
        self._pretrained.save_pretrained(str(directory), save_jinja_files=False)


def _check_added_tokens(path: Path, tokenizer: Tokenizer) -> None:
    """Compare with the ids that the checkpoint notes; a shift would go unseen otherwise."""
    if not path.is_file():
        return
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        expected = {str(name): int(token) for name, token in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is no table of names and ids: {error}") from error
    for name, token in expected.items():
        found = tokenizer._backend.token_to_id(name)
        if found != token:
            raise CheckpointError(f"{path}: '{name}' is {token}, but the tokenizer has {found}")
