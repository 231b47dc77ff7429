# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Text while it is being written, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_BROKEN = "\ufffd"
# One character takes at most four bytes, so after more tokens what is broken stays broken.
_LONGEST_WAIT = 16


class TextStream:
    """Passes on pieces of text that together are the answer.

    A token may end within a character and a later one completes it, so what ends in a broken
    character waits. White space waits too, until more text follows, because an answer is stripped.
    """

    def __init__(
        self, decode: Callable[[Sequence[int]], str], on_text: Callable[[str], None]
    ) -> None:
        """Begin an answer.

        Args:
            decode: Ids to text, not stripped; broken UTF-8 becomes U+FFFD.
            on_text: Called with every new piece.
        """
        self._decode = decode
        self._on_text = on_text
        self._waiting: list[int] = []
        self._space = ""
        self._begun = False

    def add(self, token: int) -> None:
        """Take the next token."""
        self._waiting.append(token)
        text = self._decode(self._waiting)
        if not text.endswith(_BROKEN) or len(self._waiting) >= _LONGEST_WAIT:
            self._pass_on(text)

    def end(self) -> None:
        """Pass on what waits, but for white space at the end."""
        if self._waiting:
            self._pass_on(self._decode(self._waiting))

    def _pass_on(self, text: str) -> None:
        self._waiting.clear()
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :] if self._begun or kept else ""
        if not self._begun:
            kept = kept.lstrip()
        if kept:
            self._begun = True
            self._on_text(kept)
