# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Streamed pieces never break a character, and together are the answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roborefer_vlm.backends.streaming import TextStream


def decode(ids: Sequence[int]) -> str:
    """Take ids for bytes, as a byte-level tokenizer does in the worst case."""
    return bytes(ids).decode("utf-8", "replace")


def pieces(content: bytes) -> list[str]:
    seen: list[str] = []
    stream = TextStream(decode, seen.append)
    for byte in content:
        stream.add(byte)
    stream.end()
    return seen


@given(st.text())
def test_pieces_of_any_text_join_to_the_stripped_text(text: str) -> None:
    content = text.encode("utf-8", "replace")

    assert "".join(pieces(content)) == content.decode("utf-8").strip()


def test_character_of_several_tokens_comes_whole() -> None:
    assert pieces("a→😀b".encode()) == ["a", "→", "😀", "b"]


def test_first_piece_comes_with_the_first_token() -> None:
    seen: list[str] = []
    stream = TextStream(decode, seen.append)

    stream.add(ord("["))

    assert seen == ["["]


@pytest.mark.parametrize("content", [b"\xff" * 50 + b"a", b"\xe2\x82", b"a\xf0\x9f"])
def test_broken_bytes_do_not_hold_up_the_stream(content: bytes) -> None:
    assert "".join(pieces(content)) == content.decode("utf-8", "replace")
