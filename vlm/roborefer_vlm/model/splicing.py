# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Putting features where a prompt has placeholders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from roborefer_vlm.exceptions import QueryError

# Label of what is not learnt.
IGNORED = -100


@dataclass(frozen=True, eq=False)
class MediaItems:
    """What replaces the placeholders of one kind, in their order.

    Attributes:
        kind: Name, for messages.
        features: One tensor (vectors, hidden) per placeholder.
        before: Embeddings that go before every item, shape (n, hidden).
        behind: Embeddings that go behind every item.
    """

    kind: str
    features: Sequence[torch.Tensor]
    before: torch.Tensor
    behind: torch.Tensor


def splice(
    ids: torch.Tensor,
    words: torch.Tensor,
    labels: torch.Tensor,
    media: Mapping[int | None, MediaItems],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace placeholders by features; what stands in the words for them is not used.

    Args:
        ids: Token ids, shape (T,), on the CPU.
        words: Their embeddings, shape (T, hidden).
        labels: Token ids to learn, shape (T,), on the CPU.
        media: Items by the id of their placeholder.

    Returns:
        Embeddings (n, hidden) and labels (n,); features are not learnt.

    Raises:
        QueryError: Placeholders and items, or ids and labels, do not match.
    """
    if len(labels) != len(ids):
        raise QueryError(f"{len(labels)} labels for {len(ids)} input ids; give one for each")
    for token, items in media.items():
        places = int((ids == token).sum()) if token is not None else 0
        if places != len(items.features):
            raise QueryError(
                f"the prompt has {places} placeholders for {len(items.features)} items of"
                f" {items.kind}; give one for each"
            )
    waiting = {token: iter(items.features) for token, items in media.items()}
    row: list[torch.Tensor] = []
    targets: list[torch.Tensor] = []
    start = 0
    for place, token in enumerate(ids.tolist()):
        if token not in media:
            continue
        item = [media[token].before, next(waiting[token]), media[token].behind]
        row += [words[start:place], *item]
        targets += [labels[start:place], labels.new_full((sum(map(len, item)),), IGNORED)]
        start = place + 1
    return torch.cat([*row, words[start:]]), torch.cat([*targets, labels[start:]])
