# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which tokens of a conversation are learnt: answers, and the token that ends each of them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

IGNORED = -100


class Supervision(StrEnum):
    """How the learnt tokens are found.

    SPANS: exactly the answers and the token that ends each. ORIGINAL: by comparing the
    conversation with the same one without answers, as the released weights were trained: the
    first token of an answer that is a lone line break is taken for the one behind the answer, so
    it is not learnt, and that one is.
    """

    SPANS = "spans"
    ORIGINAL = "original"


def make_labels(
    ids: Sequence[int], supervised: Sequence[bool], how: Supervision = Supervision.SPANS
) -> list[int]:
    """Return the ids to learn, -100 elsewhere.

    Args:
        ids: A conversation.
        supervised: For each id whether it belongs to an answer or ends one.
        how: How the learnt tokens are found.
    """
    if how is Supervision.SPANS:
        return [token if flag else IGNORED for token, flag in zip(ids, supervised, strict=True)]
    rest = [token for token, flag in zip(ids, supervised, strict=True) if not flag]
    labels = []
    matched = 0
    for token in ids:
        if matched < len(rest) and token == rest[matched]:
            matched += 1
            labels.append(IGNORED)
        else:
            labels.append(token)
    return labels
